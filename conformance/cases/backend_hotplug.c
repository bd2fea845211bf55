// SPDX-License-Identifier: MIT
/* Devices that come and go, by the toolstack's word and by hand, and plug events that have to wait. */
#include "../front.h"
#include "backend_groups.h"

static void put_in(struct conform *t, unsigned int port, const char *busid)
{
    front_port(front_number(t, 0), port, busid);
}

static void told(struct conform *t, uint8_t port, uint8_t speed)
{
    front_expect_plug(front_number(t, 0), port, speed);
}

static void nothing_told(struct conform *t)
{
    front_expect_no_plug(front_number(t, 0));
}

/* ---- speeds and ports ---- */

static void of_speed(struct conform *t, uint8_t speed, bool fits)
{
    probe_plug(t, "2-1", speed);
    put_in(t, 3, "2-1");
    if (fits)
        told(t, 3, speed);
    nothing_told(t);
}

static void low(struct conform *t)
{
    of_speed(t, USBIF_SPEED_LOW, true);
}

static void full(struct conform *t)
{
    of_speed(t, USBIF_SPEED_FULL, true);
}

static void high(struct conform *t)
{
    of_speed(t, USBIF_SPEED_HIGH, true);
}

static void high_refused(struct conform *t)
{
    of_speed(t, USBIF_SPEED_HIGH, false);
}

static void last_port(struct conform *t, uint8_t last)
{
    put_in(t, last, "1-1");
    told(t, last, USBIF_SPEED_HIGH);
    put_in(t, last + 1u, "1-2");
    nothing_told(t);
}

static void last_of_1(struct conform *t)
{
    last_port(t, 1);
}

static void last_of_4(struct conform *t)
{
    last_port(t, 4);
}

static void last_of_31(struct conform *t)
{
    last_port(t, 31);
}

static void odd_names(struct conform *t)
{
    static const char *const names[] = {"nodash", "-", "3-", "9-9", "../1-1", "1-1 ", " 1-1",
                                        "3-1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5.1.5"};
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put_in(t, 2, names[i]);
        nothing_told(t);
        front_check_works(t);
    }
    put_in(t, 2, "1-2");
    told(t, 2, USBIF_SPEED_HIGH);
}

/* ---- swaps ---- */

static void swap(struct conform *t)
{
    put_in(t, 1, "1-2");
    told(t, 1, 0);
    told(t, 1, USBIF_SPEED_HIGH);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0); /* the address was the other's */
    nothing_told(t);
}

static void same_again(struct conform *t)
{
    put_in(t, 1, "1-1");
    put_in(t, 1, "1-1");
    nothing_told(t);
    front_check_works(t);
}

static void two_ports(struct conform *t)
{
    put_in(t, 2, "1-1");
    nothing_told(t);
    front_check_works(t);
    put_in(t, 1, "");
    told(t, 1, 0);
    told(t, 2, USBIF_SPEED_HIGH);
    nothing_told(t);
}

/* What one owner did to a device is not there for the next. */
static void fresh(struct conform *t)
{
    put_in(t, 1, "");
    told(t, 1, 0);
    put_in(t, 3, "1-1");
    told(t, 3, USBIF_SPEED_HIGH);
    struct usbif_urb_request request = front_control(t, 0, 0, 5, 9, 0, 0, 0);
    request.pipe |= 3;
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    request = front_control(t, 9, 0x80, 8, 0, 0, 0, 1);
    front_send(t, &request);
    front_expect(t, request.id, 0, 1);
    conform_equal(t, "configuration of the device", 0, front_data(front_number(t, 0))[0]);
}

static void storm(struct conform *t)
{
    for (unsigned int i = 0; i < 500; i++) {
        put_in(t, 2, i % 2 ? "" : "9-9");
        put_in(t, 3, "");
    }
    nothing_told(t);
    front_check_works(t);
}

/* ---- by hand ---- */

static void pulled(struct conform *t)
{
    struct usbif_urb_request held[3];
    for (unsigned int i = 0; i < 3; i++) {
        held[i] = front_int(t, 0x82, i * 4096, 8);
        front_send(t, &held[i]);
    }
    front_expect_none(t, held[0].id);
    probe_pull(t, "1-1");
    for (unsigned int i = 0; i < 3; i++) {
        struct usbif_urb_response rsp = front_response(front_number(t, 0), held[i].id);
        conform_true(t, rsp.status == -19 || rsp.status == -71, "a request of a device that went is -19 or -71");
        conform_equal(t, "rsp.actual_length", 0, rsp.actual_length);
    }
    told(t, 1, 0);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0);
    request = front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 18);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0);
}

static void pushed_in_again(struct conform *t)
{
    pulled(t);
    probe_plug(t, "1-1", USBIF_SPEED_FULL);
    told(t, 1, USBIF_SPEED_FULL);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0); /* no address yet */
    front_check_works_on(front_number(t, 0));
    nothing_told(t);
}

/* Out and in before the backend looks. */
static void quick(struct conform *t)
{
    probe_pull(t, "1-1");
    probe_plug(t, "1-1", USBIF_SPEED_HIGH);
    told(t, 1, 0);
    told(t, 1, USBIF_SPEED_HIGH);
    nothing_told(t);
}

static void comes_late(struct conform *t)
{
    put_in(t, 2, "2-7");
    nothing_told(t);
    probe_plug(t, "2-8", USBIF_SPEED_LOW); /* another one */
    nothing_told(t);
    probe_plug(t, "2-7", USBIF_SPEED_LOW);
    told(t, 2, USBIF_SPEED_LOW);
    nothing_told(t);
}

/* A device that goes by itself, while it is asked for more. */
static void goes_itself(struct conform *t)
{
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    probe_unplug(t, 10);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), held.id);
    conform_true(t, rsp.status == -19 || rsp.status == -71, "a request of a device that went is -19 or -71");
    told(t, 1, 0);
}

static void unplug_says_nodev(struct conform *t)
{
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    front_expect_none(t, held.id);
    probe_pull(t, "1-1");
    front_expect(t, held.id, -19, 0);
    told(t, 1, 0);
}

/* ---- too few requests ---- */

static void connect_primed(struct conform *t, unsigned int n)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, n, 100);
    front_knobs(f)->hold_plug_requests = true;
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
}

static void few(struct conform *t, unsigned int n)
{
    struct front *f = front_number(t, 0);
    connect_primed(t, n);
    for (unsigned int port = 1; port <= 3; port++) {
        char busid[] = {'1', '-', (char)('0' + port), '\0'};
        put_in(t, port, busid);
        conform_settle(t);
    }
    for (unsigned int i = 0; i < 3; i++) {
        conform_settle(t);
        conform_equal(t, "conn rsp_prod", i < n ? n : i, front_word(front_conn_page(f), 8));
        if (i >= n)
            front_prime(f, 1, (uint16_t)(100 + i)); /* by the rules of notification */
        struct usbif_conn_response event = front_next_plug(f);
        conform_equal(t, "event.id", 100 + i, event.id);
        conform_equal(t, "event.portnum", i + 1, event.portnum);
        conform_equal(t, "event.speed", USBIF_SPEED_HIGH, event.speed);
    }
    front_prime(f, 5, 0);
    nothing_told(t);
}

static void few_0(struct conform *t)
{
    few(t, 0);
}

static void few_1(struct conform *t)
{
    few(t, 1);
}

static void few_2(struct conform *t)
{
    few(t, 2);
}

static void swap_untold(struct conform *t)
{
    struct front *f = front_number(t, 0);
    connect_primed(t, 1);
    put_in(t, 1, "1-1");
    told(t, 1, USBIF_SPEED_HIGH);
    for (unsigned int i = 0; i < 2; i++) {
        probe_pull(t, "1-1");
        conform_settle(t);
        probe_plug(t, "1-1", USBIF_SPEED_HIGH);
        conform_settle(t);
    }
    put_in(t, 2, "1-2");
    conform_settle(t);
    put_in(t, 2, ""); /* never told: nothing to tell */
    nothing_told(t);
    front_prime(f, 1, 1);
    told(t, 1, 0);
    front_prime(f, 5, 2);
    told(t, 1, USBIF_SPEED_HIGH);
    nothing_told(t);
}

static void before_connect(struct conform *t)
{
    struct front *f = front_number(t, 0);
    put_in(t, 4, "1-4");
    put_in(t, 2, "1-2");
    put_in(t, 1, "9-9");
    front_connect(f);
    bool seen[5] = {false};
    for (unsigned int i = 0; i < 2; i++) {
        struct usbif_conn_response event = front_next_plug(f);
        conform_equal(t, "event.speed", USBIF_SPEED_HIGH, event.speed);
        conform_true(t, event.portnum == 2 || event.portnum == 4, "an event is for one of the two ports");
        conform_true(t, !seen[event.portnum], "each port is told once");
        seen[event.portnum] = true;
    }
    nothing_told(t);
}

static void hub(struct conform *t)
{
    struct front *f = front_number(t, 0);
    probe_plug_hub(t, "1-9");
    front_port(f, 2, "1-9");
    front_expect_no_plug(f);
    front_port(f, 2, "");
    front_port(f, 2, "1-2");
    front_expect_plug(f, 2, USBIF_SPEED_HIGH);
    front_expect_no_plug(f);
}

#define CASE(id, requirements, title, run, ...) \
    {"backend.hotplug." id, requirements, title, run, .needs = "device toolstack", __VA_ARGS__}
#define HAND(id, requirements, title, run, ...) \
    {"backend.hotplug." id, requirements, title, run, .needs = "device toolstack replug", __VA_ARGS__}
#define SPEED(id, requirements, title, run, version)                                    \
    {"backend.hotplug." id,   requirements,       title, run, .start = CONFORM_CONNECTED, \
     .needs = "toolstack speeds", .usb_ver = version}

const struct conform_case backend_hotplug_cases[] = {
    SPEED("speed.low", "plug.range", "a low-speed device on USB 2", low, 2),
    SPEED("speed.full", "plug.range", "a full-speed device on USB 2", full, 2),
    SPEED("speed.high", "plug.range", "a high-speed device on USB 2", high, 2),
    SPEED("usb-1.low", "plug.range", "a low-speed device on USB 1.1", low, 1),
    SPEED("usb-1.full", "plug.range", "a full-speed device on USB 1.1", full, 1),
    SPEED("usb-1.high", "plug.usb-ver", "a high-speed device is not told on USB 1.1", high_refused, 1),
    CASE("ports.1", "node.num-ports.range plug.range", "the only port, and none behind it", last_of_1,
         .start = CONFORM_CONNECTED, .num_ports = 1),
    CASE("ports.4", "node.num-ports.range plug.range", "the last of four ports", last_of_4, .start = CONFORM_CONNECTED),
    CASE("ports.31", "node.num-ports.range plug.range", "the last of 31 ports", last_of_31,
         .start = CONFORM_CONNECTED, .num_ports = 31),
    CASE("names", "node.port.value plug.phantom", "names of no device announce none", odd_names),
    CASE("swap", "node.port.replace plug.between", "one device after another at a port", swap),
    CASE("same", "node.port.value", "the same name again changes nothing", same_again),
    CASE("two-ports", "hotplug.one-device-two-ports", "a device appears at one port only", two_ports),
    CASE("fresh", "hotplug.attach-order", "a device is reset between two ports", fresh),
    CASE("storm", "ring.event.spurious observed.backend.rereads", "1000 writes of port nodes", storm),
    {"backend.hotplug.hub", "plug.hub-refused", "a hub is not told, and its port is free", hub,
     .needs = "device toolstack hub"},
    HAND("pulled", "hotplug.physical control.stale-address", "a device is pulled out in use", pulled),
    HAND("pulled.nodev", "status.values hotplug.physical", "what is out then is -19", unplug_says_nodev),
    HAND("pulled.itself", "hotplug.physical", "a device goes by itself", goes_itself),
    HAND("again", "plug.replug hotplug.physical", "a device is pushed in again, at another speed", pushed_in_again),
    HAND("quick", "plug.replug plug.between", "out and in at once is told as both", quick),
    HAND("late", "hotplug.retry plug.replug", "a device that comes after its name is told", comes_late,
         .start = CONFORM_CONNECTED),
    CASE("few.0", "plug.wait-for-request plug.id-echo ring.event.both", "three events and no request yet", few_0,
         .start = CONFORM_NODES),
    CASE("few.1", "plug.wait-for-request plug.id-echo ring.event.both", "three events and one request", few_1,
         .start = CONFORM_NODES),
    CASE("few.2", "plug.wait-for-request plug.id-echo ring.event.both", "three events and two requests", few_2,
         .start = CONFORM_NODES),
    HAND("few.swap", "plug.wait-for-request plug.between", "devices change while no event can be told", swap_untold,
         .start = CONFORM_NODES),
    CASE("before-connect", "plug.before-connect plug.phantom", "what was there before is told once", before_connect,
         .start = CONFORM_NODES),
    {0},
};
