// SPDX-License-Identifier: MIT
#include "replay/player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURE_POWER = 8, FEATURE_C_CONNECTION = 16 };

struct player_urb {
    struct hcd_urb urb;
    struct player *player;
    void *buffer;
    size_t size;
    bool busy;    /* at the controller */
    bool done;    /* returned for good */
    bool late;    /* endpoint match: its turn to complete has passed */
    bool parking;
    bool unlinked; /* for good */
};

struct player_device {
    bool powered; /* its port has been switched on */
    uint8_t controls; /* control URBs at the controller */
    uint8_t late[PLAN_ENDPOINTS]; /* URBs of each endpoint; no more than a ring has slots */
};

struct player {
    const struct plan *plan;
    enum replay_match match;
    struct hcd *const *controllers;
    struct replay_results *results;
    struct player_urb *urb;
    struct player_device *device;
    struct plan_slots slots[PLAN_CONTROLLERS_MAX];
    uint32_t busy; /* URBs at the controllers */
    uint32_t at;
    bool stopped;
    struct player_urb address; /* the requests of a PLAN_ADDRESS step */
    bool configuring;          /* the second of them */
    uint64_t now_ns;
};

static const struct trace_urb *trace_of(const struct player *player, uint32_t u)
{
    return &player->plan->trace->urbs[u];
}

/* ---- buffers ---- */

/*
 * Buffers lie at different offsets of their pages, as those of drivers do; only the largest need
 * a page's beginning (rule SEG-04).
 */
static uint32_t offset_for(uint32_t u, uint32_t length)
{
    uint32_t most = (PVUSB_SEGMENTS_MAX - 1) * PVUSB_PAGE_SIZE;
    return length > most - PVUSB_PAGE_SIZE ? 0 : u * 89 % PVUSB_PAGE_SIZE;
}

static int take_buffer(struct player_urb *p, struct hcd *hcd, uint32_t u, const struct trace_urb *recorded)
{
    uint32_t offset = offset_for(u, recorded->length);
    if (recorded->length == 0)
        return 0;
    p->size = offset + recorded->length;
    int rc = hcd->ops->buffer_alloc(hcd, p->size, &p->buffer);
    if (rc)
        return rc;
    p->urb.buffer = (uint8_t *)p->buffer + offset;
    if (!recorded->in && recorded->out_captured > 0)
        memcpy(p->urb.buffer, recorded->out, recorded->out_captured);
    return 0;
}

static void drop_buffer(struct player_urb *p, struct hcd *hcd)
{
    if (p->buffer)
        hcd->ops->buffer_free(hcd, p->buffer, p->size);
    free(p->urb.packets);
    p->buffer = NULL;
    p->urb.buffer = NULL;
    p->urb.packets = NULL;
}

static struct hcd *controller_of(const struct player *player, uint32_t device)
{
    return player->controllers[player->plan->device[device].controller];
}

/* ---- comparing ---- */

static void check_in_data(struct replay_side *side, const struct hcd_urb *got, const struct trace_urb *recorded)
{
    if (got->type != USBIF_PIPE_TYPE_ISOC) {
        uint32_t n = recorded->actual < recorded->in_captured ? recorded->actual : recorded->in_captured;
        if (n > got->length)
            n = got->length;
        if (n > 0)
            replay_compare_data(side, FIELD_IN_DATA, got->buffer, recorded->in_data, 0, n);
        return;
    }
    for (unsigned int i = 0; i < recorded->nr_iso_c && i < got->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &recorded->iso_c[i];
        if (packet->actual_length == 0 || packet->offset > recorded->in_captured ||
            packet->actual_length > recorded->in_captured - packet->offset || packet->offset > got->length ||
            packet->actual_length > got->length - packet->offset)
            continue;
        replay_compare_data(side, FIELD_IN_DATA, (const uint8_t *)got->buffer + packet->offset,
                            recorded->in_data + packet->offset, packet->offset, packet->actual_length);
    }
}

static void check_iso(struct replay_side *side, const struct hcd_urb *got, const struct trace_urb *recorded)
{
    for (unsigned int i = 0; i < got->nr_packets && i < recorded->nr_iso_c; i++) {
        if (got->packets[i].actual_length != recorded->iso_c[i].actual_length ||
            got->packets[i].status != recorded->iso_c[i].status)
            replay_differ_packet(side, FIELD_ISO_RESULTS, i, &got->packets[i]);
    }
    if (got->error_count != recorded->error_count)
        replay_differ(side, FIELD_ERROR_COUNT, got->error_count);
    if (got->start_frame != (uint16_t)recorded->start_frame)
        replay_differ(side, FIELD_START_FRAME, got->start_frame);
}

/* What a frontend does not give back as recorded is not held against it. */
static void check_result(struct player *player, uint32_t u, const struct hcd_urb *got)
{
    const struct trace_urb *recorded = trace_of(player, u);
    const struct plan_urb *plan = &player->plan->urb[u];
    struct replay_side *side = &player->results->difference[u].guest;
    if (plan->left_open)
        return;
    if (plan->status <= 0 && got->status != plan->status)
        replay_differ(side, FIELD_STATUS, got->status);
    if (got->actual != plan->actual)
        replay_differ(side, FIELD_ACTUAL, got->actual);
    if (got->in && recorded->in_data)
        check_in_data(side, got, recorded);
    if (got->type == USBIF_PIPE_TYPE_ISOC && !plan->packets_cut)
        check_iso(side, got, recorded);
}

static struct plan_slots *slots_of(struct player *player, uint32_t u)
{
    return &player->slots[player->plan->device[player->plan->urb[u].device].controller];
}

static void count_control(struct player *player, uint32_t u, int change)
{
    struct player_device *device = &player->device[player->plan->urb[u].device];
    if (trace_of(player, u)->type == USBIF_PIPE_TYPE_CTRL)
        device->controls = (uint8_t)(device->controls + change);
}

/* The count of late URBs on its endpoint. */
static uint8_t *late_of(struct player *player, uint32_t u)
{
    const struct trace_urb *recorded = trace_of(player, u);
    struct player_device *device = &player->device[player->plan->urb[u].device];
    return &device->late[plan_endpoint(recorded->type, recorded->endpoint, recorded->in)];
}

static void finish(struct player *player, uint32_t u)
{
    struct player_urb *p = &player->urb[u];
    p->done = true;
    if (p->late)
        --*late_of(player, u);
    p->late = false;
}

static void returned(struct hcd_urb *urb)
{
    struct player_urb *p = urb->context;
    struct player *player = p->player;
    p->busy = false;
    player->busy--;
    if (p == &player->address)
        return;
    uint32_t u = (uint32_t)(p - player->urb);
    plan_slots_give(slots_of(player, u), trace_of(player, u));
    count_control(player, u, -1);
    if (!player->stopped && (!p->parking || urb->status == 0)) {
        check_result(player, u, urb);
        player->results->mark[u].returned = true;
        finish(player, u);
    }
    drop_buffer(p, controller_of(player, player->plan->urb[u].device));
}

/* ---- steps ---- */

static void fill_urb(struct player *player, struct hcd_urb *urb, uint32_t u)
{
    const struct trace_urb *recorded = trace_of(player, u);
    const struct plan_urb *plan = &player->plan->urb[u];
    *urb = (struct hcd_urb){
        .port = player->plan->device[plan->device].port,
        .device = recorded->device,
        .endpoint = recorded->endpoint,
        .type = recorded->type,
        .in = recorded->in,
        .short_not_ok = plan->short_not_ok,
        .interval = (uint16_t)recorded->interval,
        .start_frame = (uint16_t)recorded->start_frame,
        .length = recorded->length,
        .complete = returned,
    };
    memcpy(urb->setup, recorded->setup, sizeof(urb->setup));
}

static int copy_packets(struct hcd_urb *urb, const struct trace_urb *recorded)
{
    if (recorded->type != USBIF_PIPE_TYPE_ISOC)
        return 0;
    urb->packets = malloc(recorded->nr_packets * sizeof(*urb->packets));
    if (!urb->packets)
        return -ENOMEM;
    memcpy(urb->packets, recorded->iso_s, recorded->nr_packets * sizeof(*urb->packets));
    urb->nr_packets = (uint16_t)recorded->nr_packets;
    return 0;
}

static void submit(struct player *player, uint32_t u)
{
    const struct trace_urb *recorded = trace_of(player, u);
    struct player_urb *p = &player->urb[u];
    struct hcd *hcd = controller_of(player, player->plan->urb[u].device);
    fill_urb(player, &p->urb, u);
    p->player = player;
    p->parking = false;
    p->urb.context = p;
    int rc = take_buffer(p, hcd, u, recorded);
    if (!rc)
        rc = copy_packets(&p->urb, recorded);
    p->busy = true;
    player->busy++;
    plan_slots_take(slots_of(player, u), recorded);
    count_control(player, u, 1);
    if (!rc)
        rc = hcd->ops->submit(hcd, &p->urb);
    if (rc) {
        p->busy = false;
        player->busy--;
        plan_slots_give(slots_of(player, u), recorded);
        count_control(player, u, -1);
        replay_differ(&player->results->difference[u].guest, FIELD_NOT_TAKEN, rc);
        finish(player, u);
        drop_buffer(p, hcd);
    }
}

static void give_address(struct player *player, uint32_t device)
{
    const struct plan_device *d = &player->plan->device[device];
    struct hcd *hcd = controller_of(player, device);
    player->address.player = player;
    player->address.urb = (struct hcd_urb){.port = d->port,
                                           .type = USBIF_PIPE_TYPE_CTRL,
                                           .setup = {0x00, 5, d->address},
                                           .complete = returned,
                                           .context = &player->address};
    if (player->configuring) {
        player->address.urb.device = d->address;
        memcpy(player->address.urb.setup, (const uint8_t[3]){0x00, 9, 1}, 3);
    }
    player->address.busy = true;
    player->busy++;
    if (hcd->ops->submit(hcd, &player->address.urb)) {
        player->address.busy = false; /* its URBs will come back with -ENODEV and say so */
        player->busy--;
    }
}

struct port_look {
    bool connected;
    bool changed; /* since the last look */
};

/* The port as the guest's hub driver sees it; switched on at the first look. */
static struct port_look look_at_port(struct player *player, uint32_t device)
{
    const struct plan_device *d = &player->plan->device[device];
    struct hcd *hcd = controller_of(player, device);
    uint8_t status[4] = {0};
    if (!player->device[device].powered) {
        const uint8_t power[8] = {0x23, 3, FEATURE_POWER, 0, d->port};
        player->device[device].powered = true;
        hcd->ops->hub_control(hcd, power, NULL, 0, player->now_ns);
    }
    const uint8_t ask[8] = {0xa3, 0, 0, 0, d->port, 0, 4, 0};
    if (hcd->ops->hub_control(hcd, ask, status, sizeof(status), player->now_ns) != 4)
        return (struct port_look){0};
    if (status[2] & 1) {
        const uint8_t clear[8] = {0x23, 1, FEATURE_C_CONNECTION, 0, d->port};
        hcd->ops->hub_control(hcd, clear, NULL, 0, player->now_ns);
    }
    return (struct port_look){.connected = (status[0] & 1) != 0, .changed = (status[2] & 1) != 0};
}

/* The next device may be on the port before anybody has looked; then only the change tells. */
static bool port_left(struct player *player, uint32_t device)
{
    struct port_look look = look_at_port(player, device);
    return !look.connected || look.changed;
}

static void unlink_urb(struct player *player, uint32_t u, int reason)
{
    struct player_urb *p = &player->urb[u];
    struct hcd *hcd = controller_of(player, player->plan->urb[u].device);
    if (p->busy)
        hcd->ops->unlink(hcd, &p->urb, reason); /* -EBUSY or -EINVAL: it is on its way back */
}

/*
 * Endpoint match: an URB waits for what completed before it on its own endpoint and for a slot; the plan
 * has seen to it that one becomes free. Its address was asked for before, and a ring keeps order.
 */
static bool may_submit(struct player *player, uint32_t u)
{
    return player->match == REPLAY_STRICT ||
           (*late_of(player, u) == 0 && plan_slots_room(slots_of(player, u), trace_of(player, u)));
}

/* QEMU starts an URB when those before it on its endpoint are back; until then the device would not see it. */
static bool is_started(struct player *player, uint32_t u)
{
    return player->plan->backend != PLAN_QEMU || *late_of(player, u) == 0;
}

static bool park(struct player *player, uint32_t u)
{
    struct player_urb *p = &player->urb[u];
    if (p->busy && !p->parking) {
        p->parking = true;
        unlink_urb(player, u, -ECONNRESET);
    }
    return !p->busy;
}

/* An unlink has a slot of its own until its URB is back, and nothing that could delay it. */
static bool complete(struct player *player, uint32_t u)
{
    struct player_urb *p = &player->urb[u];
    if (player->match == REPLAY_STRICT || p->done || p->unlinked)
        return p->done;
    p->late = true;
    ++*late_of(player, u);
    return true;
}

/*
 * What has been configured before the recording began must be so for QEMU, which claims interfaces then; but not behind
 * a control transfer, which may fail (rule XFR-08).
 */
static bool address(struct player *player, uint32_t device)
{
    if (player->address.player == NULL)
        give_address(player, device);
    if (player->address.busy)
        return false;
    player->address.player = NULL;
    player->configuring = !player->configuring && player->plan->backend == PLAN_QEMU &&
                          player->device[device].controls == 0;
    return !player->configuring || address(player, device);
}

/* True when the step is behind us. */
static bool take_step(struct player *player, const struct plan_step *step)
{
    switch (step->what) {
    case PLAN_PLUG:
        return look_at_port(player, step->index).connected;
    case PLAN_UNPLUG:
        return port_left(player, step->index);
    case PLAN_ADDRESS:
        return address(player, step->index);
    case PLAN_SUBMIT:
        if (!may_submit(player, step->index))
            return false;
        submit(player, step->index);
        return true;
    case PLAN_UNLINK:
        if (!is_started(player, step->index))
            return false;
        player->urb[step->index].unlinked = true;
        unlink_urb(player, step->index, player->plan->urb[step->index].status);
        return true;
    case PLAN_PARK:
        return is_started(player, step->index) && park(player, step->index);
    case PLAN_COMPLETE:
        return complete(player, step->index);
    }
    return true;
}

void player_step(struct player *player, uint64_t now_ns)
{
    player->now_ns = now_ns;
    while (player->at < player->plan->nr_steps && take_step(player, &player->plan->step[player->at])) {
        player->at++;
        player->results->guest_step = player->at;
    }
}

void player_stop(struct player *player)
{
    player->stopped = true;
}

bool player_finished(const struct player *player)
{
    return player->at == player->plan->nr_steps && player->busy == 0;
}

int player_create(const struct plan *plan, enum replay_match match, struct hcd *const *controllers,
                  struct replay_results *results, struct player **out)
{
    struct player *player = calloc(1, sizeof(*player));
    if (!player)
        return -ENOMEM;
    *player = (struct player){.plan = plan, .match = match, .controllers = controllers, .results = results};
    player->urb = calloc(plan->trace->nr_urbs + 1, sizeof(*player->urb));
    player->device = calloc(plan->nr_devices + 1, sizeof(*player->device));
    if (!player->urb || !player->device) {
        player_destroy(player);
        return -ENOMEM;
    }
    *out = player;
    return 0;
}

void player_destroy(struct player *player)
{
    if (!player)
        return;
    free(player->urb);
    free(player->device);
    free(player);
}
