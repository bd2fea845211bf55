// SPDX-License-Identifier: MIT
/*
 * Double fetches of a frontend: a response, a plug event or the results of packets are rewritten as soon as
 * they were read. What the guest sees is what was read first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "frontend_groups.h"
#include "frontend_support.h"
#include "rewriter.h"

#define SLOTS 64u
#define LATER 0xffff /* in a row: the id of the other request */

static grant_ref_t ring_ref(struct conform *t, const char *node)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/%s", back_frontend_dir(t), node);
    conform_true(t, store_read(t, back_handle(t), path, value), "the ring's node is there");
    return (grant_ref_t)strtoul(value, NULL, 10);
}

static uint32_t word(const uint8_t *page, unsigned int offset)
{
    uint32_t value;
    memcpy(&value, page + offset, sizeof(value));
    return value;
}

/* ---- a response ---- */

struct row {
    struct guest_urb (*make)(void);
    unsigned int field; /* offset in the response, of a number of two bytes or a half of one of four */
    bool second;
    uint16_t value; /* that is there later */
};

/* What the guest has seen of two URBs, the first of which was answered. */
struct outcome {
    struct guest_result first, second;
    enum xenbus_state state;
};

static bool same_result(const struct guest_result *a, const struct guest_result *b)
{
    return a->times == b->times && (a->times == 0 || (a->status == b->status && a->actual == b->actual &&
                                                      a->error_count == b->error_count));
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return same_result(&a->first, &b->first) && same_result(&a->second, &b->second) && a->state == b->state;
}

static struct outcome run(struct conform *t, const struct row *row, bool evil, moment_seen *seen,
                          struct rewriter *r)
{
    int urb[2];
    struct usbif_urb_request request[2];
    struct usbif_urb_response response;
    for (unsigned int i = 0; i < 2; i++)
        request[i] = submit_take(t, row->make(), &urb[i]);
    memset(&response, 0, sizeof(response));
    response.id = request[0].id;
    response.actual_length = 100;
    response.error_count = 1;
    *r = (struct rewriter){.page = back_urb_page(t),
                           .second = row->second,
                           .value = row->value == LATER ? request[1].id : row->value,
                           .nth = r->nth};
    r->from = SLOTS + word(r->page, 8) % 16 * 148;
    r->to = r->from + sizeof(response);
    r->at = r->from + row->field;
    back_put(t, &response);
    if (evil)
        rewrite(r);
    if (seen)
        moments_accesses(t, ring_ref(t, "urb-ring-ref"), seen, r);
    back_push(t);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    struct outcome outcome = {guest_result(t, urb[0]), guest_result(t, urb[1]), back_frontend_state(t)};
    if (outcome.state == XenbusStateConnected)
        back_respond(t, request[outcome.second.times == 0].id, 0, 0);
    conform_settle(t);
    return outcome;
}

static void check(struct conform *t, const struct row *row)
{
    struct rewriter r = {0};
    struct outcome good = run(t, row, false, NULL, &r);
    conform_equal(t, "urb given back times", 1, good.first.times);
    struct outcome late = run(t, row, false, rewrite_when_read, &r);
    conform_true(t, r.done, "the field was read");
    conform_equal(t, "frontend state when the field is rewritten after it was read", good.state, late.state);
    conform_equal(t, "urb.status then", good.first.status, late.first.status);
    conform_equal(t, "urb.actual_length then", good.first.actual, late.first.actual);
    conform_true(t, same(&good, &late), "the guest sees what was read first");
    struct outcome other = run(t, row, true, NULL, &r);
    conform_true(t, !same(&good, &other), "the response means something else with the other value");
}

static struct guest_urb bulk(void)
{
    return make_urb(URB_BULK, 1, true, 5000);
}

static struct guest_urb iso(void)
{
    return make_iso(true, 4, 64);
}

/* name, id, title, the URB, offset of the field, second half, the other value */
#define FIELDS(X)                                                                                            \
    X(id, "id", "the id", bulk, 0, false, LATER)                                                             \
    X(id_unknown, "id.unknown", "an id of nobody", bulk, 0, false, 0x4711)                                   \
    X(status, "status", "the status", bulk, 4, false, 0xffe0)                                                \
    X(status_high, "status.high", "its higher half", bulk, 6, true, 0xffff)                                  \
    X(actual, "actual-length", "the length", bulk, 8, false, 4000)                                           \
    X(actual_high, "actual-length.high", "its higher half", bulk, 10, true, 0x7fff)                          \
    X(errors, "error-count", "the number of errors", iso, 12, false, 3)

#define FIELD_RUN(name, id, title, ...)                                                                      \
    static void twice_##name(struct conform *t)                                                              \
    {                                                                                                        \
        static const struct row row = {__VA_ARGS__};                                                         \
        check(t, &row);                                                                                      \
    }
FIELDS(FIELD_RUN)

/* ---- a plug event ---- */

static void plugged(struct conform *t, unsigned int field, uint16_t value)
{
    const uint8_t power[8] = {0x23, 3, 8, 0, 2};
    struct rewriter r = {.page = back_conn_page(t), .value = value};
    uint32_t prod = word(r.page, 0);
    uint32_t at = word(r.page, 8);
    uint16_t id;
    conform_equal(t, "hub request", 0, guest_hub(t, power, NULL, 0));
    memcpy(&id, r.page + SLOTS + 4 * (size_t)(at % 512), sizeof(id));
    r.from = SLOTS + at % 512 * 4;
    r.to = r.from + 4;
    r.at = r.from + field;
    moments_accesses(t, ring_ref(t, "conn-ring-ref"), rewrite_when_read, &r);
    back_plug(t, 2, USBIF_SPEED_LOW);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    conform_true(t, r.done, "the field was read");
    conform_equal(t, "frontend state", XenbusStateConnected, back_frontend_state(t));
    conform_equal(t, "status of port 2", 0x10301, guest_port_status(t, 2));
    uint16_t back;
    memcpy(&back, r.page + SLOTS + 4 * (size_t)(prod % 512), sizeof(back));
    conform_equal(t, "id of the request that was posted again", id, back);
}

static void plug_port(struct conform *t)
{
    plugged(t, 2, 9);
}

static void plug_speed(struct conform *t)
{
    plugged(t, 2, 2 | 7 << 8);
}

static void plug_id(struct conform *t)
{
    plugged(t, 0, 0x4711);
}

/* ---- every byte once: an access is known by its first byte, so one inside a larger one is not seen ---- */

static void once_in(struct conform *t, const struct counter *c, const char *what)
{
    for (unsigned int at = c->from; at < c->to; at++)
        if (c->reads[at] > 1)
            conform_fail(t, "byte %u of %s: expected to be read once, it is read %u times", at - c->from,
                         what, c->reads[at]);
}

static void once(struct conform *t)
{
    struct guest_urb (*const make[])(void) = {bulk, iso, make_control};
    struct counter c;
    for (unsigned int i = 0; i < 4; i++) {
        int urb;
        struct usbif_urb_request request = submit_take(t, make[i % 3](), &urb);
        uint16_t id = request.id;
        if (i == 3) {
            conform_equal(t, "unlink", 0, guest_unlink(t, urb, -ENOENT));
            id = back_take(t).id;
        }
        memset(&c, 0, sizeof(c));
        c.from = SLOTS + word(back_urb_page(t), 8) % 16 * 148;
        c.to = c.from + 16;
        moments_accesses(t, ring_ref(t, "urb-ring-ref"), count, &c);
        back_respond(t, id, 0, 0);
        conform_settle(t);
        moments_calls(t, NULL, NULL);
        once_in(t, &c, "a response");
        if (i == 3)
            back_respond(t, request.id, -71, 0);
    }
    memset(&c, 0, sizeof(c));
    c.from = SLOTS + word(back_conn_page(t), 8) % 512 * 4;
    c.to = c.from + 4;
    moments_accesses(t, ring_ref(t, "conn-ring-ref"), count, &c);
    back_plug(t, 3, USBIF_SPEED_FULL);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    once_in(t, &c, "a plug event");
}

/* ---- at every call ---- */

struct sweep {
    uint8_t *slot;
    struct usbif_urb_response other;
    unsigned int at, calls;
};

static void rewrite_at_call(void *context, const struct moment *moment)
{
    struct sweep *s = context;
    if (moment->kind == MOMENT_CALL && s->calls++ == s->at)
        memcpy(s->slot, &s->other, sizeof(s->other));
}

/*
 * The response becomes one for the other URB before the first call of the frontend, the second, ...: one of
 * them is given back, as its response says, and the first from some call on.
 */
static void calls(struct conform *t)
{
    struct sweep s = {.at = 0};
    bool copied = false;
    for (; s.at == 0 || s.calls > s.at; s.at++) {
        int urb[2];
        struct usbif_urb_request request[2];
        for (unsigned int i = 0; i < 2; i++)
            request[i] = submit_take(t, bulk(), &urb[i]);
        s.calls = 0;
        s.slot = back_urb_page(t) + SLOTS + (size_t)(word(back_urb_page(t), 8) % 16) * 148;
        memset(&s.other, 0, sizeof(s.other));
        s.other.id = request[1].id;
        s.other.status = -32;
        s.other.actual_length = 7;
        moments_calls(t, rewrite_at_call, &s);
        back_respond(t, request[0].id, 0, 100);
        conform_settle(t);
        moments_calls(t, NULL, NULL);
        bool first = guest_result(t, urb[0]).times == 1;
        conform_true(t, first || !copied, "a response that was copied is not read again");
        copied = first;
        guest_expect(t, urb[!first], first ? 0 : -EPIPE, first ? 100 : 7);
        guest_expect_none(t, urb[first]);
        back_respond(t, request[first].id, 0, 0);
        guest_expect(t, urb[first], 0, 0);
    }
    conform_true(t, copied, "a response that is rewritten after everything else counts");
}

/* ---- the index ---- */

struct jump {
    uint8_t *page;
    uint32_t to;
    unsigned int reads;
};

static void jump_after_read(void *context, const struct moment *moment)
{
    struct jump *j = context;
    if (moment->kind != MOMENT_READ || moment->offset != 8 || j->reads++ > 0)
        return;
    memcpy(j->page + 8, &j->to, sizeof(j->to));
}

/* rsp_prod says too much as soon as it was read: the URB that was answered is back once, and no other as a
 * success. */
static void index_later(struct conform *t, uint32_t by)
{
    int urb[3];
    struct usbif_urb_request request[3];
    for (unsigned int i = 0; i < 3; i++)
        request[i] = submit_take(t, bulk(), &urb[i]);
    struct jump j = {.page = back_urb_page(t), .to = word(back_urb_page(t), 8) + by};
    for (uint32_t i = 1; i < 3; i++) { /* in slots that are not published, responses to the others */
        struct usbif_urb_response later;
        memset(&later, 0, sizeof(later));
        later.id = request[i].id;
        later.actual_length = 7;
        memcpy(j.page + SLOTS + (size_t)((word(j.page, 8) + i) % 16) * 148, &later, sizeof(later));
    }
    moments_accesses(t, ring_ref(t, "urb-ring-ref"), jump_after_read, &j);
    back_respond(t, request[0].id, 0, 100);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    conform_true(t, j.reads > 0, "the index was read");
    guest_expect(t, urb[0], 0, 100);
    for (unsigned int i = 1; i < 3; i++) {
        struct guest_result result = guest_result(t, urb[i]);
        conform_true(t, result.times == 0 || (result.times == 1 && result.status != 0),
                     "what was not answered is not given back as a success");
    }
}

static void index_17(struct conform *t)
{
    index_later(t, 17);
}

static void index_back(struct conform *t)
{
    index_later(t, 0xffffffff);
}

#define CASE(id, title, run, needs_)                                                                         \
    {                                                                                                        \
        "hostile.frontend.read-once." id, "ring.read-once hostile.backend", title, run, CONFORM_FRONTEND,    \
            CONFORM_READY, 0, 0, "guest " needs_                                                             \
    }
#define FIELD_ROW(name, id, title, ...) CASE(id, title, twice_##name, "accesses"),

const struct conform_case cases_hostile_frontend_read[] = {
    FIELDS(FIELD_ROW) CASE("plug.port", "the port of a plug event", plug_port, "accesses"),
    CASE("plug.speed", "the speed of a plug event", plug_speed, "accesses"),
    CASE("plug.id", "the id of a plug event", plug_id, "accesses"),
    CASE("once", "no byte of a response or event is read twice", once, "accesses"),
    CASE("calls", "a response rewritten at every call", calls, "moments"),
    CASE("rsp-prod.17", "17 more after the first reading", index_17, "accesses"),
    CASE("rsp-prod.back", "back by one after the first reading", index_back, "accesses"),
    {0},
};
