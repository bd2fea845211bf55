/* SPDX-License-Identifier: MIT */
/* The newest events and slots of a case, and its transfers. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint64_t now(const struct conform *t)
{
    return t->peer->ops->now(t->peer);
}

void kit_log_line(struct conform *t, const char *what, const char *format, ...)
{
    struct kit_log *log = t->log;
    struct kit_event *event;
    va_list args;

    if (!log)
        return;
    event = &log->event[log->events % KIT_EVENTS];
    event->ns = now(t);
    if (!log->events)
        log->start_ns = event->ns;
    snprintf(event->what, sizeof(event->what), "%s", what);
    va_start(args, format);
    vsnprintf(event->text, sizeof(event->text), format, args);
    va_end(args);
    log->events++;
}

/* ---- slots ---- */

static void describe(struct conform *t, uint32_t index, const struct usbif_urb_request *r)
{
    static const char *const types[] = {"isochronous", "interrupt", "control", "bulk"};
    char setup[32] = "";

    if (usbif_pipeunlink(r->pipe)) {
        kit_log_line(t, "ring", "request %u: id 0x%04x, unlink of 0x%04x", index, r->id, r->u.unlink.unlink_id);
        return;
    }
    if (usbif_pipectrl(r->pipe))
        snprintf(setup, sizeof(setup), " %02x %02x %02x%02x %02x%02x %02x%02x,", r->u.ctrl[0], r->u.ctrl[1],
                 r->u.ctrl[3], r->u.ctrl[2], r->u.ctrl[5], r->u.ctrl[4], r->u.ctrl[7], r->u.ctrl[6]);
    kit_log_line(t, "ring", "request %u: id 0x%04x, %s %s, device %u endpoint %u,%s %u bytes in %u segments",
                 index, r->id, types[usbif_pipetype(r->pipe)], usbif_pipein(r->pipe) ? "in" : "out",
                 usbif_pipedevice(r->pipe), usbif_pipeendpoint(r->pipe), setup, r->buffer_length,
                 r->nr_buffer_segs);
}

static struct kit_urb *add_urb(struct conform *t, char what)
{
    struct kit_urb *urb = &t->log->urb[t->log->urbs++ % KIT_URBS];

    memset(urb, 0, offsetof(struct kit_urb, data));
    urb->nr_packets = 0;
    urb->what = what;
    urb->ns = now(t);
    return urb;
}

/* The newest request of that id that is still known. */
static struct kit_urb *find_urb(struct kit_log *log, uint16_t bus, uint16_t id)
{
    for (uint32_t n = 0; n < KIT_URBS && n < log->urbs; n++) {
        struct kit_urb *urb = &log->urb[(log->urbs - 1 - n) % KIT_URBS];

        if (urb->what == 'S' && urb->bus == bus && urb->request.id == id)
            return urb;
    }
    return NULL;
}

void kit_log_request(struct conform *t, uint16_t bus, uint32_t index, const struct usbif_urb_request *request)
{
    struct kit_slot *slot;
    struct kit_urb *urb;

    if (!t->log)
        return;
    slot = &t->log->request[t->log->requests++ % KIT_SLOTS];
    slot->index = index;
    slot->u.request = *request;
    urb = add_urb(t, 'S');
    urb->bus = bus;
    urb->index = index;
    urb->request = *request;
    describe(t, index, request);
}

void kit_log_response(struct conform *t, uint16_t bus, uint32_t index, const struct usbif_urb_response *response)
{
    struct kit_urb *request, *urb;
    struct kit_slot *slot;

    if (!t->log)
        return;
    slot = &t->log->response[t->log->responses++ % KIT_SLOTS];
    slot->index = index;
    slot->u.response = *response;
    request = find_urb(t->log, bus, response->id);
    kit_log_line(t, "ring", "response %u: id 0x%04x%s, status %d, actual_length %d", index, response->id,
                 request ? "" : " of no request", response->status, response->actual_length);
    if (!request)
        return;
    urb = add_urb(t, 'C');
    if (urb == request) /* the oldest, gone with this */
        return;
    *urb = (struct kit_urb){.ns = urb->ns, .what = 'C', .index = request->index, .bus = bus,
                            .request = request->request, .response = *response, .captured = request->captured};
    memcpy(urb->data, request->data, request->captured);
    memcpy(urb->packet, request->packet, sizeof(urb->packet));
    urb->nr_packets = request->nr_packets;
}

void kit_log_checked(struct conform *t, const struct usbif_urb_response *response)
{
    struct kit_log *log = t->log;

    if (log)
        log->checked = 0;
    for (uint32_t n = 0; response && log && n < KIT_SLOTS && n < log->responses; n++) {
        uint32_t number = log->responses - 1 - n;

        if (!memcmp(&log->response[number % KIT_SLOTS].u.response, response, sizeof(*response))) {
            log->checked = number + 1;
            return;
        }
    }
}

void kit_log_plug(struct conform *t, uint32_t index, const struct usbif_conn_response *event)
{
    struct kit_slot *slot;

    if (!t->log)
        return;
    slot = &t->log->plug[t->log->plugs++ % KIT_SLOTS];
    slot->index = index;
    slot->u.plug = *event;
    kit_log_line(t, "ring", "plug event %u: id %u port %u speed %u", index, event->id, event->portnum,
                 event->speed);
}

const struct usbif_urb_request *kit_log_find(struct conform *t, uint16_t bus, uint16_t id)
{
    struct kit_urb *urb = t->log ? find_urb(t->log, bus, id) : NULL;

    return urb ? &urb->request : NULL;
}

/* ---- payload ---- */

void kit_log_payload(struct conform *t, uint16_t bus, uint16_t id, const void *data, uint32_t size)
{
    struct kit_urb *urb = t->log ? find_urb(t->log, bus, id) : NULL;

    if (!urb)
        return;
    urb->captured = size < KIT_URB_DATA ? size : KIT_URB_DATA;
    if (size)
        memcpy(urb->data, data, urb->captured);
}

void kit_log_packets(struct conform *t, uint16_t bus, uint16_t id, uint32_t (*words)[4], uint32_t count)
{
    struct kit_urb *urb = t->log ? find_urb(t->log, bus, id) : NULL;

    if (!urb)
        return;
    urb->nr_packets = count < KIT_URB_PACKETS ? count : KIT_URB_PACKETS;
    memcpy(urb->packet, words, urb->nr_packets * sizeof(urb->packet[0]));
}
