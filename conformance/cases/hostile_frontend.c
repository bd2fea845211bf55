// SPDX-License-Identifier: MIT
/*
 * Backends that break the contract: rows MAL-60 to MAL-74. A frontend gives the connection up, its guest
 * gets every URB back once, and nothing of what comes later counts.
 */
#include "frontend_groups.h"
#include "frontend_support.h"

struct traffic {
    int urb[4]; /* bulk in of two pages, iso, bulk out, control */
    struct usbif_urb_request request[4];
    uint8_t *held; /* a page that is mapped, or NULL */
    bool for_ever; /* and stays so */
};

static bool all_back(struct conform *t, const struct traffic *f)
{
    for (unsigned int i = 0; i < 4; i++)
        if (guest_result(t, f->urb[i]).times == 0)
            return false;
    return true;
}

static struct traffic start(struct conform *t)
{
    struct traffic f = {.held = NULL};
    const struct guest_urb urb[4] = {make_urb(URB_BULK, 1, true, 5000), make_iso(true, 1, 64),
                                     make_urb(URB_BULK, 3, false, 64), make_control()};
    for (unsigned int i = 0; i < 4; i++)
        f.request[i] = submit_take(t, urb[i], &f.urb[i]);
    return f;
}

/* Nothing is taken any more; with the connection ended, all URBs are back once, unsuccessful. */
static void given_up(struct conform *t, struct traffic *f)
{
    const struct guest_urb urb = make_control();
    conform_settle(t);
    conform_equal(t, "submit after the violation", -ESHUTDOWN, guest_submit(t, &urb));
    if (f->held && !f->for_ever)
        back_release(t, f->held, 1);
    for (unsigned int i = 0; i < 100 && f->for_ever && !all_back(t, f); i++)
        conform_pass(t, 100 * MS);
    back_disconnect(t);
    for (unsigned int i = 0; i < 4; i++) {
        struct guest_result result = guest_result(t, f->urb[i]);
        conform_equal(t, "urb given back times", 1, result.times);
        conform_equal(t, "urb.status", -ESHUTDOWN, result.status);
    }
}

static void set_word(uint8_t *page, unsigned int offset, uint32_t value)
{
    memcpy(page + offset, &value, 4);
}

/* That id, or the next one that no request has. */
static void bad_id(struct conform *t, struct traffic *f, uint32_t id)
{
    for (unsigned int i = 0; i < 4; i++) {
        if (f->request[i].id == (uint16_t)id) {
            id++;
            i = (unsigned int)-1;
        }
    }
    back_respond(t, (uint16_t)id, 0, 0);
}

/* One that was used before, and was answered. */
static void idle_id(struct conform *t, struct traffic *f, uint32_t unused)
{
    int urb;
    (void)unused;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 5, true, 64), &urb);
    back_respond(t, request.id, 0, 0);
    guest_expect(t, urb, 0, 0);
    bad_id(t, f, request.id);
}

static void rsp_prod(struct conform *t, struct traffic *f, uint32_t value)
{
    (void)f;
    set_word(back_urb_page(t), 8, value);
    back_notify(t);
}

/* All are answered as they should be, but one response more than requests is published. */
static void prod_answered(struct conform *t, struct traffic *f, uint32_t value)
{
    for (unsigned int i = 0; i < 4; i++) {
        struct usbif_urb_response response;
        memset(&response, 0, sizeof(response));
        response.id = f->request[i].id;
        back_put(t, &response);
    }
    rsp_prod(t, f, value);
}

static void conn_prod(struct conform *t, struct traffic *f, uint32_t value)
{
    (void)f;
    set_word(back_conn_page(t), 8, value);
    back_notify(t);
}

/* Segment 0 or 1 of the bulk request, or (2) the descriptors of the isochronous one. */
static void mapped(struct conform *t, struct traffic *f, uint32_t which)
{
    const struct usbif_urb_request *request = &f->request[which == 2];
    conform_equal(t, "map", 0, back_hold(t, request, which == 2 ? 1 : which, 1, true, &f->held));
    f->for_ever = which == 2;
    back_respond(t, request->id, 0, 0);
}

static void event(struct conform *t, struct traffic *f, uint32_t value)
{
    (void)f;
    back_plug(t, (uint8_t)value, (uint8_t)(value >> 8));
}

#define ATTACKS(X)                                                                                           \
    X(id_16, "response-id.16", "id.response-unknown", "id 16", bad_id, 16)                                   \
    X(id_17, "response-id.17", "id.response-unknown", "id 17", bad_id, 17)                                   \
    X(id_255, "response-id.255", "id.response-unknown", "id 255", bad_id, 255)                               \
    X(id_32768, "response-id.32768", "id.response-unknown", "id 32768", bad_id, 32768)                       \
    X(id_65535, "response-id.65535", "id.response-unknown", "id 65535", bad_id, 65535)                       \
    X(id_idle, "response-id.idle", "id.response-unknown", "the id of no request in flight", idle_id, 0)      \
    X(prod_17, "rsp-prod.17", "ring.urb.rsp-index-jump", "rsp_prod 17", rsp_prod,                            \
      17)                                                                                                    \
    X(prod_over, "rsp-prod.over", "ring.urb.rsp-index-jump",                                                 \
      "more responses than requests", rsp_prod, 5)                                                           \
    X(prod_more, "rsp-prod.answered", "ring.urb.rsp-index-jump",                                             \
      "a response too many behind good ones", prod_answered, 5)                                              \
    X(prod_100, "rsp-prod.100", "ring.urb.rsp-index-jump", "rsp_prod 100",                                   \
      rsp_prod, 100)                                                                                         \
    X(prod_big, "rsp-prod.max", "ring.urb.rsp-index-jump", "rsp_prod 0x7fffffff",                            \
      rsp_prod, 0x7fffffff)                                                                                  \
    X(prod_back, "rsp-prod.back", "ring.urb.rsp-index-jump", "rsp_prod -1",                                  \
      rsp_prod, 0xffffffff)                                                                                  \
    X(prod_far_back, "rsp-prod.far-back", "ring.urb.rsp-index-jump",                                         \
      "rsp_prod 0x80000000", rsp_prod, 0x80000000)                                                           \
    X(map_first, "mapped.first", "segment.still-mapped", "the first page still mapped", mapped, 0)           \
    X(map_last, "mapped.last", "segment.still-mapped", "the last page still mapped", mapped, 1)              \
    X(map_iso, "mapped.descriptors", "segment.still-mapped", "the descriptors still mapped", mapped, 2)      \
    X(port_0, "plug.port-0", "plug.illegal", "port 0", event, 0x300)                                         \
    X(port_5, "plug.port-5", "plug.illegal", "port 5 of 4", event, 0x005)                                    \
    X(port_255, "plug.port-255", "plug.illegal", "port 255", event, 0x3ff)                                   \
    X(speed_4, "plug.speed-4", "plug.illegal", "speed 4", event, 0x401)                                      \
    X(speed_255, "plug.speed-255", "plug.illegal", "speed 255", event, 0xff04)                               \
    X(conn_over, "conn-rsp-prod.over", "ring.conn.rsp-index-jump",                                           \
      "more plug events than requests", conn_prod, 514)                                                      \
    X(conn_5000, "conn-rsp-prod.5000", "ring.conn.rsp-index-jump",                                           \
      "plug rsp_prod 5000", conn_prod, 5000)                                                                 \
    X(conn_0, "conn-rsp-prod.back", "ring.conn.rsp-index-jump",                                              \
      "plug rsp_prod back to 0", conn_prod, 0)                                                               \
    X(conn_minus, "conn-rsp-prod.minus", "ring.conn.rsp-index-jump",                                         \
      "plug rsp_prod -1", conn_prod, 0xffffffff)

static void connects_again(struct conform *t)
{
    back_expect_frontend_state(t, XenbusStateClosed);
    back_set_state(t, XenbusStateInitialising);
    guest_reconnect(t);
    back_connect(t);
    check_works(t);
}

/* The MUST, and the recommended parts: the toolstack can see it, and the next connection is as good as the first. */
#define ATTACK_RUN(name, id, requirement, what, attack, value)                                               \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        struct traffic f = start(t);                                                                         \
        attack(t, &f, value);                                                                                \
        given_up(t, &f);                                                                                     \
    }                                                                                                        \
    static void name##_shown(struct conform *t)                                                              \
    {                                                                                                        \
        struct traffic f = start(t);                                                                         \
        attack(t, &f, value);                                                                                \
        back_expect_frontend_state(t, XenbusStateClosing);                                                   \
    }                                                                                                        \
    static void name##_again(struct conform *t)                                                              \
    {                                                                                                        \
        struct traffic f = start(t);                                                                         \
        attack(t, &f, value);                                                                                \
        given_up(t, &f);                                                                                     \
        connects_again(t);                                                                                   \
    }
#define ATTACK_ROW(name, id, requirement, what, attack, value)                                               \
    GUEST_CASE("hostile.frontend." id, requirement, what " ends the connection, every URB returns", name),   \
        GUEST_CASE("hostile.frontend." id ".shown", "ring.error.closing",                                    \
                   "after " what " the state is Closing", name##_shown),                                     \
        GUEST_CASE("hostile.frontend." id ".again", "ring.error.reconnect", "a connection after " what " works",   \
                   name##_again),
ATTACKS(ATTACK_RUN)

/* ---- twice ---- */

static void twice(struct conform *t, unsigned int which)
{
    struct traffic f = start(t);
    const struct guest_urb urb = make_control();
    back_respond(t, f.request[which].id, 0, 0);
    conform_settle(t);
    back_respond(t, f.request[which].id, 0, 0);
    conform_settle(t);
    conform_equal(t, "urb given back times", 1, guest_result(t, f.urb[which]).times);
    conform_equal(t, "submit after the violation", -ESHUTDOWN, guest_submit(t, &urb));
}

static void twice_bulk(struct conform *t)
{
    twice(t, 0);
}

static void twice_iso(struct conform *t)
{
    twice(t, 1);
}

static void twice_control(struct conform *t)
{
    twice(t, 3);
}

static void twice_unlink(struct conform *t)
{
    struct traffic f = start(t);
    const struct guest_urb urb = make_control();
    conform_equal(t, "unlink", 0, guest_unlink(t, f.urb[0], -ENOENT));
    struct usbif_urb_request unlink = back_take(t);
    back_respond(t, unlink.id, 0, 0);
    back_respond(t, unlink.id, 0, 0);
    conform_settle(t);
    conform_equal(t, "submit after the violation", -ESHUTDOWN, guest_submit(t, &urb));
}

/* ---- what is no violation ---- */

static void good_then_bad(struct conform *t)
{
    struct traffic f = start(t);
    const uint16_t id[3] = {f.request[3].id, 99, f.request[0].id};
    for (unsigned int i = 0; i < 3; i++) {
        struct usbif_urb_response response;
        memset(&response, 0, sizeof(response));
        response.id = id[i];
        response.actual_length = 18;
        back_put(t, &response);
    }
    back_push(t);
    guest_expect(t, f.urb[3], 0, 18);
    back_disconnect(t);
    conform_equal(t, "status of the URB after the bad one", -ESHUTDOWN, guest_result(t, f.urb[0]).status);
}

static void scribble(struct conform *t)
{
    for (unsigned int round = 0; round < 20; round++) {
        int urb;
        struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
        memset(back_urb_page(t) + 64, 0xff, 4096 - 64);
        set_word(back_urb_page(t), 0, 0xdeadbeef);
        set_word(back_urb_page(t), 12, 0x55555555);
        back_respond(t, request.id, 0, 7);
        back_notify(t);
        guest_expect(t, urb, 0, 7);
    }
}

static void storm(struct conform *t)
{
    const struct guest_urb urb = make_urb(URB_BULK, 1, true, 64);
    for (unsigned int i = 0; i < 1000; i++)
        back_notify(t);
    back_expect_no_request(t);
    int number = submit(t, urb);
    struct usbif_urb_request request = back_take(t);
    back_respond(t, request.id, 0, 64);
    guest_expect(t, number, 0, 64);
}

static void iso_descriptors(struct conform *t)
{
    int urb;
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_iso(true, 4, 64), &urb);
    conform_equal(t, "map", 0, back_hold(t, &request, request.nr_buffer_segs, 1, true, &page));
    memset(page, 0xff, 64); /* offsets, lengths and results of all four */
    back_release(t, page, 1);
    back_respond(t, request.id, 0, 256);
    guest_expect(t, urb, 0, 256);
    check_works(t);
}

static void after_reconnect(struct conform *t)
{
    struct traffic f = start(t);
    bad_id(t, &f, 99);
    given_up(t, &f);
    guest_reconnect(t);
    back_set_state(t, XenbusStateInitialising);
    conform_settle(t);
    back_connect(t);
    check_works(t);
}

const struct conform_case cases_hostile_frontend[] = {
    ATTACKS(ATTACK_ROW)
        GUEST_CASE("hostile.frontend.twice.bulk", "id.response-unknown",
                   "a second response is a violation", twice_bulk),
    GUEST_CASE("hostile.frontend.twice.iso", "id.response-unknown",
               "for isochronous ones too", twice_iso),
    GUEST_CASE("hostile.frontend.twice.control", "id.response-unknown",
               "for control ones too", twice_control),
    GUEST_CASE("hostile.frontend.twice.unlink", "id.unlink-response-twice",
               "for unlinks too", twice_unlink),
    GUEST_CASE("hostile.frontend.good-then-bad", "id.response-unknown", "what came before counts",
               good_then_bad),
    GUEST_CASE("hostile.frontend.scribble", "hostile.backend",
               "its own words are not read back", scribble),
    GUEST_CASE("hostile.frontend.storm", "ring.event.spurious", "events that mean nothing do nothing", storm),
    GUEST_CASE("hostile.frontend.iso-descriptors", "hostile.backend iso.status", "results are checked", iso_descriptors),
    GUEST_CASE("hostile.frontend.reconnect", "ring.error.reconnect", "a better backend is served",
               after_reconnect),
    {0},
};
