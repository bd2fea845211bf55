// SPDX-License-Identifier: MIT
/* One URB and its slot: buffer to segments, request, response, back to the guest. */
#include "frontend/private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- slots and grants ---- */

void front_slots_init(struct front *front, unsigned int count)
{
    assert(front->used == 0);
    front->nr_slots = count;
    memset(front->free_ids, 0, sizeof(front->free_ids));
    for (unsigned int i = 0; i < count; i++)
        front->free_ids[i / 64] |= UINT64_C(1) << i % 64;
}

/* The lowest that is free; the caller has seen that one is. */
static struct front_slot *slot_take(struct front *front, uint16_t *id)
{
    unsigned int word = 0;
    assert(front->used < front->nr_slots);
    while (!front->free_ids[word])
        word++;
    *id = (uint16_t)(word * 64 + (unsigned int)__builtin_ctzll(front->free_ids[word]));
    front->free_ids[word] &= front->free_ids[word] - 1;
    front->used++;
    front->slot[*id].order = front->order++;
    return &front->slot[*id];
}

void front_slot_want_unlink(struct front *front, struct front_slot *slot)
{
    front->unlinks_wanted += !slot->unlink_wanted;
    slot->unlink_wanted = true;
}

bool front_slot_end_grants(struct front *front, struct front_slot *slot)
{
    while (slot->nr_grants > 0) {
        if (!slot->grant[slot->nr_grants - 1].ref) {
            slot->nr_grants--;
            continue;
        }
        int rc = front->xen->ops->grant_end(front->xen, slot->grant[slot->nr_grants - 1].ref);
        if (rc && rc != -EPIPE) /* without a machine nobody maps anything: that is not the backend's fault */
            return false;
        slot->nr_grants--;
    }
    return true;
}

void front_slot_abandon_grants(struct front *front, struct front_slot *slot)
{
    while (!front_slot_end_grants(front, slot)) {
        const struct front_grant *grant = &slot->grant[--slot->nr_grants];
        front_memory_abandon(front, grant->ref, grant->addr);
    }
}

void front_slot_free(struct front *front, struct front_slot *slot)
{
    if (slot->use == SLOT_URB)
        front->held[front_class_of(slot->urb)]--;
    front_slot_abandon_grants(front, slot);
    front->unlinks_wanted -= slot->unlink_wanted;
    front->taken_back -= slot->take_back;
    slot->use = SLOT_FREE;
    slot->urb = NULL;
    slot->unlink_wanted = false;
    slot->unlink_sent = false;
    slot->take_back = false;
    size_t id = (size_t)(slot - front->slot);
    front->free_ids[id / 64] |= UINT64_C(1) << id % 64;
    front->used--;
}

static int grant_page(struct front *front, struct front_slot *slot, const void *at, bool readonly, grant_ref_t *out)
{
    int rc = front->keeping ? front_memory_keep(front, at, out)
                            : front->xen->ops->grant(front->xen, front->backend_domid, at, readonly, out);
    if (rc)
        return rc;
    front->stats.grants += !front->keeping;
    slot->grant[slot->nr_grants++] = (struct front_grant){.ref = front->keeping ? 0 : *out, .addr = at};
    return 0;
}

/* Grants the pages of a buffer and describes them from seg[first] on (rule SEG-02). Returns the segments used. */
static int grant_buffer(struct front *front, struct front_slot *slot, struct usbif_urb_request *request,
                        unsigned int first, const void *buffer, uint32_t length, bool readonly)
{
    const uint8_t *at = buffer;
    unsigned int n = first;
    while (length > 0) {
        uint16_t offset = (uint16_t)((uintptr_t)at & (PVUSB_PAGE_SIZE - 1));
        uint16_t part = (uint16_t)(PVUSB_PAGE_SIZE - offset);
        if (part > length)
            part = (uint16_t)length;
        assert(n < PVUSB_SEGMENTS_MAX); /* submit has counted the pages */
        struct usbif_request_segment *seg = &request->seg[n++];
        int rc = grant_page(front, slot, at, readonly, &seg->gref);
        if (rc)
            return rc;
        seg->offset = offset;
        seg->length = part;
        at += part;
        length -= part;
    }
    return (int)(n - first);
}

/* ---- out ---- */

static int fill_request(struct front *front, struct front_slot *slot, const struct hcd_urb *urb,
                        struct usbif_urb_request *request)
{
    uint32_t length = urb->length - urb->hcd_done;
    const uint8_t *from = urb->buffer ? (const uint8_t *)urb->buffer + urb->hcd_done : NULL;
    int n = grant_buffer(front, slot, request, 0, from, length, !urb->in);
    if (n < 0)
        return n;
    request->nr_buffer_segs = (uint16_t)n;
    request->buffer_length = (uint16_t)length; /* 65536 becomes 0, as Linux sends it (rule SEG-03) */
    request->transfer_flags = urb->short_not_ok ? USBIF_SHORT_NOT_OK : 0;
    request->pipe = pvusb_pipe_encode((struct pvusb_pipe){.port = urb->port,
                                                          .device = urb->device,
                                                          .endpoint = urb->endpoint,
                                                          .type = urb->type,
                                                          .in = urb->in});
    switch (urb->type) {
    case USBIF_PIPE_TYPE_CTRL:
        memcpy(request->u.ctrl, urb->setup, sizeof(urb->setup));
        return 0;
    case USBIF_PIPE_TYPE_INT:
        request->u.intr.interval = urb->interval;
        return 0;
    case USBIF_PIPE_TYPE_ISOC: {
        /* A copy in a page of its own: the backend sees and writes descriptors, nothing else (rule ISO-03). */
        uint32_t bytes = (uint32_t)(urb->nr_packets * sizeof(struct pvusb_iso_desc));
        memcpy(slot->bounce, urb->packets, bytes);
        int d = grant_buffer(front, slot, request, (unsigned int)n, slot->bounce, bytes, false);
        if (d < 0)
            return d;
        request->u.isoc.interval = urb->interval;
        request->u.isoc.start_frame = urb->start_frame;
        request->u.isoc.number_of_packets = urb->nr_packets;
        request->u.isoc.nr_frame_desc_segs = (uint16_t)d;
        return 0;
    }
    default:
        return 0;
    }
}

int front_urb_start(struct front *front, struct hcd_urb *urb)
{
    struct usbif_urb_request request;
    uint16_t id;
    struct front_slot *slot = slot_take(front, &id);
    slot->use = SLOT_URB;
    slot->urb = urb;
    front->held[front_class_of(urb)]++;
    memset(&request, 0, offsetof(struct usbif_urb_request, seg)); /* of these only what is used is sent */
    request.id = id;
    int rc = fill_request(front, slot, urb, &request);
    if (rc) {
        front_slot_free(front, slot); /* a backend that guessed a reference may have it mapped by now */
        return rc;
    }
    urb->hcd_private = slot;
    pvusb_ring_front_put_urb(&front->urb_ring, &request);
    front->stats.requests++;
    if (!urb->hcd_seen && front->tap)
        front->tap->submitted(front->tap->context, urb);
    urb->hcd_seen = true;
    return 0;
}

bool front_slot_send_unlink(struct front *front, uint16_t id)
{
    struct front_slot *target = &front->slot[id];
    struct usbif_urb_request request = {0};
    uint16_t own;
    if (front->used == front->nr_slots)
        return false;
    struct front_slot *slot = slot_take(front, &own);
    slot->use = SLOT_UNLINK;
    front->unlinks_wanted -= target->unlink_wanted;
    target->unlink_wanted = false;
    target->unlink_sent = true;

    const struct hcd_urb *urb = target->urb;
    request.id = own;
    request.pipe = pvusb_pipe_encode((struct pvusb_pipe){.port = urb->port,
                                                         .device = urb->device,
                                                         .endpoint = urb->endpoint,
                                                         .type = urb->type,
                                                         .in = urb->in,
                                                         .unlink = true}); /* rule UNL-02 */
    request.u.unlink.unlink_id = id;
    pvusb_ring_front_put_urb(&front->urb_ring, &request);
    front->stats.requests++;
    front->stats.unlinks++;
    return true;
}

void front_push(struct front *front)
{
    if (front->urb_ring.req_prod == front->urb_ring.req_published)
        return;
    if (pvusb_ring_front_push(&front->urb_ring)) {
        front->stats.notifications++;
        front->xen->ops->evtchn_notify(front->xen, front->evtchn);
    }
}

/* ---- back ---- */

/* Rule STA-02, and what kernel backends send beyond the seven values (rules STA-01, SNO-02). */
static int status_to_errno(int32_t status)
{
    switch (status) {
    case USBIF_STATUS_OK:
    case USBIF_STATUS_NODEV:
    case USBIF_STATUS_INVAL:
    case USBIF_STATUS_STALL:
    case USBIF_STATUS_IOERROR:
    case USBIF_STATUS_BABBLE:
    case -EREMOTEIO:
        return status;
    default:
        return -ESHUTDOWN;
    }
}

/* Linux's MAX_ERRNO: what a packet's status can be besides 0 (rule ISO-06 names no set). */
#define ISO_ERRNO_MAX 4095

/*
 * Copies the descriptors out once; only lengths that fit their packet and statuses that are errors are
 * believed.
 */
static void iso_results(struct hcd_urb *urb, const struct pvusb_iso_desc *bounce)
{
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const volatile struct pvusb_iso_desc *from = &bounce[i];
        uint32_t actual = from->actual_length;
        int32_t status = from->status;
        urb->packets[i].actual_length = actual < urb->packets[i].length ? actual : urb->packets[i].length;
        urb->packets[i].status = status > 0 || status < -ISO_ERRNO_MAX ? -EPROTO : status;
    }
}

void front_giveback(struct front *front, struct hcd_urb *urb, int status)
{
    if (urb->hcd_unlinked)
        status = urb->hcd_unlinked; /* rule STA-07 */
    else if (status == 0 && urb->short_not_ok && urb->in && urb->actual < urb->length &&
             urb->type != USBIF_PIPE_TYPE_ISOC)
        status = -EREMOTEIO; /* rule SNO-03 */
    urb->status = status;
    urb->hcd_private = NULL;
    front->stats.urbs++;
    if (urb->hcd_seen && front->tap)
        front->tap->returned(front->tap->context, urb);
    urb->complete(urb);
}

static void urb_done(struct front *front, struct front_slot *slot, const struct usbif_urb_response *response)
{
    struct hcd_urb *urb = slot->urb;
    int status = status_to_errno(response->status);
    uint32_t room = urb->length - urb->hcd_done;
    uint32_t actual = response->actual_length < 0 ? 0u : (uint32_t)response->actual_length; /* rule STA-03 */
    urb->actual = urb->hcd_done + (actual < room ? actual : room);
    if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        iso_results(urb, slot->bounce);
        urb->start_frame = response->start_frame;
        /* A counter of its own: packets that an unlink left undone are not errors. */
        urb->error_count = response->error_count < 0 ? 0u : (uint32_t)response->error_count;
        if (urb->error_count > urb->nr_packets)
            urb->error_count = urb->nr_packets;
    }
    /* How backends answer what was cancelled (rule UNL-04); anything else is the transfer's own end. */
    bool cut = slot->take_back && (status == -EPROTO || status == -ESHUTDOWN);
    front_slot_free(front, slot);
    urb->hcd_private = NULL;
    bool all = urb->length > 0 && urb->actual == urb->length;
    if (cut && !urb->hcd_unlinked && !all) {
        urb->hcd_done = urb->actual; /* whole packets that had arrived by then; the rest follows them */
        front_requeue_taken_back(front, urb);
    } else {
        front_giveback(front, urb, cut ? 0 : status);
    }
}

static enum pvusb_verdict response_done(struct front *front, const struct usbif_urb_response *response)
{
    if (response->id >= front->nr_slots || front->slot[response->id].use == SLOT_FREE)
        return PVUSB_RESPONSE_ID;
    struct front_slot *slot = &front->slot[response->id];
    if (slot->use == SLOT_UNLINK) {
        front_slot_free(front, slot); /* any status, in any order (rules UNL-04, UNL-08) */
        return PVUSB_OK;
    }
    if (!front_slot_end_grants(front, slot))
        return PVUSB_GRANT_IN_USE;
    urb_done(front, slot, response);
    return PVUSB_OK;
}

/* True after PVUSB_EMPTY; false when there is no ring any more, or none that may be used. */
static bool take_responses(struct front *front)
{
    struct usbif_urb_response response;
    enum pvusb_verdict verdict;
    while (front->urb_page && (verdict = pvusb_ring_front_take(&front->urb_ring, &response)) != PVUSB_EMPTY) {
        if (verdict == PVUSB_OK) {
            front->stats.responses++;
            verdict = response_done(front, &response);
        }
        if (verdict != PVUSB_OK) {
            front_violation(front, verdict);
            return false;
        }
    }
    return front->urb_page != NULL;
}

void front_poll_responses(struct front *front)
{
    (void)take_responses(front);
}

void front_take_responses(struct front *front)
{
    while (take_responses(front) && pvusb_ring_front_final_check(&front->urb_ring))
        ;
}
