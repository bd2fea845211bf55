// SPDX-License-Identifier: MIT
/*
 * What a plan makes of recordings that need more ports, more slots or more controllers than there are, step by step
 * where that matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay_support.h"

#define URBS_MAX 6000u

struct script {
    struct trace trace;
    struct trace_urb urbs[URBS_MAX];
    struct trace_event order[2 * URBS_MAX];
};

static struct script script;

static void begin(void)
{
    script.trace = (struct trace){.urbs = script.urbs, .order = script.order};
}

static void event(uint32_t u, char what)
{
    struct trace *trace = &script.trace;
    *(what == 'S' ? &script.urbs[u].frame_s : &script.urbs[u].frame_c) = ++trace->events;
    script.order[trace->nr_order++] = (struct trace_event){u, what};
}

static uint32_t add(const struct trace_urb *urb)
{
    uint32_t u = script.trace.nr_urbs++;
    assert_true(u < URBS_MAX);
    script.urbs[u] = *urb;
    script.urbs[u].status = TRACE_IN_PROGRESS;
    script.urbs[u].frame_c = TRACE_NONE;
    script.urbs[u].frame_e = TRACE_NONE;
    event(u, 'S');
    return u;
}

static uint32_t bulk(uint16_t bus, uint8_t device, uint8_t endpoint, bool in)
{
    return add(&(struct trace_urb){
        .bus = bus, .device = device, .endpoint = endpoint, .in = in, .type = USBIF_PIPE_TYPE_BULK, .length = 0});
}

static uint32_t control(uint16_t bus, uint8_t device, const uint8_t setup[8])
{
    struct trace_urb urb = {.bus = bus, .device = device, .type = USBIF_PIPE_TYPE_CTRL, .has_setup = true};
    memcpy(urb.setup, setup, 8);
    urb.in = (setup[0] & 0x80) != 0;
    urb.length = (uint32_t)setup[6];
    return add(&urb);
}

static void end(uint32_t u, int32_t status)
{
    script.urbs[u].status = status;
    event(u, 'C');
}

static void set_address(uint16_t bus, uint8_t address)
{
    const uint8_t setup[8] = {0, 5, address};
    end(control(bus, 0, setup), 0);
}

/* Plays it in both ways and returns the strict one. */
static struct replay_run play(const char *name)
{
    struct replay_run run;
    assert_int_equal(replay_test_run(&script.trace, 1, REPLAY_ENDPOINT, &run), 0);
    assert_true(replay_test_clean(&run, name));
    replay_test_dispose(&run, &script.trace);
    assert_int_equal(replay_test_run(&script.trace, 1, REPLAY_STRICT, &run), 0);
    assert_true(replay_test_clean(&run, name));
    return run;
}

static unsigned int count(const struct plan *plan, enum plan_what what)
{
    unsigned int n = 0;
    for (uint32_t i = 0; i < plan->nr_steps; i++)
        n += plan->step[i].what == what;
    return n;
}

/* 100 devices that all have an URB in flight: four controllers for one bus. */
static void test_replay_plan_crowded_bus(void **state)
{
    (void)state;
    begin();
    for (uint8_t device = 2; device < 102; device++)
        bulk(1, device, 1, true);
    for (uint32_t u = 0; u < 100; u++)
        end(u, 0);
    struct replay_run run = play("crowded bus");
    assert_int_equal(run.summary.matched, 100);
    assert_int_equal(run.plan.nr_controllers, 4);
    assert_int_equal(count(&run.plan, PLAN_UNPLUG), 0);
    for (unsigned int i = 0; i < 4; i++) {
        char busid[PLAN_BUSID_MAX];
        char expected[PLAN_BUSID_MAX];
        assert_int_equal(run.plan.controller[i].bus, 1);
        plan_busid(&run.plan.controller[i], 1, busid);
        snprintf(expected, sizeof(expected), "1-%u", 31 * i + 1);
        assert_string_equal(busid, expected);
    }
    replay_test_dispose(&run, &script.trace);
}

/* 120 devices one after another: 31 ports are enough, and the guest sees each one go. */
static void test_replay_plan_many_in_turn(void **state)
{
    (void)state;
    begin();
    for (uint8_t device = 2; device < 122; device++) {
        set_address(1, device);
        end(bulk(1, device, 1, false), 0);
    }
    struct replay_run run = play("many in turn");
    assert_int_equal(run.summary.matched, 240);
    assert_int_equal(run.plan.nr_controllers, 1);
    assert_int_equal(count(&run.plan, PLAN_PLUG), 120);
    assert_int_equal(count(&run.plan, PLAN_UNPLUG), 120 - PVUSB_PORTS_MAX);
    replay_test_dispose(&run, &script.trace);
}

/* A device that got an address and said no more cannot see its last request, so it stays. */
static void test_replay_plan_silent_device_stays(void **state)
{
    (void)state;
    begin();
    for (uint8_t device = 2; device < 40; device++)
        set_address(1, device);
    struct replay_run run = play("silent devices");
    assert_int_equal(run.summary.matched, 38);
    assert_int_equal(count(&run.plan, PLAN_UNPLUG), 0);
    assert_int_equal(run.plan.nr_controllers, 2);
    replay_test_dispose(&run, &script.trace);
}

/* Receivers that stay open to the end do not keep a port that somebody needs. */
static void test_replay_plan_open_urbs_give_way(void **state)
{
    (void)state;
    begin();
    for (uint8_t device = 2; device < 80; device++) {
        end(bulk(1, device, 2, false), 0);
        bulk(1, device, 1, true);
    }
    struct replay_run run = play("open URBs");
    assert_int_equal(run.summary.matched, 78);
    assert_int_equal(run.summary.reasons[REPLAY_NEVER_COMPLETED], 78);
    assert_int_equal(run.plan.nr_controllers, 1);
    replay_test_dispose(&run, &script.trace);
}

/* Buses beyond the controllers that there can be: their URBs say so. */
static void test_replay_plan_too_many_buses(void **state)
{
    (void)state;
    begin();
    for (uint16_t bus = 0; bus < 40; bus++)
        end(bulk(bus, 5, 1, true), 0);
    struct replay_run run = play("many buses");
    assert_int_equal(run.summary.matched, PLAN_CONTROLLERS_MAX);
    assert_int_equal(run.summary.reasons[REPLAY_NO_PORT], 40 - PLAN_CONTROLLERS_MAX);
    replay_test_dispose(&run, &script.trace);
}

/* The same address on several buses are several devices; address 0 is the one that is enumerated. */
static void test_replay_plan_addresses(void **state)
{
    (void)state;
    static const uint8_t get_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 0};
    begin();
    for (uint16_t bus = 1; bus <= 3; bus++) {
        end(control(bus, 0, get_descriptor), 0);
        if (bus != 2)
            set_address(bus, 7); /* on bus 2 out of sight */
        end(bulk(bus, 7, 1, true), 0);
        end(control(bus, 0, get_descriptor), 0); /* reset, and enumerated again */
        if (bus != 2)
            set_address(bus, 7);
        end(bulk(bus, 7, 1, true), 0);
    }
    struct replay_run run = play("addresses");
    assert_int_equal(run.summary.matched, script.trace.nr_urbs);
    assert_int_equal(run.plan.nr_controllers, 3);
    assert_int_equal(count(&run.plan, PLAN_PLUG), 4); /* who was reset on bus 2 is not known */
    assert_int_equal(count(&run.plan, PLAN_ADDRESS), 1);
    replay_test_dispose(&run, &script.trace);
}

static const struct {
    const char *name;
    uint32_t urbs;
    bool in;
    int32_t status;
    bool reverse;
    unsigned int parks; /* as few as can be */
} queues[] = {
    {"12 receivers fit", 12, true, -ENOENT, false, 0},
    {"13 receivers in order", 13, true, 0, false, 0},
    {"13 receivers in reverse", 13, true, -ENOENT, true, 1},
    {"33 receivers in reverse", 33, true, -ENOENT, true, 21},
    {"33 senders in reverse", 33, false, 0, true, 23},
    {"3000 receivers in order", 3000, true, 0, false, 0},
    {"3000 receivers in reverse", 3000, true, 0, true, 2988},
};

/* What does not fit waits, and is never taken back without need. */
static void test_replay_plan_queues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        uint32_t n = queues[i].urbs;
        begin();
        for (uint32_t u = 0; u < n; u++)
            bulk(1, 2, 1, queues[i].in);
        for (uint32_t u = 0; u < n; u++)
            end(queues[i].reverse ? n - 1 - u : u, queues[i].status);
        struct replay_run run = play(queues[i].name);
        assert_int_equal(run.summary.matched, n);
        if (count(&run.plan, PLAN_PARK) != queues[i].parks)
            fail_msg("%s: %u parks, not %u", queues[i].name, count(&run.plan, PLAN_PARK), queues[i].parks);
        replay_test_dispose(&run, &script.trace);
    }
}

/* Receivers hold all their slots; a command and its answer go through all the same (rule RING-12). */
static void test_replay_plan_control_passes(void **state)
{
    (void)state;
    static const uint8_t set_configuration[8] = {0, 9, 1};
    begin();
    for (uint32_t u = 0; u < 20; u++)
        bulk(1, 2, 1, true);
    end(control(1, 2, set_configuration), -EPIPE);
    end(bulk(1, 2, 2, false), 0);
    for (uint32_t u = 0; u < 20; u++)
        end(u, -ECONNRESET);
    struct replay_run run = play("control passes");
    assert_int_equal(run.summary.matched, 22);
    assert_int_equal(count(&run.plan, PLAN_PARK), 0);
    replay_test_dispose(&run, &script.trace);
}

/* What never completes is taken back for good; what does complete keeps its slot. */
static void test_replay_plan_parks_the_last(void **state)
{
    (void)state;
    begin();
    for (uint32_t u = 0; u < 12; u++)
        bulk(1, 2, 1, true);
    for (uint32_t u = 0; u < 30; u++)
        end(bulk(1, 2, 2, true), 0);
    end(0, 0);
    struct replay_run run = play("parks the last");
    assert_int_equal(run.summary.matched, 31);
    assert_int_equal(count(&run.plan, PLAN_PARK), 1);
    replay_test_dispose(&run, &script.trace);
}

/* Of what waits, the first goes first, whatever its direction. */
static void test_replay_plan_deferred_in_order(void **state)
{
    (void)state;
    uint32_t at = 0;
    begin();
    for (uint32_t u = 0; u < 10; u++)
        bulk(1, 2, 2, false);
    for (uint32_t u = 0; u < 3; u++)
        bulk(1, 2, 3, true); /* with these the ring is full */
    bulk(1, 2, 2, false);
    bulk(1, 2, 1, true);
    for (uint32_t u = 0; u < 15; u++)
        end(u, 0);
    struct replay_run run = play("deferred in order");
    for (uint32_t i = 0; i < run.plan.nr_steps; i++) {
        if (run.plan.step[i].what == PLAN_SUBMIT)
            assert_int_equal(run.plan.step[i].index, at++);
    }
    assert_int_equal(at, 15);
    replay_test_dispose(&run, &script.trace);
}

/* The backend answers SET_ADDRESS by itself: as many as there may be, none is waited for or taken back. */
static void test_replay_plan_many_addresses(void **state)
{
    (void)state;
    begin();
    for (uint8_t address = 2; address < 40; address++) {
        const uint8_t setup[8] = {0, 5, address};
        control(1, 0, setup);
    }
    for (uint32_t u = 38; u-- > 0;)
        end(u, 0);
    struct replay_run run = play("many addresses");
    assert_int_equal(run.summary.matched, 38);
    assert_int_equal(count(&run.plan, PLAN_PARK), 0);
    replay_test_dispose(&run, &script.trace);
}

static const struct {
    uint8_t type;
    uint32_t length;
    enum replay_reason reason;
} lengths[] = {
    {USBIF_PIPE_TYPE_BULK, 65535, REPLAY_CHECKED}, {USBIF_PIPE_TYPE_BULK, 65536, REPLAY_CHECKED},
    {USBIF_PIPE_TYPE_BULK, 65537, REPLAY_TOO_LONG}, {USBIF_PIPE_TYPE_INT, 65536, REPLAY_CHECKED},
    {USBIF_PIPE_TYPE_ISOC, 61440, REPLAY_CHECKED}, {USBIF_PIPE_TYPE_ISOC, 61441, REPLAY_TOO_LONG},
    {USBIF_PIPE_TYPE_BULK, 57345, REPLAY_CHECKED}, {USBIF_PIPE_TYPE_ISOC, 57345, REPLAY_CHECKED},
};

/* Sixteen pages, of which isochronous transfers need one for their descriptors: the largest that fit do pass. */
static void test_replay_plan_lengths(void **state)
{
    (void)state;
    static uint8_t data[65536];
    static struct pvusb_iso_desc packet;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint32_t length = lengths[i].length;
        begin();
        for (unsigned int k = 0; k < 100; k++) /* so that buffers lie at many offsets */
            end(bulk(1, 2, 1, true), 0);
        packet = (struct pvusb_iso_desc){.length = length, .actual_length = length};
        uint32_t u = add(&(struct trace_urb){.bus = 1, .device = 2, .endpoint = 3, .type = lengths[i].type,
                                             .length = length, .out = data, .out_captured = length});
        if (lengths[i].type == USBIF_PIPE_TYPE_ISOC) {
            script.urbs[u].nr_packets = script.urbs[u].nr_iso_s = script.urbs[u].nr_iso_c = 1;
            script.urbs[u].iso_s = script.urbs[u].iso_c = &packet;
        }
        script.urbs[u].actual = length;
        end(u, 0);
        struct replay_run run = play("lengths");
        if (run.plan.urb[u].reason != lengths[i].reason)
            fail_msg("%u bytes, type %u: %s", length, lengths[i].type, replay_reason_text(run.plan.urb[u].reason));
        assert_int_equal(run.summary.matched, 100 + (lengths[i].reason == REPLAY_CHECKED));
        replay_test_dispose(&run, &script.trace);
    }
}

/* Causal order: a command is not sent before the completions that came before it, nor answered before what it caused. */
static void test_replay_plan_order(void **state)
{
    (void)state;
    static const enum plan_what expected[] = {PLAN_PLUG,   PLAN_ADDRESS, PLAN_SUBMIT,   PLAN_SUBMIT,
                                              PLAN_COMPLETE, PLAN_SUBMIT,  PLAN_UNLINK, PLAN_COMPLETE,
                                              PLAN_COMPLETE};
    static const uint32_t index[] = {0, 0, 0, 1, 1, 2, 0, 0, 2};
    begin();
    bulk(1, 2, 1, true);
    end(bulk(1, 2, 2, false), 0);
    uint32_t last = bulk(1, 2, 3, true);
    end(0, -ENOENT);
    end(last, 0);
    struct replay_run run = play("order");
    assert_int_equal(run.plan.nr_steps, sizeof(index) / sizeof(index[0]));
    for (uint32_t i = 0; i < run.plan.nr_steps; i++) {
        assert_int_equal(run.plan.step[i].what, expected[i]);
        assert_int_equal(run.plan.step[i].index, index[i]);
    }
    replay_test_dispose(&run, &script.trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_plan_crowded_bus),        cmocka_unit_test(test_replay_plan_many_in_turn),
        cmocka_unit_test(test_replay_plan_silent_device_stays), cmocka_unit_test(test_replay_plan_open_urbs_give_way),
        cmocka_unit_test(test_replay_plan_too_many_buses),     cmocka_unit_test(test_replay_plan_addresses),
        cmocka_unit_test(test_replay_plan_queues),             cmocka_unit_test(test_replay_plan_control_passes),
        cmocka_unit_test(test_replay_plan_parks_the_last),     cmocka_unit_test(test_replay_plan_deferred_in_order),
        cmocka_unit_test(test_replay_plan_many_addresses),     cmocka_unit_test(test_replay_plan_lengths),
        cmocka_unit_test(test_replay_plan_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
