/* SPDX-License-Identifier: MIT */
/*
 * A guest's driver for a UHCI controller (Intel, UHCI Design Guide 1.1): an hcd below the USB core of
 * sim/guest. Drives our model and QEMU's piix3-usb-uhci alike.
 *
 * Like Linux's uhci-hcd: a skeleton of queues for each interrupt period, control and bulk, the last one
 * linked back to control so that what is left of a frame serves full-speed bulk again; completions by
 * interrupt; root hub ports looked at four times a second, since UHCI has no interrupt for them. Transfers of
 * one endpoint are queued one behind the other in the controller as far as there are descriptors.
 *
 * An URB has at most UHCI_PACKETS_MAX packets. Buffers from buffer_alloc() are contiguous in the controller's
 * memory.
 *
 * Believes nothing that the controller writes: it may lose or mix up data, but not make the driver read or
 * write outside what it has.
 *
 * Not modelled: suspend of ports, wake-up, bandwidth reservation.
 *
 * Threads: one. Nothing blocks but the bus' own register accesses.
 */
#ifndef SIM_UHCI_DRIVER_H
#define SIM_UHCI_DRIVER_H

#include "guest/hcd.h"
#include "uhci/bus.h"

#define UHCI_PACKETS_MAX 4096u
#define UHCI_MEMORY_MIN  (512u * 1024) /* of the bus, to be of use */

struct uhci_driver;

/*
 * Resets the controller and starts it. The bus stays the caller's and must outlive the driver. -ENODEV
 * nothing that behaves like a UHCI; -ENOMEM, also for a bus with less than UHCI_MEMORY_MIN.
 */
int uhci_driver_create(struct hc_bus *bus, struct uhci_driver **out);
/* Stops the controller. No URB may be held and no buffer allocated. */
void uhci_driver_destroy(struct uhci_driver *driver);
struct hcd *uhci_driver_hcd(struct uhci_driver *driver);
/* Takes interrupts and gives back what is done. Call it when the bus has news, and at the deadline. */
void uhci_driver_step(struct uhci_driver *driver, uint64_t now_ns);
/* When step() is due without news from the bus: for the root hub, and after an unlink. */
uint64_t uhci_driver_deadline(const struct uhci_driver *driver);
/* URBs under way. */
unsigned int uhci_driver_held(const struct uhci_driver *driver);
/* The frame number of the controller, 0..2047; reads a register. */
uint16_t uhci_driver_frame(struct uhci_driver *driver);

#endif
