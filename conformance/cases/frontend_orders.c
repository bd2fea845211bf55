// SPDX-License-Identifier: MIT
/* Every order of the responses to URBs and unlinks, of backend states, and of notifications and what was
 * asked for. */
#include <stdio.h>

#include "frontend_groups.h"
#include "frontend_support.h"

/* The n-th permutation of 0 to count-1. */
static void permute(unsigned int n, unsigned int count, unsigned int out[])
{
    for (unsigned int i = 0; i < count; i++)
        out[i] = i;
    for (unsigned int i = 0; i < count; i++) {
        unsigned int pick = i + n % (count - i);
        unsigned int value = out[pick];
        n /= count - i;
        memmove(out + i + 1, out + i, (pick - i) * sizeof(out[0]));
        out[i] = value;
    }
}

/*
 * Some URBs are unlinked; then responses come, 2u to URB u and 2u+1 to its unlink. Each URB is back at its
 * own response, once, and its status is that of an unlinked one whatever the response says.
 */
static void answer(struct conform *t, unsigned int urbs, const unsigned int steps[], int32_t status)
{
    int urb[3];
    uint16_t id[6];
    for (unsigned int u = 0; u < urbs; u++)
        id[2 * u] = submit_take(t, make_urb(URB_BULK, (uint8_t)(1 + u), true, 64), &urb[u]).id;
    for (unsigned int u = 0; u < urbs; u++) {
        conform_equal(t, "unlink", 0, guest_unlink(t, urb[u], -ENOENT));
        struct usbif_urb_request unlink = back_take(t);
        conform_equal(t, "req.u.unlink.unlink_id", id[2 * u], unlink.u.unlink.unlink_id);
        id[2 * u + 1] = unlink.id;
    }
    for (unsigned int i = 0; i < 2 * urbs; i++) {
        unsigned int u = steps[i] / 2;
        bool own = steps[i] % 2 == 0;
        if (own)
            guest_expect_none(t, urb[u]);
        back_respond(t, id[steps[i]], own ? status : 0, own && status == 0 ? 10 : 0);
        conform_settle(t);
        if (own)
            conform_equal(t, "urb given back times", 1, guest_result(t, urb[u]).times);
    }
    for (unsigned int u = 0; u < urbs; u++)
        guest_expect(t, urb[u], -ENOENT, status == 0 ? 10 : 0);
}

static void orders_of_two(struct conform *t)
{
    unsigned int steps[4];
    for (unsigned int n = 0; n < 24; n++) {
        permute(n, 4, steps);
        answer(t, 2, steps, n % 2 ? 0 : -71);
    }
    check_works(t);
}

/* Of all, or where each takes its time of a tenth of them. */
static void orders_of_three(struct conform *t, unsigned int first)
{
    unsigned int steps[6];
    for (unsigned int n = first; n < 720; n += conform_has(t, "inproc") ? 12 : 120) {
        permute(n, 6, steps);
        answer(t, 3, steps, n % 2 ? 0 : -71);
    }
    check_works(t);
}

/* ---- notifications ---- */

static uint32_t word(const uint8_t *page, unsigned int offset)
{
    uint32_t value;
    memcpy(&value, page + offset, sizeof(value));
    return value;
}

static bool expects_event(uint32_t old, uint32_t new, uint32_t event)
{
    return new - event < new - old;
}

static unsigned int events_of(struct conform *t, const uint8_t *page, uint32_t *prod)
{
    conform_settle(t);
    *prod = word(page, 0);
    return back_notified(t);
}

/* req_event in every place around what is published: an event comes exactly when it lies in it. */
static void req_event(struct conform *t)
{
    static const uint32_t places[] = {0x80000000, 0x7fffffff, 0xfffffffe, 0xffffffff, 0, 1, 2, 3, 4, 5};
    uint8_t *page = back_urb_page(t);
    for (unsigned int i = 0; i < 30; i++) {
        uint32_t old, new;
        unsigned int before = events_of(t, page, &old);
        const uint32_t event = old + places[i % 10];
        int urb[3] = {0};
        memcpy(page + 4, &event, sizeof(event));
        for (unsigned int u = 0; u <= i / 10; u++)
            urb[u] = submit(t, make_control());
        unsigned int after = events_of(t, page, &new);
        conform_note(t, "%u requests, req_event %d behind the last", new - old, (int)places[i % 10]);
        conform_equal(t, "req_prod", old + i / 10 + 1, new);
        conform_equal(t, "events", expects_event(old, new, event), after - before);
        for (unsigned int u = 0; u <= i / 10; u++) {
            back_respond(t, back_take(t).id, 0, 18);
            guest_expect(t, urb[u], 0, 18);
        }
    }
}

/* The same of the connection ring: what a plug event uses up is posted again. */
static void conn_req_event(struct conform *t)
{
    static const uint32_t places[] = {0x80000000, 0x7fffffff, 0xfffffffe, 0xffffffff, 0, 1, 2, 3, 4, 5};
    uint8_t *page = back_conn_page(t);
    for (unsigned int i = 0; i < 20; i++) {
        uint32_t old, new;
        unsigned int before = events_of(t, page, &old);
        const uint32_t event = old + places[i % 10];
        memcpy(page + 4, &event, sizeof(event));
        back_plug(t, 2, i % 2 ? USBIF_SPEED_NONE : USBIF_SPEED_LOW);
        unsigned int after = events_of(t, page, &new);
        conform_note(t, "req_event %d behind the last", (int)places[i % 10]);
        conform_equal(t, "conn req_prod", old + 1, new);
        conform_equal(t, "events", expects_event(old, new, event), after - before);
    }
}

/* ---- states ---- */

/* From Connected through three backend states in every order; then an orderly end and a connection that
 * works. */
static void states_from(struct conform *t, unsigned int first)
{
    for (unsigned int n = 0; n < 64; n += conform_has(t, "inproc") ? 1 : 7) {
        const unsigned int walk[3] = {first, 1 + n / 8, 1 + n % 8};
        conform_note(t, "backend states %u %u %u", walk[0], walk[1], walk[2]);
        for (unsigned int i = 0; i < 3; i++) {
            back_set_state(t, (enum xenbus_state)walk[i]);
            conform_settle(t);
        }
        back_unmap(t);
        back_set_state(t, XenbusStateClosing);
        conform_settle(t);
        back_set_state(t, XenbusStateClosed);
        back_expect_frontend_state(t, XenbusStateClosed);
        back_set_state(t, XenbusStateInitialising);
        guest_reconnect(t);
        back_connect(t);
        check_works(t);
    }
}

#define STATES(X)                                                                                            \
    X(from_1, 1, "Initialising")                                                                             \
    X(from_2, 2, "InitWait")                                                                                 \
    X(from_3, 3, "Initialised")                                                                              \
    X(from_4, 4, "Connected")                                                                                \
    X(from_5, 5, "Closing")                                                                                  \
    X(from_6, 6, "Closed")                                                                                   \
    X(from_7, 7, "Reconfiguring")                                                                            \
    X(from_8, 8, "Reconfigured")
#define STATE_RUN(name, first, title)                                                                        \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        states_from(t, first);                                                                               \
    }
STATES(STATE_RUN)

#define THREES(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define THREE_RUN(n)                                                                                         \
    static void three_##n(struct conform *t)                                                                 \
    {                                                                                                        \
        orders_of_three(t, n);                                                                               \
    }
THREES(THREE_RUN)

#define UNLINK_RULES "urb.unlink.any-order urb.unlink.give-back status.unlinked"
#define THREE_ROW(n)                                                                                         \
    GUEST_CASE("frontend.unlink.permutations.3." #n, UNLINK_RULES,                                           \
               "three URBs and their unlinks answered in 60 orders", three_##n),
#define STATE_ROW(name, first, title)                                                                        \
    GUEST_CASE("xenbus.frontend.walk." #first, "state.frontend.close observed.frontend.no-reconnect",        \
               title " and two more states in every order", name),

const struct conform_case cases_frontend_orders[] = {
    GUEST_CASE("frontend.unlink.permutations.2", UNLINK_RULES,
               "two URBs and their unlinks answered in every order", orders_of_two),
    THREES(THREE_ROW) GUEST_CASE("frontend.notify.req-event", "ring.notify.arithmetic",
                                 "req_event in every place", req_event),
    GUEST_CASE("frontend.notify.conn-req-event", "ring.notify.arithmetic plug.repost",
               "req_event of the connection ring in every place", conn_req_event),
    STATES(STATE_ROW){0},
};
