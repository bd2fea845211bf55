// SPDX-License-Identifier: MIT
/*
 * Whose turn it is. A few slots serve all ports and endpoints; a driver that
 * keeps as many reads pending would otherwise lock everyone out, itself included (rule RING-12).
 */
#include "frontend/private.h"

enum front_class front_class_of(const struct hcd_urb *urb)
{
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return FRONT_CONTROL;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        return FRONT_ISO;
    return urb->in ? FRONT_DATA_IN : FRONT_DATA_OUT;
}

static bool same_endpoint(const struct hcd_urb *a, const struct hcd_urb *b)
{
    return a->device == b->device && a->port == b->port && a->endpoint == b->endpoint && a->in == b->in;
}

void front_queue_append(struct front *front, struct hcd_urb *urb)
{
    struct front_queue *queue = &front->waiting[front_class_of(urb)];
    urb->hcd_next = NULL;
    *queue->tail = urb;
    queue->tail = &urb->hcd_next;
}

bool front_queue_remove(struct front *front, struct hcd_urb *urb)
{
    struct front_queue *queue = &front->waiting[front_class_of(urb)];
    for (struct hcd_urb **at = &queue->head; *at; at = &(*at)->hcd_next) {
        if (*at != urb)
            continue;
        *at = urb->hcd_next;
        if (queue->tail == &urb->hcd_next)
            queue->tail = at;
        return true;
    }
    return false;
}

/*
 * An endpoint that gives up a slot starts nothing until it has: what it gives up must be first on the ring
 * again. For the same reason it gives up one at a time.
 */
static bool giving_up(const struct front *front, const struct hcd_urb *urb)
{
    for (unsigned int i = 0; front->taken_back > 0 && i < front->nr_slots; i++) {
        const struct front_slot *slot = &front->slot[i];
        if (slot->use == SLOT_URB && slot->take_back && same_endpoint(slot->urb, urb))
            return true;
    }
    return false;
}

struct hcd_urb *front_queue_pop(struct front *front, enum front_class class)
{
    struct hcd_urb *urb = front->waiting[class].head;
    if (urb)
        front_queue_remove(front, urb);
    return urb;
}

/* An URB that gave up its slot goes behind the other endpoints, but stays ahead of its own endpoint's later ones. */
void front_requeue_taken_back(struct front *front, struct hcd_urb *urb)
{
    struct front_queue *queue = &front->waiting[FRONT_DATA_IN];
    struct front_queue own = {.tail = &own.head};
    struct hcd_urb **at = &queue->head;
    while (*at) {
        struct hcd_urb *other = *at;
        if (!same_endpoint(other, urb)) {
            at = &other->hcd_next;
            continue;
        }
        *at = other->hcd_next;
        other->hcd_next = NULL;
        *own.tail = other;
        own.tail = &other->hcd_next;
    }
    queue->tail = at;
    front_queue_append(front, urb);
    if (own.head) {
        *queue->tail = own.head;
        queue->tail = own.tail;
    }
}

/*
 * The most that each class holds: idle receivers, writers whose device takes nothing, and streams leave room for
 * the others. Of a ring of 16 slots, and of a larger one in proportion.
 */
static unsigned int slots_max(const struct front *front, enum front_class class)
{
    static const unsigned int of_16[FRONT_CLASSES] = {
        [FRONT_CONTROL] = 16, [FRONT_ISO] = 10, [FRONT_DATA_OUT] = 10, [FRONT_DATA_IN] = 12};
    return front->nr_slots * of_16[class] / 16;
}

static bool may_start(const struct front *front, enum front_class class)
{
    unsigned int keep = FRONT_KEEP_FOR_UNLINK;
    if (class != FRONT_CONTROL)
        keep += FRONT_KEEP_FOR_CONTROL;
    if (front->held[class] >= slots_max(front, class))
        return false;
    return front->used + keep < front->nr_slots;
}

static void run_unlinks(struct front *front)
{
    for (uint16_t id = 0; front->unlinks_wanted > 0 && id < front->nr_slots; id++) {
        if (front->slot[id].use == SLOT_URB && front->slot[id].unlink_wanted && !front_slot_send_unlink(front, id))
            return;
    }
}

static struct hcd_urb *next_to_start(const struct front *front, enum front_class class)
{
    struct hcd_urb *urb = front->waiting[class].head;
    while (urb && class == FRONT_DATA_IN && giving_up(front, urb))
        urb = urb->hcd_next;
    return urb;
}

/* Only that URB fails. Nothing completes inside a submit (hcd.h). */
static void fail_urb(struct front *front, struct hcd_urb *urb, int error)
{
    if (front->stepping) {
        front_giveback(front, urb, error);
        return;
    }
    urb->status = error;
    urb->hcd_next = NULL;
    *front->failed.tail = urb;
    front->failed.tail = &urb->hcd_next;
}

void front_return_failed(struct front *front)
{
    struct hcd_urb *urb;
    while ((urb = front->failed.head)) {
        front->failed.head = urb->hcd_next;
        if (!urb->hcd_next)
            front->failed.tail = &front->failed.head;
        front_giveback(front, urb, urb->status);
    }
}

void front_run_queues(struct front *front)
{
    run_unlinks(front);
    for (enum front_class class = FRONT_CONTROL; class < FRONT_CLASSES; class ++) {
        struct hcd_urb *urb;
        while (front->waiting[class].head && may_start(front, class) && (urb = next_to_start(front, class))) {
            front_queue_remove(front, urb);
            int rc = front_urb_start(front, urb);
            if (rc)
                fail_urb(front, urb, rc);
        }
    }
}

/* ---- turns ---- */

static unsigned int slots_of(const struct front *front, const struct hcd_urb *urb)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < front->nr_slots; i++)
        n += front->slot[i].use == SLOT_URB && same_endpoint(front->slot[i].urb, urb);
    return n;
}

/* Looks no further than to the first: who waits behind its own endpoint's URBs is the usual case. */
static bool has_slot(const struct front *front, const struct hcd_urb *urb)
{
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        if (front->slot[i].use == SLOT_URB && same_endpoint(front->slot[i].urb, urb))
            return true;
    }
    return false;
}

static bool newest_of_endpoint(const struct front *front, const struct front_slot *slot)
{
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        const struct front_slot *other = &front->slot[i];
        if (other->use == SLOT_URB && other->order > slot->order && same_endpoint(other->urb, slot->urb))
            return false;
    }
    return true;
}

/* The first that waits for an endpoint without any slot; idle INs hold the slots, or OUTs that are stuck. */
static struct hcd_urb *starving(const struct front *front)
{
    if (may_start(front, FRONT_DATA_IN))
        return NULL;
    struct hcd_urb *urb = front->waiting[FRONT_DATA_IN].head;
    while (urb && has_slot(front, urb))
        urb = urb->hcd_next;
    return urb;
}

/*
 * The endpoint with most slots gives up its newest, so that its order stays; among endpoints with equally
 * many the one whose newest is oldest.
 */
static struct front_slot *to_take_back(struct front *front)
{
    struct front_slot *best = NULL;
    unsigned int best_count = 0;
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        struct front_slot *slot = &front->slot[i];
        if (slot->use != SLOT_URB || front_class_of(slot->urb) != FRONT_DATA_IN || slot->urb->hcd_unlinked ||
            giving_up(front, slot->urb) || !newest_of_endpoint(front, slot))
            continue;
        unsigned int count = slots_of(front, slot->urb);
        if (count > best_count || (best && count == best_count && slot->order < best->order)) {
            best = slot;
            best_count = count;
        }
    }
    return best;
}

static bool take_back(struct front *front)
{
    struct front_slot *slot = to_take_back(front);
    if (!slot)
        return false;
    front->taken_back += !slot->take_back;
    slot->take_back = true;
    front_slot_want_unlink(front, slot);
    run_unlinks(front);
    return true;
}

/* A stream cannot wait for turns: receivers make room for it at once. */
static void make_room_for_iso(struct front *front)
{
    unsigned int wanted = 0;
    if (front->held[FRONT_ISO] >= slots_max(front, FRONT_ISO))
        return;
    for (const struct hcd_urb *urb = front->waiting[FRONT_ISO].head; urb; urb = urb->hcd_next)
        wanted++;
    /* What is being taken back makes room soon, and so does an unlink that is on its way. */
    for (unsigned int i = 0; i < front->nr_slots && wanted > 0; i++)
        wanted -= front->slot[i].use == SLOT_UNLINK || (front->slot[i].use == SLOT_URB && front->slot[i].take_back);
    while (wanted > 0 && take_back(front))
        wanted--;
}

void front_check_starvation(struct front *front)
{
    front->check_wanted = false;
    make_room_for_iso(front);
    if (!starving(front)) {
        front->starving_since_ns = UINT64_MAX;
        return;
    }
    if (front->starving_since_ns == UINT64_MAX)
        front->starving_since_ns = front->now_ns;
    if (front->now_ns < front->starving_since_ns + FRONT_STARVE_NS)
        return;
    front->starving_since_ns = front->now_ns; /* the next turn comes even if this one is not answered */
    take_back(front);
}
