// SPDX-License-Identifier: MIT
/* The connector's life in xenbus: finding the backend, rings, closing (rules of sections 1 and 2). */
#include "frontend/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void front_set_state(struct front *front, enum xenbus_state state)
{
    if (front->state == state)
        return;
    front_log(front, "%s -> %s", xenbus_state_name(front->state), xenbus_state_name(state));
    front->state = state;
    /* If the store cannot be written the backend sees the end of the channel instead. */
    int rc = xenbus_state_write(front->xen, front->dir, state);
    if (rc)
        front_log(front, "state not written: %s", strerror(-rc));
}

/*
 * Reads where the backend is, once the toolstack has said so. A state node left by a predecessor
 * that died is walked back to Initialising, as a kernel does after kexec (rule BUS-21).
 */
int front_find_backend(struct front *front)
{
    char backend[XENBUS_VALUE_MAX];
    char watch[XENBUS_PATH_MAX + 8];
    uint32_t domid;
    int rc = xenbus_read(front->xen, XEN_XBT_NIL, front->dir, "backend", backend);
    if (rc)
        return rc;
    rc = xenbus_read_number(front->xen, XEN_XBT_NIL, front->dir, "backend-id", 0, DOMID_FIRST_RESERVED - 1, &domid);
    if (rc)
        return rc;
    size_t length = strlen(backend);
    if (length == 0 || length >= sizeof(front->backend_dir))
        return -EINVAL;
    snprintf(watch, sizeof(watch), "%s/state", backend);
    rc = front->xen->ops->xs_watch(front->xen, watch, "backend");
    if (rc)
        return rc;
    memcpy(front->backend_dir, backend, length + 1);
    front->backend_domid = (domid_t)domid;
    front->backend_state = xenbus_state_read(front->xen, front->backend_dir);

    enum xenbus_state left = xenbus_state_read(front->xen, front->dir);
    if (front->state != XenbusStateInitialising)
        return 0; /* closed before it began: the node is our own */
    if (left > XenbusStateInitialising && left != XenbusStateClosed) {
        front->state = left;
        front_begin_close(front);
        front->restart = true;
    } else if (left == XenbusStateClosed) {
        front->state = left;
        front->restart = true;
    }
    return 0;
}

/* ---- connecting ---- */

static int read_configuration(struct front *front)
{
    uint32_t ports;
    uint32_t version;
    int rc = xenbus_read_number(front->xen, XEN_XBT_NIL, front->backend_dir, "num-ports", 1, PVUSB_PORTS_MAX, &ports);
    if (rc) {
        front_log(front, rc == -EINVAL ? "invalid num-ports" : "reading num-ports failed");
        return rc;
    }
    rc = xenbus_read_number(front->xen, XEN_XBT_NIL, front->backend_dir, "usb-ver", USB_VER_USB11, USB_VER_USB20,
                            &version);
    if (rc) {
        front_log(front, rc == -EINVAL ? "invalid usb-ver" : "reading usb-ver failed");
        return rc;
    }
    front->num_ports = ports;
    front->usb_ver = version;
    uint32_t keeps = 0;
    rc = xenbus_read_number(front->xen, XEN_XBT_NIL, front->backend_dir, FRONT_KEPT_NODE, 0, 1, &keeps);
    front->keeping = !rc && keeps && !front->never_keep;
    uint32_t order_max = 0;
    rc = xenbus_read_number(front->xen, XEN_XBT_NIL, front->backend_dir, FRONT_ORDER_MAX_NODE, 0, UINT32_MAX, &order_max);
    front->ring_order = rc ? 0 : order_max < front->order_wanted ? order_max : front->order_wanted;
    return 0;
}

static int make_rings(struct front *front)
{
    const struct xen_ops *ops = front->xen->ops;
    const struct pvusb_ring_kind *kind = &pvusb_urb_ring[front->ring_order];
    int rc = front_memory_alloc(front, kind->pages, &front->urb_page);
    if (rc)
        return rc;
    pvusb_ring_front_init(&front->urb_ring, kind, front->urb_page); /* what has a page is a ring */
    rc = front_memory_alloc(front, 1, &front->conn_page);
    if (rc)
        return rc;
    pvusb_ring_front_init(&front->conn_ring, &pvusb_conn_ring, front->conn_page);
    front_slots_init(front, kind->slots);
    rc = front_memory_alloc(front, front->nr_slots, &front->bounce_pages);
    if (rc)
        return rc;
    for (unsigned int i = 0; i < front->nr_slots; i++)
        front->slot[i].bounce = (void *)((uint8_t *)front->bounce_pages + (size_t)i * PVUSB_PAGE_SIZE);
    for (unsigned int i = 0; !rc && i < kind->pages; i++) {
        const uint8_t *page = (const uint8_t *)front->urb_page + (size_t)i * PVUSB_PAGE_SIZE;
        rc = ops->grant(front->xen, front->backend_domid, page, false, &front->urb_ref[i]);
    }
    if (!rc)
        rc = ops->grant(front->xen, front->backend_domid, front->conn_page, false, &front->conn_ref);
    if (!rc)
        rc = ops->evtchn_alloc(front->xen, front->backend_domid, &front->evtchn);
    return rc;
}

static int remove_node(struct front *front, xen_transaction t, const char *node)
{
    char path[XENBUS_PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", front->dir, node);
    int rc = front->xen->ops->xs_rm(front->xen, t, path);
    return rc == -ENOENT ? 0 : rc;
}

/* The pages behind the first, and how many there are. Without more than one: what one before us wrote is not our word. */
static int write_more_pages(struct front *front, xen_transaction t)
{
    int rc = 0;
    if (front->ring_order == 0)
        return remove_node(front, t, FRONT_ORDER_NODE);
    for (unsigned int i = 1; !rc && i < front->urb_ring.kind->pages; i++) {
        char node[32];
        snprintf(node, sizeof(node), "urb-ring-ref%u", i);
        rc = xenbus_write(front->xen, t, front->dir, node, "%u", front->urb_ref[i]);
    }
    return rc ? rc : xenbus_write(front->xen, t, front->dir, FRONT_ORDER_NODE, "%u", front->ring_order);
}

/* Rule XS-11: the three nodes in one transaction, and those of the extensions. */
static int write_nodes(struct front *front)
{
    unsigned int tries = 0;
    int rc;
    do {
        xen_transaction t;
        rc = front->xen->ops->xs_begin(front->xen, &t);
        if (rc)
            return rc;
        rc = xenbus_write(front->xen, t, front->dir, "urb-ring-ref", "%u", front->urb_ref[0]);
        if (!rc)
            rc = xenbus_write(front->xen, t, front->dir, "conn-ring-ref", "%u", front->conn_ref);
        if (!rc)
            rc = xenbus_write(front->xen, t, front->dir, "event-channel", "%u", front->evtchn);
        if (!rc)
            rc = write_more_pages(front, t);
        if (!rc && front->keeping)
            rc = xenbus_write(front->xen, t, front->dir, FRONT_KEPT_NODE, "1");
        else if (!rc) /* what one before us wrote is not our word */
            rc = remove_node(front, t, FRONT_KEPT_NODE);
        int end = front->xen->ops->xs_end(front->xen, t, rc != 0);
        rc = rc ? rc : end;
    } while (rc == -EAGAIN && ++tries < XENBUS_TRANSACTION_TRIES);
    return rc;
}

/* Rule CONN-01: 512 dummy requests, published before state Connected. */
static void prime_conn_ring(struct front *front)
{
    for (uint16_t id = 0; id < PVUSB_CONN_RING_SLOTS; id++)
        pvusb_ring_front_put(&front->conn_ring, &(struct usbif_conn_request){.id = id});
    if (pvusb_ring_front_push(&front->conn_ring))
        front->xen->ops->evtchn_notify(front->xen, front->evtchn);
}

int front_connect(struct front *front)
{
    int rc = read_configuration(front);
    if (!rc)
        rc = make_rings(front);
    if (!rc)
        rc = write_nodes(front);
    if (rc) {
        xenbus_error(front->xen, front->dir, rc, "fail to create usb host controller");
        front_begin_close(front);
        return rc;
    }
    front->backend_gone = false;
    front->stats.connections++;
    front_hub_reset(front);
    prime_conn_ring(front);
    front_set_state(front, XenbusStateConnected);
    return 0;
}

/* ---- closing ---- */

void front_violation(struct front *front, enum pvusb_verdict verdict)
{
    char text[64];
    if (front->verdict == PVUSB_OK)
        front->verdict = verdict;
    snprintf(text, sizeof(text), "protocol violated by the backend: %s", pvusb_verdict_name(verdict));
    front_log(front, "%s", text);
    xenbus_error(front->xen, front->dir, EPROTO, text);
    front_begin_close(front);
}

/* From here on nothing is submitted. What is on the ring returns as the backend gives it up. */
void front_begin_close(struct front *front)
{
    if (front->state == XenbusStateClosing || front->state == XenbusStateClosed)
        return;
    front_set_state(front, XenbusStateClosing);
    front->close_deadline_ns = UINT64_MAX; /* set by the next step: between steps we do not know the time */
    front->starving_since_ns = UINT64_MAX;
    for (unsigned int i = 1; i <= front->num_ports; i++)
        front_hub_plug(front, i, USBIF_SPEED_NONE);
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        struct front_slot *slot = &front->slot[i];
        if (slot->use == SLOT_URB && !slot->urb->hcd_unlinked)
            slot->urb->hcd_unlinked = -ESHUTDOWN;
    }
    front_return_failed(front);
    for (enum front_class class = FRONT_CONTROL; class < FRONT_CLASSES; class ++) {
        struct hcd_urb *urb;
        while ((urb = front_queue_pop(front, class)))
            front_giveback(front, urb, -ESHUTDOWN);
    }
}

static bool backend_left(const struct front *front)
{
    return front->backend_gone || front->backend_state <= XenbusStateInitialising || front->backend_state >= XenbusStateClosing ||
           front->now_ns >= front->close_deadline_ns;
}

/*
 * Without an answer an URB returns when the backend has left and maps none of its pages any
 * more, or at the deadline: then those pages are logged and kept from use until the backend lets go.
 */
static void return_slots(struct front *front)
{
    bool late = front->now_ns >= front->close_deadline_ns;
    if (!backend_left(front))
        return;
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        struct front_slot *slot = &front->slot[i];
        if (slot->use == SLOT_FREE)
            continue;
        if (!front_slot_end_grants(front, slot)) {
            if (!late)
                continue;
            front_log(front, "%u pages of an URB are still mapped by the backend", slot->nr_grants);
        }
        struct hcd_urb *urb = slot->urb;
        front_slot_free(front, slot);
        if (urb)
            front_giveback(front, urb, -ESHUTDOWN);
    }
}

/* What could be ended stays ended when the backend still maps the rest of the ring. */
static bool release_ring(struct front *front, void **page, unsigned int count, grant_ref_t refs[], bool late)
{
    unsigned int mapped = 0;
    if (!*page)
        return true;
    for (unsigned int i = 0; i < count; i++) {
        if (refs[i] && front->xen->ops->grant_end(front->xen, refs[i])) {
            mapped++;
            if (!late)
                continue;
            front_memory_abandon(front, refs[i], *page);
        }
        refs[i] = 0;
    }
    if (mapped > 0 && !late)
        return false;
    if (mapped > 0)
        front_log(front, "a ring is still mapped by the backend");
    front_memory_free(front, *page);
    *page = NULL;
    return true;
}

/* Gives back what make_rings() took; what the backend still maps at the deadline is kept from use. */
void front_release_rings(struct front *front)
{
    bool late = front->now_ns >= front->close_deadline_ns;
    if (front->evtchn) {
        front->xen->ops->evtchn_close(front->xen, front->evtchn);
        front->evtchn = 0;
    }
    if (!front_memory_end_kept(front, late) ||
        !release_ring(front, &front->urb_page, 1u << front->ring_order, front->urb_ref, late) ||
        !release_ring(front, &front->conn_page, 1, &front->conn_ref, late))
        return;
    front->keeping = false;
    front_memory_free(front, front->bounce_pages);
    front->bounce_pages = NULL;
}

void front_advance_close(struct front *front)
{
    if (front->close_deadline_ns == UINT64_MAX)
        front->close_deadline_ns = front->now_ns + FRONT_CLOSE_NS;
    if (front->verdict == PVUSB_OK && front->urb_page)
        front_take_responses(front);
    if (front->used > 0)
        return_slots(front);
    if (front->used > 0)
        return;
    /*
     * The backend must have unmapped before the pages go; while it is Connected it has not even begun. A
     * frontend without rings waits too, as some backends follow only Closing (rules BUS-13, BUS-21).
     */
    if (!backend_left(front))
        return;
    front_release_rings(front);
    if (front->urb_page || front->conn_page)
        return;
    front_set_state(front, XenbusStateClosed);
    front->close_deadline_ns = UINT64_MAX;
}

/* A backend may unmap after it has said for the last time that it closes, and nobody tells of that. */
uint64_t front_unmap_deadline(const struct front *front)
{
    if (front->state != XenbusStateClosing || !backend_left(front))
        return UINT64_MAX;
    return front->now_ns + FRONT_UNMAP_NS;
}

/* ---- following the backend ---- */

/* A backend that closed because the toolstack removes the controller will not come again. */
static bool may_restart(const struct front *front)
{
    uint32_t online;
    switch (front->backend_state) {
    case XenbusStateInitialising:
    case XenbusStateInitWait:
        return true;
    case XenbusStateClosed:
        return !front->reconnect || xenbus_read_number(front->xen, XEN_XBT_NIL, front->backend_dir, "online", 0,
                                                       UINT32_MAX, &online) ||
               online != 0;
    case XenbusStateUnknown:
    case XenbusStateInitialised:
    case XenbusStateConnected:
    case XenbusStateClosing:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
        break;
    }
    return false;
}

/* Rules BUS-05, BUS-12, BUS-18, BUS-19. */
void front_follow(struct front *front)
{
    enum xenbus_state backend = front->backend_state;
    if (front->state == XenbusStateInitialising) {
        if (backend >= XenbusStateInitWait && backend <= XenbusStateConnected) {
            front_connect(front);
        } else if (backend == XenbusStateClosing) {
            front->restart = front->reconnect;
            front_begin_close(front);
        }
        return;
    }
    if (front->state == XenbusStateConnected &&
        (backend == XenbusStateClosing || backend == XenbusStateClosed || backend == XenbusStateUnknown)) {
        if (backend == XenbusStateUnknown)
            front_log(front, "the backend's directory is gone");
        front_take_responses(front);
        if (front->state == XenbusStateConnected) /* else a violation in what it left: no second try */
            front->restart = front->reconnect;
        front_begin_close(front);
        return;
    }
    if (front->state == XenbusStateClosed && front->restart && may_restart(front)) {
        front->restart = false;
        front->verdict = PVUSB_OK;
        front_set_state(front, XenbusStateInitialising);
        front_follow(front);
    }
}

/*
 * A backend that dies writes nothing. Its channel tells: the end that closes raises an event here (fakexen.h 11), and
 * only who was bound can have closed. One that ends in order has written its state before.
 */
void front_check_backend(struct front *front)
{
    bool bound = true;
    if (!front->evtchn || front->backend_gone ||
        front->xen->ops->evtchn_status(front->xen, front->evtchn, &bound) || bound)
        return;
    front->backend_gone = true;
    front->backend_state = xenbus_state_read(front->xen, front->backend_dir);
    front_follow(front);
    if (front->state != XenbusStateConnected)
        return;
    front_log(front, "the backend is gone without closing");
    front->stats.lost_backends++;
    front->restart = front->reconnect;
    front_begin_close(front);
}
