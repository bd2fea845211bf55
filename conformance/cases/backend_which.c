// SPDX-License-Identifier: MIT
/*
 * Where backends disagree: each case finds out what the peer does, says so, and fails only when it does what
 * no known backend does. What a backend should do, other cases judge.
 */
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static void set_backend(struct conform *t, const char *node, const char *value)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", front_backend_dir(front_number(t, 0)), node);
    if (value)
        store_write(t, store_toolstack(t), path, value);
    else
        store_remove(t, store_toolstack(t), path);
}

/* ---- answers to a request ---- */

struct answer {
    int32_t status;
    int32_t actual;   /* -1: any */
    const char *what; /* who does so */
};

static void answers(struct conform *t, struct usbif_urb_request request, const struct answer *known)
{
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    for (; known->what; known++) {
        if (known->status == rsp.status && (known->actual < 0 || known->actual == rsp.actual_length)) {
            conform_say(t, "status %d, %d bytes: %s", rsp.status, rsp.actual_length, known->what);
            return;
        }
    }
    conform_fail(t, "rsp.status: expected what a known backend says, it is %d with %d bytes", rsp.status,
                 rsp.actual_length);
}

#define ANSWERS(...)                                                                                         \
    (const struct answer[])                                                                                  \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            0, 0, NULL                                                                                       \
        }                                                                                                    \
    }

static void type_mismatch(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.pipe = FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS, 1, 1);
    request.u.intr.interval = 8;
    answers(t, request,
            ANSWERS({0, 64, "goes by the endpoint's descriptor (QEMU 7.2)"}, {-108, 0, "refuses (usbback)"},
                    {-22, 0, "refuses"}, {-32, 0, "stalls"}, {-71, 0, "fails"}));
}

static void endpoint_unknown(struct conform *t)
{
    answers(t, front_bulk(t, 0x89, 0, 64),
            ANSWERS({-32, 0, "a stall (QEMU 7.2)"}, {-108, 0, "refuses (usbback)"}));
}

static void full_64k(struct conform *t)
{
    answers(t, front_bulk(t, 0x81, 0, 65536),
            ANSWERS({0, 65536, "65536 bytes (QEMU 7.2)"}, {0, 0, "no bytes (usbback)"}));
}

static void empty_at_end(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_segment(&request, front_ref(f, 1, false), 4096, 0);
    answers(t, request,
            ANSWERS({0, 64, "an empty segment at 4096 is valid (QEMU 7.2)"}, {-108, 0, "refuses (usbback)"}));
}

static void length_less(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.buffer_length = 32;
    answers(t, request,
            ANSWERS({-22, 0, "refuses a length that is not the sum"},
                    {0, 64, "goes by the segments (QEMU 7.2)"}, {0, 32, "goes by buffer_length (usbback)"}));
}

static void long_control(struct conform *t)
{
    answers(t, front_control(t, CONFORM_ADDRESS, 0xc0, PROBE_GET_BYTES, 0, 0, 0, 4097),
            ANSWERS({0, -1, "more than 4096 bytes of control data are asked for"},
                    {-32, 0, "stalls above 4096 (QEMU 7.2)"}));
}

static void zero_setup(struct conform *t)
{
    answers(t, front_control(t, CONFORM_ADDRESS, 0, 0, 0, 0, 0, 0),
            ANSWERS({0, 0, "carried out by the device"},
                    {-32, 0, "stalled, by the device or before (QEMU 7.2)"}));
}

static void iso(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 1, 11, 1, 0, 0, 0);
    front_send(t, &request);
    (void)front_response(front_number(t, 0), request.id);
    answers(t, front_iso(t, 0x84, 0, 8, 64),
            ANSWERS({0, 512, "carries isochronous requests out (usbback)"},
                    {-108, 0, "refuses them (QEMU 7.2)"}, {-22, 0, "refuses them"}));
}

static void short_with_flag(struct conform *t)
{
    probe_script(t, 0x81, PROBE_SHORT, 5);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.transfer_flags = 1;
    answers(t, request,
            ANSWERS({0, 5, "short is status 0 (QEMU 7.2)"}, {-121, 5, "short is -121 (usbback)"}));
}

static void unlink_port_0(struct conform *t)
{
    struct usbif_urb_request target = front_request(t, FRONT_PIPE(FRONT_CTRL, 0, 0, 0));
    answers(t, front_unlink(t, &target),
            ANSWERS({-19, 0, "no such device (usbback)"}, {0, 0, "nothing to unlink (QEMU 7.2)"}));
}

static void move_address(struct conform *t)
{
    answers(t, front_control(t, CONFORM_ADDRESS, 0, 5, 77, 0, 0, 0),
            ANSWERS({0, 0, "an addressed device moves (QEMU 7.2)"}, {-22, 0, "refuses"}));
}

/* ---- an unlink and its target ---- */

static void unlink_order(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request target = front_int(t, 0x82, 0, 8);
    front_send(t, &target);
    front_expect_none(t, target.id);
    struct usbif_urb_request unlink = front_unlink(t, &target);
    front_send(t, &unlink);
    struct usbif_urb_response first = front_next(f), second = front_next(f);
    bool target_first = first.id == target.id;
    int32_t of_target = target_first ? first.status : second.status;
    int32_t of_unlink = target_first ? second.status : first.status;
    conform_say(t, "%s comes first, the target is %d, the unlink %d",
                target_first ? "the target" : "the unlink", of_target, of_unlink);
    conform_true(t, (of_target == -71 && of_unlink == 0) || (of_target == -104 && of_unlink == -115),
                 "-71 and 0 (QEMU 7.2), or -104 and -115 (usbback)");
}

/* ---- states and nodes ---- */

static void says_state(struct conform *t, const char *when, unsigned int allowed)
{
    conform_settle(t);
    enum xenbus_state state = front_backend_state(front_number(t, 0));
    conform_say(t, "%s the backend shows %d", when, (int)state);
    conform_true(t, allowed & 1u << state, "a state that a known backend shows then");
}

#define S(state) (1u << (state))

static void bad_ports(struct conform *t)
{
    const struct store_controller controller = {
        .frontend = conform_guest(t), .usb_ver = 2, .num_ports = 4, .kind = "qusb", .num_ports_text = "32"};
    store_create_controller(t, &controller);
    says_state(t, "with 32 ports", S(1) | S(5) | S(6));
}

static void state_3(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_prime(f, 512, 0);
    front_write_nodes(f);
    front_set_state(f, XenbusStateInitialised);
    says_state(t, "with the frontend at 3", S(2) | S(4));
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
}

static void late_node(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_prime(f, 512, 0);
    front_write_nodes(f);
    front_set_node(f, "conn-ring-ref", NULL);
    front_set_state(f, XenbusStateConnected);
    says_state(t, "without conn-ring-ref", S(2) | S(5));
}

static void toolstack_close(struct conform *t)
{
    set_backend(t, "online", "0");
    set_backend(t, "state", "5");
    front_set_state(front_number(t, 0), XenbusStateClosed);
    says_state(t, "after the toolstack's close and the frontend's", S(1) | S(5) | S(6));
}

static void restart_from_5(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_set_state(f, XenbusStateClosing);
    front_expect_backend_state(f, XenbusStateClosing);
    front_set_state(f, XenbusStateInitialising);
    says_state(t, "for a frontend that goes from 5 to 1", S(2) | S(5));
}

static void index_jump(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint8_t *page = front_urb_page(f);
    front_knobs(f)->deaf = true;
    uint32_t answered = front_word(page, 8);
    front_set_word(page, 0, front_word(page, 0) + 100);
    front_notify(f);
    conform_settle(t);
    if (front_word(page, 8) != answered)
        conform_say(t, "it runs stale slots (usbback)");
    else
        says_state(t, "after a jump of req_prod", S(4) | S(5) | S(6));
}

/* ---- plug events ---- */

/* How often a device is told that was there before. */
static void told_at_connect(struct conform *t)
{
    struct front *f = front_number(t, 0);
    unsigned int told, empty = 0;
    front_port(f, 1, "1-1");
    conform_settle(t);
    front_knobs(f)->deaf = true;
    front_connect(f);
    conform_settle(t);
    told = front_word(front_conn_page(f), 8);
    for (unsigned int i = 0; i < told && i < 512; i++)
        empty += front_conn_page(f)[64 + 4 * i + 3] == 0;
    conform_say(t, "a device that was there is told with %u events, %u of them of an empty port", told,
                empty);
    conform_true(t, told <= 8 && told > empty, "a few events, one of them of a device");
}

static void replaced(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_knobs(f)->deaf = true;
    uint32_t before = front_word(front_conn_page(f), 8);
    front_port(f, 1, "1-2");
    conform_settle(t);
    uint32_t events = front_word(front_conn_page(f), 8) - before;
    enum xenbus_state state = front_backend_state(f);
    conform_say(t, "for another device at a port %u events, state %d: %s", events, (int)state,
                state != XenbusStateConnected ? "fatal (usbback)"
                : events == 0                 ? "keeps the old one (QEMU 7.2)"
                                              : "takes the new one");
}

static void same_device_twice(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_knobs(f)->deaf = true;
    uint32_t before = front_word(front_conn_page(f), 8);
    front_port(f, 2, "1-1");
    conform_settle(t);
    uint32_t events = front_word(front_conn_page(f), 8) - before;
    uint8_t speed = events ? front_conn_page(f)[64 + 4 * ((before + events - 1) % 512) + 3] : 0;
    enum xenbus_state state = front_backend_state(f);
    conform_say(t, "for one device at two ports %u events, speed %u, state %d: %s", events, speed, (int)state,
                state != XenbusStateConnected ? "fatal (usbback)"
                : speed                       ? "told at the second, too (QEMU 7.2)"
                                              : "at the first only");
}

static void port_removed(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_knobs(f)->deaf = true;
    uint32_t before = front_word(front_conn_page(f), 8);
    set_backend(t, "port/1", NULL);
    conform_settle(t);
    enum xenbus_state state = front_backend_state(f);
    bool told = front_word(front_conn_page(f), 8) != before;
    conform_say(t, "without its port node a device %s, state %d", told ? "goes" : "stays", (int)state);
    conform_true(t, state == XenbusStateConnected || state == XenbusStateClosing,
                 "Connected, or Closing (usbback)");
}

#define CASE(id, rule, title, run, start_, needs_)                                                           \
    {                                                                                                        \
        "backend.which." id, "observed.backend.known", title " (" rule ")", run, .start = start_,            \
                                                                                 .needs = needs_             \
    }

const struct conform_case backend_which_cases[] = {
    CASE("num-ports", "XS-06", "32 ports", bad_ports, CONFORM_NOTHING, "toolstack"),
    CASE("port-removed", "XS-08", "a port node that is removed", port_removed, CONFORM_READY,
         "device toolstack"),
    CASE("port-replaced", "XS-10", "another device in a port node", replaced, CONFORM_READY,
         "device toolstack"),
    CASE("state-3", "BUS-07", "a frontend that says Initialised", state_3, CONFORM_NODES, NULL),
    CASE("late-node", "BUS-09", "a node that is missing", late_node, CONFORM_NODES, NULL),
    CASE("toolstack-close", "BUS-13", "a close by the toolstack", toolstack_close, CONFORM_CONNECTED,
         "toolstack"),
    CASE("restart-from-5", "BUS-15", "a frontend that goes from 5 to 1", restart_from_5, CONFORM_CONNECTED,
         NULL),
    CASE("index-jump", "RING-09", "a jump of req_prod", index_jump, CONFORM_CONNECTED, NULL),
    CASE("told", "CONN-10", "a device that was there before", told_at_connect, CONFORM_NODES,
         "device toolstack"),
    CASE("type", "PIPE-06", "an interrupt request for a bulk endpoint", type_mismatch, CONFORM_READY,
         "device"),
    CASE("endpoint", "PIPE-10", "an endpoint that is not there", endpoint_unknown, CONFORM_READY, "device"),
    CASE("64k", "SEG-03", "16 full segments", full_64k, CONFORM_READY, "device"),
    CASE("empty-segment", "SEG-07", "an empty segment at the end of a page", empty_at_end, CONFORM_READY,
         "device"),
    CASE("length", "SEG-09", "a length that is less than the sum", length_less, CONFORM_READY, "device"),
    CASE("move", "CTL-07", "SET_ADDRESS to an addressed device", move_address, CONFORM_READY, "device"),
    CASE("long-control", "CTL-13", "4097 bytes of control data", long_control, CONFORM_READY, "device"),
    CASE("zero-setup", "CTL-15", "a setup packet of zeros", zero_setup, CONFORM_READY, "device"),
    CASE("iso", "ISO-04", "an isochronous request", iso, CONFORM_READY, "device"),
    CASE("short", "SNO-02", "a short transfer with the flag", short_with_flag, CONFORM_READY, "device"),
    CASE("unlink", "UNL-04", "an unlink", unlink_order, CONFORM_READY, "device"),
    CASE("unlink-port-0", "UNL-06", "an unlink for port 0", unlink_port_0, CONFORM_READY, "device"),
    CASE("two-ports", "HOT-09", "one device at two ports", same_device_twice, CONFORM_READY,
         "device toolstack"),
    {0},
};
