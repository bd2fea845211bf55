/* SPDX-License-Identifier: MIT */
/* sim/peer, whose struct peer has the name of ours, without its header. */
#ifndef CONFORMANCE_PEERS_QEMU_PROGRAM_H
#define CONFORMANCE_PEERS_QEMU_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct qemu_program;

/* QEMU with four probe devices for that guest of the machine in dir. 0 or -errno, and a line in error. */
int qemu_program_start(const char *dir, unsigned int guest, struct qemu_program **out, char *error, size_t size);
/* The process that all others of it descend from. */
pid_t qemu_program_pid(const struct qemu_program *program);
/* True when it has ended by itself, with one line that says how. */
bool qemu_program_died(struct qemu_program *program, char *line, size_t size);
/* Ends it at once, as kill -9 does, and frees it. NULL is allowed. */
void qemu_program_kill(struct qemu_program *program);

#endif
