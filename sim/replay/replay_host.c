// SPDX-License-Identifier: MIT
#include "replay/replay_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTENERS_MAX 64u
#define ENDPOINTS     32u /* number and direction; control is 0 */
#define NONE          UINT32_MAX

struct urb_state {
    struct host_urb *held; /* at the device now */
    bool arrived;
    bool ended;    /* completed, or cancelled for good */
    bool taken_back; /* cancelled, to come again */
};

struct host_device {
    bool plugged;
    bool open;
    uint32_t arrival[ENDPOINTS]; /* the SUBMIT step that must arrive next; NONE */
    uint32_t ending[ENDPOINTS];  /* the COMPLETE step that is due next; NONE */
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
    uint32_t *next; /* of each step: the next of its kind on the same endpoint */
    uint32_t *submit_step; /* of each URB: the step it last arrived by */
    uint32_t at;    /* strict: the step that is due */
    uint32_t open_urbs; /* URBs that have not ended */
};

static unsigned int endpoint_of(const struct trace_urb *urb)
{
    return urb->type == USBIF_PIPE_TYPE_CTRL ? 0 : (unsigned int)(urb->endpoint | (urb->in ? 16 : 0)) % ENDPOINTS;
}

static const struct trace_urb *trace_of(const struct replay_host *host, uint32_t u)
{
    return &host->plan->trace->urbs[u];
}

/* ---- checking what arrives ---- */

static void differ(struct replay_side *side, enum replay_field field, unsigned int kind, int64_t got)
{
    side->fields |= field;
    side->got[kind] = got;
}

static void check_packets(struct replay_side *side, const struct host_urb *got, const struct trace_urb *recorded)
{
    if (got->nr_packets != recorded->nr_packets) {
        differ(side, FIELD_ISO_PACKETS, GOT_OTHER, got->nr_packets);
        return;
    }
    for (unsigned int i = 0; i < got->nr_packets; i++) {
        if (got->packets[i].offset != recorded->iso_s[i].offset || got->packets[i].length != recorded->iso_s[i].length)
            differ(side, FIELD_ISO_PACKETS, GOT_OTHER, i);
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
    struct replay_side *side = &host->results->urb[u].device;
    const struct trace_urb *recorded = trace_of(host, u);
    if (got->type != recorded->type)
        differ(side, FIELD_TYPE, GOT_OTHER, got->type);
    if (got->in != recorded->in)
        differ(side, FIELD_DIRECTION, GOT_OTHER, got->in);
    if (got->length != recorded->length)
        differ(side, FIELD_LENGTH, GOT_LENGTH, got->length);
    if (got->short_not_ok != host->plan->urb[u].short_not_ok)
        differ(side, FIELD_SHORT_NOT_OK, GOT_OTHER, got->short_not_ok);
    if (got->type == USBIF_PIPE_TYPE_CTRL && memcmp(got->setup, recorded->setup, 8) != 0)
        side->fields |= FIELD_SETUP;
    if ((got->type == USBIF_PIPE_TYPE_INT || got->type == USBIF_PIPE_TYPE_ISOC) &&
        got->interval != (uint16_t)recorded->interval)
        differ(side, FIELD_INTERVAL, GOT_OTHER, got->interval);
    if (got->type == USBIF_PIPE_TYPE_ISOC)
        check_packets(side, got, recorded);
    if (!got->in && recorded->out_captured > 0)
        check_out_data(side, got, recorded);
    host->results->urb[u].seen = true;
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

static void answer(struct replay_host *host, uint32_t u)
{
    const struct trace_urb *recorded = trace_of(host, u);
    struct host_urb *urb = host->urb[u].held;
    bool same_shape = urb->type == recorded->type && urb->in == recorded->in && urb->length == recorded->length &&
                      urb->nr_packets == recorded->nr_packets;
    host->urb[u].held = NULL;
    host->urb[u].ended = true;
    host->open_urbs--;
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

static void plug(struct replay_host *host, uint32_t device, bool in)
{
    const char *busid = host->plan->device[device].busid;
    host->device[device].plugged = in;
    for (unsigned int i = 0; i < host->nr_listeners; i++) {
        const struct usb_host_listener *listener = host->listener[i];
        (in ? listener->plugged : listener->unplugged)(listener->context, busid);
    }
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
        return urb->arrived || host->plan->urb[step->index].unseen;
    case PLAN_UNLINK:
        return urb->ended;
    case PLAN_PARK:
        if (!urb->taken_back)
            return false;
        urb->taken_back = false;
        urb->arrived = false;
        return true;
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

static bool will_be_unlinked(const struct replay_host *host, uint32_t u)
{
    return host->plan->urb[u].device_status == -ECONNRESET;
}

static void advance_endpoint(struct replay_host *host, struct host_device *device, unsigned int endpoint)
{
    while (device->ending[endpoint] != NONE) {
        uint32_t u = host->plan->step[device->ending[endpoint]].index;
        if (!host->urb[u].ended && (!host->urb[u].held || will_be_unlinked(host, u)))
            return;
        device->ending[endpoint] = host->next[device->ending[endpoint]];
        if (!host->urb[u].ended)
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
        if (!host->device[i].plugged || strcmp(host->plan->device[i].busid, busid) != 0)
            continue;
        if (host->device[i].open)
            return -EBUSY;
        host->device[i].open = true;
        *out = &host->device[i];
        return 0;
    }
    return -ENODEV;
}

static void end_transfer(struct replay_host *host, uint32_t u)
{
    struct host_urb *urb = host->urb[u].held;
    host->urb[u].held = NULL;
    host_urb_complete(urb, -ECONNRESET, 0);
}

static void op_close(struct usb_host *usb, struct host_device *device)
{
    struct replay_host *host = host_of(usb);
    for (uint32_t u = 0; u < host->plan->trace->nr_urbs; u++) {
        if (host->urb[u].held && &host->device[host->plan->urb[u].device] == device)
            end_transfer(host, u);
    }
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
    unsigned int endpoint =
        urb->type == USBIF_PIPE_TYPE_CTRL ? 0 : (unsigned int)(urb->endpoint | (urb->in ? 16 : 0)) % ENDPOINTS;
    if (host->match == REPLAY_STRICT)
        advance_strict(host); /* a park that this submission ends must be behind us */
    uint32_t step = device->arrival[endpoint];
    if (step == NONE) {
        host->results->strays++;
        host_urb_complete(urb, -EPIPE, 0);
        return;
    }
    uint32_t u = host->plan->step[step].index;
    device->arrival[endpoint] = host->next[step];
    host->submit_step[u] = step;
    host->urb[u].held = urb;
    host->urb[u].arrived = true;
    urb->host_private = &host->urb[u];
    check_arrival(host, u, urb);
    if (host->match == REPLAY_ENDPOINT)
        advance_endpoint(host, device, endpoint);
}

/* The next step that concerns the URB says whether it is taken back for a while or for good. */
static bool is_parked(const struct replay_host *host, uint32_t u)
{
    for (uint32_t i = host->at; i < host->plan->nr_steps; i++) {
        const struct plan_step *step = &host->plan->step[i];
        if (step->index != u || step->what < PLAN_UNLINK)
            continue;
        return step->what == PLAN_PARK;
    }
    return false;
}

static void op_cancel(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct replay_host *host = host_of(usb);
    struct urb_state *state = urb->host_private;
    uint32_t u = (uint32_t)(state - host->urb);
    unsigned int endpoint = endpoint_of(trace_of(host, u));
    if (state->held != urb)
        return; /* it has just been answered */
    bool parked = host->match == REPLAY_STRICT && is_parked(host, u);
    if (!parked && will_be_unlinked(host, u)) {
        answer(host, u);
    } else {
        /* The frontend needs the slot for somebody else, or is closing: it may come again. */
        state->taken_back = true;
        if (!parked) {
            state->arrived = false;
            device->arrival[endpoint] = host->submit_step[u];
        }
        end_transfer(host, u);
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
    struct replay_host *host = host_of(usb);
    (void)now_ns;
    if (host->match == REPLAY_STRICT) {
        advance_strict(host);
        return;
    }
    while (host->at < host->plan->nr_steps) {
        const struct plan_step *step = &host->plan->step[host->at++];
        if (step->what == PLAN_PLUG)
            plug(host, step->index, true);
    }
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
    memset(host->submit_step, 0xff, plan->trace->nr_urbs * sizeof(*host->submit_step));
    for (uint32_t s = 0; s < plan->nr_steps; s++) {
        const struct plan_step *step = &plan->step[s];
        if (step->what == PLAN_SUBMIT && host->submit_step[step->index] == NONE)
            host->submit_step[step->index] = s;
    }
    for (uint32_t s = plan->nr_steps; s-- > 0;) {
        const struct plan_step *step = &plan->step[s];
        if ((step->what != PLAN_SUBMIT && step->what != PLAN_COMPLETE) || plan->urb[step->index].unseen)
            continue;
        /* Without a common order nobody is parked: each URB arrives once. */
        if (host->match == REPLAY_ENDPOINT && step->what == PLAN_SUBMIT && host->submit_step[step->index] != s)
            continue;
        struct host_device *device = &host->device[plan->urb[step->index].device];
        unsigned int endpoint = endpoint_of(trace_of(host, step->index));
        uint32_t *first = step->what == PLAN_SUBMIT ? &device->arrival[endpoint] : &device->ending[endpoint];
        host->next[s] = *first;
        *first = s;
        host->open_urbs += step->what == PLAN_COMPLETE;
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
    host->next = calloc(plan->nr_steps + 1, sizeof(*host->next));
    host->submit_step = calloc(plan->trace->nr_urbs + 1, sizeof(*host->submit_step));
    if (!host->device || !host->urb || !host->next || !host->submit_step) {
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
    free(host->next);
    free(host->submit_step);
    free(host);
}

struct usb_host *replay_host_usb(struct replay_host *host)
{
    return &host->usb;
}

bool replay_host_finished(const struct replay_host *host)
{
    return host->at == host->plan->nr_steps && host->open_urbs == 0;
}
