// SPDX-License-Identifier: MIT
/*
 * An URB ring of more than one page, an extension: where the backend offers it and the frontend asks. Everywhere else the
 * suite neither offers nor asks, so that what all other cases see is a ring of 16 slots.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../back.h"
#include "../front.h"
#include "backend_groups.h"
#include "frontend_groups.h"
#include "frontend_support.h"

#define ORDER_NODE "urb-ring-page-order"
#define MAX_NODE   "max-urb-ring-page-order"
#define SLOTS_MAX  256u

/* ---- a backend ---- */

/* What it offers; without an offer the case is not for it. */
static unsigned int offered(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    snprintf(path, sizeof(path), "%s/" MAX_NODE, front_backend_dir(f));
    if (!store_read(t, front_handle(f), path, value) || strcmp(value, "0") == 0)
        conform_skip(t, "the backend takes rings of one page only");
    conform_true(t, value[0] >= '1' && value[0] <= '4' && !value[1], MAX_NODE " is a number from 1 to 4");
    return (unsigned int)(value[0] - '0');
}

static void connect(struct conform *t, unsigned int order)
{
    struct front *f = front_number(t, 0);
    front_set_ring_order(f, order);
    front_connect(f);
    front_attach_probe(f, 1, 0);
    probe_clear(t);
}

/* Data of batches that are larger than a ring of one page, three times around. */
static void data(struct conform *t)
{
    static uint8_t expected[256 * 16];
    struct usbif_urb_request request[48];
    unsigned int order = offered(t);
    order = order > 2 ? 2 : order;
    unsigned int batch = (16u << order) * 3 / 4;
    uint32_t from = 0;
    connect(t, order);
    struct front *f = front_number(t, 0);
    for (unsigned int round = 0; round < 4; round++) {
        memset(front_data(f), 0xee, sizeof(expected));
        for (unsigned int i = 0; i < batch; i++) {
            request[i] = front_bulk(t, 0x81, i * 64, 64);
            front_put(f, &request[i]);
        }
        front_push(f);
        for (unsigned int i = 0; i < batch; i++)
            front_expect(t, request[i].id, 0, 64);
        probe_pattern(0x81, from, expected, batch * 64);
        conform_bytes(t, "IN data", expected, front_data(f), batch * 64);
        from += batch * 64;
    }
    front_disconnect(f);
}

/* Every slot of the largest ring owes a response at once; then all of them come, and every page is let go. */
static void full(struct conform *t)
{
    static struct usbif_urb_request request[SLOTS_MAX];
    unsigned int order = offered(t);
    unsigned int slots = 16u << order;
    connect(t, order);
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < slots; i++) {
        request[i] = front_int(t, 0x82, i * 64, 8);
        front_put(f, &request[i]);
    }
    front_push(f);
    front_expect_none(t, request[0].id);
    conform_equal(t, "backend state", XenbusStateConnected, front_backend_state(f));
    front_set_state(f, XenbusStateClosing);
    for (unsigned int i = 0; i < slots; i++)
        front_expect(t, request[i].id, -71, 0);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
}

/* After something that cannot be meant: Closing, all let go, and the next frontend of one page is served. */
static void next_life(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateClosing);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_node(f, ORDER_NODE, NULL);
    front_set_state(f, XenbusStateInitialising);
    front_set_ring_order(f, 0);
    front_connect(f);
    front_disconnect(f);
}

/* One more than the ring has slots, in a ring of every size that is offered. */
static void overflow(struct conform *t)
{
    unsigned int most = offered(t);
    for (unsigned int order = 0; order <= most; order++) {
        struct front *f = front_number(t, 0);
        front_set_ring_order(f, order);
        front_connect(f);
        front_set_word(front_urb_page(f), 0, (16u << order) + 1);
        front_notify(f);
        next_life(t);
    }
}

static void bad_node(struct conform *t, const char *node, const char *value)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_set_ring_order(f, 1);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, 512, 0);
    front_set_node(f, node, value);
    front_set_state(f, XenbusStateConnected);
    next_life(t);
}

static void bad_order(struct conform *t)
{
    char more[4];
    unsigned int most = offered(t);
    snprintf(more, sizeof(more), "%u", (most + 1) % 10);
    const char *const values[] = {more, "31", "4294967297", "-1", "one", ""};
    for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        bad_node(t, ORDER_NODE, values[i]);
}

static void bad_reference(struct conform *t)
{
    (void)offered(t);
    bad_node(t, "urb-ring-ref1", "0");
    bad_node(t, "urb-ring-ref1", "4294967295");
}

/* ---- a frontend ---- */

/* Connected with a backend that offers so much. */
static void offer(struct conform *t, unsigned int order)
{
    back_offer_ring(t, order);
    back_connect(t);
    if (back_ring_order(t) == 0)
        conform_skip(t, "the frontend has rings of one page only");
    back_plug(t, 1, USBIF_SPEED_HIGH);
    conform_settle(t);
}

/* What is offered is the most; each size carries more URBs than the one below it could. */
static void sizes(struct conform *t)
{
    for (unsigned int order = 1; order <= 4; order++) {
        int urb[40];
        struct usbif_urb_request request[40];
        unsigned int n = 0;
        offer(t, order);
        for (unsigned int i = 0; i < 40; i++)
            urb[i] = submit(t, make_urb(URB_BULK, (uint8_t)(1 + i % 8), true, 64));
        conform_settle(t);
        while (n < 40 && back_try_take(t, &request[n]))
            n++;
        conform_true(t, n > 16, "more than 16 requests are on the ring");
        for (unsigned int i = 0; i < n; i++)
            back_respond(t, request[i].id, 0, 64);
        for (unsigned int i = n; i < 40; i++) {
            struct usbif_urb_request later = back_take(t);
            back_respond(t, later.id, 0, 64);
        }
        for (unsigned int i = 0; i < 40; i++)
            guest_expect(t, urb[i], 0, 64);
        check_works(t);
        if (order == 4)
            return;
        guest_close(t);
        back_disconnect(t);
        guest_reconnect(t);
    }
}

static void not_offered(struct conform *t)
{
    char value[STORE_VALUE_MAX];
    char path[256];
    snprintf(path, sizeof(path), "%s/" ORDER_NODE, back_frontend_dir(t));
    conform_true(t, !store_read(t, back_handle(t), path, value), "what the backend did not offer is not asked for");
    check_works(t);
}

/* A response beyond what was asked for, and ids that no slot has, in a large ring with 20 requests. */
static void impossible(struct conform *t)
{
    static const uint16_t ids[] = {0xffff, 256};
    for (unsigned int i = 0; i < 3; i++) {
        offer(t, 2);
        for (unsigned int k = 0; k < 20; k++) {
            (void)submit(t, make_urb(URB_BULK, 2, true, 64));
            (void)back_take(t);
        }
        if (i < 2) {
            back_respond(t, ids[i], 0, 64);
        } else {
            *(volatile uint32_t *)(void *)(back_urb_page(t) + 8) = 21;
            back_notify(t);
        }
        back_expect_frontend_state(t, XenbusStateClosing);
        back_disconnect(t);
        if (i < 2)
            guest_reconnect(t);
    }
}

#define BACKEND(id, title, run, needs_)                                                                      \
    {                                                                                                        \
        "backend.ring-pages." id, "extension.ring-pages", title, run, .start = CONFORM_NODES,                \
                                                                      .needs = needs_                        \
    }
#define FRONTEND(id, title, run, start)                                                                      \
    {                                                                                                        \
        "frontend.ring-pages." id, "extension.ring-pages", title, run, CONFORM_FRONTEND, start, 0, 0,        \
            "guest toolstack"                                                                                \
    }

const struct conform_case extension_ring_backend_cases[] = {
    BACKEND("data", "batches of more than 16 requests carry the right data", data, "device"),
    BACKEND("full", "a request in each slot, and all are answered", full, "device"),
    BACKEND("overflow", "more requests than the ring has slots end in Closing", overflow, ""),
    BACKEND("order", "an order that was not offered, or is none, is refused", bad_order, ""),
    BACKEND("reference", "a page that cannot be mapped is refused", bad_reference, ""),
    {0},
};

const struct conform_case cases_extension_ring_frontend[] = {
    FRONTEND("sizes", "a ring as large as was offered, or smaller, and full of requests", sizes, CONFORM_NODES),
    FRONTEND("unoffered", "without the offer the ring is one page", not_offered, CONFORM_READY),
    FRONTEND("impossible", "indexes and ids that a large ring does not have end in Closing", impossible, CONFORM_NODES),
    {0},
};
