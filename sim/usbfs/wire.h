/* SPDX-License-Identifier: MIT */
/*
 * What umockdev's preload library says over a connection (umockdev 0.16 and later): an ioctl comes as a
 * message of three longs; until it has its answer the program waits, and its memory can be read and written
 * through it.
 *
 * The program is somebody else's: a read or write of an address it does not have ends it, with a message of
 * the library's. Waiting for it is bounded: after WIRE_PATIENCE_S it counts as gone.
 */
#ifndef SIM_USBFS_WIRE_H
#define SIM_USBFS_WIRE_H

#include <stddef.h>

#define WIRE_PATIENCE_S 10

struct wire_request {
    unsigned long number; /* of the ioctl; 0 for a read() or write() */
    unsigned long argument;
};

/* Makes an accepted connection ready. */
void wire_init(int fd);
/* The next request. -EPIPE the program has closed the node, -EPROTO or another -errno it cannot be talked to.
 */
int wire_receive(int fd, struct wire_request *out);
/* These are for the time between a request and its answer. -errno: the program is gone. */
int wire_read(int fd, unsigned long address, void *out, size_t n);
int wire_write(int fd, unsigned long address, const void *bytes, size_t n);
/* result -1 and a positive error, or a result. */
int wire_answer(int fd, long result, int error);

#endif
