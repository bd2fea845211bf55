// SPDX-License-Identifier: MIT
/* A root hub with one port, as section 15 of the protocol has it: USB 2.0 section 11.24. */
#include "usbip/client_private.h"

#include <errno.h>
#include <string.h>

#define RESET_NS  UINT64_C(10000000) /* USB 2.0 section 11.5.1.5 */
#define RESUME_NS UINT64_C(20000000)

enum {
    CONNECTION = 0x0001,
    ENABLE = 0x0002,
    SUSPEND = 0x0004,
    RESET = 0x0010,
    POWER = 0x0100,
    LOW = 0x0200,
    HIGH = 0x0400
};
enum {
    FEATURE_SUSPEND = 2,
    FEATURE_RESET = 4,
    FEATURE_POWER = 8,
    FEATURE_C_CONNECTION = 16,
    FEATURE_C_RESET = 20
};
enum { C_CONNECTION = 0x0001, C_SUSPEND = 0x0004, C_RESET = 0x0010 };

static void set(uint16_t *word, unsigned int bits)
{
    *word = (uint16_t)(*word | bits);
}

static void clear(uint16_t *word, unsigned int bits)
{
    *word = (uint16_t)(*word & ~bits);
}

void root_port_attach(struct root_port *port, uint8_t speed)
{
    port->attached = true;
    port->speed = speed;
    if (port->status & POWER) {
        set(&port->status, CONNECTION);
        set(&port->change, C_CONNECTION);
    }
}

void root_port_detach(struct root_port *port)
{
    bool shown = port->status & CONNECTION;
    port->attached = false;
    clear(&port->status, CONNECTION | ENABLE | SUSPEND | LOW | HIGH);
    if (shown)
        set(&port->change, C_CONNECTION);
}

static int set_feature(struct root_port *port, uint16_t feature, uint64_t now_ns)
{
    if (feature == FEATURE_POWER) {
        bool before = port->status & POWER;
        set(&port->status, POWER);
        if (!before && port->attached)
            root_port_attach(port, port->speed);
    } else if (feature == FEATURE_RESET) {
        clear(&port->status, ENABLE | SUSPEND | LOW | HIGH);
        set(&port->status, RESET);
        port->reset_since = now_ns;
    } else if (feature == FEATURE_SUSPEND && port->status & ENABLE) {
        set(&port->status, SUSPEND);
    } else if (feature != FEATURE_SUSPEND) {
        return -EPIPE;
    }
    return 0;
}

static int clear_feature(struct root_port *port, uint16_t feature, uint64_t now_ns)
{
    if (feature >= FEATURE_C_CONNECTION && feature <= FEATURE_C_RESET)
        clear(&port->change, 1u << (feature - FEATURE_C_CONNECTION));
    else if (feature == FEATURE_SUSPEND && port->status & SUSPEND)
        port->resume_since = now_ns;
    else if (feature != FEATURE_SUSPEND)
        return -EPIPE;
    return 0;
}

/* What takes time ends when somebody looks (rule HUB-09). */
static int get_status(struct root_port *port, uint8_t *data, size_t size, uint64_t now_ns)
{
    if (size < 4)
        return -EPIPE;
    if (port->status & RESET && now_ns >= port->reset_since + RESET_NS) {
        clear(&port->status, RESET);
        set(&port->change, C_RESET);
        if (port->attached)
            set(&port->status, ENABLE | (port->speed == USBIP_SPEED_HIGH  ? HIGH
                                         : port->speed == USBIP_SPEED_LOW ? LOW
                                                                          : 0u));
    }
    if (port->resume_since && now_ns >= port->resume_since + RESUME_NS) {
        port->resume_since = 0;
        clear(&port->status, SUSPEND);
        set(&port->change, C_SUSPEND);
    }
    const uint8_t bytes[4] = {(uint8_t)port->status, (uint8_t)(port->status >> 8), (uint8_t)port->change, 0};
    memcpy(data, bytes, sizeof(bytes));
    return sizeof(bytes);
}

int root_port_control(struct root_port *port, uint8_t number, const uint8_t setup[8], void *data, size_t size,
                      uint64_t now_ns)
{
    static const uint8_t hub[7] = {9, 0x29, 1, 0x0a, 0, 10, 0};
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    if (setup[0] == 0xa0 && setup[1] == 6) {
        size_t n = size < sizeof(hub) ? size : sizeof(hub);
        memcpy(data, hub, n);
        return (int)n;
    }
    if (setup[4] != number || setup[5] != 0)
        return -EPIPE;
    if (setup[0] == 0xa3 && setup[1] == 0)
        return get_status(port, data, size, now_ns);
    if (setup[0] == 0x23 && setup[1] == 3)
        return set_feature(port, value, now_ns);
    return setup[0] == 0x23 && setup[1] == 1 ? clear_feature(port, value, now_ns) : -EPIPE;
}
