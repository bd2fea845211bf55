// SPDX-License-Identifier: MIT
/* Requests, responses, plug events and segments of the backend that a case plays, slot by slot. */
#include <errno.h>
#include <string.h>

#include "back_private.h"

/* Shared words: read and written once, in order. */
static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Fails when the rings are not mapped. */
static struct kit_back *kit_back_mapped(struct conform *t)
{
    if (!t->back->urb)
        conform_fail(t, "the case has no rings mapped here");
    return t->back;
}

/* Takes what is pending on the channel and counts it. */
static void kit_back_drain(struct conform *t)
{
    struct kit_back *b = t->back;
    evtchn_port_t port;
    while (b->xen && !b->xen->ops->evtchn_pending(b->xen, &port)) {
        b->events++;
        b->xen->ops->evtchn_unmask(b->xen, port);
        kit_log_line(t, "ring", "notified by the frontend");
    }
}

unsigned int back_notified(const struct conform *t)
{
    struct xen *xen = t->back->xen;
    evtchn_port_t port;
    while (!xen->ops->evtchn_pending(xen, &port)) {
        t->back->events++;
        xen->ops->evtchn_unmask(xen, port);
    }
    return t->back->events;
}

uint32_t back_requests(const struct conform *t)
{
    return t->back->req_cons;
}

uint8_t *back_urb_page(struct conform *t)
{
    return (uint8_t *)kit_back_mapped(t)->urb;
}

uint8_t *back_conn_page(struct conform *t)
{
    return (uint8_t *)kit_back_mapped(t)->conn;
}

/* ---- requests ---- */

bool back_try_take(struct conform *t, struct usbif_urb_request *request)
{
    struct kit_back *b = kit_back_mapped(t);
    kit_back_drain(t);
    if (load(&b->urb->req_prod) == b->req_cons) {
        store(&b->urb->req_event, b->req_cons + 1);
        if (load(&b->urb->req_prod) == b->req_cons)
            return false;
    }
    memcpy(request, &b->urb->ring[b->req_cons % (BACK_URB_SLOTS << b->order)].req, sizeof(*request));
    kit_log_request(t, 1, b->req_cons++, request);
    return true;
}

static bool take(struct conform *t, void *context)
{
    return back_try_take(t, context);
}

struct usbif_urb_request back_take(struct conform *t)
{
    struct usbif_urb_request request;
    conform_wait(t, take, &request, "the next request of the frontend");
    return request;
}

void back_expect_no_request(struct conform *t)
{
    struct usbif_urb_request request;
    conform_settle(t);
    if (back_try_take(t, &request))
        conform_fail(t, "req_prod: expected %u, the frontend put a request (pipe 0x%08x)",
                     t->back->req_cons - 1, request.pipe);
}

/* ---- responses ---- */

void back_notify(struct conform *t)
{
    struct kit_back *b = kit_back_mapped(t);
    b->xen->ops->evtchn_notify(b->xen, b->evtchn);
    kit_log_line(t, "ring", "notified the frontend");
}

void back_put(struct conform *t, const struct usbif_urb_response *response)
{
    struct kit_back *b = kit_back_mapped(t);
    memcpy(&b->urb->ring[b->rsp_prod % (BACK_URB_SLOTS << b->order)].rsp, response, sizeof(*response));
    kit_log_response(t, 1, b->rsp_prod++, response);
}

bool back_push(struct conform *t)
{
    struct kit_back *b = kit_back_mapped(t);
    uint32_t old = b->rsp_published;
    b->rsp_published = b->rsp_prod;
    store(&b->urb->rsp_prod, b->rsp_prod);
    /* Notify when the index asked for lies in what was just published. */
    if (b->rsp_prod - load(&b->urb->rsp_event) >= b->rsp_prod - old)
        return false;
    back_notify(t);
    return true;
}

void back_respond_raw(struct conform *t, const struct usbif_urb_response *response)
{
    back_put(t, response);
    back_push(t);
}

void back_respond(struct conform *t, uint16_t id, int32_t status, int32_t actual)
{
    struct usbif_urb_response response;
    memset(&response, 0, sizeof(response));
    response.id = id;
    response.status = status;
    response.actual_length = actual;
    back_respond_raw(t, &response);
}

/* ---- plug events ---- */

void back_plug_raw(struct conform *t, struct usbif_conn_response event)
{
    struct kit_back *b = kit_back_mapped(t);
    memcpy(&b->conn->ring[b->conn_cons % BACK_CONN_SLOTS].rsp, &event, sizeof(event));
    b->conn_cons++;
    store(&b->conn->rsp_prod, b->conn_cons);
    kit_log_plug(t, b->conn_cons - 1, &event);
    if (b->conn_cons == load(&b->conn->rsp_event))
        back_notify(t);
}

static bool has_plug_request(struct conform *t, void *unused)
{
    (void)unused;
    kit_back_drain(t);
    return load(&t->back->conn->req_prod) != t->back->conn_cons;
}

void back_plug(struct conform *t, uint8_t port, uint8_t speed)
{
    struct kit_back *b = kit_back_mapped(t);
    struct usbif_conn_response event;
    memset(&event, 0, sizeof(event));
    conform_wait(t, has_plug_request, NULL, "a plug request of the frontend");
    event.id = b->conn->ring[b->conn_cons % BACK_CONN_SLOTS].req.id;
    event.portnum = port;
    event.speed = speed;
    back_plug_raw(t, event);
}

/* ---- segments ---- */

int back_hold(struct conform *t, const struct usbif_urb_request *request, unsigned int first,
              unsigned int count, bool writable, uint8_t **out)
{
    struct kit_back *b = t->back;
    grant_ref_t refs[USBIF_MAX_SEGMENTS_PER_REQUEST];
    unsigned int slot = 0;
    if (count == 0 || first + count > USBIF_MAX_SEGMENTS_PER_REQUEST)
        conform_fail(t, "segments: %u from %u on are not in a request", count, first);
    for (unsigned int i = 0; i < count; i++)
        refs[i] = request->seg[first + i].gref;
    while (slot < BACK_HOLDS && b->hold[slot].pages)
        slot++;
    if (slot == BACK_HOLDS)
        return -ENOSPC;
    int rc = b->xen->ops->grant_map(b->xen, b->frontend, count, refs, writable, (void **)out);
    if (rc)
        return rc;
    b->hold[slot].pages = *out;
    b->hold[slot].count = count;
    return 0;
}

void back_release(struct conform *t, uint8_t *pages, unsigned int count)
{
    struct kit_back *b = t->back;
    for (unsigned int i = 0; i < BACK_HOLDS; i++)
        if (b->hold[i].pages == pages)
            b->hold[i].pages = NULL;
    b->xen->ops->grant_unmap(b->xen, pages, count);
}

static uint32_t copy(struct conform *t, const struct usbif_urb_request *request, bool in, uint8_t *data,
                     uint32_t size)
{
    uint8_t *pages;
    uint32_t done = 0;
    unsigned int count = request->nr_buffer_segs;
    if (count == 0 || size == 0)
        return 0;
    int rc = back_hold(t, request, 0, count, in, &pages);
    if (rc)
        conform_fail(t, "seg[0..%u]: expected grants that can be mapped %s, got: %s", count - 1,
                     in ? "writable" : "for reading", strerror(-rc));
    for (unsigned int i = 0; i < count && done < size; i++) {
        uint32_t offset = request->seg[i].offset;
        uint32_t part = request->seg[i].length;
        if (offset + part > BACK_PAGE)
            conform_fail(t, "seg[%u]: offset %u with length %u leaves its page", i, offset, part);
        part = part < size - done ? part : size - done;
        uint8_t *at = pages + (size_t)i * BACK_PAGE + offset;
        memcpy(in ? at : data + done, in ? data + done : at, part);
        done += part;
    }
    back_release(t, pages, count);
    kit_log_payload(t, 1, request->id, data, done);
    return done;
}

uint32_t back_copy_out(struct conform *t, const struct usbif_urb_request *request, void *data, uint32_t size)
{
    return copy(t, request, false, data, size);
}

uint32_t back_copy_in(struct conform *t, const struct usbif_urb_request *request, const void *data,
                      uint32_t size)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)data; /* only read: see copy() */
    return copy(t, request, true, bytes, size);
}
