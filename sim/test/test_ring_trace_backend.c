// SPDX-License-Identifier: MIT
/*
 * Goal: what Linux xen-hcd asked of QEMU on real Xen, byte for byte as recorded, is answered by our backend
 * as QEMU answered: same responses in the same slots, same connect events. The devices below complete each
 * transfer when the recording has its response, with the recorded status and length. Where QEMU differs the
 * rule that says so is counted: CONN-10, connect events sent twice or with a 0 before them.
 *
 * Two of the recordings begin in the middle of a session. Before those a prelude, counted apart, brings our
 * connector to the same place: three ports told, addresses 2 to 4 assigned to them in turn, as many
 * SET_ADDRESS requests as bring both rings to the first recorded slot, and dummy requests whose ids make the
 * first event carry the first recorded id (rule CONN-03).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pvusb/urb.h>

#include "ring_trace.h"
#include "ring_trace_peer.h"

#define CANARY    0xcc
#define JUNK      0xa5
#define GREFS_MAX 64u /* the recordings name references below 40 */

static const char *trace_dir;

/* A request that owes its response. */
struct flight {
    const struct ring_trace_record *request; /* NULL: id not in use */
    struct host_urb *urb;                    /* NULL: the backend answers it without the device */
    grant_ref_t ref[PVUSB_SEGMENTS_MAX];     /* 0: none, or ended */
};

struct replay {
    const struct ring_trace *trace;
    struct ring_trace_report *report;
    struct rig rig;
    struct raw_front front;
    void *page[GREFS_MAX]; /* of ours, by recorded reference */
    struct flight flight[PVUSB_URB_RING_SLOTS];
    struct usbif_urb_response early; /* the backend's own answer, until the recording has it */
    uint16_t early_slot;
    bool has_early;
    bool from_start;
    uint8_t told[RING_TRACE_PORTS + 1];
    unsigned int prelude;
    unsigned int requests;
    unsigned int responses;
    unsigned int local; /* of those responses: without the device */
    unsigned int events;
    unsigned int conn_10;
    unsigned int notifies; /* recorded */
};

/* ---- the state in which a recording begins ---- */

/* Ports that had their device when the frontend connected: told before the first request. */
static bool port_is_there(const struct ring_trace *trace, unsigned int port)
{
    for (size_t i = 0; i < trace->count && trace->records[i].kind == RING_TRACE_CONN; i++) {
        if (trace->records[i].port == port && trace->records[i].speed != USBIF_SPEED_NONE)
            return true;
    }
    return false;
}

static void prelude_addresses(struct replay *replay)
{
    const struct ring_trace_record *first = ring_trace_nth(replay->trace, RING_TRACE_REQ, 0);
    uint16_t slot;
    for (uint8_t i = 0;
         i < RING_TRACE_DEVICES || replay->front.urb.req_prod % PVUSB_URB_RING_SLOTS != first->slot; i++) {
        uint8_t port = (uint8_t)(i % RING_TRACE_DEVICES + 1);
        struct pvusb_pipe pipe = {.port = port, .type = USBIF_PIPE_TYPE_CTRL};
        struct usbif_urb_request request = {.pipe = pvusb_pipe_encode(pipe),
                                            .u.ctrl = {0, 5, (uint8_t)(port + 1)}};
        struct usbif_urb_response response;
        raw_front_send(&replay->front, &request);
        assert_true(raw_front_response(&replay->front, &response, &slot));
        assert_int_equal(response.status, 0);
        replay->prelude++;
    }
}

static void begin(struct replay *replay)
{
    struct rig *rig = &replay->rig;
    const struct ring_trace_record *conn = ring_trace_nth(replay->trace, RING_TRACE_CONN, 0);
    struct usbif_conn_response event;
    replay->from_start = ring_trace_from_start(replay->trace);
    rig_init(rig, 2, RING_TRACE_PORTS);
    for (unsigned int port = 1; port <= RING_TRACE_DEVICES; port++) {
        scripted_host_plug(&rig->host, ring_trace_busid[port], ring_trace_speed[port]);
        if (!replay->from_start || port_is_there(replay->trace, port))
            assert_int_equal(vusb_set_port(rig->dom0, &rig->controller, port, ring_trace_busid[port]), 0);
    }
    raw_front_open(&replay->front, rig,
                   replay->from_start || !conn ? 0 : (uint16_t)(conn->id - RING_TRACE_DEVICES));
    if (replay->from_start)
        return;
    while (raw_front_event(&replay->front, &event))
        replay->told[event.portnum] = event.speed;
    prelude_addresses(replay);
}

static void end(struct replay *replay)
{
    const struct xen_ops *ops = replay->front.xen->ops;
    back_destroy(replay->rig.back);
    replay->rig.back = NULL;
    for (unsigned int id = 0; id < PVUSB_URB_RING_SLOTS; id++) {
        for (unsigned int i = 0; i < PVUSB_SEGMENTS_MAX; i++) {
            grant_ref_t ref = replay->flight[id].ref[i];
            assert_true(ref == 0 || ops->grant_end(replay->front.xen, ref) == 0);
        }
    }
    for (unsigned int i = 0; i < GREFS_MAX; i++)
        ops->pages_free(replay->front.xen, replay->page[i], 1);
    raw_front_close(&replay->front);
    rig_dispose(&replay->rig);
}

/* ---- requests ---- */

/* Pages are those of the recorded references; the request grants them anew, read-only for OUT as xen-hcd
 * does. */
static void grant_segments(struct replay *replay, const struct ring_trace_record *r, struct flight *flight,
                           struct usbif_urb_request *request)
{
    struct xen *xen = replay->front.xen;
    uint32_t done = 0;
    for (unsigned int i = 0; i < r->nr_segs && i < PVUSB_SEGMENTS_MAX; i++) {
        const struct usbif_request_segment *seg = &r->seg[i];
        void **page = &replay->page[seg->gref % GREFS_MAX];
        if (!*page)
            assert_int_equal(xen->ops->pages_alloc(xen, 1, page), 0);
        memset(*page, CANARY, PVUSB_PAGE_SIZE);
        for (uint32_t k = 0; !r->in && k < seg->length; k++)
            ((uint8_t *)*page)[seg->offset + k] = ring_trace_byte(r, done + k);
        done += seg->length;
        assert_int_equal(xen->ops->grant(xen, 0, *page, !r->in, &flight->ref[i]), 0);
        request->seg[i] = *seg;
        request->seg[i].gref = flight->ref[i];
    }
}

/* What reached the device is what the recorder decoded, not what we decode. */
static void check_transfer(struct replay *replay, const struct ring_trace_record *r, unsigned int device)
{
    struct ring_trace_report *report = replay->report;
    const struct host_urb *urb = replay->flight[r->id].urb;
    static uint8_t sent[PVUSB_URB_LENGTH_MAX];
    ring_trace_expect(report, r, "port", r->port, device + 1);
    ring_trace_expect(report, r, "endpoint", r->endpoint, urb->endpoint);
    ring_trace_expect(report, r, "type", r->type, urb->type);
    ring_trace_expect(report, r, "direction", r->in, urb->in);
    ring_trace_expect(report, r, "short_not_ok", r->flags & USBIF_SHORT_NOT_OK, urb->short_not_ok);
    ring_trace_expect(report, r, "length", r->urb_length, urb->length);
    ring_trace_expect(report, r, "segments", r->nr_segs, urb->nr_segs);
    if (r->type == USBIF_PIPE_TYPE_CTRL && memcmp(r->u, urb->setup, sizeof(urb->setup)) != 0)
        ring_trace_differ(report, r, "another setup packet reached the device");
    if (r->in)
        return;
    uint32_t n = host_urb_read(urb, 0, sent, sizeof(sent));
    for (uint32_t i = 0; i < n; i++) {
        if (sent[i] != ring_trace_byte(r, i)) {
            ring_trace_differ(report, r, "OUT byte %u differs", i);
            return;
        }
    }
}

static void replay_request(struct replay *replay, const struct ring_trace_record *r)
{
    struct scripted_host *host = &replay->rig.host;
    struct flight *flight = &replay->flight[r->id];
    struct usbif_urb_request request;
    unsigned int held = host->nr_held;
    if (flight->request) {
        ring_trace_differ(replay->report, r, "id %u is in use", r->id);
        return;
    }
    *flight = (struct flight){.request = r};
    memset(&request, JUNK, sizeof(request)); /* what the recorder did not keep of the slot means nothing */
    request.id = r->id;
    request.nr_buffer_segs = r->nr_segs;
    request.pipe = r->pipe;
    request.transfer_flags = r->flags;
    request.buffer_length = r->buffer_length;
    memcpy(&request.u, r->u, sizeof(r->u));
    grant_segments(replay, r, flight, &request);
    scripted_host_clear_log(host);
    uint16_t slot = raw_front_send(&replay->front, &request);
    ring_trace_expect(replay->report, r, "slot of the request", r->slot, slot);
    replay->requests++;

    struct usbif_urb_response response;
    while (raw_front_response(&replay->front, &response, &slot)) {
        if (!ring_trace_is_set_address(r) || replay->has_early)
            ring_trace_differ(replay->report, r, "answered at once: id %u, status %d", response.id,
                              response.status);
        replay->early = response;
        replay->early_slot = slot;
        replay->has_early = true;
    }
    if (!ring_trace_expect(replay->report, r, "transfers that reached a device",
                           !ring_trace_is_set_address(r), host->nr_held - held) ||
        ring_trace_is_set_address(r))
        return;
    flight->urb = host->held[held];
    check_transfer(replay, r, host->held_device[held]);
}

/* ---- responses ---- */

static void complete(struct replay *replay, const struct ring_trace_record *r, struct host_urb *urb)
{
    struct scripted_host *host = &replay->rig.host;
    static uint8_t data[PVUSB_URB_LENGTH_MAX];
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = ring_trace_byte(replay->flight[r->id].request, i);
    for (unsigned int i = 0; i < host->nr_held; i++) {
        if (host->held[i] == urb) {
            scripted_host_complete(host, i, r->status, data, (uint32_t)r->actual);
            raw_front_run(&replay->front);
            return;
        }
    }
    ring_trace_differ(replay->report, r, "the transfer is not at the device any more");
}

/* Exactly the bytes that arrived are in the pages, and nothing beside them. */
static void check_in_data(struct replay *replay, const struct ring_trace_record *r,
                          const struct ring_trace_record *request)
{
    uint32_t done = 0;
    for (unsigned int i = 0; i < request->nr_segs; i++) {
        const struct usbif_request_segment *seg = &request->seg[i];
        const uint8_t *page = replay->page[seg->gref % GREFS_MAX];
        for (uint32_t k = 0; k < PVUSB_PAGE_SIZE; k++) {
            uint32_t at = done + k - seg->offset;
            bool inside =
                k >= seg->offset && k < (uint32_t)seg->offset + seg->length && at < (uint32_t)r->actual;
            if (page[k] != (inside ? ring_trace_byte(request, at) : CANARY)) {
                ring_trace_differ(replay->report, r, "segment %u, byte %u of the page differs", i, k);
                return;
            }
        }
        done += seg->length;
    }
}

static bool take_response(struct replay *replay, struct usbif_urb_response *response, uint16_t *slot)
{
    if (!replay->has_early)
        return raw_front_response(&replay->front, response, slot);
    replay->has_early = false;
    *response = replay->early;
    *slot = replay->early_slot;
    return true;
}

static void replay_response(struct replay *replay, const struct ring_trace_record *r)
{
    struct ring_trace_report *report = replay->report;
    struct flight *flight = &replay->flight[r->id % PVUSB_URB_RING_SLOTS];
    const struct ring_trace_record *request = flight->request;
    struct usbif_urb_response response;
    unsigned int before = report->differences;
    uint16_t slot;
    if (!request) {
        ring_trace_differ(report, r, "no request with id %u", r->id);
        return;
    }
    ring_trace_expect(report, r, "pipe", request->pipe, r->pipe);
    if (flight->urb)
        complete(replay, r, flight->urb);
    else
        replay->local++;
    if (!take_response(replay, &response, &slot)) {
        ring_trace_differ(report, r, "not answered");
        return;
    }
    ring_trace_expect(report, r, "slot of the response", r->slot, slot);
    ring_trace_expect(report, r, "id", r->id, response.id);
    ring_trace_expect(report, r, "start_frame", r->start_frame, response.start_frame);
    ring_trace_expect(report, r, "status", r->status, response.status);
    ring_trace_expect(report, r, "actual_length", r->actual, response.actual_length);
    ring_trace_expect(report, r, "error_count", r->errors, response.error_count);
    for (unsigned int i = 0; i < request->nr_segs; i++) {
        if (replay->front.xen->ops->grant_end(replay->front.xen, flight->ref[i]))
            ring_trace_differ(report, r, "answered while still mapped (rule SEG-11)");
        else
            flight->ref[i] = 0;
    }
    if (request->in)
        check_in_data(replay, r, request);
    flight->request = NULL;
    replay->responses += report->differences == before;
}

/* ---- connect events ---- */

/*
 * An event that repeats what the frontend knows is QEMU's (rule CONN-10) and must not come from us; the ids
 * of ours are behind by as many. Any other was caused by the toolstack, which here does what it must have
 * done.
 */
static void replay_event(struct replay *replay, const struct ring_trace_record *r)
{
    struct ring_trace_report *report = replay->report;
    struct rig *rig = &replay->rig;
    struct usbif_conn_response event;
    unsigned int before = report->differences;
    if (r->port < 1 || r->port > RING_TRACE_PORTS) {
        ring_trace_differ(report, r, "port %u", r->port);
        return;
    }
    if (r->speed == replay->told[r->port]) {
        replay->conn_10++;
        return;
    }
    replay->told[r->port] = r->speed;
    if (!replay->from_start) {
        const char *busid = r->speed == USBIF_SPEED_NONE ? "" : ring_trace_busid[r->port];
        assert_int_equal(vusb_set_port(rig->dom0, &rig->controller, r->port, busid), 0);
        raw_front_run(&replay->front);
    }
    if (!raw_front_event(&replay->front, &event)) {
        ring_trace_differ(report, r, "no event");
        return;
    }
    ring_trace_expect(report, r, "id of the event", r->id - (int)replay->conn_10, event.id);
    ring_trace_expect(report, r, "port of the event", r->port, event.portnum);
    ring_trace_expect(report, r, "speed of the event", r->speed, event.speed);
    replay->events += report->differences == before;
}

/* ---- a recording ---- */

static void replay_records(struct replay *replay)
{
    const struct ring_trace *trace = replay->trace;
    struct usbif_conn_response event;
    bool connecting = replay->from_start;
    for (size_t i = 0; i < trace->count && replay->report->differences == 0; i++) {
        const struct ring_trace_record *r = &trace->records[i];
        connecting = connecting && r->kind == RING_TRACE_CONN;
        switch (r->kind) {
        case RING_TRACE_REQ:
            replay_request(replay, r);
            break;
        case RING_TRACE_PUSH: /* whether to notify depends on how far the backend was; ours decides for itself
                               */
            replay->notifies += r->notify;
            break;
        case RING_TRACE_RSP:
            replay_response(replay, r);
            break;
        case RING_TRACE_CONN:
            replay_event(replay, r);
            break;
        }
        if (!connecting && raw_front_event(&replay->front, &event))
            ring_trace_differ(replay->report, r, "an event of ours: port %u, speed %u", event.portnum,
                              event.speed);
    }
    for (unsigned int id = 0; id < PVUSB_URB_RING_SLOTS && replay->report->differences == 0; id++) {
        if (replay->flight[id].request)
            ring_trace_differ(replay->report, replay->flight[id].request, "never answered in the recording");
    }
}

static struct replay *run(const struct ring_trace *trace, struct ring_trace_report *report)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    assert_non_null(replay);
    replay->trace = trace;
    replay->report = report;
    begin(replay);
    replay_records(replay);
    end(replay);
    return replay;
}

struct expected {
    const char *name;
    unsigned int prelude;
    unsigned int requests;
    unsigned int local;
    unsigned int events;
    unsigned int conn_10;
};

static void check_recording(const struct expected *expected)
{
    struct ring_trace trace;
    struct ring_trace_report report = {0};
    ring_trace_load(trace_dir, expected->name, &trace);
    struct replay *replay = run(&trace, &report);
    if (report.differences)
        fail_msg("%s: %s", expected->name, report.first);
    print_message(
        "%s: %u requests, %u responses equal (%u without the device), %u events equal, differences: "
        "CONN-10 %u; prelude %u requests; notified %u times, in the recording %u\n",
        expected->name, replay->requests, replay->responses, replay->local, replay->events, replay->conn_10,
        replay->prelude, replay->front.notified, replay->notifies);
    assert_int_equal(replay->prelude, expected->prelude);
    assert_int_equal(replay->requests, expected->requests);
    assert_int_equal(replay->requests, ring_trace_total(&trace, RING_TRACE_REQ));
    assert_int_equal(replay->responses, ring_trace_total(&trace, RING_TRACE_RSP));
    assert_int_equal(replay->local, expected->local);
    assert_int_equal(replay->events, expected->events);
    assert_int_equal(replay->conn_10, expected->conn_10);
    assert_int_equal(replay->events + replay->conn_10, ring_trace_total(&trace, RING_TRACE_CONN));
    free(replay);
    ring_trace_dispose(&trace);
}

/* Rules RING-13, CTL-02, CTL-04, XFR-02, XFR-11, SEG-11: three devices enumerated, two disks looked at. */
static void test_ring_trace_backend_enumeration(void **state)
{
    (void)state;
    check_recording(
        &(struct expected){.name = "ring-enum", .requests = 117, .local = 3, .events = 3, .conn_10 = 6});
}

/* Rules SEG-03, RING-11, RING-18: 16 requests in flight, and 65536 bytes with buffer_length 0. */
static void test_ring_trace_backend_read(void **state)
{
    (void)state;
    check_recording(&(struct expected){.name = "ring-read1M-sda", .prelude = 5, .requests = 90});
}

/* Rules HOT-01, HOT-02, CONN-10: a port emptied and filled through xenstore. */
static void test_ring_trace_backend_port_change(void **state)
{
    (void)state;
    check_recording(&(struct expected){
        .name = "ring-portchange", .prelude = 5, .requests = 53, .local = 1, .events = 2, .conn_10 = 1});
}

/* Each comparison above, seen to fail: one bit of one field of one line is wrong. */
static void test_ring_trace_backend_notices(void **state)
{
    static const struct ring_trace_flip flips[] = {
        RING_TRACE_BIT(REQ, 5, slot),     RING_TRACE_BIT(REQ, 5, id),
        RING_TRACE_BIT(REQ, 0, pipe),     RING_TRACE_BIT(REQ, 5, port),
        RING_TRACE_BIT(REQ, 5, endpoint), RING_TRACE_BIT(REQ, 5, type),
        RING_TRACE_BIT(REQ, 5, in),       RING_TRACE_BIT(REQ, 5, buffer_length),
        RING_TRACE_BIT(REQ, 5, nr_segs),  RING_TRACE_BIT(REQ, 5, urb_length),
        RING_TRACE_BIT(REQ, 0, u[1]),     RING_TRACE_BIT(REQ, 5, seg[0].length),
        RING_TRACE_BIT(RSP, 5, slot),     RING_TRACE_BIT(RSP, 5, id),
        RING_TRACE_BIT(RSP, 5, pipe),     RING_TRACE_BIT(RSP, 5, start_frame),
        RING_TRACE_BIT(RSP, 5, status),   RING_TRACE_BIT(RSP, 1, actual),
        RING_TRACE_BIT(RSP, 5, errors),   RING_TRACE_BIT(CONN, 0, id),
        RING_TRACE_BIT(CONN, 0, port),    RING_TRACE_BIT(CONN, 0, speed),
        RING_TRACE_BIT(CONN, 2, speed),   RING_TRACE_BIT(CONN, 8, speed),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
        struct ring_trace trace;
        struct ring_trace_report report = {0};
        ring_trace_load(trace_dir, "ring-enum", &trace);
        ring_trace_flip(&trace, &flips[i]);
        free(run(&trace, &report));
        if (report.differences == 0)
            fail_msg("not noticed: %s", flips[i].what);
        print_message("%s: %s\n", flips[i].what, report.first);
        ring_trace_dispose(&trace);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_trace_backend_enumeration),
        cmocka_unit_test(test_ring_trace_backend_read),
        cmocka_unit_test(test_ring_trace_backend_port_change),
        cmocka_unit_test(test_ring_trace_backend_notices),
    };
    trace_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
