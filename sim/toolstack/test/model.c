// SPDX-License-Identifier: MIT
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of hostbus_list(). */
const char *const model_places[MODEL_PLACES] = {"1-1",   "1-2",   "1-3", "1-4",   "1-10",  "2-1",   "2-2",
                                                "2-2.1", "2-2.2", "2-3", "2-4.3", "3-1.1", "3-1.2", "3-2"};
/* Hubs that come with what is behind them and are no places of their own. */
static const char *const hubs[] = {"2-4", "3-1"};

unsigned int model_place(const char *path)
{
    unsigned int i = 0;
    while (i < MODEL_PLACES && strcmp(model_places[i], path) != 0)
        i++;
    return i;
}

struct model_port *model_holder(struct model *model, const char *busid)
{
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        for (unsigned int c = 0; c < MODEL_CONTROLLERS; c++) {
            struct model_controller *controller = &model->guest[g].controller[c];
            for (unsigned int p = 1; controller->there && p <= controller->ports; p++) {
                if (strcmp(controller->port[p].busid, busid) == 0)
                    return &controller->port[p];
            }
        }
    }
    return NULL;
}

unsigned int model_bus(const char *busid)
{
    return (unsigned int)strtoul(busid, NULL, 10);
}

bool model_owned(const struct model *model, const char *busid)
{
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        for (unsigned int p = 1; p <= EMULATED_PORTS; p++) {
            if (strcmp(model->guest[g].emulated[p].port.busid, busid) == 0)
                return true;
        }
    }
    return model->owner[model_bus(busid)] != 0;
}

/* ---- the bus ---- */

static bool known_hub(const struct hostbus_device *device)
{
    for (unsigned int i = 0; i < sizeof(hubs) / sizeof(hubs[0]); i++) {
        if (strcmp(device->path, hubs[i]) == 0)
            return device->device_class == DEVICE_HUB_CLASS;
    }
    return false;
}

static bool same_device(const struct model_device *expected, const struct hostbus_device *device)
{
    return expected->there && expected->hub == (device->device_class == DEVICE_HUB_CLASS) &&
           expected->serial == device->serial && expected->vendor == device->vendor &&
           expected->product == device->product;
}

static bool compare_bus(const struct model *model, char *what)
{
    const struct hostbus_device *list = model->list;
    unsigned int seen = 0, expected = 0;
    for (unsigned int i = 0; i < MODEL_PLACES; i++)
        expected += model->device[i].there;
    for (unsigned int i = 0; i < model->nr_list; i++) {
        if (known_hub(&list[i]))
            continue;
        const unsigned int at = model_place(list[i].path);
        seen++;
        if (at < MODEL_PLACES && same_device(&model->device[at], &list[i]))
            continue;
        snprintf(what, MODEL_TEXT_MAX, "bus: %s has %s, which it should not", list[i].path, list[i].name);
        return false;
    }
    if (seen != expected)
        snprintf(what, MODEL_TEXT_MAX, "bus: %u devices instead of %u", seen, expected);
    return seen == expected;
}

/* What 'pvusb usb-list-assignable-devices' shows. */
static bool compare_assignable(struct model *model, const struct world *world,
                               const struct tstore_controllers *all, char *what)
{
    const struct hostbus_device *list = model->list;
    char error[TOOL_ERROR_MAX];
    unsigned int port;
    for (unsigned int i = 0; i < model->nr_list; i++) {
        const bool is = list[i].device_class != DEVICE_HUB_CLASS &&
                        !tstore_holder_of(all, list[i].path, &port) &&
                        !tstore_not_owned(world->dom0, XEN_XBT_NIL, list[i].path, error);
        const unsigned int at = model_place(list[i].path);
        const bool should = at < MODEL_PLACES && !model->device[at].hub &&
                            !model_holder(model, list[i].path) && !model_owned(model, list[i].path);
        if (is == should)
            continue;
        snprintf(what, MODEL_TEXT_MAX, "%s is %sassignable", list[i].path, is ? "" : "not ");
        return false;
    }
    return true;
}

/* ---- controllers ---- */

static bool compare_controller(const struct world_guest *guest, const struct model_controller *expected,
                               const struct tstore_controllers *all, char *what)
{
    const struct tstore_controller *c = tstore_controller_of(all, guest->domain.domid, expected->devid);
    if (!c || c->c.num_ports != expected->ports || c->c.usb_ver != expected->version) {
        snprintf(what, MODEL_TEXT_MAX, "%s: controller %u is %s", guest->domain.name, expected->devid,
                 c ? "another" : "missing");
        return false;
    }
    for (unsigned int p = 1; p <= expected->ports; p++) {
        if (strcmp(c->port[p], expected->port[p].busid) == 0)
            continue;
        snprintf(what, MODEL_TEXT_MAX, "%s: port %u of controller %u has '%s' instead of '%s'",
                 guest->domain.name, p, expected->devid, c->port[p], expected->port[p].busid);
        return false;
    }
    return true;
}

static bool compare_controllers(const struct model *model, const struct world *world,
                                const struct tstore_controllers *all, char *what)
{
    unsigned int expected = 0;
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        for (unsigned int c = 0; c < MODEL_CONTROLLERS; c++) {
            const struct model_controller *controller = &model->guest[g].controller[c];
            if (!controller->there)
                continue;
            expected++;
            if (!compare_controller(&world->guest[g], controller, all, what))
                return false;
        }
    }
    if (expected != all->count)
        snprintf(what, MODEL_TEXT_MAX, "%u controllers instead of %u", all->count, expected);
    return expected == all->count;
}

static void read_bus(struct model *model, const struct world *world)
{
    if (model->list_age-- > 0)
        return;
    free(model->list);
    int rc = hostbus_list(world->dir, &model->list, &model->nr_list);
    world_check(rc == 0, "the list of the bus", rc);
    model->list_age = MODEL_LIST_AGE;
}

bool model_compare_now(struct model *model, struct world *world, char what[MODEL_TEXT_MAX])
{
    struct tstore_controllers all;
    read_bus(model, world);
    int rc = tstore_controllers(world->dom0, XEN_XBT_NIL, STORE_ANY, &all);
    world_check(rc == 0, "the list of controllers", rc);
    const bool same = compare_bus(model, what) && compare_controllers(model, world, &all, what) &&
                      compare_assignable(model, world, &all, what) &&
                      model_compare_owners(model, world, what);
    tstore_controllers_free(&all);
    return same;
}

/* ---- what guests see ---- */

uint64_t model_hash(const uint64_t *parts, unsigned int count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (unsigned int i = 0; i < count; i++)
        hash = (hash ^ parts[i]) * UINT64_C(1099511628211) + i;
    return hash | 1;
}

/* Changes whenever the guest must find the device anew, and never else; 0: it must not have one. */
static uint64_t model_life(const struct model *model, const struct model_guest *guest,
                           const struct model_controller *controller, const struct model_port *port,
                           const struct model_device **device)
{
    const unsigned int at = port->busid[0] ? model_place(port->busid) : MODEL_PLACES;
    if (at == MODEL_PLACES || !model->backend)
        return 0;
    *device = &model->device[at];
    if (!(*device)->there || (*device)->hub || ((*device)->fast && controller->version == USB_VER_USB11))
        return 0;
    const uint64_t parts[] = {(*device)->serial, port->given, controller->made, guest->life,
                              model->backend_life};
    return model_hash(parts, sizeof(parts) / sizeof(parts[0]));
}

static bool read_port(struct world *world, const struct world_guest *guest, unsigned int devid,
                      unsigned int port, char value[XEN_XS_PAYLOAD_MAX + 1])
{
    char path[96];
    snprintf(path, sizeof(path), "/local/domain/%u/data/usb/%u/%u", guest->domain.domid, devid, port);
    return world->dom0->ops->xs_read(world->dom0, XEN_XBT_NIL, path, value, XEN_XS_PAYLOAD_MAX + 1) >= 0;
}

bool model_compare_seen(struct model *model, struct model_port *port, uint64_t life,
                        const struct model_device *device, const struct model_seen *seen, char *what)
{
    const size_t n = strlen(what);
    char *more = what + n;
    const size_t left = MODEL_TEXT_MAX - n;
    char is[16] = "nothing";
    char should[16] = "nothing";
    if (seen->is)
        snprintf(is, sizeof(is), "%04x:%04x", seen->vendor, seen->product);
    if (life)
        snprintf(should, sizeof(should), "%04x:%04x", device->vendor, device->product);
    snprintf(more, left, "the guest has %s instead of %s", is, should);
    if (strcmp(is, should) != 0)
        return false;
    snprintf(more, left, "%s",
             port->life == life ? "the guest lost it and found it again, for nothing"
                                : "the guest has not found the new one");
    if (port->life && life && (port->life == life) != (port->number == seen->number))
        return false;
    model->found += life && port->life != life;
    port->life = life;
    port->number = seen->number;
    return true;
}

static bool compare_port(struct model *model, struct world *world, unsigned int g,
                         const struct model_controller *controller, struct model_port *port, char *what)
{
    const struct model_guest *guest = &model->guest[g];
    const unsigned int number = (unsigned int)(port - controller->port);
    const struct model_device *device = NULL;
    const uint64_t life = model_life(model, guest, controller, port, &device);
    char value[XEN_XS_PAYLOAD_MAX + 1];
    struct model_seen seen = {.is = read_port(world, &world->guest[g], controller->devid, number, value)};
    unsigned long long told = 0;
    const int n =
        snprintf(what, MODEL_TEXT_MAX, "%s: port %u of controller %u: ", world->guest[g].domain.name, number,
                 controller->devid);
    if (seen.is && sscanf(value, "%llu ok %x:%x", &told, &seen.vendor, &seen.product) != 3) {
        snprintf(what + n, MODEL_TEXT_MAX - (size_t)n, "the guest has %.64s", value);
        return false;
    }
    seen.number = told;
    return model_compare_seen(model, port, life, device, &seen, what);
}

/* Ports that do not exist, and controllers that are gone, are in no directory. */
static bool compare_directory(struct world *world, unsigned int g, const struct model_guest *expected,
                              char *what)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    char path[64];
    unsigned int is = 0, should = 0;
    snprintf(path, sizeof(path), "/local/domain/%u/data/usb", world->guest[g].domain.domid);
    const ssize_t n =
        world->dom0->ops->xs_directory(world->dom0, XEN_XBT_NIL, path, names, sizeof(names) - 1);
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1)
        is++;
    for (unsigned int c = 0; c < MODEL_CONTROLLERS; c++)
        should += expected->controller[c].there;
    if (is != should)
        snprintf(what, MODEL_TEXT_MAX, "%s: has %u controllers instead of %u", world->guest[g].domain.name,
                 is, should);
    return is == should;
}

static bool compare_states(struct world *world, unsigned int g, const struct model_controller *expected,
                           bool backend, char *what)
{
    const struct vusb_controller c = {
        .kind = "qusb", .frontend = world->guest[g].domain.domid, .devid = expected->devid};
    char path[2][XENBUS_PATH_MAX];
    vusb_paths(&c, path[0], path[1]);
    const enum xenbus_state back = xenbus_state_read(world->dom0, path[0]);
    const enum xenbus_state front = xenbus_state_read(world->dom0, path[1]);
    const bool connected = back == XenbusStateConnected && front == XenbusStateConnected;
    snprintf(what, MODEL_TEXT_MAX, "%s: controller %u: backend %s, frontend %s", world->guest[g].domain.name,
             expected->devid, xenbus_state_name(back), xenbus_state_name(front));
    return connected || !backend;
}

bool model_compare_guests(struct model *model, struct world *world, char what[MODEL_TEXT_MAX])
{
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        struct model_guest *guest = &model->guest[g];
        if (!guest->runs)
            continue;
        if (!compare_directory(world, g, guest, what) || !model_compare_older(model, world, g, what))
            return false;
        for (unsigned int c = 0; c < MODEL_CONTROLLERS; c++) {
            struct model_controller *controller = &guest->controller[c];
            if (!controller->there)
                continue;
            if (!compare_states(world, g, controller, model->backend, what))
                return false;
            for (unsigned int p = 1; p <= controller->ports; p++) {
                if (!compare_port(model, world, g, controller, &controller->port[p], what))
                    return false;
            }
        }
    }
    return true;
}
