// SPDX-License-Identifier: MIT
/* Transfers as chains of descriptors; the last one of a queue is inactive, and the next transfer begins in
 * it. */
#include <assert.h>
#include <errno.h>

#include "qtest/ehci_private.h"

uint16_t ehci_td_take(struct ehci *ehci)
{
    uint16_t td = ehci->free_td;
    assert(td != NONE);
    ehci->free_td = ehci->td_next[td];
    if (ehci->free_td == NONE)
        ehci->last_free_td = NONE;
    ehci->nr_free_td--;
    ehci->td_next[td] = NONE;
    ehci->td[td] = (struct ehci_td){.next = LINK_END, .alternate = LINK_END};
    return td;
}

void ehci_td_release(struct ehci *ehci, uint16_t td)
{
    store32(&ehci->td[td].token, 0);
    ehci->td_next[td] = NONE;
    if (ehci->last_free_td == NONE)
        ehci->free_td = td;
    else
        ehci->td_next[ehci->last_free_td] = td;
    ehci->last_free_td = td;
    ehci->nr_free_td++;
}

uint32_t ehci_td_count(const struct hcd_urb *urb)
{
    uint32_t data = (urb->length + TD_BYTES_MAX - 1) / TD_BYTES_MAX;
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        return data + 2;
    return data ? data : 1;
}

/* ---- building ---- */

struct writer {
    struct ehci *ehci;
    uint16_t td, last;
    uint32_t first_token;
};

static void put(struct writer *w, uint32_t pid, bool toggle, uint32_t length, uint32_t buffer, bool ioc)
{
    struct ehci *ehci = w->ehci;
    struct ehci_td *td = &ehci->td[w->td];
    uint16_t next = ehci_td_take(ehci);
    uint32_t token = TOKEN_ACTIVE | pid << 8 | TOKEN_ERRORS | length << 16 | (toggle ? TOKEN_TOGGLE : 0);
    token |= ioc ? TOKEN_IOC : 0;
    ehci->td_next[w->td] = next;
    ehci->td_length[w->td] = (uint16_t)length;
    td->next = td_address(ehci, next);
    td->buffer[0] = buffer;
    for (unsigned int i = 1; i < 5; i++)
        td->buffer[i] = (buffer & ~0xfffu) + i * 4096;
    if (w->last == NONE)
        w->first_token = token; /* the controller sees it when all is ready */
    else
        td->token = token;
    w->last = w->td;
    w->td = next;
}

static void put_data(struct writer *w, const struct hcd_urb *urb, bool toggle, bool last_ioc)
{
    uint32_t at = 0, buffer = urb->length ? hc_address(w->ehci->hc.bus, urb->buffer) : 0;
    do {
        uint32_t n = urb->length - at < TD_BYTES_MAX ? urb->length - at : TD_BYTES_MAX;
        put(w, urb->in ? PID_IN : PID_OUT, toggle, n, buffer + at, last_ioc && at + n == urb->length);
        at += n;
        /* Sections of 16 KiB have an even number of packets, so a control transfer's toggle stays. */
    } while (at < urb->length);
}

void ehci_td_load(struct ehci *ehci, struct transfer *transfer)
{
    struct endpoint *ep = transfer->endpoint;
    const struct hcd_urb *urb = transfer->urb;
    struct writer w = {.ehci = ehci, .td = ep->tail, .last = NONE};
    uint16_t first = ep->tail;
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    if (control) {
        uint8_t *setup = ehci->setup[transfer - ehci->transfers];
        memcpy(setup, urb->setup, 8);
        put(&w, PID_SETUP, false, 8, hc_address(ehci->hc.bus, setup), false);
        if (urb->length)
            put_data(&w, urb, true, false);
        put(&w, urb->in ? PID_OUT : PID_IN, true, 0, 0, true);
    } else {
        put_data(&w, urb, false, true);
    }
    /* Where a short packet leads: to the status stage, behind the transfer, or nowhere. */
    uint16_t after = control ? w.last : urb->short_not_ok ? ehci->stop : w.td;
    for (uint16_t td = first; urb->in && td != w.td; td = ehci->td_next[td])
        ehci->td[td].alternate = td_address(ehci, after);
    transfer->first = transfer->at = first;
    transfer->last = w.last;
    transfer->actual = 0;
    transfer->loaded = true;
    ep->tail = w.td;
    store32(&ehci->td[first].token, w.first_token);
}

void ehci_td_unload(struct ehci *ehci, struct transfer *before, struct transfer *transfer)
{
    uint16_t after = ehci->td_next[transfer->last], td = transfer->first;
    if (before && before->loaded) {
        ehci->td_next[before->last] = after;
        store32(&ehci->td[before->last].next, td_address(ehci, after));
        bool follows =
            before->urb->in && before->urb->type != USBIF_PIPE_TYPE_CTRL && !before->urb->short_not_ok;
        for (uint16_t t = before->first; follows && t != after; t = ehci->td_next[t])
            store32(&ehci->td[t].alternate, td_address(ehci, after));
    }
    while (td != after) {
        uint16_t next = ehci->td_next[td];
        ehci_td_release(ehci, td);
        td = next;
    }
    transfer->loaded = false;
}

/* ---- results ---- */

static int status_of(uint32_t token)
{
    if (token & TOKEN_BABBLE)
        return -EOVERFLOW;
    /* A stall leaves the count of errors alone (EHCI 1.0 section 4.15.1.1). */
    return token & TOKEN_FAILED ? -EPROTO : -EPIPE;
}

enum td_result ehci_td_scan(struct ehci *ehci, struct transfer *transfer, int *status)
{
    const struct hcd_urb *urb = transfer->urb;
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    *status = 0;
    for (;;) {
        uint16_t td = transfer->at;
        uint32_t token = load32(&ehci->td[td].token), left = token >> 16 & 0x7fffu;
        if (token & TOKEN_ACTIVE)
            return TD_RUNNING;
        left = left < ehci->td_length[td] ? left : ehci->td_length[td];
        if (!control || (td != transfer->first && td != transfer->last))
            transfer->actual += ehci->td_length[td] - left;
        if (token & TOKEN_HALTED) {
            *status = status_of(token);
            return TD_STOPPED;
        }
        bool is_short = left > 0 && urb->in;
        if (is_short && !control) {
            *status = urb->short_not_ok ? -EREMOTEIO : 0;
            return urb->short_not_ok ? TD_STOPPED : TD_DONE;
        }
        if (td == transfer->last)
            return TD_DONE;
        transfer->at = is_short ? transfer->last : ehci->td_next[td];
    }
}

void ehci_td_restart(struct ehci *ehci, struct endpoint *ep)
{
    struct ehci_qh *qh = endpoint_qh(ehci, ep);
    uint16_t next = ep->head && ep->head->loaded ? ep->head->at : ep->tail;
    /* A new toggle when the device has a new one; otherwise where the controller left it. */
    bool toggle = ep->toggle && load32(&qh->overlay.token) & TOKEN_TOGGLE;
    ep->toggle = true;
    qh->current = 0;
    qh->overlay = (struct ehci_td){.next = td_address(ehci, next), .alternate = LINK_END};
    store32(&qh->overlay.token, toggle ? TOKEN_TOGGLE : 0);
}
