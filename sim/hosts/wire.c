// SPDX-License-Identifier: MIT
#include "hosts/wire.h"

#include <errno.h>
#include <stdlib.h>

/* USB 2.0 tables 5-2 and 5-3 (control), 5-6 and 5-7 (interrupt), 5-9 and 5-10 (bulk). */
static const struct rules {
    uint64_t frame_ns;
    uint32_t byte_times; /* of a frame */
    uint32_t control;    /* setup and status stage */
    uint32_t overhead;   /* of any other transaction */
    uint32_t bulk, control_packet,
        interrupt; /* the largest packets; of interrupt endpoints: bytes of a frame */
} rules[] = {
    [WIRE_FULL] = {1000000, 1500, 45 - 13, 13, 64, 64, 64},
    [WIRE_HIGH] = {125000, 7500, 173 - 55, 55, 512, 64, 3 * 1024},
};

#define LOW_PACKET   8u
#define LOW_INTERVAL 10u /* USB 2.0 section 5.7.3 */

struct flight {
    struct flight *next;
    struct wire *wire;
    struct host_urb *urb;
    struct host_device *device;
    void (*complete)(struct host_urb *urb);
    void *context;
    uint64_t due_ns;
    bool cancelled;
};

/* By name, because that is what listeners are told. A device that was unplugged stays until it is closed. */
struct opened {
    struct opened *next;
    char busid[32];
    struct host_device *device;
};

struct queue {
    struct flight *first;
    struct flight **end;
};

struct wire {
    struct usb_host host;
    struct usb_host *inner;
    const struct rules *rules;
    struct usb_host_listener listener;
    const struct usb_host_listener **listeners;
    unsigned int nr_listeners;
    uint64_t now_ns;
    uint64_t frame;        /* where the next transaction may begin */
    uint32_t used;         /* of it */
    struct flight *asked;  /* at the inner host, in no order */
    struct queue arrived;  /* the device is done; to be put on the wire by the next step */
    struct flight *flying; /* by due_ns */
    struct flight *free;
    struct opened *opened;
};

static struct wire *wire_of(struct usb_host *host)
{
    return (struct wire *)host;
}

/* ---- the bus ---- */

static void seek(struct wire *wire, uint64_t now_ns)
{
    const struct rules *r = wire->rules;
    uint64_t frame = now_ns / r->frame_ns, part = now_ns % r->frame_ns;
    uint32_t used = (uint32_t)((part * r->byte_times + r->frame_ns - 1) / r->frame_ns);
    if (frame < wire->frame || (frame == wire->frame && used <= wire->used))
        return;
    wire->frame = frame;
    wire->used = used;
}

static void transact(struct wire *wire, uint32_t cost)
{
    if (wire->used + cost > wire->rules->byte_times) {
        wire->frame++;
        wire->used = 0;
    }
    wire->used += cost;
}

static uint64_t position_ns(const struct wire *wire)
{
    const struct rules *r = wire->rules;
    return wire->frame * r->frame_ns + (wire->used * r->frame_ns + r->byte_times - 1) / r->byte_times;
}

/* A packet of no bytes is one too. */
static void move(struct wire *wire, uint32_t bytes, uint32_t packet)
{
    do {
        uint32_t n = bytes < packet ? bytes : packet;
        transact(wire, wire->rules->overhead + n);
        bytes -= n;
    } while (bytes > 0);
}

/* Setup and status stage. One of a single packet is not torn apart: that is what the tables count. */
static void begin_control(struct wire *wire, uint32_t bytes)
{
    const struct rules *r = wire->rules;
    uint32_t whole = r->control + (bytes ? r->overhead + bytes : 0);
    if (bytes <= r->control_packet && wire->used + whole > r->byte_times) {
        wire->frame++;
        wire->used = 0;
    }
    transact(wire, r->control);
}

static uint64_t latest_of_endpoint(const struct wire *wire, const struct flight *flight)
{
    uint64_t latest = wire->now_ns;
    for (const struct flight *f = wire->flying; f; f = f->next) {
        bool same = f->device == flight->device && f->urb->endpoint == flight->urb->endpoint &&
                    (f->urb->in == flight->urb->in || f->urb->type == USBIF_PIPE_TYPE_CTRL);
        if (same && f->due_ns > latest)
            latest = f->due_ns;
    }
    return latest;
}

/* Each packet at a poll of its own, the first one after those that are on their way. */
static uint64_t poll_interrupt(struct wire *wire, const struct flight *flight)
{
    const struct rules *r = wire->rules;
    const struct host_urb *urb = flight->urb;
    bool low = wire->inner->ops->speed(wire->inner, flight->device) == USBIF_SPEED_LOW;
    uint32_t packet = low ? LOW_PACKET : r->interrupt, bytes = urb->actual;
    uint64_t interval = urb->interval ? urb->interval : 1;
    if (low && interval < LOW_INTERVAL)
        interval = LOW_INTERVAL;
    uint64_t frame = (latest_of_endpoint(wire, flight) + r->frame_ns - 1) / r->frame_ns;
    for (;;) {
        uint32_t n = bytes < packet ? bytes : packet;
        frame = (frame + interval - 1) / interval * interval;
        bytes -= n;
        if (bytes == 0)
            return frame * r->frame_ns +
                   ((r->overhead + n) * r->frame_ns + r->byte_times - 1) / r->byte_times;
        frame++;
    }
}

/* When the last byte of it is over. */
static uint64_t put_on_wire(struct wire *wire, const struct flight *flight)
{
    const struct host_urb *urb = flight->urb;
    bool never = urb->status == -ECONNRESET || urb->status == -ENODEV;
    if (urb->type == USBIF_PIPE_TYPE_ISOC || (never && urb->actual == 0))
        return latest_of_endpoint(wire, flight);
    if (urb->type == USBIF_PIPE_TYPE_INT)
        return poll_interrupt(wire, flight);
    seek(wire, wire->now_ns);
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        begin_control(wire, urb->actual);
    if (urb->type == USBIF_PIPE_TYPE_BULK)
        move(wire, urb->actual, wire->rules->bulk);
    else if (urb->actual > 0)
        move(wire, urb->actual, wire->rules->control_packet);
    return position_ns(wire);
}

/* ---- transfers ---- */

static void schedule(struct wire *wire)
{
    while (wire->arrived.first) {
        struct flight *flight = wire->arrived.first;
        wire->arrived.first = flight->next;
        if (!wire->arrived.first)
            wire->arrived.end = &wire->arrived.first;
        flight->due_ns = put_on_wire(wire, flight);
        struct flight **link = &wire->flying;
        while (*link && (*link)->due_ns <= flight->due_ns)
            link = &(*link)->next;
        flight->next = *link;
        *link = flight;
    }
}

static void land(struct flight *flight)
{
    struct wire *wire = flight->wire;
    struct host_urb *urb = flight->urb;
    flight->next = wire->free;
    wire->free = flight;
    urb->complete = flight->complete;
    urb->context = flight->context;
    urb->complete(urb);
}

static void unlink_flight(struct flight **link, const struct flight *flight)
{
    while (*link != flight)
        link = &(*link)->next;
    *link = flight->next;
}

static void on_complete(struct host_urb *urb)
{
    struct flight *flight = urb->context;
    struct wire *wire = flight->wire;
    unlink_flight(&wire->asked, flight);
    flight->next = NULL;
    *wire->arrived.end = flight;
    wire->arrived.end = &flight->next;
}

/* The URB becomes ours until land(). NULL: it has been completed, for want of memory. */
static struct host_urb *board(struct wire *wire, struct host_device *device, struct host_urb *urb)
{
    struct flight *flight = wire->free;
    if (flight)
        wire->free = flight->next;
    else
        flight = malloc(sizeof(*flight));
    if (!flight) {
        host_urb_complete(urb, -EPROTO, 0);
        return NULL;
    }
    *flight = (struct flight){.next = wire->asked,
                              .wire = wire,
                              .urb = urb,
                              .device = device,
                              .complete = urb->complete,
                              .context = urb->context};
    wire->asked = flight;
    urb->complete = on_complete;
    urb->context = flight;
    return urb;
}

/* Everything of a device (or of one URB of it) that the device is done with, now and with its result. */
static void land_all(struct wire *wire, const struct host_device *device, const struct host_urb *urb)
{
    schedule(wire);
    for (struct flight *flight = wire->flying; flight;) {
        if (flight->device != device || (urb && flight->urb != urb)) {
            flight = flight->next;
            continue;
        }
        unlink_flight(&wire->flying, flight);
        land(flight);
        flight = wire->flying; /* the completion may have changed the list */
    }
}

/* ---- the host ---- */

static int op_listen(struct usb_host *host, const struct usb_host_listener *listener)
{
    struct wire *wire = wire_of(host);
    size_t size = (wire->nr_listeners + 1) * sizeof(wire->listeners[0]);
    const struct usb_host_listener **more = realloc(wire->listeners, size);
    if (!more)
        return -ENOMEM;
    wire->listeners = more;
    wire->listeners[wire->nr_listeners++] = listener;
    return 0;
}

/* The place stays, so that a round over all of them goes on. */
static void op_unlisten(struct usb_host *host, const struct usb_host_listener *listener)
{
    struct wire *wire = wire_of(host);
    for (unsigned int i = 0; i < wire->nr_listeners; i++) {
        if (wire->listeners[i] == listener)
            wire->listeners[i] = NULL;
    }
}

static int op_open(struct usb_host *host, const char *busid, struct host_device **out)
{
    struct wire *wire = wire_of(host);
    struct opened *opened = calloc(1, sizeof(*opened));
    int rc = opened ? wire->inner->ops->open(wire->inner, busid, out) : -ENOMEM;
    if (rc) {
        free(opened);
        return rc;
    }
    memcpy(opened->busid, busid, strnlen(busid, sizeof(opened->busid) - 1));
    opened->device = *out;
    opened->next = wire->opened;
    wire->opened = opened;
    return 0;
}

/* Before the handle goes: a completion may still use it. */
static void cancel_all(struct wire *wire, struct host_device *device)
{
    for (struct flight *flight = wire->asked; flight;) {
        if (flight->device != device || flight->cancelled) {
            flight = flight->next;
            continue;
        }
        flight->cancelled = true;
        wire->inner->ops->cancel(wire->inner, device, flight->urb);
        land_all(wire, device, NULL);
        flight = wire->asked;
    }
}

static void op_close(struct usb_host *host, struct host_device *device)
{
    struct wire *wire = wire_of(host);
    struct opened **link = &wire->opened;
    land_all(wire, device, NULL);
    cancel_all(wire, device);
    wire->inner->ops->close(wire->inner, device);
    land_all(wire, device, NULL);
    while (*link && (*link)->device != device)
        link = &(*link)->next;
    struct opened *opened = *link;
    assert(opened);
    *link = opened->next;
    free(opened);
}

static uint8_t op_speed(struct usb_host *host, struct host_device *device)
{
    struct usb_host *inner = wire_of(host)->inner;
    return inner->ops->speed(inner, device);
}

static void op_submit(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    struct usb_host *inner = wire_of(host)->inner;
    if (board(wire_of(host), device, urb))
        inner->ops->submit(inner, device, urb);
}

static void op_cancel(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    struct wire *wire = wire_of(host);
    for (const struct flight *flight = wire->asked; flight; flight = flight->next) {
        if (flight->urb == urb) {
            wire->inner->ops->cancel(wire->inner, device, urb);
            break;
        }
    }
    land_all(wire, device, urb);
}

static void op_set_configuration(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                                 uint8_t value)
{
    struct usb_host *inner = wire_of(host)->inner;
    if (board(wire_of(host), device, urb))
        inner->ops->set_configuration(inner, device, urb, value);
}

static void op_set_interface(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    struct usb_host *inner = wire_of(host)->inner;
    if (board(wire_of(host), device, urb))
        inner->ops->set_interface(inner, device, urb, interface, alternate);
}

static void op_clear_halt(struct usb_host *host, struct host_device *device, struct host_urb *urb,
                          uint8_t endpoint_address)
{
    struct usb_host *inner = wire_of(host)->inner;
    if (board(wire_of(host), device, urb))
        inner->ops->clear_halt(inner, device, urb, endpoint_address);
}

static int op_reset(struct usb_host *host, struct host_device *device)
{
    struct usb_host *inner = wire_of(host)->inner;
    return inner->ops->reset(inner, device);
}

static void op_step(struct usb_host *host, uint64_t now_ns)
{
    struct wire *wire = wire_of(host);
    wire->now_ns = now_ns > wire->now_ns ? now_ns : wire->now_ns;
    schedule(wire);
    wire->inner->ops->step(wire->inner, now_ns);
    schedule(wire);
    while (wire->flying && wire->flying->due_ns <= now_ns) {
        struct flight *flight = wire->flying;
        wire->flying = flight->next;
        land(flight);
    }
}

static uint64_t op_deadline(struct usb_host *host)
{
    struct wire *wire = wire_of(host);
    uint64_t due = wire->inner->ops->deadline(wire->inner);
    if (wire->arrived.first)
        return 0;
    return wire->flying && wire->flying->due_ns < due ? wire->flying->due_ns : due;
}

static const struct usb_host_ops wire_ops = {
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

/* ---- coming and going ---- */

static void tell(struct wire *wire, const char *busid, bool plugged)
{
    for (unsigned int i = 0; i < wire->nr_listeners; i++) {
        const struct usb_host_listener *l = wire->listeners[i];
        void (*callback)(void *, const char *) = l ? (plugged ? l->plugged : l->unplugged) : NULL;
        if (callback)
            callback(l->context, busid);
    }
}

static void on_plugged(void *context, const char *busid)
{
    tell(context, busid, true);
}

/* Its transfers are complete when its user hears that it is gone. */
static void on_unplugged(void *context, const char *busid)
{
    struct wire *wire = context;
    const struct opened *opened = wire->opened;
    while (opened && strcmp(opened->busid, busid) != 0)
        opened = opened->next;
    if (opened)
        land_all(wire, opened->device, NULL);
    tell(wire, busid, false);
}

int wire_create(struct usb_host *inner, enum wire_speed speed, struct wire **out)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    if (!wire)
        return -ENOMEM;
    wire->host.ops = &wire_ops;
    wire->inner = inner;
    wire->rules = &rules[speed];
    wire->arrived.end = &wire->arrived.first;
    wire->listener =
        (struct usb_host_listener){.plugged = on_plugged, .unplugged = on_unplugged, .context = wire};
    int rc = inner->ops->listen(inner, &wire->listener);
    if (rc) {
        free(wire);
        return rc;
    }
    *out = wire;
    return 0;
}

void wire_destroy(struct wire *wire)
{
    if (!wire)
        return;
    assert(!wire->asked && !wire->arrived.first && !wire->flying && !wire->opened);
    wire->inner->ops->unlisten(wire->inner, &wire->listener);
    while (wire->free) {
        struct flight *flight = wire->free;
        wire->free = flight->next;
        free(flight);
    }
    free(wire->listeners);
    free(wire);
}

struct usb_host *wire_host(struct wire *wire)
{
    return &wire->host;
}
