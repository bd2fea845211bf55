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
    struct xen_waitset *set; /* with MACHINE_JOINED all handles are in it */
};

/* Returns when the host listens. When it ends it removes parent, if given, which must be empty then. */
void host_process_start(struct host_process *process, const char *dir, const char *parent);
/* The same with the genuine xenstored as its store, if given. */
void host_process_start_with(struct host_process *process, const char *dir, const char *parent,
                             const struct fakexen_xenstored *genuine);
/* The genuine xenstored and our libraries for it; ends the program as skipped when there is none. */
const struct fakexen_xenstored *machine_xenstored(void);
/* Returns the status as of waitpid(). */
int host_process_stop(struct host_process *process);

#endif
