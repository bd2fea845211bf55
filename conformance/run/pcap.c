/* SPDX-License-Identifier: MIT */
#include "pcap.h"

#include <stdio.h>
#include <string.h>

#include "trace/trace.h"

static void convert(const struct kit_urb *urb, struct trace_urb *out,
                    struct pvusb_iso_desc packets[KIT_URB_PACKETS])
{
    const struct usbif_urb_request *r = &urb->request;

    *out = (struct trace_urb){
        .id = (uint64_t)urb->bus << 32 | (urb->index + 1u),
        .bus = urb->bus,
        .device = (uint8_t)usbif_pipedevice(r->pipe),
        .endpoint = (uint8_t)usbif_pipeendpoint(r->pipe),
        .type = (uint8_t)usbif_pipetype(r->pipe),
        .in = usbif_pipein(r->pipe) != 0,
        .has_setup = usbif_pipectrl(r->pipe),
        .length = r->buffer_length,
        .flags = r->transfer_flags & USBIF_SHORT_NOT_OK,
        .status = urb->response.status,
        .actual = urb->response.actual_length > 0 ? (uint32_t)urb->response.actual_length : 0,
    };
    if (out->has_setup) {
        memcpy(out->setup, r->u.ctrl, sizeof(out->setup));
        out->in = out->in && (r->u.ctrl[6] || r->u.ctrl[7]); /* as Linux has it: no data is OUT */
    } else if (usbif_pipeint(r->pipe)) {
        out->interval = r->u.intr.interval;
    } else if (usbif_pipeisoc(r->pipe)) {
        out->interval = r->u.isoc.interval;
        out->start_frame = urb->what == 'C' ? urb->response.start_frame : r->u.isoc.start_frame;
        out->nr_packets = urb->nr_packets; /* readers want as many descriptors as are told */
        out->error_count = (uint32_t)urb->response.error_count;
        out->nr_iso_s = out->nr_iso_c = urb->nr_packets;
        out->iso_s = out->iso_c = packets;
    }
    for (uint32_t i = 0; i < urb->nr_packets; i++)
        packets[i] = (struct pvusb_iso_desc){.offset = urb->packet[i].offset, .length = urb->packet[i].length,
                                             .actual_length = urb->packet[i].actual,
                                             .status = (int32_t)urb->packet[i].status};
}

static int write_urb(struct trace_writer *writer, const struct kit_urb *urb)
{
    struct pvusb_iso_desc packets[KIT_URB_PACKETS];
    struct trace_urb out;
    uint32_t size;

    convert(urb, &out, packets);
    size = urb->what == 'S' || out.type == USBIF_PIPE_TYPE_ISOC ? out.length : out.actual;
    size = size < urb->captured ? size : urb->captured;
    return trace_writer_event(writer, &out, urb->what, urb->ns, urb->data, size);
}

bool pcap_write(const char *path, const struct kit_log *log, char error[256])
{
    uint32_t kept = log->urbs < KIT_URBS ? log->urbs : KIT_URBS;
    char line[TRACE_ERROR_MAX] = "";
    struct trace_writer *writer;
    int rc = trace_writer_create(path, &writer, line), closed;

    if (rc) {
        snprintf(error, 256, "%.255s", line);
        return false;
    }
    for (uint32_t i = log->urbs - kept; i != log->urbs && !rc; i++)
        if (!usbif_pipeunlink(log->urb[i % KIT_URBS].request.pipe))
            rc = write_urb(writer, &log->urb[i % KIT_URBS]);
    closed = trace_writer_destroy(writer);
    if (!rc && !closed)
        return true;
    snprintf(error, 256, "%.200s: %s", path, strerror(rc ? -rc : -closed));
    return false;
}
