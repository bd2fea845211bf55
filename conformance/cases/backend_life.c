// SPDX-License-Identifier: MIT
/* Several controllers and guests, ends of all kinds, and a backend that is killed: what one does harms no other. */
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

/* Another controller with a probe device at port 1, whose address is CONFORM_ADDRESS + n. */
static struct front *add(struct conform *t, domid_t guest, unsigned int devid, unsigned int n)
{
    struct front *f = front_add(t, guest, devid, 2, 4);
    front_connect(f);
    front_attach_probe(f, 1, n);
    return f;
}

static struct usbif_urb_request request_of(struct conform *t, struct front *f, unsigned int n, uint32_t type,
                                           uint32_t endpoint, uint32_t offset, uint32_t length)
{
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(type, CONFORM_ADDRESS + n, endpoint, 1));
    if (type == FRONT_INT)
        request.u.intr.interval = 8;
    front_buffer(f, &request, offset, length);
    return request;
}

static void works(struct conform *t, struct front *f, unsigned int n)
{
    struct usbif_urb_request request = request_of(t, f, n, FRONT_BULK, 1, 0, 64);
    front_send_on(f, &request);
    front_expect_on(f, request.id, 0, 64);
    front_check_works_on(f);
}

/* A full ring that waits, of each frontend. */
static void fill(struct conform *t, struct front *f, unsigned int n, uint16_t ids[16])
{
    for (unsigned int i = 0; i < 16; i++) {
        struct usbif_urb_request request = request_of(t, f, n, FRONT_INT, 2, i * 4096, 8);
        ids[i] = request.id;
        front_put(f, &request);
    }
    front_push(f);
    conform_settle(t);
}

static void two_controllers(struct conform *t)
{
    struct front *other = add(t, 1, 1, 1);
    works(t, other, 1);
    front_check_works(t);
    struct usbif_urb_request request = request_of(t, other, 0, FRONT_BULK, 1, 0, 64);
    front_send_on(other, &request);
    front_expect_on(other, request.id, -19, 0); /* the first one's address */
    front_port(other, 2, "1-3");
    front_expect_plug(other, 2, USBIF_SPEED_HIGH);
    front_expect_no_plug(front_number(t, 0));
}

static void two_guests(struct conform *t)
{
    struct front *other = add(t, 2, 0, 1);
    works(t, other, 1);
    front_check_works(t);
    struct usbif_urb_request request = request_of(t, other, 0, FRONT_BULK, 1, 0, 64);
    front_send_on(other, &request);
    front_expect_on(other, request.id, -19, 0);
}

/* The guest's own word for a page it never got. */
static void foreign_grant(struct conform *t)
{
    struct front *other = add(t, 2, 0, 1);
    struct xen *xen = front_handle(other);
    grant_ref_t ref;
    conform_equal(t, "grant", 0, xen->ops->grant(xen, 1, front_data(other), false, &ref));
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS + 1, 1, 1));
    front_segment(&request, ref, 0, 8);
    front_send_on(other, &request);
    front_expect_on(other, request.id, -108, 0);
    conform_equal(t, "grant_end", 0, xen->ops->grant_end(xen, ref));
    works(t, other, 1);
}

static void revoked_grant(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct xen *xen = front_handle(f);
    grant_ref_t ref;
    front_need_grants(f);
    conform_equal(t, "grant", 0, xen->ops->grant(xen, 0, front_data(f), false, &ref));
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, 1));
    front_segment(&request, ref, 0, 8);
    front_send(t, &request);
    front_expect(t, request.id, 0, 8);
    conform_equal(t, "grant_end", 0, xen->ops->grant_end(xen, ref));
    front_send(t, &request);
    front_expect(t, request.id, -108, 0);
    front_check_works(t);
}

static void one_breaks(struct conform *t, domid_t guest, unsigned int devid)
{
    struct front *f = front_number(t, 0);
    struct front *other = add(t, guest, devid, 1);
    uint16_t ids[16];
    fill(t, other, 1, ids);
    front_set_word(front_urb_page(f), 0, front_word(front_urb_page(f), 0) + 1000);
    front_notify(f);
    front_expect_backend_state(f, XenbusStateClosing);
    conform_equal(t, "state of the other backend", XenbusStateConnected, front_backend_state(other));
    front_set_state(other, XenbusStateClosing);
    for (unsigned int i = 0; i < 16; i++)
        front_expect_on(other, ids[i], -71, 0);
}

static void controller_breaks(struct conform *t)
{
    one_breaks(t, 1, 1);
}

static void guest_breaks(struct conform *t)
{
    one_breaks(t, 2, 0);
}

static void one_floods(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct front *other = add(t, 2, 0, 1);
    uint16_t ids[16];
    fill(t, f, 0, ids);
    works(t, other, 1);
    front_set_state(f, XenbusStateClosing);
    for (unsigned int i = 0; i < 16; i++)
        front_expect(t, ids[i], -71, 0);
    works(t, other, 1);
}

static void crashed(struct conform *t)
{
    struct front *other = add(t, 2, 0, 1);
    uint16_t ids[16];
    fill(t, other, 1, ids);
    front_check_works(t);
    unsigned int maps = front_mapped(front_number(t, 0));
    conform_true(t, maps > 2, "the pages of both guests are mapped");
    front_crash(other);
    conform_settle(t);
    conform_equal(t, "pages mapped when a guest is dead", 2, front_mapped(front_number(t, 0)));
    front_check_works(t);
    front_port(front_number(t, 0), 2, "1-3");
    front_expect_plug(front_number(t, 0), 2, USBIF_SPEED_HIGH);
}

static void remove_directory(struct conform *t, struct front *f, bool frontend_too)
{
    store_remove(t, store_toolstack(t), front_backend_dir(f));
    if (frontend_too)
        store_remove(t, store_toolstack(t), front_dir(f));
    conform_settle(t);
}

static void removed(struct conform *t, bool frontend_too)
{
    struct front *other = add(t, 1, 1, 1);
    struct usbif_urb_request held = request_of(t, other, 1, FRONT_INT, 2, 0, 8);
    front_send_on(other, &held);
    conform_settle(t);
    remove_directory(t, other, frontend_too);
    front_unmake(other); /* fails while a page of its rings is mapped */
    front_check_works(t);
    front_port(front_number(t, 0), 2, "1-2"); /* its device is free again */
    front_expect_plug(front_number(t, 0), 2, USBIF_SPEED_HIGH);
}

static void removed_backend(struct conform *t)
{
    removed(t, false);
}

static void removed_both(struct conform *t)
{
    removed(t, true);
}

/* Offline and closed: the device may be given to another controller. */
static void offline_gives_back(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct front *other = add(t, 1, 1, 1);
    char path[256];
    snprintf(path, sizeof(path), "%s/online", front_backend_dir(other));
    store_write(t, store_toolstack(t), path, "0");
    front_set_state(other, XenbusStateClosing);
    front_expect_backend_state(other, XenbusStateClosing);
    front_set_state(other, XenbusStateClosed);
    front_expect_backend_state(other, XenbusStateClosed);
    front_port(f, 2, "1-2");
    front_expect_plug(f, 2, USBIF_SPEED_HIGH);
    front_unmake(other);
}

static void reconnect(struct conform *t, struct front *f)
{
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
    (void)t;
}

/* The new one finds a frontend that is connected to nobody. */
static void killed(struct conform *t)
{
    struct front *f = front_number(t, 0);
    conform_kill_peer(t);
    conform_start_peer(t);
    front_expect_backend_state(f, XenbusStateClosing);
    reconnect(t, f);
}

static void killed_between(struct conform *t)
{
    struct front *f = front_number(t, 0);
    conform_kill_peer(t);
    front_set_state(f, XenbusStateClosed);
    front_unmake(f);
    conform_start_peer(t);
    front_expect_backend_state(f, XenbusStateClosed);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

static void killed_in_flight(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    front_expect_none(t, held.id);
    conform_kill_peer(t);
    conform_start_peer(t);
    front_expect_backend_state(f, XenbusStateClosing);
    reconnect(t, f);
}

/* 30 connections leave no more behind than one. */
static void nothing_left(struct conform *t)
{
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 30; i++) {
        front_disconnect(f);
        conform_equal(t, "event channels after a close", 0, front_channels(f));
        conform_equal(t, "pages mapped after a close", 0, front_mapped(f));
        front_connect(f);
        front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    }
}

#define CASE(id, requirements, title, run, needs_) {id, requirements, title, run, .needs = "device " needs_}

const struct conform_case backend_life_cases[] = {
    CASE("backend.many.controllers", "plug.two-controllers", "two controllers of a guest", two_controllers,
         "toolstack"),
    CASE("backend.many.guests", "plug.two-controllers hostile.isolated", "two guests with one controller each",
         two_guests, "toolstack guests"),
    CASE("backend.many.full-ring", "ring.fair", "a guest with a full ring holds up no other", one_floods,
         "toolstack guests"),
    CASE("hostile.backend.grant.foreign", "segment.grant-bad hostile.isolated", "a grant that is for another guest",
         foreign_grant, "toolstack guests"),
    CASE("hostile.backend.grant.revoked", "segment.grant-bad segment.revoked", "a grant that was good before",
         revoked_grant, ""),
    CASE("hostile.backend.many.controller", "hostile.isolated ring.error.closing",
         "a broken ring harms no other controller", controller_breaks, "toolstack"),
    CASE("hostile.backend.many.guest", "hostile.isolated ring.error.closing", "a broken ring harms no other guest",
         guest_breaks, "toolstack guests"),
    CASE("backend.life.crash", "life.frontend-crash hostile.isolated", "a guest that dies costs nothing", crashed,
         "toolstack guests inproc"),
    CASE("backend.life.removed", "state.backend.directory-gone", "a controller's directory goes, in use",
         removed_backend, "toolstack"),
    CASE("backend.life.removed.both", "state.backend.directory-gone", "both directories go, in use", removed_both,
         "toolstack"),
    CASE("backend.life.offline", "state.backend.offline-at-6", "a closed controller gives its device back",
         offline_gives_back, "toolstack"),
    CASE("backend.life.nothing-left", "state.backend.mirror-close state.backend.reconnect",
         "a close leaves no page mapped and no channel open", nothing_left, "inproc"),
    CASE("backend.life.killed", "state.backend.reconnect", "a new backend takes over from one that was killed", killed,
         "restart"),
    CASE("backend.life.killed.closed", "state.backend.reconnect", "the frontend closed before the new backend came",
         killed_between, "restart"),
    CASE("backend.life.killed.in-flight", "state.backend.reconnect", "the old backend was killed in a transfer",
         killed_in_flight, "restart"),
    {0},
};
