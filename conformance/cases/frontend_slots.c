// SPDX-License-Identifier: MIT
/* How a frontend shares the 16 slots of the ring, and whom it wakes. */
#include "frontend_groups.h"
#include "frontend_support.h"

static uint32_t word(struct conform *t, unsigned int offset)
{
    uint32_t value;
    memcpy(&value, back_urb_page(t) + offset, 4);
    return value;
}

static unsigned int take_all(struct conform *t, struct usbif_urb_request *request, unsigned int max)
{
    unsigned int n = 0;
    conform_settle(t);
    while (n < max && back_try_take(t, &request[n]))
        n++;
    return n;
}

static void bounded(struct conform *t, struct guest_urb urb)
{
    struct usbif_urb_request request[17];
    for (unsigned int i = 0; i < 40; i++)
        submit(t, urb);
    conform_true(t, take_all(t, request, 17) <= 16, "at most 16 requests without a response");
}

static void bounded_in(struct conform *t)
{
    bounded(t, make_urb(URB_BULK, 1, true, 64));
}

static void bounded_out(struct conform *t)
{
    bounded(t, make_urb(URB_BULK, 1, false, 64));
}

static void bounded_control(struct conform *t)
{
    bounded(t, make_control());
}

static void bounded_iso(struct conform *t)
{
    bounded(t, make_iso(true, 2, 64));
}

/* Fills the ring with one kind; a control URB still gets through. */
static void control_passes(struct conform *t, bool in)
{
    struct usbif_urb_request request[17];
    for (unsigned int i = 0; i < 20; i++)
        submit(t, make_urb(URB_BULK, 1, in, 64));
    take_all(t, request, 17);
    submit(t, make_control());
    conform_equal(t, "type of the next request", URB_CTRL, back_take(t).pipe >> 30);
}

static void control_passes_in(struct conform *t)
{
    control_passes(t, true);
}

static void control_passes_out(struct conform *t)
{
    control_passes(t, false);
}

static void unlink_passes(struct conform *t)
{
    struct usbif_urb_request request[17];
    int first = submit(t, make_control());
    for (unsigned int i = 0; i < 20; i++)
        submit(t, make_control());
    take_all(t, request, 17);
    conform_equal(t, "unlink", 0, guest_unlink(t, first, -ENOENT));
    conform_equal(t, "req.pipe bit 5", 0x20, back_take(t).pipe & 0x20);
}

static void waiting_unlink(struct conform *t)
{
    struct usbif_urb_request request[17];
    int last = -1;
    for (unsigned int i = 0; i < 20; i++)
        last = submit(t, make_control());
    take_all(t, request, 17);
    conform_equal(t, "unlink", 0, guest_unlink(t, last, -ENOENT));
    guest_expect(t, last, -ENOENT, 0);
    back_expect_no_request(t);
}

static void go_on(struct conform *t)
{
    int urb[40];
    struct usbif_urb_request request;
    for (unsigned int i = 0; i < 40; i++)
        urb[i] = submit(t, make_urb(URB_BULK, 1, true, 64));
    for (unsigned int i = 0; i < 40; i++) {
        request = back_take(t);
        back_respond(t, request.id, 0, (int32_t)i);
    }
    for (uint32_t i = 0; i < 40; i++)
        guest_expect(t, urb[i], 0, i); /* in order within the endpoint */
}

static void no_slot_lost(struct conform *t)
{
    struct usbif_urb_request request[17];
    unsigned int first = 0;
    for (unsigned int round = 0; round < 5; round++) {
        for (unsigned int i = 0; i < 16; i++)
            submit(t, make_control());
        unsigned int n = take_all(t, request, 17);
        if (round == 0)
            first = n;
        conform_equal(t, "requests that fit", first, n);
        while (n > 0) {
            while (n > 0)
                back_respond(t, request[--n].id, 0, 18);
            n = take_all(t, request, 17);
        }
    }
}

static void notify_asked(struct conform *t)
{
    struct usbif_urb_request request;
    back_try_take(t, &request); /* empty: asks for an event */
    const unsigned int before = back_notified(t);
    submit(t, make_control());
    conform_settle(t);
    conform_equal(t, "notifications", before + 1, back_notified(t));
}

static void notify_hold(struct conform *t)
{
    const uint32_t far = 10000;
    memcpy(back_urb_page(t) + 4, &far, 4);
    const unsigned int before = back_notified(t);
    for (unsigned int i = 0; i < 5; i++)
        submit(t, make_control());
    conform_settle(t);
    conform_equal(t, "notifications", before, back_notified(t));
    conform_equal(t, "req_prod", back_requests(t) + 5, word(t, 0));
}

static void notify_third(struct conform *t)
{
    const uint32_t third = back_requests(t) + 3;
    memcpy(back_urb_page(t) + 4, &third, 4);
    const unsigned int before = back_notified(t);
    for (unsigned int i = 0; i < 5; i++)
        submit(t, make_control());
    conform_settle(t);
    conform_equal(t, "notifications", before + 1, back_notified(t));
}

static void rsp_event(struct conform *t)
{
    for (uint32_t i = 0; i < 20; i++) {
        check_works(t);
        conform_settle(t);
        conform_equal(t, "rsp_event", word(t, 8) + 1, word(t, 12));
    }
}

static void published(struct conform *t)
{
    for (uint32_t i = 0; i < 5; i++) {
        submit(t, make_control());
        conform_settle(t);
        conform_equal(t, "req_prod", i + 1, word(t, 0));
    }
}

const struct conform_case cases_frontend_slots[] = {
    GUEST_CASE("frontend.slots.in", "ring.urb.depth", "40 IN URBs do not overflow the ring", bounded_in),
    GUEST_CASE("frontend.slots.out", "ring.urb.depth", "nor do 40 OUT URBs", bounded_out),
    GUEST_CASE("frontend.slots.control", "ring.urb.depth", "nor do 40 control URBs", bounded_control),
    GUEST_CASE("frontend.slots.iso", "ring.urb.depth", "nor do 40 isochronous URBs", bounded_iso),
    GUEST_CASE("frontend.slots.control-past-in", "ring.urb.reserve", "idle IN URBs leave control a slot",
               control_passes_in),
    GUEST_CASE("frontend.slots.control-past-out", "ring.urb.reserve", "OUT URBs leave control a slot",
               control_passes_out),
    GUEST_CASE("frontend.slots.unlink", "ring.urb.reserve urb.unlink.ring-full", "an unlink never waits for a slot",
               unlink_passes),
    GUEST_CASE("frontend.slots.waiting-unlink", "urb.unlink.queued", "an URB without slot returns at once",
               waiting_unlink),
    GUEST_CASE("frontend.slots.go-on", "ring.urb.depth", "waiting URBs go on in order", go_on),
    GUEST_CASE("frontend.slots.none-lost", "ring.urb.depth", "80 URBs later as many fit", no_slot_lost),
    GUEST_CASE("frontend.notify.asked", "ring.notify.arithmetic", "a request that is waited for wakes",
               notify_asked),
    GUEST_CASE("frontend.notify.hold", "ring.notify.arithmetic", "one that is not does not", notify_hold),
    GUEST_CASE("frontend.notify.third", "ring.notify.arithmetic", "the third of five is the one",
               notify_third),
    GUEST_CASE("frontend.notify.rsp-event", "ring.notify.final-check", "asks for the next response",
               rsp_event),
    GUEST_CASE("frontend.ring.publish", "ring.publish-order", "each request is published at once", published),
    {0},
};
