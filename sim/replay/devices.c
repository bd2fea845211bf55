// SPDX-License-Identifier: MIT
/*
 * Which device each URB belongs to. A device is a bus and an address; what was said to address 0 belongs to the
 * device that gets its address next, by SET_ADDRESS or, where that is out of sight, by appearing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

#include "replay/private.h"

#define ADDRESSES (PVUSB_ADDRESS_MAX + 1u)

struct bus_state {
    uint32_t device[ADDRESSES]; /* index + 1, 0 for not seen */
    uint32_t nameless;          /* index + 1 of the device now at address 0 */
    uint32_t ports;             /* given out */
};

static int find_controllers(struct plan *plan)
{
    const struct trace *trace = plan->trace;
    uint8_t *seen = calloc(UINT16_MAX + 1u, 1);
    unsigned int n = 0;
    if (!seen)
        return -ENOMEM;
    for (uint32_t i = 0; i < trace->nr_urbs; i++) {
        if (plan->urb[i].replayed && !seen[trace->urbs[i].bus]) {
            seen[trace->urbs[i].bus] = 1;
            n++;
        }
    }
    plan->bus = calloc(n ? n : 1, sizeof(*plan->bus));
    for (unsigned int bus = 0; plan->bus && bus <= UINT16_MAX; bus++) {
        if (seen[bus])
            plan->bus[plan->nr_controllers++] = (uint16_t)bus;
    }
    free(seen);
    return plan->bus ? 0 : -ENOMEM;
}

static unsigned int controller_of(const struct plan *plan, uint16_t bus)
{
    unsigned int low = 0;
    unsigned int high = plan->nr_controllers;
    while (high - low > 1) {
        unsigned int middle = (low + high) / 2;
        if (plan->bus[middle] <= bus)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A port of its own while there are 31; later devices stay without one, and their URBs say so. */
static uint32_t add_device(struct plan *plan, struct bus_state *bus, unsigned int controller)
{
    struct plan_device *device = &plan->device[plan->nr_devices++];
    *device = (struct plan_device){.bus = plan->bus[controller], .controller = controller};
    if (bus->ports < PVUSB_PORTS_MAX) {
        device->port = (uint8_t)++bus->ports;
        snprintf(device->busid, sizeof(device->busid), "%u-%u", device->bus ? device->bus : 65536u, device->port);
    }
    return plan->nr_devices;
}

static uint32_t device_of(struct plan *plan, struct bus_state *bus, unsigned int controller,
                          const struct trace_urb *urb)
{
    uint32_t index;
    if (urb->device != 0) {
        index = bus->device[urb->device];
        if (index == 0) {
            index = bus->nameless ? bus->nameless : add_device(plan, bus, controller);
            bus->nameless = 0;
            bus->device[urb->device] = index;
            plan->device[index - 1].address = urb->device;
        }
        return index - 1;
    }
    if (bus->nameless == 0)
        bus->nameless = add_device(plan, bus, controller);
    return bus->nameless - 1;
}

/* After SET_ADDRESS the nameless device is the one at that address; if one is there already, it always was that one. */
static void name_device(struct plan *plan, struct bus_state *bus, uint32_t first, uint32_t last, uint8_t address)
{
    uint32_t nameless = bus->nameless;
    bus->nameless = 0;
    if (bus->device[address] == 0) {
        bus->device[address] = nameless;
        plan->device[nameless - 1].address = address;
        return;
    }
    for (uint32_t i = first; i <= last; i++) {
        if (plan->urb[i].replayed && plan->urb[i].device == nameless - 1)
            plan->urb[i].device = bus->device[address] - 1;
    }
    if (nameless == plan->nr_devices) { /* it was only a guess: take it back */
        plan->nr_devices--;
        if (plan->device[nameless - 1].port)
            bus->ports--;
    }
}

static void assign(struct plan *plan, struct bus_state *buses)
{
    const struct trace *trace = plan->trace;
    uint32_t first_nameless = 0;
    for (uint32_t i = 0; i < trace->nr_urbs; i++) {
        const struct trace_urb *urb = &trace->urbs[i];
        if (!plan->urb[i].replayed)
            continue;
        unsigned int controller = controller_of(plan, urb->bus);
        struct bus_state *bus = &buses[controller];
        if (urb->device == 0 && bus->nameless == 0)
            first_nameless = i < first_nameless || first_nameless == 0 ? i : first_nameless;
        plan->urb[i].device = device_of(plan, bus, controller, urb);
        if (plan->urb[i].unseen)
            name_device(plan, bus, first_nameless, i, (uint8_t)pvusb_setup_value(urb->setup));
    }
}

int plan_find_devices(struct plan *plan)
{
    int rc = find_controllers(plan);
    if (rc)
        return rc;
    struct bus_state *buses = calloc(plan->nr_controllers ? plan->nr_controllers : 1, sizeof(*buses));
    /* At most one device for each address of each bus, and one without for each URB to address 0. */
    uint32_t most = plan->trace->nr_urbs + 1;
    plan->device = calloc(most, sizeof(*plan->device));
    if (!buses || !plan->device) {
        free(buses);
        return -ENOMEM;
    }
    assign(plan, buses);
    free(buses);
    for (uint32_t i = 0; i < plan->trace->nr_urbs; i++) {
        if (plan->urb[i].replayed && plan->device[plan->urb[i].device].port == 0) {
            plan->urb[i].replayed = false;
            plan->urb[i].reason = REPLAY_NO_PORT;
        }
    }
    return 0;
}
