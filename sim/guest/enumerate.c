// SPDX-License-Identifier: MIT
/* What happens to a root port and to the device on it, from connection to ready and back; see guest.h. */
#include <errno.h>

#include "guest/guest_private.h"

#define DEBOUNCE_MS       100 /* USB 2.0 section 7.1.7.3, TATTDB */
#define RESET_POLL_MS     10  /* section 11.5.1.5: a hub's reset takes 10 to 20 ms */
#define RESET_LIMIT_MS    500
#define RESET_RECOVERY_MS 10 /* section 7.1.7.5, TRSTRCY */
#define ADDRESS_SETTLE_MS 2  /* section 9.2.6.3 */
#define ATTEMPTS          3

enum { FEATURE_RESET = 4, FEATURE_C_RESET = 20 };
enum { STATUS_CONNECTION = 0x0001, STATUS_ENABLE = 0x0002, STATUS_LOW = 0x0200, STATUS_HIGH = 0x0400 };
enum { STATUS_RESET = 0x0010 };

static void next_request(struct guest_port *port);

void port_wait(struct guest_port *port, enum port_state state, uint64_t ms)
{
    port->state = state;
    port->due = port->guest->now_ns + ms * MS;
}

static void release(struct guest_port *port)
{
    struct guest *guest = port->guest;
    if (guest->address0 == port->number)
        guest->address0 = 0;
    guest->address_used[port->device.address] = false;
    guest->address_used[port->kept] = false;
    port->device.address = 0; /* it may be somebody else's soon */
    port->kept = 0;
}

static void forget(struct guest_port *port)
{
    struct guest *guest = port->guest;
    if (port->announced) {
        port->announced = false;
        guest->listener.gone(guest->listener.context, &port->device);
    }
    release(port);
    port->state = PORT_EMPTY;
    port->due = UINT64_MAX;
    port->attempts = 0;
    port->aim = AIM_NEW;
    if (port->connected && !guest->closing)
        port_wait(port, PORT_DEBOUNCE, DEBOUNCE_MS);
}

void port_drained(struct guest_port *port)
{
    if (port->state == PORT_LEAVING)
        forget(port);
    else if (port->state == PORT_QUIESCE)
        port->due = port->guest->now_ns;
}

/*
 * Every change of connection ends what was there: a device that came back quickly is another one (rule
 * HOT-11).
 */
void port_connection(struct guest_port *port, bool connected)
{
    port->connected = connected;
    if (port->state == PORT_LEAVING)
        return;
    port->state = PORT_LEAVING;
    port->due = UINT64_MAX;
    port->device.guest = port->guest;
    port->device.port = port->number;
    port->device.gone = true;
    guest_unlink_all(&port->device, -ENODEV);
    if (port->state == PORT_LEAVING && !port->device.in_flight)
        forget(port);
}

static void fail(struct guest_port *port, int error)
{
    struct guest *guest = port->guest;
    if (port->aim != AIM_NEW) {
        /* It is not what it was: gone, and if something is there it gets its attempts as a new device. */
        port_connection(port, port->connected);
        return;
    }
    release(port);
    if (++port->attempts < ATTEMPTS) {
        port_wait(port, PORT_DEBOUNCE, DEBOUNCE_MS);
        return;
    }
    port->state = PORT_FAILED;
    port->due = UINT64_MAX;
    if (guest->listener.failed)
        guest->listener.failed(guest->listener.context, port->number, error);
}

static void start_reset(struct guest_port *port, enum enum_step next)
{
    port->step = next;
    guest_port_feature(port->guest, port->number, true, FEATURE_RESET);
    port->reset_until = port->guest->now_ns + RESET_LIMIT_MS * MS;
    port_wait(port, PORT_RESET, RESET_POLL_MS);
}

static void poll_reset(struct guest_port *port)
{
    struct port_status s;
    int rc = guest_port_status(port->guest, port->number, &s);
    if (rc) {
        fail(port, rc);
        return;
    }
    if (s.status & STATUS_RESET) {
        if (port->guest->now_ns >= port->reset_until)
            fail(port, -ETIMEDOUT);
        else
            port_wait(port, PORT_RESET, RESET_POLL_MS);
        return;
    }
    guest_port_feature(port->guest, port->number, false, FEATURE_C_RESET);
    if (!(s.status & STATUS_CONNECTION) || !(s.status & STATUS_ENABLE)) {
        fail(port, -ENODEV);
        return;
    }
    port->device.speed = s.status & STATUS_HIGH  ? USBIF_SPEED_HIGH
                         : s.status & STATUS_LOW ? USBIF_SPEED_LOW
                                                 : USBIF_SPEED_FULL;
    /* A guess until the device has said it. More than the truth only makes the first reply a short one. */
    if (port->step == STEP_PACKET0)
        port->device.packet0 = port->device.speed == USBIF_SPEED_LOW ? 8 : 64;
    port_wait(port, PORT_WAIT, RESET_RECOVERY_MS);
}

/* One device at a time answers to address 0. */
void port_enumerate(struct guest_port *port)
{
    struct guest *guest = port->guest;
    if (guest->address0) {
        port_wait(port, PORT_DEBOUNCE, RESET_POLL_MS);
        return;
    }
    guest->address0 = port->number;
    struct guest_device *device = &port->device;
    if (port->aim == AIM_RESET) {
        port->kept = device->address;
        device->address = 0;
    } else {
        memset(device, 0, sizeof(*device));
        device->guest = guest;
        device->port = port->number;
    }
    start_reset(port, STEP_PACKET0);
}

void port_run(struct guest_port *port)
{
    port->due = UINT64_MAX;
    switch (port->state) {
    case PORT_DEBOUNCE:
        port_enumerate(port);
        break;
    case PORT_RESET:
        poll_reset(port);
        break;
    case PORT_WAIT:
        if (port->aim == AIM_RESUME)
            port_power_run(port);
        else
            next_request(port);
        break;
    case PORT_QUIESCE:
    case PORT_RESUMING:
        port_power_run(port);
        break;
    case PORT_SUSPENDED:
    case PORT_EMPTY:
    case PORT_REQUEST:
    case PORT_READY:
    case PORT_FAILED:
    case PORT_LEAVING:
        break;
    }
}

/*
 * Unique on the controller (rule ADR-07), and not reused sooner than needed. There are more addresses than
 * ports.
 */
static uint8_t take_address(struct guest *guest)
{
    static_assert(PVUSB_PORTS_MAX < PVUSB_ADDRESS_MAX, "an address for each port");
    unsigned int tries = 0;
    do {
        assert(tries < PVUSB_ADDRESS_MAX);
        tries++;
        guest->last_address = (uint8_t)(guest->last_address % PVUSB_ADDRESS_MAX + 1);
    } while (guest->address_used[guest->last_address]);
    return guest->last_address;
}

/* ---- replies: each checks what the device said, and names the next step by leaving it or not ---- */

static int reply_address(struct guest_port *port)
{
    uint8_t address = port->kept ? port->kept : port->guest->last_address;
    port->device.address = address;
    port->guest->address_used[address] = true;
    port->guest->address0 = 0;
    return 0;
}

static int reply_config_head(struct guest_port *port, uint32_t n)
{
    int rc = guest_parse_total(port->buffer, n, &port->total);
    if (rc)
        return rc;
    return port->total > GUEST_CONFIGURATION_MAX ? -EMSGSIZE : 0;
}

static int reply_config(struct guest_port *port, uint32_t n)
{
    struct guest_device *device = &port->device;
    if (n != port->total) /* it had promised more */
        return -EPROTO;
    /* Drivers have pointers into what is known of it. */
    if (port->aim == AIM_RESET)
        return n == device->raw_configuration_length && memcmp(device->raw_configuration, port->buffer, n) == 0
                   ? 0
                   : -ENODEV;
    memcpy(device->raw_configuration, port->buffer, n);
    device->raw_configuration_length = (uint16_t)n;
    return guest_parse_configuration(device->raw_configuration, n, &device->configuration);
}

static int reply_device(struct guest_port *port, uint32_t n)
{
    if (n != sizeof(port->device.raw_device))
        return -EPROTO;
    if (port->aim == AIM_RESET)
        return memcmp(port->device.raw_device, port->buffer, n) == 0 ? 0 : -ENODEV;
    memcpy(port->device.raw_device, port->buffer, n);
    return guest_parse_device(port->device.raw_device, n, &port->device.descriptor);
}

static int reply(struct guest_port *port, uint32_t n)
{
    struct guest_device *device = &port->device;
    switch (port->step) {
    case STEP_PACKET0:
        return guest_parse_packet0(port->buffer, n, device->speed, &device->packet0);
    case STEP_ADDRESS:
        return reply_address(port);
    case STEP_DEVICE:
        return reply_device(port, n);
    case STEP_CONFIG_HEAD:
        return reply_config_head(port, n);
    case STEP_CONFIG:
        return reply_config(port, n);
    case STEP_LANGUAGE:
        return guest_parse_language(port->buffer, n, &port->language);
    case STEP_STRING_0:
    case STEP_STRING_1:
    case STEP_STRING_2:
        return guest_parse_string(port->buffer, n, device->strings[port->step - STEP_STRING_0],
                                  GUEST_STRING_MAX);
    case STEP_CONFIGURE:
    case STEP_DONE:
        break;
    }
    return 0;
}

static void on_reply(struct guest_xfer *xfer)
{
    struct guest_port *port = xfer->context;
    if (port->state == PORT_LEAVING)
        return;
    int rc = xfer->status ? xfer->status : reply(port, xfer->actual);
    enum enum_step step = port->step;
    if (rc && step >= STEP_LANGUAGE && step <= STEP_STRING_2) {
        port->step = STEP_CONFIGURE; /* a device without good strings is a device */
    } else if (rc) {
        fail(port, rc);
        return;
    } else {
        port->step++;
    }
    if (step == STEP_PACKET0)
        start_reset(port, STEP_ADDRESS);
    else if (step == STEP_ADDRESS)
        port_wait(port, PORT_WAIT, ADDRESS_SETTLE_MS);
    else
        next_request(port);
}

/* The setup packet of the step; false when there is nothing to ask. */
static bool request(struct guest_port *port, uint8_t setup[8])
{
    const uint8_t *strings = port->device.descriptor.strings;
    switch (port->step) {
    case STEP_PACKET0:
        guest_setup(setup, 0x80, 6, 0x0100, 0, 64);
        return true;
    case STEP_ADDRESS:
        guest_setup(setup, 0x00, 5, port->kept ? port->kept : take_address(port->guest), 0, 0);
        return true;
    case STEP_DEVICE:
        guest_setup(setup, 0x80, 6, 0x0100, 0, 18);
        return true;
    case STEP_CONFIG_HEAD:
        guest_setup(setup, 0x80, 6, 0x0200, 0, 9);
        return true;
    case STEP_CONFIG:
        guest_setup(setup, 0x80, 6, 0x0200, 0, port->total);
        return true;
    case STEP_LANGUAGE:
        guest_setup(setup, 0x80, 6, 0x0300, 0, 255);
        return port->aim == AIM_NEW && (strings[0] || strings[1] || strings[2]);
    case STEP_STRING_0:
    case STEP_STRING_1:
    case STEP_STRING_2:
        guest_setup(setup, 0x80, 6, (uint16_t)(0x0300 | strings[port->step - STEP_STRING_0]), port->language,
                    255);
        return port->aim == AIM_NEW && strings[port->step - STEP_STRING_0] && port->language;
    case STEP_CONFIGURE:
        guest_setup(setup, 0x00, 9, port->device.configuration.value, 0, 0);
        return true;
    case STEP_DONE:
        break;
    }
    return false;
}

void port_usable(struct guest_port *port, enum guest_event event)
{
    struct guest *guest = port->guest;
    port->state = PORT_READY;
    port->aim = AIM_NEW;
    port->kept = 0;
    port->device.frozen = false;
    if (guest->listener.event)
        guest->listener.event(guest->listener.context, &port->device, event);
}

static void next_request(struct guest_port *port)
{
    struct guest *guest = port->guest;
    uint8_t setup[8];
    while (port->step != STEP_DONE && !request(port, setup))
        port->step++;
    if (port->step == STEP_DONE && port->aim == AIM_RESET) {
        port_usable(port, GUEST_RESET);
        return;
    }
    if (port->step == STEP_DONE) {
        port->state = PORT_READY;
        port->announced = true;
        guest->listener.ready(guest->listener.context, &port->device);
        return;
    }
    port->state = PORT_REQUEST;
    port->xfer.done = on_reply;
    port->xfer.context = port;
    int rc = guest_control(&port->xfer, &port->device, setup, port->buffer);
    if (rc)
        fail(port, rc);
}
