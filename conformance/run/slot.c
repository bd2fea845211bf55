/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define COLUMN 25 /* of the text behind eight bytes */

/* Bytes offset to offset + size of a slot, and what they mean. */
static void field(FILE *out, const void *slot, size_t offset, size_t size, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void field(FILE *out, const void *slot, size_t offset, size_t size, const char *format, ...)
{
    const uint8_t *bytes = (const uint8_t *)slot + offset;
    va_list args;

    fprintf(out, "    %3zu ", offset);
    for (size_t i = 0; i < size; i++)
        fprintf(out, " %02x", bytes[i]);
    fprintf(out, "%*s", size * 3 < COLUMN ? COLUMN - (int)size * 3 : 1, "");
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
}

#define FIELD(type, name) offsetof(type, name), sizeof(((type *)0)->name)
#define REQUEST(name)     FIELD(struct usbif_urb_request, name)
#define RESPONSE(name)    FIELD(struct usbif_urb_response, name)
#define PLUG(name)        FIELD(struct usbif_conn_response, name)

static const char *slot_status_name(int32_t status)
{
    static const struct {
        int32_t status;
        const char *name;
    } names[] = {{USBIF_STATUS_OK, "OK"},           {USBIF_STATUS_NODEV, "NODEV"},   {USBIF_STATUS_INVAL, "INVAL"},
                 {USBIF_STATUS_STALL, "STALL"},     {USBIF_STATUS_IOERROR, "IOERROR"},
                 {USBIF_STATUS_BABBLE, "BABBLE"},   {USBIF_STATUS_SHUTDOWN, "SHUTDOWN"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].status == status)
            return names[i].name;
    return "no status of usbif.h";
}

static const char *speed_name(uint8_t speed)
{
    static const char *const names[] = {"none", "low", "full", "high"};

    return speed < sizeof(names) / sizeof(names[0]) ? names[speed] : "no speed of usbif.h";
}

/* What u holds depends on the request. */
static void print_union(const struct usbif_urb_request *r, FILE *out)
{
    const uint8_t *setup = r->u.ctrl;

    if (usbif_pipeunlink(r->pipe)) {
        field(out, r, REQUEST(u.unlink.unlink_id), "u.unlink.unlink_id 0x%04x", r->u.unlink.unlink_id);
        field(out, r, REQUEST(u.unlink.pad), "u.unlink.pad");
    } else if (usbif_pipectrl(r->pipe)) {
        field(out, r, REQUEST(u.ctrl),
              "u.ctrl: bmRequestType 0x%02x, bRequest %u, wValue 0x%04x, wIndex 0x%04x, wLength %u", setup[0],
              setup[1], setup[2] | setup[3] << 8, setup[4] | setup[5] << 8, setup[6] | setup[7] << 8);
    } else if (usbif_pipeisoc(r->pipe)) {
        field(out, r, REQUEST(u.isoc.interval), "u.isoc.interval %u", r->u.isoc.interval);
        field(out, r, REQUEST(u.isoc.start_frame), "u.isoc.start_frame %u", r->u.isoc.start_frame);
        field(out, r, REQUEST(u.isoc.number_of_packets), "u.isoc.number_of_packets %u",
              r->u.isoc.number_of_packets);
        field(out, r, REQUEST(u.isoc.nr_frame_desc_segs), "u.isoc.nr_frame_desc_segs %u",
              r->u.isoc.nr_frame_desc_segs);
    } else if (usbif_pipeint(r->pipe)) {
        field(out, r, REQUEST(u.intr.interval), "u.intr.interval %u", r->u.intr.interval);
        field(out, r, REQUEST(u.intr.pad), "u.intr.pad");
    } else {
        field(out, r, REQUEST(u.ctrl), "u, which means nothing for bulk");
    }
}

static void print_segments(const struct usbif_urb_request *r, FILE *out)
{
    const size_t size = sizeof(r->seg[0]), first = offsetof(struct usbif_urb_request, seg);
    unsigned int used = usbif_pipeunlink(r->pipe) ? 0 : r->nr_buffer_segs;

    if (!usbif_pipeunlink(r->pipe) && usbif_pipeisoc(r->pipe))
        used += r->u.isoc.nr_frame_desc_segs;
    for (unsigned int i = 0; i < USBIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        const struct usbif_request_segment *seg = &r->seg[i];
        unsigned int alike = i + 1;

        if (i < used) {
            field(out, r, first + i * size, size, "seg[%u] gref %u, offset %u, length %u", i, seg->gref,
                  seg->offset, seg->length);
            continue;
        }
        while (alike < USBIF_MAX_SEGMENTS_PER_REQUEST && !memcmp(seg, &r->seg[alike], size))
            alike++;
        if (alike > i + 1)
            field(out, r, first + i * size, size, "seg[%u], and the same up to seg[%u]: not used", i, alike - 1);
        else
            field(out, r, first + i * size, size, "seg[%u], not used", i);
        i = alike - 1;
    }
}

void slot_print_request(const struct kit_slot *slot, FILE *out)
{
    static const char *const types[] = {"isochronous", "interrupt", "control", "bulk"};
    const struct usbif_urb_request *r = &slot->u.request;

    fprintf(out, "  request %u, %zu bytes of struct usbif_urb_request:\n", slot->index, sizeof(*r));
    field(out, r, REQUEST(id), "id 0x%04x", r->id);
    field(out, r, REQUEST(nr_buffer_segs), "nr_buffer_segs %u", r->nr_buffer_segs);
    field(out, r, REQUEST(pipe), "pipe 0x%08x: %s %s %s, device %u, endpoint %u, port %u", r->pipe,
          usbif_pipeunlink(r->pipe) ? "unlink" : "submit", types[usbif_pipetype(r->pipe)],
          usbif_pipein(r->pipe) ? "in" : "out", usbif_pipedevice(r->pipe), usbif_pipeendpoint(r->pipe),
          usbif_pipeportnum(r->pipe));
    field(out, r, REQUEST(transfer_flags), "transfer_flags 0x%04x%s", r->transfer_flags,
          r->transfer_flags & USBIF_SHORT_NOT_OK ? ": SHORT_NOT_OK" : "");
    field(out, r, REQUEST(buffer_length), "buffer_length %u", r->buffer_length);
    print_union(r, out);
    print_segments(r, out);
}

void slot_print_response(const struct kit_slot *slot, FILE *out)
{
    const struct usbif_urb_response *r = &slot->u.response;

    fprintf(out, "  response %u, %zu bytes of struct usbif_urb_response:\n", slot->index, sizeof(*r));
    field(out, r, RESPONSE(id), "id 0x%04x", r->id);
    field(out, r, RESPONSE(start_frame), "start_frame %u", r->start_frame);
    field(out, r, RESPONSE(status), "status %d %s", r->status, slot_status_name(r->status));
    field(out, r, RESPONSE(actual_length), "actual_length %d", r->actual_length);
    field(out, r, RESPONSE(error_count), "error_count %d", r->error_count);
}

void slot_print_plug(const struct kit_slot *slot, FILE *out)
{
    const struct usbif_conn_response *r = &slot->u.plug;

    fprintf(out, "  plug event %u, %zu bytes of struct usbif_conn_response:\n", slot->index, sizeof(*r));
    field(out, r, PLUG(id), "id 0x%04x", r->id);
    field(out, r, PLUG(portnum), "portnum %u", r->portnum);
    field(out, r, PLUG(speed), "speed %u %s", r->speed, speed_name(r->speed));
}
