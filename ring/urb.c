// SPDX-License-Identifier: MIT
#include <pvusb/urb.h>

struct pvusb_pipe pvusb_pipe_decode(uint32_t word)
{
    return (struct pvusb_pipe){
        .port = (uint8_t)usbif_pipeportnum(word),
        .device = (uint8_t)usbif_pipedevice(word),
        .endpoint = (uint8_t)usbif_pipeendpoint(word),
        .type = (uint8_t)usbif_pipetype(word),
        .in = usbif_pipein(word) != 0,
        .unlink = usbif_pipeunlink(word) != 0,
    };
}

uint32_t pvusb_pipe_encode(struct pvusb_pipe pipe)
{
    return (pipe.port & (uint32_t)USBIF_PIPE_PORT_MASK) | (pipe.unlink ? USBIF_PIPE_UNLINK : 0u) |
           (pipe.in ? USBIF_PIPE_DIR : 0u) |
           (pipe.device & (uint32_t)USBIF_PIPE_DEV_MASK) << USBIF_PIPE_DEV_SHIFT |
           (pipe.endpoint & (uint32_t)USBIF_PIPE_EP_MASK) << USBIF_PIPE_EP_SHIFT |
           (pipe.type & (uint32_t)USBIF_PIPE_TYPE_MASK) << USBIF_PIPE_TYPE_SHIFT;
}

/* Sums segments first..first+count-1, each of which must lie in its page. */
static enum pvusb_verdict sum_segments(const struct usbif_urb_request *request, unsigned int first,
                                       unsigned int count, uint32_t *sum)
{
    *sum = 0;
    for (unsigned int i = first; i < first + count; i++) {
        const struct usbif_request_segment *seg = &request->seg[i];
        if ((uint32_t)seg->offset + seg->length > PVUSB_PAGE_SIZE)
            return PVUSB_SEGMENT_CROSSES_PAGE;
        *sum += seg->length;
    }
    return PVUSB_OK;
}

/*
 * The direction bit must agree with bmRequestType (rule CTL-01), but only while there is a data stage: Linux sends
 * every request without one as OUT, whatever its bmRequestType says (drivers/usb/core/urb.c usb_submit_urb()).
 */
static enum pvusb_verdict check_control(const struct pvusb_urb *urb)
{
    uint16_t wlength = pvusb_setup_length(urb->setup);
    bool to_host = (urb->setup[0] & 0x80) != 0;
    if (wlength == 0)
        return PVUSB_OK;
    if (to_host != urb->pipe.in)
        return PVUSB_DIRECTION_MISMATCH;
    if (!to_host && wlength > urb->length)
        return PVUSB_CONTROL_DATA_MISSING;
    return PVUSB_OK;
}

static enum pvusb_verdict check_iso(const struct usbif_urb_request *request, struct pvusb_urb *urb)
{
    uint32_t bytes;
    if (urb->nr_desc_segs == 0 && urb->length == 0) {
        urb->nr_packets = 0; /* Linux sends a transfer without data like this and leaves the number set (ISO-09) */
        return PVUSB_OK;
    }
    if (urb->nr_packets == 0 || urb->nr_packets > PVUSB_ISO_PACKETS_MAX)
        return PVUSB_ISO_PACKET_COUNT;
    enum pvusb_verdict verdict = sum_segments(request, urb->nr_segs, urb->nr_desc_segs, &bytes);
    if (verdict != PVUSB_OK)
        return verdict;
    if (bytes != urb->nr_packets * sizeof(struct pvusb_iso_desc))
        return PVUSB_ISO_DESCRIPTOR_LENGTH;
    return PVUSB_OK;
}

enum pvusb_verdict pvusb_urb_decode(const struct usbif_urb_request *request, struct pvusb_urb *urb)
{
    *urb = (struct pvusb_urb){.id = request->id, .pipe = pvusb_pipe_decode(request->pipe)};
    if (urb->pipe.unlink) {
        urb->unlink_id = request->u.unlink.unlink_id;
        return PVUSB_OK;
    }

    bool iso = urb->pipe.type == USBIF_PIPE_TYPE_ISOC;
    uint32_t desc_segs = iso ? request->u.isoc.nr_frame_desc_segs : 0u;
    if (request->nr_buffer_segs + desc_segs > PVUSB_SEGMENTS_MAX)
        return PVUSB_TOO_MANY_SEGMENTS;
    urb->nr_segs = (uint8_t)request->nr_buffer_segs;
    urb->nr_desc_segs = (uint8_t)desc_segs;
    urb->short_not_ok = (request->transfer_flags & USBIF_SHORT_NOT_OK) != 0;

    enum pvusb_verdict verdict = sum_segments(request, 0, urb->nr_segs, &urb->length);
    if (verdict != PVUSB_OK)
        return verdict;
    if ((uint16_t)urb->length != request->buffer_length)
        return PVUSB_LENGTH_MISMATCH;

    switch (urb->pipe.type) {
    case USBIF_PIPE_TYPE_CTRL:
        memcpy(urb->setup, request->u.ctrl, sizeof(urb->setup));
        return check_control(urb);
    case USBIF_PIPE_TYPE_ISOC:
        urb->interval = request->u.isoc.interval;
        urb->start_frame = request->u.isoc.start_frame;
        urb->nr_packets = request->u.isoc.number_of_packets;
        return check_iso(request, urb);
    case USBIF_PIPE_TYPE_INT:
        urb->interval = request->u.intr.interval;
        return PVUSB_OK;
    default: /* bulk: the eight bytes are stale memory (rule SEG-10) */
        return PVUSB_OK;
    }
}

enum pvusb_verdict pvusb_iso_check(const struct pvusb_iso_desc *packets, unsigned int count, uint32_t length)
{
    for (unsigned int i = 0; i < count; i++) {
        if (packets[i].offset > length || packets[i].length > length - packets[i].offset)
            return PVUSB_ISO_PACKET_BOUNDS;
    }
    return PVUSB_OK;
}

enum pvusb_verdict pvusb_conn_check(const struct usbif_conn_response *event, unsigned int num_ports)
{
    if (event->portnum == 0 || event->portnum > num_ports)
        return PVUSB_CONN_PORT;
    if (event->speed > USBIF_SPEED_HIGH)
        return PVUSB_CONN_SPEED;
    return PVUSB_OK;
}
