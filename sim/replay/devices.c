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

#define NONE UINT32_MAX

struct bus_state {
    uint32_t device[PVUSB_ADDRESS_MAX + 1u]; /* NONE: not seen */
    uint32_t nameless;                       /* the device now at address 0 */
    uint32_t last;                           /* its last URB; they are chained by `before` */
};

void plan_busid(const struct plan_controller *controller, unsigned int port, char busid[PLAN_BUSID_MAX])
{
    if (controller->usbfs) {
        snprintf(busid, PLAN_BUSID_MAX, "%u-%u", controller->usbfs, port);
        return;
    }
    snprintf(busid, PLAN_BUSID_MAX, "%u-%u", controller->bus ? controller->bus : 65536u,
             controller->nth * PVUSB_PORTS_MAX + port);
}

static uint32_t add_device(struct plan *plan, uint16_t bus, uint8_t address)
{
    plan->device[plan->nr_devices] = (struct plan_device){.bus = bus, .address = address};
    return plan->nr_devices++;
}

/* After SET_ADDRESS the nameless device is the one at that address; if one is there already, it always was that one. */
static void name_device(struct plan *plan, struct bus_state *bus, const uint32_t *before, uint8_t address)
{
    uint32_t nameless = bus->nameless;
    bus->nameless = NONE;
    plan->device[nameless].address = address;
    if (bus->device[address] == NONE) {
        bus->device[address] = nameless;
        return;
    }
    for (uint32_t u = bus->last; u != NONE; u = before[u])
        plan->urb[u].device = bus->device[address];
}

static void assign_nameless(struct plan *plan, struct bus_state *bus, uint32_t *before, uint32_t u)
{
    const struct trace_urb *urb = &plan->trace->urbs[u];
    if (bus->nameless == NONE) {
        bus->nameless = add_device(plan, urb->bus, 0);
        bus->last = NONE;
    }
    plan->urb[u].device = bus->nameless;
    before[u] = bus->last;
    bus->last = u;
    if (plan->urb[u].unseen)
        name_device(plan, bus, before, (uint8_t)pvusb_setup_value(urb->setup));
}

static void assign(struct plan *plan, struct bus_state *bus, uint32_t *before, uint32_t u)
{
    const struct trace_urb *urb = &plan->trace->urbs[u];
    if (urb->device == 0) {
        assign_nameless(plan, bus, before, u);
        return;
    }
    uint32_t *device = &bus->device[urb->device];
    if (*device == NONE) {
        *device = bus->nameless == NONE ? add_device(plan, urb->bus, 0) : bus->nameless;
        bus->nameless = NONE;
        plan->device[*device].address = urb->device;
    }
    plan->urb[u].device = *device;
}

/* The state of each bus that has an URB to replay; `index` has a place for every number that a bus can have. */
static int make_buses(const struct plan *plan, uint32_t *index, struct bus_state **out)
{
    uint32_t n = 0;
    memset(index, 0xff, (UINT16_MAX + 1u) * sizeof(*index));
    for (uint32_t u = 0; u < plan->trace->nr_urbs; u++) {
        uint32_t *at = &index[plan->trace->urbs[u].bus];
        if (plan->urb[u].replayed && *at == NONE)
            *at = n++;
    }
    *out = malloc((n + 1) * sizeof(**out));
    if (!*out)
        return -ENOMEM;
    memset(*out, 0xff, (n + 1) * sizeof(**out));
    return 0;
}

int plan_find_devices(struct plan *plan)
{
    uint32_t urbs = plan->trace->nr_urbs;
    struct bus_state *buses = NULL;
    uint32_t *index = malloc((UINT16_MAX + 1u) * sizeof(*index));
    uint32_t *before = malloc((urbs + 1) * sizeof(*before));
    int rc = -ENOMEM;
    plan->device = calloc(urbs + 1, sizeof(*plan->device));
    if (!index || !before || !plan->device)
        goto out;
    rc = make_buses(plan, index, &buses);
    for (uint32_t u = 0; !rc && u < urbs; u++) {
        if (plan->urb[u].replayed)
            assign(plan, &buses[index[plan->trace->urbs[u].bus]], before, u);
    }
out:
    free(buses);
    free(index);
    free(before);
    return rc;
}
