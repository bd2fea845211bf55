// SPDX-License-Identifier: MIT
/*
 * Goal: whatever a backend writes, the frontend names the violation, tells the toolstack, gives every URB
 * back once, and loses nothing (rules MAL-60 to MAL-72, LIF-08, SEC-09).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define BULK   USBIF_PIPE_TYPE_BULK
#define ERROR  "/local/domain/1/error/device/vusb/0/error"
#define SECOND UINT64_C(1000000000)

/* A bit of everything in flight: data, descriptors, an unlink, and URBs that wait. */
struct traffic {
    struct frig frig;
    struct hcd_urb bulk;
    struct hcd_urb iso;
    struct pvusb_iso_desc packet;
    struct hcd_urb unlinked;
    struct hcd_urb control[15];
    struct usbif_urb_request
        request[16]; /* on the ring, in order: bulk, iso, unlinked, its unlink, 11 controls */
    uint8_t *held;   /* what the attack keeps mapped */
};

enum { ALL = 18 };

static void start(struct traffic *t)
{
    struct frig *frig = &t->frig;
    frig_start(frig, 2, 4);
    t->held = NULL;
    t->bulk = frig_data(frig, BULK, 1, true, frig->buffer + 100, 5000);
    t->packet = (struct pvusb_iso_desc){.length = 64};
    t->iso = frig_data(frig, USBIF_PIPE_TYPE_ISOC, 2, true, frig->buffer, 64);
    t->iso.packets = &t->packet;
    t->iso.nr_packets = 1;
    t->unlinked = frig_data(frig, BULK, 3, false, frig->buffer, 64);
    assert_int_equal(frig_submit(frig, &t->bulk), 0);
    assert_int_equal(frig_submit(frig, &t->iso), 0);
    assert_int_equal(frig_submit(frig, &t->unlinked), 0);
    assert_int_equal(frig_unlink(frig, &t->unlinked, -ENOENT), 0);
    for (unsigned int i = 0; i < 15; i++) {
        t->control[i] = frig_control(frig, (const uint8_t[8]){0x80, 6, 0, 1, 0, 0, 18, 0}, frig->buffer);
        assert_int_equal(frig_submit(frig, &t->control[i]), 0);
    }
    for (unsigned int i = 0; i < 15; i++)
        t->request[i] = frig_take(frig);
    frig_hub(frig, 0x23, 3, 8, 2, NULL, 0);
    raw_back_plug(&frig->back, 2, USBIF_SPEED_HIGH);
    frig_run(frig);
    assert_int_equal(front_verdict(frig->rig.front), PVUSB_OK);
}

static void expect_all_back(struct traffic *t)
{
    assert_int_equal(t->frig.nr_done, ALL);
    assert_int_equal(frig_count_done(&t->frig, &t->bulk), 1);
    assert_int_equal(frig_count_done(&t->frig, &t->iso), 1);
    assert_int_equal(frig_count_done(&t->frig, &t->unlinked), 1);
    assert_int_equal(t->bulk.status, -ESHUTDOWN);
    assert_int_equal(t->iso.status, -ESHUTDOWN);
    assert_int_equal(t->unlinked.status, -ENOENT);
    for (unsigned int i = 0; i < 15; i++) {
        assert_int_equal(frig_count_done(&t->frig, &t->control[i]), 1);
        assert_int_equal(t->control[i].status, -ESHUTDOWN);
    }
}

/* ---- attacks ---- */

static void response(struct traffic *t, uint32_t id)
{
    raw_back_respond(&t->frig.back, (struct usbif_urb_response){.id = (uint16_t)id});
}

static void idle_id(struct traffic *t, uint32_t unused)
{
    unsigned int used = 0;
    (void)unused;
    for (unsigned int i = 0; i < 15; i++)
        used |= 1u << t->request[i].id;
    response(t, (uint32_t)__builtin_ctz(~used));
}

static void rsp_prod(struct traffic *t, uint32_t value)
{
    t->frig.back.urb->rsp_prod = value;
    raw_back_notify(&t->frig.back);
}

static void conn_rsp_prod(struct traffic *t, uint32_t value)
{
    t->frig.back.conn->rsp_prod = value;
    raw_back_notify(&t->frig.back);
}

/*
 * Rule MAL-65: segment `which` of the first request (0, 1) or the descriptors of the second (2) stays mapped.
 */
static void still_mapped(struct traffic *t, uint32_t which)
{
    struct usbif_urb_request *request = &t->request[which == 2];
    unsigned int seg = which == 2 ? 1 : which;
    assert_int_equal(raw_back_map_segments(&t->frig.back, request, seg, 1, true, &t->held), 0);
    response(t, request->id);
}

/* Port in the low byte, speed above. */
static void event(struct traffic *t, uint32_t value)
{
    raw_back_plug(&t->frig.back, (uint8_t)value, (uint8_t)(value >> 8));
}

/* A good response first, so that the last one is not at a fresh ring's index. */
static void backwards(struct traffic *t, uint32_t by)
{
    frig_answer(&t->frig, t->request[14].id, -108, 0);
    frig_answer(&t->frig, t->request[13].id, -108, 0);
    rsp_prod(t, 2 - by);
}

/* With a plug event on the other ring, which is not looked at any more. */
static void with_event(struct traffic *t, uint32_t id)
{
    raw_back_plug(&t->frig.back, 2, USBIF_SPEED_LOW);
    response(t, id);
}

/* Good and bad in one go: what is good counts, what follows the bad does not. */
static void good_then_bad(struct traffic *t, uint32_t id)
{
    raw_back_put(&t->frig.back, (struct usbif_urb_response){.id = t->request[14].id, .status = -108});
    raw_back_put(&t->frig.back, (struct usbif_urb_response){.id = (uint16_t)id});
    raw_back_put(&t->frig.back, (struct usbif_urb_response){.id = t->request[0].id});
    raw_back_publish(&t->frig.back);
}

static const struct attack {
    const char *rule;
    void (*run)(struct traffic *t, uint32_t value);
    uint32_t value;
    enum pvusb_verdict verdict;
    const char *name;
} attacks[] = {
    {"MAL-60", response, 16, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", response, 17, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", response, 255, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", response, 32768, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", response, 65535, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-61, ID-04", idle_id, 0, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", good_then_bad, 99, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-60", with_event, 16, PVUSB_RESPONSE_ID, "response-id"},
    {"MAL-63, RING-08", rsp_prod, 16, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-63, RING-08", rsp_prod, 17, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-63, RING-08", rsp_prod, 100, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-63, RING-08", rsp_prod, 0x7fffffff, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-64", rsp_prod, 0x80000000, PVUSB_RING_UNDERFLOW, "ring-underflow"},
    {"MAL-64", rsp_prod, 0xffffffff, PVUSB_RING_UNDERFLOW, "ring-underflow"},
    {"MAL-64", backwards, 1, PVUSB_RING_UNDERFLOW, "ring-underflow"},
    {"MAL-64", backwards, 2, PVUSB_RING_UNDERFLOW, "ring-underflow"},
    {"MAL-65, SEG-11", still_mapped, 0, PVUSB_GRANT_IN_USE, "grant-in-use"},
    {"MAL-65, SEG-11", still_mapped, 1, PVUSB_GRANT_IN_USE, "grant-in-use"},
    {"MAL-65, ISO-02", still_mapped, 2, PVUSB_GRANT_IN_USE, "grant-in-use"},
    {"MAL-68, CONN-08", event, 0x300, PVUSB_CONN_PORT, "conn-port"},
    {"MAL-68, CONN-08", event, 0x005, PVUSB_CONN_PORT, "conn-port"},
    {"MAL-68, CONN-08", event, 0x3ff, PVUSB_CONN_PORT, "conn-port"},
    {"MAL-68, CONN-08", event, 0x401, PVUSB_CONN_SPEED, "conn-speed"},
    {"MAL-68, CONN-08", event, 0xff04, PVUSB_CONN_SPEED, "conn-speed"},
    {"MAL-69, RING-08", conn_rsp_prod, 514, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-69, RING-08", conn_rsp_prod, 5000, PVUSB_RING_OVERFLOW, "ring-overflow"},
    {"MAL-69, RING-08", conn_rsp_prod, 0, PVUSB_RING_UNDERFLOW, "ring-underflow"},
    {"MAL-69, RING-08", conn_rsp_prod, 0xffffffff, PVUSB_RING_UNDERFLOW, "ring-underflow"},
};

static void let_go(struct traffic *t)
{
    if (t->held)
        raw_back_unmap_segments(&t->frig.back, t->held, 1);
    t->held = NULL;
}

/*
 * The rules are in the table; after each attack the backend leaves at once, or lies for 5 s, or 5 s with
 * pages held.
 */
static void test_front_hostile_attacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3 * sizeof(attacks) / sizeof(attacks[0]); i++) {
        const struct attack *attack = &attacks[i / 3];
        static struct traffic t;
        struct frig *frig = &t.frig;
        char error[128];
        start(&t);
        attack->run(&t, attack->value);
        frig_run(frig);
        if (front_verdict(frig->rig.front) != attack->verdict)
            fail_msg("%s %u: %s", attack->rule, attack->value,
                     pvusb_verdict_name(front_verdict(frig->rig.front)));
        snprintf(error, sizeof(error), "71 protocol violated by the backend: %s", attack->name);
        assert_string_equal(rig_node(&frig->rig, ERROR), error);
        assert_int_equal(raw_back_frontend_state(&frig->back), XenbusStateClosing);
        assert_int_equal(frig_port_status(frig, 2), 0x10100);
        assert_int_equal(frig_submit(frig, &t.bulk), -ESHUTDOWN);

        response(&t, 4711); /* once is enough: the rings are not read any more */
        raw_back_plug(&frig->back, 77, 77);
        frig_run(frig);
        assert_int_equal(front_verdict(frig->rig.front), attack->verdict);
        assert_string_equal(rig_node(&frig->rig, ERROR), error);
        if (i % 3 == 0) {
            let_go(&t);
        } else {
            frig_advance(frig, 5 * SECOND - 1);
            assert_int_equal(raw_back_frontend_state(&frig->back), XenbusStateClosing);
            frig_advance(frig, 1);
            assert_int_equal(raw_back_frontend_state(&frig->back), XenbusStateClosed);
            expect_all_back(&t);
            if (i % 3 == 1)
                let_go(&t);
        }
        frig_back_leaves(frig);
        expect_all_back(&t);
        assert_int_equal(raw_back_frontend_state(&frig->back),
                         t.held && i % 3 == 0 ? XenbusStateClosing : XenbusStateClosed);
        let_go(&t);
        frig_run(frig);

        assert_int_equal(front_reconnect(frig->rig.front), 0); /* and a better backend can be served */
        frig_connect(frig);
        assert_int_equal(front_verdict(frig->rig.front), PVUSB_OK);
        frig->nr_done = 0;
        assert_int_equal(frig_submit(frig, &t.bulk), 0);
        frig_answer(frig, frig_take(frig).id, 0, 10);
        assert_int_equal(t.bulk.status, 0);
        frig_dispose(frig);
    }
}

/* Rules CONN-07, CONN-08: all ports by all speeds; what is fine on one connection. */
static void test_front_hostile_good_events(void **state)
{
    static struct traffic t;
    (void)state;
    start(&t);
    for (uint8_t port = 1; port <= 4; port++)
        for (uint8_t speed = 0; speed <= 3; speed++)
            raw_back_plug(&t.frig.back, port, speed);
    frig_run(&t.frig);
    assert_int_equal(front_verdict(t.frig.rig.front), PVUSB_OK);
    frig_dispose(&t.frig);
    expect_all_back(&t);
}

/* Rules MAL-62, ID-04, ID-05: any answer given twice. */
static void test_front_hostile_twice(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        static struct traffic t;
        start(&t);
        response(&t, t.request[i].id);
        response(&t, t.request[i].id);
        frig_run(&t.frig);
        assert_int_equal(front_verdict(t.frig.rig.front), PVUSB_RESPONSE_ID);
        frig_dispose(&t.frig);
        assert_int_equal(t.frig.nr_done, ALL);
    }
}

/* Rule MAL-71: no answer, ever: nothing happens by itself, and nothing is lost in the end. */
static void test_front_hostile_silence(void **state)
{
    static struct traffic t;
    (void)state;
    start(&t);
    for (unsigned int i = 0; i < 100; i++)
        frig_advance(&t.frig, 60 * SECOND);
    assert_int_equal(t.frig.nr_done, 0);
    assert_int_equal(front_deadline(t.frig.rig.front), UINT64_MAX);
    frig_dispose(&t.frig);
    expect_all_back(&t);
}

/* Rule MAL-72: an answer to what was not read yet is an answer. */
static void test_front_hostile_early(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    frig_answer(&frig, frig.back.urb->ring[0].req.id, 0, 64);
    assert_int_equal(urb.status, 0);
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_dispose(&frig);
}

/* Rules RING-04, MAL-39, MAL-40: what is ours on the page may be scribbled over; it is not read back. */
static void test_front_hostile_scribble(void **state)
{
    struct frig frig;
    struct hcd_urb urb[3];
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int round = 0; round < 50; round++) {
        uint16_t id[3];
        for (unsigned int i = 0; i < 3; i++) {
            urb[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
            assert_int_equal(frig_submit(&frig, &urb[i]), 0);
            id[i] = frig_take(&frig).id;
        }
        memset(frig.back.urb->ring, 0xff, RAW_PAGE - 64);
        memset(frig.back.conn->ring, 0xff, RAW_PAGE - 64);
        frig.back.urb->req_prod = 0xdeadbeef;
        frig.back.conn->req_prod = 0xdeadbeef;
        frig.back.urb->rsp_event = 0x55555555;
        frig.back.urb->req_event = 0xaaaaaaaa;
        for (unsigned int i = 0; i < 3; i++)
            frig_answer(&frig, id[2 - i], 0, (int32_t)i);
        assert_int_equal(frig.nr_done, 3 * (round + 1));
        assert_int_equal(urb[0].actual, 2);
        assert_int_equal(frig_submit(&frig, &urb[0]), 0);
        assert_int_equal(frig.back.urb->req_prod, 4 * round + 4); /* ours again */
        frig_answer(&frig, frig_take(&frig).id, 0, 0);
        frig.nr_done--;
    }
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_dispose(&frig);
}

/* Rules RING-16, MAL-41: events that mean nothing do nothing, and a step with ever more of them ends. */
static struct {
    struct frig_spy spy;
    struct raw_back *back;
    unsigned int unmasked;
} storm;

static int storm_unmask(struct xen *xen, evtchn_port_t port)
{
    int rc = storm.spy.real->evtchn_unmask(xen, port);
    if (storm.unmasked++ < 100000)
        raw_back_notify(storm.back); /* at once the next */
    return rc;
}

static void test_front_hostile_storm(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    storm.back = &frig.back;
    storm.unmasked = 0;
    frig_spy(&storm.spy, front_xen(frig.rig.front));
    storm.spy.ops.evtchn_unmask = storm_unmask;
    raw_back_notify(&frig.back);
    front_step(frig.rig.front, 0);
    assert_in_range(storm.unmasked, 1, 100);
    struct front_stats stats = front_stats(frig.rig.front);
    assert_int_equal(stats.notifications + stats.requests + stats.responses + stats.plug_events, 0);
    frig_dispose(&frig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_hostile_attacks), cmocka_unit_test(test_front_hostile_good_events),
        cmocka_unit_test(test_front_hostile_twice),   cmocka_unit_test(test_front_hostile_silence),
        cmocka_unit_test(test_front_hostile_early),   cmocka_unit_test(test_front_hostile_scribble),
        cmocka_unit_test(test_front_hostile_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
