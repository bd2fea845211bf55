// SPDX-License-Identifier: MIT
/*
 * Goal: the root hub is what USB 2.0 chapter 11 says (section 15 of the rules, without Linux's departures),
 * and plug events show up in it however they come (section 4).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define MS UINT64_C(1000000)

enum {
    ENABLE = 1,
    SUSPEND = 2,
    RESET = 4,
    POWER = 8,
    C_CONNECTION = 16,
    C_ENABLE,
    C_SUSPEND,
    C_OVER,
    C_RESET
};

static int set(struct frig *frig, uint16_t port, uint16_t feature)
{
    return frig_hub(frig, 0x23, 3, feature, port, NULL, 0);
}

static int clear(struct frig *frig, uint16_t port, uint16_t feature)
{
    return frig_hub(frig, 0x23, 1, feature, port, NULL, 0);
}

static void plug(struct frig *frig, uint8_t port, uint8_t speed)
{
    raw_back_plug(&frig->back, port, speed);
    frig_run(frig);
}

/* Rules HUB-07, HUB-11: nothing of all this reaches the backend. */
static void finish(struct frig *frig)
{
    assert_int_equal(frig->back.urb->req_prod, 0);
    assert_int_equal(front_verdict(frig->rig.front), PVUSB_OK);
    frig_dispose(frig);
}

/* ---- the hub itself ---- */

/* Rules HUB-01, HUB-02, HUB-03, HUB-05, for every number of ports. */
static void test_front_hub_sizes(void **state)
{
    (void)state;
    for (uint8_t ports = 1; ports <= 31; ports++) {
        struct frig frig;
        uint8_t data[64];
        uint8_t bitmap[8];
        const uint8_t bytes = ports < 8 ? 1 : ports < 16 ? 2 : ports < 24 ? 3 : 4;
        uint8_t expected[15] = {(uint8_t)(7 + 2 * bytes), 0x29, ports, 0x0a, 0, 10, 0};
        memset(expected + 7 + bytes, 0xff, bytes);
        frig_start(&frig, 1 + ports % 2, ports);
        assert_int_equal(frig.hcd->ops->num_ports(frig.hcd), ports);
        memset(data, 0x77, sizeof(data));
        assert_int_equal(frig_hub(&frig, 0xa0, 6, 0x2900, 0, data, sizeof(data)), expected[0]);
        assert_memory_equal(data, expected, expected[0]);
        assert_int_equal(data[expected[0]], 0x77);
        assert_int_equal(frig_hub(&frig, 0xa0, 6, 0, 0, data, 9), 9);

        assert_int_equal(frig_port_status(&frig, ports), 0);
        assert_int_equal(frig_hub(&frig, 0xa3, 0, 0, ports + 1, data, 4), -EPIPE);
        assert_int_equal(frig_hub(&frig, 0xa3, 0, 0, 0, data, 4), -EPIPE);
        assert_int_equal(frig_hub(&frig, 0xa3, 0, 0, 255, data, 4), -EPIPE);

        assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, sizeof(bitmap)), 0);
        for (uint16_t port = 1; port <= ports; port++)
            assert_int_equal(set(&frig, port, POWER), 0);
        assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, sizeof(bitmap)), 0);
        plug(&frig, ports, USBIF_SPEED_FULL);
        memset(bitmap, 0x77, sizeof(bitmap));
        assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, sizeof(bitmap)), bytes);
        for (uint8_t i = 0; i < bytes; i++)
            assert_int_equal(bitmap[i], i == ports / 8 ? 1 << ports % 8 : 0);
        assert_int_equal(bitmap[bytes], 0x77);
        assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, bytes), bytes);
        assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, bytes - 1u), 0);
        finish(&frig);
    }
}

/* Rule HUB-03: the example of the recording. */
static void test_front_hub_bitmap(void **state)
{
    struct frig frig;
    uint8_t bitmap[1];
    (void)state;
    frig_start(&frig, 2, 4);
    plug(&frig, 1, USBIF_SPEED_HIGH);
    plug(&frig, 3, USBIF_SPEED_HIGH);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 0); /* no power, no change */
    set(&frig, 1, POWER);
    set(&frig, 3, POWER);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 1);
    assert_int_equal(bitmap[0], 0x0a);
    clear(&frig, 1, C_CONNECTION);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 1);
    assert_int_equal(bitmap[0], 0x08);
    clear(&frig, 3, C_CONNECTION);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 0);
    finish(&frig);
}

/* Rules HUB-01, HUB-04, HUB-05: every request that is answered, and that nothing else is. */
static void test_front_hub_requests(void **state)
{
    struct frig frig;
    uint8_t data[64];
    (void)state;
    frig_start(&frig, 2, 4);
    memset(data, 0x77, sizeof(data));
    assert_int_equal(frig_hub(&frig, 0xa0, 0, 0, 0, data, 4), 4); /* GetHubStatus */
    assert_memory_equal(data, "\0\0\0\0\x77", 5);
    assert_int_equal(frig_hub(&frig, 0xa0, 0, 0, 0, data, 2), 2);
    assert_int_equal(frig_hub(&frig, 0x20, 1, 0, 0, NULL, 0), 0);
    assert_int_equal(frig_hub(&frig, 0xa0, 6, 0x2a00, 0, data, 64), -EPIPE);
    /* No room at all. */
    assert_int_equal(frig_hub(&frig, 0xa0, 0, 0, 0, NULL, 0), 0);
    assert_int_equal(frig_hub(&frig, 0xa3, 0, 0, 1, NULL, 0), 0);
    assert_int_equal(frig_hub(&frig, 0xa0, 6, 0x2900, 0, NULL, 0), 0);
    /* wLength bounds the answer even where the buffer is larger. */
    const uint8_t setup[8] = {0xa3, 0, 0, 0, 1, 0, 2, 0};
    assert_int_equal(frig.hcd->ops->hub_control(frig.hcd, setup, data, sizeof(data), 0), 2);
    for (unsigned int type = 0; type < 256; type++) {
        for (unsigned int request = 0; request < 256; request++) {
            const unsigned int what = type << 8 | request;
            if (what == 0xa000 || what == 0xa006 || what == 0x2001 || what == 0xa300 || what == 0x2303 ||
                what == 0x2301)
                continue;
            assert_int_equal(frig_hub(&frig, (uint8_t)type, (uint8_t)request, 0, 1, data, 64), -EPIPE);
        }
    }
    finish(&frig);
}

/* Rules HUB-17, HUB-18, HUB-19: every feature number there is, on ports with and without power. */
static void test_front_hub_features(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    set(&frig, 1, POWER);
    for (uint32_t feature = 0; feature <= UINT16_MAX; feature++) {
        const bool settable = feature == SUSPEND || feature == RESET || feature == POWER || feature == 22;
        const bool clearable = feature == ENABLE || feature == SUSPEND || feature == POWER || feature == 22 ||
                               (feature >= C_CONNECTION && feature <= C_RESET);
        assert_int_equal(set(&frig, 1, (uint16_t)feature), settable ? 0 : -EPIPE);
        assert_int_equal(clear(&frig, 2, (uint16_t)feature), clearable ? 0 : -EPIPE);
        if (feature != POWER)
            assert_int_equal(set(&frig, 2, (uint16_t)feature), settable ? 0 : -EPIPE);
        assert_int_equal(frig_port_status(&frig, 1) & ~0x10u, 0x0100); /* RESET may be going on */
        assert_int_equal(frig_port_status(&frig, 2), 0);
    }
    assert_int_equal(set(&frig, 0, POWER), -EPIPE);
    assert_int_equal(clear(&frig, 5, POWER), -EPIPE);
    finish(&frig);
}

/* ---- ports ---- */

/* One thing that happens to port 1, and its status and change after that. */
struct step {
    enum { SET = 1, CLEAR, PLUG, WAIT_MS } what;
    unsigned int value;
    uint32_t status; /* wPortChange << 16 | wPortStatus */
};

struct story {
    const char *name;
    struct step step[12];
};

static const struct story stories[] = {
    {"HUB-06, CONN-17: power, then each speed",
     {{PLUG, 3, 0},
      {SET, POWER, 0x10501},
      {PLUG, 0, 0x10100},
      {PLUG, 2, 0x10101},
      {PLUG, 0, 0x10100},
      {PLUG, 1, 0x10301},
      {SET, POWER, 0x10301}}},
    {"HUB-06: power first", {{SET, POWER, 0x100}, {PLUG, 1, 0x10301}, {CLEAR, C_CONNECTION, 0x301}}},
    {"CONN-17: gone again before power", {{PLUG, 3, 0}, {PLUG, 0, 0}, {SET, POWER, 0x100}}},
    {"HUB-08: a power cycle keeps the device",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {CLEAR, C_CONNECTION, 0x501},
      {CLEAR, POWER, 0},
      {SET, POWER, 0x10501}}},
    {"HUB-08: power off clears every change",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {CLEAR, POWER, 0},
      {PLUG, 0, 0},
      {SET, POWER, 0x100}}},
    {"HUB-08: power off ends a reset and a resume",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {CLEAR, POWER, 0},
      {WAIT_MS, 50, 0},
      {SET, POWER, 0x10501},
      {WAIT_MS, 50, 0x10501}}},
    {"HUB-09: reset, high speed",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {CLEAR, C_CONNECTION, 0x501},
      {SET, RESET, 0x111},
      {WAIT_MS, 9, 0x111},
      {WAIT_MS, 1, 0x100503},
      {CLEAR, C_RESET, 0x503},
      {WAIT_MS, 50, 0x503}}},
    {"HUB-09: reset, full speed",
     {{SET, POWER, 0x100},
      {PLUG, 2, 0x10101},
      {CLEAR, C_CONNECTION, 0x101},
      {SET, RESET, 0x111},
      {WAIT_MS, 10, 0x100103}}},
    {"HUB-09: reset, low speed",
     {{SET, POWER, 0x100},
      {PLUG, 1, 0x10301},
      {CLEAR, C_CONNECTION, 0x301},
      {SET, RESET, 0x111},
      {WAIT_MS, 10, 0x100303}}},
    {"HUB-09: reset begins anew",
     {{SET, POWER, 0x100},
      {SET, RESET, 0x110},
      {WAIT_MS, 9, 0x110},
      {SET, RESET, 0x110},
      {WAIT_MS, 9, 0x110},
      {WAIT_MS, 1, 0x100100}}},
    {"HUB-10: reset of an empty port", {{SET, POWER, 0x100}, {SET, RESET, 0x110}, {WAIT_MS, 10, 0x100100}}},
    {"HUB-12: disable, also a suspended port and a resume",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {CLEAR, ENABLE, 0x110501},
      {SET, RESET, 0x110111},
      {WAIT_MS, 10, 0x110503},
      {SET, SUSPEND, 0x110507},
      {CLEAR, SUSPEND, 0x110507},
      {CLEAR, ENABLE, 0x110501},
      {WAIT_MS, 50, 0x110501}}},
    {"HUB-13, HUB-15: an empty port, or one not enabled, is not suspended",
     {{SET, POWER, 0x100},
      {SET, SUSPEND, 0x100},
      {SET, RESET, 0x110},
      {WAIT_MS, 10, 0x100100},
      {PLUG, 3, 0x110501},
      {SET, SUSPEND, 0x110501},
      {CLEAR, SUSPEND, 0x110501},
      {WAIT_MS, 50, 0x110501}}},
    {"HUB-14: suspend and resume, told once",
     {{SET, POWER, 0x100},
      {PLUG, 2, 0x10101},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110103},
      {SET, SUSPEND, 0x110107},
      {CLEAR, SUSPEND, 0x110107},
      {WAIT_MS, 19, 0x110107},
      {WAIT_MS, 1, 0x150103},
      {CLEAR, C_SUSPEND, 0x110103},
      {WAIT_MS, 50, 0x110103},
      {CLEAR, SUSPEND, 0x110103},
      {WAIT_MS, 50, 0x110103}}},
    {"HUB-09: reset wakes a suspended port",
     {{SET, POWER, 0x100},
      {PLUG, 2, 0x10101},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110103},
      {SET, SUSPEND, 0x110107},
      {CLEAR, SUSPEND, 0x110107},
      {SET, RESET, 0x110111},
      {WAIT_MS, 50, 0x110103}}},
    {"HUB-16: unplug of an enabled port",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {CLEAR, C_CONNECTION, 0x100503},
      {CLEAR, C_RESET, 0x503},
      {SET, SUSPEND, 0x507},
      {PLUG, 0, 0x10100}}},
    {"HUB-16: unplug ends a reset and a resume",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {PLUG, 0, 0x10100},
      {WAIT_MS, 50, 0x10100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {SET, SUSPEND, 0x110507},
      {CLEAR, SUSPEND, 0x110507},
      {PLUG, 0, 0x110100},
      {WAIT_MS, 50, 0x110100}}},
    {"CONN-09, CONN-10: repeated events",
     {{PLUG, 0, 0},
      {SET, POWER, 0x100},
      {PLUG, 0, 0x100},
      {PLUG, 3, 0x10501},
      {CLEAR, C_CONNECTION, 0x501},
      {PLUG, 3, 0x501},
      {SET, RESET, 0x111},
      {WAIT_MS, 10, 0x100503},
      {PLUG, 3, 0x100503}}},
    {"CONN-12: another speed without a 0 between is another device",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {CLEAR, C_CONNECTION, 0x100503},
      {CLEAR, C_RESET, 0x503},
      {PLUG, 2, 0x10101},
      {PLUG, 1, 0x10301},
      {PLUG, 3, 0x10501}}},
    {"CONN-11: gone and back with the same speed",
     {{SET, POWER, 0x100},
      {PLUG, 3, 0x10501},
      {SET, RESET, 0x10111},
      {WAIT_MS, 10, 0x110503},
      {CLEAR, C_CONNECTION, 0x100503},
      {CLEAR, C_RESET, 0x503},
      {PLUG, 0, 0x10100},
      {PLUG, 3, 0x10501}}},
};

static void take_step(struct frig *frig, uint8_t port, const struct step *step)
{
    switch (step->what) {
    case SET:
        assert_int_equal(set(frig, port, (uint16_t)step->value), 0);
        break;
    case CLEAR:
        assert_int_equal(clear(frig, port, (uint16_t)step->value), 0);
        break;
    case PLUG:
        plug(frig, port, (uint8_t)step->value);
        break;
    case WAIT_MS:
        frig->rig.now_ns += step->value * MS;
        break;
    }
}

/*
 * The rules are in the table. Once with a driver that steps in between, once without: the time of a request
 * counts.
 */
static void test_front_hub_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(stories) / sizeof(stories[0]); i++) {
        const struct story *story = &stories[i / 2];
        struct frig frig;
        frig_start(&frig, 2, 9);
        for (const struct step *step = story->step; step < story->step + 12 && step->what; step++) {
            take_step(&frig, 1, step);
            if (i & 1)
                frig_run(&frig);
            uint32_t status = frig_port_status(&frig, 1);
            if (status != step->status)
                fail_msg("%s: step %d: 0x%x, expected 0x%x", story->name, (int)(step - story->step), status,
                         step->status);
            assert_int_equal(frig_port_status(&frig, 2), 0);
            assert_int_equal(frig_port_status(&frig, 9), 0);
        }
        finish(&frig);
    }
}

/*
 * frontend.h: the ends of a reset and a resume are due by themselves, once; HUB-24: and are seen without
 * asking.
 */
static void test_front_hub_deadlines(void **state)
{
    struct frig frig;
    uint8_t bitmap[1];
    (void)state;
    frig_start(&frig, 2, 4);
    frig.rig.now_ns = 7 * MS;
    set(&frig, 2, POWER);
    plug(&frig, 2, USBIF_SPEED_HIGH);
    clear(&frig, 2, C_CONNECTION);
    set(&frig, 2, RESET);
    assert_int_equal(front_deadline(frig.rig.front), 17 * MS);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 0);
    frig_advance(&frig, 10 * MS);
    assert_int_equal(front_deadline(frig.rig.front), UINT64_MAX);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 1);
    clear(&frig, 2, C_RESET);
    set(&frig, 2, SUSPEND);
    clear(&frig, 2, SUSPEND);
    assert_int_equal(front_deadline(frig.rig.front), 37 * MS);
    frig_advance(&frig, 20 * MS);
    assert_int_equal(front_deadline(frig.rig.front), UINT64_MAX);
    assert_int_equal(frig.hcd->ops->hub_status(frig.hcd, bitmap, 1), 1);
    assert_int_equal(bitmap[0], 4);
    finish(&frig);
}

/* ---- plug events ---- */

/*
 * Rules CONN-03, CONN-06, CONN-07, MAL-70: each event is re-posted with its id and wakes nobody; the ring
 * goes round.
 */
static void test_front_hub_reposts(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 31);
    frig.back.events = 0;
    for (unsigned int i = 0; i < 3000; i++) {
        uint16_t id = (uint16_t)(i * 2654435761u >> 7);
        raw_back_plug_raw(&frig.back, (struct usbif_conn_response){.id = id,
                                                                   .portnum = (uint8_t)(i % 31 + 1),
                                                                   .speed = (uint8_t)(i % 4)});
        frig_run(&frig);
        assert_int_equal(frig.back.conn->req_prod, 513 + i);
        assert_int_equal(frig.back.conn->ring[(512 + i) % 512].req.id, id);
        assert_int_equal(frig.back.conn->rsp_event, i + 2);
        frig.back.conn->req_event = i; /* the backend does not ask for them */
    }
    assert_int_equal(frig.back.events, 0);
    assert_int_equal(front_stats(frig.rig.front).plug_events, 3000);
    finish(&frig);
}

/* Rules CONN-05, HOT-11, RING-05: a whole ring of events at once. */
static void test_front_hub_burst(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    set(&frig, 3, POWER);
    for (unsigned int i = 0; i < 512; i++)
        frig.back.conn->ring[i].rsp =
            (struct usbif_conn_response){.id = (uint16_t)i, .portnum = 3, .speed = (uint8_t)(i & 1 ? 2 : 0)};
    frig.back.conn->rsp_prod = 512;
    frig.back.conn->req_event = 513; /* wants to know when it can send more */
    frig.back.events = 0;
    raw_back_notify(&frig.back);
    frig_run(&frig);
    assert_int_equal(front_stats(frig.rig.front).plug_events, 512);
    assert_int_equal(frig.back.conn->req_prod, 1024);
    assert_int_equal(frig.back.events, 1);
    assert_int_equal(frig_port_status(&frig, 3), 0x10101);
    finish(&frig);
}

/*
 * Rules HUB-16, LIF-08, BUS-14: a closed controller has empty ports, a new connection begins without power.
 */
static void test_front_hub_close(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    set(&frig, 1, POWER);
    plug(&frig, 1, USBIF_SPEED_HIGH);
    plug(&frig, 2, USBIF_SPEED_HIGH);
    clear(&frig, 1, C_CONNECTION);
    set(&frig, 1, RESET);
    front_close(frig.rig.front);
    assert_int_equal(frig_port_status(&frig, 1), 0x10100);
    set(&frig, 2, POWER);
    assert_int_equal(frig_port_status(&frig, 2), 0x100);
    frig_run(&frig);
    frig_back_leaves(&frig);
    assert_int_equal(front_reconnect(frig.rig.front), 0);
    frig_connect(&frig);
    assert_int_equal(frig_port_status(&frig, 1), 0);
    set(&frig, 1, POWER);
    assert_int_equal(frig_port_status(&frig, 1), 0x100);
    finish(&frig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_hub_sizes),    cmocka_unit_test(test_front_hub_bitmap),
        cmocka_unit_test(test_front_hub_requests), cmocka_unit_test(test_front_hub_features),
        cmocka_unit_test(test_front_hub_stories),  cmocka_unit_test(test_front_hub_deadlines),
        cmocka_unit_test(test_front_hub_reposts),  cmocka_unit_test(test_front_hub_burst),
        cmocka_unit_test(test_front_hub_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
