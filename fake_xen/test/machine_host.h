/* SPDX-License-Identifier: MIT */
/* The host as a process, for tests that are about it. */
#ifndef FAKEXEN_TEST_MACHINE_HOST_H
#define FAKEXEN_TEST_MACHINE_HOST_H

#include <sys/types.h>

#include "machine.h"

struct host_process {
    pid_t pid;
    int stop; /* closing it tells the host to end */
};

/* test_machine.form of machine_host.c. */
struct host_form {
    struct host_process process;
    char parent[32];
    char dir[48];
};

/* Returns when the host listens. When it ends it removes parent, if given, which must be empty then. */
void host_process_start(struct host_process *process, const char *dir, const char *parent);
/* Returns the status as of waitpid(). */
int host_process_stop(struct host_process *process);

#endif
