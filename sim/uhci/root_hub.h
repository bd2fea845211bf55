/* SPDX-License-Identifier: MIT */
/*
 * A controller's ports as a hub of USB 2.0 section 11.24: what the drivers of controllers with ports in
 * registers have in common. Power is always there; a port is reported from SetPortFeature(PORT_POWER) on. No
 * suspend.
 */
#ifndef SIM_UHCI_ROOT_HUB_H
#define SIM_UHCI_ROOT_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROOT_HUB_PORTS_MAX 15u

/* wPortStatus and wPortChange, tables 11-21 and 11-22. */
enum { HUB_CONNECTION = 0x0001, HUB_ENABLE = 0x0002, HUB_RESET = 0x0010, HUB_POWER = 0x0100 };
enum { HUB_LOW = 0x0200, HUB_HIGH = 0x0400 };
enum { HUB_C_CONNECTION = 0x0001, HUB_C_ENABLE = 0x0002, HUB_C_RESET = 0x0010 };

/* Ports count from 1. */
struct root_hub_ops {
    /*
     * HUB_CONNECTION, _ENABLE, _LOW and _HIGH, now; *change: HUB_C_CONNECTION and _ENABLE for what has
     * changed since the last call, which the controller forgets by it.
     */
    uint16_t (*look)(void *context, unsigned int port, uint16_t *change);
    /* Begins or ends a reset; its end enables the port. */
    void (*reset)(void *context, unsigned int port, bool on);
    /* What is on the port is not what it was: another device, or one that is reset. */
    void (*renewed)(void *context, unsigned int port);
};

struct root_hub {
    const struct root_hub_ops *ops;
    void *context;
    unsigned int nr_ports;
    struct {
        bool power, resetting;
        uint16_t change;
        uint64_t reset_until;
    } ports[ROOT_HUB_PORTS_MAX + 1];
};

/* As hub_control() and hub_status() of struct hcd_ops. */
int root_hub_control(struct root_hub *hub, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns);
size_t root_hub_status(const struct root_hub *hub, uint8_t *bitmap, size_t size);
/* Looks at the ports. */
void root_hub_poll(struct root_hub *hub);

#endif
