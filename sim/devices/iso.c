// SPDX-License-Identifier: MIT
/* Isochronous transfers: each packet has its frame; see device.h. */
#include <errno.h>

#include "devices/device.h"

#define FRAME_NS      UINT64_C(1000000)
#define MICROFRAME_NS UINT64_C(125000)

static uint64_t frame_ns(const struct usb_device *device)
{
    return device_speed(device) == USBIF_SPEED_HIGH ? MICROFRAME_NS : FRAME_NS;
}

static bool is_iso(const struct device_endpoint *ep)
{
    return ep->exists && ep->type == USBIF_PIPE_TYPE_ISOC;
}

/* The frames that are over: all below this number. */
static uint64_t frames_passed(const struct usb_device *device)
{
    return device->now_ns / frame_ns(device);
}

/* Packets' frames that pass before those of the URB: kept where a host keeps what it likes. */
static uintptr_t hole(const struct host_urb *urb)
{
    return (uintptr_t)urb->host_private;
}

static void set_hole(struct host_urb *urb, uintptr_t packets)
{
    urb->host_private = (void *)packets;
}

void iso_leave_hole(struct device_endpoint *ep, struct host_urb *urb)
{
    unsigned int served = urb == ep->head ? ep->served : 0;
    set_hole(urb->host_next, hole(urb->host_next) + hole(urb) + urb->nr_packets - served);
}

static void miss(struct usb_device *device, struct device_endpoint *ep, uint64_t packets)
{
    ep->frame += packets * ep->interval;
    ep->missed += packets;
    if (packets > 0 && device->ops->iso_missed)
        device->ops->iso_missed(device, ep, packets);
}

static uint64_t packets_passed(const struct usb_device *device, const struct device_endpoint *ep)
{
    uint64_t passed = frames_passed(device);
    return ep->frame < passed ? (passed - ep->frame + ep->interval - 1) / ep->interval : 0;
}

bool iso_accept(struct host_urb *urb)
{
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        struct pvusb_iso_desc *packet = &urb->packets[i];
        if (packet->offset > urb->length || packet->length > urb->length - packet->offset)
            return false;
        packet->actual_length = 0;
        packet->status = -EXDEV; /* as Linux: not done */
    }
    urb->error_count = 0;
    urb->start_frame = 0;
    return true;
}

void iso_begin(struct usb_device *device, struct device_endpoint *ep)
{
    if (!is_iso(ep)) {
        ep->streaming = false;
        return;
    }
    if (!ep->head)
        return;
    device_kicked(device, ep);
    if (ep->streaming)
        return;
    ep->streaming = true;
    uint64_t first = frames_passed(device) + 1; /* the one that has begun is too late */
    ep->frame = (first + ep->interval - 1) / ep->interval * ep->interval;
}

static void serve(struct usb_device *device, struct device_endpoint *ep)
{
    struct host_urb *urb = ep->head;
    struct pvusb_iso_desc *packet = &urb->packets[ep->served];
    if (ep->served == 0)
        urb->start_frame = (uint16_t)ep->frame; /* rule ISO-11: 16 bits of it */
    ep->frame += ep->interval;
    ep->served++;
    packet->status = 0;
    if (!urb->in && packet->length > ep->capacity)
        packet->status = -EPROTO; /* no frame has room for it */
    else
        device->ops->iso(device, ep, packet);
    assert(packet->actual_length <= packet->length);
    if (packet->status)
        urb->error_count++;
    /* Packets may overlap in the buffer; the sum is then no number of bytes of it. */
    uint32_t room = urb->length - ep->moved;
    ep->moved += packet->actual_length < room ? packet->actual_length : room;
}

int iso_run(struct usb_device *device, struct device_endpoint *ep)
{
    if (!device->ops->iso)
        return -EPIPE;
    if (ep->head->nr_packets == 0)
        return -EPROTO;
    if (!ep->streaming)
        return DEVICE_WAIT;
    uint64_t due = packets_passed(device, ep);
    uint64_t skipped = due < hole(ep->head) ? due : hole(ep->head);
    set_hole(ep->head, hole(ep->head) - skipped);
    miss(device, ep, skipped);
    for (due -= skipped; due > 0 && ep->served < ep->head->nr_packets; due--)
        serve(device, ep);
    ep->ended = ep->served == ep->head->nr_packets;
    return ep->ended ? DEVICE_DONE : DEVICE_WAIT;
}

void iso_idle(struct usb_device *device, struct device_endpoint *ep)
{
    if (ep->streaming && !ep->head)
        miss(device, ep, packets_passed(device, ep));
}

uint64_t iso_deadline(const struct usb_device *device, const struct device_endpoint *ep)
{
    if (!ep->head || !is_iso(ep))
        return UINT64_MAX;
    if (!ep->streaming)
        return device->now_ns;
    uint64_t left = hole(ep->head) + ep->head->nr_packets - ep->served;
    return (ep->frame + (left - 1) * ep->interval + 1) * frame_ns(device);
}

void iso_end(struct device_endpoint *ep)
{
    ep->streaming = false; /* an URB still held goes on from its next packet */
}

void device_iso_in(struct device_endpoint *ep, struct pvusb_iso_desc *packet, const void *src, uint32_t n)
{
    if (n > packet->length) {
        n = packet->length;
        packet->status = -EOVERFLOW;
    }
    packet->actual_length = n;
    host_urb_write(ep->head, packet->offset, src, n);
}

uint32_t device_iso_out(struct device_endpoint *ep, struct pvusb_iso_desc *packet, void *dst, uint32_t n)
{
    packet->actual_length = packet->length;
    return host_urb_read(ep->head, packet->offset, dst, packet->length < n ? packet->length : n);
}
