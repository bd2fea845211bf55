// SPDX-License-Identifier: MIT
/*
 * Transfers as chains of descriptors. The last one of a queue is always an inactive one where the controller
 * waits: the next transfer begins in it and brings a new one, so that the controller never sees half a
 * transfer.
 */
#include <assert.h>
#include <errno.h>

#include "uhci/driver_private.h"

uint16_t uhci_td_take(struct uhci_driver *driver)
{
    uint16_t td = driver->free_td;
    assert(td != NONE);
    driver->free_td = driver->next_td[td];
    if (driver->free_td == NONE)
        driver->last_free_td = NONE;
    driver->nr_free_td--;
    driver->next_td[td] = NONE;
    driver->td[td] = (struct uhci_td){.link = LINK_END};
    return td;
}

void uhci_td_release(struct uhci_driver *driver, uint16_t td)
{
    driver->td[td] = (struct uhci_td){.link = LINK_END};
    driver->next_td[td] = NONE;
    if (driver->last_free_td == NONE)
        driver->free_td = td;
    else
        driver->next_td[driver->last_free_td] = td;
    driver->last_free_td = td;
    driver->nr_free_td++;
}

uint32_t uhci_td_count(const struct hcd_urb *urb)
{
    uint32_t data = (urb->length + urb->packet - 1) / urb->packet;
    if (urb->type == USBIF_PIPE_TYPE_ISOC)
        return urb->nr_packets;
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return data + 2;
    return data ? data : 1;
}

/* ---- building ---- */

struct writer {
    struct uhci_driver *driver;
    struct endpoint *ep;
    uint16_t td, last;
    uint32_t first_control;
};

static void put(struct writer *w, uint8_t pid, bool toggle, uint32_t length, uint32_t buffer, uint32_t flags)
{
    struct uhci_driver *driver = w->driver;
    struct uhci_td *td = &driver->td[w->td];
    uint16_t next = uhci_td_take(driver);
    uint32_t control = flags | TD_ERRORS | TD_ACTIVE | (w->ep->low_speed ? TD_LOW_SPEED : 0);
    driver->next_td[w->td] = next;
    driver->td_length[w->td] = (uint16_t)length;
    td->link = td_address(driver, next);
    td->token = token_make(pid, w->ep->device, w->ep->number, toggle, length);
    td->buffer = buffer;
    if (w->last == NONE)
        w->first_control = control; /* the controller sees it when all is ready */
    else
        td->control = control;
    w->last = w->td;
    w->td = next;
}

static void put_data(struct writer *w, const struct hcd_urb *urb, bool *toggle)
{
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    uint32_t at = 0, buffer = urb->length ? hc_address(w->driver->hc.bus, urb->buffer) : 0;
    do {
        uint32_t n = urb->length - at < urb->packet ? urb->length - at : urb->packet;
        bool last = at + n == urb->length;
        uint32_t flags = last && !control ? TD_IOC : 0;
        if (urb->in && (!last || control || urb->short_not_ok))
            flags |= TD_SHORT;
        put(w, urb->in ? PID_IN : PID_OUT, *toggle, n, buffer + at, flags);
        *toggle = !*toggle;
        at += n;
    } while (at < urb->length);
}

void uhci_td_load(struct uhci_driver *driver, struct transfer *transfer)
{
    struct endpoint *ep = transfer->endpoint;
    const struct hcd_urb *urb = transfer->urb;
    struct writer w = {.driver = driver, .ep = ep, .td = ep->tail, .last = NONE};
    uint16_t first = ep->tail;
    if (urb->type == USBIF_PIPE_TYPE_CTRL) {
        uint8_t *setup = driver->setup[transfer - driver->transfers];
        bool toggle = true;
        memcpy(setup, urb->setup, 8);
        put(&w, PID_SETUP, false, 8, hc_address(driver->hc.bus, setup), 0);
        if (urb->length)
            put_data(&w, urb, &toggle);
        put(&w, urb->in ? PID_OUT : PID_IN, true, 0, 0, TD_IOC);
    } else {
        put_data(&w, urb, &ep->toggle);
    }
    transfer->first = transfer->at = first;
    transfer->last = w.last;
    transfer->actual = 0;
    transfer->loaded = true;
    ep->tail = w.td;
    store32(&driver->td[first].control, w.first_control);
}

void uhci_td_unload(struct uhci_driver *driver, struct transfer *before, struct transfer *transfer)
{
    uint16_t after = driver->next_td[transfer->last], td = transfer->first;
    if (before && before->loaded) {
        driver->next_td[before->last] = after;
        store32(&driver->td[before->last].link, td_address(driver, after));
    }
    while (td != after) {
        uint16_t next = driver->next_td[td];
        uhci_td_release(driver, td);
        td = next;
    }
    transfer->loaded = false;
}

/* ---- results ---- */

static int status_of(uint32_t control)
{
    if (control & TD_BABBLE)
        return -EOVERFLOW;
    if (control & (TD_TIMEOUT | TD_BITSTUFF | TD_BUFFER))
        return -EPROTO;
    return -EPIPE;
}

static bool toggle_of(const struct uhci_driver *driver, uint16_t td)
{
    return load32(&driver->td[td].token) & TOKEN_TOGGLE;
}

/* A data packet came short. */
static enum td_result scan_short(struct uhci_driver *driver, struct transfer *transfer, int *status)
{
    const struct hcd_urb *urb = transfer->urb;
    struct endpoint *ep = transfer->endpoint;
    uint16_t td = transfer->at;
    if (urb->type == USBIF_PIPE_TYPE_CTRL) {
        transfer->at = transfer->last; /* no more data: to the status stage */
        store32(&endpoint_qh(driver, ep)->element, td_address(driver, transfer->last));
        return TD_RUNNING;
    }
    *status = urb->short_not_ok ? -EREMOTEIO : 0;
    ep->toggle_at = !toggle_of(driver, td);
    return td != transfer->last || urb->short_not_ok ? TD_STOPPED : TD_DONE;
}

enum td_result uhci_td_scan(struct uhci_driver *driver, struct transfer *transfer, int *status)
{
    struct endpoint *ep = transfer->endpoint;
    bool is_control = transfer->urb->type == USBIF_PIPE_TYPE_CTRL;
    *status = 0;
    for (;;) {
        uint16_t td = transfer->at;
        uint32_t control = load32(&driver->td[td].control);
        uint32_t length = driver->td_length[td], actual = (control + 1) & TD_ACTUAL;
        if (control & TD_ACTIVE) {
            ep->toggle_at = toggle_of(driver, td);
            return TD_RUNNING;
        }
        if (control & TD_FAILED) {
            *status = status_of(control);
            ep->toggle_at = toggle_of(driver, td);
            return TD_STOPPED;
        }
        bool data = !is_control || (td != transfer->first && td != transfer->last);
        bool short_packet = data && actual < length;
        /* QEMU writes the descriptor first, and moves the queue on after that: until then nothing of it
         * counts. */
        if (td == transfer->last && !short_packet &&
            (load32(&endpoint_qh(driver, ep)->element) & LINK_ADDRESS) == td_address(driver, td)) {
            ep->toggle_at = !toggle_of(driver, td);
            return TD_RUNNING;
        }
        if (data)
            transfer->actual += actual < length ? actual : length;
        if (short_packet) {
            enum td_result result = scan_short(driver, transfer, status);
            if (result != TD_RUNNING)
                return result;
            continue;
        }
        if (td == transfer->last) {
            ep->toggle_at = !toggle_of(driver, td);
            return TD_DONE;
        }
        transfer->at = driver->next_td[td];
    }
}

void uhci_td_restart(struct uhci_driver *driver, struct endpoint *ep)
{
    bool toggle = ep->toggle_at;
    for (struct transfer *t = ep->head; t && t->loaded && ep->type != USBIF_PIPE_TYPE_CTRL; t = t->next) {
        for (uint16_t td = t->at;; td = driver->next_td[td]) {
            uint32_t token = driver->td[td].token & ~TOKEN_TOGGLE;
            driver->td[td].token = token | (toggle ? TOKEN_TOGGLE : 0);
            toggle = !toggle;
            if (td == t->last)
                break;
        }
    }
    ep->toggle = toggle;
    uint16_t next = ep->head && ep->head->loaded ? ep->head->at : ep->tail;
    store32(&endpoint_qh(driver, ep)->element, td_address(driver, next));
}
