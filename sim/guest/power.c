// SPDX-License-Identifier: MIT
/* Reset, suspend and resume of a device in use; see guest.h. */
#include <errno.h>

#include "guest/guest_private.h"

#define RESUME_MS          20 /* USB 2.0 section 7.1.7.7, TDRSMDN */
#define RESUME_POLL_MS     10
#define RESUME_LIMIT_MS    500
#define RESUME_RECOVERY_MS 10 /* section 7.1.7.7, TRSMRCY */

enum { FEATURE_SUSPEND = 2, FEATURE_C_SUSPEND = 18 };
enum { STATUS_SUSPEND = 0x0004 };

static struct guest_port *port_of(struct guest_device *device)
{
    return &device->guest->ports[device->port - 1];
}

/* Not what it was any more: gone, and if something is there it is found as a new device. */
static void lose(struct guest_port *port)
{
    port_connection(port, port->connected);
}

static void quiesce(struct guest_port *port, enum port_aim aim)
{
    port->aim = aim;
    port->state = PORT_QUIESCE;
    port->due = UINT64_MAX;
    port->device.frozen = true;
    guest_unlink_all(&port->device, -EHOSTUNREACH);
    if (port->state == PORT_QUIESCE && !port->device.in_flight)
        port->due = port->guest->now_ns;
}

int guest_reset_device(struct guest_device *device)
{
    struct guest_port *port = port_of(device);
    if (device->gone)
        return -ENODEV;
    if (port->state != PORT_READY && port->state != PORT_SUSPENDED)
        return -EBUSY;
    quiesce(port, AIM_RESET);
    return 0;
}

int guest_suspend(struct guest_device *device)
{
    struct guest_port *port = port_of(device);
    if (device->gone)
        return -ENODEV;
    if (port->state != PORT_READY)
        return -EBUSY;
    quiesce(port, AIM_SUSPEND);
    return 0;
}

int guest_resume(struct guest_device *device)
{
    struct guest_port *port = port_of(device);
    if (device->gone)
        return -ENODEV;
    if (port->state != PORT_SUSPENDED)
        return -EBUSY;
    guest_port_feature(port->guest, port->number, false, FEATURE_SUSPEND);
    port->aim = AIM_RESUME;
    port->reset_until = port->guest->now_ns + RESUME_LIMIT_MS * MS;
    port_wait(port, PORT_RESUMING, RESUME_MS);
    return 0;
}

static void suspend(struct guest_port *port)
{
    struct guest *guest = port->guest;
    struct port_status s;
    guest_port_feature(guest, port->number, true, FEATURE_SUSPEND);
    if (guest_port_status(guest, port->number, &s) || !(s.status & STATUS_SUSPEND)) {
        lose(port); /* a hub ignores it where nothing is enabled (USB 2.0 section 11.24.2.7.1.3) */
        return;
    }
    port->state = PORT_SUSPENDED;
    if (guest->listener.event)
        guest->listener.event(guest->listener.context, &port->device, GUEST_SUSPENDED);
}

static void poll_resume(struct guest_port *port)
{
    struct port_status s;
    if (guest_port_status(port->guest, port->number, &s)) {
        lose(port);
        return;
    }
    if (!(s.status & STATUS_SUSPEND)) {
        guest_port_feature(port->guest, port->number, false, FEATURE_C_SUSPEND);
        port_wait(port, PORT_WAIT, RESUME_RECOVERY_MS);
    } else if (port->guest->now_ns >= port->reset_until) {
        lose(port);
    } else {
        port_wait(port, PORT_RESUMING, RESUME_POLL_MS);
    }
}

static void on_alive(struct guest_xfer *xfer)
{
    struct guest_port *port = xfer->context;
    if (port->state == PORT_LEAVING)
        return;
    if (xfer->status == 0 && xfer->actual == 2)
        port_usable(port, GUEST_RESUMED);
    else
        quiesce(port, AIM_RESET);
}

/* Linux asks a device for its status before it lets drivers have it back. */
static void ask(struct guest_port *port)
{
    uint8_t setup[8];
    guest_setup(setup, 0x80, 0, 0, 0, 2);
    port->state = PORT_REQUEST;
    port->xfer.done = on_alive;
    port->xfer.context = port;
    if (guest_control(&port->xfer, &port->device, setup, port->buffer))
        lose(port);
}

void port_power_run(struct guest_port *port)
{
    switch (port->aim) {
    case AIM_RESET:
        port_enumerate(port);
        break;
    case AIM_SUSPEND:
        suspend(port);
        break;
    case AIM_RESUME:
        if (port->state == PORT_RESUMING)
            poll_resume(port);
        else
            ask(port);
        break;
    case AIM_NEW:
        break;
    }
}
