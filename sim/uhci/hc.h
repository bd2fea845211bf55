/* SPDX-License-Identifier: MIT */
/*
 * What guest drivers of emulated controllers have in common below struct hcd: the bus with its memory, from
 * which buffers come too, and the ports as a hub.
 *
 * Threads: one.
 */
#ifndef SIM_UHCI_HC_H
#define SIM_UHCI_HC_H

#include "guest/hcd.h"
#include "uhci/bus.h"
#include "uhci/pages.h"
#include "uhci/root_hub.h"

/* Drivers embed this as their first member. */
struct hc {
    struct hcd hcd; /* first */
    struct hc_bus *bus;
    struct hc_pages pages;
    struct root_hub hub; /* the driver's to fill, before its hcd is used */
};

/* ops: the driver's, which has these operations in it. -ENOMEM. The bus must outlive it. */
int hc_open(struct hc *hc, const struct hcd_ops *ops, struct hc_bus *bus);
/* After an hc_open() that has failed, too. No page may be in use. */
void hc_close(struct hc *hc);

/* Operations of struct hcd_ops, for an hcd in a struct hc. */
int hc_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns);
size_t hc_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size);
unsigned int hc_num_ports(struct hcd *hcd);
int hc_buffer_alloc(struct hcd *hcd, size_t size, void **out);
void hc_buffer_free(struct hcd *hcd, void *buffer, size_t size);

#endif
