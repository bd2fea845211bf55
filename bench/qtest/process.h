/* SPDX-License-Identifier: MIT */
/* QEMU as a process: its command line, its memory, its end. */
#ifndef BENCH_QTEST_PROCESS_H
#define BENCH_QTEST_PROCESS_H

#include "qtest/qtest.h"

struct qtest_process {
    pid_t pid;
    int socket;      /* of the qtest protocol */
    int said;        /* memfd: all that it printed */
    uint8_t *memory; /* of the guest, from address 0 */
    size_t size;
};

/* size: bytes of the guest's memory, whole MiB. -errno with a line in error; nothing is left then. */
int qtest_process_start(const struct qtest_config *config, size_t size, struct qtest_process *out,
                        char *error, size_t error_size);
/* The last line that it printed, "" for none. */
void qtest_process_said(const struct qtest_process *process, char *line, size_t size);
/* Kills it, waits for it, frees all. */
void qtest_process_end(struct qtest_process *process);

#endif
