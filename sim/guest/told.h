/* SPDX-License-Identifier: MIT */
/*
 * A guest that does nothing by itself: it submits the URBs that it is told to, by number, out of one buffer, and keeps
 * what became of them. For those who test a host controller from outside.
 *
 * Threads: one.
 */
#ifndef SIM_GUEST_TOLD_H
#define SIM_GUEST_TOLD_H

#include "guest/hcd.h"

#define TOLD_URBS   256u
#define TOLD_BUFFER (64u * 4096u)

struct told;

/* done() may be NULL; it is called inside the controller's complete() and must not submit. */
int told_create(struct hcd *hcd, void (*done)(void *context, unsigned int number), void *context, struct told **out);
/* After the controller is gone, so that no URB can come back; its buffer went with it. NULL is allowed. */
void told_destroy(struct told *told);
/*
 * An URB like that one, with its data at `offset` of the buffer and, when isochronous, packets of packet_length each.
 * What its submitter does not set is ignored, as are buffer and packets. -EINVAL: no such number, one whose URB is still
 * out, or more data than the buffer has; else what the controller says.
 */
int told_submit(struct told *told, unsigned int number, const struct hcd_urb *like, uint32_t offset,
                uint16_t packet_length);
/* -EINVAL: never submitted; else what the controller says. */
int told_unlink(struct told *told, unsigned int number, int reason);
/* NULL when never submitted. times: how often it was given back. */
const struct hcd_urb *told_urb(const struct told *told, unsigned int number, unsigned int *times);
/* -EINVAL beyond the buffer; -ESHUTDOWN and others when the controller gives no memory yet. */
int told_write(struct told *told, uint32_t offset, const void *data, uint32_t size);
int told_read(struct told *told, uint32_t offset, void *data, uint32_t size);

#endif
