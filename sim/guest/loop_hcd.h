/* SPDX-License-Identifier: MIT */
/*
 * An hcd that hands transfers straight to a usb_host, with no Xen in between: for a controller that is passed
 * through as a whole, for the benchmark, and for tests of guests and devices. Its root hub behaves like PVUSB's (section 15 of the protocol): power, reset of 10 ms, resume of
 * 20 ms, connection changes. Completions are given back from loop_hcd_step(), and SET_ADDRESS stops here
 * (rule CTL-04).
 */
#ifndef SIM_GUEST_LOOP_HCD_H
#define SIM_GUEST_LOOP_HCD_H

#include "guest/hcd.h"
#include "hosts/usb_host.h"

struct loop_hcd;

/* At most PVUSB_PORTS_MAX ports. The host outlives it. NULL: no memory. */
struct loop_hcd *loop_hcd_create(struct usb_host *host, unsigned int ports);
void loop_hcd_destroy(struct loop_hcd *loop);
/*
 * Opens the device at busid and connects it to the port, which has none. It goes when the host says that it is gone.
 * What the host's open() or reset() said.
 */
int loop_hcd_attach(struct loop_hcd *loop, unsigned int port, const char *busid);
void loop_hcd_step(struct loop_hcd *loop, uint64_t now_ns);
struct hcd *loop_hcd_hcd(struct loop_hcd *loop);
/* URBs under way. */
unsigned int loop_hcd_held(const struct loop_hcd *loop);
/* How often a device at address 0 was talked to while another one was. */
unsigned int loop_hcd_address0_conflicts(const struct loop_hcd *loop);
/* Whether something is to be given back by the next step. */
bool loop_hcd_due(const struct loop_hcd *loop);
/* Buffers not freed yet. */
unsigned int loop_hcd_buffers(const struct loop_hcd *loop);

#endif
