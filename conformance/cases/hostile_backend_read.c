// SPDX-License-Identifier: MIT
/*
 * Double fetches of a backend: what is shared is rewritten between its check and its use. As soon as a field
 * was read, it says something else; what becomes of the request is what the first reading said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../front.h"
#include "../moments.h"
#include "backend_groups.h"
#include "rewriter.h"

#define SLOTS       64u
#define DESCRIPTORS ((FRONT_PAGES - 1) * 4096u) /* where front_iso() has them */
#define PAGES       (FRONT_PAGES - 2)           /* the last two are the probe's and the descriptors' */

/* ---- what became of a request ---- */

struct outcome {
    uint16_t id;
    int32_t status, actual, errors;
    uint32_t memory;
    uint32_t device;
};

static uint32_t add(uint32_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 0x01000193u;
    return sum;
}

static uint32_t device_sum(struct conform *t)
{
    struct probe_entry log[8];
    unsigned int n = probe_log(t, log, 8);
    return add(n, log, n * sizeof(log[0]));
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return a->id == b->id && a->status == b->status && a->actual == b->actual && a->errors == b->errors &&
           a->memory == b->memory && a->device == b->device;
}

/* ---- one request ---- */

struct row {
    /* The slot is the page of it; the other page is that of the isochronous descriptors. */
    bool descriptors;
    struct usbif_urb_request (*make)(struct conform *t);
    unsigned int field; /* offset in the request, of a number of two bytes or a half of one of four */
    bool second;
    uint16_t value; /* that is there later; 0: the reference of another page */
};

static grant_ref_t ring_ref(struct conform *t, const char *node)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    struct front *f = front_number(t, 0);
    snprintf(path, sizeof(path), "%s/%s", front_dir(f), node);
    conform_true(t, store_read(t, front_handle(f), path, value), "the ring's node is there");
    return (grant_ref_t)strtoul(value, NULL, 10);
}

/* Memory and device are the same at the beginning of each. `seen` rewrites, or the other value is there at
 * first. */
static struct outcome run(struct conform *t, const struct row *row, bool evil, moment_seen *seen,
                          struct rewriter *r)
{
    struct front *f = front_number(t, 0);
    struct outcome outcome;
    probe_clear(t);
    for (unsigned int i = 0; i < PAGES * 4096; i++)
        front_data(f)[i] = (uint8_t)(i * 7 + i / 4096);
    struct usbif_urb_request request = row->make(t);
    const uint16_t value = row->value ? row->value : (uint16_t)front_ref(f, 9, false);
    *r = (struct rewriter){.page = front_urb_page(f), .second = row->second, .value = value, .nth = r->nth};
    request.id = 0x55;
    r->from = (unsigned int)(front_slot(f, front_word(r->page, 0)) - r->page);
    r->to = r->from + sizeof(request);
    if (row->descriptors) {
        r->page = front_data(f) + DESCRIPTORS;
        r->from = 0;
        r->to = 8 * 16;
    }
    r->at = r->from + row->field;
    if (evil)
        memcpy(row->descriptors ? r->page + row->field : (uint8_t *)&request + row->field, &value,
               sizeof(value));
    if (seen)
        moments_accesses(
            t, row->descriptors ? front_ref(f, FRONT_PAGES - 1, false) : ring_ref(t, "urb-ring-ref"), seen,
            r);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_next(f);
    moments_calls(t, NULL, NULL);
    outcome = (struct outcome){
        .id = rsp.id, .status = rsp.status, .actual = rsp.actual_length, .errors = rsp.error_count};
    outcome.memory = add(0, front_data(f), PAGES * 4096);
    outcome.memory = add(outcome.memory, front_data(f) + DESCRIPTORS, 8 * 16);
    outcome.device = device_sum(t);
    return outcome;
}

/*
 * Alternate 1 has isochronous endpoints. And one request waits all the time, so that no response is written
 * to the slot of its own request.
 */
static void begin(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 1, 11, 1, 0, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    request = front_int(t, 0x82, (FRONT_PAGES - 1) * 4096u + 2048, 8);
    front_send(t, &request);
}

static void check(struct conform *t, const struct row *row)
{
    begin(t);
    struct rewriter r = {0};
    bool copied = false;
    struct outcome good = run(t, row, false, NULL, &r);
    struct outcome other = run(t, row, true, NULL, &r);
    conform_true(t, !same(&good, &other), "the request means something else with the other value");
    struct outcome late = run(t, row, false, rewrite_when_read, &r);
    conform_true(t, r.done, "the field was read");
    conform_equal(t, "rsp.id when the field is rewritten after it was read", good.id, late.id);
    conform_equal(t, "rsp.status when the field is rewritten after it was read", good.status, late.status);
    conform_equal(t, "rsp.actual_length then", good.actual, late.actual);
    conform_equal(t, "sum of the buffer then", good.memory, late.memory);
    conform_equal(t, "sum of what reached the device then", good.device, late.device);
    /* And for readers of many bytes at once, after each reading; readers of two bytes have been seen to. */
    for (unsigned int nth = 0; nth == 0 || r.reads > nth; nth += r.reads > 20 ? 5 : 1) {
        r.nth = nth;
        late = run(t, row, false, rewrite_at_read, &r);
        bool is_good = same(&late, &good);
        if (!is_good && (copied || !same(&late, &other)))
            conform_fail(t,
                         "rewritten after reading %u: expected all of one of both requests, status %d came",
                         nth, late.status);
        copied = is_good;
    }
    front_check_works(t);
}

static struct usbif_urb_request in(struct conform *t)
{
    return front_bulk(t, 0x81, 64, 4000);
}

static struct usbif_urb_request out(struct conform *t)
{
    return front_bulk(t, 0x01, 64, 4000);
}

static struct usbif_urb_request control(struct conform *t)
{
    return front_control(t, CONFORM_ADDRESS, 0x40, PROBE_SET_BYTES, 0, 0, 0, 8);
}

static struct usbif_urb_request get(struct conform *t)
{
    return front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 18);
}

static struct usbif_urb_request address(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, 0, 0, 5, CONFORM_ADDRESS, 0, 0, 0);
    request.pipe |= 1;
    return request;
}

static struct usbif_urb_request iso(struct conform *t)
{
    return front_iso(t, 0x84, 0, 8, 64);
}

/* name, id, title, in the descriptors, the request, offset of the field, second half, the other value */
#define FIELDS(X)                                                                                            \
    X(id, "id", "the id", false, in, 0, false, 0x4711)                                                       \
    X(segs, "nr-buffer-segs", "the number of segments", false, in, 2, false, 17)                             \
    X(segs_more, "nr-buffer-segs.two", "one segment more", false, in, 2, false, 2)                           \
    X(segs_out, "nr-buffer-segs.out", "the number of segments, OUT", false, out, 2, false, 65535)            \
    X(device, "pipe.device", "the device", false, in, 4, false, 99 << 8 | 0x8080)                            \
    X(direction, "pipe.direction", "the direction", false, in, 4, false, CONFORM_ADDRESS << 8 | 0x8000)      \
    X(unlink, "pipe.unlink", "the unlink bit", false, in, 4, false, CONFORM_ADDRESS << 8 | 0x80a0)           \
    X(endpoint, "pipe.endpoint", "the endpoint", false, in, 6, true, 0xc004)                                 \
    X(type, "pipe.type", "the type", false, in, 6, true, 0x0001)                                             \
    X(length, "buffer-length", "the length", false, in, 10, false, 8)                                        \
    X(setup, "ctrl.request", "the request of a setup packet", false, control, 12, false,                     \
      PROBE_DO_STALL << 8 | 0x40)                                                                            \
    X(value, "ctrl.value", "the value of a setup packet", false, get, 14, false, 0x200)                      \
    X(wlength, "ctrl.length", "the length of a setup packet", false, control, 18, false, 512)                \
    X(new_address, "ctrl.address", "the new address", false, address, 14, false, 200)                        \
    X(packets, "isoc.packets", "the number of packets", false, iso, 16, false, 3)                            \
    X(desc_segs, "isoc.desc-segs", "the number of segments of descriptors", false, iso, 18, false, 16)       \
    X(gref, "seg.gref", "a reference", false, in, 20, false, 0)                                              \
    X(gref_out, "seg.gref.out", "a reference, OUT", false, out, 20, false, 0)                                \
    X(offset, "seg.offset", "an offset", false, in, 24, false, 4000)                                         \
    X(offset_in, "seg.offset.inside", "an offset that is as good", false, in, 24, false, 0)                  \
    X(seg_length, "seg.length", "the length of a segment", false, in, 26, false, 100)                        \
    X(packet_offset, "packet.offset", "the offset of a packet", true, iso, 16, false, 4000)                  \
    X(packet_half, "packet.offset.high", "its higher half", true, iso, 18, true, 0x8000)                     \
    X(packet_inside, "packet.offset.inside", "another place in the data", true, iso, 16, false, 8)           \
    X(packet_length, "packet.length", "the length of a packet", true, iso, 20, false, 4000)                  \
    X(packet_last, "packet.length.last", "the length of the last packet", true, iso, 7 * 16 + 4, false, 65)

#define FIELD_RUN(name, id, title, ...)                                                                      \
    static void twice_##name(struct conform *t)                                                              \
    {                                                                                                        \
        static const struct row row = {__VA_ARGS__};                                                         \
        check(t, &row);                                                                                      \
    }
FIELDS(FIELD_RUN)

/* ---- an unlink, and a plug request ---- */

/* The target is the one that was named first. */
static void unlink_id(struct conform *t)
{
    struct front *f = front_number(t, 0);
    probe_default(t, 0x81, PROBE_HOLD, 0);
    struct usbif_urb_request named = front_bulk(t, 0x81, 0, 64);
    struct usbif_urb_request other = front_bulk(t, 0x81, 4096, 64);
    front_send(t, &named);
    front_send(t, &other);
    conform_settle(t);
    struct usbif_urb_request unlink = front_unlink(t, &named);
    struct rewriter r = {.page = front_urb_page(f), .value = other.id};
    r.from = (unsigned int)(front_slot(f, front_word(r.page, 0)) - r.page);
    r.to = r.from + sizeof(unlink);
    r.at = r.from + 12;
    moments_accesses(t, ring_ref(t, "urb-ring-ref"), rewrite_when_read, &r);
    front_send(t, &unlink);
    struct usbif_urb_response rsp = front_next(f);
    moments_calls(t, NULL, NULL);
    conform_true(t, r.done, "the field was read");
    conform_equal(t, "rsp.id of the target when unlink_id is rewritten after it was read", named.id, rsp.id);
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, other.id);
}

static void plug_id(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_knobs(f)->hold_plug_requests = true;
    front_prime(f, 2, 0x1234);
    struct rewriter r = {
        .page = front_conn_page(f), .from = SLOTS, .to = SLOTS + 8, .at = SLOTS, .value = 0x4711};
    moments_accesses(t, ring_ref(t, "conn-ring-ref"), rewrite_when_read, &r);
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
    front_port(f, 1, "1-1");
    struct usbif_conn_response event = front_next_plug(f);
    moments_calls(t, NULL, NULL);
    conform_true(t, r.done, "the field was read");
    conform_equal(t, "event.id when the request's is rewritten after it was read", 0x1234, event.id);
}

/* ---- every byte once ---- */

/* Of a request of each type no byte is read a second time. */
static void once(struct conform *t)
{
    struct usbif_urb_request (*const make[])(struct conform * t) = {in, out, control, get, address, iso};
    struct front *f = front_number(t, 0);
    begin(t);
    for (unsigned int i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
        struct counter c;
        struct usbif_urb_request request = make[i](t);
        memset(&c, 0, sizeof(c));
        c.from = (unsigned int)(front_slot(f, front_word(front_urb_page(f), 0)) - front_urb_page(f));
        c.to = c.from + sizeof(request);
        moments_accesses(t, ring_ref(t, "urb-ring-ref"), count, &c);
        front_send(t, &request);
        (void)front_response(f, request.id);
        moments_calls(t, NULL, NULL);
        for (unsigned int at = c.from; at < c.to; at++)
            if (c.reads[at] > 1)
                conform_fail(t, "byte %u of the request: expected to be read once, it is read %u times",
                             at - c.from, c.reads[at]);
    }
}

/* ---- at every call ---- */

struct sweep {
    uint8_t *slot;
    struct usbif_urb_request other;
    unsigned int at, calls;
};

static void rewrite_at_call(void *context, const struct moment *moment)
{
    struct sweep *s = context;
    if (moment->kind == MOMENT_CALL && s->calls++ == s->at)
        memcpy(s->slot, &s->other, sizeof(s->other));
}

static struct outcome swept(struct conform *t, struct sweep *s, struct usbif_urb_request request)
{
    struct front *f = front_number(t, 0);
    probe_clear(t);
    memset(front_data(f), 0x3c, PAGES * 4096);
    s->calls = 0;
    s->slot = front_slot(f, front_word(front_urb_page(f), 0));
    front_put(f, &request);
    moments_calls(t, rewrite_at_call, s);
    front_push(f);
    struct usbif_urb_response rsp = front_next(f);
    moments_calls(t, NULL, NULL);
    struct outcome outcome = {
        .id = rsp.id, .status = rsp.status, .actual = rsp.actual_length, .errors = rsp.error_count};
    outcome.memory = add(0, front_data(f), PAGES * 4096);
    outcome.device = device_sum(t);
    return outcome;
}

/*
 * The slot becomes another good request before the first call of the backend, the second, ... What is done is
 * all of the one or all of the other, and the first from some call on.
 */
static void sweep(struct conform *t, struct usbif_urb_request first, struct usbif_urb_request other)
{
    struct sweep s = {.other = other, .at = ~0u};
    bool copied = false;
    begin(t);
    first.id = 0x55;
    s.other.id = 0x66;
    const struct outcome good = swept(t, &s, first);
    const struct outcome bad = swept(t, &s, s.other);
    for (s.at = 0; s.at == 0 || s.calls > s.at; s.at++) {
        struct outcome now = swept(t, &s, first);
        bool is_good = same(&now, &good);
        if (!is_good && !same(&now, &bad))
            conform_fail(
                t,
                "a slot rewritten before call %u: expected one of both requests, id %u came with status %d",
                s.at, now.id, now.status);
        if (copied && !is_good)
            conform_fail(t, "a slot rewritten before call %u is read again", s.at);
        copied = is_good;
    }
    conform_true(t, copied, "a slot that is rewritten after everything else has no effect");
    conform_note(t, "%u calls from a request to its response", s.calls);
}

static void sweep_in(struct conform *t)
{
    sweep(t, front_bulk(t, 0x81, 100, 5000), front_bulk(t, 0x83, 8192 + 77, 300));
}

static void sweep_out(struct conform *t)
{
    sweep(t, front_bulk(t, 0x01, 100, 5000), front_bulk(t, 0x03, 8192 + 77, 300));
}

static void sweep_control(struct conform *t)
{
    sweep(t, front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 18),
          front_control(t, CONFORM_ADDRESS, 0x40, PROBE_SET_BYTES, 0, 0, 4096, 8));
}

static void sweep_iso(struct conform *t)
{
    sweep(t, front_iso(t, 0x84, 0, 8, 64), front_bulk(t, 0x83, 8192 + 77, 300));
}

static void sweep_refused(struct conform *t)
{
    struct usbif_urb_request refused = front_bulk(t, 0x83, 8192, 300);
    refused.nr_buffer_segs = 17;
    sweep(t, front_bulk(t, 0x81, 0, 64), refused);
}

/* ---- the index ---- */

struct jump {
    uint8_t *page;
    uint32_t to;
    unsigned int at, reads;
};

static void jump_after_read(void *context, const struct moment *moment)
{
    struct jump *j = context;
    if (moment->kind == MOMENT_READ && moment->offset == 0 && j->reads++ == j->at)
        front_set_word(j->page, 0, j->to);
}

/*
 * req_prod says too much after the first time it was read, the second, ...: no old slot is carried out. By the second the
 * request may have been answered, and 16 more are none too many then.
 */
static void index_at(struct conform *t, uint32_t by, unsigned int at)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    uint32_t old = front_word(front_urb_page(f), 0);
    struct jump j = {.page = front_urb_page(f), .to = old + by, .at = at};
    uint32_t answered = front_word(front_urb_page(f), 8);
    front_put(f, &request);
    front_knobs(f)->deaf = true;
    moments_accesses(t, ring_ref(t, "urb-ring-ref"), jump_after_read, &j);
    front_push(f);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    uint32_t responses = front_word(front_urb_page(f), 8) - answered;
    conform_true(t, responses <= 1, "at most the one request is answered");
    if (j.reads > at)
        front_notify(f);
    conform_settle(t);
    conform_true(t, front_word(front_urb_page(f), 8) - answered <= 1, "and none later");
}

#define INDEXES(X)                                                                                           \
    X(index_17_0, "req-prod.17.first", "17 more after the first reading", 17, 0)                             \
    X(index_18_1, "req-prod.18.second", "18 more after the second", 18, 1)                                   \
    X(index_far, "req-prod.far", "far ahead after the first", 0x7fffffff, 0)                                 \
    X(index_back, "req-prod.back", "back by one after the first", 0xffffffff, 0)

#define INDEX_RUN(name, id, title, by, at)                                                                   \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        index_at(t, by, at);                                                                                 \
    }
INDEXES(INDEX_RUN)

#define CASE(id, title, run, start_, needs_)                                                                 \
    {                                                                                                        \
        "hostile.backend.read-once." id, "ring.read-once hostile.assert", title, run,                        \
            .start = start_, .needs = "device toolstack " needs_                                             \
    }
#define FIELD_ROW(name, id, title, ...) CASE(id, title, twice_##name, CONFORM_READY, "iso accesses"),
#define INDEX_ROW(name, id, title, by, at)                                                                   \
    {"hostile.backend.read-once." id,                                                                        \
     "ring.read-once ring.urb.index-jump ring.urb.index-back",                                               \
     title,                                                                                                  \
     name,                                                                                                   \
     .start = CONFORM_READY,                                                                                 \
     .needs = "device accesses"},

const struct conform_case hostile_backend_read_cases[] = {
    FIELDS(FIELD_ROW) INDEXES(INDEX_ROW)
        CASE("unlink-id", "the id of an unlink's target", unlink_id, CONFORM_READY, "accesses"),
    CASE("plug-id", "the id of a plug request", plug_id, CONFORM_NODES, "accesses"),
    CASE("once", "no byte of a request is read twice", once, CONFORM_READY, "iso accesses"),
    CASE("calls.in", "an IN request rewritten at every call", sweep_in, CONFORM_READY, "iso moments"),
    CASE("calls.out", "an OUT request", sweep_out, CONFORM_READY, "iso moments"),
    CASE("calls.control", "a control request", sweep_control, CONFORM_READY, "iso moments"),
    CASE("calls.iso", "an isochronous request", sweep_iso, CONFORM_READY, "iso moments"),
    CASE("calls.refused", "a request that becomes a bad one", sweep_refused, CONFORM_READY, "iso moments"),
    {0},
};
