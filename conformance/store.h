/* SPDX-License-Identifier: MIT */
/* xenstore as a case sees it. All functions fail the case when xenstore answers what they cannot use. */
#ifndef CONFORMANCE_STORE_H
#define CONFORMANCE_STORE_H

#include "conform.h"

#define STORE_VALUE_MAX 256u

/* The machine has functions of these names inside, and is linked into the same program. */
#define store_read  conform_store_read
#define store_write conform_store_write

/* The handles of the case: the toolstack's (domain 0 where there is one, else NULL) and its own half's. */
struct xen *store_toolstack(struct conform *t);
struct xen *store_own(struct conform *t);
/* A guest's, for cases that are not the guest; xen_close() it. */
struct xen *store_guest(struct conform *t, domid_t guest);

/* False when the node is not there. */
bool store_read(struct conform *t, struct xen *xen, const char *path, char value[STORE_VALUE_MAX]);
void store_write(struct conform *t, struct xen *xen, const char *path, const char *value);
void store_remove(struct conform *t, struct xen *xen, const char *path);
/* After conform_settle(): it says so now; value NULL: it is not there. */
void store_check(struct conform *t, struct xen *xen, const char *path, const char *value);

/* A controller's nodes as libxl writes them (XS-04, XS-05), or parts of them. Needs "toolstack". */
struct store_controller {
    domid_t frontend, backend;
    unsigned int devid, usb_ver, num_ports;
    const char *kind;             /* "qusb" */
    const char *omit;             /* nodes to leave out, with blanks between them */
    const char *num_ports_text;   /* instead of the number */
    const char *usb_ver_text;
};
void store_create_controller(struct conform *t, const struct store_controller *controller);

#endif
