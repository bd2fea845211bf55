// SPDX-License-Identifier: MIT
#include "toolstack/vusb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pvusb/abi.h>

#include "xenbus/xenbus.h"

void vusb_paths(const struct vusb_controller *c, char backend[XENBUS_PATH_MAX], char frontend[XENBUS_PATH_MAX])
{
    snprintf(backend, XENBUS_PATH_MAX, "/local/domain/%u/backend/%s/%u/%u", c->backend, c->kind, c->frontend,
             c->devid);
    snprintf(frontend, XENBUS_PATH_MAX, "/local/domain/%u/device/vusb/%u", c->frontend, c->devid);
}

/* The owner may do everything, the other side may read (rule XS-05). */
static int make_directory(struct xen *xen, xen_transaction t, const char *dir, domid_t owner, domid_t reader)
{
    const struct xen_xs_perm perms[] = {{.domid = owner, .access = XEN_XS_NONE},
                                        {.domid = reader, .access = XEN_XS_READ}};
    int rc = xen->ops->xs_mkdir(xen, t, dir);
    return rc ? rc : xen->ops->xs_set_perms(xen, t, dir, perms, 2);
}

static int write_backend(struct xen *xen, xen_transaction t, const struct vusb_controller *c, const char *dir,
                         const char *frontend)
{
    const bool kernel = strcmp(c->kind, "vusb") == 0;
    int rc = make_directory(xen, t, dir, c->backend, c->frontend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "frontend", "%s", frontend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "frontend-id", "%u", c->frontend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "online", "1");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "state", "1");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "type", "%s", kernel ? "pv" : "qusb");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "usb-ver", "%u", c->usb_ver);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "num-ports", "%u", c->num_ports);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "port", "%s", "");
    for (unsigned int i = 1; !rc && i <= c->num_ports; i++) {
        char node[16];
        snprintf(node, sizeof(node), "port/%u", i);
        rc = xenbus_write(xen, t, dir, node, "%s", "");
    }
    return rc;
}

static int write_frontend(struct xen *xen, xen_transaction t, const struct vusb_controller *c, const char *dir,
                          const char *backend)
{
    int rc = make_directory(xen, t, dir, c->frontend, c->backend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "backend", "%s", backend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "backend-id", "%u", c->backend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "state", "1");
    return rc;
}

int vusb_write(struct xen *xen, xen_transaction t, const struct vusb_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    if (c->num_ports < 1 || c->num_ports > PVUSB_PORTS_MAX || c->usb_ver < USB_VER_USB11 ||
        c->usb_ver > USB_VER_USB20)
        return -EINVAL;
    vusb_paths(c, backend, frontend);
    if (xenbus_read(xen, t, backend, "frontend", value) == 0)
        return -EEXIST;
    int rc = write_backend(xen, t, c, backend, frontend);
    return rc ? rc : write_frontend(xen, t, c, frontend, backend);
}

int vusb_create(struct xen *xen, const struct vusb_controller *c)
{
    unsigned int tries = 0;
    int rc;
    do {
        xen_transaction t;
        rc = xen->ops->xs_begin(xen, &t);
        if (rc)
            return rc;
        rc = vusb_write(xen, t, c);
        int end = xen->ops->xs_end(xen, t, rc != 0);
        rc = rc ? rc : end;
    } while (rc == -EAGAIN && ++tries < XENBUS_TRANSACTION_TRIES);
    return rc;
}

int vusb_set_port(struct xen *xen, const struct vusb_controller *c, unsigned int port, const char *busid)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    vusb_paths(c, backend, frontend);
    snprintf(node, sizeof(node), "port/%u", port);
    int rc = xenbus_read(xen, XEN_XBT_NIL, backend, node, value);
    return rc ? rc : xenbus_write(xen, XEN_XBT_NIL, backend, node, "%s", busid);
}

int vusb_close(struct xen *xen, const struct vusb_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(c, backend, frontend);
    int rc = xenbus_write(xen, XEN_XBT_NIL, backend, "online", "0");
    return rc ? rc : xenbus_state_write(xen, backend, XenbusStateClosing);
}

int vusb_remove(struct xen *xen, const struct vusb_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(c, backend, frontend);
    int rc = xen->ops->xs_rm(xen, XEN_XBT_NIL, backend);
    int rc2 = xen->ops->xs_rm(xen, XEN_XBT_NIL, frontend);
    return rc ? rc : rc2;
}
