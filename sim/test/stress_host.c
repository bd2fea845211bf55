// SPDX-License-Identifier: MIT
#include "stress_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

#include "toolstack/vusb.h"

const struct vusb_controller *stress_controller(void)
{
    static const struct vusb_controller controller = {
        .kind = "qusb", .frontend = STRESS_GUEST, .usb_ver = 2, .num_ports = STRESS_PORTS};
    return &controller;
}

void stress_busid(unsigned int port, char busid[16])
{
    snprintf(busid, 16, "1-%u", port);
}

static uint32_t below(struct stress_host *host, uint32_t limit)
{
    return stress_below(&host->random, limit);
}

/* ---- ends of transfers ---- */

static struct stress_transfer drop(struct stress_host *host, unsigned int i)
{
    struct stress_transfer transfer = host->held[i];
    host->nr_held--;
    memmove(&host->held[i], &host->held[i + 1], (host->nr_held - i) * sizeof(host->held[0]));
    return transfer;
}

static void complete(struct stress_host *host, const struct stress_transfer *t, int32_t status, uint32_t actual)
{
    if (!t->standard && t->urb->in)
        host->report->device_in += actual;
    else if (!t->standard)
        host->report->device_out += actual;
    host_urb_complete(t->urb, status, actual);
}

/* The guest must not have touched what it wants to be sent, cancelled or not. */
static void check_out(struct stress_host *host, const struct stress_transfer *t)
{
    if (t->standard || t->urb->in)
        return;
    uint32_t n = host_urb_read(t->urb, 0, host->data, t->urb->length);
    bool good = n == t->urb->length;
    if (t->urb->type == USBIF_PIPE_TYPE_BULK || t->urb->type == USBIF_PIPE_TYPE_INT)
        good = good && stress_check_out(t->key, t->number, host->data, n);
    else
        good = good && stress_differs(t->key, 0, host->data, n) == n;
    if (!good)
        stress_fail(host->report->back_error, "port %u endpoint %u: OUT data of transfer %u (%u bytes) is wrong",
                    t->port, t->urb->endpoint, t->number, t->urb->length);
}

static void put(struct stress_host *host, const struct stress_transfer *t, uint64_t position, uint32_t offset,
                uint32_t length)
{
    stress_fill(t->key, position, host->data, length);
    if (host_urb_write(t->urb, offset, host->data, length) != length)
        stress_fail(host->report->back_error, "port %u endpoint %u: no room for %u bytes", t->port, t->urb->endpoint,
                    length);
}

static uint32_t put_stream(struct stress_host *host, const struct stress_transfer *t, uint32_t length)
{
    uint64_t *position = &host->device[t->port].end[t->end].position;
    put(host, t, *position, 0, length);
    *position += length;
    return length;
}

/* The first `count` packets have happened. */
static uint32_t do_packets(struct stress_host *host, const struct stress_transfer *t, unsigned int count)
{
    uint32_t actual = 0;
    t->urb->start_frame = (uint16_t)t->number;
    for (unsigned int i = 0; i < count; i++) {
        struct pvusb_iso_desc *packet = &t->urb->packets[i];
        struct stress_end end = stress_packet(t->key, i, packet->length);
        packet->actual_length = end.actual;
        packet->status = end.status;
        t->urb->error_count += end.status != 0;
        actual += end.actual;
        if (t->urb->in)
            put(host, t, packet->offset, packet->offset, end.actual);
    }
    return actual;
}

/* Rules SNO-02 and XFR-08. */
static void flush_behind(struct stress_host *host, const struct stress_transfer *ended)
{
    for (unsigned int i = 0; i < host->nr_held;) {
        if (host->held[i].port != ended->port || host->held[i].end != ended->end) {
            i++;
            continue;
        }
        struct stress_transfer t = drop(host, i);
        check_out(host, &t);
        host->report->flushed++;
        complete(host, &t, -ECONNRESET, 0);
    }
}

static struct stress_end descriptor(struct stress_host *host, const struct stress_transfer *t)
{
    const struct stress_device *device = &host->device[t->port];
    const uint8_t bytes[18] = {18, 1, 0, 2, 0xff, 0, 0, 64, 0x09, 0x12, (uint8_t)t->port, 0,
                               (uint8_t)device->generation, (uint8_t)(device->generation >> 8), 0, 0, 0, 1};
    return (struct stress_end){.actual = host_urb_write(t->urb, 0, bytes, sizeof(bytes))};
}

static uint32_t stream_length(struct stress_host *host, uint32_t length)
{
    switch (below(host, 8)) {
    case 0:
        return 0;
    case 1:
    case 2:
        return below(host, length + 1);
    default:
        return length;
    }
}

static struct stress_end natural_end(struct stress_host *host, const struct stress_transfer *t)
{
    struct host_urb *urb = t->urb;
    struct stress_end end = {0};
    if (t->standard && urb->in)
        return descriptor(host, t);
    if (t->standard)
        return end;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        return (struct stress_end){.actual = do_packets(host, t, urb->nr_packets)};
    if (urb->in && urb->type != USBIF_PIPE_TYPE_CTRL) {
        end.actual = put_stream(host, t, stream_length(host, urb->length));
        end.status = stress_status_at(t->key, host->device[t->port].end[t->end].position);
        return end;
    }
    end = stress_judge(t->key, urb->in, urb->length);
    if (urb->in)
        put(host, t, 0, 0, end.actual);
    return end;
}

static void finish(struct stress_host *host, unsigned int i)
{
    struct stress_transfer t = drop(host, i);
    bool flush;
    check_out(host, &t);
    struct stress_end end = natural_end(host, &t);
    flush = t.urb->in && t.urb->type != USBIF_PIPE_TYPE_ISOC &&
            (end.status == -EOVERFLOW || (end.status == 0 && t.urb->short_not_ok && end.actual < t.urb->length));
    complete(host, &t, end.status, end.actual);
    if (flush)
        flush_behind(host, &t);
}

static bool is_head(const struct stress_host *host, unsigned int i)
{
    for (unsigned int j = 0; j < i; j++) {
        if (host->held[j].port == host->held[i].port && host->held[j].end == host->held[i].end)
            return false;
    }
    return true;
}

/* What was on its way when it was cancelled stays: part of the data, or the first packets. */
static void finish_cancelled(struct stress_host *host, unsigned int i, int32_t status)
{
    bool head = is_head(host, i);
    struct stress_transfer t = drop(host, i);
    struct host_urb *urb = t.urb;
    uint32_t actual = 0;
    check_out(host, &t);
    if (head && !t.standard && below(host, 2)) {
        if (urb->type == USBIF_PIPE_TYPE_ISOC)
            actual = do_packets(host, &t, below(host, urb->nr_packets));
        else if (!urb->in)
            actual = below(host, urb->length + 1);
        else if (urb->type != USBIF_PIPE_TYPE_CTRL && urb->length > 0)
            actual = put_stream(host, &t, below(host, urb->length));
    }
    complete(host, &t, status, actual);
}

/* Without its device a transfer ends as it never would with it: the guest may know that this is why. */
static void end_all(struct stress_host *host, unsigned int port, int32_t status)
{
    __atomic_store_n(&host->report->gone[port], host->device[port].generation, __ATOMIC_RELEASE);
    for (unsigned int i = 0; i < host->nr_held;) {
        if (host->held[i].port == port)
            finish_cancelled(host, i, status);
        else
            i++;
    }
}

/* ---- beginnings ---- */

static uint64_t choose_due(struct stress_host *host, const struct stress_transfer *t)
{
    bool stream = t->urb->in && t->urb->type != USBIF_PIPE_TYPE_CTRL;
    bool tagged = !stream && t->urb->type != USBIF_PIPE_TYPE_ISOC && !t->standard;
    if (tagged && stress_judge(t->key, t->urb->in, t->urb->length).never)
        return UINT64_MAX;
    if (stream && below(host, 1000) == 0)
        return UINT64_MAX;
    if (stream && host->now_ns < host->quiet_until_ns && below(host, 16))
        return host->quiet_until_ns;
    if (below(host, 2000) == 0)
        return host->now_ns + below(host, 300) * STRESS_MS;
    switch (below(host, 16)) {
    case 0:
        return host->now_ns + below(host, 2000000);
    case 1:
    case 2:
    case 3:
        return host->now_ns + below(host, 100000);
    default:
        return host->now_ns;
    }
}

/* Numbers of an endpoint only grow: nothing comes twice, nothing overtakes. */
static void check_number(struct stress_host *host, struct stress_transfer *t)
{
    uint32_t *newest = &host->device[t->port].end[t->end].number;
    if (t->urb->type == USBIF_PIPE_TYPE_ISOC) /* 16 bits are on the wire */
        t->number = *newest + (uint16_t)(t->number - *newest);
    if (t->number <= *newest || t->number - *newest > 60000)
        stress_fail(host->report->back_error, "port %u endpoint %u: transfer %u after %u", t->port,
                    t->urb->endpoint, t->number, *newest);
    *newest = t->number;
}

static void identify(struct stress_host *host, struct stress_transfer *t)
{
    const struct host_urb *urb = t->urb;
    uint8_t header[4];
    t->end = urb->type == USBIF_PIPE_TYPE_CTRL ? 0 : 2u * urb->endpoint + urb->in;
    if (urb->endpoint > STRESS_ENDPOINTS || stress_type(urb->endpoint) != urb->type) {
        stress_fail(host->report->back_error, "port %u has no endpoint %u of type %u", t->port, urb->endpoint,
                    urb->type);
        t->end = 0;
    }
    t->number = 0;
    t->standard = false;
    if (urb->type == USBIF_PIPE_TYPE_CTRL) {
        t->standard = (urb->setup[0] & 0x60) == 0;
        t->number = (uint32_t)pvusb_setup_index(urb->setup) << 16 | pvusb_setup_value(urb->setup);
    } else if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        t->number = urb->interval;
    } else if (!urb->in && urb->length >= STRESS_HEADER) {
        host_urb_read(urb, 0, header, 4);
        memcpy(&t->number, header, 4);
    }
    if (!t->standard && (t->number != 0 || urb->type == USBIF_PIPE_TYPE_ISOC))
        check_number(host, t);
    t->key = stress_key(host->seed, t->port, host->device[t->port].generation, t->end, t->number);
}

static unsigned int port_of(const struct stress_host *host, const struct host_device *device)
{
    return (unsigned int)((const struct stress_device *)(const void *)device - host->device);
}

static void take(struct stress_host *host, struct host_device *device, struct host_urb *urb)
{
    struct stress_transfer t = {.urb = urb, .port = port_of(host, device)};
    assert(host->nr_held < STRESS_HELD);
    identify(host, &t);
    t.due_ns = choose_due(host, &t);
    host->report->transfers++;
    host->held[host->nr_held++] = t;
    if (t.due_ns == host->now_ns && is_head(host, host->nr_held - 1) && below(host, 2))
        finish(host, host->nr_held - 1);
}

/* ---- usb_host ---- */

static int op_listen(struct usb_host *usb, const struct usb_host_listener *listener)
{
    struct stress_host *host = (struct stress_host *)usb;
    if (host->listener)
        return -ENOSPC;
    host->listener = listener;
    return 0;
}

static void op_unlisten(struct usb_host *usb, const struct usb_host_listener *listener)
{
    (void)listener;
    ((struct stress_host *)usb)->listener = NULL;
}

static int op_open(struct usb_host *usb, const char *busid, struct host_device **out)
{
    struct stress_host *host = (struct stress_host *)usb;
    unsigned long port = strncmp(busid, "1-", 2) == 0 ? strtoul(busid + 2, NULL, 10) : 0;
    if (port == 0 || port > STRESS_PORTS || !host->device[port].plugged)
        return -ENODEV;
    struct stress_device *device = &host->device[port];
    if (device->open)
        return -EBUSY;
    memset(device->end, 0, sizeof(device->end));
    device->open = true;
    device->generation++;
    *out = (struct host_device *)(void *)device;
    return 0;
}

static void op_close(struct usb_host *usb, struct host_device *device)
{
    struct stress_host *host = (struct stress_host *)usb;
    end_all(host, port_of(host, device), -ECONNRESET);
    host->device[port_of(host, device)].open = false;
}

static uint8_t op_speed(struct usb_host *usb, struct host_device *device)
{
    struct stress_host *host = (struct stress_host *)usb;
    return host->device[port_of(host, device)].speed;
}

static void op_submit(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    take((struct stress_host *)usb, device, urb);
}

static void op_cancel(struct usb_host *usb, struct host_device *device, struct host_urb *urb)
{
    struct stress_host *host = (struct stress_host *)usb;
    unsigned int i = 0;
    (void)device;
    while (i < host->nr_held && host->held[i].urb != urb)
        i++;
    if (i == host->nr_held) {
        stress_fail(host->report->back_error, "cancel of a transfer that is not here");
        return;
    }
    host->report->cancels++;
    bool quiet = host->now_ns < host->quiet_until_ns;
    if (below(host, quiet ? 2 : 8) == 0) { /* takes a while */
        host->held[i].cancelled = true;
        host->held[i].due_ns = host->now_ns + below(host, quiet ? 20000000 : 200000);
        return;
    }
    if (below(host, 8) == 0 && is_head(host, i) && host->held[i].due_ns != UINT64_MAX) {
        finish(host, i); /* its end won the race */
        return;
    }
    finish_cancelled(host, i, -ECONNRESET);
}

static void op_set_configuration(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t value)
{
    (void)value;
    take((struct stress_host *)usb, device, urb);
}

static void op_set_interface(struct usb_host *usb, struct host_device *device, struct host_urb *urb,
                             uint8_t interface, uint8_t alternate)
{
    (void)interface;
    (void)alternate;
    take((struct stress_host *)usb, device, urb);
}

static void op_clear_halt(struct usb_host *usb, struct host_device *device, struct host_urb *urb, uint8_t endpoint)
{
    (void)endpoint;
    take((struct stress_host *)usb, device, urb);
}

static int op_reset(struct usb_host *usb, struct host_device *device)
{
    (void)usb;
    (void)device;
    return 0;
}

/* ---- plugging ---- */

static void pull(struct stress_host *host, unsigned int port)
{
    struct stress_device *device = &host->device[port];
    char busid[16];
    stress_busid(port, busid);
    device->back_ns = host->now_ns + (below(host, 4) ? below(host, 40) * STRESS_MS : 0);
    device->away = below(host, 4) == 0;
    if (device->away) {
        host->report->detaches++;
        if (vusb_set_port(host->toolstack, stress_controller(), port, ""))
            stress_fail(host->report->back_error, "port %u cannot be taken away", port);
        return;
    }
    host->report->unplugs++;
    end_all(host, port, -ENODEV);
    device->plugged = false;
    if (host->listener)
        host->listener->unplugged(host->listener->context, busid);
}

static void bring(struct stress_host *host, unsigned int port)
{
    struct stress_device *device = &host->device[port];
    char busid[16];
    stress_busid(port, busid);
    device->back_ns = UINT64_MAX;
    if (device->away && vusb_set_port(host->toolstack, stress_controller(), port, busid))
        stress_fail(host->report->back_error, "port %u cannot be given back", port);
    if (device->away)
        return;
    device->plugged = true;
    device->speed = (uint8_t)(USBIF_SPEED_LOW + below(host, 3));
    if (host->listener)
        host->listener->plugged(host->listener->context, busid);
}

static void move_plugs(struct stress_host *host)
{
    if (host->now_ns >= host->unplug_ns) {
        unsigned int port = 1 + below(host, STRESS_PORTS);
        if (host->nr_held > 0 && below(host, 4))
            port = host->held[below(host, host->nr_held)].port; /* in mid-transfer */
        if (host->device[port].open && host->device[port].back_ns == UINT64_MAX)
            pull(host, port);
        host->unplug_ns = host->now_ns + below(host, 30) * STRESS_MS;
    }
    for (unsigned int port = 1; port <= STRESS_PORTS; port++) {
        if (host->now_ns >= host->device[port].back_ns)
            bring(host, port);
    }
}

static void op_step(struct usb_host *usb, uint64_t now_ns)
{
    struct stress_host *host = (struct stress_host *)usb;
    host->now_ns = now_ns;
    move_plugs(host);
    if (now_ns >= host->quiet_ns) { /* long enough for the frontend to take slots back */
        host->quiet_until_ns = now_ns + (120 + below(host, host->quiet_more_ms)) * STRESS_MS;
        host->quiet_ns = host->quiet_until_ns + below(host, host->quiet_gap_ms) * STRESS_MS;
    }
    /* Endpoints in any order: each may be passed over until the next step. */
    for (unsigned int i = 0; i < host->nr_held;) {
        const struct stress_transfer *t = &host->held[i];
        if (t->due_ns > now_ns || below(host, 8) == 0 || (!t->cancelled && !is_head(host, i))) {
            i++;
            continue;
        }
        if (t->cancelled)
            finish_cancelled(host, i, -ECONNRESET);
        else
            finish(host, i);
        i = 0; /* more than one may be gone */
    }
}

static uint64_t op_deadline(struct usb_host *usb)
{
    const struct stress_host *host = (const struct stress_host *)usb;
    uint64_t due = host->unplug_ns;
    for (unsigned int port = 1; port <= STRESS_PORTS; port++)
        due = host->device[port].back_ns < due ? host->device[port].back_ns : due;
    for (unsigned int i = 0; i < host->nr_held; i++) {
        if (host->held[i].due_ns < due && (host->held[i].cancelled || is_head(host, i)))
            due = host->held[i].due_ns;
    }
    return due;
}

static const struct usb_host_ops stress_ops = {
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

void stress_host_init(struct stress_host *host, const struct stress_options *options, struct xen *toolstack,
                      struct stress_report *report)
{
    memset(host, 0, sizeof(*host));
    host->host.ops = &stress_ops;
    host->seed = options->seed;
    host->random = stress_hash(options->seed, 2);
    host->quiet_more_ms = options->processes == 1 ? 500 : 100; /* virtual time costs nothing */
    host->quiet_gap_ms = options->processes == 1 ? 100 : 2000;
    host->report = report;
    host->toolstack = toolstack;
    for (unsigned int port = 1; port <= STRESS_PORTS; port++) {
        host->device[port].plugged = true;
        host->device[port].speed = (uint8_t)(USBIF_SPEED_LOW + port % 3);
        host->device[port].back_ns = UINT64_MAX;
    }
}
