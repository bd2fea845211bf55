// SPDX-License-Identifier: MIT
/* A frontend that breaks its rings harms itself only, and may come back. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static void reconnects(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

static void jump(struct conform *t, uint32_t by)
{
    struct front *f = front_number(t, 0);
    uint8_t *page = front_urb_page(f);
    front_set_word(page, 0, front_word(page, 0) + by);
    front_notify(f);
    front_expect_backend_state(f, XenbusStateClosing);
    reconnects(t);
}

static void forward_17(struct conform *t)
{
    jump(t, 17);
}

static void forward_far(struct conform *t)
{
    jump(t, 0x7fffffff);
}

static void back_one(struct conform *t)
{
    jump(t, 0xffffffff);
}

static void back_far(struct conform *t)
{
    jump(t, 0x80000000);
}

static void conn_jump(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint8_t *page = front_conn_page(f);
    front_set_word(page, 0, front_word(page, 0) + 513);
    front_port(f, 2, "1-2");
    front_expect_backend_state(f, XenbusStateClosing);
    front_port(f, 2, "");
    reconnects(t);
}

static void sixteen(struct conform *t)
{
    struct usbif_urb_request request[16];
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 16; i++) {
        request[i] = front_int(t, 0x82, i * 4096, 8);
        front_put(f, &request[i]);
    }
    front_push(f);
    front_expect_none(t, request[0].id);
    conform_equal(t, "backend state", XenbusStateConnected, front_backend_state(f));
    front_set_state(f, XenbusStateClosing);
    for (unsigned int i = 0; i < 16; i++)
        front_expect(t, request[i].id, -71, 0);
}

static void other_words(struct conform *t)
{
    static const uint32_t values[] = {0, 1, 17, 0x7fffffff, 0x80000000, 0xffffffff};
    struct front *f = front_number(t, 0);
    uint8_t *page = front_urb_page(f);
    for (unsigned int i = 0; i < 6; i++) {
        struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
        uint32_t rsp_prod = front_word(page, 8);
        front_set_word(page, 4, values[i]);
        front_put(f, &request);
        front_push(f);
        front_notify(f);
        front_expect(t, request.id, 0, 64);
        conform_equal(t, "rsp_prod", rsp_prod + 1, front_word(page, 8));
        conform_settle(t);
        front_set_word(page, 4, front_word(page, 0) + 1);
    }
    front_check_works(t);
}

static void rewritten(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request = front_int(t, 0x82, 0, 8);
    uint32_t at = front_word(front_urb_page(f), 0);
    front_send(t, &request);
    front_expect_none(t, request.id);
    memset(front_slot(f, at), 0xff, sizeof(request));
    probe_release(t, 0x82);
    front_expect(t, request.id, 0, 8);
}

static void storm(struct conform *t)
{
    for (unsigned int i = 0; i < 10000; i++)
        front_notify(front_number(t, 0));
    front_check_works(t);
}

/*
 * A slot that says 1 segment and 17, in turn, while the backend may be reading it: for a peer that nobody can watch. Each
 * request is a good one or a bad one. Another waits, so that no response is written to the slot of its own request.
 */
static void rewriting_storm(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request held = front_int(t, 0x82, 16 * 4096, 8);
    front_send(t, &held);
    for (unsigned int round = 0; round < 60; round++) {
        struct usbif_urb_request request = front_bulk(t, 0x81, 0, 4000);
        uint8_t *segs = front_slot(f, front_word(front_urb_page(f), 0)) + 2;
        memset(front_data(f) + 4000, 0xee, 96);
        front_send(t, &request);
        for (unsigned int i = 0; i < 3000 + round; i++) {
            const uint16_t value = i % 2 ? 17 : 1;
            __atomic_store_n((uint16_t *)(void *)segs, value, __ATOMIC_RELAXED);
        }
        struct usbif_urb_response rsp = front_response(f, request.id);
        bool good = rsp.status == 0 && rsp.actual_length == 4000;
        conform_true(t, good || ((rsp.status == -22 || rsp.status == -108) && rsp.actual_length == 0),
                     "a request is all good or all bad");
        for (unsigned int i = 4000; i < 4096; i++)
            conform_equal(t, "byte behind the segment", 0xee, front_data(f)[i]);
    }
    front_check_works(t);
}

static void one_event_for_a_batch(struct conform *t)
{
    struct front *f = front_number(t, 0);
    for (unsigned int n = 1; n <= 16; n++) {
        uint16_t ids[16];
        for (unsigned int i = 0; i < n; i++) {
            struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
            ids[i] = request.id;
            front_put(f, &request);
        }
        conform_settle(t);
        conform_true(t, front_push(f), "the backend asks for an event before it sleeps");
        for (unsigned int i = 0; i < n; i++)
            front_expect(t, ids[i], -19, 0);
    }
}

#define CASE(id, requirements, title, run) {"hostile.backend.ring." id, requirements, title, run, .needs = "device"}

const struct conform_case hostile_backend_ring_cases[] = {
    CASE("forward-17", "ring.urb.index-jump ring.error.closing ring.error.reconnect", "17 requests at once", forward_17),
    CASE("forward-far", "ring.urb.index-jump ring.error.closing", "req_prod far ahead", forward_far),
    CASE("back-1", "ring.urb.index-back ring.error.closing", "req_prod goes back by one", back_one),
    CASE("back-far", "ring.urb.index-back ring.error.closing", "req_prod goes back by half of all numbers", back_far),
    CASE("conn-forward", "ring.urb.index-jump ring.error.closing", "513 plug requests", conn_jump),
    CASE("sixteen", "ring.backend.full", "16 requests are legal, and all are answered", sixteen),
    CASE("req-event", "ring.peer-fields", "what stands in req_event harms nobody", other_words),
    CASE("rewritten", "ring.read-once", "a slot rewritten while its transfer waits", rewritten),
    CASE("rewriting-storm", "ring.read-once", "a slot that never stays the same", rewriting_storm),
    CASE("storm", "ring.event.spurious ring.fair", "10000 events for nothing", storm),
    CASE("req-event.asked", "ring.notify.arithmetic ring.notify.final-check", "req_event asks for the next request",
         one_event_for_a_batch),
    {0},
};
