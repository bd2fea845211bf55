/* SPDX-License-Identifier: MIT */
/*
 * Waiting for handles (xen_ops.h) and other descriptors at once, until a time. One system call waits and tells each
 * handle what there is for it; it needs no other to mask, take and unmask a port. poll() on each fd() does the same
 * with four more.
 *
 *   loop: take a step with each handle of which xen_waitset_has() is true; xen_waitset_until()
 *
 * Threads: a set and what is in it are used by one thread. A set does not survive fork(). No call logs.
 * Errors: 0 or a negative errno.
 */
#ifndef FAKEXEN_WAITSET_H
#define FAKEXEN_WAITSET_H

#include <fakexen/xen_ops.h>

int xen_waitset_create(struct xen_waitset **out);
/* Its handles were closed, or are never waited for again. NULL is allowed. */
void xen_waitset_destroy(struct xen_waitset *set);

/*
 * Puts a handle into the set until it is closed: right after it was opened, as no port may be bound yet (-EBUSY). One
 * of the local implementation is not waited for: it stays outside, and is asked at each step.
 */
int xen_waitset_add(struct xen_waitset *set, struct xen *xen);
/* Opens a handle and puts it into the set; without a set (NULL) only that. */
int xen_waitset_open(struct xen_waitset *set, struct xen_machine *machine, domid_t domid, struct xen **out);
/* Whether xen_waiting() may find something. True for a handle that is in no set. No system call. */
static inline bool xen_waitset_has(const struct xen *xen)
{
    return !xen->member.set || xen->member.found;
}

/* Another descriptor that ends the wait while it is readable. The memory is its user's. */
struct xen_waitset_fd {
    struct xen_source source;
    int fd;
    bool ready; /* set by a look, cleared by whoever has seen to it */
};

/* A negative descriptor is none, and never ready. */
int xen_waitset_add_fd(struct xen_waitset *set, struct xen_waitset_fd *item, int fd);
/* To be called before the descriptor is closed; one that is not in the set is allowed. */
void xen_waitset_remove_fd(struct xen_waitset *set, struct xen_waitset_fd *item);

/*
 * Waits until something is there for a handle or a descriptor, or until a time of CLOCK_MONOTONIC in nanoseconds:
 * UINT64_MAX for ever, 0 not at all. Also returns 0 when a signal came.
 */
int xen_waitset_until(struct xen_waitset *set, uint64_t until_ns);

#endif
