/* SPDX-License-Identifier: MIT */
/*
 * A fake Xen machine and the processes that live on it, as children of one parent that only starts them and
 * waits. Pipes that nobody writes to tie them together: a lifeline closes when the parent ends, however that
 * happens, and the children end with it; and the parent sees at once when a child ends. The machine has
 * a lifeline of its own, so that it can still be asked when the others have gone. Its directory is made
 * in TMPDIR and removed, also when a child was killed.
 */
#ifndef SIM_PROCESS_FAMILY_H
#define SIM_PROCESS_FAMILY_H

#include <sys/types.h>

#define FAMILY_ERROR_MAX 512u
#define FAMILY_CHILDREN  4u

struct family {
    char dir[96];    /* of the machine; with the socket's name it fits struct sockaddr_un */
    int lifeline[2]; /* children wait for [0] to close */
    int machine_lifeline[2];
    char *error;     /* shared by all: the first line that anybody put there, FAMILY_ERROR_MAX bytes */
    int *rc;         /* shared: an errno of what is the caller's to mend, such as a file that cannot be written */
    struct family_child {
        pid_t pid;   /* 0 when reaped */
        int alive;   /* end of file when it has ended */
        int status;  /* as from waitpid(), when reaped */
        const char *name;
    } child[FAMILY_CHILDREN]; /* [0] is the machine */
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
/*
 * Waits until that child has ended. When another one ends before it, something has happened to that one: all
 * are told to end. 0, or -ECHILD when one of them did not end well.
 */
int family_wait(struct family *family, int child);
/* Ends all children but the machine. 0 or -ECHILD, as above. */
int family_end_children(struct family *family);
/*
 * Ends all and frees everything. Returns rc, or the children's own, or -ECHILD when one of them failed or was
 * killed; then error has the line that says so.
 */
int family_close(struct family *family, int rc, char *error);

#endif
