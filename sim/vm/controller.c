// SPDX-License-Identifier: MIT
/* One controller of a guest: a frontend, and a USB core for each of its connections. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/private.h"

/* ---- devices ---- */

static void ready(void *context, struct guest_device *device)
{
    struct vm_controller *controller = context;
    char text[64 + GUEST_STRING_MAX];
    controller->devices++;
    vm_log(controller->vm, "%s port %u: address %u, %04x:%04x \"%s\"", controller->name,
           device->port, device->address, device->descriptor.vendor, device->descriptor.product,
           device->strings[1]);
    if (storage_matches(device))
        vm_disk_create(controller, device);
    snprintf(text, sizeof(text), "ok %04x:%04x %s", device->descriptor.vendor, device->descriptor.product,
             device->strings[1]);
    vm_tell_port(controller, device->port, text);
}

static void gone(void *context, struct guest_device *device)
{
    struct vm_controller *controller = context;
    controller->devices--;
    vm_disk_destroy(device->driver);
    device->driver = NULL;
    vm_log(controller->vm, "%s port %u: gone", controller->name, device->port);
    vm_tell_port(controller, device->port, NULL);
}

static void failed(void *context, unsigned int port, int error)
{
    struct vm_controller *controller = context;
    char text[64];
    vm_log(controller->vm, "%s port %u: a device that cannot be enumerated: %s", controller->name,
           port, strerror(-error));
    snprintf(text, sizeof(text), "failed %s", strerror(-error));
    vm_tell_port(controller, port, text);
}

int vm_controller_guest(struct vm_controller *controller, struct hcd *hcd)
{
    const struct guest_listener listener = {
        .ready = ready, .gone = gone, .failed = failed, .context = controller};
    return guest_create(hcd, &listener, &controller->guest);
}

/* ---- connections ---- */

static void log_front(void *context, const char *line)
{
    struct vm_controller *controller = context;
    vm_log(controller->vm, "%s: %s", controller->name, line);
}

static void submitted(void *context, const struct hcd_urb *urb)
{
    (void)context;
    (void)urb;
}

static void returned(void *context, const struct hcd_urb *urb)
{
    struct vm_controller *controller = context;
    if (urb->port > PVUSB_PORTS_MAX)
        return;
    controller->urbs[urb->port]++;
    controller->bytes[urb->port] += urb->actual;
    controller->vm->stats.urbs++;
}

static int connected(struct vm_controller *controller)
{
    struct hcd *hcd = front_hcd(controller->front);
    controller->connection = front_stats(controller->front).connections;
    vm_log(controller->vm, "%s: connected, %u ports", controller->name, hcd->ops->num_ports(hcd));
    return vm_controller_guest(controller, hcd);
}

/* A new connection may have come in the same step that ended the old one. */
static bool connection_ended(const struct vm_controller *controller)
{
    return controller->guest && !controller->leaving &&
           (front_state(controller->front) != XenbusStateConnected ||
            front_stats(controller->front).connections != controller->connection);
}

/* The guest of this connection goes, as a kernel removes the controller. */
static void disconnected(struct vm_controller *controller)
{
    const uint64_t lost = front_stats(controller->front).lost_backends;
    if (!controller->unwanted)
        vm_log(controller->vm, "%s: disconnected, the backend %s", controller->name,
               lost != controller->lost ? "is gone without closing" : "closed");
    controller->lost = lost;
    controller->leaving = true;
    guest_close(controller->guest);
}

int vm_controller_step(struct vm_controller *controller, uint64_t now_ns)
{
    int rc = front_step(controller->front, now_ns);
    controller->now_ns = now_ns;
    if (!rc && connection_ended(controller))
        disconnected(controller);
    if (!rc && !controller->guest && !controller->unwanted &&
        front_state(controller->front) == XenbusStateConnected)
        rc = connected(controller);
    if (controller->guest)
        guest_step(controller->guest, now_ns);
    if (controller->leaving && !guest_busy(controller->guest)) {
        controller->leaving = false;
        guest_destroy(controller->guest);
        controller->guest = NULL;
        return rc ? rc : vm_controller_step(controller, now_ns);
    }
    if (rc)
        return rc;
    return controller->unwanted && !controller->guest && front_state(controller->front) == XenbusStateClosed;
}

uint64_t vm_controller_deadline(const struct vm_controller *controller)
{
    const uint64_t front = front_deadline(controller->front);
    const uint64_t guest = controller->guest ? guest_deadline(controller->guest) : UINT64_MAX;
    return front < guest ? front : guest;
}

void vm_controller_leave(struct vm_controller *controller)
{
    if (controller->unwanted)
        return;
    controller->unwanted = true;
    front_set_reconnect(controller->front, false);
    if (controller->guest && !controller->leaving) {
        controller->leaving = true;
        guest_close(controller->guest);
    }
    front_close(controller->front);
}

int vm_controller_create(struct vm *vm, unsigned int devid, const char *backend)
{
    struct xen *xen;
    struct vm_controller *controller = calloc(1, sizeof(*controller));
    if (!controller)
        return -ENOMEM;
    controller->vm = vm;
    controller->devid = devid;
    snprintf(controller->name, sizeof(controller->name), "controller %u", devid);
    snprintf(controller->backend, sizeof(controller->backend), "%s", backend);
    int rc = xen_waitset_open(vm->config.set, vm->config.machine, vm->config.domid, &xen);
    if (rc) {
        free(controller);
        return rc;
    }
    rc = front_create(xen, devid, log_front, controller, &controller->front);
    if (rc) {
        xen_close(xen);
        free(controller);
        return rc;
    }
    front_set_reconnect(controller->front, true);
    controller->tap = (struct front_tap){.submitted = submitted, .returned = returned, .context = controller};
    front_set_tap(controller->front, &controller->tap);
    vm_tell_controller(controller, true);
    controller->next = vm->controllers;
    vm->controllers = controller;
    return 0;
}

/* Also one that is still connected, when the machine or the domain has gone under it. */
void vm_controller_destroy(struct vm_controller *controller)
{
    /* All limits of time are over. */
    const uint64_t later_ns = controller->now_ns + UINT64_C(3600000000000);
    if (controller->guest && !controller->leaving)
        guest_close(controller->guest);
    if (controller->guest)
        front_close(controller->front);
    for (unsigned int i = 0; controller->guest && guest_busy(controller->guest) && i < 100; i++) {
        (void)front_step(controller->front, later_ns);
        guest_step(controller->guest, later_ns);
    }
    if (controller->guest && !guest_busy(controller->guest))
        guest_destroy(controller->guest);
    front_destroy(controller->front);
    free(controller);
}
