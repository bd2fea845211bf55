// SPDX-License-Identifier: MIT
/* Controllers: which there are, new ones, and their end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/owner.h"
#include "toolstack/store_private.h"

static const char *const kinds[] = {"qusb", "vusb"};

struct scan {
    struct xen *xen;
    xen_transaction t;
    unsigned int frontend;
    struct tstore_controllers *out;
};

static void read_ports(const struct scan *scan, const char *dir, struct tstore_controller *controller)
{
    char error[TOOL_ERROR_MAX];
    char value[XENBUS_VALUE_MAX];
    for (unsigned int i = 1; i <= controller->c.num_ports; i++) {
        char node[16];
        snprintf(node, sizeof(node), "port/%u", i);
        if (xenbus_read(scan->xen, scan->t, dir, node, value) || !value[0])
            continue;
        if (spec_busid(value, false, controller->port[i], error))
            snprintf(controller->port[i], sizeof(controller->port[i]),
                     "?"); /* not free, and not to be believed */
    }
}

/* A directory whose numbers are wrong is none of ours, and in nobody's way. */
static int found(const struct scan *scan, domid_t backend, const char *kind, domid_t frontend,
                 unsigned int devid)
{
    struct tstore_controller controller = {
        .c = {.kind = kind, .backend = backend, .frontend = frontend, .devid = devid}};
    char dir[XENBUS_PATH_MAX];
    char unused[XENBUS_PATH_MAX];
    uint32_t version, ports;
    vusb_paths(&controller.c, dir, unused);
    if (xenbus_read_number(scan->xen, scan->t, dir, "usb-ver", USB_VER_USB11, USB_VER_USB20, &version) ||
        xenbus_read_number(scan->xen, scan->t, dir, "num-ports", 1, PVUSB_PORTS_MAX, &ports))
        return 0;
    controller.c.usb_ver = version;
    controller.c.num_ports = ports;
    read_ports(scan, dir, &controller);
    struct tstore_controller *grown =
        realloc(scan->out->list, (scan->out->count + 1) * sizeof(*scan->out->list));
    if (!grown)
        return -ENOMEM;
    scan->out->list = grown;
    grown[scan->out->count++] = controller;
    return 0;
}

static int scan_frontend(const struct scan *scan, domid_t backend, const char *kind, domid_t frontend)
{
    char path[XENBUS_PATH_MAX];
    char names[XEN_XS_PAYLOAD_MAX + 1];
    snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", backend, kind, frontend);
    ssize_t n = tstore_children(scan->xen, scan->t, path, names);
    int rc = n < 0 ? (int)n : 0;
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        const long devid = tstore_number(name, SPEC_DEVID_MAX);
        if (devid >= 0)
            rc = found(scan, backend, kind, frontend, (unsigned int)devid);
    }
    return rc;
}

static int scan_backend(const struct scan *scan, domid_t backend, const char *kind)
{
    char path[XENBUS_PATH_MAX];
    char names[XEN_XS_PAYLOAD_MAX + 1];
    if (scan->frontend != STORE_ANY)
        return scan_frontend(scan, backend, kind, (domid_t)scan->frontend);
    snprintf(path, sizeof(path), "/local/domain/%u/backend/%s", backend, kind);
    ssize_t n = tstore_children(scan->xen, scan->t, path, names);
    int rc = n < 0 ? (int)n : 0;
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        const long frontend = tstore_number(name, DOMID_FIRST_RESERVED - 1);
        if (frontend >= 0)
            rc = scan_frontend(scan, backend, kind, (domid_t)frontend);
    }
    return rc;
}

static int by_guest(const void *a, const void *b)
{
    const struct vusb_controller *x = &((const struct tstore_controller *)a)->c;
    const struct vusb_controller *y = &((const struct tstore_controller *)b)->c;
    const unsigned int left = x->frontend == y->frontend ? x->devid : x->frontend;
    const unsigned int right = x->frontend == y->frontend ? y->devid : y->frontend;
    return (left > right) - (left < right);
}

int tstore_controllers(struct xen *xen, xen_transaction t, unsigned int frontend,
                       struct tstore_controllers *out)
{
    const struct scan scan = {.xen = xen, .t = t, .frontend = frontend, .out = out};
    char names[XEN_XS_PAYLOAD_MAX + 1];
    *out = (struct tstore_controllers){0};
    ssize_t n = tstore_children(xen, t, "/local/domain", names);
    int rc = n < 0 ? (int)n : 0;
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        const long backend = tstore_number(name, DOMID_FIRST_RESERVED - 1);
        for (unsigned int i = 0; backend >= 0 && !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++)
            rc = scan_backend(&scan, (domid_t)backend, kinds[i]);
    }
    if (rc)
        tstore_controllers_free(out);
    else if (out->count)
        qsort(out->list, out->count, sizeof(*out->list), by_guest);
    return rc;
}

void tstore_controllers_free(struct tstore_controllers *controllers)
{
    free(controllers->list);
    *controllers = (struct tstore_controllers){0};
}

struct tstore_controller *tstore_controller_of(const struct tstore_controllers *controllers,
                                               unsigned int frontend, unsigned int devid)
{
    for (unsigned int i = 0; i < controllers->count; i++) {
        if (controllers->list[i].c.frontend == frontend && controllers->list[i].c.devid == devid)
            return &controllers->list[i];
    }
    return NULL;
}

const struct tstore_controller *tstore_holder_of(const struct tstore_controllers *controllers,
                                                 const char *busid, unsigned int *port)
{
    for (unsigned int i = 0; i < controllers->count; i++) {
        for (*port = 1; *port <= controllers->list[i].c.num_ports; ++*port) {
            if (strcmp(controllers->list[i].port[*port], busid) == 0)
                return &controllers->list[i];
        }
    }
    return NULL;
}

/* ---- a new one ---- */

struct add {
    struct vusb_controller *controller;
    char (*ports)[SPEC_BUSID_SIZE];
    char *error;
};

/* The frozen copy of what a controller began as, out of every guest's reach (rule XS-18). */
static int write_copy(struct xen *xen, xen_transaction t, const struct vusb_controller *c)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char dir[XENBUS_PATH_MAX];
    const struct xen_xs_perm perms[] = {{.domid = 0, .access = XEN_XS_NONE}};
    vusb_paths(c, backend, frontend);
    snprintf(dir, sizeof(dir), "/libxl/%u/device/vusb/%u", c->frontend, c->devid);
    int rc = xen->ops->xs_mkdir(xen, t, dir);
    if (!rc)
        rc = xen->ops->xs_set_perms(xen, t, dir, perms, 1);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "frontend", "%s", frontend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "backend", "%s", backend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "frontend-id", "%u", c->frontend);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "online", "1");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "state", "1");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "type", "%s", strcmp(c->kind, "vusb") == 0 ? "pv" : "qusb");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "usb-ver", "%u", c->usb_ver);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "num-ports", "%u", c->num_ports);
    return rc;
}

static int check_ports(struct xen *xen, xen_transaction t, const struct add *add,
                       const struct tstore_controllers *all)
{
    unsigned int port;
    for (unsigned int i = 1; add->ports && i <= add->controller->num_ports; i++) {
        if (!add->ports[i][0])
            continue;
        if (tstore_holder_of(all, add->ports[i], &port))
            return tool_refuse(add->error, -EBUSY, "Cannot assign already attached bus '%s', detach first.",
                               add->ports[i]);
        int rc = tstore_not_owned(xen, t, add->ports[i], add->error);
        if (rc)
            return rc;
        for (unsigned int j = 1; j < i; j++) {
            if (strcmp(add->ports[i], add->ports[j]) == 0)
                return tool_refuse(add->error, -EINVAL, "port_%u and port_%u: both are '%s'", j, i,
                                   add->ports[i]);
        }
    }
    return 0;
}

static int write_ports(struct xen *xen, xen_transaction t, const struct add *add)
{
    char dir[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    int rc = 0;
    vusb_paths(add->controller, dir, frontend);
    for (unsigned int i = 1; add->ports && !rc && i <= add->controller->num_ports; i++) {
        char node[16];
        snprintf(node, sizeof(node), "port/%u", i);
        if (add->ports[i][0])
            rc = xenbus_write(xen, t, dir, node, "%s", add->ports[i]);
    }
    return rc;
}

static int add_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct add *add = context;
    struct vusb_controller *c = add->controller;
    struct tstore_controllers all;
    int rc = tstore_lives(xen, t, c->frontend, add->error);
    if (!rc)
        rc = tstore_lives(xen, t, c->backend, add->error);
    if (!rc)
        rc = tstore_controllers(xen, t, STORE_ANY, &all);
    if (rc)
        return rc;
    c->devid = 0;
    for (unsigned int i = 0; i < all.count; i++) {
        if (all.list[i].c.frontend == c->frontend)
            c->devid = all.list[i].c.devid + 1; /* they are sorted */
    }
    rc = check_ports(xen, t, add, &all);
    tstore_controllers_free(&all);
    if (rc)
        return rc;
    do { /* also past what is no controller, but in its place */
        rc = c->devid > SPEC_DEVID_MAX ? -ENOSPC : vusb_write(xen, t, c);
    } while (rc == -EEXIST && c->devid++ < SPEC_DEVID_MAX);
    if (!rc)
        rc = write_copy(xen, t, c);
    return rc ? rc : write_ports(xen, t, add);
}

int tstore_add_controller(struct xen *xen, struct vusb_controller *controller, char (*ports)[SPEC_BUSID_SIZE],
                          char *error)
{
    struct add add = {.controller = controller, .ports = ports, .error = error};
    return tstore_transact(xen, add_body, &add, error);
}

/* ---- its end ---- */

struct end {
    const struct vusb_controller *c;
    bool closed; /* only if it is the one that was closed */
    char *error;
};

/* Whoever writes into the folder of one that is gone makes it anew, and nobody serves that. */
static int close_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct end *end = context;
    const struct vusb_controller *c = end->c;
    char dir[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    uint32_t state;
    vusb_paths(c, dir, frontend);
    int rc = xenbus_read(xen, t, dir, "num-ports", value);
    if (rc == -ENOENT)
        return tool_refuse(end->error, -ENODEV, "controller %u of domain %u is gone", c->devid, c->frontend);
    for (unsigned int i = 1; !rc && i <= c->num_ports; i++) {
        char node[16];
        snprintf(node, sizeof(node), "port/%u", i);
        rc = xenbus_write(xen, t, dir, node, "%s", "");
    }
    if (!rc)
        rc = xenbus_write(xen, t, dir, "online", "0");
    if (!rc && (xenbus_read_number(xen, t, dir, "state", 0, 8, &state) || state != XenbusStateClosed))
        rc = xenbus_write(xen, t, dir, "state", "%d", XenbusStateClosing);
    return rc;
}

int tstore_close_controller(struct xen *xen, const struct vusb_controller *controller, char *error)
{
    struct end end = {.c = controller, .error = error};
    return tstore_transact(xen, close_body, &end, error);
}

bool tstore_is_closing(struct xen *xen, xen_transaction t, const struct vusb_controller *controller)
{
    char dir[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    vusb_paths(controller, dir, frontend);
    return xenbus_read(xen, t, dir, "online", value) == 0 && strcmp(value, "0") == 0;
}

int tstore_remove(struct xen *xen, xen_transaction t, const char *path, unsigned int levels)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    char at[XENBUS_PATH_MAX];
    snprintf(at, sizeof(at), "%s", path);
    int rc = xen->ops->xs_rm(xen, t, at);
    while ((rc == 0 || rc == -ENOENT) && levels-- > 0) {
        *strrchr(at, '/') = '\0';
        ssize_t n = xen->ops->xs_directory(xen, t, at, names, sizeof(names));
        if (n > 0)
            break;
        rc = n < 0 ? (int)n : xen->ops->xs_rm(xen, t, at);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* What both drivers said that went wrong (rule XS-19): it is about nothing that is there. */
static int remove_errors(struct xen *xen, xen_transaction t, const struct vusb_controller *c)
{
    char path[XENBUS_PATH_MAX];
    snprintf(path, sizeof(path), "/local/domain/%u/error/backend/%s/%u/%u", c->backend, c->kind, c->frontend,
             c->devid);
    /* "error" itself is there from the start and is the domain's own, but for domain 0. */
    int rc = tstore_remove(xen, t, path, c->backend ? 3 : 4);
    snprintf(path, sizeof(path), "/local/domain/%u/error/device/vusb/%u", c->frontend, c->devid);
    return rc ? rc : tstore_remove(xen, t, path, 2);
}

static int remove_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct end *end = context;
    const struct vusb_controller *c = end->c;
    char path[3][XENBUS_PATH_MAX];
    if (end->closed && !tstore_is_closing(xen, t, c))
        return 0;
    vusb_paths(c, path[0], path[1]);
    snprintf(path[2], sizeof(path[2]), "/libxl/%u/device/vusb/%u", c->frontend, c->devid);
    int rc = tstore_remove(xen, t, path[0], 3); /* up to and with "backend" */
    if (!rc)
        rc = tstore_remove(xen, t, path[1], 1);
    if (!rc)
        rc = tstore_remove(xen, t, path[2], 2);
    return rc ? rc : remove_errors(xen, t, c);
}

int tstore_remove_controller(struct xen *xen, const struct vusb_controller *controller)
{
    struct end end = {.c = controller};
    char error[TOOL_ERROR_MAX];
    return tstore_transact(xen, remove_body, &end, error);
}

int tstore_remove_closed(struct xen *xen, const struct vusb_controller *controller)
{
    struct end end = {.c = controller, .closed = true};
    char error[TOOL_ERROR_MAX];
    return tstore_transact(xen, remove_body, &end, error);
}

bool tstore_serves_qusb(struct xen *xen, domid_t backend, domid_t frontend)
{
    char dir[64];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/local/domain/%u/device-model/%u/backends", backend, frontend);
    return xenbus_read(xen, XEN_XBT_NIL, dir, "qusb", value) == 0;
}
