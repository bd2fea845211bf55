// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "guest/loop_hcd.h"

#define SLOTS 64u /* no ring, and so none of its scarcity: more than any test has pending */

enum { CONNECTION = 0x0001, ENABLE = 0x0002, SUSPEND = 0x0004 };
enum { RESET = 0x0010, POWER = 0x0100, LOW = 0x0200, HIGH = 0x0400 };
enum { C_CONNECTION = 0x0001, C_SUSPEND = 0x0004, C_RESET = 0x0010 };
enum { FEATURE_SUSPEND = 2, FEATURE_RESET = 4, FEATURE_POWER = 8 };

struct slot {
    struct loop_hcd *loop;
    struct hcd_urb *urb; /* NULL: free */
    struct host_device *device;
    struct host_urb host;
    bool done;
    bool unlinked;
    uint64_t order;
};

struct port {
    char busid[32];
    struct host_device *device;
    uint16_t status, change;
    uint64_t reset_since;
    uint64_t resume_since; /* 0: no resume */
};

struct loop_hcd {
    struct hcd hcd;
    struct usb_host *host;
    struct usb_host_listener listener;
    unsigned int nr_ports, buffers;
    struct port ports[PVUSB_PORTS_MAX + 1];
    struct host_device *addresses[PVUSB_ADDRESS_MAX + 1];
    struct slot slots[SLOTS];
    struct hcd_urb *waiting; /* no slot yet */
    uint64_t completions;
    unsigned int address0_port, conflicts;
};

static struct loop_hcd *loop_of(struct hcd *hcd)
{
    return (struct loop_hcd *)hcd;
}

static void on_complete(struct host_urb *urb)
{
    struct slot *slot = urb->context;
    slot->done = true;
    slot->order = slot->loop->completions++;
}

static void finish_locally(struct slot *slot, int32_t status)
{
    slot->host.status = status;
    slot->host.actual = 0;
    on_complete(&slot->host);
}

static void pass_on(struct loop_hcd *loop, struct slot *slot)
{
    const struct hcd_urb *urb = slot->urb;
    struct host_urb *h = &slot->host;
    *h = (struct host_urb){.endpoint = urb->endpoint,
                           .type = urb->type,
                           .in = urb->in,
                           .length = urb->length,
                           .short_not_ok = urb->short_not_ok,
                           .interval = urb->interval,
                           .packets = urb->packets,
                           .nr_packets = urb->nr_packets,
                           .complete = on_complete,
                           .context = slot};
    memcpy(h->setup, urb->setup, 8);
    uint8_t *base = urb->buffer;
    for (uint32_t at = 0; at < urb->length;) {
        uint32_t room = PVUSB_PAGE_SIZE - (uint32_t)((uintptr_t)(base + at) % PVUSB_PAGE_SIZE);
        uint32_t n = urb->length - at < room ? urb->length - at : room;
        h->seg[h->nr_segs++] = (struct host_seg){base + at, n};
        at += n;
    }
    slot->device = urb->device ? loop->addresses[urb->device] : loop->ports[urb->port].device;
    uint16_t value = (uint16_t)(urb->setup[2] | urb->setup[3] << 8);
    if (urb->device == 0) {
        if (loop->address0_port && loop->address0_port != urb->port)
            loop->conflicts++;
        loop->address0_port = urb->setup[1] == 5 ? 0 : urb->port;
    }
    if (!slot->device) {
        finish_locally(slot, -ENODEV);
    } else if (urb->type == USBIF_PIPE_TYPE_CTRL && urb->setup[0] == 0x00 && urb->setup[1] == 5) {
        if (value <= PVUSB_ADDRESS_MAX)
            loop->addresses[value] = slot->device;
        finish_locally(slot, value <= PVUSB_ADDRESS_MAX ? 0 : -EPIPE);
    } else {
        loop->host->ops->submit(loop->host, slot->device, h);
    }
}

static void start_waiting(struct loop_hcd *loop)
{
    for (unsigned int i = 0; i < SLOTS && loop->waiting; i++) {
        struct slot *slot = &loop->slots[i];
        if (slot->urb)
            continue;
        slot->urb = loop->waiting;
        loop->waiting = slot->urb->hcd_next;
        slot->loop = loop;
        slot->done = slot->unlinked = false;
        pass_on(loop, slot);
    }
}

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    struct loop_hcd *loop = loop_of(hcd);
    uintptr_t start = (uintptr_t)urb->buffer % PVUSB_PAGE_SIZE;
    if (urb->port == 0 || urb->port > loop->nr_ports || urb->device > PVUSB_ADDRESS_MAX ||
        (urb->length && !urb->buffer))
        return -EINVAL;
    if (start + urb->length > PVUSB_SEGMENTS_MAX * PVUSB_PAGE_SIZE)
        return -EMSGSIZE;
    urb->hcd_next = NULL;
    struct hcd_urb **link = &loop->waiting;
    while (*link)
        link = &(*link)->hcd_next;
    *link = urb;
    start_waiting(loop);
    return 0;
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    struct loop_hcd *loop = loop_of(hcd);
    for (struct hcd_urb **link = &loop->waiting; *link; link = &(*link)->hcd_next) {
        if (*link != urb)
            continue;
        *link = urb->hcd_next;
        urb->status = reason;
        urb->actual = 0;
        urb->complete(urb);
        return 0;
    }
    for (unsigned int i = 0; i < SLOTS; i++) {
        struct slot *slot = &loop->slots[i];
        if (slot->urb != urb)
            continue;
        if (slot->unlinked)
            return -EBUSY;
        slot->unlinked = true;
        urb->hcd_unlinked = reason;
        if (!slot->done)
            loop->host->ops->cancel(loop->host, slot->device, &slot->host);
        return 0;
    }
    return -EINVAL;
}

/* ---- the root hub ---- */

static int port_feature(struct loop_hcd *loop, struct port *port, bool set, uint16_t feature, uint64_t now_ns)
{
    (void)loop;
    if (!set && feature >= 16 && feature <= 20) {
        port->change = (uint16_t)(port->change & ~(1u << (feature - 16)));
    } else if (set && feature == FEATURE_POWER) {
        port->status |= POWER;
        if (port->device) {
            port->status |= CONNECTION;
            port->change |= C_CONNECTION;
        }
    } else if (set && feature == FEATURE_RESET) {
        port->status = (uint16_t)((port->status & ~(ENABLE | SUSPEND | LOW | HIGH)) | RESET);
        port->reset_since = now_ns;
    } else if (feature == FEATURE_SUSPEND) {
        if (set && port->status & ENABLE)
            port->status |= SUSPEND;
        else if (!set && port->status & SUSPEND)
            port->resume_since = now_ns;
    } else {
        return -EPIPE;
    }
    return 0;
}

static int port_status(struct loop_hcd *loop, struct port *port, uint8_t *data, size_t size, uint64_t now_ns)
{
    if (size < 4)
        return -EPIPE;
    /* Rule HUB-09: a reset ends inside a GetPortStatus. */
    if (port->status & RESET && now_ns >= port->reset_since + UINT64_C(10000000)) {
        port->status = (uint16_t)(port->status & ~RESET);
        port->change |= C_RESET;
        uint8_t speed = port->device ? loop->host->ops->speed(loop->host, port->device) : USBIF_SPEED_NONE;
        if (port->device)
            port->status |= ENABLE;
        if (speed == USBIF_SPEED_HIGH)
            port->status |= HIGH;
        else if (speed == USBIF_SPEED_LOW)
            port->status |= LOW;
    }
    if (port->resume_since && now_ns >= port->resume_since + UINT64_C(20000000)) {
        port->resume_since = 0;
        port->status = (uint16_t)(port->status & ~SUSPEND);
        port->change |= C_SUSPEND;
    }
    data[0] = (uint8_t)port->status;
    data[1] = (uint8_t)(port->status >> 8);
    data[2] = (uint8_t)port->change;
    data[3] = 0;
    return 4;
}

static int op_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    struct loop_hcd *loop = loop_of(hcd);
    if (setup[0] == 0xa0 && setup[1] == 6) {
        static const uint8_t start[7] = {9, 0x29, 0, 0x0a, 0, 10, 0};
        size_t n = size < sizeof(start) ? size : sizeof(start);
        memcpy(data, start, n);
        return (int)n;
    }
    unsigned int p = setup[4];
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    if (p == 0 || p > loop->nr_ports)
        return -EPIPE;
    if (setup[0] == 0xa3 && setup[1] == 0)
        return port_status(loop, &loop->ports[p], data, size, now_ns);
    if (setup[0] == 0x23 && (setup[1] == 1 || setup[1] == 3))
        return port_feature(loop, &loop->ports[p], setup[1] == 3, value, now_ns);
    return -EPIPE;
}

static size_t op_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    struct loop_hcd *loop = loop_of(hcd);
    size_t n = 1 + loop->nr_ports / 8;
    bool any = false;
    assert(size >= n);
    memset(bitmap, 0, n);
    for (unsigned int p = 1; p <= loop->nr_ports; p++) {
        if (!loop->ports[p].change)
            continue;
        any = true;
        bitmap[p / 8] = (uint8_t)(bitmap[p / 8] | 1u << p % 8);
    }
    return any ? n : 0;
}

static unsigned int op_num_ports(struct hcd *hcd)
{
    return loop_of(hcd)->nr_ports;
}

static int op_buffer_alloc(struct hcd *hcd, size_t size, void **out)
{
    size_t pages = (size + PVUSB_PAGE_SIZE - 1) / PVUSB_PAGE_SIZE;
    *out = aligned_alloc(PVUSB_PAGE_SIZE, pages * PVUSB_PAGE_SIZE);
    if (!*out)
        return -ENOMEM;
    memset(*out, 0, pages * PVUSB_PAGE_SIZE);
    loop_of(hcd)->buffers++;
    return 0;
}

static void op_buffer_free(struct hcd *hcd, void *buffer, size_t size)
{
    (void)size;
    loop_of(hcd)->buffers--;
    free(buffer);
}

static const struct hcd_ops loop_hcd_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = op_hub_control,
    .hub_status = op_hub_status,
    .num_ports = op_num_ports,
    .buffer_alloc = op_buffer_alloc,
    .buffer_free = op_buffer_free,
};

/* ---- devices ---- */

static void on_unplugged(void *context, const char *busid)
{
    struct loop_hcd *loop = context;
    for (unsigned int p = 1; p <= loop->nr_ports; p++) {
        struct port *port = &loop->ports[p];
        if (!port->device || strcmp(port->busid, busid) != 0)
            continue;
        for (unsigned int a = 0; a <= PVUSB_ADDRESS_MAX; a++) {
            if (loop->addresses[a] == port->device)
                loop->addresses[a] = NULL;
        }
        loop->host->ops->close(loop->host, port->device);
        port->device = NULL;
        port->status = (uint16_t)(port->status & ~(CONNECTION | ENABLE | SUSPEND | LOW | HIGH));
        port->change |= C_CONNECTION;
    }
}

int loop_hcd_attach(struct loop_hcd *loop, unsigned int p, const char *busid)
{
    struct port *port = &loop->ports[p];
    int rc = loop->host->ops->open(loop->host, busid, &port->device);
    if (rc)
        return rc;
    strncpy(port->busid, busid, sizeof(port->busid) - 1);
    rc = loop->host->ops->reset(loop->host, port->device);
    if (port->status & POWER) {
        port->status |= CONNECTION;
        port->change |= C_CONNECTION;
    }
    return rc;
}

struct loop_hcd *loop_hcd_create(struct usb_host *host, unsigned int ports)
{
    struct loop_hcd *loop = calloc(1, sizeof(*loop));
    assert(ports <= PVUSB_PORTS_MAX);
    if (!loop)
        return NULL;
    loop->hcd.ops = &loop_hcd_ops;
    loop->host = host;
    loop->nr_ports = ports;
    loop->listener = (struct usb_host_listener){.unplugged = on_unplugged, .context = loop};
    if (host->ops->listen(host, &loop->listener)) {
        free(loop);
        return NULL;
    }
    return loop;
}

void loop_hcd_destroy(struct loop_hcd *loop)
{
    for (unsigned int p = 1; p <= loop->nr_ports; p++) {
        if (loop->ports[p].device)
            loop->host->ops->close(loop->host, loop->ports[p].device);
    }
    loop->host->ops->unlisten(loop->host, &loop->listener);
    free(loop);
}

static void give_back(struct slot *slot)
{
    struct hcd_urb *urb = slot->urb;
    urb->actual = slot->host.actual;
    urb->status = slot->host.status;
    urb->error_count = slot->host.error_count;
    urb->start_frame = slot->host.start_frame;
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    if (slot->unlinked)
        urb->status = urb->hcd_unlinked; /* rule STA-07 */
    else if (urb->status == 0 && urb->in && !iso && urb->short_not_ok && urb->actual < urb->length)
        urb->status = -EREMOTEIO; /* rule SNO-03 */
    else if (urb->status == -ECONNRESET)
        urb->status = -EPROTO; /* only we cancel; this is a follower that was not started */
    slot->urb = NULL;
    urb->complete(urb);
}

void loop_hcd_step(struct loop_hcd *loop, uint64_t now_ns)
{
    loop->host->ops->step(loop->host, now_ns);
    /*
     * Only what is done now: what completions start is for the next step, so that tests can cut in
     * anywhere.
     */
    uint64_t end = loop->completions;
    for (;;) {
        struct slot *first = NULL;
        for (unsigned int i = 0; i < SLOTS; i++) {
            struct slot *slot = &loop->slots[i];
            if (slot->urb && slot->done && slot->order < end && (!first || slot->order < first->order))
                first = slot;
        }
        if (!first)
            return;
        give_back(first);
        start_waiting(loop);
    }
}

struct hcd *loop_hcd_hcd(struct loop_hcd *loop)
{
    return &loop->hcd;
}

unsigned int loop_hcd_held(const struct loop_hcd *loop)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < SLOTS; i++)
        n += loop->slots[i].urb != NULL;
    return n;
}

unsigned int loop_hcd_address0_conflicts(const struct loop_hcd *loop)
{
    return loop->conflicts;
}

bool loop_hcd_due(const struct loop_hcd *loop)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        if (loop->slots[i].urb && loop->slots[i].done)
            return true;
    }
    return false;
}

unsigned int loop_hcd_buffers(const struct loop_hcd *loop)
{
    return loop->buffers;
}
