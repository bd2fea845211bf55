// SPDX-License-Identifier: MIT
#include "toolstack/owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/store_private.h"

static unsigned int bus_of(const char *busid)
{
    return (unsigned int)strtoul(busid, NULL, 10);
}

int tstore_bus_owner(struct xen *xen, xen_transaction t, unsigned int bus, domid_t *out)
{
    char node[16];
    char value[XENBUS_VALUE_MAX];
    snprintf(node, sizeof(node), "%u", bus);
    int rc = xenbus_read(xen, t, "/pvusb/pci", node, value);
    const long domid = rc ? -1 : tstore_number(value, DOMID_FIRST_RESERVED - 1);
    if (rc)
        return rc;
    *out = (domid_t)domid;
    return domid < 0 ? -EIO : 0;
}

static int compare(const void *a, const void *b)
{
    const unsigned int first = *(const unsigned int *)a, second = *(const unsigned int *)b;
    return first < second ? -1 : first > second;
}

int tstore_buses_of(struct xen *xen, xen_transaction t, domid_t domid, unsigned int out[OWNER_BUS_MAX])
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    domid_t owner;
    unsigned int count = 0;
    ssize_t n = tstore_children(xen, t, "/pvusb/pci", names);
    if (n < 0)
        return (int)n;
    for (const char *name = names; name < names + n && count < OWNER_BUS_MAX; name += strlen(name) + 1) {
        const long bus = tstore_number(name, OWNER_BUS_MAX);
        if (bus > 0 && tstore_bus_owner(xen, t, (unsigned int)bus, &owner) == 0 && owner == domid)
            out[count++] = (unsigned int)bus;
    }
    qsort(out, count, sizeof(*out), compare);
    return (int)count;
}

bool tstore_has_emulated(struct xen *xen, domid_t domid)
{
    char dir[64];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/libxl/%u/hvm", domid);
    return xenbus_read(xen, XEN_XBT_NIL, dir, "usb", value) == 0 && strcmp(value, "1") == 0;
}

int tstore_emulated(struct xen *xen, xen_transaction t, domid_t domid,
                    struct tstore_emulated out[EMULATED_PORTS + 1])
{
    char dir[64];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/pvusb/hvm/%u", domid);
    memset(out, 0, (EMULATED_PORTS + 1) * sizeof(*out));
    for (unsigned int i = 1; i <= EMULATED_PORTS; i++) {
        snprintf(node, sizeof(node), "%u", i);
        int rc = xenbus_read(xen, t, dir, node, value);
        if (rc && rc != -ENOENT)
            return rc;
        if (!rc && sscanf(value, "%31s %63s", out[i].busid, out[i].spec) != 2)
            return -EIO;
    }
    return 0;
}

/* Calls found() for each device on an emulated controller until it returns other than 0. */
static int each_emulated(struct xen *xen, xen_transaction t,
                         int (*found)(void *context, domid_t domid, const struct tstore_emulated *device),
                         void *context)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    ssize_t n = tstore_children(xen, t, "/pvusb/hvm", names);
    int rc = n < 0 ? (int)n : 0;
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        const long domid = tstore_number(name, DOMID_FIRST_RESERVED - 1);
        if (domid < 0)
            continue;
        rc = tstore_emulated(xen, t, (domid_t)domid, devices);
        for (unsigned int i = 1; !rc && i <= EMULATED_PORTS; i++) {
            if (devices[i].busid[0])
                rc = found(context, (domid_t)domid, &devices[i]);
        }
    }
    return rc;
}

struct wanted {
    const char *busid;
    unsigned int bus;
    char *error;
};

static int is_it(void *context, domid_t domid, const struct tstore_emulated *device)
{
    const struct wanted *wanted = context;
    if (strcmp(device->busid, wanted->busid) != 0)
        return 0;
    return tool_refuse(wanted->error, -EBUSY,
                       "Cannot assign already attached bus '%s', detach first: 'pvusb usb-del %u %s'", wanted->busid,
                       domid, device->spec);
}

int tstore_not_owned(struct xen *xen, xen_transaction t, const char *busid, char *error)
{
    struct wanted wanted = {.busid = busid, .error = error};
    domid_t domid;
    int rc = tstore_bus_owner(xen, t, bus_of(busid), &domid);
    if (rc == 0)
        return tool_refuse(error, -EBUSY,
                           "USB device is not assignable. %s is on bus %u, which domain %u has as a whole: "
                           "'pvusb pci-detach %u %u'",
                           busid, bus_of(busid), domid, domid, bus_of(busid));
    return rc == -ENOENT ? each_emulated(xen, t, is_it, &wanted) : rc;
}

/* ---- emulated controllers ---- */

struct take {
    domid_t domid;
    const char *busid;
    const char *spec;
    unsigned int port;
    unsigned int bus;
    char *error;
};

static int nobody_has(struct xen *xen, xen_transaction t, const struct take *take)
{
    struct tstore_controllers all;
    unsigned int port;
    int rc = tstore_controllers(xen, t, STORE_ANY, &all);
    if (rc)
        return rc;
    const struct tstore_controller *holder = tstore_holder_of(&all, take->busid, &port);
    if (holder)
        rc = tool_refuse(take->error, -EBUSY,
                         "Cannot assign already attached bus '%s', detach first: 'pvusb usb-detach %u %u %u'",
                         take->busid, holder->c.frontend, holder->c.devid, port);
    tstore_controllers_free(&all);
    return rc ? rc : tstore_not_owned(xen, t, take->busid, take->error);
}

static int take_body(struct xen *xen, xen_transaction t, void *context)
{
    struct take *take = context;
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    char dir[64];
    char node[16];
    int rc = tstore_lives(xen, t, take->domid, take->error);
    if (!rc && strcmp(take->busid, "-") != 0)
        rc = nobody_has(xen, t, take);
    if (!rc)
        rc = tstore_emulated(xen, t, take->domid, devices);
    if (rc)
        return rc;
    for (take->port = 1; take->port <= EMULATED_PORTS && devices[take->port].busid[0]; take->port++)
        ;
    if (take->port > EMULATED_PORTS)
        return tool_refuse(take->error, -ENOSPC,
                           "both ports of the emulated controller are taken, by %s and %s: usb-del frees one",
                           devices[1].spec, devices[2].spec);
    snprintf(dir, sizeof(dir), "/pvusb/hvm/%u", take->domid);
    snprintf(node, sizeof(node), "%u", take->port);
    return xenbus_write(xen, t, dir, node, "%s %s", take->busid, take->spec);
}

int tstore_take_emulated(struct xen *xen, domid_t domid, const char *busid, const char *spec, unsigned int *port,
                         char *error)
{
    struct take take = {.domid = domid, .busid = busid, .spec = spec, .error = error};
    int rc = tstore_transact(xen, take_body, &take, error);
    *port = take.port;
    return rc;
}

static int drop_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct take *take = context;
    char path[64];
    snprintf(path, sizeof(path), "/pvusb/hvm/%u/%u", take->domid, take->port);
    return tstore_remove(xen, t, path, 3);
}

int tstore_drop_emulated(struct xen *xen, domid_t domid, unsigned int port)
{
    char error[TOOL_ERROR_MAX];
    struct take take = {.domid = domid, .port = port};
    return tstore_transact(xen, drop_body, &take, error);
}

/* ---- whole controllers ---- */

static int is_on_bus(void *context, domid_t domid, const struct tstore_emulated *device)
{
    const struct wanted *wanted = context;
    if (bus_of(device->busid) != wanted->bus)
        return 0;
    return tool_refuse(wanted->error, -EBUSY, "%s on bus %u is assigned, detach first: 'pvusb usb-del %u %s'",
                       device->busid, wanted->bus, domid, device->spec);
}

/* Also a place where nothing is plugged in: its guest would get what comes. */
static int nothing_assigned(struct xen *xen, xen_transaction t, const struct take *take)
{
    struct wanted wanted = {.bus = take->bus, .error = take->error};
    struct tstore_controllers all;
    int rc = tstore_controllers(xen, t, STORE_ANY, &all);
    if (rc)
        return rc;
    for (unsigned int i = 0; !rc && i < all.count; i++) {
        const struct tstore_controller *c = &all.list[i];
        for (unsigned int p = 1; !rc && p <= c->c.num_ports; p++) {
            if (bus_of(c->port[p]) == take->bus)
                rc = tool_refuse(take->error, -EBUSY,
                                 "%s on bus %u is assigned, detach first: 'pvusb usb-detach %u %u %u'", c->port[p],
                                 take->bus, c->c.frontend, c->c.devid, p);
        }
    }
    tstore_controllers_free(&all);
    return rc ? rc : each_emulated(xen, t, is_on_bus, &wanted);
}

static int pass_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct take *take = context;
    domid_t owner;
    char node[16];
    int rc = tstore_lives(xen, t, take->domid, take->error);
    if (rc)
        return rc;
    rc = tstore_bus_owner(xen, t, take->bus, &owner);
    if (rc == 0)
        return tool_refuse(take->error, -EBUSY, "The controller of bus %u is domain %u's: 'pvusb pci-detach %u %u'",
                           take->bus, owner, owner, take->bus);
    if (rc == -ENOENT)
        rc = nothing_assigned(xen, t, take);
    snprintf(node, sizeof(node), "%u", take->bus);
    return rc ? rc : xenbus_write(xen, t, "/pvusb/pci", node, "%u", take->domid);
}

int tstore_pass_bus(struct xen *xen, domid_t domid, unsigned int bus, char *error)
{
    struct take take = {.domid = domid, .bus = bus, .error = error};
    return tstore_transact(xen, pass_body, &take, error);
}

static int unpass_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct take *take = context;
    char path[64];
    domid_t owner;
    int rc = tstore_bus_owner(xen, t, take->bus, &owner);
    if (rc == -ENOENT || (!rc && owner != take->domid))
        return tool_refuse(take->error, -ENXIO, "domain %u does not have the controller of bus %u", take->domid,
                           take->bus);
    snprintf(path, sizeof(path), "/pvusb/pci/%u", take->bus);
    return rc ? rc : tstore_remove(xen, t, path, 2);
}

int tstore_take_bus(struct xen *xen, domid_t domid, unsigned int bus, char *error)
{
    struct take take = {.domid = domid, .bus = bus, .error = error};
    return tstore_transact(xen, unpass_body, &take, error);
}

/* ---- a domain's end ---- */

int tstore_forget_owner(struct xen *xen, xen_transaction t, domid_t domid)
{
    unsigned int buses[OWNER_BUS_MAX];
    char path[64];
    snprintf(path, sizeof(path), "/pvusb/hvm/%u", domid);
    int rc = tstore_remove(xen, t, path, 2);
    int count = rc ? rc : tstore_buses_of(xen, t, domid, buses);
    if (count < 0)
        return count;
    for (int i = 0; !rc && i < count; i++) {
        snprintf(path, sizeof(path), "/pvusb/pci/%u", buses[i]);
        rc = tstore_remove(xen, t, path, 2);
    }
    return rc;
}
