// SPDX-License-Identifier: MIT
/*
 * The root hub (rules HUB-01 to HUB-24; USB 2.0 section 11.24). All of it is local: nothing goes over the
 * ring, no reset or suspend reaches a device. Where Linux xen-hcd departs from the USB
 * specification (HUB-08, HUB-13 to HUB-15, HUB-18, HUB-19) this follows the specification.
 */
#include "frontend/private.h"

#include <errno.h>
#include <string.h>

#define RESET_NS  (10 * UINT64_C(1000000))
#define RESUME_NS (20 * UINT64_C(1000000))
#define NO_TIME   UINT64_MAX

/* wPortStatus, USB 2.0 table 11-21. */
enum {
    PORT_CONNECTION = 0x0001,
    PORT_ENABLE = 0x0002,
    PORT_SUSPEND = 0x0004,
    PORT_RESET = 0x0010,
    PORT_POWER = 0x0100,
    PORT_LOW_SPEED = 0x0200,
    PORT_HIGH_SPEED = 0x0400,
};

/* wPortChange, USB 2.0 table 11-22. */
enum {
    C_CONNECTION = 0x0001,
    C_ENABLE = 0x0002,
    C_SUSPEND = 0x0004,
    C_OVER_CURRENT = 0x0008,
    C_RESET = 0x0010,
};

/* Feature selectors, USB 2.0 table 11-17. */
enum {
    FEATURE_ENABLE = 1,
    FEATURE_SUSPEND = 2,
    FEATURE_RESET = 4,
    FEATURE_POWER = 8,
    FEATURE_C_CONNECTION = 16,
    FEATURE_C_RESET = 20,
    FEATURE_INDICATOR = 22,
};

static uint16_t speed_bits(uint8_t speed)
{
    switch (speed) {
    case USBIF_SPEED_LOW:
        return PORT_CONNECTION | PORT_LOW_SPEED;
    case USBIF_SPEED_FULL:
        return PORT_CONNECTION;
    case USBIF_SPEED_HIGH:
        return PORT_CONNECTION | PORT_HIGH_SPEED;
    default:
        return 0;
    }
}

void front_hub_reset(struct front *front)
{
    for (unsigned int i = 0; i <= PVUSB_PORTS_MAX; i++)
        front->port[i] = (struct front_port){.reset_done_ns = NO_TIME, .resume_done_ns = NO_TIME};
    front->ports_due_ns = NO_TIME;
}

/* After a change of any port's times. */
static void find_due(struct front *front)
{
    uint64_t due = NO_TIME;
    for (unsigned int i = 1; i <= front->num_ports; i++) {
        const struct front_port *port = &front->port[i];
        due = port->reset_done_ns < due ? port->reset_done_ns : due;
        due = port->resume_done_ns < due ? port->resume_done_ns : due;
    }
    front->ports_due_ns = due;
}

static void show_attachment(struct front_port *port)
{
    port->status = (uint16_t)(PORT_POWER | speed_bits(port->attached));
    port->change |= C_CONNECTION;
    port->reset_done_ns = NO_TIME;
    port->resume_done_ns = NO_TIME;
}

void front_hub_plug(struct front *front, unsigned int portnum, uint8_t speed)
{
    struct front_port *port = &front->port[portnum];
    if (port->attached == speed)
        return; /* peers repeat events (rules CONN-09, CONN-10) */
    port->attached = speed;
    /* Another speed without a 0 between is another device (CONN-12): the change and the lost ENABLE tell the guest. */
    if (port->status & PORT_POWER)
        show_attachment(port);
    find_due(front);
}

static void port_tick(struct front *front, struct front_port *port)
{
    if (front->now_ns >= port->reset_done_ns) {
        port->reset_done_ns = NO_TIME;
        port->status = (uint16_t)(PORT_POWER | speed_bits(port->attached));
        if (port->attached != USBIF_SPEED_NONE)
            port->status |= PORT_ENABLE;
        port->change |= C_RESET;
    }
    if (front->now_ns >= port->resume_done_ns) {
        port->resume_done_ns = NO_TIME;
        port->status &= (uint16_t)~PORT_SUSPEND;
        port->change |= C_SUSPEND;
    }
}

void front_hub_tick(struct front *front)
{
    if (front->now_ns < front->ports_due_ns)
        return;
    for (unsigned int i = 1; i <= front->num_ports; i++)
        port_tick(front, &front->port[i]);
    find_due(front);
}

static int set_feature(struct front *front, struct front_port *port, unsigned int feature)
{
    if (feature == FEATURE_POWER) {
        if (!(port->status & PORT_POWER)) {
            port->status = PORT_POWER;
            if (port->attached != USBIF_SPEED_NONE)
                show_attachment(port);
        }
        return 0;
    }
    if (!(port->status & PORT_POWER))
        return feature == FEATURE_RESET || feature == FEATURE_SUSPEND || feature == FEATURE_INDICATOR ? 0 : -EPIPE;
    switch (feature) {
    case FEATURE_RESET:
        port->status &= (uint16_t) ~(PORT_ENABLE | PORT_SUSPEND | PORT_LOW_SPEED | PORT_HIGH_SPEED);
        port->status |= PORT_RESET;
        port->reset_done_ns = front->now_ns + RESET_NS;
        port->resume_done_ns = NO_TIME;
        return 0;
    case FEATURE_SUSPEND: /* ignored on a port that is not enabled (USB 2.0 section 11.24.2.7.1.3) */
        if (port->status & PORT_ENABLE)
            port->status |= PORT_SUSPEND;
        return 0;
    case FEATURE_INDICATOR:
        return 0;
    default:
        return -EPIPE;
    }
}

static int clear_feature(struct front *front, struct front_port *port, unsigned int feature)
{
    switch (feature) {
    case FEATURE_ENABLE:
        port->status &= (uint16_t) ~(PORT_ENABLE | PORT_SUSPEND);
        port->resume_done_ns = NO_TIME;
        return 0;
    case FEATURE_SUSPEND:
        if (port->status & PORT_SUSPEND)
            port->resume_done_ns = front->now_ns + RESUME_NS;
        return 0;
    case FEATURE_POWER:
        port->status = 0;
        port->change = 0;
        port->reset_done_ns = NO_TIME;
        port->resume_done_ns = NO_TIME;
        return 0;
    case FEATURE_INDICATOR:
        return 0;
    default:
        if (feature < FEATURE_C_CONNECTION || feature > FEATURE_C_RESET)
            return -EPIPE;
        port->change &= (uint16_t) ~(1u << (feature - FEATURE_C_CONNECTION));
        return 0;
    }
}

/* data may be NULL when size is 0. */
static int put_answer(void *data, size_t size, const uint8_t *answer, size_t length)
{
    size_t n = size < length ? size : length;
    if (n > 0)
        memcpy(data, answer, n);
    return (int)n;
}

static int port_status(struct front_port *port, void *data, size_t size)
{
    uint8_t answer[4] = {(uint8_t)port->status, (uint8_t)(port->status >> 8), (uint8_t)port->change,
                         (uint8_t)(port->change >> 8)};
    return put_answer(data, size, answer, sizeof(answer));
}

/* Rules HUB-01 and HUB-02. */
static int hub_descriptor(const struct front *front, void *data, size_t size)
{
    unsigned int bytes = 1 + front->num_ports / 8;
    uint8_t answer[7 + 2 * (1 + PVUSB_PORTS_MAX / 8)] = {
        [0] = (uint8_t)(7 + 2 * bytes), [1] = 0x29, [2] = (uint8_t)front->num_ports, [3] = 0x0a, [5] = 10};
    memset(answer + 7 + bytes, 0xff, bytes);
    return put_answer(data, size, answer, answer[0]);
}

int front_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    struct front *front = (struct front *)hcd;
    unsigned int value = pvusb_setup_value(setup);
    unsigned int index = pvusb_setup_index(setup);
    unsigned int what = (unsigned int)setup[0] << 8 | setup[1];

    front->now_ns = now_ns;
    if (size > pvusb_setup_length(setup))
        size = pvusb_setup_length(setup);
    if (what == 0xa006)
        return value >> 8 == 0x29 || value == 0 ? hub_descriptor(front, data, size) : -EPIPE;
    if (what == 0xa000)
        return put_answer(data, size, (const uint8_t[4]){0}, 4);
    if (what == 0x2001)
        return 0; /* ClearHubFeature: there is nothing to clear */
    if (what != 0xa300 && what != 0x2303 && what != 0x2301)
        return -EPIPE;
    if ((index & 0xff) == 0 || (index & 0xff) > front->num_ports)
        return -EPIPE;
    struct front_port *port = &front->port[index & 0xff];
    port_tick(front, port);
    int rc = what == 0xa300   ? port_status(port, data, size)
             : what == 0x2303 ? set_feature(front, port, value)
                              : clear_feature(front, port, value);
    find_due(front);
    return rc;
}

size_t front_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    struct front *front = (struct front *)hcd;
    size_t bytes = 1 + front->num_ports / 8;
    bool changed = false;
    if (size < bytes)
        return 0;
    memset(bitmap, 0, bytes);
    front_hub_tick(front);
    for (unsigned int i = 1; i <= front->num_ports; i++) {
        if (front->port[i].change) {
            bitmap[i / 8] |= (uint8_t)(1u << i % 8);
            changed = true;
        }
    }
    return changed ? bytes : 0;
}
