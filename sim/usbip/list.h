/* SPDX-License-Identifier: MIT */
/* What a server exports, asked for as `usbip list -r` does. */
#ifndef SIM_USBIP_LIST_H
#define SIM_USBIP_LIST_H

#include "usbip/protocol.h"

/* Called for each device of a list, with its interfaces. */
typedef void usbip_listed(void *context, const struct usbip_device *device,
                          const struct usbip_interface *interfaces);

/*
 * Reads a reply from `get`, which puts exactly n bytes into `to` or returns an -errno. What is wrong with it
 * as text, or NULL; *error is then what get() said, or 0. At most USBIP_DEVICES_MAX devices.
 */
const char *usbip_list_parse(int (*get)(void *from, void *to, size_t n), void *from, usbip_listed *listed,
                             void *context, int *error);
/* Asks over a connected, blocking socket. The same. The socket stays the caller's. */
const char *usbip_list_ask(int fd, unsigned int timeout_ms, usbip_listed *listed, void *context, int *error);

#endif
