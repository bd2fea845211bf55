// SPDX-License-Identifier: MIT
/* Isochronous transfers: a descriptor for each packet, at the head of its frame. */
#include <errno.h>

#include "uhci/driver_private.h"

static uint32_t frame_link(const struct uhci_driver *driver, unsigned int frame)
{
    unsigned int k = 0;
    while (k < SKEL_1 - SKEL_128 && !(frame & 1u << k))
        k++;
    return hc_address(driver->hc.bus, driver_qh(driver, SKEL_1 - k)) | LINK_QH;
}

static uint32_t interval_of(const struct hcd_urb *urb)
{
    return urb->interval ? urb->interval : 1;
}

static uint32_t span(const struct hcd_urb *urb)
{
    return (urb->nr_packets - 1u) * interval_of(urb);
}

/* The controller counts to 2048, users of a stream to 65536. */
static uint16_t frame_now(struct uhci_driver *driver)
{
    driver->frame = (uint16_t)(driver->frame + ((uhci_driver_frame(driver) - driver->frame) & FRNUM_MASK));
    return driver->frame;
}

/*
 * What goes to devices comes first: QEMU counts a packet from a device without data, as a stream that begins
 * has them, as 2048 bytes, and the frame is over (model.h).
 */
static void put_in_frame(struct uhci_driver *driver, unsigned int frame, uint16_t td, bool in)
{
    uint16_t before = NONE, after = driver->frame_td[frame];
    while (in && after != NONE) {
        before = after;
        after = driver->frame_next[before];
    }
    driver->frame_next[td] = after;
    driver->td[td].link = after == NONE ? frame_link(driver, frame) : td_address(driver, after);
    if (before == NONE) {
        driver->frame_td[frame] = td;
        store32(&driver->frames[frame], td_address(driver, td));
    } else {
        driver->frame_next[before] = td;
        store32(&driver->td[before].link, td_address(driver, td));
    }
}

static void take_from_frame(struct uhci_driver *driver, unsigned int frame, uint16_t td)
{
    uint32_t link = driver->td[td].link;
    uint16_t after = driver->frame_next[td];
    link = after == NONE ? frame_link(driver, frame) : td_address(driver, after);
    if (driver->frame_td[frame] == td) {
        driver->frame_td[frame] = after;
        store32(&driver->frames[frame], link);
        return;
    }
    uint16_t before = driver->frame_td[frame];
    while (driver->frame_next[before] != td)
        before = driver->frame_next[before];
    driver->frame_next[before] = after;
    store32(&driver->td[before].link, link);
}

bool uhci_iso_load(struct uhci_driver *driver, struct transfer *transfer)
{
    struct endpoint *ep = transfer->endpoint;
    struct hcd_urb *urb = transfer->urb;
    uint16_t now = frame_now(driver);
    uint32_t ahead = (uint16_t)(ep->iso_next - now);
    if (!ep->iso_streaming || ahead == 0 || ahead > FRAMES)
        ahead = ISO_AHEAD;
    if (ahead + span(urb) >= ISO_WINDOW)
        return false;
    uint16_t frame = (uint16_t)(now + ahead);
    transfer->frame = urb->start_frame = frame;
    uint16_t last = NONE;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        uint16_t td = uhci_td_take(driver);
        uint32_t buffer = urb->length ? hc_address(driver->hc.bus, urb->buffer) + packet->offset : 0;
        driver->td_length[td] = (uint16_t)packet->length;
        driver->td[td].token =
            token_make(urb->in ? PID_IN : PID_OUT, ep->device, ep->number, false, packet->length);
        driver->td[td].buffer = buffer;
        driver->td[td].control = TD_ACTIVE | TD_ISO | (i + 1u == urb->nr_packets ? TD_IOC : 0);
        put_in_frame(driver, (frame + i * interval_of(urb)) % FRAMES, td, urb->in);
        if (last == NONE)
            transfer->first = td;
        else
            driver->next_td[last] = td;
        last = td;
    }
    transfer->last = last;
    transfer->at = transfer->first;
    transfer->loaded = true;
    transfer->over_ns = driver->now_ns + (ahead + span(urb) + interval_of(urb) + ISO_GRACE) * MS;
    ep->iso_next = (uint16_t)(frame + span(urb) + interval_of(urb));
    ep->iso_streaming = true;
    driver->iso++;
    return true;
}

bool uhci_iso_scan(struct uhci_driver *driver, struct transfer *transfer)
{
    while (!(load32(&driver->td[transfer->at].control) & TD_ACTIVE)) {
        if (transfer->at == transfer->last)
            return true;
        transfer->at = driver->next_td[transfer->at];
    }
    if (driver->now_ns < transfer->over_ns)
        return false;
    /* A controller that is late goes on with what it has missed: what counts are its frames. */
    uint16_t end = (uint16_t)(transfer->frame + span(transfer->urb) + interval_of(transfer->urb) + ISO_GRACE);
    int16_t left = (int16_t)(end - frame_now(driver));
    if (left <= 0 || left > (int16_t)FRAMES)
        return true; /* or long ago */
    transfer->over_ns = driver->now_ns + (uint64_t)left * MS;
    return false;
}

void uhci_iso_unload(struct uhci_driver *driver, struct transfer *transfer)
{
    struct hcd_urb *urb = transfer->urb;
    uint16_t td = transfer->first;
    transfer->actual = 0;
    urb->error_count = 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        struct pvusb_iso_desc *packet = &urb->packets[i];
        uint32_t control = load32(&driver->td[td].control), actual = (control + 1) & TD_ACTUAL;
        uint16_t next = driver->next_td[td];
        packet->status = control & TD_ACTIVE   ? -EXDEV
                         : control & TD_BABBLE ? -EOVERFLOW
                         : control & TD_FAILED ? -EPROTO
                                               : 0;
        packet->actual_length = packet->status ? 0 : actual < packet->length ? actual : packet->length;
        urb->error_count += packet->status != 0;
        transfer->actual += packet->actual_length;
        take_from_frame(driver, (transfer->frame + i * interval_of(urb)) % FRAMES, td);
        uhci_td_release(driver, td);
        td = next;
    }
    transfer->loaded = false;
    driver->iso--;
}
