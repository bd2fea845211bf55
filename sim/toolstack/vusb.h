/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack writes into xenstore for virtual USB controllers, as libxl
 * does (rules XS-04, XS-05). The handle is one of domain 0 or of whoever may write both homes.
 */
#ifndef SIM_TOOLSTACK_VUSB_H
#define SIM_TOOLSTACK_VUSB_H

#include <fakexen/xen_ops.h>

#include "xenbus/xenbus.h"

struct vusb_controller {
    const char *kind; /* "qusb" or "vusb" */
    domid_t backend;
    domid_t frontend;
    unsigned int devid;
    unsigned int usb_ver;   /* 1 or 2 */
    unsigned int num_ports; /* 1..31 */
};

/* The directories of a controller. */
void vusb_paths(const struct vusb_controller *controller, char backend[XENBUS_PATH_MAX],
                char frontend[XENBUS_PATH_MAX]);
/* All nodes of a controller, in the caller's transaction. -EEXIST and -EINVAL as below. */
int vusb_write(struct xen *xen, xen_transaction t, const struct vusb_controller *controller);
/*
 * All nodes of a controller in one transaction. -EEXIST when it is there; -EINVAL for bad numbers; -EAGAIN
 * when somebody else's writes never let it through.
 */
int vusb_create(struct xen *xen, const struct vusb_controller *controller);
/* Assigns a device ("1-2"), or takes it away (""). -ENOENT without such a port. */
int vusb_set_port(struct xen *xen, const struct vusb_controller *controller, unsigned int port,
                  const char *busid);
/* Asks the backend to close: online 0, state Closing (rule BUS-11). */
int vusb_close(struct xen *xen, const struct vusb_controller *controller);
/* Removes both directories, closed or not. */
int vusb_remove(struct xen *xen, const struct vusb_controller *controller);

#endif
