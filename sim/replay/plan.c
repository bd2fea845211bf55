// SPDX-License-Identifier: MIT
#include "replay/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

#include "replay/private.h"

/* What a frontend has on its ring at most, by class; it keeps one more slot for an unlink (rule RING-12). */
#define IN_MAX      12u
#define OUT_MAX     13u
#define CONTROL_MAX 14u

enum urb_state { WAITING, DEFERRED, IN_FLIGHT, PARKED, DONE };

struct builder {
    struct plan *plan;
    uint32_t steps_size;
    uint8_t *state;       /* enum urb_state of each URB */
    uint32_t *completion; /* position of each URB's C, UINT32_MAX for none */
    uint32_t *next;       /* deferred URBs of a controller, by index */
    uint32_t *first;      /* per controller; UINT32_MAX ends a list */
    unsigned int *total;  /* in flight, per controller */
    unsigned int *in;     /* of those, IN requests of data endpoints */
    bool *plugged;        /* per device */
    bool *addressed;
};

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

static const struct trace_urb *trace_of(const struct builder *b, uint32_t u)
{
    return &b->plan->trace->urbs[u];
}

static unsigned int controller_of(const struct builder *b, uint32_t u)
{
    return b->plan->device[b->plan->urb[u].device].controller;
}

static bool is_data_in(const struct trace_urb *urb)
{
    return urb->type != USBIF_PIPE_TYPE_CTRL && urb->in;
}

static bool has_room(const struct builder *b, uint32_t u)
{
    unsigned int c = controller_of(b, u);
    const struct trace_urb *urb = trace_of(b, u);
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return b->total[c] < CONTROL_MAX;
    return b->total[c] < OUT_MAX && (!urb->in || b->in[c] < IN_MAX);
}

static void count(struct builder *b, uint32_t u, int change)
{
    unsigned int c = controller_of(b, u);
    b->total[c] = (unsigned int)((int)b->total[c] + change);
    if (is_data_in(trace_of(b, u)))
        b->in[c] = (unsigned int)((int)b->in[c] + change);
}

/* ---- steps ---- */

static int submit(struct builder *b, uint32_t u)
{
    struct plan_urb *urb = &b->plan->urb[u];
    uint32_t device = urb->device;
    int rc = 0;
    if (!b->plugged[device]) {
        b->plugged[device] = true;
        rc = emit(b, PLAN_PLUG, device);
    }
    if (urb->unseen) {
        b->addressed[device] = true;
    } else if (!rc && trace_of(b, u)->device != 0 && !b->addressed[device]) {
        b->addressed[device] = true;
        rc = emit(b, PLAN_ADDRESS, device);
    }
    b->state[u] = IN_FLIGHT;
    count(b, u, 1);
    return rc ? rc : emit(b, PLAN_SUBMIT, u);
}

static void defer(struct builder *b, uint32_t u)
{
    uint32_t *at = &b->first[controller_of(b, u)];
    while (*at != UINT32_MAX && *at < u)
        at = &b->next[*at];
    b->next[u] = *at;
    *at = u;
    b->state[u] = DEFERRED;
}

static void undefer(struct builder *b, uint32_t u)
{
    uint32_t *at = &b->first[controller_of(b, u)];
    while (*at != u)
        at = &b->next[*at];
    *at = b->next[u];
}

/* Takes the URB back whose completion is farthest away; one that never completes is not sent again. */
static int park_for(struct builder *b, uint32_t u)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t v = 0; v < b->plan->trace->nr_urbs; v++) {
        if (b->state[v] != IN_FLIGHT || controller_of(b, v) != controller_of(b, u) ||
            (is_data_in(trace_of(b, u)) && !is_data_in(trace_of(b, v)) && b->in[controller_of(b, u)] >= IN_MAX))
            continue;
        if (best == UINT32_MAX || b->completion[v] > b->completion[best])
            best = v;
    }
    if (best == UINT32_MAX)
        return -ENOSPC;
    count(b, best, -1);
    if (b->plan->urb[best].left_open)
        b->state[best] = PARKED;
    else
        defer(b, best);
    return emit(b, PLAN_PARK, best);
}

static int complete(struct builder *b, uint32_t u)
{
    int rc = 0;
    if (b->state[u] == DEFERRED) {
        undefer(b, u);
        while (!rc && !has_room(b, u))
            rc = park_for(b, u);
        if (!rc)
            rc = submit(b, u);
    }
    if (!rc && (b->plan->urb[u].left_open || trace_of(b, u)->status == -ENOENT ||
                trace_of(b, u)->status == -ECONNRESET))
        rc = emit(b, PLAN_UNLINK, u);
    if (!rc)
        rc = emit(b, PLAN_COMPLETE, u);
    b->state[u] = DONE;
    count(b, u, -1);

    uint32_t v = b->first[controller_of(b, u)];
    while (!rc && v != UINT32_MAX) {
        uint32_t after = b->next[v];
        if (has_room(b, v)) {
            undefer(b, v);
            rc = submit(b, v);
        }
        v = after;
    }
    return rc;
}

static int follow(struct builder *b, const struct trace_event *event)
{
    uint32_t u = event->urb;
    if (!b->plan->urb[u].replayed)
        return 0;
    if (event->what == 'S') {
        if (has_room(b, u) && b->first[controller_of(b, u)] == UINT32_MAX)
            return submit(b, u);
        defer(b, u);
        return 0;
    }
    return event->what == 'C' ? complete(b, u) : 0;
}

/* What is still open when the recording ends is taken back; what never got a slot was not replayed. */
static int finish(struct builder *b)
{
    int rc = 0;
    for (uint32_t u = 0; !rc && u < b->plan->trace->nr_urbs; u++) {
        if (b->state[u] == IN_FLIGHT)
            rc = complete(b, u);
        else if (b->state[u] == DEFERRED || (b->plan->urb[u].replayed && b->state[u] == WAITING))
            b->plan->urb[u].replayed = false;
    }
    return rc;
}

/* ---- building ---- */

static int builder_init(struct builder *b, struct plan *plan)
{
    uint32_t urbs = plan->trace->nr_urbs + 1;
    uint32_t devices = plan->nr_devices + 1;
    unsigned int controllers = plan->nr_controllers + 1;
    *b = (struct builder){.plan = plan};
    b->state = calloc(urbs, sizeof(*b->state));
    b->completion = malloc(urbs * sizeof(*b->completion));
    b->next = calloc(urbs, sizeof(*b->next));
    b->first = malloc(controllers * sizeof(*b->first));
    b->total = calloc(controllers, sizeof(*b->total));
    b->in = calloc(controllers, sizeof(*b->in));
    b->plugged = calloc(devices, sizeof(*b->plugged));
    b->addressed = calloc(devices, sizeof(*b->addressed));
    if (!b->state || !b->completion || !b->next || !b->first || !b->total || !b->in || !b->plugged || !b->addressed)
        return -ENOMEM;
    memset(b->completion, 0xff, urbs * sizeof(*b->completion));
    memset(b->first, 0xff, controllers * sizeof(*b->first));
    for (uint32_t i = 0; i < plan->trace->nr_order; i++) {
        if (plan->trace->order[i].what == 'C')
            b->completion[plan->trace->order[i].urb] = i;
    }
    return 0;
}

static void builder_dispose(struct builder *b)
{
    free(b->state);
    free(b->completion);
    free(b->next);
    free(b->first);
    free(b->total);
    free(b->in);
    free(b->plugged);
    free(b->addressed);
}

int plan_create(const struct trace *trace, struct plan *out)
{
    struct builder b = {0};
    struct plan plan = {.trace = trace};
    int rc = -ENOMEM;
    plan.urb = calloc(trace->nr_urbs ? trace->nr_urbs : 1, sizeof(*plan.urb));
    if (!plan.urb)
        goto out;
    for (uint32_t i = 0; i < trace->nr_urbs; i++)
        plan_classify(&trace->urbs[i], &plan.urb[i]);
    rc = plan_find_devices(&plan);
    if (rc)
        goto out;
    rc = builder_init(&b, &plan);
    if (rc)
        goto out;
    for (uint32_t i = 0; !rc && i < trace->nr_order; i++)
        rc = follow(&b, &trace->order[i]);
    if (!rc)
        rc = finish(&b);
out:
    builder_dispose(&b);
    if (rc)
        plan_dispose(&plan);
    else
        *out = plan;
    return rc;
}

void plan_dispose(struct plan *plan)
{
    free(plan->urb);
    free(plan->device);
    free(plan->bus);
    free(plan->step);
    *plan = (struct plan){0};
}
