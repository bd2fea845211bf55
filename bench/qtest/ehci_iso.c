// SPDX-License-Identifier: MIT
/*
 * Isochronous transfers of high-speed devices: a descriptor (iTD) for each frame that an URB has packets in,
 * in front of the queues of its frame. Those of full-speed devices behind a hub would need siTDs, which QEMU
 * skips.
 *
 * QEMU runs all packets of an iTD at the beginning of its frame, one iTD after the other, and writes the
 * whole of it back, its link too. So an URB's iTDs come behind those of earlier ones, and none is taken out
 * of its frame before that is over.
 */
#include <errno.h>

#include "qtest/ehci_private.h"

#define MICROFRAMES    8u
#define FRINDEX_MASK   0x3fffu
#define ISO_AHEAD      8u    /* frames between now and the first packet of a stream */
#define ISO_WINDOW     1000u /* frames of the list that may be filled */
#define ISO_GRACE      1u    /* frames after the last one that it may take to be written */
#define ITDS_PER_FRAME 16u   /* with more, QEMU resets the controller */
#define PAGES          7u    /* of an iTD */

#define ITD_ACTIVE  (1u << 31)
#define ITD_BABBLE  (1u << 29)
#define ITD_FAILED  (5u << 28) /* data buffer, transaction error */
#define ITD_IOC     (1u << 15)
#define ITD_LENGTH  0xfffu
#define ITD_READING (1u << 11)

static uint32_t interval_of(const struct hcd_urb *urb)
{
    return urb->interval ? urb->interval : 1;
}

static uint32_t span(const struct hcd_urb *urb)
{
    return (urb->nr_packets - 1u) * interval_of(urb);
}

static uint32_t transactions_of(const struct hcd_urb *urb)
{
    return urb->transactions ? urb->transactions : 1;
}

static uint16_t microframe_of(const struct transfer *t, unsigned int packet)
{
    return (uint16_t)(t->frame + packet * interval_of(t->urb));
}

/* A packet is in the iTD of the one before it, or in the next one. */
static bool is_new_frame(const struct transfer *t, unsigned int packet)
{
    return packet > 0 && microframe_of(t, packet) / MICROFRAMES != microframe_of(t, packet - 1) / MICROFRAMES;
}

/* The controller counts to 16384, users of a stream to 65536. */
static uint16_t microframe_now(struct ehci *ehci)
{
    uint32_t now = hc_read(ehci->hc.bus, ehci->base + FRINDEX, 4);
    ehci->microframe = (uint16_t)(ehci->microframe + ((now - ehci->microframe) & FRINDEX_MASK));
    return ehci->microframe;
}

/* ---- descriptors and their frames ---- */

static uint32_t frame_link(const struct ehci *ehci, unsigned int frame)
{
    unsigned int k = 0;
    while (k < 7 && !(frame & 1u << k))
        k++;
    return hc_address(ehci->hc.bus, &ehci->qh[7 - k]) | LINK_QH;
}

void ehci_iso_open(struct ehci *ehci)
{
    for (uint16_t i = 0; i < ITDS; i++)
        ehci->free_itds[i] = i;
    ehci->nr_free_itds = ITDS;
    for (unsigned int frame = 0; frame < FRAMES; frame++) {
        ehci->frame_itd[frame] = NONE;
        ehci->frames[frame] = frame_link(ehci, frame);
    }
}

/* In order of their release: one rests as long as it can. */
static uint16_t take(struct ehci *ehci)
{
    uint16_t itd = ehci->free_itds[ehci->next_free_itd];
    ehci->next_free_itd = (ehci->next_free_itd + 1u) % ITDS;
    ehci->nr_free_itds--;
    ehci->itd_next[itd] = NONE;
    return itd;
}

static void release(struct ehci *ehci, uint16_t itd)
{
    ehci->free_itds[(ehci->next_free_itd + ehci->nr_free_itds) % ITDS] = itd;
    ehci->nr_free_itds++;
}

static uint32_t itd_address(const struct ehci *ehci, uint16_t itd)
{
    return hc_address(ehci->hc.bus, &ehci->itd[itd]); /* of type iTD: no bits */
}

static void set_link(struct ehci *ehci, unsigned int frame, uint16_t before, uint16_t itd)
{
    uint32_t link = itd == NONE ? frame_link(ehci, frame) : itd_address(ehci, itd);
    if (before == NONE) {
        ehci->frame_itd[frame] = itd;
        store32(&ehci->frames[frame], link);
    } else {
        ehci->frame_next[before] = itd;
        store32(&ehci->itd[before].next, link);
    }
}

static void put_in_frame(struct ehci *ehci, uint16_t itd)
{
    unsigned int frame = ehci->itd_frame[itd];
    uint16_t before = NONE;
    for (uint16_t at = ehci->frame_itd[frame]; at != NONE; at = ehci->frame_next[at])
        before = at;
    set_link(ehci, frame, itd, NONE);
    set_link(ehci, frame, before, itd);
}

static void take_from_frame(struct ehci *ehci, uint16_t itd)
{
    unsigned int frame = ehci->itd_frame[itd];
    uint16_t before = NONE;
    for (uint16_t at = ehci->frame_itd[frame]; at != itd; at = ehci->frame_next[at])
        before = at;
    set_link(ehci, frame, before, ehci->frame_next[itd]);
}

static bool has_room(const struct ehci *ehci, const struct transfer *t)
{
    unsigned int needed = 1;
    for (unsigned int i = 0; i < t->urb->nr_packets; i++) {
        unsigned int n = 1, frame = microframe_of(t, i) / MICROFRAMES % FRAMES;
        for (uint16_t at = ehci->frame_itd[frame]; at != NONE; at = ehci->frame_next[at])
            n++;
        needed += is_new_frame(t, i);
        if (n > ITDS_PER_FRAME || needed > ehci->nr_free_itds)
            return false;
    }
    return true;
}

/* ---- transfers ---- */

/* Whether the packets of each frame are where an iTD can say it, wherever the first frame begins. */
static bool fit_pages(const struct ehci *ehci, const struct hcd_urb *urb)
{
    uint32_t buffer = urb->length ? hc_address(ehci->hc.bus, urb->buffer) : 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        uint32_t first = (buffer + urb->packets[i].offset) / PAGE;
        for (unsigned int k = i; k < urb->nr_packets && (k - i) * interval_of(urb) < MICROFRAMES; k++) {
            uint32_t at = buffer + urb->packets[k].offset, last = (at + urb->packets[k].length) / PAGE;
            if (at / PAGE < first || last - first >= PAGES)
                return false;
        }
    }
    return true;
}

int ehci_iso_check(const struct ehci *ehci, const struct hcd_urb *urb)
{
    if (urb->nr_packets == 0 || urb->nr_packets > PVUSB_ISO_PACKETS_MAX || !urb->packets ||
        urb->transactions > 3)
        return -EINVAL;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        if (packet->length > urb->packet * transactions_of(urb) || packet->offset > urb->length ||
            packet->length > urb->length - packet->offset)
            return -EINVAL;
    }
    if (!fit_pages(ehci, urb))
        return -EINVAL;
    return span(urb) / MICROFRAMES + ISO_AHEAD + 1 >= ISO_WINDOW ? -EMSGSIZE : 0;
}

static void lay_out(struct ehci *ehci, uint16_t itd, const struct transfer *t, uint32_t page)
{
    const struct endpoint *ep = t->endpoint;
    struct ehci_itd *to = &ehci->itd[itd];
    *to = (struct ehci_itd){.next = LINK_END};
    for (unsigned int i = 0; i < PAGES; i++)
        to->buffer[i] = (page + i) * PAGE;
    to->buffer[0] |= (uint32_t)ep->number << 8 | ep->device;
    to->buffer[1] |= (ep->in ? ITD_READING : 0) | ep->packet;
    to->buffer[2] |= transactions_of(t->urb);
}

static void build(struct ehci *ehci, struct transfer *t)
{
    const struct hcd_urb *urb = t->urb;
    uint32_t buffer = urb->length ? hc_address(ehci->hc.bus, urb->buffer) : 0, page = 0;
    uint16_t itd = NONE;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        uint16_t microframe = microframe_of(t, i);
        uint32_t at = buffer + urb->packets[i].offset;
        if (i == 0 || is_new_frame(t, i)) {
            uint16_t next = take(ehci);
            if (itd == NONE)
                t->first = next;
            else
                ehci->itd_next[itd] = next;
            itd = next;
            page = at / PAGE;
            ehci->itd_frame[itd] = microframe / MICROFRAMES % FRAMES;
            lay_out(ehci, itd, t, page);
        }
        bool last = i + 1u == urb->nr_packets;
        ehci->itd[itd].transaction[microframe % MICROFRAMES] = ITD_ACTIVE | urb->packets[i].length << 16 |
                                                               (last ? ITD_IOC : 0) |
                                                               (at / PAGE - page) << 12 | at % PAGE;
    }
}

bool ehci_iso_load(struct ehci *ehci, struct transfer *t)
{
    struct endpoint *ep = t->endpoint;
    struct hcd_urb *urb = t->urb;
    uint16_t now = microframe_now(ehci);
    uint32_t ahead = (uint16_t)(ep->iso_next - now);
    if (!ep->iso_streaming || ahead < MICROFRAMES || ahead > FRAMES * MICROFRAMES)
        ahead = ISO_AHEAD * MICROFRAMES - now % MICROFRAMES;
    t->frame = (uint16_t)(now + ahead);
    uint32_t frames = (ahead + span(urb)) / MICROFRAMES + 1 + ISO_GRACE;
    if (frames >= ISO_WINDOW || !has_room(ehci, t))
        return false;
    urb->start_frame = t->frame;
    build(ehci, t);
    for (uint16_t itd = t->first; itd != NONE; itd = ehci->itd_next[itd])
        put_in_frame(ehci, itd);
    t->at = t->first;
    t->packet = 0;
    t->loaded = true;
    t->over_ns = ehci->now_ns + frames * MS;
    ep->iso_next = (uint16_t)(t->frame + span(urb) + interval_of(urb));
    ep->iso_streaming = true;
    return true;
}

/* Not before the clock says so is the controller asked. */
static bool has_passed(struct ehci *ehci, struct transfer *t)
{
    if (ehci->now_ns < t->over_ns)
        return false;
    uint16_t last = microframe_of(t, t->urb->nr_packets - 1u) | (MICROFRAMES - 1);
    int16_t left = (int16_t)(last + 1u + ISO_GRACE * MICROFRAMES - microframe_now(ehci));
    if (left <= 0 || left > (int16_t)(FRAMES * MICROFRAMES))
        return true; /* or long ago */
    t->over_ns = ehci->now_ns + ((uint64_t)left + MICROFRAMES - 1) / MICROFRAMES * MS;
    return false;
}

bool ehci_iso_scan(struct ehci *ehci, struct transfer *t)
{
    while (!t->urb->hcd_unlinked) {
        unsigned int slot = microframe_of(t, t->packet) % MICROFRAMES;
        if (load32(&ehci->itd[t->at].transaction[slot]) & ITD_ACTIVE)
            break;
        if (t->packet + 1u == t->urb->nr_packets)
            return true;
        t->packet++;
        if (is_new_frame(t, t->packet))
            t->at = ehci->itd_next[t->at];
    }
    return has_passed(ehci, t);
}

void ehci_iso_stop(struct ehci *ehci, struct transfer *t)
{
    for (uint16_t itd = t->first; itd != NONE; itd = ehci->itd_next[itd]) {
        for (unsigned int slot = 0; slot < MICROFRAMES; slot++) {
            uint32_t *at = &ehci->itd[itd].transaction[slot];
            store32(at, load32(at) & ~ITD_ACTIVE);
        }
    }
}

static void take_result(struct pvusb_iso_desc *packet, uint32_t transaction, bool in)
{
    uint32_t length = transaction >> 16 & ITD_LENGTH;
    packet->status = transaction & ITD_ACTIVE   ? -EXDEV
                     : transaction & ITD_BABBLE ? -EOVERFLOW
                     : transaction & ITD_FAILED ? -EPROTO
                                                : 0;
    packet->actual_length = in && length < packet->length ? length : packet->length;
    if (packet->status)
        packet->actual_length = 0;
}

void ehci_iso_unload(struct ehci *ehci, struct transfer *t)
{
    struct hcd_urb *urb = t->urb;
    uint16_t itd = t->first;
    t->actual = 0;
    urb->error_count = 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        struct pvusb_iso_desc *packet = &urb->packets[i];
        if (is_new_frame(t, i))
            itd = ehci->itd_next[itd];
        take_result(packet, load32(&ehci->itd[itd].transaction[microframe_of(t, i) % MICROFRAMES]), urb->in);
        urb->error_count += packet->status != 0;
        t->actual += packet->actual_length;
    }
    for (itd = t->first; itd != NONE;) {
        uint16_t next = ehci->itd_next[itd];
        take_from_frame(ehci, itd);
        release(ehci, itd);
        itd = next;
    }
    t->loaded = false;
}
