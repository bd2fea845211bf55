/* SPDX-License-Identifier: MIT */
/*
 * A fake Xen machine and the processes that live on it, as children of one parent that only starts them and
 * waits. A pipe that nobody writes to, the lifeline, ties them together: it closes when the parent ends, however
 * that happens, and the children end with it. The machine's directory is made in TMPDIR and removed.
 */
#ifndef SIM_PROCESS_FAMILY_H
#define SIM_PROCESS_FAMILY_H

#include <sys/types.h>

#define FAMILY_ERROR_MAX 512u
#define FAMILY_CHILDREN  4u

struct family {
    char dir[64];    /* of the machine */
    int lifeline[2]; /* children wait for [0] to close */
    char *error;     /* shared; the first line that anybody put there */
    struct {
        pid_t pid; /* 0 when reaped */
        const char *name;
    } child[FAMILY_CHILDREN];
    unsigned int nr_children;
};

/* Starts the machine. On failure there is nothing to close, and error (FAMILY_ERROR_MAX bytes) has a line. */
int family_open(struct family *family, char *error);
/*
 * Starts a child that runs run() and exits with what it returns: 0 when all went well. What it wants
 * to say goes into family->error. Returns its index, or -errno.
 */
int family_start(struct family *family, const char *name, int (*run)(struct family *family, void *context),
                 void *context);
/* Waits for a child. 0, or -ECHILD when it failed or died, which family->error says. */
int family_wait(struct family *family, int child);
/*
 * Ends all: a child that has ended before it was told to is an error. Copies the line, if any, to error and frees
 * everything. Returns rc, or -ECHILD.
 */
int family_close(struct family *family, int rc, char *error);

#endif
