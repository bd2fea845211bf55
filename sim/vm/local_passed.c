// SPDX-License-Identifier: MIT
/*
 * Controllers that are passed through as a whole: the guest's own driver has the devices of a bus, with nothing in
 * between. Devices behind hubs are on ports of their own, as the guest's USB core knows no hubs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/local.h"
#include "xenbus/xenbus.h"

/* ---- devices ---- */

static bool is_on_bus(void *context, const struct hostbus_device *device)
{
    return device->bus == ((const struct vm_local *)context)->bus;
}

static unsigned int port_of(const struct vm_local *local, const char *busid)
{
    unsigned int port = 1;
    while (port <= PVUSB_PORTS_MAX && strcmp(local->place[port], busid) != 0)
        port++;
    return port;
}

static void plugged(void *context, const char *busid)
{
    struct vm_local *local = context;
    const unsigned int port = port_of(local, "");
    int rc = port > PVUSB_PORTS_MAX ? -ENOSPC : loop_hcd_attach(local->loop, port, busid);
    if (!rc)
        snprintf(local->place[port], sizeof(local->place[port]), "%s", busid);
    if (rc)
        vm_log(local->c.vm, "%s: %s: %s", local->c.name, busid, strerror(-rc));
}

static void unplugged(void *context, const char *busid)
{
    struct vm_local *local = context;
    const unsigned int port = port_of(local, busid);
    if (port <= PVUSB_PORTS_MAX)
        local->place[port][0] = '\0';
}

/* ---- life ---- */

/* data/pci/<bus> */
static void tell(const struct vm_local *local, bool there)
{
    struct xen *xen = local->c.vm->xen;
    char path[32];
    snprintf(path, sizeof(path), "data/pci/%u", local->bus);
    if (there)
        (void)xen->ops->xs_write(xen, XEN_XBT_NIL, path, "1", 1);
    else
        (void)xen->ops->xs_rm(xen, XEN_XBT_NIL, path);
}

static void passed_step(struct vm_local *local, uint64_t now_ns)
{
    loop_hcd_step(local->loop, now_ns);
}

static uint64_t passed_deadline(const struct vm_local *local)
{
    struct usb_host *host = sim_host_host(local->sim);
    return loop_hcd_due(local->loop) ? 0 : host->ops->deadline(host);
}

static void passed_destroy(struct vm_local *local)
{
    vm_log(local->c.vm, "%s: let go", local->c.name);
    if (local->loop)
        loop_hcd_destroy(local->loop);
    tell(local, false);
}

static const struct vm_local_ops passed_ops = {
    .step = passed_step, .deadline = passed_deadline, .destroy = passed_destroy};

static int make(struct vm_local *local)
{
    struct usb_host *host = sim_host_host(local->sim);
    local->loop = loop_hcd_create(host, PVUSB_PORTS_MAX);
    int rc = local->loop ? vm_controller_guest(&local->c, loop_hcd_hcd(local->loop)) : -ENOMEM;
    if (rc)
        return rc;
    local->listener = (struct usb_host_listener){.plugged = plugged, .unplugged = unplugged, .context = local};
    rc = host->ops->listen(host, &local->listener);
    if (rc)
        local->listener.context = NULL;
    return rc ? rc : vm_local_follow(local, is_on_bus);
}

static int take(struct vm *vm, unsigned int bus)
{
    struct vm_local *local;
    int rc = vm_local_create(vm, &passed_ops, &local);
    if (rc)
        return rc;
    local->bus = bus;
    snprintf(local->c.name, sizeof(local->c.name), "bus %u", bus);
    vm_log(vm, "%s: its controller is ours", local->c.name);
    rc = make(local);
    if (rc)
        vm_local_drop(local);
    else
        tell(local, true);
    return rc;
}

static bool has(const struct vm *vm, unsigned int bus)
{
    const struct vm_local *local = vm->locals;
    while (local && local->bus != bus)
        local = local->next;
    return local != NULL;
}

int vm_passed_look(struct vm *vm)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    domid_t owner;
    int rc = 0;
    for (struct vm_local *local = vm->locals; local; local = local->next) {
        if (local->bus && (tstore_bus_owner(vm->xen0, XEN_XBT_NIL, local->bus, &owner) ||
                           owner != vm->config.domid))
            vm_local_close(local);
    }
    ssize_t n = vm->xen0->ops->xs_directory(vm->xen0, XEN_XBT_NIL, "/pvusb/pci", names, XEN_XS_PAYLOAD_MAX);
    if (n < 0)
        return n == -ENOENT ? 0 : (int)n;
    names[n] = '\0';
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        const unsigned long bus = strtoul(name, NULL, 10);
        if (bus == 0 || bus > OWNER_BUS_MAX || has(vm, (unsigned int)bus))
            continue;
        if (tstore_bus_owner(vm->xen0, XEN_XBT_NIL, (unsigned int)bus, &owner) == 0 && owner == vm->config.domid)
            rc = take(vm, (unsigned int)bus);
    }
    return rc;
}
