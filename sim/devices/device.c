// SPDX-License-Identifier: MIT
/* Queues and endpoints of a simulated device; see device.h. */
#include <errno.h>

#include "devices/device.h"

struct device_endpoint *device_endpoint(struct usb_device *device, uint8_t address)
{
    unsigned int number = address & 0x0fu;
    if (number == 0)
        return &device->in[0];
    return address & 0x80u ? &device->in[number] : &device->out[number];
}

static struct device_endpoint *endpoint_of(struct usb_device *device, const struct host_urb *urb)
{
    /* A control request goes to endpoint 0 whatever it says (rule PIPE-05). */
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return &device->in[0];
    return device_endpoint(device, (uint8_t)((urb->endpoint & 0x0fu) | (urb->in ? 0x80u : 0u)));
}

static void enqueue(struct device_endpoint *ep, struct host_urb *urb)
{
    urb->host_next = NULL;
    urb->host_private = NULL;
    if (ep->head)
        ep->tail->host_next = urb;
    else
        ep->head = urb;
    ep->tail = urb;
}

static bool dequeue(struct device_endpoint *ep, struct host_urb *urb)
{
    struct host_urb *before = NULL;
    for (struct host_urb *u = ep->head; u; before = u, u = u->host_next) {
        if (u != urb)
            continue;
        if (urb->type == USBIF_PIPE_TYPE_ISOC && urb->host_next)
            iso_leave_hole(ep, urb);
        if (before)
            before->host_next = u->host_next;
        else
            ep->head = u->host_next;
        if (ep->tail == u)
            ep->tail = before;
        if (!before)
            ep->moved = ep->served = 0; /* what was moved belonged to the transfer that leaves */
        return true;
    }
    return false;
}

/*
 * Takes a queue, or the rest of one, out of service. Completing is a second step: completions may submit,
 * cancel or abort, and find no victim in the queue, while an abort can see to the victims that are left.
 */
static void doom(struct device_endpoint *ep, struct host_urb *first, int32_t status, uint32_t moved)
{
    struct host_urb **link = &ep->doomed;
    while (*link)
        link = &(*link)->host_next;
    *link = first;
    for (; first; first = first->host_next) {
        first->status = status;
        first->actual = moved;
        moved = 0;
    }
}

static void complete(struct usb_device *device, struct device_endpoint *ep, struct host_urb *urb, int32_t status,
                     uint32_t moved)
{
    if (device->ops->ended)
        device->ops->ended(device, ep, urb, status, moved);
    host_urb_complete(urb, status, moved);
}

static void complete_doomed(struct usb_device *device, struct device_endpoint *ep)
{
    while (ep->doomed) {
        struct host_urb *urb = ep->doomed;
        ep->doomed = urb->host_next;
        complete(device, ep, urb, urb->status, urb->actual);
    }
}

static void finish_head(struct usb_device *device, struct device_endpoint *ep, int32_t status)
{
    struct host_urb *urb = ep->head;
    uint32_t moved = ep->moved;
    bool is_short = urb->in && urb->short_not_ok && status == 0 && moved < urb->length;
    (void)dequeue(ep, urb);
    /*
     * Rules SNO-02 and XFR-08: followers of a transfer that ended unexpectedly must not take what comes
     * next.
     */
    if (urb->type != USBIF_PIPE_TYPE_CTRL && (is_short || status == -EOVERFLOW)) {
        doom(ep, ep->head, -ECONNRESET, 0);
        ep->head = NULL;
        ep->tail = NULL;
    }
    complete(device, ep, urb, status, moved);
    complete_doomed(device, ep);
}

static int run_data(struct usb_device *device, struct device_endpoint *ep)
{
    const struct host_urb *urb = ep->head;
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    /* Like hardware, bulk and interrupt are not told apart (rule PIPE-06), isochronous is. */
    if (!ep->exists || ep->halted || iso != (ep->type == USBIF_PIPE_TYPE_ISOC))
        return -EPIPE;
    if (iso)
        return iso_run(device, ep);
    int (*op)(struct usb_device *, struct device_endpoint *) = urb->in ? device->ops->in : device->ops->out;
    if (!op)
        return DEVICE_WAIT;
    uint32_t before = ep->moved;
    int rc = op(device, ep);
    if (rc == -EPIPE)
        ep->halted = true;
    assert(rc != DEVICE_DONE || ep->ended || ep->moved > before);
    return rc;
}

static void run_endpoint(struct usb_device *device, struct device_endpoint *ep)
{
    while (ep->head && !device->dead) {
        ep->ended = false;
        ep->status = 0;
        int rc = ep == &device->in[0] ? ep0_run(device) : run_data(device, ep);
        if (rc < 0)
            finish_head(device, ep, rc);
        else if (ep->ended)
            finish_head(device, ep, ep->status);
        else if (rc == DEVICE_WAIT)
            return;
    }
}

/* A completion may unplug the device: it lives until the last of our functions on the stack has left. */
static void enter(struct usb_device *device)
{
    device->depth++;
}

static void leave(struct usb_device *device)
{
    if (--device->depth == 0 && device->dead)
        device->ops->destroy(device);
}

void device_kicked(struct usb_device *device, const struct device_endpoint *ep)
{
    bool in = ep->address & 0x80u || ep == &device->in[0];
    device->kicked |= UINT32_C(1) << ((ep->address & 15u) + (in ? 0u : 16u));
}

/*
 * Runs every endpoint that was kicked until none is. Not entered twice: what completions and ops kick is
 * found by the loop that called them, so neither the stack nor an op's state is at their mercy.
 */
static void run(struct usb_device *device)
{
    if (device->running)
        return;
    enter(device);
    device->running = true;
    unsigned int at = 0; /* in rounds, so that none keeps the others waiting */
    while (device->kicked && !device->dead) {
        uint32_t rest = device->kicked >> at << at;
        unsigned int i = (unsigned int)__builtin_ctz(rest ? rest : device->kicked);
        device->kicked &= ~(UINT32_C(1) << i);
        at = (i + 1) % 32;
        run_endpoint(device, i < 16 ? &device->in[i] : &device->out[i - 16]);
    }
    device->running = false;
    leave(device);
}

void device_kick(struct usb_device *device, uint8_t address)
{
    device_kicked(device, device_endpoint(device, address));
    run(device);
}

void device_halt(struct usb_device *device, uint8_t address)
{
    device_endpoint(device, address)->halted = true;
    device_kick(device, address);
}

void device_wedge(struct usb_device *device, uint8_t address, bool wedged)
{
    device_endpoint(device, address)->wedged = wedged;
    device_halt(device, address);
}

void device_submit(struct usb_device *device, struct host_urb *urb)
{
    struct device_endpoint *ep = endpoint_of(device, urb);
    if (device->dead || (urb->type != USBIF_PIPE_TYPE_CTRL && (urb->endpoint == 0 || urb->endpoint > 15))) {
        host_urb_complete(urb, device->dead ? -ENODEV : -EPIPE, 0);
        return;
    }
    if (urb->type == USBIF_PIPE_TYPE_ISOC && !iso_accept(urb)) {
        host_urb_complete(urb, -EPROTO, 0);
        return;
    }
    enqueue(ep, urb);
    device_kicked(device, ep);
    run(device);
}

void device_cancel(struct usb_device *device, struct host_urb *urb)
{
    struct device_endpoint *ep = endpoint_of(device, urb);
    uint32_t moved = ep->head == urb ? ep->moved : 0;
    if (!dequeue(ep, urb))
        return;
    if (!ep->head)
        iso_end(ep);
    enter(device);
    complete(device, ep, urb, -ECONNRESET, moved);
    /* The next one in the queue has become the first (rule XFR-09). */
    device_kicked(device, ep);
    run(device);
    leave(device);
}

void device_abort(struct usb_device *device, int32_t status)
{
    enter(device);
    for (unsigned int i = 0; i < 32; i++) {
        struct device_endpoint *ep = i < 16 ? &device->in[i] : &device->out[i - 16];
        doom(ep, ep->head, status, ep->moved);
        ep->head = NULL;
        ep->tail = NULL;
        ep->moved = ep->served = 0;
        iso_end(ep);
    }
    for (unsigned int i = 0; i < 32; i++)
        complete_doomed(device, i < 16 ? &device->in[i] : &device->out[i - 16]);
    leave(device);
}

int device_slow_down(struct usb_device *device, bool slow)
{
    if (slow && device->descriptors.speed > USBIF_SPEED_FULL &&
        (!device->descriptors.qualifier || !device->descriptors.other_speed))
        return -EOPNOTSUPP;
    device->slowed = slow && device->descriptors.speed > USBIF_SPEED_FULL;
    device->in[0].packet = device->slowed ? device->descriptors.qualifier[7] : device->descriptors.device[7];
    return 0;
}

uint8_t device_speed(const struct usb_device *device)
{
    return device->slowed ? USBIF_SPEED_FULL : device->descriptors.speed;
}

void device_reset(struct usb_device *device)
{
    enter(device);
    device_abort(device, -ECONNRESET);
    device->configuration = 0;
    device->remote_wakeup = false;
    memset(device->alternate, 0, sizeof(device->alternate));
    ep0_find_endpoints(device);
    if (device->ops->reset)
        device->ops->reset(device);
    leave(device);
}

void device_destroy(struct usb_device *device)
{
    enter(device);
    device->dead = true;
    leave(device);
}

void device_step(struct usb_device *device, uint64_t now_ns)
{
    enter(device);
    device->now_ns = now_ns;
    for (unsigned int i = 1; i < 16; i++) {
        iso_begin(device, &device->in[i]);
        iso_begin(device, &device->out[i]);
    }
    run(device);
    for (unsigned int i = 1; i < 16 && !device->dead; i++) {
        iso_idle(device, &device->in[i]);
        iso_idle(device, &device->out[i]);
    }
    if (device->ops->step && !device->dead)
        device->ops->step(device, now_ns);
    leave(device);
}

uint64_t device_deadline(const struct usb_device *device)
{
    uint64_t first = device->ops->deadline ? device->ops->deadline(device) : UINT64_MAX;
    for (unsigned int i = 1; i < 16; i++) {
        uint64_t in = iso_deadline(device, &device->in[i]);
        uint64_t out = iso_deadline(device, &device->out[i]);
        first = in < first ? in : first;
        first = out < first ? out : first;
    }
    return first;
}

struct device_run device_in(struct device_endpoint *ep, uint32_t available)
{
    uint32_t room = ep->head->length - ep->moved;
    struct device_run result = {.offset = ep->moved, .store = available, .used = available};
    if (available > room) {
        /* ep->moved is whole packets, so the packet that meets the end of the buffer starts at a multiple. */
        result.store = room;
        result.used = room - room % ep->packet;
        ep->ended = true;
        if (room % ep->packet || room == 0)
            ep->status = -EOVERFLOW;
    } else if (available % ep->packet || available == 0 || available == room) {
        ep->ended = true;
    }
    ep->moved += result.store;
    return result;
}

uint32_t device_in_copy(struct device_endpoint *ep, const void *src, uint32_t n)
{
    struct device_run result = device_in(ep, n);
    host_urb_write(ep->head, result.offset, src, result.store);
    return result.used;
}

uint32_t device_out_packet(const struct device_endpoint *ep)
{
    uint32_t rest = ep->head->length - ep->moved;
    return rest < ep->packet ? rest : ep->packet;
}

void device_out_take(struct device_endpoint *ep, uint32_t n)
{
    assert(n <= ep->head->length - ep->moved);
    ep->moved += n;
    ep->ended = ep->moved == ep->head->length;
}

int device_control_in(struct device_endpoint *ep, const struct usb_setup *setup, const void *src, uint32_t n)
{
    if (n > setup->length)
        n = setup->length;
    ep->ended = true;
    ep->moved = n;
    if (n > ep->head->length) {
        ep->moved = ep->head->length; /* more than the guest has room for (rule CTL-14) */
        ep->status = -EOVERFLOW;
    }
    host_urb_write(ep->head, 0, src, ep->moved);
    return DEVICE_DONE;
}

uint32_t device_control_out(struct device_endpoint *ep, const struct usb_setup *setup, void *dst, uint32_t n)
{
    if (n > setup->length)
        n = setup->length;
    return host_urb_read(ep->head, 0, dst, n);
}
