// SPDX-License-Identifier: MIT
/* What guests have without PVUSB: emulated controllers, and those that are passed through as a whole. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/guest_private.h"
#include "model.h"
#include "vm/local.h"

/* ---- what domain 0 notes ---- */

static bool compare_notes(const struct model_guest *expected, const struct world *world, unsigned int g,
                          char *what)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    int rc = tstore_emulated(world->dom0, XEN_XBT_NIL, world->guest[g].domain.domid, devices);
    world_check(rc == 0, "the notes of an emulated controller", rc);
    for (unsigned int p = 1; p <= EMULATED_PORTS; p++) {
        const struct model_emulated *port = &expected->emulated[p];
        if (strcmp(devices[p].busid, port->port.busid) == 0 && strcmp(devices[p].spec, port->spec) == 0)
            continue;
        snprintf(what, MODEL_TEXT_MAX,
                 "guest_%u: emulated port %u has '%.31s %.63s' instead of '%.31s %.63s'", g, p,
                 devices[p].busid, devices[p].spec, port->port.busid, port->spec);
        return false;
    }
    return true;
}

static bool compare_owner(const struct model *model, const struct world *world, unsigned int bus, char *what)
{
    const unsigned int should = model->owner[bus];
    domid_t owner;
    int rc = tstore_bus_owner(world->dom0, XEN_XBT_NIL, bus, &owner);
    if (should ? rc == 0 && owner == world->guest[should - 1].domain.domid : rc == -ENOENT)
        return true;
    snprintf(what, MODEL_TEXT_MAX, "bus %u: owned by domain %d instead of guest_%d", bus,
             rc ? rc : (int)owner, (int)should - 1);
    return false;
}

bool model_compare_owners(const struct model *model, struct world *world, char *what)
{
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        if (model->guest[g].hvm && !compare_notes(&model->guest[g], world, g, what))
            return false;
    }
    for (unsigned int bus = 1; bus <= MODEL_BUSES; bus++) {
        if (!compare_owner(model, world, bus, what))
            return false;
    }
    return true;
}

/* ---- what guests see ---- */

/* bus 0: the emulated one. */
static const struct vm_local *local_of(const struct world *world, unsigned int g, unsigned int bus)
{
    const struct vm_local *local = world->guest[g].vm->locals;
    while (local && (local->bus != bus || local->closing))
        local = local->next;
    return local;
}

static struct model_seen see(const struct vm_local *local, unsigned int port)
{
    const struct guest_port *p = &local->c.guest->ports[port - 1];
    return (struct model_seen){.is = p->announced,
                               .number = p->device.address,
                               .vendor = p->device.descriptor.vendor,
                               .product = p->device.descriptor.product};
}

static bool compare_emulated(struct model *model, struct world *world, unsigned int g, char *what)
{
    struct model_guest *guest = &model->guest[g];
    const struct vm_local *local = local_of(world, g, 0);
    for (unsigned int p = 1; p <= EMULATED_PORTS; p++) {
        struct model_port *port = &guest->emulated[p].port;
        const unsigned int at = port->busid[0] ? model_place(port->busid) : MODEL_PLACES;
        const struct model_device *device = at < MODEL_PLACES ? &model->device[at] : NULL;
        uint64_t life = 0;
        if (device && device->there && !device->hub && !device->faster)
            life = model_hash((const uint64_t[]){device->serial, port->given, guest->life}, 3);
        const struct model_seen seen = see(local, p);
        snprintf(what, MODEL_TEXT_MAX, "guest_%u: emulated port %u: ", g, p);
        if (!model_compare_seen(model, port, life, device, &seen, what))
            return false;
    }
    return true;
}

/* Wherever the guest has put it. */
static struct model_seen see_place(const struct vm_local *local, const char *path)
{
    for (unsigned int p = 1; p <= PVUSB_PORTS_MAX; p++) {
        if (strcmp(local->place[p], path) == 0)
            return see(local, p);
    }
    return (struct model_seen){0};
}

static bool compare_bus(struct model *model, const struct vm_local *local, unsigned int g, char *what)
{
    unsigned int is = 0, should = 0;
    for (unsigned int at = 0; at < MODEL_PLACES; at++) {
        const struct model_device *device = &model->device[at];
        uint64_t life = 0;
        if (model_bus(model_places[at]) != local->bus)
            continue;
        if (device->there && !device->hub)
            life = model_hash((const uint64_t[]){device->serial, model->guest[g].life}, 2);
        should += life != 0;
        const struct model_seen seen = see_place(local, model_places[at]);
        snprintf(what, MODEL_TEXT_MAX, "guest_%u: passed %s: ", g, model_places[at]);
        if (!model_compare_seen(model, &model->passed[at], life, device, &seen, what))
            return false;
    }
    for (unsigned int p = 1; p <= PVUSB_PORTS_MAX; p++)
        is += see(local, p).is;
    snprintf(what, MODEL_TEXT_MAX, "guest_%u: %u devices on bus %u instead of %u", g, is, local->bus, should);
    return is == should;
}

static bool says_it_has(const struct world *world, unsigned int g, unsigned int bus)
{
    char dir[64];
    char node[16];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/local/domain/%u/data/pci", world->guest[g].domain.domid);
    snprintf(node, sizeof(node), "%u", bus);
    return xenbus_read(world->dom0, XEN_XBT_NIL, dir, node, value) == 0;
}

bool model_compare_older(struct model *model, struct world *world, unsigned int g, char *what)
{
    if (model->guest[g].hvm && !compare_emulated(model, world, g, what))
        return false;
    for (unsigned int bus = 1; bus <= MODEL_BUSES; bus++) {
        const bool should = model->owner[bus] == g + 1;
        const struct vm_local *local = local_of(world, g, bus);
        snprintf(what, MODEL_TEXT_MAX, "guest_%u: has %sthe controller of bus %u", g, should ? "not " : "",
                 bus);
        if ((local != NULL) != should || says_it_has(world, g, bus) != should)
            return false;
        if (local && !compare_bus(model, local, g, what))
            return false;
    }
    return true;
}
