/* SPDX-License-Identifier: MIT */
/*
 * A guest's driver for an xHCI controller (eXtensible Host Controller Interface 1.1) of which only what the
 * benchmark needs, and what QEMU's controller asks for: transfers of all types of devices on root ports.
 * Believes nothing that the controller writes, as uhci/driver.h.
 *
 * By interrupt, it acknowledges as Linux's xhci-hcd does without MSI: status, interrupter, event ring.
 * Polled, it looks at the event ring at every step(), and a doorbell for each transfer is all that it writes.
 *
 * Commands to the controller (addressing, endpoints, recovery from a stall, unlinks) are waited for, with a
 * limit: QEMU runs them at once. Transfers are not.
 *
 * Not modelled: streams, SuperSpeed, hubs, MSI, scratchpads; endpoint toggles after SET_INTERFACE or a
 * CLEAR_FEATURE without a stall. A transfer that is under way while another one of its endpoint is unlinked
 * begins anew.
 *
 * Threads: one.
 */
#ifndef BENCH_QTEST_XHCI_H
#define BENCH_QTEST_XHCI_H

#include "guest/hcd.h"
#include "uhci/bus.h"

#define XHCI_LENGTH_MAX  (1024u * 1024)
#define XHCI_PACKETS_MAX 64u /* of an isochronous URB */

struct xhci;

/*
 * -ENODEV nothing that behaves like an xHCI, or one that needs what is not modelled; -ENOMEM. The bus must
 * outlive it.
 */
int xhci_create(struct hc_bus *bus, bool polled, struct xhci **out);
/* No URB may be held and no buffer allocated. */
void xhci_destroy(struct xhci *xhci);
struct hcd *xhci_hcd(struct xhci *xhci);
void xhci_step(struct xhci *xhci, uint64_t now_ns);
/* 0 (now) while polled transfers are under way. */
uint64_t xhci_deadline(const struct xhci *xhci);

#endif
