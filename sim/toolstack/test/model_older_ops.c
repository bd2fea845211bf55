// SPDX-License-Identifier: MIT
/* usb-add and usb-del, pci-attach and pci-detach. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model_ops.h"
#include "toolstack/emulated.h"

#define ANSWER_ROUNDS 100u

/* ---- commands to a device model, which goes on while its answer is waited for ---- */

static struct {
    struct world *world;
    struct xen_ops ops;
    const struct xen_ops *real;
    char command[XENBUS_PATH_MAX];
} waiting;

static int wait_watch_read(struct xen *xen, char *path, char *token)
{
    char value[XENBUS_VALUE_MAX];
    int rc = waiting.real->xs_watch_read(xen, path, token);
    for (unsigned int i = 0; rc == -EAGAIN && i < ANSWER_ROUNDS; i++) {
        if (waiting.real->xs_read(xen, XEN_XBT_NIL, waiting.command, value, sizeof(value)) < 0)
            break;
        world_run(waiting.world, 1);
        rc = waiting.real->xs_watch_read(xen, path, token);
    }
    return rc;
}

static int command(struct play *play, unsigned int g, bool add, const char *spec, char *error)
{
    struct xen *dom0 = play->world->dom0;
    const domid_t domid = play->world->guest[g].domain.domid;
    const bool runs = play->model.guest[g].runs;
    waiting.world = play->world;
    waiting.real = dom0->ops;
    waiting.ops = *dom0->ops;
    waiting.ops.xs_watch_read = wait_watch_read;
    snprintf(waiting.command, sizeof(waiting.command), "/local/domain/0/device-model/%u/command", domid);
    if (runs)
        dom0->ops = &waiting.ops;
    int rc = emulated_command(dom0, domid, add ? "usb-add" : "usb-del", spec,
                              add ? EMULATED_ADDED : EMULATED_DELETED, runs ? 60000 : 1, error);
    dom0->ops = waiting.real;
    return rc;
}

/* expected: of the reason's text, NULL for success. */
static bool answer(struct play *play, unsigned int g, const char *expected, const char *operation, int rc,
                   const char *error)
{
    const struct model_guest *guest = &play->model.guest[g];
    if (!guest->hvm)
        return play_expect(play, rc, -EAGAIN, operation);
    if (!guest->runs)
        return play_expect(play, rc, -ETIMEDOUT, operation);
    if (!play_expect(play, rc, expected ? -EREMOTEIO : 0, operation))
        return false;
    if (!expected || strstr(error, expected))
        return true;
    snprintf(play->wrong, sizeof(play->wrong), "%s: said '%.100s' instead of '%s'", operation, error,
             expected);
    return false;
}

/* ---- the emulated controller ---- */

static bool is_free(struct play *play, unsigned int at)
{
    return !model_holder(&play->model, model_places[at]) && !model_owned(&play->model, model_places[at]);
}

/* Which place is meant: of several with the ids the first that nobody has. */
static unsigned int meant(struct play *play, unsigned int at, bool by_ids)
{
    const struct model_device *wanted = &play->model.device[at];
    unsigned int first = MODEL_PLACES;
    if (!by_ids)
        return at;
    for (unsigned int i = 0; i < MODEL_PLACES; i++) {
        const struct model_device *device = &play->model.device[i];
        if (!device->there || device->vendor != wanted->vendor || device->product != wanted->product)
            continue;
        if (is_free(play, i))
            return i;
        first = first == MODEL_PLACES ? i : first;
    }
    return first;
}

/* What was never there has none, and a hub that is gone has that of others, which are not modelled. */
static bool has_name(const struct model_device *device)
{
    return device->there || (device->serial && !device->hub);
}

static bool name(struct play *play, unsigned int at, char spec[64])
{
    const struct model_device *device = &play->model.device[at];
    const bool by_ids = !device->there || play_random(play, 2); /* another may have the address by now */
    if (by_ids)
        snprintf(spec, 64, "host:%04x:%04x", device->vendor, device->product);
    else
        snprintf(spec, 64, "host:%u.%u", device->bus, device->address);
    return by_ids;
}

/* The reason not to, or NULL. */
static const char *can_add(struct play *play, struct model_guest *guest, unsigned int at, unsigned int *port)
{
    if (at == MODEL_PLACES)
        return "there is no device";
    if (play->model.device[at].hub)
        return "is a hub";
    if (!is_free(play, at))
        return play->model.owner[model_bus(model_places[at])] ? "has as a whole" : "already attached";
    for (*port = 1; *port <= EMULATED_PORTS && guest->emulated[*port].port.busid[0]; ++*port)
        ;
    if (*port > EMULATED_PORTS)
        return "both ports of the emulated controller are taken";
    return play->model.device[at].faster ? "cannot run at full speed" : NULL;
}

/* Mostly one that has an emulated controller. */
static unsigned int some_hvm(struct play *play)
{
    const unsigned int g = play_some_guest(play);
    return MODEL_HVM(g) || play_random(play, 8) == 0 ? g : play_some_guest(play);
}

bool play_usb_add(struct play *play)
{
    char text[96];
    char error[TOOL_ERROR_MAX] = "";
    char spec[64];
    unsigned int port = 0;
    const unsigned int g = some_hvm(play);
    unsigned int at = play_random(play, MODEL_PLACES);
    struct model_guest *guest = &play->model.guest[g];
    if (!play->model.device[at].there)
        at = play_random(play, MODEL_PLACES);
    if (!guest->there || !has_name(&play->model.device[at]))
        return true;
    at = meant(play, at, name(play, at, spec));
    const char *expected = can_add(play, guest, at, &port);
    snprintf(text, sizeof(text), "usb-add guest_%u %s", g, spec);
    const int rc = command(play, g, true, spec, error);
    if (guest->hvm && guest->runs && !expected) {
        struct model_emulated *added = &guest->emulated[port];
        *added = (struct model_emulated){.port = {.given = ++play->model.count}};
        snprintf(added->port.busid, sizeof(added->port.busid), "%s", model_places[at]);
        snprintf(added->spec, sizeof(added->spec), "%s", spec);
    }
    return answer(play, g, expected, text, rc, error);
}

/* By the name that it was added with, else by what that name means now. */
static unsigned int port_named(struct play *play, const struct model_guest *guest, const char *spec,
                               unsigned int at)
{
    for (unsigned int p = 1; p <= EMULATED_PORTS; p++) {
        if (strcmp(guest->emulated[p].spec, spec) == 0)
            return p;
    }
    for (unsigned int p = 1; at < MODEL_PLACES && !play->model.device[at].hub && p <= EMULATED_PORTS; p++) {
        if (strcmp(guest->emulated[p].port.busid, model_places[at]) == 0)
            return p;
    }
    return 0;
}

bool play_usb_del(struct play *play)
{
    char text[96];
    char error[TOOL_ERROR_MAX] = "";
    char spec[64];
    const unsigned int g = some_hvm(play);
    struct model_guest *guest = &play->model.guest[g];
    const struct model_emulated *some = &guest->emulated[1 + play_random(play, EMULATED_PORTS)];
    unsigned int at = some->port.busid[0] ? model_place(some->port.busid) : play_random(play, MODEL_PLACES);
    if (!guest->there || !has_name(&play->model.device[at]))
        return true;
    at = meant(play, at, name(play, at, spec));
    if (some->spec[0] && play_random(play, 2))
        snprintf(spec, sizeof(spec), "%s", some->spec);
    const unsigned int port = port_named(play, guest, spec, at);
    snprintf(text, sizeof(text), "usb-del guest_%u %s", g, spec);
    const int rc = command(play, g, false, spec, error);
    if (guest->hvm && guest->runs && port)
        guest->emulated[port] = (struct model_emulated){.spec = ""};
    return answer(play, g, port ? NULL : "the guest has no device", text, rc, error);
}

/* ---- whole controllers ---- */

void play_forget_bus(struct play *play, unsigned int bus)
{
    for (unsigned int i = 0; i < MODEL_PLACES; i++) {
        if (model_bus(model_places[i]) == bus)
            play->model.passed[i].life = 0;
    }
}

static bool is_assigned(struct play *play, unsigned int bus)
{
    bool any = false;
    for (unsigned int i = 0; i < MODEL_PLACES; i++) {
        any = any || (model_bus(model_places[i]) == bus && !is_free(play, i));
    }
    return any;
}

static bool pass(struct play *play, unsigned int g, unsigned int bus, bool detach)
{
    char text[96];
    char error[TOOL_ERROR_MAX];
    const domid_t domid = play->world->guest[g].domain.domid;
    unsigned int *owner = &play->model.owner[bus];
    const int expected = detach ? (*owner == g + 1 ? 0 : -ENXIO) : is_assigned(play, bus) ? -EBUSY : 0;
    const int rc = detach ? tstore_take_bus(play->world->dom0, domid, bus, error)
                          : tstore_pass_bus(play->world->dom0, domid, bus, error);
    snprintf(text, sizeof(text), "pci-%s guest_%u %u", detach ? "detach" : "attach", g, bus);
    if (!rc && !expected) {
        *owner = detach ? 0 : g + 1;
        play_forget_bus(play, bus);
    }
    return play_expect(play, rc, expected, text);
}

bool play_pci(struct play *play)
{
    const unsigned int g = play_some_guest(play);
    unsigned int bus = 1 + play_random(play, MODEL_BUSES);
    for (unsigned int i = 0; i < 3 && is_assigned(play, bus) && !play->model.owner[bus]; i++)
        bus = 1 + play_random(play, MODEL_BUSES);
    const unsigned int owner = play->model.owner[bus];
    if (!play->model.guest[g].there)
        return true;
    if (!owner || play_random(play, 4) == 0)
        return pass(play, g, bus, false);
    if (play_random(play, 2))
        return pass(play, g, bus, true);
    return pass(play, owner - 1, bus, true) && pass(play, g, bus, false); /* from one to another at once */
}
