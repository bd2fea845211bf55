/* SPDX-License-Identifier: MIT */
/*
 * What a case can do while the half under test is at work, to be the peer that rewrites shared memory between
 * a check and its use. Between two accesses of the half to shared memory nothing that a peer does can make a
 * difference, so what is tried after each of them was tried at every point.
 *
 * Needs the ability "moments" (calls), or "accesses" (both).
 */
#ifndef CONFORMANCE_MOMENTS_H
#define CONFORMANCE_MOMENTS_H

#include "conform.h"

enum moment_kind {
    MOMENT_CALL, /* the half is about to call Xen or its device */
    MOMENT_READ, /* one instruction of the half has just read, or written, the page */
    MOMENT_WRITE
};

struct moment {
    enum moment_kind kind;
    const char *call;    /* of a call: its name in struct xen_ops or struct usb_host_ops */
    const char *path;    /* of xs_read: the node; else NULL */
    unsigned int offset; /* of an access: its first byte in the page */
};

/*
 * seen() may read and write memory and xenstore; it may not wait, fail or end the case, as it is called from
 * inside the half, for accesses from a signal handler (then no xenstore either).
 */
typedef void moment_seen(void *context, const struct moment *moment);

/* Every call from now on; seen NULL: no more. */
void moments_calls(struct conform *t, moment_seen *seen, void *context);
/*
 * Every call, and every access to the page that was granted with that reference, for writing: to the half's
 * mapping of it, now or when it is mapped, or to the half's own memory where it granted the page itself.
 */
void moments_accesses(struct conform *t, grant_ref_t ref, moment_seen *seen, void *context);

#endif
