// SPDX-License-Identifier: MIT
/* Endpoints of the EHCI driver: their queue heads in the schedules, and the transfers on them. */
#include <errno.h>

#include "qtest/ehci_private.h"

/* ---- the schedules ---- */

static unsigned int qh_index(const struct ehci *ehci, const struct endpoint *ep)
{
    return SKELETONS + (unsigned int)(ep - ehci->endpoints);
}

static void set_next(struct ehci *ehci, unsigned int qh, uint16_t next)
{
    ehci->qh_next[qh] = next;
    store32(&ehci->qh[qh].link,
            next == NONE ? LINK_END : hc_address(ehci->hc.bus, &ehci->qh[next]) | LINK_QH);
}

static void link_queue(struct ehci *ehci, struct endpoint *ep)
{
    set_next(ehci, qh_index(ehci, ep), ehci->qh_next[ep->skeleton]);
    set_next(ehci, ep->skeleton, (uint16_t)qh_index(ehci, ep));
    ep->state = EP_LINKED;
}

/* The controller may be at it until it has advanced. */
static void leave(struct ehci *ehci, struct endpoint *ep)
{
    if (ep->state != EP_LINKED)
        return;
    unsigned int before = ep->skeleton;
    while (ehci->qh_next[before] != qh_index(ehci, ep))
        before = ehci->qh_next[before];
    set_next(ehci, before, ehci->qh_next[qh_index(ehci, ep)]);
    ep->state = EP_LEAVING;
    ep->rung = false;
    if (!ehci->ringing)
        ehci_ring(ehci);
}

/* ---- endpoints ---- */

static void forget(struct ehci *ehci, struct endpoint *ep)
{
    if (ep->state != EP_ISO)
        ehci_td_release(ehci, ep->tail);
    *ep = (struct endpoint){.state = EP_FREE};
}

void ehci_queue_forsake(struct ehci *ehci, unsigned int port)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        struct endpoint *ep = &ehci->endpoints[i];
        if (ep->state != EP_FREE && ep->port == port)
            ep->forsaken = true;
    }
}

static unsigned int skeleton_of(const struct hcd_urb *urb)
{
    unsigned int k = 0;
    if (urb->type != USBIF_PIPE_TYPE_INT)
        return SKEL_HEAD;
    /* 2^(bInterval - 1) microframes; what is less than a frame is a frame with several. */
    while (k < 7 && k + 4 < urb->interval)
        k++;
    return 7 - k;
}

static void lay_out_queue(struct ehci *ehci, const struct endpoint *ep, const struct hcd_urb *urb)
{
    static const uint8_t masks[4] = {0xff, 0x55, 0x11, 0x01};
    struct ehci_qh *qh = endpoint_qh(ehci, ep);
    bool control = ep->type == USBIF_PIPE_TYPE_CTRL, interrupt = ep->type == USBIF_PIPE_TYPE_INT;
    *qh = (struct ehci_qh){.link = LINK_END};
    qh->info1 = ep->device | (uint32_t)ep->number << 8 | 2u << 12 | (uint32_t)ep->packet << 16;
    qh->info1 |= control ? 1u << 14 : 0; /* toggles from the descriptors */
    qh->info1 |= interrupt ? 0 : 4u << 28;
    qh->info2 = 1u << 30;
    if (interrupt)
        qh->info2 |= masks[urb->interval == 0 ? 0 : urb->interval > 4 ? 3 : urb->interval - 1];
}

static bool is_endpoint_of(const struct endpoint *ep, const struct hcd_urb *urb)
{
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    return ep->state != EP_FREE && !ep->forsaken && ep->port == urb->port && ep->device == urb->device &&
           ep->type == urb->type && ep->number == (control ? 0 : urb->endpoint) &&
           ep->in == (!control && urb->in);
}

static struct endpoint *find_endpoint(struct ehci *ehci, const struct hcd_urb *urb)
{
    struct endpoint *ep = NULL;
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        if (is_endpoint_of(&ehci->endpoints[i], urb))
            return &ehci->endpoints[i];
        if (ehci->endpoints[i].state == EP_FREE)
            ep = &ehci->endpoints[i];
    }
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    if (!ep || (!iso && ehci->nr_free_td == 0))
        return NULL;
    *ep = (struct endpoint){.port = urb->port,
                            .device = urb->device,
                            .number = control ? 0 : urb->endpoint,
                            .type = urb->type,
                            .in = !control && urb->in,
                            .packet = urb->packet};
    if (iso) {
        ep->state = EP_ISO;
        return ep;
    }
    ep->skeleton = skeleton_of(urb);
    ep->tail = ehci_td_take(ehci);
    lay_out_queue(ehci, ep, urb);
    ehci_td_restart(ehci, ep);
    link_queue(ehci, ep);
    return ep;
}

/* What a device forgets with a request, its host has to forget too (USB 2.0 section 9.4.5). */
static void follow_request(struct ehci *ehci, const struct hcd_urb *urb)
{
    const uint8_t *setup = urb->setup;
    bool halt = setup[0] == 0x02 && setup[1] == 1;
    bool all = (setup[0] == 0x00 && setup[1] == 9) || (setup[0] == 0x01 && setup[1] == 11);
    for (unsigned int i = 0; i < ENDPOINTS && (halt || all); i++) {
        struct endpoint *ep = &ehci->endpoints[i];
        if (ep->state == EP_FREE || ep->device != urb->device || ep->type == USBIF_PIPE_TYPE_CTRL || ep->head)
            continue;
        if (!all && (ep->number != (setup[4] & 15u) || ep->in != (setup[4] >> 7)))
            continue;
        ep->toggle = false;
        leave(ehci, ep); /* and back, with a new queue head */
    }
}

/* ---- transfers ---- */

static void load_streams(struct ehci *ehci, struct endpoint *ep)
{
    for (struct transfer *t = ep->head; t && !ehci->dead; t = t->next) {
        if (!t->loaded && !ehci_iso_load(ehci, t))
            return;
    }
}

static void load_waiting(struct ehci *ehci, struct endpoint *ep)
{
    bool any = false;
    if (ep->state == EP_ISO)
        load_streams(ehci, ep);
    if (ep->state != EP_LINKED || ep->stopped || ehci->dead)
        return;
    for (struct transfer *t = ep->head; t; t = t->next) {
        if (t->loaded)
            continue;
        if (ehci->nr_free_td < ehci_td_count(t->urb))
            break;
        ehci_td_load(ehci, t);
        any = true;
    }
    if (any && ehci->polled && ep->type != USBIF_PIPE_TYPE_INT)
        ehci_ring(ehci);
}

int ehci_queue_submit(struct ehci *ehci, struct hcd_urb *urb)
{
    if (ehci->dead)
        return -ESHUTDOWN;
    if (urb->port == 0 || urb->port > ehci->hc.hub.nr_ports || urb->device > PVUSB_ADDRESS_MAX ||
        urb->endpoint > 15 || urb->type > 3 || urb->packet == 0 || urb->packet > 1024 ||
        (urb->length && !urb->buffer))
        return -EINVAL;
    if (urb->length > EHCI_LENGTH_MAX)
        return -EMSGSIZE;
    if (!hc_pages_hold(&ehci->hc.pages, urb->buffer, urb->length))
        return -EFAULT;
    int rc = urb->type == USBIF_PIPE_TYPE_ISOC ? ehci_iso_check(ehci, urb) : 0;
    if (rc)
        return rc;
    struct transfer *t = ehci->free_transfer;
    struct endpoint *ep = t ? find_endpoint(ehci, urb) : NULL;
    if (!ep)
        return -ENOMEM;
    ehci->free_transfer = t->next;
    *t = (struct transfer){.urb = urb, .endpoint = ep};
    urb->hcd_unlinked = 0;
    urb->actual = urb->error_count = 0;
    if (ep->head)
        ep->end->next = t;
    else
        ep->head = t;
    ep->end = t;
    ehci->held++;
    load_waiting(ehci, ep);
    return 0;
}

static void detach(struct ehci *ehci, struct transfer *t)
{
    struct endpoint *ep = t->endpoint;
    struct transfer *before = NULL;
    if (ep->head != t) {
        for (before = ep->head; before->next != t; before = before->next)
            continue;
    }
    if (t->loaded && ep->state == EP_ISO)
        ehci_iso_unload(ehci, t);
    else if (t->loaded)
        ehci_td_unload(ehci, before, t);
    if (before)
        before->next = t->next;
    else
        ep->head = t->next;
    if (ep->end == t)
        ep->end = before;
}

static void give_back(struct ehci *ehci, struct transfer *t, int status)
{
    struct hcd_urb *urb = t->urb;
    urb->actual = t->actual;
    urb->status = status;
    t->urb = NULL;
    t->next = ehci->free_transfer;
    ehci->free_transfer = t;
    ehci->held--;
    if (status == 0 && urb->type == USBIF_PIPE_TYPE_CTRL)
        follow_request(ehci, urb);
    urb->complete(urb);
}

/* Gives back those that are done, up to one at which the queue has stopped; that one waits until it is safe.
 */
static void scan(struct ehci *ehci, struct endpoint *ep)
{
    while (ep->head && ep->head->loaded) {
        struct transfer *t = ep->head;
        int status;
        uint32_t actual = t->actual;
        enum td_result result = ehci_td_scan(ehci, t, &status);
        if (result == TD_RUNNING)
            return;
        if (result == TD_STOPPED && !ep->stopped) {
            t->actual = actual; /* it is scanned again */
            leave(ehci, ep);
            return;
        }
        detach(ehci, t);
        give_back(ehci, t, status);
    }
}

static void scan_streams(struct ehci *ehci, struct endpoint *ep)
{
    while (ep->head && ep->head->loaded && ehci_iso_scan(ehci, ep->head)) {
        struct transfer *t = ep->head;
        detach(ehci, t);
        give_back(ehci, t, t->urb->hcd_unlinked);
    }
    load_streams(ehci, ep);
    if (ep->head)
        return;
    ep->iso_streaming = false;
    if (ep->forsaken)
        forget(ehci, ep);
}

uint64_t ehci_queue_deadline(const struct ehci *ehci)
{
    uint64_t due = UINT64_MAX;
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        const struct endpoint *ep = &ehci->endpoints[i];
        if (ep->state == EP_ISO && ep->head && ep->head->loaded && ep->head->over_ns < due)
            due = ep->head->over_ns;
    }
    return due;
}

static struct transfer *unlinked(struct endpoint *ep)
{
    struct transfer *t = ep->head;
    while (t && !t->urb->hcd_unlinked)
        t = t->next;
    return t;
}

static void come_back(struct ehci *ehci, struct endpoint *ep)
{
    struct transfer *t;
    ep->stopped = true;
    scan(ehci, ep);
    while ((t = unlinked(ep))) {
        detach(ehci, t);
        give_back(ehci, t, t->urb->hcd_unlinked);
    }
    ep->stopped = false;
    if (ep->forsaken && !ep->head) {
        forget(ehci, ep);
        return;
    }
    ehci_td_restart(ehci, ep);
    link_queue(ehci, ep);
    load_waiting(ehci, ep);
}

void ehci_queue_advanced(struct ehci *ehci)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        if (ehci->endpoints[i].state == EP_LEAVING && ehci->endpoints[i].rung)
            come_back(ehci, &ehci->endpoints[i]);
    }
    if (!ehci->ringing && ehci_queue_leaving(ehci))
        ehci_ring(ehci);
}

bool ehci_queue_leaving(const struct ehci *ehci)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        if (ehci->endpoints[i].state == EP_LEAVING)
            return true;
    }
    return false;
}

int ehci_queue_unlink(struct ehci *ehci, struct hcd_urb *urb, int reason)
{
    struct transfer *t = ehci->transfers;
    while (t < ehci->transfers + TRANSFERS && t->urb != urb)
        t++;
    if (t == ehci->transfers + TRANSFERS)
        return -EINVAL;
    if (urb->hcd_unlinked)
        return -EBUSY;
    urb->hcd_unlinked = reason;
    if (!t->loaded || t->endpoint->stopped) {
        detach(ehci, t);
        give_back(ehci, t, reason);
    } else if (t->endpoint->state == EP_ISO) {
        ehci_iso_stop(ehci, t);
    } else {
        leave(ehci, t->endpoint);
    }
    return 0;
}

void ehci_queue_scan(struct ehci *ehci)
{
    for (unsigned int i = 0; i < ENDPOINTS && !ehci->dead; i++) {
        struct endpoint *ep = &ehci->endpoints[i];
        if (ep->state == EP_ISO)
            scan_streams(ehci, ep);
        if (ep->state != EP_LINKED)
            continue;
        scan(ehci, ep);
        load_waiting(ehci, ep);
        if (ep->forsaken && !ep->head)
            leave(ehci, ep);
    }
}

void ehci_queue_abort(struct ehci *ehci, int status)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        struct endpoint *ep = &ehci->endpoints[i];
        while (ep->state != EP_FREE && ep->head) {
            struct transfer *t = ep->head;
            detach(ehci, t);
            give_back(ehci, t, status);
        }
    }
}
