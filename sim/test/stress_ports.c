// SPDX-License-Identifier: MIT
/* The guest's ports: follows plug events and gives the devices addresses. */
#include <errno.h>
#include <string.h>

#include "stress_guest.h"

#define HUB_EVENT_NS (10 * UINT64_C(1000000000)) /* for the hub to agree that a device is gone */

enum { STAGE_LOOK, STAGE_ADDRESS, STAGE_LOOK_AGAIN, STAGE_CONFIGURE, STAGES };

static void bad(struct stress_guest *guest, unsigned int port, const char *what, long long value)
{
    stress_fail(guest->report->front_error, "port %u, enumerating at stage %u: %s (%lld)", port,
                guest->port[port].stage, what, value);
}

static unsigned int number_of(const struct stress_guest *guest, const struct stress_port *port)
{
    return (unsigned int)(port - guest->port);
}

static uint8_t free_address(struct stress_guest *guest)
{
    for (;;) {
        uint8_t address = (uint8_t)(1 + stress_below(&guest->random, PVUSB_ADDRESS_MAX));
        unsigned int i = 1;
        while (i <= STRESS_PORTS && guest->port[i].address != address)
            i++;
        if (i > STRESS_PORTS)
            return address;
    }
}

static void answered(struct hcd_urb *urb);

static void ask(struct stress_guest *guest, struct stress_port *port)
{
    static const uint8_t setups[STAGES][8] = {
        {0x80, 6, 0, 1, 0, 0, 64, 0}, {0, 5, 0, 0, 0, 0, 0, 0}, {0x80, 6, 0, 1, 0, 0, 18, 0}, {0, 9, 1, 0, 0, 0, 0, 0}};
    struct hcd_urb *urb = &port->ask;
    memset(urb, 0, sizeof(*urb));
    memcpy(urb->setup, setups[port->stage], 8);
    if (port->stage == STAGE_ADDRESS)
        urb->setup[2] = port->address = free_address(guest);
    urb->port = (uint8_t)number_of(guest, port);
    urb->device = port->stage > STAGE_ADDRESS ? port->address : 0;
    urb->type = USBIF_PIPE_TYPE_CTRL;
    urb->in = urb->setup[0] >> 7;
    urb->length = urb->setup[6];
    urb->buffer = urb->length > 0 ? port->page : NULL;
    urb->complete = answered;
    urb->context = port;
    memset(port->page, 0, 64);
    port->asking = true;
    port->asked_ns = guest->now_ns;
    int rc = guest->hcd->ops->submit(guest->hcd, urb);
    if (rc) {
        port->asking = false;
        bad(guest, urb->port, "submit", rc);
    }
}

static void take_descriptor(struct stress_guest *guest, struct stress_port *port)
{
    const uint8_t *d = port->page;
    unsigned int number = number_of(guest, port);
    if (port->ask.actual != 18 || d[0] != 18 || d[1] != 1 || d[10] != number)
        bad(guest, number, "not the descriptor of its device", d[10]);
    port->generation = (unsigned int)(d[12] | d[13] << 8);
}

static void answered(struct hcd_urb *urb)
{
    struct stress_port *port = urb->context;
    struct stress_guest *guest = port->guest;
    unsigned int number = number_of(guest, port);
    if (!port->asking)
        bad(guest, number, "answered twice", urb->status);
    port->asking = false;
    if (urb->status == -ESHUTDOWN && guest->closing)
        return;
    if (urb->status == -ENODEV || urb->status == -EPROTO)
        stress_port_gone(guest, number);
    else if (urb->status != 0)
        bad(guest, number, "status", urb->status);
    if (urb->status != 0 || port->state != PORT_ENUMERATING)
        return; /* another device came meanwhile: all begins again */
    if (urb->in)
        take_descriptor(guest, port);
    if (++port->stage < STAGES) {
        ask(guest, port);
        return;
    }
    port->state = PORT_READY;
    memset(port->end, 0, sizeof(port->end));
    guest->report->enumerated++;
}

void stress_port_gone(struct stress_guest *guest, unsigned int number)
{
    struct stress_port *port = &guest->port[number];
    if (port->state != PORT_READY && port->state != PORT_ENUMERATING)
        return; /* known already */
    port->state = PORT_GONE;
    port->gone_ns = guest->now_ns;
}

static void read_change(struct stress_guest *guest, unsigned int number)
{
    struct stress_port *port = &guest->port[number];
    struct hcd *hcd = guest->hcd;
    uint8_t status[4] = {0};
    hcd->ops->hub_control(hcd, (const uint8_t[8]){0x23, 1, 16, 0, (uint8_t)number}, NULL, 0, guest->now_ns);
    hcd->ops->hub_control(hcd, (const uint8_t[8]){0xa3, 0, 0, 0, (uint8_t)number, 0, 4}, status, 4, guest->now_ns);
    port->state = status[0] & 1 ? PORT_SETTLING : PORT_EMPTY;
    guest->report->plugs++;
}

/* An address is free for others only when nothing waits any more that was meant for who had it. */
static void settle(struct stress_guest *guest, struct stress_port *port)
{
    if ((port->state != PORT_SETTLING && port->state != PORT_EMPTY) || port->in_flight > 0 || port->asking)
        return;
    port->address = 0;
    if (port->state == PORT_EMPTY || guest->stopped)
        return;
    port->state = PORT_ENUMERATING;
    port->stage = STAGE_LOOK;
    ask(guest, port);
}

void stress_ports_follow(struct stress_guest *guest)
{
    uint8_t bitmap[1 + PVUSB_PORTS_MAX / 8];
    size_t n = guest->hcd->ops->hub_status(guest->hcd, bitmap, sizeof(bitmap));
    for (unsigned int i = 1; i <= STRESS_PORTS; i++) {
        struct stress_port *port = &guest->port[i];
        if (n > 0 && bitmap[i / 8] & 1u << i % 8)
            read_change(guest, i);
        settle(guest, port);
        if (port->state == PORT_GONE && guest->now_ns - port->gone_ns > HUB_EVENT_NS)
            bad(guest, i, "URBs say that the device is gone, the hub does not", port->address);
        if (port->asking && guest->now_ns - port->asked_ns > STRESS_LOST_NS)
            bad(guest, i, "never answered", port->address);
    }
}

void stress_ports_init(struct stress_guest *guest, uint8_t *pages)
{
    for (unsigned int i = 1; i <= STRESS_PORTS; i++) {
        struct stress_port *port = &guest->port[i];
        port->guest = guest;
        port->page = pages + (size_t)i * PVUSB_PAGE_SIZE;
        guest->hcd->ops->hub_control(guest->hcd, (const uint8_t[8]){0x23, 3, 8, 0, (uint8_t)i}, NULL, 0, 0);
    }
}
