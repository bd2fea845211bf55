// SPDX-License-Identifier: MIT
/* Endpoints: their queue heads in the schedule, the transfers on them, and the way back of each. */
#include <assert.h>
#include <errno.h>

#include "uhci/driver_private.h"

/* ---- the schedule ---- */

static unsigned int qh_index(const struct uhci_driver *driver, const struct endpoint *ep)
{
    return SKELETONS + (unsigned int)(ep - driver->endpoints);
}

static void set_next(struct uhci_driver *driver, unsigned int qh, uint16_t next)
{
    driver->qh_next[qh] = next;
    store32(&driver_qh(driver, qh)->link, hc_address(driver->hc.bus, driver_qh(driver, next)) | LINK_QH);
}

/* While something of full speed is to be done, the rest of a frame is for that. */
static void count_fast(struct uhci_driver *driver, const struct endpoint *ep, int change)
{
    if (ep->low_speed || (ep->type != USBIF_PIPE_TYPE_BULK && ep->type != USBIF_PIPE_TYPE_CTRL))
        return;
    driver->fast += (unsigned int)change;
    uint32_t link =
        driver->fast ? hc_address(driver->hc.bus, driver_qh(driver, SKEL_CONTROL)) | LINK_QH : LINK_END;
    store32(&driver_qh(driver, SKEL_END)->link, link);
}

static void link_queue(struct uhci_driver *driver, struct endpoint *ep)
{
    if (ep->linked || ep->unlinking || ep->type == USBIF_PIPE_TYPE_ISOC)
        return;
    ep->linked = true;
    set_next(driver, qh_index(driver, ep), driver->qh_next[ep->skeleton]);
    set_next(driver, ep->skeleton, (uint16_t)qh_index(driver, ep));
    count_fast(driver, ep, 1);
}

static void unlink_queue(struct uhci_driver *driver, struct endpoint *ep)
{
    if (!ep->linked)
        return;
    ep->linked = false;
    unsigned int before = ep->skeleton;
    while (driver->qh_next[before] != qh_index(driver, ep))
        before = driver->qh_next[before];
    set_next(driver, before, driver->qh_next[qh_index(driver, ep)]);
    count_fast(driver, ep, -1);
}

/* ---- endpoints ---- */

static void forget(struct uhci_driver *driver, struct endpoint *ep)
{
    unlink_queue(driver, ep);
    if (ep->tail != NONE) {
        store32(&endpoint_qh(driver, ep)->element, LINK_END);
        uhci_td_release(driver, ep->tail);
    }
    *ep = (struct endpoint){.tail = NONE};
}

void uhci_queue_forsake(struct uhci_driver *driver, unsigned int port)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        struct endpoint *ep = &driver->endpoints[i];
        if (ep->used && ep->port == port)
            ep->forsaken = true;
    }
}

static enum skeleton skeleton_of(const struct hcd_urb *urb, bool low_speed)
{
    unsigned int k = 0;
    switch (urb->type) {
    case USBIF_PIPE_TYPE_CTRL:
        return low_speed ? SKEL_LOW_CONTROL : SKEL_CONTROL;
    case USBIF_PIPE_TYPE_BULK:
        return SKEL_BULK;
    default:
        while (k < SKEL_1 - SKEL_128 && urb->interval >> (k + 1))
            k++;
        return SKEL_1 - k;
    }
}

static bool is_endpoint_of(const struct endpoint *ep, const struct hcd_urb *urb)
{
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    return ep->used && !ep->forsaken && ep->port == urb->port && ep->device == urb->device &&
           ep->type == urb->type && ep->number == (control ? 0 : urb->endpoint) &&
           ep->in == (!control && urb->in);
}

static struct endpoint *find_endpoint(struct uhci_driver *driver, const struct hcd_urb *urb)
{
    struct endpoint *free_one = NULL;
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        struct endpoint *ep = &driver->endpoints[i];
        if (is_endpoint_of(ep, urb))
            return ep;
        if (!ep->used)
            free_one = ep;
    }
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    if (!free_one || (!iso && driver->nr_free_td == 0))
        return NULL;
    bool low_speed = driver->low_speed[urb->port - 1];
    *free_one = (struct endpoint){
        .used = true,
        .port = urb->port,
        .device = urb->device,
        .number = urb->type == USBIF_PIPE_TYPE_CTRL ? 0 : urb->endpoint,
        .type = urb->type,
        .in = urb->type != USBIF_PIPE_TYPE_CTRL && urb->in,
        .low_speed = low_speed,
        .skeleton = skeleton_of(urb, low_speed),
        .tail = iso ? NONE : uhci_td_take(driver),
    };
    if (!iso)
        store32(&endpoint_qh(driver, free_one)->element, td_address(driver, free_one->tail));
    return free_one;
}

/* What a device forgets with a request, its host has to forget too (USB 2.0 section 9.4.5). */
static void follow_request(struct uhci_driver *driver, const struct hcd_urb *urb)
{
    const uint8_t *setup = urb->setup;
    bool halt = setup[0] == 0x02 && setup[1] == 1;
    bool all = (setup[0] == 0x00 && setup[1] == 9) || (setup[0] == 0x01 && setup[1] == 11);
    for (unsigned int i = 0; i < ENDPOINTS && (halt || all); i++) {
        struct endpoint *ep = &driver->endpoints[i];
        if (!ep->used || ep->device != urb->device || ep->type == USBIF_PIPE_TYPE_CTRL || ep->head)
            continue;
        if (all || (ep->number == (setup[4] & 15u) && ep->in == (setup[4] >> 7)))
            ep->toggle = false;
    }
}

/* ---- transfers ---- */

static void load_waiting(struct uhci_driver *driver, struct endpoint *ep)
{
    if (ep->unlinking || driver->dead)
        return;
    for (struct transfer *t = ep->head; t; t = t->next) {
        if (t->loaded)
            continue;
        if (driver->nr_free_td < uhci_td_count(t->urb))
            break;
        if (ep->type == USBIF_PIPE_TYPE_ISOC && !uhci_iso_load(driver, t))
            break;
        if (ep->type != USBIF_PIPE_TYPE_ISOC)
            uhci_td_load(driver, t);
    }
    if (ep->head && ep->head->loaded && !ep->stopped)
        link_queue(driver, ep);
}

static int check(const struct uhci_driver *driver, const struct hcd_urb *urb)
{
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    if (urb->port == 0 || urb->port > PORTS || urb->device > PVUSB_ADDRESS_MAX || urb->endpoint > 15 ||
        urb->type > 3 || urb->packet == 0 || urb->packet > 1023 || (urb->length && !urb->buffer))
        return -EINVAL;
    if (iso && (urb->nr_packets == 0 || urb->nr_packets > PVUSB_ISO_PACKETS_MAX || !urb->packets))
        return -EINVAL;
    for (unsigned int i = 0; iso && i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        if (packet->length > 1023 || packet->offset > urb->length ||
            packet->length > urb->length - packet->offset)
            return -EINVAL;
    }
    if (!hc_pages_hold(&driver->hc.pages, urb->buffer, urb->length))
        return -EFAULT;
    uint32_t frames = iso ? (urb->nr_packets - 1u) * (urb->interval ? urb->interval : 1u) : 0;
    return uhci_td_count(urb) > UHCI_PACKETS_MAX || frames + ISO_AHEAD >= ISO_WINDOW ? -EMSGSIZE : 0;
}

int uhci_queue_submit(struct uhci_driver *driver, struct hcd_urb *urb)
{
    int rc = driver->dead ? -ESHUTDOWN : check(driver, urb);
    if (rc)
        return rc;
    struct transfer *t = driver->free_transfer;
    struct endpoint *ep = t ? find_endpoint(driver, urb) : NULL;
    if (!ep)
        return -ENOMEM;
    driver->free_transfer = t->next;
    *t = (struct transfer){.urb = urb, .endpoint = ep};
    urb->hcd_unlinked = 0;
    urb->actual = urb->error_count = 0;
    if (ep->head)
        ep->end->next = t;
    else
        ep->head = t;
    ep->end = t;
    driver->held++;
    load_waiting(driver, ep);
    return 0;
}

/* Takes it from its endpoint, whose controller is not at it. */
static void detach(struct uhci_driver *driver, struct transfer *t)
{
    struct endpoint *ep = t->endpoint;
    struct transfer *before = NULL;
    if (ep->head != t) {
        for (before = ep->head; before->next != t; before = before->next)
            continue;
    }
    if (t->loaded && ep->type == USBIF_PIPE_TYPE_ISOC)
        uhci_iso_unload(driver, t);
    else if (t->loaded)
        uhci_td_unload(driver, before, t);
    if (before)
        before->next = t->next;
    else
        ep->head = t->next;
    if (ep->end == t)
        ep->end = before;
}

static void give_back(struct uhci_driver *driver, struct transfer *t, int status)
{
    struct hcd_urb *urb = t->urb;
    urb->actual = t->actual;
    urb->status = status;
    t->urb = NULL;
    t->next = driver->free_transfer;
    driver->free_transfer = t;
    driver->held--;
    if (status == 0 && urb->type == USBIF_PIPE_TYPE_CTRL)
        follow_request(driver, urb);
    urb->complete(urb);
}

/* Gives back those that the endpoint's controller is done with. */
static void scan(struct uhci_driver *driver, struct endpoint *ep)
{
    while (ep->head && ep->head->loaded) {
        struct transfer *t = ep->head;
        int status = 0;
        enum td_result result = ep->type != USBIF_PIPE_TYPE_ISOC ? uhci_td_scan(driver, t, &status)
                                : uhci_iso_scan(driver, t)       ? TD_DONE
                                                                 : TD_RUNNING;
        if (result == TD_RUNNING)
            return;
        bool stopped = ep->stopped;
        if (result == TD_STOPPED) {
            store32(&endpoint_qh(driver, ep)->element, LINK_END);
            ep->stopped = true;
        }
        bool gone = status == -EPROTO;
        detach(driver, t);
        give_back(driver, t, status);
        if (gone)
            uhci_hub_poll(driver); /* perhaps there is nobody any more */
        ep->stopped = stopped;
        if (result == TD_STOPPED && !stopped)
            uhci_td_restart(driver, ep);
    }
}

static struct transfer *unlinked(struct endpoint *ep)
{
    struct transfer *t = ep->head;
    while (t && !t->urb->hcd_unlinked)
        t = t->next;
    return t;
}

/* The frame in which the controller could still have been at the queue is over. */
static void finish_unlinking(struct uhci_driver *driver, struct endpoint *ep)
{
    struct transfer *t;
    ep->stopped = true;
    scan(driver, ep);
    while ((t = unlinked(ep))) {
        detach(driver, t);
        give_back(driver, t, t->urb->hcd_unlinked);
    }
    ep->stopped = false;
    ep->unlinking = false;
    if (ep->type != USBIF_PIPE_TYPE_ISOC)
        uhci_td_restart(driver, ep);
    load_waiting(driver, ep);
}

static struct transfer *find_transfer(struct uhci_driver *driver, const struct hcd_urb *urb)
{
    for (unsigned int i = 0; i < TRANSFERS; i++) {
        if (driver->transfers[i].urb == urb)
            return &driver->transfers[i];
    }
    return NULL;
}

int uhci_queue_unlink(struct uhci_driver *driver, struct hcd_urb *urb, int reason)
{
    struct transfer *t = find_transfer(driver, urb);
    if (!t)
        return -EINVAL;
    if (urb->hcd_unlinked)
        return -EBUSY;
    urb->hcd_unlinked = reason;
    struct endpoint *ep = t->endpoint;
    if (!t->loaded || ep->stopped) {
        detach(driver, t);
        give_back(driver, t, reason);
    } else if (!ep->unlinking) {
        unlink_queue(driver, ep);
        ep->unlinking = true;
        ep->unlink_frame = uhci_driver_frame(driver);
    }
    return 0;
}

bool uhci_queue_unlinking(const struct uhci_driver *driver)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        if (driver->endpoints[i].unlinking)
            return true;
    }
    return false;
}

void uhci_queue_scan(struct uhci_driver *driver)
{
    uint16_t frame = uhci_queue_unlinking(driver) ? uhci_driver_frame(driver) : 0;
    for (unsigned int i = 0; i < ENDPOINTS && !driver->dead; i++) {
        struct endpoint *ep = &driver->endpoints[i];
        if (!ep->used)
            continue;
        if (ep->unlinking && frame != ep->unlink_frame)
            finish_unlinking(driver, ep);
        else if (!ep->unlinking)
            scan(driver, ep);
        load_waiting(driver, ep);
        if (ep->head)
            continue;
        ep->iso_streaming = false;
        if (ep->forsaken)
            forget(driver, ep);
        else
            unlink_queue(driver, ep);
    }
}

void uhci_queue_abort(struct uhci_driver *driver, int status)
{
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        struct endpoint *ep = &driver->endpoints[i];
        ep->unlinking = false;
        while (ep->used && ep->head) {
            struct transfer *t = ep->head;
            detach(driver, t);
            give_back(driver, t, status);
        }
        if (ep->used)
            forget(driver, ep);
    }
}
