/* SPDX-License-Identifier: MIT */
/*
 * A guest's driver for an EHCI controller (EHCI Specification 1.0) of which only what the benchmark needs:
 * transfers of high-speed devices. Believes nothing that the controller writes, as uhci/driver.h.
 *
 * By interrupt, it works as Linux's ehci-hcd does: interrupt threshold of one microframe, the asynchronous
 * schedule runs while there is something on it. Polled, it looks at its descriptors at every step() and rings
 * the doorbell for new transfers, which wakes QEMU's controller at once instead of at its next millisecond.
 *
 * Isochronous URBs: packets up to the endpoint's size, one for each microframe; those of a frame ascending,
 * in seven pages of the bus' memory. An unlinked one is back when its frames have passed.
 *
 * Not modelled: high-bandwidth interrupt endpoints, split transfers (QEMU has none either), devices of other
 * speeds (they go to nobody), suspend, memory above 4 GiB.
 *
 * Threads: one.
 */
#ifndef BENCH_QTEST_EHCI_H
#define BENCH_QTEST_EHCI_H

#include "guest/hcd.h"
#include "uhci/bus.h"

#define EHCI_LENGTH_MAX (512u * 1024)

struct ehci;

/* -ENODEV nothing that behaves like an EHCI; -ENOMEM. The bus must outlive it. */
int ehci_create(struct hc_bus *bus, bool polled, struct ehci **out);
/* No URB may be held and no buffer allocated. */
void ehci_destroy(struct ehci *ehci);
struct hcd *ehci_hcd(struct ehci *ehci);
void ehci_step(struct ehci *ehci, uint64_t now_ns);
/* 0 (now) while polled transfers are under way. */
uint64_t ehci_deadline(const struct ehci *ehci);

#endif
