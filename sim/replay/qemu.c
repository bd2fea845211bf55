// SPDX-License-Identifier: MIT
/* What QEMU 7.2's backend, with usbfs below it, does not carry as recorded: each with the rule that says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

#include "replay/private.h"
#include "replay/result.h"

#define NONE          UINT32_MAX
#define QEMU_CTRL_MAX 4096u /* rule CTL-13 */

/* What QEMU does with calls of libusb; the device sees none of it as it was recorded. */
static bool is_host_request(const uint8_t *setup)
{
    if (setup[0] == 0x00)
        return setup[1] == 9; /* SET_CONFIGURATION */
    if (setup[0] == 0x01)
        return setup[1] == 11;                                                 /* SET_INTERFACE */
    return setup[0] == 0x02 && setup[1] == 1 && pvusb_setup_value(setup) == 0; /* CLEAR_HALT */
}

static bool clears_wakeup(const struct trace_urb *urb)
{
    static const uint8_t get_configuration[4] = {0x80, 6, 0, 2};
    return memcmp(urb->setup, get_configuration, 4) == 0 && urb->actual >= 8 && urb->in_captured >= 8 &&
           (urb->in_data[7] & 0x20) != 0;
}

static void drop(struct plan_urb *plan, enum replay_reason reason)
{
    plan->replayed = false;
    plan->reason = reason;
}

/* What has a reason already keeps it. */
static void let_differ(struct plan_urb *plan, uint32_t fields, enum replay_reason reason)
{
    plan->ignored |= fields;
    if (plan->reason == REPLAY_CHECKED)
        plan->reason = reason;
}

static void limit_control(const struct trace_urb *urb, struct plan_urb *plan)
{
    static const uint8_t zero[8] = {0};
    uint16_t wlength = pvusb_setup_length(urb->setup);
    /* Length and direction travel in the setup packet alone. */
    if (urb->length != wlength)
        plan->ignored |= FIELD_LENGTH;
    if (wlength == 0)
        plan->ignored |= FIELD_DIRECTION;
    if (plan->unseen)
        return;
    if (wlength > QEMU_CTRL_MAX) {
        drop(plan, REPLAY_QEMU_CONTROL_LENGTH);
    } else if (memcmp(urb->setup, zero, sizeof(zero)) == 0) {
        drop(plan, REPLAY_QEMU_ZERO_SETUP);
    } else if (urb->device != 0 && urb->setup[1] == 5) {
        drop(plan, REPLAY_QEMU_REQUEST_5);
    } else if (is_host_request(urb->setup)) {
        if (plan->status)
            drop(plan, REPLAY_QEMU_HOST_REQUEST);
        if (urb->setup[4] > 15 || urb->setup[2] > 15)
            plan->ignored |= FIELD_STATUS; /* what no device in usbfs has (rule CTL-10) */
        plan->unseen = true;
        plan->reason = REPLAY_QEMU_HOST_REQUEST;
    } else if (clears_wakeup(urb)) {
        let_differ(plan, FIELD_IN_DATA, REPLAY_QEMU_WAKEUP);
    }
}

/* How many bytes have moved when a transfer did not go well. */
static void limit_result(const struct trace_urb *urb, struct plan_urb *plan)
{
    if (plan->device_status == -ECONNRESET && plan->actual > 0) {
        let_differ(plan, FIELD_ACTUAL | FIELD_IN_DATA, REPLAY_QEMU_UNLINKED_DATA);
    } else if (urb->type == USBIF_PIPE_TYPE_CTRL && urb->in && plan->device_status != 0 && plan->actual > 0) {
        let_differ(plan, FIELD_IN_DATA, REPLAY_QEMU_FAILED_DATA);
    } else if (urb->type != USBIF_PIPE_TYPE_CTRL && !urb->in && plan->actual < urb->length &&
               plan->device_status != -ECONNRESET) {
        let_differ(plan, FIELD_ACTUAL, REPLAY_QEMU_OUT_ACTUAL);
    }
}

static void limit(const struct trace_urb *urb, struct plan_urb *plan)
{
    /* usbfs tells a device neither. */
    plan->ignored = FIELD_INTERVAL | FIELD_SHORT_NOT_OK;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        drop(plan, REPLAY_QEMU_ISO);
    else if (plan->status == -ENODEV || plan->status == -ESHUTDOWN)
        drop(plan, REPLAY_QEMU_GONE);
    else if (urb->type == USBIF_PIPE_TYPE_CTRL)
        limit_control(urb, plan);
    if (!plan->replayed)
        return;
    limit_result(urb, plan);
    if (plan->status == -EINVAL)
        let_differ(plan, FIELD_STATUS, REPLAY_QEMU_STATUS);
}

/* ---- one transfer per endpoint at a time ---- */

struct queues {
    uint32_t *head; /* for each endpoint of each device: URBs in flight, oldest first */
    uint32_t *next; /* of each URB */
};

static uint32_t *queue_of(struct queues *queues, const struct plan *plan, uint32_t u)
{
    const struct trace_urb *urb = &plan->trace->urbs[u];
    return &queues->head[plan->urb[u].device * PLAN_ENDPOINTS +
                         plan_endpoint(urb->type, urb->endpoint, urb->in)];
}

/* Ends in a way after which QEMU does not go on with the endpoint's queue. */
static enum replay_reason blocks(const struct plan *plan, uint32_t u)
{
    const struct plan_urb *urb = &plan->urb[u];
    const struct trace_urb *recorded = &plan->trace->urbs[u];
    if (urb->device_status == -ECONNRESET)
        return REPLAY_QEMU_BEHIND_UNLINK;
    bool flagged = urb->short_not_ok && recorded->in && recorded->type != USBIF_PIPE_TYPE_CTRL;
    if (urb->device_status != 0 || (flagged && urb->actual < recorded->length))
        return REPLAY_QEMU_BEHIND_ERROR;
    return REPLAY_CHECKED;
}

static void follow_completion(struct queues *queues, struct plan *plan, uint32_t u)
{
    uint32_t *at = queue_of(queues, plan, u);
    if (*at == NONE || !plan->urb[u].replayed)
        return; /* dropped while it was in flight */
    if (*at != u) {
        while (*at != NONE && *at != u)
            at = &queues->next[*at];
        if (*at == u)
            *at = queues->next[u];
        drop(&plan->urb[u], REPLAY_QEMU_QUEUED);
        return;
    }
    *at = queues->next[u];
    enum replay_reason reason = blocks(plan, u);
    if (reason == REPLAY_CHECKED)
        return;
    for (uint32_t v = *at; v != NONE; v = queues->next[v])
        drop(&plan->urb[v], reason);
    *at = NONE;
}

static void follow_submission(struct queues *queues, struct plan *plan, uint32_t u)
{
    uint32_t *at = queue_of(queues, plan, u);
    while (*at != NONE)
        at = &queues->next[*at];
    *at = u;
    queues->next[u] = NONE;
}

/* What is still in flight when the recording ends is taken back: only the first of each endpoint has been
 * started. */
static void follow_end(struct queues *queues, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->nr_devices * PLAN_ENDPOINTS; i++) {
        uint32_t first = queues->head[i];
        for (uint32_t v = first == NONE ? NONE : queues->next[first]; v != NONE; v = queues->next[v])
            plan->urb[v].replayed = false;
    }
}

int plan_limit_to_qemu(struct plan *plan)
{
    const struct trace *trace = plan->trace;
    size_t endpoints = (size_t)(plan->nr_devices + 1) * PLAN_ENDPOINTS;
    struct queues queues = {.head = malloc(endpoints * sizeof(uint32_t)),
                            .next = malloc((trace->nr_urbs + 1) * sizeof(uint32_t))};
    int rc = queues.head && queues.next ? 0 : -ENOMEM;
    if (!rc)
        memset(queues.head, 0xff, endpoints * sizeof(uint32_t));
    for (uint32_t u = 0; u < trace->nr_urbs; u++) {
        if (plan->urb[u].replayed)
            limit(&trace->urbs[u], &plan->urb[u]);
    }
    for (uint32_t i = 0; !rc && i < trace->nr_order; i++) {
        const struct trace_event *event = &trace->order[i];
        if (!plan->urb[event->urb].replayed)
            continue;
        if (event->what == 'S')
            follow_submission(&queues, plan, event->urb);
        else if (event->what == 'C')
            follow_completion(&queues, plan, event->urb);
    }
    if (!rc)
        follow_end(&queues, plan);
    free(queues.head);
    free(queues.next);
    return rc;
}
