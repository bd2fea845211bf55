// SPDX-License-Identifier: MIT
#include "replay/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

#include "replay/private.h"

#define NONE UINT32_MAX

/*
 * What is on a ring at most, by class; what a frontend keeps for an unlink (rule RING-12) and for a
 * SET_ADDRESS that is not in the recording is left free.
 */
#define DATA_MAX    13u
#define CONTROL_MAX 14u

/* Deferred URBs wait in one list for each, so that no endpoint is reordered without need. */
enum urb_class { CONTROL, ISO, DATA_OUT, DATA_IN, CLASSES };
static_assert(CLASSES == PLAN_CLASSES, "plan.h");

static const unsigned int slots_max[CLASSES] = {
    [CONTROL] = CONTROL_MAX, [ISO] = 10, [DATA_OUT] = 10, [DATA_IN] = 12};

enum urb_state { WAITING, DEFERRED, IN_FLIGHT, PARKED, DONE };

struct bus {
    struct plan_slots slots;
    uint32_t flying[CONTROL_MAX]; /* URBs, slots.total of them */
    uint32_t head[CLASSES];       /* of the deferred ones, by index */
    uint32_t tail[CLASSES];
    uint32_t owner[PVUSB_PORTS_MAX + 1]; /* device of each port; NONE */
};

struct link {
    uint32_t before;
    uint32_t after;
};

struct builder {
    struct plan *plan;
    uint32_t steps_size;
    uint8_t *state;       /* enum urb_state of each URB */
    uint32_t *completion; /* position of each URB's C, NONE */
    struct link *link;    /* of each URB, while it is deferred */
    struct bus bus[PLAN_CONTROLLERS_MAX];
    struct device {
        uint32_t left; /* URBs that are to be submitted or completed, without those that stay open */
        bool seen;
        bool plugged;
        bool addressed;
        bool last_unseen; /* its latest request was one that it does not see */
    } *device;
};

/* ---- slots ---- */

static enum urb_class class_of(const struct trace_urb *urb)
{
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return CONTROL;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        return ISO;
    return urb->in ? DATA_IN : DATA_OUT;
}

bool plan_slots_room(const struct plan_slots *slots, const struct trace_urb *urb)
{
    enum urb_class class = class_of(urb);
    return slots->total < (class == CONTROL ? CONTROL_MAX : DATA_MAX) && slots->held[class] < slots_max[class];
}

void plan_slots_take(struct plan_slots *slots, const struct trace_urb *urb)
{
    slots->total++;
    slots->held[class_of(urb)]++;
}

void plan_slots_give(struct plan_slots *slots, const struct trace_urb *urb)
{
    slots->total--;
    slots->held[class_of(urb)]--;
}

unsigned int plan_endpoint(uint8_t type, uint8_t endpoint, bool in)
{
    return type == USBIF_PIPE_TYPE_CTRL ? 0 : (endpoint & 15u) | (in ? 16u : 0u);
}

/* ---- small helpers ---- */

static const struct trace_urb *trace_of(const struct builder *b, uint32_t u)
{
    return &b->plan->trace->urbs[u];
}

static struct bus *bus_of(struct builder *b, uint32_t u)
{
    return &b->bus[b->plan->device[b->plan->urb[u].device].controller];
}

static bool has_room(struct builder *b, uint32_t u)
{
    return plan_slots_room(&bus_of(b, u)->slots, trace_of(b, u));
}

static int emit(struct builder *b, enum plan_what what, uint32_t index)
{
    struct plan *plan = b->plan;
    if (plan->nr_steps == b->steps_size) {
        uint32_t size = b->steps_size ? b->steps_size * 2 : 256;
        struct plan_step *grown = realloc(plan->step, size * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        plan->step = grown;
        b->steps_size = size;
    }
    plan->step[plan->nr_steps++] = (struct plan_step){.what = what, .index = index};
    return 0;
}

static void take_off(struct builder *b, uint32_t u)
{
    struct bus *bus = bus_of(b, u);
    unsigned int i = 0;
    while (bus->flying[i] != u)
        i++;
    plan_slots_give(&bus->slots, trace_of(b, u));
    bus->flying[i] = bus->flying[bus->slots.total];
}

static void defer(struct builder *b, uint32_t u)
{
    struct bus *bus = bus_of(b, u);
    enum urb_class class = class_of(trace_of(b, u));
    uint32_t before = bus->tail[class];
    if (before != NONE && before > u) { /* one that was parked: it belongs near the head */
        uint32_t after = bus->head[class];
        while (after < u)
            after = b->link[after].after;
        before = b->link[after].before;
    }
    uint32_t *to_me = before == NONE ? &bus->head[class] : &b->link[before].after;
    uint32_t *back_to_me = *to_me == NONE ? &bus->tail[class] : &b->link[*to_me].before;
    b->link[u] = (struct link){.before = before, .after = *to_me};
    *to_me = u;
    *back_to_me = u;
    b->state[u] = DEFERRED;
}

static void undefer(struct builder *b, uint32_t u)
{
    struct bus *bus = bus_of(b, u);
    enum urb_class class = class_of(trace_of(b, u));
    struct link link = b->link[u];
    *(link.before == NONE ? &bus->head[class] : &b->link[link.before].after) = link.after;
    *(link.after == NONE ? &bus->tail[class] : &b->link[link.after].before) = link.before;
    b->state[u] = WAITING;
}

/* ---- steps ---- */

static int submit(struct builder *b, uint32_t u)
{
    struct bus *bus = bus_of(b, u);
    const struct plan_urb *urb = &b->plan->urb[u];
    struct device *device = &b->device[urb->device];
    int rc = device->plugged ? 0 : emit(b, PLAN_PLUG, urb->device);
    if (!rc && trace_of(b, u)->device != 0 && !device->addressed)
        rc = emit(b, PLAN_ADDRESS, urb->device);
    device->plugged = true;
    device->addressed = device->addressed || urb->unseen || trace_of(b, u)->device != 0;
    device->last_unseen = urb->unseen;
    bus->flying[bus->slots.total] = u;
    plan_slots_take(&bus->slots, trace_of(b, u));
    b->state[u] = IN_FLIGHT;
    return rc ? rc : emit(b, PLAN_SUBMIT, u);
}

/* Takes the URB back whose completion is farthest away; one that never completes is not sent again. */
static int park_for(struct builder *b, uint32_t u)
{
    struct bus *bus = bus_of(b, u);
    enum urb_class class = class_of(trace_of(b, u));
    bool same_only = bus->slots.held[class] >= slots_max[class];
    uint32_t best = NONE;
    for (unsigned int i = 0; i < bus->slots.total; i++) {
        uint32_t v = bus->flying[i];
        if (same_only && class_of(trace_of(b, v)) != class)
            continue;
        if (best == NONE || b->completion[v] > b->completion[best] ||
            (b->completion[v] == b->completion[best] && v > best))
            best = v;
    }
    take_off(b, best);
    if (b->completion[best] == NONE)
        b->state[best] = PARKED;
    else
        defer(b, best);
    return emit(b, PLAN_PARK, best);
}

static int make_room(struct builder *b, uint32_t u)
{
    int rc = 0;
    while (!rc && !has_room(b, u))
        rc = park_for(b, u);
    return rc;
}

/* Submits what has waited for a slot, in order of the recording. */
static int submit_deferred(struct builder *b, struct bus *bus)
{
    int rc = 0;
    while (!rc) {
        uint32_t u = NONE;
        for (unsigned int class = 0; class < CLASSES; class++) {
            uint32_t head = bus->head[class];
            if (head != NONE && head < u && has_room(b, head))
                u = head;
        }
        if (u == NONE)
            break;
        undefer(b, u);
        rc = submit(b, u);
    }
    return rc;
}

static bool is_unlinked(const struct builder *b, uint32_t u)
{
    int32_t status = trace_of(b, u)->status;
    return b->plan->urb[u].left_open || status == -ENOENT || status == -ECONNRESET;
}

static int complete(struct builder *b, uint32_t u)
{
    int rc = 0;
    if (b->state[u] == DEFERRED) {
        undefer(b, u);
        rc = make_room(b, u);
        if (!rc)
            rc = submit(b, u);
    }
    if (!rc && is_unlinked(b, u))
        rc = emit(b, PLAN_UNLINK, u);
    if (!rc)
        rc = emit(b, PLAN_COMPLETE, u);
    take_off(b, u);
    b->state[u] = DONE;
    if (b->completion[u] != NONE)
        b->device[b->plan->urb[u].device].left--;
    return rc ? rc : submit_deferred(b, bus_of(b, u));
}

/* ---- ports ---- */

/* Ends what only the end of the recording would have ended, and lets the device go. */
static int unplug(struct builder *b, uint32_t device)
{
    struct bus *bus = &b->bus[b->plan->device[device].controller];
    int rc = 0;
    for (unsigned int class = 0; class < CLASSES; class++) {
        for (uint32_t u = bus->head[class]; u != NONE;) {
            uint32_t after = b->link[u].after;
            if (b->plan->urb[u].device == device) {
                undefer(b, u);
                b->plan->urb[u].replayed = false;
            }
            u = after;
        }
    }
    for (unsigned int i = 0; !rc && i < bus->slots.total;) {
        if (b->plan->urb[bus->flying[i]].device != device) {
            i++;
            continue;
        }
        rc = complete(b, bus->flying[i]);
        i = 0; /* others may have moved in */
    }
    return rc || !b->device[device].plugged ? rc : emit(b, PLAN_UNPLUG, device);
}

/*
 * A port that nobody had, else one of a device that has no URB left. 0 for none. A device that does not see its
 * last request cannot know when to go.
 */
static unsigned int find_port(const struct builder *b, const struct bus *bus)
{
    for (unsigned int port = 1; port <= PVUSB_PORTS_MAX; port++) {
        if (bus->owner[port] == NONE)
            return port;
    }
    for (unsigned int port = 1; b->plan->backend == PLAN_OURS && port <= PVUSB_PORTS_MAX; port++) {
        const struct device *owner = &b->device[bus->owner[port]];
        if (owner->left == 0 && !owner->last_unseen)
            return port;
    }
    return 0;
}

static int add_controller(struct builder *b, uint16_t bus, uint16_t nth)
{
    struct plan *plan = b->plan;
    if (plan->nr_controllers == PLAN_CONTROLLERS_MAX)
        return -ENOSPC;
    plan->controller[plan->nr_controllers++] = (struct plan_controller){.bus = bus, .nth = nth};
    if (plan->backend == PLAN_QEMU)
        plan->controller[plan->nr_controllers - 1].usbfs = (uint16_t)plan->nr_controllers;
    return 0;
}

/* Gives a device its place; without one its port stays 0. */
static int place(struct builder *b, uint32_t index)
{
    struct plan *plan = b->plan;
    struct plan_device *device = &plan->device[index];
    uint16_t nth = 0;
    int rc = 0;
    for (unsigned int c = 0; !rc; c++) {
        if (c == plan->nr_controllers && add_controller(b, device->bus, nth))
            return 0;
        if (plan->controller[c].bus != device->bus)
            continue;
        nth++;
        struct bus *bus = &b->bus[c];
        unsigned int port = find_port(b, bus);
        if (port == 0)
            continue;
        if (bus->owner[port] != NONE)
            rc = unplug(b, bus->owner[port]);
        bus->owner[port] = index;
        device->controller = c;
        device->port = (uint8_t)port;
        if (plan->controller[c].nr_ports < port)
            plan->controller[c].nr_ports = (uint8_t)port;
        break;
    }
    return rc;
}

/* ---- following the recording ---- */

/* The backend answers SET_ADDRESS by itself, at once. */
static int submit_unseen(struct builder *b, uint32_t u)
{
    int rc = make_room(b, u);
    if (!rc)
        rc = submit(b, u);
    return rc ? rc : complete(b, u);
}

static int follow_submission(struct builder *b, uint32_t u)
{
    struct plan_urb *urb = &b->plan->urb[u];
    struct device *device = &b->device[urb->device];
    int rc = 0;
    if (!device->seen) {
        device->seen = true;
        rc = place(b, urb->device);
    }
    if (rc)
        return rc;
    if (b->completion[u] == NONE)
        device->left--;
    if (b->plan->device[urb->device].port == 0) {
        urb->replayed = false;
        urb->reason = REPLAY_NO_PORT;
        return 0;
    }
    if (urb->unseen)
        return submit_unseen(b, u);
    if (has_room(b, u)) /* then none of its class is deferred */
        return submit(b, u);
    defer(b, u);
    return 0;
}

static int follow(struct builder *b, const struct trace_event *event)
{
    uint32_t u = event->urb;
    if (!b->plan->urb[u].replayed)
        return 0;
    if (event->what == 'S')
        return follow_submission(b, u);
    return event->what == 'C' && b->state[u] != DONE ? complete(b, u) : 0;
}

/* What is still open when the recording ends is taken back; what never got a slot was not replayed. */
static int finish(struct builder *b)
{
    int rc = 0;
    for (uint32_t u = 0; u < b->plan->trace->nr_urbs; u++) {
        if (b->state[u] != DEFERRED)
            continue;
        undefer(b, u);
        b->plan->urb[u].replayed = false;
    }
    for (uint32_t u = 0; !rc && u < b->plan->trace->nr_urbs; u++) {
        if (b->state[u] == IN_FLIGHT)
            rc = complete(b, u);
    }
    return rc;
}

/* ---- building ---- */

static int builder_init(struct builder *b, struct plan *plan)
{
    uint32_t urbs = plan->trace->nr_urbs + 1;
    b->plan = plan;
    b->state = calloc(urbs, sizeof(*b->state));
    b->completion = malloc(urbs * sizeof(*b->completion));
    b->link = malloc(urbs * sizeof(*b->link));
    b->device = calloc(plan->nr_devices + 1, sizeof(*b->device));
    if (!b->state || !b->completion || !b->link || !b->device)
        return -ENOMEM;
    memset(b->completion, 0xff, urbs * sizeof(*b->completion));
    for (unsigned int c = 0; c < PLAN_CONTROLLERS_MAX; c++) {
        memset(b->bus[c].head, 0xff, sizeof(b->bus[c].head));
        memset(b->bus[c].tail, 0xff, sizeof(b->bus[c].tail));
        memset(b->bus[c].owner, 0xff, sizeof(b->bus[c].owner));
    }
    for (uint32_t i = 0; i < plan->trace->nr_order; i++) {
        const struct trace_event *event = &plan->trace->order[i];
        if (event->what == 'C')
            b->completion[event->urb] = i;
        if (event->what == 'S' && plan->urb[event->urb].replayed)
            b->device[plan->urb[event->urb].device].left++;
    }
    return 0;
}

static void builder_destroy(struct builder *b)
{
    if (!b)
        return;
    free(b->state);
    free(b->completion);
    free(b->link);
    free(b->device);
    free(b);
}

int plan_create_for(const struct trace *trace, enum plan_backend backend, struct plan *out)
{
    struct builder *b = calloc(1, sizeof(*b));
    struct plan plan = {.trace = trace, .backend = backend};
    int rc = -ENOMEM;
    plan.urb = calloc(trace->nr_urbs ? trace->nr_urbs : 1, sizeof(*plan.urb));
    if (!b || !plan.urb)
        goto out;
    for (uint32_t i = 0; i < trace->nr_urbs; i++)
        plan_classify(&trace->urbs[i], &plan.urb[i]);
    rc = plan_find_devices(&plan);
    if (!rc && backend == PLAN_QEMU)
        rc = plan_limit_to_qemu(&plan);
    if (rc)
        goto out;
    rc = builder_init(b, &plan);
    for (uint32_t i = 0; !rc && i < trace->nr_order; i++)
        rc = follow(b, &trace->order[i]);
    if (!rc)
        rc = finish(b);
out:
    builder_destroy(b);
    if (rc)
        plan_dispose(&plan);
    else
        *out = plan;
    return rc;
}

int plan_create(const struct trace *trace, struct plan *out)
{
    return plan_create_for(trace, PLAN_OURS, out);
}

void plan_dispose(struct plan *plan)
{
    free(plan->urb);
    free(plan->device);
    free(plan->step);
    *plan = (struct plan){0};
}
