// SPDX-License-Identifier: MIT
/* The ports in their registers, for root_hub.h. */
#include "uhci/driver_private.h"

static uint16_t read_port(struct uhci_driver *driver, unsigned int port)
{
    uint32_t value = hc_read(driver->hc.bus, PORTSC1 + 2 * (port - 1), 2);
    return value == 0xffff ? 0 : (uint16_t)value;
}

/* Writes what can be written, and none of the bits that are cleared by a one, but for those in `clear`. */
static void write_port(struct uhci_driver *driver, unsigned int port, uint16_t value, uint16_t clear)
{
    value &= (uint16_t) ~(PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE);
    hc_write(driver->hc.bus, PORTSC1 + 2 * (port - 1), 2, value | clear);
}

static uint16_t look(void *context, unsigned int port, uint16_t *change)
{
    struct uhci_driver *driver = context;
    uint16_t value = read_port(driver, port), status = 0;
    uint16_t news = value & (PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE);
    if (news)
        write_port(driver, port, value, news);
    *change = news & PORT_CONNECT_CHANGE ? HUB_C_CONNECTION : 0;
    *change |= news & PORT_ENABLED_CHANGE ? HUB_C_ENABLE : 0;
    driver->low_speed[port - 1] = value & PORT_LOW_SPEED;
    if (value & PORT_CONNECT)
        status |= HUB_CONNECTION | (value & PORT_LOW_SPEED ? HUB_LOW : 0);
    return status | (value & PORT_ENABLED ? HUB_ENABLE : 0);
}

static void reset(void *context, unsigned int port, bool on)
{
    struct uhci_driver *driver = context;
    uint16_t value = read_port(driver, port);
    if (on) {
        write_port(driver, port, (uint16_t)((value & ~PORT_ENABLED) | PORT_RESET), 0);
        return;
    }
    write_port(driver, port, value & (uint16_t)~PORT_RESET, 0);
    value = read_port(driver, port);
    if (value & PORT_CONNECT)
        write_port(driver, port, value | PORT_ENABLED, PORT_ENABLED_CHANGE);
}

static void renewed(void *context, unsigned int port)
{
    uhci_queue_forsake(context, port);
}

static const struct root_hub_ops hub_ops = {.look = look, .reset = reset, .renewed = renewed};

void uhci_hub_open(struct uhci_driver *driver)
{
    driver->hc.hub = (struct root_hub){.ops = &hub_ops, .context = driver, .nr_ports = PORTS};
}

void uhci_hub_poll(struct uhci_driver *driver)
{
    root_hub_poll(&driver->hc.hub);
    driver->poll_ns = driver->now_ns + POLL_NS;
}
