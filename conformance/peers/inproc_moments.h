/* SPDX-License-Identifier: MIT */
/* The moments of a half in this process (moments.h). One half in a process is watched, and the watch is
 * everybody's. */
#ifndef CONFORMANCE_PEERS_INPROC_MOMENTS_H
#define CONFORMANCE_PEERS_INPROC_MOMENTS_H

#include "hosts/usb_host.h"
#include "peer.h"

/* Calls of this handle, or of whoever uses this host, are moments from now on. */
void inproc_moments_xen(struct xen *xen);
void inproc_moments_host(struct usb_host *host);
/* struct peer_ops' watch(). */
void inproc_moments_watch(const struct peer_watch *watch);
/* Accesses to single pages can be seen: not under valgrind or a thread sanitizer, and on x86-64 only. */
bool inproc_moments_accesses(void);

#endif
