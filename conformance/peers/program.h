/* SPDX-License-Identifier: MIT */
/* A program that is the half under test: a child of the case's process, and what it says. */
#ifndef CONFORMANCE_PEERS_PROGRAM_H
#define CONFORMANCE_PEERS_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "peer.h"

struct program {
    pid_t pid; /* 0 while there is none */
    int in;    /* writes to its stdin; -1 without */
    int out;   /* its stdout */
    int said;  /* memfd: its stderr */
};

/* Nothing started yet. */
void program_init(struct program *program);
/* Starts argv[0], with a stdin if it is to be talked to, else /dev/null. It dies with this process. 0 or -errno. */
int program_start(struct program *program, const char *const argv[], bool talk, char error[PEER_ERROR_MAX]);
/* Waits up to 10 s until its stdout has something, for which `what` is the name. 0 or -ECHILD; then it is ended. */
int program_wait(struct program *program, const char *what, char error[PEER_ERROR_MAX]);
/* Waits until it ends by itself: 0 when with exit code 0. */
int program_finish(struct program *program, uint64_t timeout_ns, char error[PEER_ERROR_MAX]);
/* As kill -9. */
void program_kill(struct program *program);
/* True once when it has ended by itself, with a line that says how and its last words. */
bool program_died(struct program *program, char line[PEER_ERROR_MAX]);
/* Kills it and frees all. */
void program_close(struct program *program);

/* Whether argv[0] would be found: a path, or a name in PATH. */
bool program_found(const char *name);

#endif
