// SPDX-License-Identifier: MIT
#include "stress_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES (STRESS_WORKS * (size_t)STRESS_BUFFER + (STRESS_PORTS + 1) * (size_t)PVUSB_PAGE_SIZE)

static uint32_t below(struct stress_guest *guest, uint32_t limit)
{
    return stress_below(&guest->random, limit);
}

/* ---- unlinks ---- */

static void expect(struct stress_guest *guest, const char *what, int got, int wanted)
{
    if (got != wanted)
        stress_fail(guest->report->front_error, "%s: %d instead of %d", what, got, wanted);
}

static void unlink_work(struct stress_guest *guest, struct stress_work *work)
{
    struct hcd *hcd = guest->hcd;
    uint64_t order = work->order;
    work->reason = below(guest, 2) ? -ECONNRESET : -ENOENT;
    guest->report->unlinks++;
    expect(guest, "unlink", hcd->ops->unlink(hcd, &work->urb, work->reason), 0);
    if (!work->busy || work->order != order) /* back, and perhaps in use for another */
        guest->report->unlinks_waiting++;
    else if (below(guest, 4) == 0) {
        guest->report->unlinks_refused++;
        expect(guest, "second unlink", hcd->ops->unlink(hcd, &work->urb, -ENOENT), -EBUSY);
    }
}

static void unlink_some(struct stress_guest *guest)
{
    for (unsigned int i = 0; i < STRESS_WORKS; i++) {
        struct stress_work *work = &guest->work[i];
        if (work->busy && !work->reason && guest->now_ns >= work->patience_ns)
            unlink_work(guest, work);
        if (work->busy && guest->now_ns - work->begun_ns > STRESS_LOST_NS)
            stress_fail(guest->report->front_error, "port %u endpoint %u: transfer %u never came back (unlink %d)",
                        work->urb.port, work->urb.endpoint, work->number, work->reason);
    }
    struct stress_work *work = &guest->work[below(guest, STRESS_WORKS)];
    if (!work->busy && work->urb.complete && below(guest, 4) == 0) {
        guest->report->unlinks_refused++;
        expect(guest, "unlink after the end", guest->hcd->ops->unlink(guest->hcd, &work->urb, -ENOENT), -EINVAL);
    }
}

/* ---- new URBs ---- */

static void submit_one(struct stress_guest *guest);

static void completed(struct hcd_urb *urb)
{
    struct stress_work *work = urb->context;
    struct stress_guest *guest = work->guest;
    if (!work->busy) {
        stress_fail(guest->report->front_error, "port %u endpoint %u: transfer %u came back twice", urb->port,
                    urb->endpoint, work->number);
        return;
    }
    work->busy = false;
    guest->in_flight--;
    guest->port[urb->port].in_flight--;
    stress_check(guest, work);
    if (!guest->stopped && guest->in_flight < guest->target && below(guest, 4) == 0)
        submit_one(guest);
}

static uint32_t choose_length(struct stress_guest *guest)
{
    switch (below(guest, 16)) {
    case 0:
        return below(guest, 5) ? below(guest, STRESS_URB_BYTES + 1) : STRESS_URB_BYTES;
    case 1:
        return 512 * below(guest, 129);
    case 2:
    case 3:
    case 4:
    case 5:
        return below(guest, 16384);
    case 6:
    case 7:
    case 8:
    case 9:
        return below(guest, 64);
    default:
        return below(guest, 2048);
    }
}

/* Anywhere, as long as a transfer can carry its pages: 16, or 15 beside the descriptors of packets. */
static void place(struct stress_guest *guest, struct stress_work *work, uint32_t length, uint32_t room)
{
    uint32_t offset = below(guest, 4) ? below(guest, PVUSB_PAGE_SIZE) : 0;
    if (length > room)
        length = room;
    if (offset + length > room)
        offset = below(guest, room - length + 1 < PVUSB_PAGE_SIZE ? room - length + 1 : PVUSB_PAGE_SIZE);
    work->urb.length = length;
    work->urb.buffer = length > 0 ? work->buffer + offset : NULL;
}

static void make_packets(struct stress_guest *guest, struct stress_work *work)
{
    struct hcd_urb *urb = &work->urb;
    uint32_t at = 0;
    unsigned int count = below(guest, 8) ? 1 + below(guest, 16) : 1 + below(guest, PVUSB_ISO_PACKETS_MAX);
    for (unsigned int i = 0; i < count; i++) {
        uint32_t rest = urb->length - at;
        uint32_t part = i + 1 == count ? rest : below(guest, 2 * rest / (count - i) + 1);
        work->packets[i] = (struct pvusb_iso_desc){.offset = at, .length = part};
        at += part;
    }
    urb->nr_packets = (uint16_t)count;
    urb->packets = work->packets;
    urb->interval = (uint16_t)work->number;
    urb->start_frame = (uint16_t)below(guest, 1024);
}

static void fill_out(const struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    if (urb->type == USBIF_PIPE_TYPE_BULK || urb->type == USBIF_PIPE_TYPE_INT)
        stress_fill_out(work->key, work->number, urb->buffer, urb->length);
    else
        stress_fill(work->key, 0, urb->buffer, urb->length);
}

static void describe(struct stress_guest *guest, struct stress_work *work, struct stress_port *port,
                     unsigned int number)
{
    struct hcd_urb *urb = &work->urb;
    unsigned int endpoint = below(guest, 5) ? 1 + below(guest, guest->nr_endpoints) : 0;
    memset(urb, 0, sizeof(*urb));
    urb->port = (uint8_t)number;
    urb->device = port->address;
    urb->endpoint = (uint8_t)endpoint;
    urb->type = stress_type(endpoint);
    urb->in = below(guest, 8) < guest->in_share;
    urb->short_not_ok = below(guest, 8) == 0;
    urb->interval = 8;
    urb->complete = completed;
    urb->context = work;
    work->end = endpoint == 0 ? 0 : 2 * endpoint + urb->in;
    bool stream = false;
    if (endpoint == 0) {
        place(guest, work, below(guest, 4) ? below(guest, 256) : below(guest, 4097), 4096);
    } else {
        place(guest, work, choose_length(guest),
              urb->type == USBIF_PIPE_TYPE_ISOC ? 15 * PVUSB_PAGE_SIZE : STRESS_URB_BYTES);
        stream = urb->type != USBIF_PIPE_TYPE_ISOC && (urb->in || urb->length < STRESS_HEADER);
    }
    work->generation = port->generation;
    work->number = stream ? 0 : ++port->end[work->end].number;
    work->key = stress_key(guest->seed, number, port->generation, work->end, work->number);
    if (endpoint == 0) {
        const uint8_t setup[8] = {urb->in ? 0xc0 : 0x40, 1, (uint8_t)work->number, (uint8_t)(work->number >> 8),
                                  (uint8_t)(work->number >> 16), (uint8_t)(work->number >> 24),
                                  (uint8_t)urb->length, (uint8_t)(urb->length >> 8)};
        memcpy(urb->setup, setup, 8);
    }
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        make_packets(guest, work);
    if (!urb->in && urb->length > 0)
        fill_out(work);
    else if (urb->length > 0)
        memset(urb->buffer, STRESS_POISON, urb->length);
}

/* Some are unlinked at once, some on the way, and all that nobody answers. */
static uint64_t choose_patience(struct stress_guest *guest, const struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    bool judged = urb->type == USBIF_PIPE_TYPE_CTRL || (!urb->in && urb->type != USBIF_PIPE_TYPE_ISOC);
    switch (below(guest, 64)) {
    case 0:
        return guest->now_ns;
    case 1:
    case 2:
    case 3:
        return guest->now_ns + below(guest, 1000000);
    default:
        if (judged && stress_judge(work->key, urb->in, urb->length).never)
            return guest->now_ns + below(guest, 20) * STRESS_MS;
        return guest->now_ns + (50 + below(guest, 400)) * STRESS_MS;
    }
}

static void submit_malformed(struct stress_guest *guest, struct stress_work *work)
{
    struct hcd *hcd = guest->hcd;
    struct hcd_urb urb = {.port = 1, .device = 1, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true,
                          .length = STRESS_URB_BYTES, .buffer = work->buffer + 1, .complete = completed,
                          .context = work};
    guest->report->refused++;
    expect(guest, "17 pages", hcd->ops->submit(hcd, &urb), -EMSGSIZE);
    urb.buffer = guest->stranger;
    urb.length = 64;
    expect(guest, "strange memory", hcd->ops->submit(hcd, &urb), -EFAULT);
    urb.port = STRESS_PORTS + 1;
    expect(guest, "no such port", hcd->ops->submit(hcd, &urb), -EINVAL);
}

static void submit_one(struct stress_guest *guest)
{
    unsigned int number = 1 + (guest->first_port + below(guest, guest->nr_ports)) % STRESS_PORTS;
    struct stress_port *port = &guest->port[number];
    unsigned int i = 0;
    while (i < STRESS_WORKS && guest->work[i].busy)
        i++;
    if (i == STRESS_WORKS || port->state != PORT_READY)
        return;
    struct stress_work *work = &guest->work[i];
    if (below(guest, 1024) == 0)
        submit_malformed(guest, work);
    describe(guest, work, port, number);
    work->busy = true;
    work->may_flush = false;
    work->reason = 0;
    work->order = guest->order++;
    work->begun_ns = guest->now_ns;
    work->patience_ns = choose_patience(guest, work);
    guest->in_flight++;
    port->in_flight++;
    expect(guest, "submit", guest->hcd->ops->submit(guest->hcd, &work->urb), 0);
    if (work->busy && work->patience_ns == guest->now_ns)
        unlink_work(guest, work);
}

/* ---- steps ---- */

static void change_mood(struct stress_guest *guest)
{
    guest->target = below(guest, 2) ? STRESS_WORKS : 1 + below(guest, STRESS_WORKS);
    guest->first_port = below(guest, STRESS_PORTS);
    guest->nr_ports = below(guest, 3) ? 1 + below(guest, STRESS_PORTS) : 1 + below(guest, 3);
    guest->nr_endpoints = below(guest, 2) ? STRESS_ENDPOINTS : 1 + below(guest, STRESS_ENDPOINTS);
    guest->in_share = below(guest, 3) ? 4 : below(guest, 9);
}

void stress_guest_step(struct stress_guest *guest, uint64_t now_ns)
{
    guest->now_ns = now_ns;
    stress_ports_follow(guest);
    unlink_some(guest);
    if (below(guest, 256) == 0)
        change_mood(guest);
    for (unsigned int tries = 0; tries < 64 && !guest->stopped && guest->in_flight < guest->target; tries++)
        submit_one(guest);
}

uint64_t stress_guest_deadline(const struct stress_guest *guest)
{
    uint64_t due = guest->now_ns + 100 * STRESS_MS;
    for (unsigned int i = 0; i < STRESS_WORKS; i++) {
        const struct stress_work *work = &guest->work[i];
        if (work->busy && !work->reason && work->patience_ns < due)
            due = work->patience_ns;
    }
    return due;
}

bool stress_guest_idle(const struct stress_guest *guest)
{
    if (guest->in_flight > 0)
        return false;
    for (unsigned int i = 1; i <= STRESS_PORTS; i++) {
        if (guest->port[i].asking)
            return false;
    }
    return true;
}

void stress_guest_last_batch(struct stress_guest *guest)
{
    guest->closing = true;
    for (unsigned int tries = 0; tries < 8 * STRESS_WORKS && guest->in_flight < STRESS_WORKS; tries++)
        submit_one(guest);
}

int stress_guest_create(struct hcd *hcd, uint64_t seed, struct stress_report *report, struct stress_guest **out)
{
    struct stress_guest *guest = calloc(1, sizeof(*guest));
    if (!guest)
        return -ENOMEM;
    guest->hcd = hcd;
    guest->seed = seed;
    guest->random = stress_hash(seed, 3);
    guest->report = report;
    change_mood(guest);
    guest->stranger = malloc(64);
    void *memory;
    int rc = guest->stranger ? hcd->ops->buffer_alloc(hcd, MEMORY_BYTES, &memory) : -ENOMEM;
    if (rc) {
        free(guest->stranger);
        free(guest);
        return rc;
    }
    guest->memory = memory;
    memset(memory, 0xee, MEMORY_BYTES); /* all of it is there from the start: memory that grows is not its */
    for (unsigned int i = 0; i < STRESS_WORKS; i++) {
        guest->work[i].guest = guest;
        guest->work[i].buffer = guest->memory + (size_t)i * STRESS_BUFFER;
    }
    stress_ports_init(guest, guest->memory + STRESS_WORKS * (size_t)STRESS_BUFFER);
    *out = guest;
    return 0;
}

void stress_guest_release(struct stress_guest *guest)
{
    guest->hcd->ops->buffer_free(guest->hcd, guest->memory, MEMORY_BYTES);
}

void stress_guest_destroy(struct stress_guest *guest)
{
    if (!guest)
        return;
    free(guest->stranger);
    free(guest);
}
