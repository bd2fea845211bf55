// SPDX-License-Identifier: MIT
/* The root hub: two ports in registers, as a hub of USB 2.0 section 11.24. */
#include <errno.h>

#include "uhci/driver_private.h"

enum { GET_STATUS = 0, CLEAR_FEATURE = 1, SET_FEATURE = 3, GET_DESCRIPTOR = 6 };
enum { FEATURE_ENABLE = 1, FEATURE_RESET = 4, FEATURE_POWER = 8, FEATURE_C_CONNECTION = 16 };
enum {
    HUB_CONNECTION = 0x0001,
    HUB_ENABLE = 0x0002,
    HUB_RESET = 0x0010,
    HUB_POWER = 0x0100,
    HUB_LOW = 0x0200
};
enum { C_CONNECTION = 0x0001, C_ENABLE = 0x0002, C_RESET = 0x0010 };

static uint16_t read_port(struct uhci_driver *driver, unsigned int i)
{
    uint32_t value = hc_read(driver->bus, PORTSC1 + 2 * i, 2);
    return value == 0xffff ? 0 : (uint16_t)value;
}

/* Writes what can be written, and none of the bits that are cleared by a one, but for those in `clear`. */
static void write_port(struct uhci_driver *driver, unsigned int i, uint16_t value, uint16_t clear)
{
    value &= (uint16_t) ~(PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE);
    hc_write(driver->bus, PORTSC1 + 2 * i, 2, value | clear);
}

static uint16_t look(struct uhci_driver *driver, unsigned int i)
{
    struct port *port = &driver->ports[i];
    uint16_t value = read_port(driver, i);
    uint16_t news = value & (PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE);
    port->low_speed = value & PORT_LOW_SPEED;
    if (!news || port->resetting || !port->power)
        return value;
    write_port(driver, i, value, news);
    if (news & PORT_CONNECT_CHANGE) {
        port->change |= C_CONNECTION;
        queue_forsake(driver, i + 1);
    }
    if (news & PORT_ENABLED_CHANGE)
        port->change |= C_ENABLE;
    return value;
}

void hub_poll(struct uhci_driver *driver)
{
    for (unsigned int i = 0; i < PORTS; i++)
        (void)look(driver, i);
    driver->poll_ns = driver->now_ns + POLL_NS;
}

static void end_reset(struct uhci_driver *driver, unsigned int i)
{
    struct port *port = &driver->ports[i];
    port->resetting = false;
    port->change |= C_RESET;
    uint16_t value = read_port(driver, i);
    write_port(driver, i, value & (uint16_t)~PORT_RESET, 0);
    value = read_port(driver, i);
    if (value & PORT_CONNECT)
        write_port(driver, i, value | PORT_ENABLED, PORT_ENABLED_CHANGE);
}

static int port_status(struct uhci_driver *driver, unsigned int i, uint8_t *data, size_t size)
{
    struct port *port = &driver->ports[i];
    if (size < 4)
        return -EPIPE;
    if (port->resetting && driver->now_ns >= port->reset_until)
        end_reset(driver, i);
    uint16_t value = look(driver, i), status = port->power ? HUB_POWER : 0;
    if (port->power && value & PORT_CONNECT)
        status |= HUB_CONNECTION;
    if (value & PORT_ENABLED)
        status |= HUB_ENABLE;
    if (port->resetting)
        status |= HUB_RESET;
    if (value & PORT_CONNECT && value & PORT_LOW_SPEED)
        status |= HUB_LOW;
    data[0] = (uint8_t)status;
    data[1] = (uint8_t)(status >> 8);
    data[2] = (uint8_t)port->change;
    data[3] = 0;
    return 4;
}

static int set_feature(struct uhci_driver *driver, unsigned int i, uint16_t feature)
{
    struct port *port = &driver->ports[i];
    switch (feature) {
    case FEATURE_POWER: /* there is no switch; from now on the guest wants to know */
        if (!port->power && read_port(driver, i) & PORT_CONNECT)
            port->change |= C_CONNECTION;
        port->power = true;
        return 0;
    case FEATURE_RESET:
        port->resetting = true;
        port->reset_until = driver->now_ns + RESET_NS;
        write_port(driver, i, (uint16_t)((read_port(driver, i) & ~PORT_ENABLED) | PORT_RESET), 0);
        queue_forsake(driver, i + 1);
        return 0;
    default:
        return -EPIPE;
    }
}

static int clear_feature(struct uhci_driver *driver, unsigned int i, uint16_t feature)
{
    struct port *port = &driver->ports[i];
    if (feature >= FEATURE_C_CONNECTION && feature < FEATURE_C_CONNECTION + 5) {
        port->change &= (uint16_t) ~(1u << (feature - FEATURE_C_CONNECTION));
        return 0;
    }
    if (feature == FEATURE_ENABLE) {
        write_port(driver, i, read_port(driver, i) & (uint16_t)~PORT_ENABLED, 0);
        return 0;
    }
    return -EPIPE;
}

int hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    struct uhci_driver *driver = (struct uhci_driver *)hcd;
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    unsigned int port = setup[4];
    driver->now_ns = now_ns;
    if (setup[0] == 0xa0 && setup[1] == GET_DESCRIPTOR) {
        static const uint8_t descriptor[9] = {9, 0x29, PORTS, 0x0a, 0, 1, 0, 0, 0xff};
        size_t n = size < sizeof(descriptor) ? size : sizeof(descriptor);
        memcpy(data, descriptor, n);
        return (int)n;
    }
    if (port == 0 || port > PORTS)
        return -EPIPE;
    if (setup[0] == 0xa3 && setup[1] == GET_STATUS)
        return port_status(driver, port - 1, data, size);
    if (setup[0] == 0x23 && setup[1] == SET_FEATURE)
        return set_feature(driver, port - 1, value);
    if (setup[0] == 0x23 && setup[1] == CLEAR_FEATURE)
        return clear_feature(driver, port - 1, value);
    return -EPIPE;
}

size_t hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    const struct uhci_driver *driver = (const struct uhci_driver *)hcd;
    uint8_t bits = 0;
    for (unsigned int i = 0; i < PORTS; i++)
        bits |= (uint8_t)(driver->ports[i].change ? 2u << i : 0u);
    if (!bits || size < 1)
        return 0;
    bitmap[0] = bits;
    return 1;
}
