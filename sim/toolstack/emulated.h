/* SPDX-License-Identifier: MIT */
/*
 * What is on the emulated controller of an HVM guest: names of devices as usbdevice and usb-add take them, and the
 * word between toolstack and device model in /local/domain/0/device-model/<domid>: `state` is "running" and there
 * is no `command` when it listens; a command leaves `parameter` and `command` there and waits for another state,
 * with which `command` goes. Errors as in store.h.
 */
#ifndef SIM_TOOLSTACK_EMULATED_H
#define SIM_TOOLSTACK_EMULATED_H

#include "bus/hostbus.h"
#include "toolstack/owner.h"

#define EMULATED_ADDED   "usb-added"
#define EMULATED_DELETED "usb-deleted"
#define EMULATED_FAILED  "usb-failed: " /* and why; of our own device model */

/* Looks text up on the bus of dir, and notes the device as the guest's. */
int emulated_add(struct xen *xen, const char *dir, domid_t domid, const char *text, unsigned int *port, char *error);
/* Which port has the device that text names, as it was named when it was added, or as it is found now. */
int emulated_find(struct xen *xen, const char *dir, domid_t domid, const char *text, unsigned int *port,
                  char *error);
/*
 * Sends the device model a command, after that of another who waits for his answer, and waits for the answer;
 * timeout_ms 0: does not wait.
 */
int emulated_command(struct xen *xen, domid_t domid, const char *command, const char *parameter,
                     const char *answer, uint64_t timeout_ms, char *error);

/* The device model's answer to the command that is there. */
int emulated_answer(struct xen *xen, domid_t domid, const char *state);

#endif
