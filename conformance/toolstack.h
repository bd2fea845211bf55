/* SPDX-License-Identifier: MIT */
/*
 * What a case orders of the toolstack under test, for guest 1, as an administrator does. Controller 0 with
 * four ports is there; what is in xenstore a case reads with store.h. Needs "attach".
 */
#ifndef CONFORMANCE_TOOLSTACK_H
#define CONFORMANCE_TOOLSTACK_H

#include "conform.h"

/* Each 0 or -errno when it was refused. */
int toolstack_create(struct conform *t, unsigned int usb_ver, unsigned int num_ports, unsigned int *devid);
/* port 0: the first that is free. */
int toolstack_attach(struct conform *t, const char *busid, unsigned int devid, unsigned int port);
int toolstack_attach_address(struct conform *t, unsigned int bus, unsigned int address, unsigned int devid);
int toolstack_detach(struct conform *t, unsigned int devid, unsigned int port);
/* Whom it takes for the one that has the device; -ENODEV: nobody. */
int toolstack_holder(struct conform *t, const char *busid, unsigned int *devid, unsigned int *port);
/* The two parts of a removal; between them it waits, a bounded time, for the backend. */
int toolstack_close(struct conform *t, unsigned int devid);
int toolstack_remove(struct conform *t, unsigned int devid);
/* The physical bus that it looks at. They fail the case when they cannot. */
void toolstack_plug(struct conform *t, const char *busid, bool hub);
void toolstack_unplug(struct conform *t, const char *busid);

#endif
