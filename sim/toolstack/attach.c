// SPDX-License-Identifier: MIT
#include "toolstack/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/store_private.h"

/* ---- the physical bus ---- */

int attach_check(struct attach *attach, char *error)
{
    struct tstore_port *port = &attach->port;
    attach->plugged = false;
    port->low_or_full = true;
    if (!attach->dir) {
        attach->plugged = true;
        return 0;
    }
    int rc = hostbus_find(attach->dir, port->busid, &attach->device);
    if (rc == -ENODEV)
        return 0;
    if (rc)
        return tstore_failed(error, rc);
    if (attach->device.device_class == DEVICE_HUB_CLASS)
        return tool_refuse(error, -EACCES,
                           "USB device is not assignable. %s is a hub; attach what is behind it",
                           port->busid);
    attach->plugged = true;
    port->low_or_full = attach->device.speed == USBIF_SPEED_LOW || attach->device.speed == USBIF_SPEED_FULL;
    return 0;
}

int attach_resolve(struct attach *attach, unsigned int bus, unsigned int address, char *error)
{
    if (!attach->dir)
        return tool_refuse(error, -EOPNOTSUPP, "a device of a real bus is named by its place: usb-attach");
    int rc = hostbus_find_address(attach->dir, bus, address, &attach->device);
    if (rc == -ENODEV)
        return tool_refuse(
            error, rc, "USB device is not assignable. No device %u on bus %u; 'pvusb bus list' shows them",
            address, bus);
    if (rc)
        return tstore_failed(error, rc);
    snprintf(attach->port.busid, sizeof(attach->port.busid), "%s", attach->device.path);
    return 0;
}

/* ---- what a guest says ---- */

static bool guest_says(struct xen *xen, domid_t frontend, char value[XENBUS_VALUE_MAX])
{
    char dir[64];
    snprintf(dir, sizeof(dir), "/local/domain/%u/data", frontend);
    return xenbus_read(xen, XEN_XBT_NIL, dir, "usb", value) == 0;
}

uint64_t attach_sequence(struct xen *xen, domid_t frontend)
{
    char value[XENBUS_VALUE_MAX];
    return guest_says(xen, frontend, value) ? strtoull(value, NULL, 10) : 0;
}

static int read_port(struct xen *xen, const struct tstore_port *port, char value[XENBUS_VALUE_MAX])
{
    char dir[64];
    char node[16];
    snprintf(dir, sizeof(dir), "/local/domain/%u/data/usb/%u", port->c.frontend, port->c.devid);
    snprintf(node, sizeof(node), "%u", port->port);
    int rc = xenbus_read(xen, XEN_XBT_NIL, dir, node, value);
    for (char *p = value; !rc && *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
    return rc;
}

struct await {
    struct attach *attach;
    uint64_t since;
    char *error;
    enum xenbus_state backend;
    enum xenbus_state frontend;
};

static void read_states(struct await *await)
{
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(&await->attach->port.c, backend, frontend);
    await->backend = xenbus_state_read(await->attach->xen, backend);
    await->frontend = xenbus_state_read(await->attach->xen, frontend);
}

/* ---- attaching ---- */

/* Also when the controller has gone with it. */
static bool is_taken_away(const struct attach *attach)
{
    const struct tstore_port *port = &attach->port;
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    vusb_paths(&port->c, backend, frontend);
    snprintf(node, sizeof(node), "port/%u", port->port);
    int rc = xenbus_read(attach->xen, XEN_XBT_NIL, backend, node, value);
    return rc == -ENOENT || (!rc && strcmp(value, port->busid) != 0);
}

static int has_it(void *context)
{
    struct await *await = context;
    const struct tstore_port *port = &await->attach->port;
    char value[XENBUS_VALUE_MAX];
    char *text;
    if (is_taken_away(await->attach))
        return tool_refuse(await->error, -ECANCELED,
                           "%s was detached from port %u of controller %u of '%s' meanwhile", port->busid,
                           port->port, port->c.devid, port->guest);
    read_states(await);
    if (!guest_says(await->attach->xen, port->c.frontend, value))
        return await->backend == XenbusStateConnected && await->frontend == XenbusStateConnected;
    if (read_port(await->attach->xen, port, value) || strtoull(value, &text, 10) <= await->since)
        return 0;
    if (strncmp(text, " failed", 7) == 0)
        return tool_refuse(await->error, -EIO, "guest '%s' cannot use %s: it says '%.64s'", port->guest,
                           port->busid, text + 1);
    return 1;
}

/* Why the guest does not have it, as far as the nodes tell. */
static int too_late(const struct await *await, char *error)
{
    const struct attach *attach = await->attach;
    const struct tstore_port *port = &attach->port;
    const unsigned int seconds = (unsigned int)(attach->timeout_ms / 1000);
    if (await->backend == XenbusStateInitialising || await->backend == XenbusStateUnknown)
        return tool_refuse(
            error, -ETIMEDOUT,
            "no backend serves controller %u of '%s': is 'pvusb backend' running in domain %u? (waited "
            "%u s)",
            port->c.devid, port->guest, port->c.backend, seconds);
    if (await->backend != XenbusStateConnected || await->frontend != XenbusStateConnected)
        return tool_refuse(
            error, -ETIMEDOUT,
            "guest '%s' has not connected its controller %u: backend %s, frontend %s (waited %u s)",
            port->guest, port->c.devid, xenbus_state_name(await->backend), xenbus_state_name(await->frontend),
            seconds);
    return tool_refuse(
        error, -ETIMEDOUT,
        "guest '%s' has not found %s on port %u of controller %u within %u s; see the backend's log",
        port->guest, port->busid, port->port, port->c.devid, seconds);
}

static int await_nodes(struct await *await, int (*done)(void *context), uint64_t timeout_ms)
{
    const struct vusb_controller *c = &await->attach->port.c;
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    char data[64];
    const char *const paths[] = {backend, frontend, data};
    vusb_paths(c, backend, frontend);
    snprintf(data, sizeof(data), "/local/domain/%u/data", c->frontend);
    return tstore_wait(await->attach->xen, paths, 3, done, await, timeout_ms);
}

int attach_await(struct attach *attach, uint64_t since, char *error)
{
    struct await await = {.attach = attach, .since = since, .error = error};
    if (!attach->timeout_ms || !attach->plugged)
        return 0;
    error[0] = '\0';
    int rc = await_nodes(&await, has_it, attach->timeout_ms);
    if (!rc)
        return 0;
    (void)tstore_take_back(attach->xen, &attach->port);
    if (rc == -ETIMEDOUT)
        return too_late(&await, error);
    return error[0] ? rc : tstore_failed(error, rc);
}

int attach_device(struct attach *attach, char *error)
{
    int rc = attach_check(attach, error);
    const uint64_t since = attach_sequence(attach->xen, attach->port.c.frontend);
    if (!rc)
        rc = tstore_attach(attach->xen, &attach->port, error);
    return rc ? rc : attach_await(attach, since, error);
}

/* ---- detaching ---- */

static int lets_go(void *context)
{
    struct await *await = context;
    char value[XENBUS_VALUE_MAX];
    read_states(await);
    return !guest_says(await->attach->xen, await->attach->port.c.frontend, value) ||
           read_port(await->attach->xen, &await->attach->port, value) ||
           await->backend != XenbusStateConnected;
}

int attach_detach(struct attach *attach, char *error)
{
    struct await await = {.attach = attach, .error = error};
    int rc = tstore_detach(attach->xen, &attach->port, error);
    if (rc || !attach->timeout_ms)
        return rc;
    rc = await_nodes(&await, lets_go, attach->timeout_ms);
    if (rc == -ETIMEDOUT)
        return tool_refuse(error, rc, "%s is taken away, but guest '%s' still shows it on port %u after %u s",
                           attach->port.busid, attach->port.guest, attach->port.port,
                           (unsigned int)(attach->timeout_ms / 1000));
    return rc ? tstore_failed(error, rc) : 0;
}

/* ---- the end of a controller ---- */

static int is_closed(void *context)
{
    struct await *await = context;
    read_states(await);
    return await->backend == XenbusStateClosed || await->backend == XenbusStateUnknown ||
           !tstore_is_closing(await->attach->xen, XEN_XBT_NIL, &await->attach->port.c);
}

static int is_forgotten(void *context)
{
    struct await *await = context;
    char dir[64];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/local/domain/%u/data/usb", await->attach->port.c.frontend);
    snprintf(node, sizeof(node), "%u", await->attach->port.c.devid);
    return xenbus_read(await->attach->xen, XEN_XBT_NIL, dir, node, value) != 0;
}

int attach_destroy_controller(struct attach *attach, const struct vusb_controller *controller, char *error)
{
    enum { FORGET_MS = 2000 };
    struct await await = {.attach = attach, .error = error};
    attach->port.c = *controller;
    read_states(&await);
    const bool served = await.backend != XenbusStateInitialising;
    const bool alive = served && await.frontend == XenbusStateConnected;
    int rc = tstore_close_controller(attach->xen, controller, error);
    if (rc)
        return rc;
    rc = served && attach->timeout_ms ? await_nodes(&await, is_closed, attach->timeout_ms) : 0;
    if (rc && rc != -ETIMEDOUT)
        return tstore_failed(error, rc);
    const bool forced = rc != 0;
    rc = tstore_remove_closed(attach->xen, controller);
    if (rc)
        return tstore_failed(error, rc);
    if (alive && attach->timeout_ms) /* a guest that is stuck is no reason to fail: the controller is gone */
        (void)await_nodes(&await, is_forgotten, FORGET_MS);
    if (!forced)
        return 0;
    return tool_refuse(error, 1,
                       "controller %u was removed by force: its backend did not close it within %u s",
                       controller->devid, (unsigned int)(attach->timeout_ms / 1000));
}
