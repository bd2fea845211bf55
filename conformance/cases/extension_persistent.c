// SPDX-License-Identifier: MIT
/*
 * Persistent grants, an extension: where both halves write feature-persistent, pages stay granted and mapped
 * between requests. Everywhere else the suite offers nothing, so that what all other cases see is a peer
 * without it.
 */
#include <errno.h>
#include <stdio.h>

#include "../back.h"
#include "../front.h"
#include "backend_groups.h"
#include "frontend_groups.h"
#include "frontend_support.h"

#define NODE "feature-persistent"

/* ---- a backend ---- */

static bool offered(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    snprintf(path, sizeof(path), "%s/" NODE, front_backend_dir(f));
    return store_read(t, front_handle(f), path, value) && strcmp(value, "1") == 0;
}

static void bulk(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length)
{
    struct usbif_urb_request request = front_bulk(t, endpoint, offset, length);
    front_send(t, &request);
    front_expect(t, request.id, 0, (int32_t)length);
}

static bool page_ends(struct conform *t, void *context)
{
    struct front *f = front_number(t, 0);
    grant_ref_t ref = front_ref(f, *(unsigned int *)context, false);
    return front_handle(f)->ops->grant_end(front_handle(f), ref) == 0;
}

/* Offered or not: who does not ask for it gets its pages back with each response. */
static void unasked(struct conform *t)
{
    struct front *f = front_number(t, 0);
    (void)offered(t);
    front_connect(f);
    front_attach_probe(f, 1, 0);
    for (unsigned int page = 0; page < 3; page++) {
        bulk(t, page == 1 ? 0x01 : 0x81, page * 4096, 4096);
        conform_wait(t, page_ends, &page, "the page to be unmapped after its response");
    }
}

/* Data are right while pages stay, whatever is asked of them; with the connection all of them go. */
static void kept(struct conform *t)
{
    static uint8_t expected[8192];
    struct front *f = front_number(t, 0);
    if (!offered(t))
        conform_skip(t, "the backend does not offer to keep pages");
    front_set_node(f, NODE, "1");
    front_connect(f);
    front_attach_probe(f, 1, 0);
    probe_clear(t);
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t length = 1 + round * 197;
        uint32_t offset = round % 3 * 4096 + round;
        memset(front_data(f), 0xee, 5 * 4096);
        bulk(t, 0x81, offset, length);
        probe_pattern(0x81, round * (round - 1) / 2 * 197 + round, expected, length);
        conform_bytes(t, "IN data in a page that is kept", expected, front_data(f) + offset, length);
        conform_equal(t, "byte behind them", 0xee, front_data(f)[offset + length]);
    }
    front_disconnect(f);
    for (unsigned int page = 0; page < 5; page++)
        conform_wait(t, page_ends, &page, "the page to be unmapped with the connection");
}

/* More pages than a backend can keep, and a grant that ends too early: both are the frontend's own loss. */
static void misused(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct xen *xen = front_handle(f);
    if (!offered(t))
        conform_skip(t, "the backend does not offer to keep pages");
    front_set_node(f, NODE, "1");
    front_connect(f);
    front_attach_probe(f, 1, 0);
    for (unsigned int i = 0; i < 600; i++) {
        grant_ref_t ref;
        conform_equal(t, "grant", 0, xen->ops->grant(xen, 0, front_data(f), i % 2, &ref));
        struct usbif_urb_request request =
            front_request(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, i % 2 == 0));
        front_segment(&request, ref, 0, 64);
        front_send(t, &request);
        (void)front_response(f, request.id);
        int rc = xen->ops->grant_end(xen, ref);
        conform_true(t, rc == 0 || rc == -EBUSY, "the grant ends, or the page is kept");
    }
    front_check_works(t);
}

/* ---- a frontend ---- */

/* Connected with a backend that offers it. */
static void offer(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    back_set_node(t, NODE, "1");
    back_connect(t);
    snprintf(path, sizeof(path), "%s/" NODE, back_frontend_dir(t));
    if (!store_read(t, back_handle(t), path, value) || strcmp(value, "1") != 0)
        conform_skip(t, "the frontend does not keep its grants");
    back_plug(t, 1, USBIF_SPEED_HIGH);
    conform_settle(t);
}

/* A page has one reference, for reading and writing, and may stay mapped beyond its response. */
static void same_references(struct conform *t)
{
    grant_ref_t ref[3] = {0};
    uint8_t *pages;
    offer(t);
    for (uint32_t i = 0; i < 20; i++) {
        int urb;
        struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 2, i % 2, 9000), &urb);
        conform_equal(t, "req.nr_buffer_segs", 3, request.nr_buffer_segs);
        for (unsigned int s = 0; s < 3; s++) {
            if (i > 0)
                conform_equal(t, "seg.gref of a page that was granted before", ref[s], request.seg[s].gref);
            ref[s] = request.seg[s].gref;
        }
        if (i == 0)
            conform_equal(t, "a map for writing", 0, back_hold(t, &request, 0, 3, true, &pages));
        back_respond(t, request.id, 0, 9000);
        guest_expect(t, urb, 0, 9000);
    }
    back_release(t, pages, 3);
    check_works(t);
}

/* Without the offer it is a frontend like any other: each request has grants of its own, which end. */
static void not_offered(struct conform *t)
{
    int urb;
    uint8_t *page;
    char value[STORE_VALUE_MAX];
    char path[256];
    snprintf(path, sizeof(path), "%s/" NODE, back_frontend_dir(t));
    conform_true(t, !store_read(t, back_handle(t), path, value) || strcmp(value, "1") != 0,
                 "what the backend did not offer is not asked for");
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 2, true, 64), &urb);
    back_respond(t, request.id, 0, 64);
    guest_expect(t, urb, 0, 64);
    conform_true(t, back_hold(t, &request, 0, 1, true, &page) < 0, "the grant has ended with the response");
}

#define BACKEND(id, title, run, needs_)                                                                      \
    {                                                                                                        \
        "backend.persistent." id, "extension.persistent", title, run, .start = CONFORM_NODES,                \
                                                                      .needs = needs_                        \
    }
#define FRONTEND(id, title, run, start)                                                                      \
    {                                                                                                        \
        "frontend.persistent." id, "extension.persistent", title, run, CONFORM_FRONTEND, start, 0, 0,        \
            "guest toolstack"                                                                                \
    }

const struct conform_case extension_backend_cases[] = {
    BACKEND("unasked", "pages go with each response when nobody asks for more", unasked, "device"),
    BACKEND("kept", "pages that stay carry the right data, and go with the connection", kept, "device"),
    BACKEND("misused", "600 pages, and grants that end early", misused, "device"),
    {0},
};

const struct conform_case cases_extension_frontend[] = {
    FRONTEND("references", "a page is granted once, for reading and writing", same_references, CONFORM_NODES),
    FRONTEND("unoffered", "without the offer grants end with the response", not_offered, CONFORM_READY),
    {0},
};
