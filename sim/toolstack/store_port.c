// SPDX-License-Identifier: MIT
/* Ports: who has which device. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "toolstack/owner.h"
#include "toolstack/store_private.h"

struct change {
    struct tstore_port *port;
    struct tstore_port result;
    char *error;
};

static int write_port(struct xen *xen, xen_transaction t, const struct vusb_controller *c, unsigned int port,
                      const char *busid)
{
    char dir[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char node[16];
    vusb_paths(c, dir, frontend);
    snprintf(node, sizeof(node), "port/%u", port);
    return xenbus_write(xen, t, dir, node, "%s", busid);
}

static int no_controller(const struct tstore_port *p, char *error)
{
    return tool_refuse(error, -ENODEV,
                       "Cannot find device '%u' in domain '%s': 'pvusb usb-list %s' shows its controllers",
                       p->c.devid, p->guest, p->guest);
}

static int no_such_port(const struct tstore_port *p, const struct tstore_controller *c, char *error)
{
    return tool_refuse(error, -ENOENT, "Invalid Port Number '%u': controller %u of '%s' has ports 1 to %u",
                       p->port, p->c.devid, p->guest, c->c.num_ports);
}

/* ---- attaching ---- */

static int nobody_has(const struct tstore_port *p, const struct tstore_controllers *all, char *error)
{
    unsigned int port;
    const struct tstore_controller *holder = tstore_holder_of(all, p->busid, &port);
    if (!holder)
        return 0;
    if (p->xl)
        return tool_refuse(error, -EBUSY,
                           "USB device already attached to a domain: %s is on port %u of controller %u of "
                           "domain %u",
                           p->busid, port, holder->c.devid, holder->c.frontend);
    return tool_refuse(error, -EBUSY,
                       "Cannot assign already attached bus '%s', detach first: 'pvusb usb-detach %u %u %u'",
                       p->busid, holder->c.frontend, holder->c.devid, port);
}

static bool is_free(const struct tstore_controller *c, unsigned int port)
{
    return !c->port[port][0];
}

static bool fits(const struct tstore_port *p, const struct tstore_controller *c)
{
    return p->low_or_full || c->c.usb_ver == USB_VER_USB20;
}

/* The port that is asked for, or the first that is free. */
static int choose_on(struct tstore_port *p, const struct tstore_controller *c, char *error)
{
    if (p->port != STORE_ANY && p->port > c->c.num_ports)
        return no_such_port(p, c, error);
    if (!fits(p, c))
        return tool_refuse(error, -EPROTOTYPE,
                           "%s is a high-speed device, and controller %u of '%s' is USB 1.1: make one "
                           "of USB 2.0",
                           p->busid, c->c.devid, p->guest);
    p->c = c->c;
    if (p->port != STORE_ANY && is_free(c, p->port))
        return 0;
    for (unsigned int i = 1; p->port == STORE_ANY && i <= c->c.num_ports; i++) {
        if (is_free(c, i)) {
            p->port = i;
            return 0;
        }
    }
    if (p->port == STORE_ANY)
        return tool_refuse(error, -EBUSY, "No available port under specified controller: all %u are taken",
                           c->c.num_ports);
    if (p->xl)
        return tool_refuse(error, -EBUSY, "The controller port isn't available: it has %s", c->port[p->port]);
    return tool_refuse(error, -EBUSY, "Cannot override already attached port '%u', detach first: it has %s",
                       p->port, c->port[p->port]);
}

static int choose_any(struct tstore_port *p, const struct tstore_controllers *all, char *error)
{
    for (unsigned int i = 0; i < all->count; i++) {
        const struct tstore_controller *c = &all->list[i];
        if (c->c.frontend == p->c.frontend && fits(p, c) && choose_on(p, c, error) == 0)
            return 0;
    }
    error[0] = '\0';
    return -ENOSPC; /* the caller may make a controller */
}

static int attach_body(struct xen *xen, xen_transaction t, void *context)
{
    struct change *change = context;
    struct tstore_port p = *change->port;
    struct tstore_controllers all;
    int rc = tstore_controllers(xen, t, STORE_ANY, &all);
    if (rc)
        return rc;
    const struct tstore_controller *c = tstore_controller_of(&all, p.c.frontend, p.c.devid);
    if (p.c.devid != STORE_ANY && !c)
        rc = no_controller(&p, change->error);
    if (!rc)
        rc = nobody_has(&p, &all, change->error);
    if (!rc)
        rc = tstore_not_owned(xen, t, p.busid, change->error);
    if (!rc)
        rc = p.c.devid == STORE_ANY ? choose_any(&p, &all, change->error) : choose_on(&p, c, change->error);
    tstore_controllers_free(&all);
    if (!rc)
        rc = write_port(xen, t, &p.c, p.port, p.busid);
    change->result = p;
    return rc;
}

int tstore_attach(struct xen *xen, struct tstore_port *port, char *error)
{
    struct change change = {.port = port, .error = error};
    int rc = tstore_transact(xen, attach_body, &change, error);
    if (!rc)
        *port = change.result;
    return rc;
}

/* ---- detaching ---- */

static int detach_body(struct xen *xen, xen_transaction t, void *context)
{
    struct change *change = context;
    struct tstore_port p = *change->port;
    struct tstore_controllers all;
    int rc = tstore_controllers(xen, t, p.c.frontend, &all);
    if (rc)
        return rc;
    const struct tstore_controller *c = tstore_controller_of(&all, p.c.frontend, p.c.devid);
    if (!c) {
        rc = p.xl ? tool_refuse(change->error, -ENODEV,
                                "Unknown device at controller %u port %u: '%s' has no such "
                                "controller",
                                p.c.devid, p.port, p.guest)
                  : no_controller(&p, change->error);
    } else if (p.port > c->c.num_ports) {
        rc = no_such_port(&p, c, change->error);
    } else if (is_free(c, p.port)) {
        rc = tool_refuse(change->error, -ENXIO, "%s %u port %u: there is no device on it",
                         p.xl ? "Unknown device at controller" : "Nothing to detach: controller", p.c.devid,
                         p.port);
    } else {
        p.c = c->c;
        snprintf(p.busid, sizeof(p.busid), "%s", c->port[p.port]);
    }
    tstore_controllers_free(&all);
    if (!rc)
        rc = write_port(xen, t, &p.c, p.port, "");
    change->result = p;
    return rc;
}

int tstore_detach(struct xen *xen, struct tstore_port *port, char *error)
{
    struct change change = {.port = port, .error = error};
    int rc = tstore_transact(xen, detach_body, &change, error);
    if (!rc)
        *port = change.result;
    return rc;
}

static int take_back_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct tstore_port *p = ((struct change *)context)->port;
    char dir[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    char node[16];
    vusb_paths(&p->c, dir, frontend);
    snprintf(node, sizeof(node), "port/%u", p->port);
    int rc = xenbus_read(xen, t, dir, node, value);
    if (rc || strcmp(value, p->busid) != 0)
        return rc == -ENOENT ? 0 : rc; /* somebody else's by now */
    return write_port(xen, t, &p->c, p->port, "");
}

int tstore_take_back(struct xen *xen, const struct tstore_port *port)
{
    struct tstore_port copy = *port;
    struct change change = {.port = &copy};
    char error[TOOL_ERROR_MAX];
    return tstore_transact(xen, take_back_body, &change, error);
}
