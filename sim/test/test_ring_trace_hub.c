// SPDX-License-Identifier: MIT
/*
 * Goal: our root hub tells a guest what that of Linux xen-hcd told the genuine one. All root-hub requests of
 * domU-enum go to our frontend at their recorded times; connect events come from a bare backend, each three
 * times as QEMU sends them (rule CONN-10), right before the recording first shows what they did. Every answer
 * and every status change bitmap must be the recorded one, but for what the rules name.
 *
 * HUB-13: Linux suspends a bus by marking all its ports, even empty ones; our hcd.h has no such call, and a
 * port that is not enabled does not suspend. HUB-14: the change bit that the resume after that leaves.
 * HUB-01: the core of Linux pads a hub descriptor to the length that was asked for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pvusb/urb.h>

#include "ring_trace.h"
#include "ring_trace_peer.h"
#include "trace/trace.h"

#define ROOT_HUB  1u
#define SUSPEND   0x00000004u
#define C_SUSPEND 0x00040000u

static const char *trace_dir;

struct replay {
    const struct trace *trace;
    struct ring_trace_report *report;
    struct rig rig;
    struct raw_back back;
    struct hcd *hcd;
    uint8_t told[RING_TRACE_PORTS + 1];
    bool c_suspend[RING_TRACE_PORTS + 1]; /* pending in the recording */
    unsigned int answers;
    unsigned int bitmaps;
    unsigned int by_core; /* requests that Linux's core answers itself */
    unsigned int hub_01;
    unsigned int hub_13;
    unsigned int hub_14;
};

static uint32_t word(const uint8_t *d)
{
    return (uint32_t)d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
}

/* The port of a GetPortStatus that has its answer in the recording, or 0. */
static unsigned int status_port(const struct trace_urb *urb)
{
    bool is = urb->device == ROOT_HUB && urb->has_setup && urb->setup[0] == 0xa3 && urb->setup[1] == 0 &&
              urb->in_captured == 4;
    return is && urb->setup[4] <= RING_TRACE_PORTS ? urb->setup[4] : 0;
}

/* What the recording says is plugged in at a port, sooner or later. */
static uint8_t recorded_speed(const struct trace *trace, unsigned int port)
{
    for (uint32_t i = 0; i < trace->nr_urbs; i++) {
        if (status_port(&trace->urbs[i]) != port)
            continue;
        uint32_t state = word(trace->urbs[i].in_data);
        if (state & 1)
            return state & 0x0400 ? USBIF_SPEED_HIGH : state & 0x0200 ? USBIF_SPEED_LOW : USBIF_SPEED_FULL;
    }
    return USBIF_SPEED_NONE;
}

static void plug(struct replay *replay, unsigned int port)
{
    if (replay->told[port] != USBIF_SPEED_NONE)
        return;
    replay->told[port] = recorded_speed(replay->trace, port);
    for (unsigned int i = 0; i < 3; i++)
        raw_back_plug(&replay->back, (uint8_t)port, replay->told[port]);
}

static void differ(struct replay *replay, uint32_t frame, const char *what, uint32_t recorded, uint32_t ours)
{
    ring_trace_differ(replay->report, NULL, "domU-enum line %u: %s: recorded %08x, ours %08x", frame, what,
                      recorded, ours);
}

static void compare_port(struct replay *replay, const struct trace_urb *urb, unsigned int port,
                         const uint8_t *data)
{
    uint32_t recorded = word(urb->in_data);
    uint32_t ours = word(data);
    replay->c_suspend[port] = recorded & C_SUSPEND;
    if ((recorded & ~ours) & SUSPEND) {
        replay->hub_13++;
        recorded &= ~SUSPEND;
    }
    if ((recorded & ~ours) & C_SUSPEND) {
        replay->hub_14++;
        recorded &= ~C_SUSPEND;
    }
    if (recorded != ours)
        differ(replay, urb->frame_s, "state of a port", recorded, ours);
}

/* The hub driver of Linux executes a request of this kind when it is submitted. */
static void replay_control(struct replay *replay, const struct trace_urb *urb)
{
    uint8_t data[64] = {0};
    unsigned int port = status_port(urb);
    if (!(urb->setup[0] & 0x20)) {
        replay->by_core++;
        return;
    }
    if (port && word(urb->in_data) & 1)
        plug(replay, port);
    if (urb->setup[0] == 0x23 && urb->setup[1] == 1 && urb->setup[2] == 18 &&
        urb->setup[4] <= RING_TRACE_PORTS)
        replay->c_suspend[urb->setup[4]] = false;
    int rc = replay->hcd->ops->hub_control(replay->hcd, urb->setup, data, sizeof(data), replay->rig.now_ns);
    replay->answers++;
    if ((rc < 0 ? rc : 0) != urb->status) {
        differ(replay, urb->frame_s, "status", (uint32_t)urb->status, (uint32_t)rc);
        return;
    }
    if (port) {
        compare_port(replay, urb, port, data);
        return;
    }
    if (urb->setup[1] == 6 && rc > 0 && (uint32_t)rc < urb->actual)
        replay->hub_01++;
    else if (rc >= 0 && (uint32_t)rc != urb->actual)
        differ(replay, urb->frame_s, "length", urb->actual, (uint32_t)rc);
    for (uint32_t i = 0; urb->in && i < urb->in_captured && i < sizeof(data); i++) {
        if (data[i] != urb->in_data[i])
            differ(replay, urb->frame_s, "a byte of data", urb->in_data[i], data[i]);
    }
}

static void replay_bitmap(struct replay *replay, const struct trace_urb *urb)
{
    uint8_t ours = 0;
    if (urb->status != 0 || urb->in_captured != 1)
        return; /* taken back when the bus is suspended */
    uint8_t recorded = urb->in_data[0];
    for (unsigned int port = 1; port <= RING_TRACE_PORTS; port++) {
        if (recorded >> port & 1)
            plug(replay, port);
    }
    raw_back_run(&replay->back);
    replay->hcd->ops->hub_status(replay->hcd, &ours, 1);
    replay->bitmaps++;
    for (unsigned int port = 1; port <= RING_TRACE_PORTS; port++) {
        bool resumed = (recorded & ~ours) >> port & 1 && replay->c_suspend[port];
        replay->hub_14 += resumed;
        if (resumed)
            recorded &= (uint8_t) ~(1u << port);
    }
    if (recorded != ours)
        differ(replay, urb->frame_c, "status change bitmap", recorded, ours);
}

static void run(struct replay *replay)
{
    const struct trace *trace = replay->trace;
    rig_init(&replay->rig, 2, RING_TRACE_PORTS);
    raw_back_open(&replay->back, &replay->rig);
    replay->hcd = front_hcd(replay->rig.front);
    for (uint32_t i = 0; i < trace->nr_order && replay->report->differences == 0; i++) {
        const struct trace_urb *urb = &trace->urbs[trace->order[i].urb];
        char what = trace->order[i].what;
        if (urb->device != ROOT_HUB)
            continue;
        replay->rig.now_ns = what == 'S' ? urb->time_s_ns : urb->time_c_ns;
        if (what == 'S' && urb->has_setup)
            replay_control(replay, urb);
        else if (what == 'C' && urb->type == USBIF_PIPE_TYPE_INT)
            replay_bitmap(replay, urb);
    }
    raw_back_close(&replay->back);
    rig_dispose(&replay->rig);
}

/* Replays the recording, with the first `from` in its text replaced by `to` of the same length. */
static struct replay *replay_text(const char *from, const char *to, struct ring_trace_report *report)
{
    static char text[65536];
    char path[512];
    char error[TRACE_ERROR_MAX] = "";
    struct trace trace;
    snprintf(path, sizeof(path), "%s/domU-enum.mon.txt", trace_dir);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    char *at = from ? strstr(text, from) : NULL;
    assert_true(!from || (at && strlen(from) == strlen(to)));
    if (from)
        memcpy(at, to, strlen(to));
    if (trace_read_memory("domU-enum", text, size, &trace, error))
        fail_msg("%s", error);
    struct replay *replay = calloc(1, sizeof(*replay));
    assert_non_null(replay);
    replay->trace = &trace;
    replay->report = report;
    run(replay);
    trace_dispose(&trace);
    replay->trace = NULL;
    return replay;
}

/* Rules HUB-01 to HUB-06, HUB-09, CONN-09. */
static void test_ring_trace_hub_as_recorded(void **state)
{
    struct ring_trace_report report = {0};
    (void)state;
    struct replay *replay = replay_text(NULL, NULL, &report);
    if (report.differences)
        fail_msg("%s", report.first);
    print_message(
        "domU-enum: %u root-hub answers and %u bitmaps equal, differences: HUB-01 %u, HUB-13 %u, HUB-14 %u; "
        "%u requests that the guest's core answers\n",
        replay->answers, replay->bitmaps, replay->hub_01, replay->hub_13, replay->hub_14, replay->by_core);
    assert_int_equal(replay->answers, 50);
    assert_int_equal(replay->bitmaps, 23);
    assert_int_equal(replay->hub_01, 1);
    assert_int_equal(replay->hub_13, 4);
    assert_int_equal(replay->hub_14, 6);
    free(replay);
}

static void test_ring_trace_hub_notices(void **state)
{
    static const char *const damage[][2] = {
        {"= 00010000", "= 01010000"}, /* connected before it is */
        {"= 05050100", "= 05050000"}, /* no change */
        {"= 03051000", "= 03011000"}, /* full speed after the reset */
        {"= 03051000", "= 03050000"}, /* the reset never ended */
        {"= 03010000", "= 01010000"}, /* not enabled */
        {"= 0929040a", "= 0929030a"}, /* another number of ports */
        {"C Ii:1:001:1 0:2048 1 = 08", "C Ii:1:001:1 0:2048 1 = 0c"},
        {"s 23 01 0014 0001", "s 23 01 0013 0001"}, /* another change acknowledged */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        struct ring_trace_report report = {0};
        free(replay_text(damage[i][0], damage[i][1], &report));
        if (report.differences == 0)
            fail_msg("not noticed: %s for %s", damage[i][1], damage[i][0]);
        print_message("%s: %s\n", damage[i][1], report.first);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_trace_hub_as_recorded),
        cmocka_unit_test(test_ring_trace_hub_notices),
    };
    trace_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
