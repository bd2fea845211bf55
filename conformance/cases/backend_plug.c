// SPDX-License-Identifier: MIT
/* Plug events: each one uses up a request, tells port and speed, and none is lost or made twice. */
#include "../front.h"
#include "backend_groups.h"

static void plug(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_port(f, 3, "1-2");
    front_expect_plug(f, 3, USBIF_SPEED_HIGH);
    front_expect_no_plug(f);
}

static void unplug(struct conform *t)
{
    plug(t);
    front_port(front_number(t, 0), 3, "");
    front_expect_plug(front_number(t, 0), 3, 0);
    front_expect_no_plug(front_number(t, 0));
}

static void absent(struct conform *t)
{
    front_port(front_number(t, 0), 2, "9-9");
    front_expect_no_plug(front_number(t, 0));
}

/* Up to the event that tells this speed: a backend may tell of an empty port first (plug.duplicates). */
static void expect_ids(struct conform *t, uint16_t *id, uint8_t speed)
{
    struct usbif_conn_response event;
    do {
        event = front_next_plug(front_number(t, 0));
        conform_equal(t, "event.id", (*id)++, event.id);
    } while (event.speed != speed);
}

static void id_echo(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint16_t id = 0;
    front_port(f, 1, "1-1");
    expect_ids(t, &id, USBIF_SPEED_HIGH);
    front_port(f, 1, "");
    expect_ids(t, &id, 0);
}

static void many(struct conform *t)
{
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 300; i++) {
        front_port(f, 1, "1-1");
        front_expect_plug(f, 1, USBIF_SPEED_HIGH);
        front_port(f, 1, "");
        front_expect_plug(f, 1, 0);
    }
}

static void in_flight(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    front_expect_none(t, held.id);
    front_port(f, 1, "");
    front_expect(t, held.id, -71, 0);
    front_expect_plug(f, 1, 0);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0);
}

#define CASE(id, requirements, title, run, start_) \
    {"backend.plug." id, requirements, title, run, .start = start_, .needs = "device toolstack"}

const struct conform_case backend_plug_cases[] = {
    CASE("plug", "plug.count", "a device that is plugged in is told once", plug, CONFORM_CONNECTED),
    CASE("unplug", "plug.count hotplug.detach", "a device that is taken away is told once", unplug, CONFORM_CONNECTED),
    CASE("absent", "plug.phantom", "a device that is not there is not told", absent, CONFORM_CONNECTED),
    CASE("id", "plug.id-echo", "an event has the id of the request that it uses up", id_echo, CONFORM_CONNECTED),
    CASE("600", "plug.wait-for-request plug.id-echo", "600 events, more than the ring holds", many, CONFORM_CONNECTED),
    CASE("in-flight", "hotplug.detach address.forget", "a device taken away answers what is out", in_flight,
         CONFORM_READY),
    {0},
};
