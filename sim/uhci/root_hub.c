// SPDX-License-Identifier: MIT
/* See root_hub.h. */
#include "uhci/root_hub.h"

#include <errno.h>
#include <string.h>

#define RESET_NS UINT64_C(50000000) /* USB 2.0 section 7.1.7.5, TDRSTR of root ports */

enum { GET_STATUS = 0, CLEAR_FEATURE = 1, SET_FEATURE = 3, GET_DESCRIPTOR = 6 };
enum { FEATURE_RESET = 4, FEATURE_POWER = 8, FEATURE_C_CONNECTION = 16 };

static uint16_t look(struct root_hub *hub, unsigned int port)
{
    uint16_t change = 0, status;
    if (!hub->ports[port].power || hub->ports[port].resetting)
        return 0;
    status = hub->ops->look(hub->context, port, &change);
    hub->ports[port].change |= change;
    if (change & HUB_C_CONNECTION)
        hub->ops->renewed(hub->context, port);
    return status;
}

void root_hub_poll(struct root_hub *hub)
{
    for (unsigned int port = 1; port <= hub->nr_ports; port++)
        (void)look(hub, port);
}

static int port_status(struct root_hub *hub, unsigned int port, uint8_t *data, size_t size, uint64_t now_ns)
{
    if (size < 4)
        return -EPIPE;
    if (hub->ports[port].resetting && now_ns >= hub->ports[port].reset_until) {
        hub->ports[port].resetting = false;
        hub->ports[port].change |= HUB_C_RESET;
        hub->ops->reset(hub->context, port, false);
    }
    uint16_t status = look(hub, port);
    if (hub->ports[port].power)
        status |= HUB_POWER;
    if (hub->ports[port].resetting)
        status |= HUB_CONNECTION | HUB_RESET;
    data[0] = (uint8_t)status;
    data[1] = (uint8_t)(status >> 8);
    data[2] = (uint8_t)hub->ports[port].change;
    data[3] = 0;
    return 4;
}

static int set_feature(struct root_hub *hub, unsigned int port, uint16_t feature, uint64_t now_ns)
{
    switch (feature) {
    case FEATURE_POWER:
        if (hub->ports[port].power)
            return 0;
        hub->ports[port].power = true;
        if (look(hub, port) & HUB_CONNECTION)
            hub->ports[port].change |= HUB_C_CONNECTION;
        return 0;
    case FEATURE_RESET:
        hub->ports[port].resetting = true;
        hub->ports[port].reset_until = now_ns + RESET_NS;
        hub->ops->reset(hub->context, port, true);
        hub->ops->renewed(hub->context, port);
        return 0;
    default:
        return -EPIPE;
    }
}

int root_hub_control(struct root_hub *hub, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    unsigned int port = setup[4];
    if (setup[0] == 0xa0 && setup[1] == GET_DESCRIPTOR) {
        uint8_t descriptor[11] = {11, 0x29, (uint8_t)hub->nr_ports, 0x0a, 0, 1, 0, 0, 0, 0xff, 0xff};
        size_t n = size < sizeof(descriptor) ? size : sizeof(descriptor);
        memcpy(data, descriptor, n);
        return (int)n;
    }
    if (port == 0 || port > hub->nr_ports)
        return -EPIPE;
    if (setup[0] == 0xa3 && setup[1] == GET_STATUS)
        return port_status(hub, port, data, size, now_ns);
    if (setup[0] == 0x23 && setup[1] == SET_FEATURE)
        return set_feature(hub, port, value, now_ns);
    if (setup[0] == 0x23 && setup[1] == CLEAR_FEATURE && value >= FEATURE_C_CONNECTION &&
        value < FEATURE_C_CONNECTION + 5) {
        hub->ports[port].change &= (uint16_t) ~(1u << (value - FEATURE_C_CONNECTION));
        return 0;
    }
    return -EPIPE;
}

size_t root_hub_status(const struct root_hub *hub, uint8_t *bitmap, size_t size)
{
    uint16_t bits = 0;
    for (unsigned int port = 1; port <= hub->nr_ports; port++)
        bits |= (uint16_t)(hub->ports[port].change ? 1u << port : 0u);
    size_t n = 1 + hub->nr_ports / 8;
    if (!bits || size < n)
        return 0;
    bitmap[0] = (uint8_t)bits;
    if (n > 1)
        bitmap[1] = (uint8_t)(bits >> 8);
    return n;
}
