// SPDX-License-Identifier: MIT
/* Rings of TRBs, and what the controller says through one. */
#include <errno.h>

#include "qtest/xhci_private.h"

#define COMMAND_LOOKS 2000u /* at the event ring, each after a register access */

static void put_address(struct trb *trb, uint32_t address)
{
    trb->low = address;
    trb->high = 0;
}

int xhci_ring_open(struct xhci *xhci, struct ring *ring, bool link)
{
    *ring = (struct ring){.trb = hc_pages_alloc(&xhci->hc.pages, RING_TRBS * sizeof(struct trb)),
                          .cycle = TRB_CYCLE};
    if (!ring->trb)
        return -ENOMEM;
    if (link) {
        struct trb *last = &ring->trb[RING_TRBS - 1];
        put_address(last, hc_address(xhci->hc.bus, ring->trb));
        last->control = TRB_LINK << 10 | TRB_TOGGLE_CYCLE; /* its cycle follows that of the one before it */
    }
    return 0;
}

void xhci_ring_close(struct xhci *xhci, struct ring *ring)
{
    if (ring->trb)
        hc_pages_free(&xhci->hc.pages, ring->trb, RING_TRBS * sizeof(struct trb));
    *ring = (struct ring){.trb = NULL};
}

uint32_t xhci_ring_position(const struct xhci *xhci, const struct ring *ring)
{
    return hc_address(xhci->hc.bus, &ring->trb[ring->at]) | ring->cycle;
}

unsigned int xhci_ring_put(struct ring *ring, const struct trb *trb, bool hold)
{
    unsigned int at = ring->at;
    struct trb *to = &ring->trb[at];
    to->low = trb->low;
    to->high = trb->high;
    to->status = trb->status;
    store32(&to->control, trb->control | (hold ? ring->cycle ^ TRB_CYCLE : ring->cycle));
    ring->used++;
    if (++ring->at == RING_TRBS - 1) {
        /* A transfer that goes on behind the link takes it with it. */
        uint32_t chain = trb->control & TRB_CHAIN;
        store32(&ring->trb[ring->at].control, TRB_LINK << 10 | TRB_TOGGLE_CYCLE | chain | ring->cycle);
        ring->at = 0;
        ring->cycle ^= TRB_CYCLE;
    }
    return at;
}

void xhci_ring_release(struct ring *ring, unsigned int at)
{
    store32(&ring->trb[at].control, ring->trb[at].control ^ TRB_CYCLE);
}

void xhci_doorbell(struct xhci *xhci, uint32_t slot, uint32_t target)
{
    hc_write(xhci->hc.bus, xhci->doorbells + 4 * slot, 4, target);
}

static void on_transfer(struct xhci *xhci, const struct trb *event)
{
    unsigned int id = event->control >> 24, dci = event->control >> 16 & 31u;
    for (unsigned int i = 1; i <= SLOTS; i++) {
        struct endpoint *ep = xhci->slots[i].id == id && id ? xhci->slots[i].endpoints[dci] : NULL;
        uint32_t offset = ep ? event->low - hc_address(xhci->hc.bus, ep->ring.trb) : UINT32_MAX;
        if (offset < RING_TRBS * sizeof(struct trb))
            xhci_transfer_event(xhci, ep, offset / sizeof(struct trb), event->status >> 24,
                                event->status & 0xffffffu);
    }
}

/* Whether there was one. */
static bool take_event(struct xhci *xhci)
{
    struct ring *ring = &xhci->events;
    const struct trb *at = &ring->trb[ring->at];
    struct trb event = {.control = load32(&at->control)};
    if ((event.control & TRB_CYCLE) != ring->cycle)
        return false;
    event.low = load32(&at->low);
    event.status = load32(&at->status);
    if (++ring->at == RING_TRBS) {
        ring->at = 0;
        ring->cycle ^= TRB_CYCLE;
    }
    xhci->unacknowledged++;
    switch (event.control >> 10 & 63u) {
    case TRB_EVENT_TRANSFER:
        on_transfer(xhci, &event);
        break;
    case TRB_EVENT_COMMAND:
        xhci->answer = event.status >> 24;
        xhci->answered_slot = event.control >> 24;
        break;
    default:
        xhci->ports_changed = true; /* or something of the controller's: a look does no harm */
        break;
    }
    return true;
}

void xhci_events(struct xhci *xhci)
{
    for (unsigned int n = 0; n < RING_TRBS && take_event(xhci); n++)
        continue;
    /* Polled, the controller need not know at once how far we are. */
    if (xhci->unacknowledged == 0 || (xhci->polled && xhci->unacknowledged < RING_TRBS / 4))
        return;
    xhci->unacknowledged = 0;
    uint32_t position = hc_address(xhci->hc.bus, &xhci->events.trb[xhci->events.at]);
    hc_write(xhci->hc.bus, xhci->runtime + ERDP, 4, position | ERDP_BUSY);
}

uint32_t xhci_command(struct xhci *xhci, uint32_t type, uint32_t flags, uint32_t slot, uint32_t parameter)
{
    struct trb trb = {.low = parameter, .control = type << 10 | slot << 24 | flags};
    if (xhci->dead)
        return 0;
    xhci->answer = 0;
    (void)xhci_ring_put(&xhci->commands, &trb, false);
    xhci_doorbell(xhci, 0, 0);
    for (unsigned int looks = 0; xhci->answer == 0; looks++) {
        if (take_event(xhci))
            continue;
        if (looks == COMMAND_LOOKS || hc_read(xhci->hc.bus, xhci->base + USBSTS, 4) & STS_ERROR) {
            xhci_die(xhci);
            return 0;
        }
    }
    return xhci->answer;
}
