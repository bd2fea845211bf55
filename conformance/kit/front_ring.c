// SPDX-License-Identifier: MIT
/* Both rings of the frontend that a case plays, word by word. */
#include <stdio.h>
#include <string.h>

#include "front_private.h"
#include "log.h"

/* Shared words: read and written once, in order. */
uint32_t front_word(const uint8_t *page, unsigned int offset)
{
    return __atomic_load_n((const uint32_t *)(const void *)(page + offset), __ATOMIC_ACQUIRE);
}

void front_set_word(uint8_t *page, unsigned int offset, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)(page + offset), value, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint8_t *front_urb_page(struct front *f)
{
    return f->urb_page;
}

uint8_t *front_conn_page(struct front *f)
{
    return f->conn_page;
}

uint8_t *front_slot(struct front *f, uint32_t index)
{
    return f->urb_page + FRONT_SLOTS + sizeof(struct usbif_urb_request) * (size_t)(index % (FRONT_URB_SLOTS << f->order));
}

/* ---- for the log ---- */

/* Where a segment lies in the case's buffer, clipped to its page; NULL when it lies elsewhere. */
static const uint8_t *segment_bytes(const struct front *f, const struct usbif_request_segment *segment,
                                    uint32_t *length)
{
    *length = segment->offset < FRONT_PAGE ? FRONT_PAGE - segment->offset : 0;
    if (*length > segment->length)
        *length = segment->length;
    for (unsigned int i = 0; i < FRONT_PAGES; i++)
        if (segment->gref == f->rw[i] || segment->gref == f->ro[i])
            return f->data + (size_t)i * FRONT_PAGE + segment->offset % FRONT_PAGE;
    return NULL;
}

/* Copies what segments first to last - 1 point to, as far as it lies in the case's buffer. Returns the bytes. */
static uint32_t gather(const struct front *f, const struct usbif_urb_request *request, unsigned int first,
                       unsigned int last, uint8_t *out, uint32_t size)
{
    uint32_t done = 0;

    for (unsigned int i = first; i < last && i < USBIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        uint32_t length;
        const uint8_t *bytes = segment_bytes(f, &request->seg[i], &length);

        if (!bytes)
            break;
        length = length < size - done ? length : size - done;
        memcpy(out + done, bytes, length);
        done += length;
    }
    return done;
}

static void log_payload(struct front *f, const struct usbif_urb_request *request, uint32_t most)
{
    uint8_t bytes[KIT_URB_DATA];
    uint32_t size = most < sizeof(bytes) ? most : (uint32_t)sizeof(bytes);

    size = gather(f, request, 0, request->nr_buffer_segs, bytes, size);
    kit_log_payload(f->t, f->bus, request->id, bytes, size);
}

static void log_packets(struct front *f, const struct usbif_urb_request *request)
{
    uint32_t words[KIT_URB_PACKETS][4];
    unsigned int first = request->nr_buffer_segs, count = request->u.isoc.number_of_packets;
    uint32_t size = gather(f, request, first, first + request->u.isoc.nr_frame_desc_segs, (uint8_t *)words,
                           sizeof(words));

    if (count > size / sizeof(words[0]))
        count = size / sizeof(words[0]);
    kit_log_packets(f->t, f->bus, request->id, words, count);
}

/* What goes to the backend, or what came from it. */
static void log_data(struct front *f, const struct usbif_urb_request *request, bool in, uint32_t most)
{
    if (usbif_pipeunlink(request->pipe))
        return;
    if (in == (usbif_pipein(request->pipe) != 0))
        log_payload(f, request, most);
    if (usbif_pipeisoc(request->pipe))
        log_packets(f, request);
}

static void log_response(struct front *f, const struct usbif_urb_response *response)
{
    const struct usbif_urb_request *request = kit_log_find(f->t, f->bus, response->id);

    if (request)
        log_data(f, request, true, usbif_pipeisoc(request->pipe) ? UINT32_MAX
                                   : response->actual_length > 0 ? (uint32_t)response->actual_length
                                                                 : 0);
    kit_log_response(f->t, f->bus, f->urb_rsp, response);
}

/* ---- requests ---- */

void front_notify(struct front *f)
{
    kit_front_need(f, f->xen->ops->evtchn_notify(f->xen, f->port), "evtchn_notify");
    kit_log_line(f->t, "ring", "notified the backend");
}

/* Notifies when the index asked for lies in what was just published. */
static bool publish(struct front *f, uint8_t *page, uint32_t *published, uint32_t new)
{
    uint32_t old = *published;
    *published = new;
    front_set_word(page, FRONT_REQ_PROD, new);
    if (f->knobs.silent || new - front_word(page, FRONT_REQ_EVENT) >= new - old)
        return false;
    front_notify(f);
    return true;
}

void front_put(struct front *f, const struct usbif_urb_request *request)
{
    memcpy(front_slot(f, f->urb_req), request, sizeof(*request));
    kit_log_request(f->t, f->bus, f->urb_req++, request);
    log_data(f, request, false, UINT32_MAX);
}

bool front_push(struct front *f)
{
    return publish(f, f->urb_page, &f->urb_published, f->urb_req);
}

void front_send_on(struct front *f, const struct usbif_urb_request *request)
{
    front_put(f, request);
    front_push(f);
}

void front_send(struct conform *t, const struct usbif_urb_request *request)
{
    front_send_on(front_number(t, 0), request);
}

static void put_plug_request(struct front *f, uint16_t id)
{
    memcpy(f->conn_page + FRONT_SLOTS + 4 * (size_t)(f->conn_req % FRONT_CONN_SLOTS), &id, sizeof(id));
    f->conn_req++;
}

void front_prime(struct front *f, unsigned int n, uint16_t first)
{
    for (unsigned int i = 0; i < n; i++)
        put_plug_request(f, (uint16_t)(first + i));
    publish(f, f->conn_page, &f->conn_published, f->conn_req);
}

/* ---- responses ---- */

static void take_responses(struct front *f)
{
    uint32_t prod;
    while ((prod = front_word(f->urb_page, FRONT_RSP_PROD)) != f->urb_rsp) {
        if (prod - f->urb_rsp > f->urb_published - f->urb_rsp)
            conform_fail(f->t, "rsp_prod: expected at most %u, as many as requests, it is %u",
                         f->urb_published, prod);
        for (; f->urb_rsp != prod; f->urb_rsp++) {
            if (f->nr_rsp == FRONT_RESPONSES)
                conform_fail(f->t, "rsp: %u responses came that nobody expects", f->nr_rsp);
            memcpy(&f->rsp[f->nr_rsp++], front_slot(f, f->urb_rsp), sizeof(f->rsp[0]));
            log_response(f, &f->rsp[f->nr_rsp - 1]);
        }
        front_set_word(f->urb_page, FRONT_RSP_EVENT, f->urb_rsp + 1);
    }
}

static void take_events(struct front *f)
{
    uint32_t prod;
    while ((prod = front_word(f->conn_page, FRONT_RSP_PROD)) != f->conn_rsp) {
        if (prod - f->conn_rsp > f->conn_published - f->conn_rsp)
            conform_fail(f->t, "conn rsp_prod: expected at most %u, as many as requests, it is %u",
                         f->conn_published, prod);
        for (; f->conn_rsp != prod; f->conn_rsp++) {
            struct usbif_conn_response event;
            memcpy(&event, f->conn_page + FRONT_SLOTS + 4 * (size_t)(f->conn_rsp % FRONT_CONN_SLOTS),
                   sizeof(event));
            if (f->nr_events == FRONT_EVENTS)
                conform_fail(f->t, "plug event: %u came that nobody expects", f->nr_events);
            f->event[f->nr_events++] = event;
            kit_log_plug(f->t, f->conn_rsp, &event);
            if (!f->knobs.hold_plug_requests)
                put_plug_request(f, event.id);
        }
        front_set_word(f->conn_page, FRONT_RSP_EVENT, f->conn_rsp + 1);
    }
    if (f->conn_req != f->conn_published)
        publish(f, f->conn_page, &f->conn_published, f->conn_req);
}

bool kit_front_poll(struct front *f)
{
    evtchn_port_t port;
    bool any = false;
    while (f->xen && f->xen->ops->evtchn_pending(f->xen, &port) == 0) {
        any = true;
        f->notified++;
        kit_log_line(f->t, "ring", "notified by the backend");
        if (f->made && port == f->port && !f->knobs.deaf) {
            take_responses(f);
            take_events(f);
        }
        f->xen->ops->evtchn_unmask(f->xen, port);
    }
    return any;
}

void kit_front_settle(struct front *f)
{
    do {
        conform_settle(f->t);
    } while (kit_front_poll(f));
}

/* ---- what is expected ---- */

struct awaited {
    struct front *f;
    bool any; /* whatever its id */
    uint16_t id;
    unsigned int at;
};

static bool response_came(struct conform *t, void *context)
{
    struct awaited *awaited = context;
    (void)t;
    (void)kit_front_poll(awaited->f);
    for (awaited->at = 0; awaited->at < awaited->f->nr_rsp; awaited->at++) {
        if (awaited->any || awaited->f->rsp[awaited->at].id == awaited->id)
            return true;
    }
    return false;
}

static struct usbif_urb_response take_response(struct awaited *awaited)
{
    struct front *f = awaited->f;
    char what[64];
    snprintf(what, sizeof(what), awaited->any ? "a response" : "the response for id 0x%04x", awaited->id);
    kit_log_checked(f->t, NULL);
    conform_wait(f->t, response_came, awaited, what);
    struct usbif_urb_response rsp = f->rsp[awaited->at];
    kit_log_checked(f->t, &rsp);
    f->nr_rsp--;
    memmove(f->rsp + awaited->at, f->rsp + awaited->at + 1, (f->nr_rsp - awaited->at) * sizeof(rsp));
    return rsp;
}

struct usbif_urb_response front_expect_on(struct front *f, uint16_t id, int32_t status, int32_t actual)
{
    struct awaited awaited = {.f = f, .id = id};
    struct usbif_urb_response rsp = take_response(&awaited);
    conform_equal(f->t, "rsp.status", status, rsp.status);
    conform_equal(f->t, "rsp.actual_length", actual, rsp.actual_length);
    return rsp;
}

struct usbif_urb_response front_expect(struct conform *t, uint16_t id, int32_t status, int32_t actual)
{
    return front_expect_on(front_number(t, 0), id, status, actual);
}

struct usbif_urb_response front_response(struct front *f, uint16_t id)
{
    struct awaited awaited = {.f = f, .id = id};
    return take_response(&awaited);
}

struct usbif_urb_response front_next(struct front *f)
{
    struct awaited awaited = {.f = f, .any = true};
    return take_response(&awaited);
}

void front_expect_none(struct conform *t, uint16_t id)
{
    struct awaited awaited = {.f = front_number(t, 0), .id = id};
    kit_front_settle(awaited.f);
    if (response_came(t, &awaited))
        conform_fail(t, "rsp: expected no response for id %u yet, one came (status %d)", id,
                     awaited.f->rsp[awaited.at].status);
}

static bool event_came(struct conform *t, void *context)
{
    struct front *f = context;
    (void)t;
    (void)kit_front_poll(f);
    return f->nr_events > 0;
}

struct usbif_conn_response front_next_plug(struct front *f)
{
    conform_wait(f->t, event_came, f, "a plug event");
    struct usbif_conn_response event = f->event[0];
    f->nr_events--;
    memmove(f->event, f->event + 1, f->nr_events * sizeof(event));
    f->last_event = event;
    f->any_event = true;
    return event;
}

void front_expect_plug(struct front *f, uint8_t port, uint8_t speed)
{
    struct usbif_conn_response last = f->last_event;
    bool repeats = f->any_event && (last.portnum != port || last.speed != speed);
    struct usbif_conn_response event;
    bool empty; /* told first of a port that was empty: plug.duplicates */
    do {
        event = front_next_plug(f);
        empty = speed > 0 && event.portnum == port && event.speed == 0;
    } while (empty || (repeats && event.portnum == last.portnum && event.speed == last.speed));
    conform_equal(f->t, "event.portnum", port, event.portnum);
    conform_equal(f->t, "event.speed", speed, event.speed);
}

struct published {
    const uint8_t *page;
    uint32_t rsp_prod;
};

static bool is_published(struct conform *t, void *context)
{
    const struct published *p = context;
    (void)t;
    return front_word(p->page, FRONT_RSP_PROD) == p->rsp_prod;
}

void front_expect_published(struct front *f, const uint8_t *page, uint32_t rsp_prod)
{
    struct published p = {page, rsp_prod};
    if (!conform_try(f->t, is_published, &p))
        conform_equal(f->t, "rsp_prod", rsp_prod, front_word(page, FRONT_RSP_PROD));
}

void front_drain_plugs(struct front *f)
{
    kit_front_settle(f);
    f->nr_events = 0;
}

void front_expect_no_plug(struct front *f)
{
    kit_front_settle(f);
    if (f->nr_events > 0)
        conform_fail(f->t, "plug event: expected none, one came for port %u (speed %u)", f->event[0].portnum,
                     f->event[0].speed);
}
