// SPDX-License-Identifier: MIT
/* The model: how an URB may come back. */
#include <errno.h>
#include <string.h>

#include "stress_guest.h"

static void bad(const struct stress_work *work, const char *what, long long got, long long wanted)
{
    const struct hcd_urb *urb = &work->urb;
    stress_fail(work->guest->report->front_error,
                "port %u endpoint %u type %u %s, transfer %u of %u bytes at offset %u: %s %lld instead of %lld "
                "(status %d, actual %u, unlink %d)",
                urb->port, urb->endpoint, urb->type, urb->in ? "in" : "out", work->number, urb->length,
                (unsigned int)((uintptr_t)urb->buffer % PVUSB_PAGE_SIZE), what, got, wanted, urb->status, urb->actual,
                work->reason);
}

static void check_data(const struct stress_work *work, uint64_t position, uint32_t offset, uint32_t length)
{
    uint32_t at = stress_differs(work->key, position, (const uint8_t *)work->urb.buffer + offset, length);
    if (at != length)
        bad(work, "IN data is wrong from byte", offset + at, offset + length);
}

/* Nobody wrote behind what is said to have arrived. The last URBs of a controller are told nothing. */
static void check_rest(const struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    const uint8_t *rest = (const uint8_t *)urb->buffer + urb->actual;
    uint32_t n = urb->length - urb->actual;
    if (n == 0 || !urb->in || urb->type == USBIF_PIPE_TYPE_ISOC || work->guest->closing)
        return;
    if (rest[0] != STRESS_POISON || memcmp(rest, rest + 1, n - 1) != 0)
        bad(work, "bytes behind the data were written:", rest[0], STRESS_POISON);
}

/* Short reads that may not be short are an error to a driver (rule SNO-03). */
static int as_seen(const struct hcd_urb *urb, int status)
{
    if (status == 0 && urb->in && urb->short_not_ok && urb->actual < urb->length)
        return -EREMOTEIO;
    return status;
}

/* True for an end that does not depend on the transfer itself. */
static bool foreign_end(struct stress_work *work)
{
    struct stress_guest *guest = work->guest;
    const struct hcd_urb *urb = &work->urb;
    if (work->reason) {
        if (urb->status != work->reason)
            bad(work, "status", urb->status, work->reason);
        return true;
    }
    if (urb->status == -ESHUTDOWN && guest->closing)
        return true;
    if (urb->status == -EPROTO && work->may_flush)
        return true;
    if (urb->status != -ENODEV && urb->status != -EPROTO)
        return false;
    /* One that is pulled is missing; what a toolstack takes away is cancelled first. */
    if (__atomic_load_n(&guest->report->gone[urb->port], __ATOMIC_ACQUIRE) < work->generation)
        return false;
    stress_port_gone(guest, urb->port);
    return true;
}

static void check_stream(struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    uint64_t *position = &work->guest->port[urb->port].end[work->end].position;
    check_data(work, *position, 0, urb->actual);
    *position += urb->actual;
    int natural = stress_status_at(work->key, *position);
    /* The frontend cannot tell an error from an answer to taking the slot back; with all bytes there it is neither. */
    if (natural == -EPROTO && !work->reason && urb->status == 0 && urb->actual == urb->length)
        return;
    if (urb->status != as_seen(urb, natural) || work->reason) {
        if (!foreign_end(work))
            bad(work, "status", urb->status, as_seen(urb, natural));
    }
}

static void check_numbered(struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    struct stress_end end = stress_judge(work->key, urb->in, urb->length);
    if (urb->in)
        check_data(work, 0, 0, urb->actual);
    bool natural = !end.never && urb->actual == end.actual && urb->status == as_seen(urb, end.status);
    if ((natural && !work->reason) || foreign_end(work))
        return;
    if (end.never)
        bad(work, "came back by itself", 1, 0);
    bad(work, "actual", urb->actual, end.actual);
}

/* One packet; true when it ended as its number says, false when it was not reached. */
static bool check_packet(struct stress_work *work, unsigned int i)
{
    const struct pvusb_iso_desc *packet = &work->packets[i];
    struct stress_end end = stress_packet(work->key, i, packet->length);
    if (work->urb.in)
        check_data(work, packet->offset, packet->offset, packet->actual_length);
    return packet->actual_length == end.actual && packet->status == end.status;
}

static void check_iso(struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    uint32_t actual = 0;
    uint32_t errors = 0;
    unsigned int done = 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &work->packets[i];
        bool natural = check_packet(work, i);
        actual += packet->actual_length;
        errors += packet->status != 0;
        if (natural && done == i)
            done++;
        else if (!natural && packet->actual_length != 0)
            bad(work, "a packet with", packet->actual_length, 0);
    }
    if (actual != urb->actual)
        bad(work, "actual", urb->actual, actual);
    if ((urb->status != 0 || work->reason) && foreign_end(work))
        return;
    if (urb->status != 0 || done != urb->nr_packets)
        bad(work, "packets done", done, urb->nr_packets);
    if (urb->error_count != errors)
        bad(work, "error count", urb->error_count, errors);
    if (urb->start_frame != (uint16_t)work->number)
        bad(work, "start frame", urb->start_frame, (uint16_t)work->number);
    work->guest->report->packet_errors += errors;
}

/* Whoever was begun before it on its endpoint is back, or was unlinked; those behind may end with it. */
static void check_order(const struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    bool flushes = work->end % 2 == 1 || work->end == 0;
    flushes = flushes && (work->reason || urb->status == -EREMOTEIO || urb->status == -EOVERFLOW);
    for (unsigned int i = 0; i < STRESS_WORKS; i++) {
        struct stress_work *other = &work->guest->work[i];
        if (!other->busy || other->urb.port != urb->port || other->end != work->end)
            continue;
        if (!work->reason && urb->status != -ESHUTDOWN && !other->reason && other->order < work->order)
            bad(work, "out of order", (long long)work->order, (long long)other->order);
        other->may_flush = other->may_flush || flushes;
    }
}

static enum stress_result result_of(const struct stress_work *work)
{
    switch (work->urb.status) {
    case 0:
        return work->urb.actual < work->urb.length ? STRESS_SHORT : STRESS_OK;
    case -EREMOTEIO:
        return STRESS_SHORT;
    case -EPIPE:
        return STRESS_STALL;
    case -EOVERFLOW:
        return STRESS_BABBLE;
    case -ENODEV:
        return STRESS_NODEV;
    case -ESHUTDOWN:
        return STRESS_SHUTDOWN;
    default:
        return work->reason ? STRESS_UNLINKED : STRESS_IOERROR;
    }
}

void stress_check(struct stress_guest *guest, struct stress_work *work)
{
    const struct hcd_urb *urb = &work->urb;
    struct stress_report *report = guest->report;
    if (urb->actual > urb->length) {
        bad(work, "more bytes than asked for:", urb->actual, urb->length);
        return;
    }
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        check_iso(work);
    else if (urb->type == USBIF_PIPE_TYPE_CTRL || !urb->in)
        check_numbered(work);
    else
        check_stream(work);
    check_order(work);
    check_rest(work);
    report->urbs++;
    report->by_type[urb->type]++;
    report->by_result[result_of(work)]++;
    *(urb->in ? &report->guest_in : &report->guest_out) += urb->actual;
}
