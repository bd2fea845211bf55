/* SPDX-License-Identifier: MIT */
/* Processes that die, as their parent has them: what they print, how they end, what they hold open. */
#ifndef SIM_TEST_DEATH_PROCESS_H
#define SIM_TEST_DEATH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_LINE_MAX 256u

struct process {
    const char *name;
    pid_t pid; /* 0 when it is not there */
    int out;   /* what it prints, stdout and stderr; -1 at its end */
    char line[PROCESS_LINE_MAX - 1]; /* being read */
    size_t length;
};

/* Starts a program. argv ends with NULL. 0 or -errno. */
int process_start(struct process *process, const char *name, const char *const argv[]);
/*
 * Takes one whole line of what has been printed; false when none is there now. At the end of the output
 * process->out becomes -1.
 */
bool process_line(struct process *process, char line[PROCESS_LINE_MAX]);
/* Waits for its end and closes its output. The status as of waitpid(). */
int process_wait(struct process *process);
/* How many descriptors it has open, -1 when it is not there. */
int process_fds(pid_t pid);
/* How many entries a directory has, -1 when it is not there. */
int directory_entries(const char *dir);

#endif
