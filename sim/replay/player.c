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
    bool parking;
};

struct player {
    const struct plan *plan;
    enum replay_match match;
    struct hcd *const *controllers;
    struct replay_results *results;
    struct player_urb *urb;
    bool *powered; /* per device: its port has been switched on */
    uint32_t at;
    uint32_t waited; /* endpoint match: COMPLETE steps from here on may still be open */
    struct player_urb address; /* the SET_ADDRESS of a PLAN_ADDRESS step */
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

static void differ(struct replay_side *side, enum replay_field field, unsigned int kind, int64_t got)
{
    side->fields |= field;
    side->got[kind] = got;
}

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
            differ(side, FIELD_ISO_RESULTS, GOT_OTHER, i);
    }
    if (got->error_count != recorded->error_count)
        differ(side, FIELD_ERROR_COUNT, GOT_OTHER, got->error_count);
    if (got->start_frame != (uint16_t)recorded->start_frame)
        differ(side, FIELD_START_FRAME, GOT_OTHER, got->start_frame);
}

static void check_result(struct player *player, uint32_t u, const struct hcd_urb *got)
{
    const struct trace_urb *recorded = trace_of(player, u);
    const struct plan_urb *plan = &player->plan->urb[u];
    struct replay_side *side = &player->results->urb[u].guest;
    if (plan->left_open)
        return;
    if (plan->status <= 0 && got->status != plan->status)
        differ(side, FIELD_STATUS, GOT_STATUS, got->status);
    if (got->actual != plan->actual)
        differ(side, FIELD_ACTUAL, GOT_ACTUAL, got->actual);
    if (got->in && recorded->in_data)
        check_in_data(side, got, recorded);
    if (got->type == USBIF_PIPE_TYPE_ISOC)
        check_iso(side, got, recorded);
}

static void returned(struct hcd_urb *urb)
{
    struct player_urb *p = urb->context;
    struct player *player = p->player;
    p->busy = false;
    if (p == &player->address)
        return;
    uint32_t u = (uint32_t)(p - player->urb);
    if (!p->parking || urb->status == 0) {
        check_result(player, u, urb);
        player->results->urb[u].returned = true;
        p->done = true;
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
    if (!rc)
        rc = hcd->ops->submit(hcd, &p->urb);
    if (rc) {
        p->busy = false;
        p->done = true;
        differ(&player->results->urb[u].guest, FIELD_NOT_TAKEN, GOT_STATUS, rc);
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
    player->address.busy = true;
    if (hcd->ops->submit(hcd, &player->address.urb))
        player->address.busy = false; /* its URBs will come back with -ENODEV and say so */
}

/* The port as the guest's hub driver sees it; switched on at the first look. */
static bool port_connected(struct player *player, uint32_t device)
{
    const struct plan_device *d = &player->plan->device[device];
    struct hcd *hcd = controller_of(player, device);
    uint8_t status[4] = {0};
    if (!player->powered[device]) {
        const uint8_t power[8] = {0x23, 3, FEATURE_POWER, 0, d->port};
        player->powered[device] = true;
        hcd->ops->hub_control(hcd, power, NULL, 0, player->now_ns);
    }
    const uint8_t ask[8] = {0xa3, 0, 0, 0, d->port, 0, 4, 0};
    if (hcd->ops->hub_control(hcd, ask, status, sizeof(status), player->now_ns) != 4)
        return false;
    if (status[2] & 1) {
        const uint8_t clear[8] = {0x23, 1, FEATURE_C_CONNECTION, 0, d->port};
        hcd->ops->hub_control(hcd, clear, NULL, 0, player->now_ns);
    }
    return (status[0] & 1) != 0;
}

static void unlink_urb(struct player *player, uint32_t u, int reason)
{
    struct player_urb *p = &player->urb[u];
    struct hcd *hcd = controller_of(player, player->plan->urb[u].device);
    if (p->busy)
        hcd->ops->unlink(hcd, &p->urb, reason); /* -EBUSY or -EINVAL: it is on its way back */
}

/* Endpoint match: an URB waits only for what completed before it on its own endpoint, and for its address. */
static bool endpoint_free(struct player *player, uint32_t u)
{
    const struct trace_urb *urb = trace_of(player, u);
    while (player->waited < player->at) {
        const struct plan_step *step = &player->plan->step[player->waited];
        if (step->what == PLAN_COMPLETE && !player->urb[step->index].done)
            break;
        player->waited++;
    }
    for (uint32_t s = player->waited; s < player->at; s++) {
        const struct plan_step *step = &player->plan->step[s];
        const struct trace_urb *other = &player->plan->trace->urbs[step->index];
        if (step->what == PLAN_COMPLETE && !player->urb[step->index].done &&
            player->plan->urb[step->index].device == player->plan->urb[u].device &&
            (player->plan->urb[step->index].unseen ||
             (other->endpoint == urb->endpoint && other->type == urb->type && other->in == urb->in)))
            return false;
    }
    return true;
}

/* True when the step is behind us. */
static bool take_step(struct player *player, const struct plan_step *step)
{
    struct player_urb *p = &player->urb[step->index];
    switch (step->what) {
    case PLAN_PLUG:
        return port_connected(player, step->index);
    case PLAN_UNPLUG:
        return !port_connected(player, step->index);
    case PLAN_ADDRESS:
        if (player->address.player == NULL)
            give_address(player, step->index);
        if (player->address.busy)
            return false;
        player->address.player = NULL;
        return true;
    case PLAN_SUBMIT:
        if (player->match == REPLAY_ENDPOINT && (p->busy || p->done))
            return true; /* parked in the plan, but not here */
        if (player->match == REPLAY_ENDPOINT && !endpoint_free(player, step->index))
            return false;
        submit(player, step->index);
        return true;
    case PLAN_UNLINK:
        unlink_urb(player, step->index, player->plan->urb[step->index].status);
        return true;
    case PLAN_PARK:
        if (player->match == REPLAY_ENDPOINT)
            return true;
        if (p->busy && !p->parking) {
            p->parking = true;
            unlink_urb(player, step->index, -ECONNRESET);
        }
        return !p->busy;
    case PLAN_COMPLETE:
        return player->match == REPLAY_ENDPOINT || p->done;
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

bool player_finished(const struct player *player)
{
    if (player->at < player->plan->nr_steps)
        return false;
    for (uint32_t u = 0; u < player->plan->trace->nr_urbs; u++) {
        if (player->urb[u].busy)
            return false;
    }
    return true;
}

int player_create(const struct plan *plan, enum replay_match match, struct hcd *const *controllers,
                  struct replay_results *results, struct player **out)
{
    struct player *player = calloc(1, sizeof(*player));
    if (!player)
        return -ENOMEM;
    *player = (struct player){.plan = plan, .match = match, .controllers = controllers, .results = results};
    player->urb = calloc(plan->trace->nr_urbs + 1, sizeof(*player->urb));
    player->powered = calloc(plan->nr_devices + 1, sizeof(*player->powered));
    if (!player->urb || !player->powered) {
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
    free(player->powered);
    free(player);
}
