/* SPDX-License-Identifier: MIT */
/*
 * Devices that a guest has in other ways than by PVUSB, as domain 0 notes them in xenstore, so that nobody else
 * gets them meanwhile:
 *
 *   /pvusb/hvm/<domid>/<port>   "BUSID SPEC": on a port of the emulated controller; SPEC as it was asked for, and
 *                               BUSID "-" for what is no device of the host
 *   /pvusb/pci/<bus>            "<domid>": all that is and will be on the bus
 *
 * Who takes something looks in the same transaction at the ports of all virtual controllers, and the other way
 * round. What belongs to a domain goes with tstore_forget_domain(). Errors as in store.h.
 */
#ifndef SIM_TOOLSTACK_OWNER_H
#define SIM_TOOLSTACK_OWNER_H

#include "toolstack/store.h"

#define EMULATED_PORTS 2u
#define OWNER_BUS_MAX  99u /* as hostbus.h has them */

struct tstore_emulated {
    char busid[SPEC_BUSID_SIZE]; /* "-" for a device of the emulation's own, "" for an empty port */
    char spec[64];
};

/* 0, or -EBUSY with a line when the place belongs to a guest in one of these ways. */
int tstore_not_owned(struct xen *xen, xen_transaction t, const char *busid, char *error);

/* Whether a guest has an emulated controller. */
bool tstore_has_emulated(struct xen *xen, domid_t domid);
/* What is noted for it; [0] unused. */
int tstore_emulated(struct xen *xen, xen_transaction t, domid_t domid,
                    struct tstore_emulated out[EMULATED_PORTS + 1]);
/* Notes a device on the first free port. busid is a place, or "-". */
int tstore_take_emulated(struct xen *xen, domid_t domid, const char *busid, const char *spec, unsigned int *port,
                         char *error);
int tstore_drop_emulated(struct xen *xen, domid_t domid, unsigned int port);

/* Gives a bus to a guest. -EBUSY with a line: it is somebody's, or something on it is. */
int tstore_pass_bus(struct xen *xen, domid_t domid, unsigned int bus, char *error);
/* -ENXIO with a line: that guest does not have it. */
int tstore_take_bus(struct xen *xen, domid_t domid, unsigned int bus, char *error);
/* Whose it is; -ENOENT nobody's. */
int tstore_bus_owner(struct xen *xen, xen_transaction t, unsigned int bus, domid_t *out);
/* All that a guest has, ascending; returns how many are in out, or -errno. */
int tstore_buses_of(struct xen *xen, xen_transaction t, domid_t domid, unsigned int out[OWNER_BUS_MAX]);

/* Of tstore_forget_domain(). */
int tstore_forget_owner(struct xen *xen, xen_transaction t, domid_t domid);

#endif
