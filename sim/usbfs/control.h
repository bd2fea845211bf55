/* SPDX-License-Identifier: MIT */
/*
 * Commands to a running pvusb-usbfs, one per line over a Unix stream socket; each is answered by one line
 * that begins with "ok" or "error". control_help lists them.
 *
 * Threads: one. Who sends a line longer than CONTROL_LINE_MAX is disconnected.
 */
#ifndef SIM_USBFS_CONTROL_H
#define SIM_USBFS_CONTROL_H

#include <sys/types.h>

#include "usbfs/bus.h"

#define CONTROL_LINE_MAX  1024u
#define CONTROL_PEERS_MAX 8u

struct control {
    struct bus *bus;
    int listener; /* -1 for none */
    const char *path;
    bool stop; /* somebody said so */
    pid_t pid; /* of the program, set by the caller */
    struct control_peer {
        int fd; /* -1 free */
        size_t n;
        char line[CONTROL_LINE_MAX];
    } peer[CONTROL_PEERS_MAX];
};

/* The commands, as lines of a --help. */
extern const char control_help[];

/*
 * where: the number of a connected socket, a path to listen at (removed by control_close()), or NULL for
 * neither. -errno.
 */
int control_open(struct control *control, struct bus *bus, const char *where);
void control_close(struct control *control);
void control_wait(const struct control *control, struct loop *loop);
void control_step(struct control *control, const struct loop *loop);

#endif
