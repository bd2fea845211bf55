// SPDX-License-Identifier: MIT
#include "model_ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "toolstack/attach.h"

static const char *const kinds[] = {"disk:64K",  "super-disk:64K", "keyboard", "serial",
                                    "composite", "zero",           "disk:32K", "hub"};
static const char *const inner_hubs[] = {"2-2", "2-4", "3-1"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

unsigned int play_random(struct play *play, unsigned int n)
{
    uint64_t x = play->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned int)((x ^ (x >> 31)) % n);
}

bool play_expect(struct play *play, int rc, int expected, const char *operation)
{
    world_note(play->world, "%s: %d", operation, rc);
    if (rc == expected)
        return true;
    snprintf(play->wrong, sizeof(play->wrong), "%s: %d instead of %d", operation, rc, expected);
    return false;
}

/* ---- the bus ---- */

static bool behind(const char *hub, const char *path)
{
    const size_t n = strlen(hub);
    return strncmp(hub, path, n) == 0 && path[n] == '.';
}

/* What is there now, as the bus tells: only serials are believed, kinds are known. */
static void arrived(struct play *play, unsigned int at)
{
    struct hostbus_device device;
    int rc = hostbus_find(play->world->dir, model_places[at], &device);
    world_check(rc == 0, model_places[at], rc);
    play->model.device[at] = (struct model_device){
        .there = true,
        .hub = device.device_class == DEVICE_HUB_CLASS,
        .fast = device.speed != USBIF_SPEED_LOW && device.speed != USBIF_SPEED_FULL,
        .faster = device.speed == DEVICE_SPEED_SUPER || strcmp(device.kind, "zero") == 0,
        .bus = device.bus,
        .address = device.address,
        .serial = device.serial,
        .vendor = device.vendor,
        .product = device.product};
}

/* 0, or why nothing can be plugged in there. */
static int can_arrive(const struct play *play, unsigned int at)
{
    const struct model_device *hub = &play->model.device[model_place("2-2")];
    if (play->model.device[at].there)
        return -EEXIST;
    return behind("2-2", model_places[at]) && hub->there && !hub->hub ? -ENOTDIR : 0;
}

static void hub_arrived(struct play *play, unsigned int at)
{
    const unsigned int hub = model_place("2-2");
    if (behind("2-2", model_places[at]) && !play->model.device[hub].there)
        arrived(play, hub);
}

static bool plug(struct play *play)
{
    char text[96];
    char error[HOSTBUS_ERROR_MAX];
    const unsigned int at = play_random(play, MODEL_PLACES);
    const unsigned int kind = play_random(play, COUNT(kinds));
    const int expected = can_arrive(play, at);
    const int rc = hostbus_plug(play->world->dir, model_places[at], kinds[kind], NULL, error);
    play->model.list_age = 0;
    snprintf(text, sizeof(text), "bus plug %s %s", model_places[at], kinds[kind]);
    if (!rc && !expected) {
        arrived(play, at);
        hub_arrived(play, at);
    }
    return play_expect(play, rc, expected, text);
}

static void left(struct play *play, const char *path)
{
    for (unsigned int i = 0; i < MODEL_PLACES; i++) {
        if (strcmp(path, model_places[i]) == 0 || behind(path, model_places[i]))
            play->model.device[i].there = false;
    }
}

static bool unplug(struct play *play)
{
    char text[96];
    char error[HOSTBUS_ERROR_MAX];
    const unsigned int i = play_random(play, MODEL_PLACES + COUNT(inner_hubs));
    const char *path = i < MODEL_PLACES ? model_places[i] : inner_hubs[i - MODEL_PLACES];
    const unsigned int at = model_place(path);
    int rc = hostbus_unplug(play->world->dir, path, error);
    play->model.list_age = 0;
    snprintf(text, sizeof(text), "bus unplug %s", path);
    if (at == MODEL_PLACES && rc == -ENODEV)
        rc = 0; /* whether such a hub is there is not modelled */
    const int expected = at == MODEL_PLACES || play->model.device[at].there ? 0 : -ENODEV;
    left(play, path);
    return play_expect(play, rc, expected, text);
}

static bool move(struct play *play)
{
    char text[96];
    char error[HOSTBUS_ERROR_MAX];
    const unsigned int from = play_random(play, MODEL_PLACES);
    const unsigned int to = play_random(play, 4) == 0 ? from : play_random(play, MODEL_PLACES);
    const struct model_device old = play->model.device[from];
    int expected = !old.there ? -ENODEV : old.hub ? -EISDIR : from == to ? 0 : can_arrive(play, to);
    const int rc = hostbus_move(play->world->dir, model_places[from], model_places[to], error);
    play->model.list_age = 0;
    snprintf(text, sizeof(text), "bus move %s %s", model_places[from], model_places[to]);
    if (!rc && !expected) {
        left(play, model_places[from]);
        arrived(play, to);
        hub_arrived(play, to);
    }
    return play_expect(play, rc, expected, text);
}

/* ---- ports ---- */

unsigned int play_some_guest(struct play *play)
{
    unsigned int g = play_random(play, MODEL_GUESTS);
    for (unsigned int i = 0; i < 3 && !play->model.guest[g].there; i++)
        g = play_random(play, MODEL_GUESTS);
    return g;
}

static unsigned int some_controller(struct play *play, unsigned int g)
{
    const struct model_controller *c = &play->model.guest[g].controller[play_random(play, MODEL_CONTROLLERS)];
    return c->there ? c->devid : play_random(play, MODEL_CONTROLLERS);
}

static struct model_controller *controller_of(struct play *play, unsigned int g, unsigned int devid)
{
    struct model_controller *list = play->model.guest[g].controller;
    for (unsigned int i = 0; i < MODEL_CONTROLLERS; i++) {
        if (list[i].there && list[i].devid == devid)
            return &list[i];
    }
    return NULL;
}

static int can_attach(struct play *play, struct model_controller *c, unsigned int port, unsigned int at,
                      unsigned int *chosen)
{
    const struct model_device *device = &play->model.device[at];
    if (device->there && device->hub)
        return -EACCES;
    if (!c)
        return -ENODEV;
    if (model_holder(&play->model, model_places[at]) || model_owned(&play->model, model_places[at]))
        return -EBUSY;
    if (port != STORE_ANY && port > c->ports)
        return -ENOENT;
    if (device->there && device->fast && c->version == USB_VER_USB11)
        return -EPROTOTYPE;
    for (unsigned int p = 1; p <= c->ports; p++) {
        if ((port == STORE_ANY || port == p) && !c->port[p].busid[0]) {
            *chosen = p;
            return 0;
        }
    }
    return -EBUSY;
}

static bool attach_to(struct play *play, unsigned int g, unsigned int devid, unsigned int port,
                      unsigned int at)
{
    char text[96];
    char error[TOOL_ERROR_MAX];
    unsigned int chosen = 0;
    struct model_controller *c = controller_of(play, g, devid);
    struct attach attach = {.xen = play->world->dom0,
                            .dir = play->world->dir,
                            .port = {.port = port, .guest = "guest", .xl = play_random(play, 2)}};
    attach.port.c.frontend = play->world->guest[g].domain.domid;
    attach.port.c.devid = devid;
    snprintf(attach.port.busid, sizeof(attach.port.busid), "%s", model_places[at]);
    const int expected = can_attach(play, c, port, at, &chosen);
    const int rc = attach_device(&attach, error);
    snprintf(text, sizeof(text), "attach %s to guest_%u controller %u port %d", model_places[at], g, devid,
             (int)port);
    if (!rc && !expected) {
        c->port[chosen].given = ++play->model.count;
        if (!play->settled)
            c->port[chosen].life = 0; /* who has not looked meanwhile need not see that it was away */
        snprintf(c->port[chosen].busid, sizeof(c->port[chosen].busid), "%s", model_places[at]);
    }
    return play_expect(play, rc, expected, text);
}

static bool attach(struct play *play)
{
    const unsigned int g = play_some_guest(play);
    const unsigned int devid = some_controller(play, g);
    const unsigned int port = play_random(play, 3) == 0 ? STORE_ANY : 1 + play_random(play, MODEL_PORTS);
    unsigned int at = play_random(play, MODEL_PLACES);
    if (!play->model.device[at].there)
        at = play_random(play, MODEL_PLACES);
    return !play->model.guest[g].there || attach_to(play, g, devid, port, at);
}

static bool detach_from(struct play *play, unsigned int g, unsigned int devid, unsigned int port)
{
    char text[96];
    char error[TOOL_ERROR_MAX];
    struct model_controller *c = controller_of(play, g, devid);
    struct attach attach = {.xen = play->world->dom0, .port = {.port = port, .guest = "guest"}};
    attach.port.c.frontend = play->world->guest[g].domain.domid;
    attach.port.c.devid = devid;
    const int expected = !c ? -ENODEV : port > c->ports ? -ENOENT : !c->port[port].busid[0] ? -ENXIO : 0;
    const int rc = attach_detach(&attach, error);
    snprintf(text, sizeof(text), "detach guest_%u controller %u port %u", g, devid, port);
    if (!expected)
        c->port[port].busid[0] = '\0';
    return play_expect(play, rc, expected, text);
}

static bool detach(struct play *play)
{
    const unsigned int g = play_some_guest(play);
    const unsigned int devid = some_controller(play, g);
    const unsigned int port = 1 + play_random(play, MODEL_PORTS);
    return !play->model.guest[g].there || detach_from(play, g, devid, port);
}

/* From one guest to another at once. */
static bool pass_on(struct play *play)
{
    const unsigned int from = play_some_guest(play);
    const unsigned int to = play_some_guest(play);
    const struct model_controller *c =
        &play->model.guest[from].controller[play_random(play, MODEL_CONTROLLERS)];
    const unsigned int port = 1 + play_random(play, MODEL_PORTS);
    const unsigned int at = c->there && port <= c->ports ? model_place(c->port[port].busid) : MODEL_PLACES;
    if (at == MODEL_PLACES || !play->model.guest[to].there)
        return true;
    play->settled = false;
    return detach_from(play, from, c->devid, port) &&
           attach_to(play, to, some_controller(play, to), STORE_ANY, at);
}

/* ---- controllers ---- */

static bool create_controller(struct play *play)
{
    char text[96];
    char error[TOOL_ERROR_MAX];
    const unsigned int g = play_some_guest(play);
    struct model_controller *list = play->model.guest[g].controller;
    unsigned int i = 0;
    struct vusb_controller made = {.kind = "qusb",
                                   .usb_ver = 1 + (play_random(play, 3) > 0),
                                   .num_ports = 1 + play_random(play, MODEL_PORTS)};
    while (i < MODEL_CONTROLLERS && list[i].there)
        i++;
    if (!play->model.guest[g].there || i == MODEL_CONTROLLERS)
        return true;
    unsigned int next = 0; /* behind the highest */
    for (unsigned int k = 0; k < MODEL_CONTROLLERS; k++)
        next = list[k].there && list[k].devid >= next ? list[k].devid + 1 : next;
    made.frontend = play->world->guest[g].domain.domid;
    const int rc = tstore_add_controller(play->world->dom0, &made, NULL, error);
    snprintf(text, sizeof(text), "create controller %u of guest_%u, USB %u, %u ports", next, g, made.usb_ver,
             made.num_ports);
    list[i] = (struct model_controller){.there = true,
                                        .devid = next,
                                        .version = made.usb_ver,
                                        .ports = made.num_ports,
                                        .made = ++play->model.count};
    return play_expect(play, rc, 0, text) &&
           play_expect(play, (int)made.devid, (int)next, "number of the controller");
}

/* Asked to close, with time to do so or without, and removed. */
static bool destroy_controller(struct play *play)
{
    char text[96];
    char error[TOOL_ERROR_MAX];
    const unsigned int g = play_random(play, MODEL_GUESTS);
    struct model_controller *c = controller_of(play, g, play_random(play, MODEL_CONTROLLERS));
    const unsigned int rounds = play_random(play, 12);
    if (!c)
        return true;
    struct vusb_controller controller = {
        .kind = "qusb", .devid = c->devid, .usb_ver = c->version, .num_ports = c->ports};
    controller.frontend = play->world->guest[g].domain.domid;
    snprintf(text, sizeof(text), "destroy controller %u of guest_%u after %u rounds", c->devid, g, rounds);
    int rc = tstore_close_controller(play->world->dom0, &controller, error);
    world_run(play->world, rounds);
    if (!rc)
        rc = tstore_remove_controller(play->world->dom0, &controller);
    c->there = false;
    return play_expect(play, rc, 0, text);
}

/* ---- guests and the backend ---- */

static void forget_numbers(struct model_guest *guest)
{
    for (unsigned int c = 0; c < MODEL_CONTROLLERS; c++) {
        for (unsigned int p = 0; p <= MODEL_PORTS; p++)
            guest->controller[c].port[p].life = 0;
    }
    for (unsigned int p = 1; p <= EMULATED_PORTS; p++)
        guest->emulated[p].port.life = 0;
}

static bool create_guest(struct play *play)
{
    const unsigned int g = play_random(play, MODEL_GUESTS);
    struct model_guest *guest = &play->model.guest[g];
    if (guest->there)
        return true;
    world_note(play->world, "create guest_%u", g);
    world_create_older_guest(play->world, g, MODEL_HVM(g));
    *guest =
        (struct model_guest){.there = true, .runs = true, .hvm = MODEL_HVM(g), .life = ++play->model.count};
    return true;
}

static bool destroy_guest(struct play *play)
{
    const unsigned int g = play_random(play, MODEL_GUESTS);
    world_note(play->world, "destroy guest_%u", g);
    world_destroy_guest(play->world, g);
    play->model.guest[g] = (struct model_guest){.there = false};
    for (unsigned int bus = 1; bus <= MODEL_BUSES; bus++)
        play->model.owner[bus] = play->model.owner[bus] == g + 1 ? 0 : play->model.owner[bus];
    return true;
}

static void process_changed(struct play *play, unsigned int g, bool runs)
{
    struct model_guest *guest = &play->model.guest[g];
    world_note(play->world, "%s the process of guest_%u", runs ? "start" : "kill", g);
    guest->runs = runs;
    guest->life = ++play->model.count;
    forget_numbers(guest);
    for (unsigned int bus = 1; bus <= MODEL_BUSES; bus++) {
        if (play->model.owner[bus] == g + 1)
            play_forget_bus(play, bus);
    }
}

static bool kill_process(struct play *play)
{
    const unsigned int g = play_some_guest(play);
    if (!play->model.guest[g].runs)
        return true;
    world_kill_process(play->world, g);
    process_changed(play, g, false);
    return true;
}

static void start_backend(struct play *play)
{
    world_note(play->world, "start the backend");
    world_start_backend(play->world);
    play->model.backend = true;
    play->model.backend_life = ++play->model.count;
}

/* It may stay away for a while. */
static bool end_backend(struct play *play)
{
    const bool killed = play_random(play, 2);
    if (!play->model.backend)
        return true;
    world_note(play->world, "%s the backend", killed ? "kill" : "end");
    world_end_backend(play->world, killed);
    play->model.backend = false;
    if (play_random(play, 2))
        return true;
    world_run(play->world, play_random(play, 3));
    start_backend(play);
    return true;
}

/* Whoever is not there comes again. */
static bool start_again(struct play *play)
{
    if (!play->model.backend) {
        start_backend(play);
        return true;
    }
    for (unsigned int g = 0; g < MODEL_GUESTS; g++) {
        if (!play->model.guest[g].there || play->model.guest[g].runs)
            continue;
        world_start_process(play->world, g);
        process_changed(play, g, true);
        return true;
    }
    return true;
}

bool play_operation(struct play *play)
{
    static const struct {
        bool (*operation)(struct play *play);
        unsigned int weight;
    } table[] = {{plug, 16},
                 {unplug, 4},
                 {move, 8},
                 {attach, 19},
                 {pass_on, 4},
                 {detach, 6},
                 {play_usb_add, 5},
                 {play_usb_del, 2},
                 {play_pci, 3},
                 {create_controller, 9},
                 {destroy_controller, 2},
                 {create_guest, 6},
                 {destroy_guest, 1},
                 {kill_process, 2},
                 {end_backend, 3},
                 {start_again, 10}};
    unsigned int at = play_random(play, 100);
    for (unsigned int i = 0; i < COUNT(table); i++) {
        if (at < table[i].weight)
            return table[i].operation(play);
        at -= table[i].weight;
    }
    return true;
}

void play_end(struct play *play)
{
    char error[HOSTBUS_ERROR_MAX];
    for (unsigned int g = 0; g < MODEL_GUESTS; g++)
        world_destroy_guest(play->world, g);
    world_run(play->world, 3);
    for (unsigned int i = MODEL_PLACES; i-- > 0;)
        (void)hostbus_unplug(play->world->dir, model_places[i], error);
    for (unsigned int i = 0; i < COUNT(inner_hubs); i++)
        (void)hostbus_unplug(play->world->dir, inner_hubs[i], error);
    world_run(play->world, 3);
    world_end_backend(play->world, false);
}
