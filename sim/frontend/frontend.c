// SPDX-License-Identifier: MIT
#include "frontend/frontend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/private.h"

void front_log(struct front *front, const char *format, ...)
{
    char line[256];
    va_list args;
    if (!front->log)
        return;
    int n = snprintf(line, sizeof(line), "vusb-%u: ", front->devid);
    va_start(args, format);
    vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
    va_end(args);
    front->log(front->log_context, line);
}

/* ---- the controller (hcd.h) ---- */

static int check_urb(struct front *front, const struct hcd_urb *urb)
{
    if (urb->port == 0 || urb->port > front->num_ports || urb->device > PVUSB_ADDRESS_MAX || urb->endpoint > 15 ||
        urb->type > USBIF_PIPE_TYPE_BULK || (urb->length > 0 && !urb->buffer))
        return -EINVAL;
    uint32_t offset = (uint32_t)((uintptr_t)urb->buffer & (PVUSB_PAGE_SIZE - 1));
    uint32_t pages = urb->length ? (offset + urb->length + PVUSB_PAGE_SIZE - 1) / PVUSB_PAGE_SIZE : 0;
    if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        if (urb->nr_packets == 0 || urb->nr_packets > PVUSB_ISO_PACKETS_MAX || !urb->packets ||
            pvusb_iso_check(urb->packets, urb->nr_packets, urb->length) != PVUSB_OK)
            return -EINVAL;
        pages++;
    }
    if (urb->length > PVUSB_URB_LENGTH_MAX || pages > PVUSB_SEGMENTS_MAX)
        return -EMSGSIZE;
    return urb->length == 0 || front_memory_holds(front, urb->buffer, urb->length) ? 0 : -EFAULT;
}

static int front_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    struct front *front = (struct front *)hcd;
    if (front->state != XenbusStateConnected)
        return -ESHUTDOWN;
    int rc = check_urb(front, urb);
    if (rc)
        return rc;
    urb->hcd_private = NULL;
    urb->hcd_unlinked = 0;
    urb->hcd_seen = false;
    urb->hcd_done = 0;
    urb->status = -EINPROGRESS;
    urb->actual = 0;
    urb->error_count = 0;
    front_queue_append(front, urb);
    if (!front->stepping) {
        front_run_queues(front);
        front_push(front);
        front->check_wanted = front->waiting[FRONT_DATA_IN].head || front->waiting[FRONT_ISO].head;
    }
    return 0;
}

static int front_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    struct front *front = (struct front *)hcd;
    struct front_slot *slot = urb->hcd_private;
    if (!slot) {
        if (!front_queue_remove(front, urb))
            return -EINVAL;
        urb->hcd_unlinked = reason;
        front_giveback(front, urb, reason); /* never was on the ring (rule UNL-09) */
        return 0;
    }
    if (urb->hcd_unlinked)
        return -EBUSY;
    urb->hcd_unlinked = reason;
    if (!slot->unlink_sent)
        front_slot_want_unlink(front, slot);
    if (!front->stepping) {
        front_run_queues(front);
        front_push(front);
    }
    return 0;
}

static unsigned int front_num_ports(struct hcd *hcd)
{
    return ((struct front *)hcd)->num_ports;
}

static unsigned int pages_of(size_t size)
{
    return (unsigned int)((size + PVUSB_PAGE_SIZE - 1) / PVUSB_PAGE_SIZE);
}

static int front_buffer_alloc(struct hcd *hcd, size_t size, void **out)
{
    struct front *front = (struct front *)hcd;
    if (size == 0 || size > (size_t)1 << 30)
        return -EINVAL;
    return front_memory_alloc(front, pages_of(size), out);
}

static void front_buffer_free(struct hcd *hcd, void *buffer, size_t size)
{
    (void)size;
    front_memory_free((struct front *)hcd, buffer);
}

static const struct hcd_ops front_ops = {
    .submit = front_submit,
    .unlink = front_unlink,
    .hub_control = front_hub_control,
    .hub_status = front_hub_status,
    .num_ports = front_num_ports,
    .buffer_alloc = front_buffer_alloc,
    .buffer_free = front_buffer_free,
};

/* ---- events ---- */

#define EVENTS_PER_STEP 8u
#define TURNS_PER_STEP  8u /* responses taken and URBs started; what comes then is for the next step */

static int take_watches(struct front *front, bool waiting)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    bool any = false;
    int rc = 0;
    while (waiting && !(rc = front->xen->ops->xs_watch_read(front->xen, path, token)))
        any = true;
    if (rc == -EPIPE)
        return rc; /* anything else: what is waiting is for the next step */
    if (!any && front->now_ns < front->look_again_ns)
        return 0;
    front->look_again_ns = UINT64_MAX;
    if (!front->backend_dir[0]) {
        rc = front_find_backend(front);
        if (rc && rc != -ENOENT && rc != -EINVAL) /* those two: not written yet, the watch tells */
            front->look_again_ns = front->now_ns + FRONT_LOOK_NS;
        return rc == -EPIPE ? rc : 0;
    }
    front->backend_state = xenbus_state_read(front->xen, front->backend_dir);
    return 0;
}

static void take_plug_events(struct front *front)
{
    struct usbif_conn_response event;
    enum pvusb_verdict verdict;
    bool any = false;
    do {
        while ((verdict = pvusb_ring_front_take(&front->conn_ring, &event)) != PVUSB_EMPTY) {
            if (verdict == PVUSB_OK)
                verdict = pvusb_conn_check(&event, front->num_ports);
            if (verdict != PVUSB_OK) {
                front_violation(front, verdict);
                return;
            }
            front->stats.plug_events++;
            front_log(front, "port %u: speed %u", event.portnum, event.speed);
            front_hub_plug(front, event.portnum, event.speed);
            pvusb_ring_front_put(&front->conn_ring, &(struct usbif_conn_request){.id = event.id}); /* rule CONN-06 */
            any = true;
        }
    } while (pvusb_ring_front_final_check(&front->conn_ring));
    if (any && pvusb_ring_front_push(&front->conn_ring))
        front->xen->ops->evtchn_notify(front->xen, front->evtchn);
}

/*
 * One channel serves both rings (rule RING-15). A backend that notifies without end keeps us from nothing
 * else (rule RING-16): what is still pending after a few is for the next step.
 */
static void take_events(struct front *front)
{
    evtchn_port_t port;
    for (unsigned int i = 0; i < EVENTS_PER_STEP && !front->xen->ops->evtchn_pending(front->xen, &port);
         i++) {
        if (port != front->evtchn)
            continue; /* a channel of before a reconnect */
        if (front->state == XenbusStateConnected)
            front_poll_responses(front);
        if (front->state == XenbusStateConnected)
            take_plug_events(front);
        front_check_backend(front);
        if (front->evtchn == port)
            front->xen->ops->evtchn_unmask(front->xen, port);
        front->polled = true;
        break; /* another look now would hardly find what the next step finds anyway */
    }
}

/* The machine is gone: nobody will answer, nothing can be written. */
static void lose_machine(struct front *front)
{
    if (front->state != XenbusStateClosed)
        front_log(front, "the Xen machine is gone");
    front->state = XenbusStateClosed;
    front->backend_state = XenbusStateUnknown;
    front->close_deadline_ns = UINT64_MAX;
    front->starving_since_ns = UINT64_MAX;
    front->look_again_ns = UINT64_MAX;
    for (unsigned int i = 1; i <= front->num_ports; i++)
        front_hub_plug(front, i, USBIF_SPEED_NONE);
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        struct front_slot *slot = &front->slot[i];
        struct hcd_urb *urb = slot->urb;
        if (slot->use == SLOT_FREE)
            continue;
        front_slot_free(front, slot);
        if (urb)
            front_giveback(front, urb, -ESHUTDOWN);
    }
    front_return_failed(front);
    for (enum front_class class = FRONT_CONTROL; class < FRONT_CLASSES; class ++) {
        struct hcd_urb *urb;
        while ((urb = front_queue_pop(front, class)))
            front_giveback(front, urb, -ESHUTDOWN);
    }
}

static void start_waiting(struct front *front)
{
    front_run_queues(front);
    front_check_starvation(front);
    front_push(front);
}

void front_poll(struct front *front, uint64_t now_ns)
{
    if (front->state != XenbusStateConnected)
        return;
    front->now_ns = now_ns;
    front->stepping = true;
    front->polled = true;
    front_poll_responses(front);
    if (front->state == XenbusStateConnected)
        start_waiting(front);
    front->stepping = false;
}

bool front_pending(const struct front *front)
{
    return front->state == XenbusStateConnected && pvusb_ring_front_pending(&front->urb_ring);
}

/*
 * The event of the next response is asked for last, when what waits has been started: a backend that answers before then
 * need not send one, and we need not sleep for it.
 */
static void serve(struct front *front)
{
    start_waiting(front);
    for (unsigned int turn = 0; front->polled; turn++) {
        front->polled = pvusb_ring_front_final_check(&front->urb_ring);
        front->again = front->polled && turn == TURNS_PER_STEP;
        if (!front->polled || front->again)
            break;
        front_poll_responses(front);
        if (front->state != XenbusStateConnected)
            break;
        start_waiting(front);
    }
}

int front_step(struct front *front, uint64_t now_ns)
{
    front->now_ns = now_ns;
    front->stepping = true;
    front_hub_tick(front);
    front_return_failed(front);
    int waits = xen_waiting(front->xen);
    int rc = waits < 0 ? waits : take_watches(front, waits & XEN_WAITS_WATCH);
    if (front->stuck)
        front_memory_reap(front);
    if (!rc) {
        front_follow(front);
        if (waits & XEN_WAITS_EVENT)
            take_events(front);
        front->again = false;
        if (front->state == XenbusStateConnected)
            serve(front);
        if (front->state == XenbusStateClosing)
            front_advance_close(front);
        front_follow(front);
    } else {
        lose_machine(front);
    }
    front->stepping = false;
    return rc;
}

uint64_t front_deadline(const struct front *front)
{
    uint64_t due = front->close_deadline_ns;
    if (front->state == XenbusStateClosing && due == UINT64_MAX)
        return front->now_ns; /* closed between steps: the step that begins it is due at once */
    if (front->failed.head || (front->state == XenbusStateConnected && (front->check_wanted || front->again)))
        return front->now_ns; /* likewise; the clock of the 100 ms must start; responses are left */
    if (front->starving_since_ns != UINT64_MAX && front->starving_since_ns + FRONT_STARVE_NS < due)
        due = front->starving_since_ns + FRONT_STARVE_NS;
    if (front->look_again_ns < due)
        due = front->look_again_ns;
    uint64_t unmap = front_unmap_deadline(front);
    due = unmap < due ? unmap : due;
    return front->ports_due_ns < due ? front->ports_due_ns : due;
}

/* ---- life ---- */

int front_create(struct xen *xen, unsigned int devid, void (*log)(void *context, const char *line),
                 void *log_context, struct front **out)
{
    char watch[XENBUS_PATH_MAX + 16];
    int rc;
    struct front *front = calloc(1, sizeof(*front));
    if (!front)
        return -ENOMEM;
    front->hcd.ops = &front_ops;
    front->xen = xen;
    front->devid = devid;
    front->log = log;
    front->log_context = log_context;
    front->state = XenbusStateInitialising;
    front_set_ring_pages(front, FRONT_RING_PAGES);
    front->close_deadline_ns = UINT64_MAX;
    front->starving_since_ns = UINT64_MAX;
    front->look_again_ns = UINT64_MAX;
    front_hub_reset(front);
    for (enum front_class class = FRONT_CONTROL; class < FRONT_CLASSES; class ++)
        front->waiting[class].tail = &front->waiting[class].head;
    front->failed.tail = &front->failed.head;
    snprintf(front->dir, sizeof(front->dir), "/local/domain/%u/device/vusb/%u", xen->domid, devid);
    /* Both nodes are needed; a toolstack without transactions may write them in any order. */
    snprintf(watch, sizeof(watch), "%s/backend-id", front->dir);
    rc = xen->ops->xs_watch(xen, watch, "frontend");
    if (!rc) {
        snprintf(watch, sizeof(watch), "%s/backend", front->dir);
        rc = xen->ops->xs_watch(xen, watch, "frontend");
    }
    if (rc) {
        free(front);
        return rc;
    }
    *out = front;
    return 0;
}

void front_destroy(struct front *front)
{
    if (!front)
        return;
    front->stepping = true;
    if (front->state != XenbusStateClosed) {
        front_begin_close(front);
        front->close_deadline_ns = 0; /* do not wait: what is still mapped is left to the machine */
        front_advance_close(front);
    }
    front_memory_forget(front);
    xen_close(front->xen);
    free(front);
}

void front_close(struct front *front)
{
    front->restart = false;
    front_begin_close(front);
}

int front_reconnect(struct front *front)
{
    if (front->state != XenbusStateClosed)
        return -EBUSY;
    front->restart = true;
    return 0;
}

void front_set_reconnect(struct front *front, bool on)
{
    front->reconnect = on;
}

void front_set_persistent(struct front *front, bool on)
{
    front->never_keep = !on;
}

void front_set_ring_pages(struct front *front, unsigned int pages)
{
    front->order_wanted = 0;
    while (front->order_wanted < PVUSB_RING_ORDER_MAX && 2u << front->order_wanted <= pages)
        front->order_wanted++;
}

enum xenbus_state front_state(const struct front *front)
{
    return front->state;
}

enum pvusb_verdict front_verdict(const struct front *front)
{
    return front->verdict;
}

struct front_stats front_stats(const struct front *front)
{
    return front->stats;
}

void front_set_tap(struct front *front, const struct front_tap *tap)
{
    front->tap = tap;
}

struct hcd *front_hcd(struct front *front)
{
    return &front->hcd;
}

struct xen *front_xen(struct front *front)
{
    return front->xen;
}
