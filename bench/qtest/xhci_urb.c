// SPDX-License-Identifier: MIT
/* Transfers on their endpoints' rings, and their way back. */
#include <errno.h>

#include "qtest/xhci_private.h"

#define BOUNDARY 65536u /* no TRB's buffer crosses one (xHCI 1.1 section 6.4.1) */

/* ---- onto the ring ---- */

static unsigned int count(const struct xhci *xhci, const struct hcd_urb *urb)
{
    uint32_t start = urb->length ? hc_address(xhci->hc.bus, urb->buffer) % BOUNDARY : 0;
    unsigned int data = (start + urb->length + BOUNDARY - 1) / BOUNDARY;
    if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        data = 0;
        for (unsigned int i = 0; i < urb->nr_packets; i++) {
            uint32_t at = start + urb->packets[i].offset;
            data += at % BOUNDARY + urb->packets[i].length > BOUNDARY ? 2 : 1;
        }
        return data;
    }
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return data + 2;
    return data ? data : 1;
}

static void put(struct transfer *t, const struct trb *trb, uint32_t length)
{
    struct endpoint *ep = t->endpoint;
    bool first = t->nr_trbs == 0;
    unsigned int at = xhci_ring_put(&ep->ring, trb, first);
    ep->length[at] = length;
    ep->owner[at] = t;
    if (first)
        t->first = at;
    t->nr_trbs++;
}

/* A stage or packet of the transfer: `length` bytes of its buffer, from `from` on. */
static void put_data(const struct xhci *xhci, struct transfer *t, uint32_t type, uint32_t from,
                     uint32_t length, uint32_t last_flags)
{
    const struct hcd_urb *urb = t->urb;
    uint32_t at = 0, buffer = urb->length ? hc_address(xhci->hc.bus, urb->buffer) + from : 0;
    do {
        uint32_t room = BOUNDARY - (buffer + at) % BOUNDARY;
        uint32_t n = length - at < room ? length - at : room;
        bool last = at + n == length;
        struct trb trb = {.low = buffer + at, .status = n, .control = type << 10};
        trb.control |= last ? last_flags : TRB_CHAIN;
        trb.control |= urb->in ? TRB_SHORT : 0;
        trb.control |= type == TRB_DATA && urb->in ? TRB_IN : 0;
        trb.control |= type == TRB_ISOCHRONOUS ? TRB_SOON : 0;
        put(t, &trb, n);
        type = TRB_NORMAL;
        at += n;
    } while (at < length);
}

static void put_packets(const struct xhci *xhci, struct transfer *t)
{
    struct hcd_urb *urb = t->urb;
    struct endpoint *ep = t->endpoint;
    for (uint16_t i = 0; i < urb->nr_packets; i++) {
        struct pvusb_iso_desc *packet = &urb->packets[i];
        unsigned int first = ep->ring.at;
        packet->actual_length = packet->length;
        packet->status = 0;
        put_data(xhci, t, TRB_ISOCHRONOUS, packet->offset, packet->length,
                 i + 1 == urb->nr_packets ? TRB_IOC : 0);
        for (unsigned int at = first; at != ep->ring.at; at = (at + 1) % (RING_TRBS - 1))
            ep->packet[at] = i;
    }
    urb->start_frame = ep->frame;
    ep->frame = (uint16_t)(ep->frame + urb->nr_packets * (urb->interval ? urb->interval : 1u));
}

static void load(struct xhci *xhci, struct transfer *t)
{
    const struct hcd_urb *urb = t->urb;
    struct endpoint *ep = t->endpoint;
    t->nr_trbs = 0;
    t->actual = 0;
    t->data_short = false;
    if (urb->type == USBIF_PIPE_TYPE_CTRL) {
        const uint8_t *s = urb->setup;
        struct trb setup = {.status = 8, .control = TRB_SETUP << 10 | TRB_IMMEDIATE};
        setup.low = s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
        setup.high = s[4] | (uint32_t)s[5] << 8 | (uint32_t)s[6] << 16 | (uint32_t)s[7] << 24;
        setup.control |= urb->length == 0 ? 0 : urb->in ? 3u << 16 : 2u << 16;
        struct trb status = {.control = TRB_STATUS << 10 | TRB_IOC | (urb->in ? 0 : TRB_IN)};
        put(t, &setup, 0);
        if (urb->length)
            put_data(xhci, t, TRB_DATA, 0, urb->length, 0);
        put(t, &status, 0);
    } else if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        put_packets(xhci, t);
    } else {
        put_data(xhci, t, TRB_NORMAL, 0, urb->length, TRB_IOC);
    }
    t->loaded = true;
    xhci_ring_release(&ep->ring, t->first);
}

static void load_waiting(struct xhci *xhci, struct endpoint *ep)
{
    bool any = false;
    if (ep->stopped || ep->halted || xhci->dead)
        return;
    for (struct transfer *t = ep->head; t; t = t->next) {
        if (t->loaded)
            continue;
        if (ep->ring.used + count(xhci, t->urb) > RING_TRBS - 2)
            break;
        load(xhci, t);
        any = true;
    }
    if (any)
        xhci_doorbell(xhci, ep->slot->id, ep->dci);
}

/* ---- off it ---- */

static void detach(struct transfer *t)
{
    struct endpoint *ep = t->endpoint;
    struct transfer *before = NULL;
    if (ep->head != t) {
        for (before = ep->head; before->next != t; before = before->next)
            continue;
    }
    if (before)
        before->next = t->next;
    else
        ep->head = t->next;
    if (ep->end == t)
        ep->end = before;
    for (unsigned int i = 0; i < RING_TRBS; i++) {
        if (ep->owner[i] == t)
            ep->owner[i] = NULL;
    }
    if (t->loaded)
        ep->ring.used -= t->nr_trbs;
    t->loaded = false;
}

static void finish(struct xhci *xhci, struct transfer *t, int status)
{
    t->done = true;
    t->status = status;
    t->done_next = NULL;
    detach(t);
    *xhci->done_end = t;
    xhci->done_end = &t->done_next;
}

void xhci_abort(struct xhci *xhci, struct endpoint *ep, int status)
{
    while (ep->head)
        finish(xhci, ep->head, status);
}

static int status_of(uint32_t code)
{
    switch (code) {
    case CODE_SUCCESS:
    case CODE_SHORT:
        return 0;
    case CODE_STALL:
        return -EPIPE;
    case CODE_BABBLE:
        return -EOVERFLOW;
    default:
        return -EPROTO;
    }
}

/* Bytes of the transfer up to and with that TRB, but for the residue. */
static uint32_t moved(const struct endpoint *ep, const struct transfer *t, unsigned int trb, uint32_t residue)
{
    uint32_t sum = 0;
    for (unsigned int n = 0, at = t->first; n < t->nr_trbs; n++, at = (at + 1) % (RING_TRBS - 1)) {
        sum += ep->length[at];
        if (at == trb)
            break;
    }
    residue = residue < ep->length[trb] ? residue : ep->length[trb];
    return sum - residue;
}

/* A packet that is cut ends in any of its TRBs when it is short, and nothing is said of the others then. */
static void on_packet(struct xhci *xhci, struct transfer *t, unsigned int trb, uint32_t code,
                      uint32_t residue)
{
    struct hcd_urb *urb = t->urb;
    const struct endpoint *ep = t->endpoint;
    const uint16_t number = ep->packet[trb];
    struct pvusb_iso_desc *packet = &urb->packets[number];
    uint32_t before = 0;
    for (unsigned int i = 0; i < number; i++)
        before += urb->packets[i].length;
    packet->status = code == CODE_MISSED ? -EXDEV : status_of(code);
    packet->actual_length = packet->status ? 0 : moved(ep, t, trb, residue) - before;
    if (number + 1u < urb->nr_packets)
        return;
    t->actual = urb->error_count = 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        t->actual += urb->packets[i].actual_length;
        urb->error_count += urb->packets[i].status != 0;
    }
    finish(xhci, t, 0);
}

void xhci_transfer_event(struct xhci *xhci, struct endpoint *ep, unsigned int trb, uint32_t code,
                         uint32_t residue)
{
    struct transfer *t = ep->owner[trb];
    if (code == CODE_RING_UNDERRUN || code == CODE_RING_OVERRUN)
        return; /* isochronous: of no TRB; QEMU names the next one, which may have come since (4.10.3.1) */
    if (!t || t->done || code >= CODE_STOPPED)
        return; /* stopped ones are seen to by who has stopped them */
    const struct hcd_urb *urb = t->urb;
    if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        on_packet(xhci, t, trb, code, residue);
        return;
    }
    bool last = trb == (t->first + t->nr_trbs - 1) % (RING_TRBS - 1);
    int status = status_of(code);
    if (urb->type == USBIF_PIPE_TYPE_CTRL && status == 0 && !last) {
        t->data_short = true;
        t->actual = moved(ep, t, trb, residue);
        return;
    }
    if (!t->data_short)
        t->actual = moved(ep, t, trb, residue);
    if (status == 0 && urb->short_not_ok && t->actual < urb->length)
        status = -EREMOTEIO;
    ep->halted |= status_of(code) != 0;
    finish(xhci, t, status);
}

/* The endpoint goes on, or begins, with what is on it; all of that is put onto the ring anew. */
static void restart(struct xhci *xhci, struct endpoint *ep)
{
    for (struct transfer *t = ep->head; t; t = t->next)
        t->loaded = false;
    memset(ep->owner, 0, sizeof(ep->owner));
    ep->ring.used = 0;
    uint32_t position = xhci_ring_position(xhci, &ep->ring);
    (void)xhci_command(xhci, TRB_SET_DEQUEUE, (uint32_t)ep->dci << 16, ep->slot->id, position);
    ep->halted = ep->stopped = false;
    load_waiting(xhci, ep);
}

static void follow_request(struct xhci *xhci, struct slot *slot, const struct hcd_urb *urb)
{
    if (urb->setup[0] == 0x00 && urb->setup[1] == 9)
        xhci_deconfigure(xhci, slot);
}

/* The endpoint, if the slot is still what it was. */
static void recover(struct xhci *xhci, struct endpoint *ep)
{
    if (!ep->halted || xhci->dead)
        return;
    (void)xhci_command(xhci, TRB_RESET_ENDPOINT, (uint32_t)ep->dci << 16, ep->slot->id, 0);
    restart(xhci, ep);
}

void xhci_give_back(struct xhci *xhci)
{
    struct transfer *t;
    while ((t = xhci->done)) {
        struct hcd_urb *urb = t->urb;
        struct slot *slot = &xhci->slots[urb->port];
        xhci->done = t->done_next;
        if (!xhci->done)
            xhci->done_end = &xhci->done;
        urb->actual = t->actual;
        urb->status = t->status;
        *t = (struct transfer){.next = xhci->free_transfer};
        xhci->free_transfer = t;
        xhci->held--;
        if (urb->status == 0 && urb->type == USBIF_PIPE_TYPE_CTRL)
            follow_request(xhci, slot, urb);
        urb->complete(urb);
    }
    for (unsigned int i = 1; i <= SLOTS; i++) {
        for (unsigned int dci = 1; dci < SLOT_ENDPOINTS && xhci->slots[i].id; dci++) {
            struct endpoint *ep = xhci->slots[i].endpoints[dci];
            if (ep && ep->halted)
                recover(xhci, ep);
            if (ep && ep->head)
                load_waiting(xhci, ep);
        }
    }
}

/* ---- for others ---- */

static bool good(const struct xhci *xhci, const struct hcd_urb *urb)
{
    if (urb->port == 0 || urb->port > xhci->hc.hub.nr_ports || urb->device > PVUSB_ADDRESS_MAX ||
        urb->endpoint > 15 || urb->type > 3 || urb->packet == 0 || urb->packet > 1024 ||
        (urb->length && !urb->buffer))
        return false;
    if (urb->type != USBIF_PIPE_TYPE_ISOC)
        return true;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        if (packet->offset > urb->length || packet->length > urb->length - packet->offset)
            return false;
    }
    return urb->nr_packets > 0 && urb->packets;
}

int xhci_submit(struct xhci *xhci, struct hcd_urb *urb)
{
    struct endpoint *ep = NULL;
    if (xhci->dead)
        return -ESHUTDOWN;
    if (!good(xhci, urb))
        return -EINVAL;
    if (urb->length > XHCI_LENGTH_MAX || urb->nr_packets > XHCI_PACKETS_MAX)
        return -EMSGSIZE;
    if (!hc_pages_hold(&xhci->hc.pages, urb->buffer, urb->length))
        return -EFAULT;
    struct transfer *t = xhci->free_transfer;
    if (!t)
        return -ENOMEM;
    int rc = xhci_find_endpoint(xhci, urb, &ep);
    if (rc)
        return rc;
    xhci->free_transfer = t->next;
    *t = (struct transfer){.urb = urb, .endpoint = ep};
    urb->hcd_unlinked = 0;
    urb->actual = urb->error_count = 0;
    xhci->held++;
    if (ep->head)
        ep->end->next = t;
    else
        ep->head = t;
    ep->end = t;
    if (urb->type == USBIF_PIPE_TYPE_CTRL && urb->setup[0] == 0x00 && urb->setup[1] == 5)
        finish(xhci, t, xhci_set_address(xhci, ep->slot, urb->setup[2] & 0x7fu));
    else
        load_waiting(xhci, ep);
    return 0;
}

int xhci_unlink(struct xhci *xhci, struct hcd_urb *urb, int reason)
{
    struct transfer *t = xhci->transfers;
    while (t < xhci->transfers + TRANSFERS && t->urb != urb)
        t++;
    if (t == xhci->transfers + TRANSFERS)
        return -EINVAL;
    if (urb->hcd_unlinked)
        return -EBUSY;
    urb->hcd_unlinked = reason;
    if (t->done)
        return 0; /* on its way back */
    struct endpoint *ep = t->endpoint;
    bool was_loaded = t->loaded;
    if (was_loaded && !ep->halted) {
        ep->stopped = true;
        (void)xhci_command(xhci, TRB_STOP_ENDPOINT, (uint32_t)ep->dci << 16, ep->slot->id, 0);
    }
    if (!t->done)
        finish(xhci, t, reason);
    if (was_loaded && !ep->halted)
        restart(xhci, ep);
    return 0;
}
