/* SPDX-License-Identifier: MIT */
/*
 * Several imported devices as one host controller with a root port for each, as Linux's vhci-hcd has them.
 * The clients' owner steps them. Threads: one.
 */
#ifndef SIM_USBIP_VHCI_H
#define SIM_USBIP_VHCI_H

#include "usbip/client.h"

struct usbip_vhci;

/* The clients become ports 1 to n (at most PVUSB_PORTS_MAX) and must outlive it. -ENOMEM. */
int usbip_vhci_create(struct usbip_client *const *clients, unsigned int n, struct usbip_vhci **out);
void usbip_vhci_destroy(struct usbip_vhci *vhci);
struct hcd *usbip_vhci_hcd(struct usbip_vhci *vhci);

#endif
