// SPDX-License-Identifier: MIT
/* Every order: of unlinks and completions, of states, of notifications and what was asked for. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

/* ---- unlinks and completions ---- */

#define URBS 3u

static const uint8_t endpoint_of[URBS] = {0x81, 0x83, 0x03};

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

/* Step 2u: URB u is unlinked; step 2u+1: the device lets it go. What comes first decides how it ends. */
static void unlink_order(struct conform *t, const unsigned int steps[2 * URBS])
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request urb[URBS], unlink[URBS];
    bool released[URBS] = {false}, unlinked[URBS] = {false};
    for (unsigned int u = 0; u < URBS; u++) {
        probe_script(t, endpoint_of[u], PROBE_HOLD, 0);
        urb[u] = front_bulk(t, endpoint_of[u], u * 4096, 64);
        front_send(t, &urb[u]);
    }
    for (unsigned int i = 0; i < 2 * URBS; i++) {
        unsigned int u = steps[i] / 2;
        if (steps[i] % 2) {
            probe_release(t, endpoint_of[u]);
            released[u] = true;
            if (!unlinked[u])
                front_expect(t, urb[u].id, 0, 64);
            continue;
        }
        unlink[u] = front_unlink(t, &urb[u]);
        front_send(t, &unlink[u]);
        if (!released[u])
            front_expect(t, urb[u].id, -71, 0);
        conform_equal(t, "rsp.status of the unlink", 0, front_response(f, unlink[u].id).status);
        unlinked[u] = true;
    }
    probe_clear(t);
}

/* All 720 in one process; else one of each thirty, as there each takes its time. */
static void unlink_orders(struct conform *t)
{
    const unsigned int stride = conform_has(t, "inproc") ? 1 : 30;
    for (unsigned int n = 0; n < 720; n += stride) {
        unsigned int steps[2 * URBS];
        permute(n, 2 * URBS, steps);
        conform_note(t, "order %u: %u %u %u %u %u %u", n, steps[0], steps[1], steps[2], steps[3], steps[4],
                     steps[5]);
        unlink_order(t, steps);
    }
    front_check_works(t);
}

/* Three of one endpoint are unlinked in every order, the device lets go before, between or after. */
static void unlink_queue(struct conform *t)
{
    struct front *f = front_number(t, 0);
    for (unsigned int n = 0; n < 24; n++) {
        struct usbif_urb_request urb[URBS];
        unsigned int steps[URBS + 1];
        unsigned int left = URBS;
        bool gone[URBS] = {false};
        permute(n, URBS + 1, steps);
        probe_default(t, 0x81, PROBE_HOLD, 0);
        for (unsigned int u = 0; u < URBS; u++) {
            urb[u] = front_bulk(t, 0x81, u * 4096, 64);
            front_send(t, &urb[u]);
        }
        for (unsigned int i = 0; i <= URBS; i++) {
            unsigned int u = steps[i];
            if (u == URBS) {
                probe_default(t, 0x81, PROBE_SEND, 0);
                probe_release(t, 0x81);
                for (unsigned int done = 0; done < URBS; done++)
                    if (!gone[done])
                        front_expect(t, urb[done].id, 0, 64);
                left = 0;
                continue;
            }
            struct usbif_urb_request unlink = front_unlink(t, &urb[u]);
            front_send(t, &unlink);
            if (left > 0)
                front_expect(t, urb[u].id, -71, 0);
            conform_equal(t, "rsp.status of the unlink", 0, front_response(f, unlink.id).status);
            gone[u] = true;
        }
        probe_clear(t);
    }
    front_check_works(t);
}

/* ---- notifications ---- */

static bool expects_event(uint32_t old, uint32_t new, uint32_t event)
{
    return new - event < new - old;
}

/* What is looked at without taking anything off the rings. */
static unsigned int events_of(struct conform *t, const uint8_t *page, uint32_t *prod)
{
    struct front *f = front_number(t, 0);
    front_expect_no_plug(f); /* waits, and takes events off the channel */
    *prod = front_word(page, 8);
    return front_notified(f);
}

/*
 * rsp_event is set to every place around what will be published: an event comes exactly when it lies in it,
 * however many pushes it takes. The indexes are unsigned and go round: of 2^32 places half are behind.
 */
static void rsp_event(struct conform *t)
{
    static const uint32_t sizes[] = {1, 2, 5, 16};
    static const uint32_t far[] = {0x80000000, 0x7fffffff, 0xfffffffe, 0xffffffff};
    struct front *f = front_number(t, 0);
    uint8_t *page = front_urb_page(f);
    front_knobs(f)->deaf = true;
    for (unsigned int s = 0; s < 4; s++) {
        for (uint32_t at = 0; at < sizes[s] + 6; at++) {
            uint32_t old, new;
            uint32_t event = at < 4 ? far[at] : at - 4;
            unsigned int before = events_of(t, page, &old);
            front_set_word(page, 12, old + event);
            for (unsigned int i = 0; i < sizes[s]; i++) {
                struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
                front_put(f, &request);
            }
            front_push(f);
            front_notify(f);
            front_expect_published(f, page, old + sizes[s]);
            unsigned int after = events_of(t, page, &new);
            conform_note(t, "%u responses, rsp_event %d behind the last", sizes[s], (int)event);
            conform_equal(t, "rsp_prod", old + sizes[s], new);
            conform_equal(t, "events", expects_event(old, new, old + event), after - before);
        }
    }
}

struct moved {
    const uint8_t *page;
    uint32_t from;
};

static bool has_moved(struct conform *t, void *context)
{
    const struct moved *moved = context;
    (void)t;
    return front_word(moved->page, 8) != moved->from;
}

/* The same of the connection ring: a device comes and goes. */
static void conn_rsp_event(struct conform *t)
{
    static const uint32_t places[] = {0x80000000, 0x7fffffff, 0xffffffff, 0, 1, 2, 3, 100};
    struct front *f = front_number(t, 0);
    uint8_t *page = front_conn_page(f);
    front_knobs(f)->deaf = true;
    for (unsigned int i = 0; i < 16; i++) {
        uint32_t old, new;
        uint32_t event = places[i / 2];
        unsigned int before = events_of(t, page, &old);
        front_set_word(page, 12, old + event);
        front_port(f, 2, i % 2 ? "" : "1-2");
        conform_wait(t, has_moved, &(struct moved){page, old}, "a plug event");
        unsigned int after = events_of(t, page, &new);
        conform_note(t, "%u plug events, rsp_event %d behind the last", new - old, (int)event);
        conform_equal(t, "events", expects_event(old, new, old + event), after - before);
    }
}

/* ---- states ---- */

/* From Connected through three states in every order; then an orderly end, and a connection that works. */
static void states_from(struct conform *t, unsigned int first)
{
    struct front *f = front_number(t, 0);
    const unsigned int stride = conform_has(t, "inproc") ? 1 : 21;
    for (unsigned int n = 0; n < 64; n += stride) {
        const unsigned int walk[3] = {first, 1 + n / 8, 1 + n % 8};
        conform_note(t, "frontend states %u %u %u", walk[0], walk[1], walk[2]);
        for (unsigned int i = 0; i < 3; i++) {
            front_set_state(f, (enum xenbus_state)walk[i]);
            conform_settle(t);
        }
        front_set_state(f, XenbusStateClosed);
        front_expect_backend_state(f, XenbusStateClosed);
        front_unmake(f);
        front_set_state(f, XenbusStateInitialising);
        front_connect(f);
        do {
            conform_settle(t);
        } while (front_next_plug(f).speed != USBIF_SPEED_HIGH);
        front_check_works_on(f);
        front_drain_plugs(f);
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

#define CASE(id, requirements, title, run, start_, needs_)                                                   \
    {                                                                                                        \
        id, requirements, title, run, .start = start_, .needs = needs_                                       \
    }
#define STATE_ROW(name, first, title)                                                                        \
    CASE("xenbus.backend.walk." #first,                                                                      \
         "state.backend.mirror-close state.backend.reconnect state.unused-ignored",                          \
         title " and two more states in every order", name, CONFORM_READY, "device"),

const struct conform_case backend_order_cases[] = {
    CASE("backend.unlink.permutations",
         "urb.unlink.answer urb.unlink.order urb.unlink.after-complete status.one-response",
         "three unlinks and three completions in every order", unlink_orders, CONFORM_READY, "device"),
    CASE("backend.unlink.permutations.queue", "urb.unlink.answer urb.unlink.order transfer.unlink-followers",
         "three of one endpoint are unlinked in every order", unlink_queue, CONFORM_READY, "device"),
    CASE("backend.notify.rsp-event", "ring.notify.arithmetic", "rsp_event in every place", rsp_event,
         CONFORM_CONNECTED, NULL),
    CASE("backend.notify.conn-rsp-event", "ring.notify.arithmetic ring.event.both",
         "rsp_event of the connection ring in every place", conn_rsp_event, CONFORM_READY,
         "device toolstack"),
    STATES(STATE_ROW){0},
};
