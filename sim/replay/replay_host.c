// SPDX-License-Identifier: MIT
#include "replay/replay_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTENERS_MAX 64u
#define NONE          UINT32_MAX

struct urb_state {
    struct host_urb *held; /* at the device now */
    uint32_t step;         /* the SUBMIT step that it last arrived by */
    uint32_t arrivals;     /* of which strict following has passed some */
    uint32_t parks;        /* times it was taken back as planned; likewise */
    bool ended;            /* completed, or cancelled for good */
};

struct host_device {
    bool plugged;
    bool open;
    struct host_urb *held; /* list of all that are at the device */
    uint32_t left;         /* endpoint match: arrivals, parks and ends that are to come */
    uint32_t arrival[PLAN_ENDPOINTS]; /* the SUBMIT step that must arrive next; NONE */
    uint32_t ending[PLAN_ENDPOINTS];  /* the COMPLETE step that is due next; NONE */
};

struct replay_host {
    struct usb_host usb;
    const struct plan *plan;
    enum replay_match match;
    struct replay_results *results;
    const struct usb_host_listener *listener[LISTENERS_MAX];
    unsigned int nr_listeners;
    struct host_device *device;
    struct urb_state *urb;
    struct step_state {
        uint32_t next; /* of its kind on the same endpoint */
        bool parked;   /* SUBMIT: this stay at the device ends by a PARK */
    } *step;
    uint32_t at;       /* the step that is due; endpoint match: of PLUG and UNPLUG only */
};

static unsigned int endpoint_of(const struct trace_urb *urb)
{
    return plan_endpoint(urb->type, urb->endpoint, urb->in);
}

static const struct trace_urb *trace_of(const struct replay_host *host, uint32_t u)
{
    return &host->plan->trace->urbs[u];
}

/* ---- checking what arrives ---- */

static void check_packets(struct replay_side *side, const struct host_urb *got, const struct trace_urb *recorded)
{
    if (got->nr_packets != recorded->nr_packets)
        replay_differ_packet(side, FIELD_ISO_PACKETS, got->nr_packets, &(struct pvusb_iso_desc){0});
    for (unsigned int i = 0; i < got->nr_packets && i < recorded->nr_packets; i++) {
        if (got->packets[i].offset != recorded->iso_s[i].offset || got->packets[i].length != recorded->iso_s[i].length)
            replay_differ_packet(side, FIELD_ISO_PACKETS, i, &got->packets[i]);
    }
}

static void check_out_data(struct replay_side *side, const struct host_urb *got, const struct trace_urb *recorded)
{
    uint32_t offset = 0;
    for (unsigned int i = 0; i < got->nr_segs && offset < recorded->out_captured; i++) {
        uint32_t part = got->seg[i].length;
        if (part > recorded->out_captured - offset)
            part = recorded->out_captured - offset;
        replay_compare_data(side, FIELD_OUT_DATA, got->seg[i].base, recorded->out + offset, offset, part);
        offset += part;
    }
}

static void check_arrival(struct replay_host *host, uint32_t u, const struct host_urb *got)
{
    struct replay_side *side = &host->results->difference[u].device;
    const struct trace_urb *recorded = trace_of(host, u);
    if (got->type != recorded->type)
        replay_differ(side, FIELD_TYPE, got->type);
    if (got->in != recorded->in)
        replay_differ(side, FIELD_DIRECTION, got->in);
    if (got->length != recorded->length)
        replay_differ(side, FIELD_LENGTH, got->length);
    if (got->short_not_ok != host->plan->urb[u].short_not_ok)
        replay_differ(side, FIELD_SHORT_NOT_OK, got->short_not_ok);
    if (got->type == USBIF_PIPE_TYPE_CTRL && memcmp(got->setup, recorded->setup, 8) != 0) {
        side->fields |= FIELD_SETUP;
        memcpy(side->setup, got->setup, 8);
    }
    if ((got->type == USBIF_PIPE_TYPE_INT || got->type == USBIF_PIPE_TYPE_ISOC) &&
        got->interval != (uint16_t)recorded->interval)
        replay_differ(side, FIELD_INTERVAL, got->interval);
    if (got->type == USBIF_PIPE_TYPE_ISOC)
        check_packets(side, got, recorded);
    if (!got->in && recorded->out_captured > 0)
        check_out_data(side, got, recorded);
    host->results->mark[u].seen = true;
}

/* ---- answering as recorded ---- */

static void put_in_data(struct host_urb *urb, const struct trace_urb *recorded)
{
    if (urb->type != USBIF_PIPE_TYPE_ISOC) {
        uint32_t n = recorded->actual < recorded->in_captured ? recorded->actual : recorded->in_captured;
        host_urb_write(urb, 0, recorded->in_data, n);
        return;
    }
    for (unsigned int i = 0; i < recorded->nr_iso_c; i++) {
        const struct pvusb_iso_desc *packet = &recorded->iso_c[i];
        if (packet->offset <= recorded->in_captured && packet->actual_length <= recorded->in_captured - packet->offset)
            host_urb_write(urb, packet->offset, recorded->in_data + packet->offset, packet->actual_length);
    }
}

/* Takes the transfer from the device's list; it is the caller's to complete. */
static struct host_urb *let_go(struct replay_host *host, uint32_t u)
{
    struct host_urb *urb = host->urb[u].held;
    struct host_urb **at = &host->device[host->plan->urb[u].device].held;
    while (*at != urb)
        at = &(*at)->host_next;
    *at = urb->host_next;
    host->urb[u].held = NULL;
    return urb;
}

static void answer(struct replay_host *host, uint32_t u)
{
    const struct trace_urb *recorded = trace_of(host, u);
    struct host_urb *urb = let_go(host, u);
    bool same_shape = urb->type == recorded->type && urb->in == recorded->in && urb->length == recorded->length &&
                      urb->nr_packets == recorded->nr_packets;
    host->urb[u].ended = true;
    host->device[host->plan->urb[u].device].left--;
    if (!same_shape && urb->type == USBIF_PIPE_TYPE_ISOC) {
        host_urb_complete(urb, -EPROTO, 0); /* already noted as a difference */
        return;
    }
    if (urb->in && recorded->in_data)
        put_in_data(urb, recorded);
    for (unsigned int i = 0; i < urb->nr_packets && i < recorded->nr_iso_c; i++) {
        urb->packets[i].actual_length = recorded->iso_c[i].actual_length;
        urb->packets[i].status = recorded->iso_c[i].status;
    }
    urb->error_count = recorded->error_count;
    urb->start_frame = (uint16_t)recorded->start_frame;
    uint32_t actual = host->plan->urb[u].actual;
    host_urb_complete(urb, host->plan->urb[u].device_status, actual < urb->length ? actual : urb->length);
}

/* ---- following the plan ---- */

static void plug(struct replay_host *host, uint32_t index, bool in)
{
    const struct plan_device *device = &host->plan->device[index];
    char busid[PLAN_BUSID_MAX];
    plan_busid(&host->plan->controller[device->controller], device->port, busid);
    host->device[index].plugged = in;
    for (unsigned int i = 0; i < host->nr_listeners; i++) {
        const struct usb_host_listener *listener = host->listener[i];
        (in ? listener->plugged : listener->unplugged)(listener->context, busid);
    }
}

/* Transfers of several rings come in any order: what has come early is counted until its step is due. */
static bool count_off(uint32_t *count)
{
    if (*count == 0)
        return false;
    --*count;
    return true;
}

/* True when the step is behind us. */
static bool strict_step(struct replay_host *host, const struct plan_step *step)
{
    struct urb_state *urb = &host->urb[step->index];
    switch (step->what) {
    case PLAN_PLUG:
        plug(host, step->index, true);
        return true;
    case PLAN_UNPLUG:
        plug(host, step->index, false);
        return true;
    case PLAN_ADDRESS:
        return true;
    case PLAN_SUBMIT:
        return host->plan->urb[step->index].unseen || count_off(&urb->arrivals);
    case PLAN_UNLINK:
        return urb->ended;
    case PLAN_PARK:
        return count_off(&urb->parks);
    case PLAN_COMPLETE:
        if (urb->held)
            answer(host, step->index);
        return urb->ended || host->plan->urb[step->index].unseen;
    }
    return true;
}

static void advance_strict(struct replay_host *host)
{
    while (host->at < host->plan->nr_steps) {
        uint32_t at = host->at;
        if (!strict_step(host, &host->plan->step[at]))
            return;
        if (host->at == at) /* answering may have come back here and gone on */
            host->at++;
        host->results->device_step = host->at;
    }
}

/* Endpoint match: devices come and go as planned, whatever else is going on. */
static void advance_plugs(struct replay_host *host)
{
    for (; host->at < host->plan->nr_steps; host->at++) {
        const struct plan_step *step = &host->plan->step[host->at];
        if (step->what == PLAN_PLUG) {
            plug(host, step->index, true);
        } else if (step->what == PLAN_UNPLUG) {
            if (host->device[step->index].left > 0)
                return;
            plug(host, step->index, false);
        }
    }
}

static void advance(struct replay_host *host)
{
    if (host->match == REPLAY_STRICT)
        advance_strict(host);
    else
        advance_plugs(host);
}

/* The plan says of each arrival whether the guest takes the transfer back for a while. */
static bool will_be_parked(const struct replay_host *host, uint32_t u)
{
    return host->step[host->urb[u].step].parked;
}

static bool will_be_unlinked(const struct replay_host *host, uint32_t u)
{
    return host->plan->urb[u].device_status == -ECONNRESET;
}

static void advance_endpoint(struct replay_host *host, struct host_device *device, unsigned int endpoint)
{
    while (device->ending[endpoint] != NONE) {
        uint32_t u = host->plan->step[device->ending[endpoint]].index;
        const struct urb_state *urb = &host->urb[u];
        if (!urb->ended && (!urb->held || will_be_unlinked(host, u) || will_be_parked(host, u)))
            return;
        device->ending[endpoint] = host->step[device->ending[endpoint]].next;
        if (!urb->ended)
            answer(host, u);
    }
}

/* ---- usb_host ---- */

static struct replay_host *host_of(struct usb_host *usb)
{
    return (struct replay_host *)usb;
}

static int op_listen(struct usb_host *usb, const struct usb_host_listener *listener)
{
    struct replay_host *host = host_of(usb);
    if (host->nr_listeners == LISTENERS_MAX)
        return -ENOSPC;
    host->listener[host->nr_listeners++] = listener;
    return 0;
}

static void op_unlisten(struct usb_host *usb, const struct usb_host_listener *listener)
{
    struct replay_host *host = host_of(usb);
    for (unsigned int i = 0; i < host->nr_listeners; i++) {
        if (host->listener[i] == listener)
            host->listener[i--] = host->listener[--host->nr_listeners];
    }
}

static int op_open(struct usb_host *usb, const char *busid, struct host_device **out)
{
    struct replay_host *host = host_of(usb);
    for (uint32_t i = 0; i < host->plan->nr_devices; i++) {
        const struct plan_device *device = &host->plan->device[i];
        char own[PLAN_BUSID_MAX];
        if (!host->device[i].plugged)
            continue;
        plan_busid(&host->plan->controller[device->controller], device->port, own);
        if (strcmp(own, busid) != 0)
            continue;
        if (host->device[i].open)
            return -EBUSY;
        host->device[i].open = true;
        *out = &host->device[i];
        return 0;
    }
    return -ENODEV;
}

static uint32_t index_of(const struct replay_host *host, const struct host_urb *urb)
{
    return (uint32_t)((const struct urb_state *)urb->host_private - host->urb);
}

static void op_close(struct usb_host *usb, struct host_device *device)
{
    struct replay_host *host = host_of(usb);
    while (device->held)
        host_urb_complete(let_go(host, index_of(host, device->held)), -ECONNRESET, 0);
    device->open = false;
}

static uint8_t op_speed(struct usb_host *usb, struct host_device *device)
{
    (void)usb;
    (void)device;
    return USBIF_SPEED_HIGH; /* recordings do not say; nothing depends on it */
}

static void op_submit(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct replay_host *host = host_of(usb);
    unsigned int endpoint = plan_endpoint(urb->type, urb->endpoint, urb->in);
    uint32_t step = device->arrival[endpoint];
    if (step == NONE) {
        host->results->strays++;
        host_urb_complete(urb, -EPIPE, 0);
        return;
    }
    uint32_t u = host->plan->step[step].index;
    device->arrival[endpoint] = host->step[step].next;
    device->left--;
    host->urb[u].step = step;
    host->urb[u].arrivals++;
    host->urb[u].held = urb;
    urb->host_private = &host->urb[u];
    urb->host_next = device->held;
    device->held = urb;
    check_arrival(host, u, urb);
    if (host->match == REPLAY_ENDPOINT)
        advance_endpoint(host, device, endpoint);
}

static void op_cancel(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct replay_host *host = host_of(usb);
    struct urb_state *state = urb->host_private;
    uint32_t u = index_of(host, urb);
    unsigned int endpoint = endpoint_of(trace_of(host, u));
    if (state->held != urb)
        return; /* it has just been answered */
    if (will_be_parked(host, u)) {
        state->parks++;
        device->left--;
        host_urb_complete(let_go(host, u), -ECONNRESET, 0);
    } else if (will_be_unlinked(host, u)) {
        answer(host, u);
    } else {
        /* Not as planned: a frontend makes room for somebody else, or is closing. It may come again. */
        state->arrivals -= state->arrivals > 0;
        device->left++;
        host->step[state->step].next = device->arrival[endpoint];
        device->arrival[endpoint] = state->step;
        host_urb_complete(let_go(host, u), -ECONNRESET, 0);
    }
    if (host->match == REPLAY_ENDPOINT)
        advance_endpoint(host, device, endpoint);
}

/* The three conveyed requests are control transfers like others in a recording. */
static void op_set_configuration(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t value)
{
    (void)value;
    op_submit(usb, device, urb);
}

static void op_set_interface(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    (void)interface;
    (void)alternate;
    op_submit(usb, device, urb);
}

static void op_clear_halt(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t endpoint)
{
    (void)endpoint;
    op_submit(usb, device, urb);
}

static int op_reset(struct usb_host *usb, struct host_device *device)
{
    (void)usb;
    (void)device;
    return 0;
}

static void op_step(struct usb_host *usb, uint64_t now_ns)
{
    (void)now_ns;
    advance(host_of(usb));
}

static uint64_t op_deadline(struct usb_host *usb)
{
    (void)usb;
    return UINT64_MAX;
}

static const struct usb_host_ops replay_ops = {
    .listen = op_listen,
    .unlisten = op_unlisten,
    .open = op_open,
    .close = op_close,
    .speed = op_speed,
    .submit = op_submit,
    .cancel = op_cancel,
    .set_configuration = op_set_configuration,
    .set_interface = op_set_interface,
    .clear_halt = op_clear_halt,
    .reset = op_reset,
    .step = op_step,
    .deadline = op_deadline,
};

/* ---- life ---- */

/* Links the steps of each endpoint from the last to the first. */
static void link_steps(struct replay_host *host)
{
    const struct plan *plan = host->plan;
    for (uint32_t i = 0; i < plan->nr_devices; i++) {
        memset(host->device[i].arrival, 0xff, sizeof(host->device[i].arrival));
        memset(host->device[i].ending, 0xff, sizeof(host->device[i].ending));
    }
    for (uint32_t s = plan->nr_steps; s-- > 0;) {
        const struct plan_step *step = &plan->step[s];
        if (step->what < PLAN_SUBMIT || step->what == PLAN_UNLINK || plan->urb[step->index].unseen)
            continue;
        struct host_device *device = &host->device[plan->urb[step->index].device];
        unsigned int endpoint = endpoint_of(trace_of(host, step->index));
        device->left++;
        if (step->what == PLAN_PARK) {
            host->urb[step->index].parks = 1; /* for the SUBMIT before it */
            continue;
        }
        uint32_t *first = step->what == PLAN_SUBMIT ? &device->arrival[endpoint] : &device->ending[endpoint];
        if (step->what == PLAN_SUBMIT) {
            host->step[s].parked = host->urb[step->index].parks > 0;
            host->urb[step->index].parks = 0;
        }
        host->step[s].next = *first;
        *first = s;
    }
}

int replay_host_create(const struct plan *plan, enum replay_match match, struct replay_results *results,
                       struct replay_host **out)
{
    struct replay_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->usb.ops = &replay_ops;
    host->plan = plan;
    host->match = match;
    host->results = results;
    host->device = calloc(plan->nr_devices + 1, sizeof(*host->device));
    host->urb = calloc(plan->trace->nr_urbs + 1, sizeof(*host->urb));
    host->step = calloc(plan->nr_steps + 1, sizeof(*host->step));
    if (!host->device || !host->urb || !host->step) {
        replay_host_destroy(host);
        return -ENOMEM;
    }
    link_steps(host);
    *out = host;
    return 0;
}

void replay_host_destroy(struct replay_host *host)
{
    if (!host)
        return;
    free(host->device);
    free(host->urb);
    free(host->step);
    free(host);
}

struct usb_host *replay_host_usb(struct replay_host *host)
{
    return &host->usb;
}
