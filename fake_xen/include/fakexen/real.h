/* SPDX-License-Identifier: MIT */
/*
 * xen_ops.h on Xen itself: the domain that this process is in, by libxengnttab (with gntshr), libxenevtchn and
 * libxenstore, so by /dev/xen/gntdev, gntalloc, evtchn and xenbus or xenstored's socket. The drivers and the
 * conformance suite that run on a fake machine run on this one, too.
 *
 * Where it differs from the contract of xen_ops.h, because the kernel offers no more to a process:
 *
 *   open             the own domain only; another one is -ENXIO.
 *   domain_create    -EPERM, as domain_destroy: domains are the toolstack's.
 *   pages_alloc      shares the pages at once, writable, with the domain that xen_real_machine_create() names.
 *   grant            finds the reference that the page has; -EPERM for any other domain. The page is
 *                    writable to that domain even if readonly was asked for.
 *   grant_end        ends nothing: the peer may go on mapping the page until pages_free(), after which the kernel keeps
 *                    it until the peer unmaps it. Never -EBUSY, so nobody learns that a page is still mapped.
 *   grant_revoke     -EOPNOTSUPP.
 *   grant_map_limit  as the kernel has it; current ones have no limit of a handle.
 *   evtchn_status    -EOPNOTSUPP: a peer that dies without closing is not noticed, as on Xen nobody is told.
 *
 * What has been seen: all of it runs on a fake machine, where libraries of the same names stand in for Xen's
 * (fake_xen/shim), with our own xenstore and with Xen's own C xenstored. What has not: anything on a real hypervisor. There
 * the limits of gntalloc (module parameter limit, 1024 pages) and of permissions on the devices are not tested.
 *
 * Threads: as xen_ops.h; libxenstore starts one of its own, which waits for watch events. A handle does not survive
 * fork().
 */
#ifndef FAKEXEN_REAL_H
#define FAKEXEN_REAL_H

#include <fakexen/xen_ops.h>

/* The domain that pages are shared with: a frontend's backend. Nothing is opened yet. -ENOMEM. */
int xen_real_machine_create(domid_t granted_to, struct xen_machine **out);
/* All handles must be closed. NULL is allowed. */
void xen_real_machine_destroy(struct xen_machine *machine);

#endif
