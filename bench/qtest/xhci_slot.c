// SPDX-License-Identifier: MIT
/* Devices as the controller's slots, and their endpoints as contexts (xHCI 1.1 section 6.2). */
#include <errno.h>
#include <stdlib.h>

#include "qtest/xhci_private.h"

enum { SPEED_FULL = 1, SPEED_LOW = 2, SPEED_HIGH = 3 };
enum { EP_ISOCHRONOUS_OUT = 1, EP_BULK_OUT = 2, EP_INTERRUPT_OUT = 3, EP_CONTROL = 4 }; /* IN: 4 more */

static uint32_t *input_context(struct xhci *xhci, unsigned int dci)
{
    return xhci->input + (size_t)CONTEXT_WORDS * (dci + 1);
}

static void clear_input(struct xhci *xhci)
{
    memset(xhci->input, 0, sizeof(uint32_t) * CONTEXT_WORDS * (SLOT_ENDPOINTS + 1));
}

static uint32_t input_address(const struct xhci *xhci)
{
    return hc_address(xhci->hc.bus, xhci->input);
}

static void fill_slot(struct xhci *xhci, const struct slot *slot)
{
    uint32_t *context = input_context(xhci, 0);
    context[0] = (uint32_t)xhci->speed[slot->port] << 20 | (uint32_t)slot->last_dci << 27;
    context[1] = (uint32_t)slot->port << 16;
}

/* 6.2.3.6: the period as a power of two of microframes. */
static uint32_t period(const struct xhci *xhci, const struct slot *slot, const struct hcd_urb *urb)
{
    uint16_t interval = urb->interval;
    uint32_t k = 3;
    if (urb->type == USBIF_PIPE_TYPE_ISOC) { /* a power of two of frames or microframes (hcd.h) */
        for (k = xhci->speed[slot->port] == SPEED_HIGH ? 0 : 3; k < 15 && interval >> 1; interval >>= 1)
            k++;
        return k;
    }
    if (xhci->speed[slot->port] == SPEED_HIGH)
        return interval == 0 ? 0 : interval > 16 ? 15 : interval - 1u;
    while (k < 10 && interval >> (k - 2))
        k++;
    return k;
}

static void fill_endpoint(struct xhci *xhci, const struct endpoint *ep, const struct hcd_urb *urb)
{
    uint32_t *context = input_context(xhci, ep->dci);
    bool interrupt = urb->type == USBIF_PIPE_TYPE_INT, iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    uint32_t type = interrupt ? EP_INTERRUPT_OUT : iso ? EP_ISOCHRONOUS_OUT : EP_BULK_OUT;
    type += urb->in ? 4 : 0;
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        type = EP_CONTROL;
    context[0] = interrupt || iso ? period(xhci, ep->slot, urb) << 16 : 0;
    uint32_t more = iso && urb->transactions ? urb->transactions - 1u : 0; /* a burst */
    context[1] = (iso ? 0 : 3u << 1) | type << 3 | more << 8 | (uint32_t)urb->packet << 16;
    context[2] = xhci_ring_position(xhci, &ep->ring);
    /* For bandwidth: an average, and what a period needs. */
    context[4] = urb->packet | (interrupt || iso ? urb->packet * (1 + more) << 16 : 0);
}

static void close_endpoint(struct xhci *xhci, struct slot *slot, unsigned int dci)
{
    struct endpoint *ep = slot->endpoints[dci];
    if (!ep)
        return;
    xhci_abort(xhci, ep, -ESHUTDOWN);
    slot->endpoints[dci] = NULL;
    xhci_ring_close(xhci, &ep->ring);
    free(ep);
}

static int open_endpoint(struct xhci *xhci, struct slot *slot, uint8_t dci)
{
    struct endpoint *ep = calloc(1, sizeof(*ep));
    if (!ep)
        return -ENOMEM;
    ep->slot = slot;
    ep->dci = dci;
    if (xhci_ring_open(xhci, &ep->ring, true)) {
        free(ep);
        return -ENOMEM;
    }
    slot->endpoints[dci] = ep;
    return 0;
}

void xhci_slot_close(struct xhci *xhci, struct slot *slot)
{
    if (!slot->id)
        return;
    (void)xhci_command(xhci, TRB_DISABLE_SLOT, 0, slot->id, 0);
    for (unsigned int dci = 1; dci < SLOT_ENDPOINTS; dci++)
        close_endpoint(xhci, slot, dci);
    xhci->slots_array[slot->id] = 0;
    hc_pages_free(&xhci->hc.pages, slot->context, sizeof(uint32_t) * CONTEXT_WORDS * SLOT_ENDPOINTS);
    *slot = (struct slot){.port = slot->port};
}

/* A device that was just reset: it gets a slot, and answers at address 0. */
static int open_slot(struct xhci *xhci, struct slot *slot, const struct hcd_urb *urb)
{
    uint32_t code = xhci_command(xhci, TRB_ENABLE_SLOT, 0, 0, 0);
    uint32_t id = xhci->answered_slot;
    if (code != CODE_SUCCESS || id == 0 || id > SLOTS)
        return -EPROTO;
    *slot = (struct slot){.id = (uint8_t)id, .port = urb->port, .packet0 = urb->packet, .last_dci = 1};
    slot->context = hc_pages_alloc(&xhci->hc.pages, sizeof(uint32_t) * CONTEXT_WORDS * SLOT_ENDPOINTS);
    if (!slot->context) {
        (void)xhci_command(xhci, TRB_DISABLE_SLOT, 0, id, 0);
        *slot = (struct slot){.port = urb->port};
        return -ENOMEM;
    }
    xhci->slots_array[id] = hc_address(xhci->hc.bus, slot->context);
    int rc = open_endpoint(xhci, slot, 1);
    if (rc == 0) {
        clear_input(xhci);
        xhci->input[1] = 3; /* slot and endpoint 0 */
        fill_slot(xhci, slot);
        fill_endpoint(xhci, slot->endpoints[1], urb);
        code = xhci_command(xhci, TRB_ADDRESS_DEVICE, TRB_BLOCK, id, input_address(xhci));
        rc = code == CODE_SUCCESS ? 0 : -EPROTO;
    }
    if (rc)
        xhci_slot_close(xhci, slot);
    return rc;
}

int xhci_set_address(struct xhci *xhci, struct slot *slot, uint8_t address)
{
    struct hcd_urb control = {.type = USBIF_PIPE_TYPE_CTRL, .packet = slot->packet0};
    clear_input(xhci);
    xhci->input[1] = 3;
    fill_slot(xhci, slot);
    fill_endpoint(xhci, slot->endpoints[1], &control);
    if (xhci_command(xhci, TRB_ADDRESS_DEVICE, 0, slot->id, input_address(xhci)) != CODE_SUCCESS)
        return -EPROTO;
    slot->address = address;
    return 0;
}

void xhci_deconfigure(struct xhci *xhci, struct slot *slot)
{
    if (slot->last_dci > 1)
        (void)xhci_command(xhci, TRB_CONFIGURE, TRB_BLOCK, slot->id, input_address(xhci));
    for (unsigned int dci = 2; dci < SLOT_ENDPOINTS; dci++)
        close_endpoint(xhci, slot, dci);
    slot->last_dci = 1;
}

static int configure(struct xhci *xhci, struct slot *slot, uint8_t dci, const struct hcd_urb *urb)
{
    int rc = open_endpoint(xhci, slot, dci);
    if (rc)
        return rc;
    if (dci > slot->last_dci)
        slot->last_dci = dci;
    clear_input(xhci);
    xhci->input[1] = 1u | 1u << dci;
    fill_slot(xhci, slot);
    fill_endpoint(xhci, slot->endpoints[dci], urb);
    if (xhci_command(xhci, TRB_CONFIGURE, 0, slot->id, input_address(xhci)) == CODE_SUCCESS)
        return 0;
    close_endpoint(xhci, slot, dci);
    return -EPROTO;
}

/* The device has said how large its packets are. */
static void evaluate(struct xhci *xhci, struct slot *slot, const struct hcd_urb *urb)
{
    slot->packet0 = urb->packet;
    clear_input(xhci);
    xhci->input[1] = 2;
    fill_endpoint(xhci, slot->endpoints[1], urb);
    (void)xhci_command(xhci, TRB_EVALUATE, 0, slot->id, input_address(xhci));
}

int xhci_find_endpoint(struct xhci *xhci, const struct hcd_urb *urb, struct endpoint **out)
{
    struct slot *slot = &xhci->slots[urb->port];
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    uint8_t dci = control ? 1 : (uint8_t)(urb->endpoint * 2 + urb->in);
    int rc = 0;
    if (slot->forsaken)
        xhci_slot_close(xhci, slot);
    if (!slot->id && urb->device == 0 && control)
        rc = open_slot(xhci, slot, urb);
    if (rc)
        return rc;
    if (!slot->id || slot->address != urb->device || dci == 0)
        return -ENODEV;
    if (control && slot->packet0 != urb->packet)
        evaluate(xhci, slot, urb);
    if (!slot->endpoints[dci])
        rc = configure(xhci, slot, dci, urb);
    *out = slot->endpoints[dci];
    return rc;
}
