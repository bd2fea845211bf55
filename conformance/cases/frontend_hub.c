// SPDX-License-Identifier: MIT
/* The root hub of a frontend, and what plug events do to it. */
#include <stdio.h>
#include <stdlib.h>

#include "frontend_groups.h"
#include "frontend_support.h"

/* A request to the hub without data. */
static void feature(struct conform *t, uint8_t request, uint8_t what)
{
    const uint8_t setup[8] = {0x23, request, what, 0, 1, 0, 0, 0};
    conform_equal(t, "hub request", 0, guest_hub(t, setup, NULL, 0));
}

/*
 * What happens to port 1, each with the change and status (hexadecimal) after it, "-" for any: S set
 * and C clear a feature, P a plug event with that speed, W so many ms.
 */
static void story(struct conform *t, const char *text)
{
    char what;
    unsigned int value;
    char status[16];
    int used;
    for (; sscanf(text, " %c%u %15s%n", &what, &value, status, &used) == 3; text += used) {
        if (what == 'S' || what == 'C')
            feature(t, what == 'S' ? 3 : 1, (uint8_t)value);
        else if (what == 'P')
            back_plug(t, 1, (uint8_t)value);
        else
            conform_pass(t, value * MS);
        conform_settle(t);
        conform_note(t, "after %c%u: %s", what, value, status);
        if (strcmp(status, "-") != 0)
            conform_equal(t, "wPortStatus and wPortChange", (int64_t)strtoul(status, NULL, 16),
                          guest_port_status(t, 1));
    }
}

#define STORIES(X)                                                                                           \
    X(power_none, "hub.power.none", "hub.power", "a port without power shows no device", "P3 0")             \
    X(power_low, "hub.speed.low", "hub.speeds", "low speed shows", "S8 100 P1 10301")                        \
    X(power_full, "hub.speed.full", "hub.speeds", "full speed shows", "S8 100 P2 10101")                     \
    X(power_high, "hub.speed.high", "hub.speeds", "high speed shows", "S8 100 P3 10501")                     \
    X(power_late, "hub.power.late", "hub.power plug.unpowered",                                              \
      "a device that was there before power shows",                                                          \
      "P3 0 S8 10501")                                                                                       \
    X(power_gone, "hub.power.gone", "hub.power", "a device that went before power does not",                 \
      "P3 0 P0 0 S8 100")                                                                                    \
    X(power_cycle, "hub.power.cycle", "hub.power", "a power cycle keeps the device",                         \
      "S8 100 P3 10501 C16 501 C8 0 S8 10501")                                                               \
    X(power_clears, "hub.power.clears", "hub.power", "power off clears every change",                        \
      "S8 100 P3 10501 S4 - W30 110503 C8 0")                                                                \
    X(power_reset, "hub.power.ends-reset", "hub.power", "power off ends a reset",                            \
      "S8 100 P3 10501 S4 - C8 0 W50 0")                                                                     \
    X(clear_connect, "hub.change.connection", "hub.status-change", "C_PORT_CONNECTION is cleared",           \
      "S8 100 P3 10501 C16 501")                                                                             \
    X(reset_high, "hub.reset.high", "hub.port-reset", "a reset enables, high speed",                         \
      "S8 100 P3 10501 C16 501 S4 - W30 100503")                                                             \
    X(reset_full, "hub.reset.full", "hub.port-reset", "a reset enables, full speed",                         \
      "S8 100 P2 10101 C16 101 S4 - W30 100103")                                                             \
    X(reset_low, "hub.reset.low", "hub.port-reset", "a reset enables, low speed",                            \
      "S8 100 P1 10301 C16 301 S4 - W30 100303")                                                             \
    X(reset_empty, "hub.reset.empty", "hub.port-reset.empty", "a reset of an empty port enables nothing",    \
      "S8 100 S4 - W30 100100")                                                                              \
    X(reset_change, "hub.change.reset", "hub.status-change", "C_PORT_RESET is cleared",                      \
      "S8 100 P3 - S4 - W30 - C16 - C20 503")                                                                \
    X(disable, "hub.disable", "hub.disable", "a port is disabled", "S8 100 P3 - S4 - W30 110503 C1 110501")  \
    X(suspend, "hub.suspend", "hub.suspend", "an enabled port is suspended",                                 \
      "S8 100 P3 - S4 - W30 110503 S2 110507")                                                               \
    X(suspend_empty, "hub.suspend.empty", "hub.suspend", "an empty port is not suspended", "S8 100 S2 100")  \
    X(suspend_disabled, "hub.suspend.disabled", "hub.suspend", "a port not enabled is not suspended",        \
      "S8 100 P3 10501 S2 10501")                                                                            \
    X(resume, "hub.resume", "hub.suspend", "a resume ends within 40 ms and is told",                         \
      "S8 100 P3 - S4 - W30 110503 S2 110507 C2 - W40 150503")                                               \
    X(resume_change, "hub.change.suspend", "hub.status-change", "C_PORT_SUSPEND is cleared",                 \
      "S8 100 P3 - S4 - W30 110503 S2 110507 C2 - W40 150503 C18 110503")                                    \
    X(unplug, "plug.unplug", "hub.unplug", "an unplug shows", "S8 100 P3 10501 C16 501 P0 10100")            \
    X(unplug_enabled, "plug.unplug-enabled", "hub.unplug", "an unplug disables",                             \
      "S8 100 P3 - S4 - W30 - C16 - C20 503 P0 10100")                                                       \
    X(unplug_suspended, "plug.unplug-suspended", "hub.unplug", "an unplug ends a suspend",                   \
      "S8 100 P3 - S4 - W30 - C16 - C20 503 S2 507 P0 10100")                                                \
    X(unplug_reset, "plug.unplug-reset", "hub.unplug", "an unplug ends a reset",                             \
      "S8 100 P3 10501 S4 - P0 10100 W50 10100")                                                             \
    X(repeat, "plug.repeat", "plug.repeat", "the same event again changes nothing",                          \
      "S8 100 P3 10501 C16 501 P3 501")                                                                      \
    X(repeat_enabled, "plug.repeat-enabled", "plug.repeat", "nor does it disable",                           \
      "S8 100 P3 - C16 - S4 - W30 100503 P3 100503")                                                         \
    X(repeat_none, "plug.repeat-none", "plug.repeat", "nor does an unplug of nothing", "S8 100 P0 100")      \
    X(other_speed, "plug.other-speed", "plug.speed-change", "another speed is another device",               \
      "S8 100 P3 - S4 - W30 - C16 - C20 503 P2 10101")                                                       \
    X(back_again, "plug.back-again", "hub.unplug hub.status-change", "gone and back is a change",            \
      "S8 100 P3 - S4 - W30 - C16 - C20 503 P0 - P3 10501")

#define STORY_RUN(name, id, requirement, title, text)                                                        \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        story(t, text);                                                                                      \
    }
#define HUB_CASE(id, requirement, title, run)                                                                \
    {                                                                                                        \
        "frontend." id, requirement, title, run, CONFORM_FRONTEND, CONFORM_CONNECTED, 0, 0, "guest"          \
    }
#define STORY_ROW(name, id, requirement, title, text) HUB_CASE(id, requirement, title, name),
STORIES(STORY_RUN)

/* ---- the hub itself ---- */

static void descriptor(struct conform *t)
{
    static const uint8_t setup[8] = {0xa0, 6, 0, 0x29, 0, 0, 64, 0};
    static const uint8_t expected[9] = {9, 0x29, 4, 0x0a, 0, 10, 0, 0, 0xff};
    uint8_t data[64] = {0};
    conform_true(t, guest_hub(t, setup, data, 64) >= 9, "a hub descriptor has 9 bytes for 4 ports");
    conform_bytes(t, "bDescLength, type, bNbrPorts", expected, data, 3);
}

static void descriptor_most(struct conform *t)
{
    static const uint8_t setup[8] = {0xa0, 6, 0, 0x29, 0, 0, 64, 0};
    uint8_t data[64] = {0};
    conform_equal(t, "hub descriptor bytes", 15, guest_hub(t, setup, data, 64));
    conform_equal(t, "bNbrPorts", 31, data[2]);
}

static void no_such_port(struct conform *t)
{
    uint8_t data[4];
    const uint8_t setup[8] = {0xa3, 0, 0, 0, 5, 0, 4, 0};
    const uint8_t zero[8] = {0xa3, 0, 0, 0, 0, 0, 4, 0};
    conform_equal(t, "status of port 5 of 4", -EPIPE, guest_hub(t, setup, data, 4));
    conform_equal(t, "status of port 0", -EPIPE, guest_hub(t, zero, data, 4));
}

static void unknown_request(struct conform *t)
{
    uint8_t data[4];
    const uint8_t setup[8] = {0xa3, 0x55, 0, 0, 1, 0, 4, 0};
    conform_equal(t, "hub request 0x55", -EPIPE, guest_hub(t, setup, data, 4));
}

static void local_only(struct conform *t)
{
    story(t, "S8 - P3 - S4 - W30 - S2 - C2 - W40 - C16 - C20 - C8 -");
    back_expect_no_request(t);
}

/* ---- plug events ---- */

static uint32_t word(const uint8_t *page, unsigned int offset)
{
    uint32_t value;
    memcpy(&value, page + offset, 4);
    return value;
}

static void reposts(struct conform *t)
{
    const uint32_t first = word(back_conn_page(t), 0);
    for (uint32_t i = 0; i < 600; i++) {
        const uint16_t id = (uint16_t)(i * 77 + 5);
        uint16_t got;
        struct usbif_conn_response event = {
            .id = id, .portnum = (uint8_t)(i % 4 + 1), .speed = (uint8_t)(i % 4)};
        back_plug_raw(t, event);
        conform_settle(t);
        conform_equal(t, "conn req_prod", first + 1 + i, word(back_conn_page(t), 0));
        memcpy(&got, back_conn_page(t) + 64 + 4 * (size_t)((first + i) % 512), 2);
        conform_equal(t, "conn req.id", id, got);
    }
}

static void rsp_event(struct conform *t)
{
    for (uint32_t i = 0; i < 5; i++) {
        back_plug(t, 1, i % 2 ? 0 : 3);
        conform_settle(t);
        conform_equal(t, "conn rsp_event", i + 2, word(back_conn_page(t), 12));
    }
}

static void no_wake(struct conform *t)
{
    const uint32_t never = 100000;
    memcpy(back_conn_page(t) + 4, &never, 4); /* req_event: not asked for */
    const unsigned int before = back_notified(t);
    for (unsigned int i = 0; i < 20; i++)
        back_plug(t, 1, i % 2 ? 0 : 3);
    conform_settle(t);
    conform_equal(t, "notifications", before, back_notified(t));
}

static void wakes(struct conform *t)
{
    const uint32_t next = 513;
    memcpy(back_conn_page(t) + 4, &next, 4); /* req_event: the first request after the primed ones */
    const unsigned int before = back_notified(t);
    back_plug(t, 1, 3);
    conform_settle(t);
    conform_equal(t, "notifications", before + 1, back_notified(t));
}

static void burst(struct conform *t)
{
    const uint32_t all = word(back_conn_page(t), 0);
    story(t, "S8 100");
    for (uint32_t i = 0; i < all; i++) {
        const struct usbif_conn_response event = {
            .id = (uint16_t)i, .portnum = 1, .speed = (uint8_t)((all - i) & 1 ? USBIF_SPEED_FULL : 0)};
        memcpy(back_conn_page(t) + 64 + 4 * i, &event, sizeof(event));
    }
    memcpy(back_conn_page(t) + 8, &all, 4);
    back_notify(t);
    conform_settle(t);
    conform_equal(t, "conn req_prod", 2 * all, word(back_conn_page(t), 0));
    conform_equal(t, "port status", 0x10101, guest_port_status(t, 1));
}

const struct conform_case cases_frontend_hub[] = {
    STORIES(STORY_ROW)
        HUB_CASE("hub.descriptor", "hub.descriptor", "the descriptor has the number of ports", descriptor),
    {"frontend.hub.descriptor-31", "hub.descriptor", "31 ports need 4 bytes each", descriptor_most,
     CONFORM_FRONTEND, CONFORM_CONNECTED, 31, 0, "guest"},
    HUB_CASE("hub.no-such-port", "hub.port-range", "a port that is not there stalls", no_such_port),
    HUB_CASE("hub.unknown-request", "hub.requests", "an unknown request stalls", unknown_request),
    HUB_CASE("hub.local", "hub.local", "nothing of the hub reaches the backend", local_only),
    {"frontend.plug.reposts", "plug.repost plug.id-any", "600 events are posted again, with their ids", reposts,
     CONFORM_FRONTEND, CONFORM_CONNECTED, 0, 0, NULL},
    {"frontend.plug.rsp-event", "ring.notify.final-check", "asks for the next event after each", rsp_event,
     CONFORM_FRONTEND, CONFORM_CONNECTED, 0, 0, NULL},
    {"frontend.plug.no-wake", "ring.notify.arithmetic", "posting again wakes nobody unasked", no_wake,
     CONFORM_FRONTEND, CONFORM_CONNECTED, 0, 0, NULL},
    {"frontend.plug.wakes", "ring.notify.arithmetic", "and does when asked", wakes, CONFORM_FRONTEND,
     CONFORM_CONNECTED, 0, 0, NULL},
    HUB_CASE("plug.batching", "plug.batching", "a ring full of events at once", burst),
    {0},
};
