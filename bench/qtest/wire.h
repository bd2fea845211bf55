/* SPDX-License-Identifier: MIT */
/*
 * QEMU's qtest protocol (its system/qtest.c): a line for each question and one for the answer, and between
 * them lines that tell of interrupts.
 *
 * A QEMU that is gone, answers nonsense or nothing makes the wire dead: all reads are then ones.
 */
#ifndef BENCH_QTEST_WIRE_H
#define BENCH_QTEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QTEST_PATIENCE_MS 10000

struct qtest_wire {
    int fd;
    bool dead;
    unsigned int irq; /* the line of interest; others are not noticed */
    bool level;       /* of it */
    bool raised;      /* since somebody has cleared this */
    uint64_t interrupts;
    char in[512];
    size_t n;
};

/* Asks for what the command (a line without its end) is answered with; 0 for an answer without a number. */
uint64_t qtest_ask(struct qtest_wire *wire, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes what has been said unasked. Does not block. */
void qtest_listen(struct qtest_wire *wire);

/* Registers in I/O space or memory, of 1, 2 or 4 bytes. */
uint32_t qtest_read(struct qtest_wire *wire, bool io, uint64_t address, unsigned int size);
void qtest_write(struct qtest_wire *wire, bool io, uint64_t address, unsigned int size, uint32_t value);

/* Into a PCI function's configuration space, by mechanism 1. */
void qtest_pci_write(struct qtest_wire *wire, unsigned int slot, unsigned int offset, uint32_t value);

#endif
