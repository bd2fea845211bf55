// SPDX-License-Identifier: MIT
/*
 * A request from the ring to the device and its response back. Every request that is
 * taken is answered once, in the order of completion (rules STA-08, RING-13).
 */
#include "backend/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQ_CLEAR_FEATURE     1
#define REQ_SET_ADDRESS       5
#define REQ_GET_DESCRIPTOR    6
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE     11

#define PIPE_UNDEFINED 0x3ff80040u /* usbif.h: bits 6 and 19 to 29 must be zero */

/* ---- requests ---- */

static void request_free(struct back_request *request)
{
    struct back *back = request->back;
    back->waiting_unlinks -= request->target != NULL;
    request->target = NULL;
    request->used = false;
    request->next = back->free;
    back->free = request;
}

int back_requests_begin(struct back *back, unsigned int count)
{
    if (back->nr_requests != count) {
        struct back_request *request = calloc(count, sizeof(*request));
        if (!request)
            return -ENOMEM;
        free(back->request);
        back->request = request;
        back->nr_requests = count;
    }
    back->free = NULL;
    for (unsigned int i = count; i-- > 0;) {
        assert(!back->request[i].used); /* those of the connection before were answered or cancelled */
        back->request[i].back = back;
        request_free(&back->request[i]);
    }
    return 0;
}

static struct back_request *request_take(struct back *back)
{
    struct back_request *request = back->free;
    assert(request); /* the ring lets no more be owed than it has slots */
    back->free = request->next;
    request->used = true;
    request->at_host = false;
    request->order = back->order++;
    return request;
}

/* ---- answering ---- */

static void respond(struct back *back, const struct usbif_urb_response *response)
{
    if (!back->urb_page)
        return; /* the connection is gone, and its frontend knows */
    pvusb_ring_back_put(&back->urb_ring, response);
    back->stats.responses++;
}

/* An answer of our own (rule STA-05). */
static void answer(struct back *back, uint16_t id, int32_t status)
{
    if (status)
        back->stats.refused++;
    respond(back, &(struct usbif_urb_response){.id = id, .status = status});
}

/* From here on a frontend that is awake can take what was put; who sleeps is told by back_push(). */
static void publish(struct back *back)
{
    if (back->urb_ring.rsp_prod == back->urb_ring.rsp_published)
        return;
    if (pvusb_ring_back_push(&back->urb_ring) && !back->event_owed) {
        back->event_owed = true;
        back->owed_since = back->urb_ring.req_cons;
    }
}

void back_push(struct back *back)
{
    if (!back->urb_page)
        return;
    publish(back);
    if (!back->event_owed)
        return;
    back->event_owed = false;
    back->stats.notifications++;
    back->xen->ops->evtchn_notify(back->xen, back->evtchn);
}

/*
 * Between one request and the next: not all at the end, so that the guest takes some and sends more while we serve the
 * rest, and not one by one, as an event costs more than a request. Who took the requests pushes what is left.
 */
static void push_batch(struct back *back)
{
    const struct pvusb_ring_back *ring = &back->urb_ring;
    if (!back->urb_page)
        return;
    if (ring->rsp_prod - ring->rsp_published >= BACK_PUBLISH_AFTER)
        publish(back);
    if (back->event_owed && ring->req_cons - back->owed_since >= BACK_BATCH(ring->kind->slots))
        back_push(back);
}

/* Only the seven values of usbif.h leave us (rules STA-01, STA-09, UNL-04). */
static int32_t status_to_usbif(int32_t status)
{
    switch (status) {
    case 0:
    case -EREMOTEIO: /* a short read; the frontend sees it from actual_length (rule SNO-02) */
        return USBIF_STATUS_OK;
    case -ENODEV:
        return USBIF_STATUS_NODEV;
    case -EINVAL:
        return USBIF_STATUS_INVAL;
    case -EPIPE:
        return USBIF_STATUS_STALL;
    case -EOVERFLOW:
        return USBIF_STATUS_BABBLE;
    case -EPROTO:
    case -EILSEQ:
    case -ETIME:
    case -ETIMEDOUT:
    case -ECONNRESET:
    case -ENOENT:
        return USBIF_STATUS_IOERROR;
    default:
        return USBIF_STATUS_SHUTDOWN;
    }
}

/* ---- buffers ---- */

static void unmap(struct back *back, void **addr, unsigned int count)
{
    if (*addr)
        back->xen->ops->grant_unmap(back->xen, *addr, count);
    *addr = NULL;
}

static void unmap_request(struct back_request *request)
{
    unmap(request->back, &request->data, request->urb.nr_segs);
    unmap(request->back, &request->desc, request->urb.nr_desc_segs);
}

static int map_segments(struct back *back, const struct usbif_request_segment *seg, unsigned int count, bool writable,
                        void **addr, struct host_seg *out)
{
    grant_ref_t refs[PVUSB_SEGMENTS_MAX];
    if (count == 0 || back_kept_segments(back, seg, count, out))
        return 0;
    for (unsigned int i = 0; i < count; i++)
        refs[i] = seg[i].gref;
    int rc = back->xen->ops->grant_map(back->xen, back->config.frontend, count, refs, writable, addr);
    if (rc)
        return rc;
    back->stats.map_calls++;
    back->stats.mapped_pages += count;
    for (unsigned int i = 0; i < count; i++)
        out[i] = (struct host_seg){.base = (uint8_t *)*addr + (size_t)i * PVUSB_PAGE_SIZE + seg[i].offset,
                                   .length = seg[i].length};
    return 0;
}

/* Copies the descriptors between the mapped pages and our own array; once each way. */
static void move_descriptors(struct back_request *request, bool to_guest)
{
    uint8_t *own = (uint8_t *)request->packets;
    for (unsigned int i = 0; i < request->urb.nr_desc_segs; i++) {
        struct host_seg seg = request->desc_seg[i];
        memcpy(to_guest ? seg.base : own, to_guest ? own : seg.base, seg.length);
        own += seg.length;
    }
}

/* Maps what the request points at: writable only for what the device fills in (rule PIPE-08). */
static int32_t map_request(struct back_request *request, const struct usbif_urb_request *slot)
{
    struct back *back = request->back;
    const struct pvusb_urb *urb = &request->urb;
    bool fits = back_bounce_fits(request);
    if ((fits && !back_bounce_in(request, slot)) ||
        (!fits && map_segments(back, slot->seg, urb->nr_segs, urb->pipe.in, &request->data, request->host.seg)) ||
        map_segments(back, slot->seg + urb->nr_segs, urb->nr_desc_segs, true, &request->desc, request->desc_seg)) {
        unmap_request(request);
        return USBIF_STATUS_SHUTDOWN; /* rule SEG-08 */
    }
    move_descriptors(request, false);
    if (pvusb_iso_check(request->packets, urb->nr_packets, urb->length) != PVUSB_OK) {
        unmap_request(request);
        return USBIF_STATUS_INVAL; /* MAL-19 */
    }
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        request->packets[i].actual_length = 0;
        request->packets[i].status = -EXDEV; /* as Linux: not done */
    }
    return USBIF_STATUS_OK;
}

/* ---- completion ---- */

static struct back_request *first_unlink(const struct back *back, const struct back_request *target)
{
    struct back_request *first = NULL;
    for (unsigned int i = 0; back->waiting_unlinks > 0 && i < back->nr_requests; i++) {
        struct back_request *request = &back->request[i];
        if (request->used && request->target == target && (!first || request->order < first->order))
            first = request;
    }
    return first;
}

static void answer_waiting_unlinks(struct back *back, const struct back_request *target)
{
    struct back_request *request;
    while ((request = first_unlink(back, target))) {
        request_free(request);
        answer(back, request->urb.id, USBIF_STATUS_OK);
    }
}

/* Unmapped first, answered then (rule SEG-11), the unlinks of it last (rule UNL-04). */
static void transfer_done(struct host_urb *host)
{
    struct back_request *request = host->context;
    struct back *back = request->back;
    bool iso = request->urb.pipe.type == USBIF_PIPE_TYPE_ISOC;
    if (request->urb.nr_desc_segs > 0)
        move_descriptors(request, true);
    if (!back_bounce_out(request)) { /* the guest took its pages back */
        host->status = -ESHUTDOWN;
        host->actual = 0;
    }
    unmap_request(request);
    request_free(request);
    request->at_host = false;
    respond(back, &(struct usbif_urb_response){
                      .id = request->urb.id,
                      .start_frame = iso ? host->start_frame : 0,
                      .status = status_to_usbif(host->status),
                      .actual_length = (int32_t)host->actual,
                      .error_count = iso ? (int32_t)host->error_count : 0,
                  });
    answer_waiting_unlinks(back, request);
    if (!back->stepping)
        back_push(back);
}

/* ---- what a request is for ---- */

/* The port a pipe means, or 0 and the status that says why not. */
static unsigned int port_of(const struct back *back, struct pvusb_pipe pipe, int32_t *status)
{
    *status = USBIF_STATUS_NODEV;
    if (pipe.device != 0)
        return back->address[pipe.device];
    return pipe.port <= back->num_ports ? pipe.port : 0;
}

static struct back_request *find_target(struct back *back, uint16_t id, unsigned int port)
{
    struct back_request *oldest = NULL;
    for (unsigned int i = 0; i < back->nr_requests; i++) {
        struct back_request *request = &back->request[i];
        if (request->used && request->at_host && request->port == port && request->urb.id == id &&
            (!oldest || request->order < oldest->order))
            oldest = request;
    }
    return oldest;
}

static void cancel(struct back_request *request)
{
    struct back *back = request->back;
    struct usb_host *host = back->config.host;
    host->ops->cancel(host, back->port[request->port].device, &request->host);
}

static void do_unlink(struct back *back, struct back_request *request)
{
    int32_t status;
    unsigned int port = port_of(back, request->urb.pipe, &status);
    if (port == 0) {
        request_free(request);
        answer(back, request->urb.id, status); /* MAL-29, MAL-30 */
        return;
    }
    request->target = find_target(back, request->urb.unlink_id, port);
    back->waiting_unlinks += request->target != NULL;
    if (request->target)
        cancel(request->target); /* its completion answers this request too */
    if (request->used && !request->target) {
        request_free(request);
        answer(back, request->urb.id, USBIF_STATUS_OK); /* finished or never there (rule UNL-05) */
    }
}

static bool is_standard(const uint8_t setup[8], uint8_t type, uint8_t what)
{
    return setup[0] == type && setup[1] == what;
}

static bool is_clear_halt(const uint8_t setup[8])
{
    return is_standard(setup, 0x02, REQ_CLEAR_FEATURE) && pvusb_setup_value(setup) == 0;
}

/*
 * Interfaces, alternate settings and endpoints have one byte at the host, two in the request:
 * what a device would refuse must not become another one's number.
 */
static bool names_nothing(const uint8_t setup[8])
{
    if (is_standard(setup, 0x01, REQ_SET_INTERFACE))
        return setup[3] != 0 || setup[5] != 0;
    return is_clear_halt(setup) && setup[5] != 0;
}

/* SET_ADDRESS never reaches the device (rules CTL-04 to CTL-07, ADR-03, ADR-04). */
static int32_t set_address(struct back *back, unsigned int port, uint8_t from, uint16_t to)
{
    if (to > PVUSB_ADDRESS_MAX)
        return USBIF_STATUS_INVAL;
    if (to != 0 && back->address[to] != 0 && back->address[to] != port)
        return USBIF_STATUS_INVAL;
    if (from != 0)
        back->address[from] = 0;
    if (to != 0) {
        if (from == 0)
            back_forget_addresses(back, port);
        back->address[to] = (uint8_t)port;
    }
    return USBIF_STATUS_OK;
}

/* What is answered here without the device, or nothing: true when *status is the answer. */
static bool settle_early(struct back *back, struct back_request *request, int32_t *status)
{
    const struct pvusb_urb *urb = &request->urb;
    bool control = urb->pipe.type == USBIF_PIPE_TYPE_CTRL;
    request->port = port_of(back, urb->pipe, status);
    if (urb->pipe.device == 0 && !control)
        return true; /* MAL-20 */
    if (request->port == 0 || !back->port[request->port].device)
        return true;
    if (control && is_standard(urb->setup, 0x00, REQ_SET_ADDRESS)) {
        *status = set_address(back, request->port, urb->pipe.device, pvusb_setup_value(urb->setup));
        return true;
    }
    if (urb->pipe.device == 0 && urb->setup[1] != REQ_GET_DESCRIPTOR) {
        *status = USBIF_STATUS_INVAL; /* rule CTL-02 */
        return true;
    }
    *status = USBIF_STATUS_STALL;
    return control && names_nothing(urb->setup);
}

/* Three requests concern the host's own state and are conveyed as what they are (rules CTL-09 to CTL-11). */
static void submit(struct back_request *request)
{
    struct back *back = request->back;
    struct usb_host *host = back->config.host;
    struct host_device *device = back->port[request->port].device;
    struct host_urb *urb = &request->host;
    const uint8_t *setup = urb->setup;
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;

    request->at_host = true;
    if (control && is_standard(setup, 0x00, REQ_SET_CONFIGURATION))
        host->ops->set_configuration(host, device, urb, setup[2]);
    else if (control && is_standard(setup, 0x01, REQ_SET_INTERFACE))
        host->ops->set_interface(host, device, urb, setup[4], setup[2]);
    else if (control && is_clear_halt(setup))
        host->ops->clear_halt(host, device, urb, setup[4]);
    else
        host->ops->submit(host, device, urb);
}

static void start_transfer(struct back_request *request, const struct usbif_urb_request *slot)
{
    const struct pvusb_urb *urb = &request->urb;
    request->host.endpoint = urb->pipe.type == USBIF_PIPE_TYPE_CTRL ? 0 : urb->pipe.endpoint; /* rule PIPE-05 */
    request->host.type = urb->pipe.type;
    request->host.in = urb->pipe.in;
    request->host.short_not_ok = urb->short_not_ok;
    request->host.interval = urb->interval;
    request->host.length = urb->length;
    request->host.nr_segs = urb->nr_segs;
    request->host.nr_packets = urb->nr_packets;
    request->host.packets = request->packets;
    request->host.complete = transfer_done;
    request->host.context = request;
    request->host.status = -EINPROGRESS;
    request->host.actual = 0;
    request->host.error_count = 0;
    request->host.start_frame = 0;
    memcpy(request->host.setup, urb->setup, sizeof(urb->setup));
    int32_t status = map_request(request, slot);
    if (status) {
        request_free(request);
        answer(request->back, urb->id, status);
        return;
    }
    submit(request);
}

/* Old frontends send Linux's own pipe word: served, and said once (rule PIPE-01). */
static void note_odd_pipe(struct back *back, uint32_t pipe)
{
    if (!(pipe & PIPE_UNDEFINED) || back->odd_pipes)
        return;
    back->odd_pipes = true;
    back_log(back, "pipe %08x: undefined bits are ignored", pipe);
}

static void dispatch(struct back *back, const struct usbif_urb_request *slot)
{
    struct back_request *request = request_take(back);
    int32_t status;
    note_odd_pipe(back, slot->pipe);
    back->stats.requests++;
    enum pvusb_verdict verdict = pvusb_urb_decode(slot, &request->urb);
    if (verdict != PVUSB_OK) {
        back_log(back, "request %u refused: %s", slot->id, pvusb_verdict_name(verdict));
        request_free(request);
        answer(back, slot->id, USBIF_STATUS_INVAL);
    } else if (request->urb.pipe.unlink) {
        do_unlink(back, request);
    } else if (settle_early(back, request, &status)) {
        request_free(request);
        answer(back, slot->id, status);
    } else {
        start_transfer(request, slot);
    }
}

void back_take_requests(struct back *back)
{
    struct usbif_urb_request slot;
    enum pvusb_verdict verdict;
    while (back->urb_page && (verdict = pvusb_ring_back_take_urb(&back->urb_ring, &slot)) != PVUSB_EMPTY) {
        if (verdict != PVUSB_OK) {
            back_violation(back, verdict);
            return;
        }
        dispatch(back, &slot);
        push_batch(back);
    }
}

void back_cancel_port(struct back *back, unsigned int port)
{
    for (;;) {
        struct back_request *oldest = NULL;
        for (unsigned int i = 0; i < back->nr_requests; i++) {
            struct back_request *request = &back->request[i];
            if (request->used && request->at_host && !request->target && (port == 0 || request->port == port) &&
                (!oldest || request->order < oldest->order))
                oldest = request;
        }
        if (!oldest)
            return;
        cancel(oldest);
        if (oldest->used)
            return; /* a host that cancels later: closing the device waits for it */
    }
}
