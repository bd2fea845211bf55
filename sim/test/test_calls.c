// SPDX-License-Identifier: MIT
/*
 * What a request costs in calls of Xen, counted, not timed (backend.h, frontend.h): with persistent grants nothing but
 * events, and of those one for many requests; never xenstore; and no more with 31 ports full of idle devices than with one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fakexen/faults.h>

#include "rig.h"

#define DEPTH  12u /* as many IN requests as the ring takes (rule RING-12) */
#define ROUNDS 20u
#define BYTES  61440u

static unsigned int done;

static void completed(struct hcd_urb *urb)
{
    assert_int_equal(urb->status, 0);
    done++;
}

struct bed {
    struct rig rig;
    struct xen_machine *faults;
    struct xen_machine *local;
    uint8_t *buffer;
};

static void start(struct bed *bed, unsigned int ports, enum back_buffers buffers)
{
    rig_init(&bed->rig, 2, ports);
    bed->local = bed->rig.machine;
    assert_int_equal(fakexen_faults_create(bed->local, &bed->faults), 0);
    bed->rig.machine = bed->faults;
    bed->rig.buffers = buffers;
    rig_start_front(&bed->rig);
    rig_start_back(&bed->rig);
    rig_run(&bed->rig);
    for (unsigned int i = 1; i <= ports && i <= SCRIPTED_DEVICES; i++) {
        char busid[16];
        snprintf(busid, sizeof(busid), "1-%u", i);
        scripted_host_plug(&bed->rig.host, busid, USBIF_SPEED_HIGH);
        assert_int_equal(vusb_set_port(bed->rig.dom0, &bed->rig.controller, i, busid), 0);
    }
    rig_run(&bed->rig);
    struct hcd *hcd = front_hcd(bed->rig.front);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, DEPTH * 65536, (void **)&bed->buffer), 0);
    struct hcd_urb address = {.port = 1, .type = USBIF_PIPE_TYPE_CTRL, .setup = {0, 5, 7}, .complete = completed};
    assert_int_equal(hcd->ops->submit(hcd, &address), 0);
    rig_run(&bed->rig);
}

static void one_round(struct bed *bed, uint32_t bytes)
{
    struct hcd *hcd = front_hcd(bed->rig.front);
    struct hcd_urb urb[DEPTH];
    done = 0;
    for (unsigned int i = 0; i < DEPTH; i++) {
        urb[i] = (struct hcd_urb){.port = 1, .device = 7, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true,
                                  .length = bytes, .buffer = bed->buffer + i * 65536, .complete = completed};
        assert_int_equal(hcd->ops->submit(hcd, &urb[i]), 0);
    }
    rig_run(&bed->rig);
    assert_int_equal(bed->rig.host.nr_held, DEPTH);
    while (bed->rig.host.nr_held > 0)
        scripted_host_complete(&bed->rig.host, 0, 0, "abc", 3);
    rig_run(&bed->rig);
    assert_int_equal(done, DEPTH);
}

/* Calls of that name for all rounds behind the first, which maps and grants. */
struct count {
    const char *call;
    uint64_t before, calls;
};

static void count(struct bed *bed, struct count *counts, unsigned int n, uint32_t bytes)
{
    one_round(bed, bytes);
    for (unsigned int i = 0; i < n; i++)
        counts[i].before = fakexen_faults_calls(bed->faults, counts[i].call);
    for (unsigned int i = 0; i < ROUNDS; i++)
        one_round(bed, bytes);
    for (unsigned int i = 0; i < n; i++)
        counts[i].calls = fakexen_faults_calls(bed->faults, counts[i].call) - counts[i].before;
}

static void end(struct bed *bed)
{
    struct hcd *hcd = front_hcd(bed->rig.front);
    hcd->ops->buffer_free(hcd, bed->buffer, DEPTH * 65536);
    front_destroy(bed->rig.front);
    back_destroy(bed->rig.back);
    bed->rig.front = NULL;
    bed->rig.back = NULL;
    fakexen_faults_destroy(bed->faults);
    bed->rig.machine = bed->local;
    rig_dispose(&bed->rig);
}

/* Persistent grants: no call for memory at all, whatever else is plugged in. */
static void test_calls_persistent(void **state)
{
    uint64_t all[2] = {0};
    (void)state;
    for (int many = 0; many < 2; many++) {
        struct bed bed;
        struct count counts[] = {{.call = "grant"},         {.call = "grant_end"},   {.call = "grant_map"},
                                 {.call = "grant_unmap"},   {.call = "grant_copy"},  {.call = "pages_alloc"},
                                 {.call = "pages_free"},    {.call = "xs_read"},     {.call = "xs_write"},
                                 {.call = "evtchn_status"}, {.call = "evtchn_bind"}, {.call = "evtchn_notify"}};
        enum { N = sizeof(counts) / sizeof(counts[0]), STATUS = N - 3, NOTIFY = N - 1 };
        start(&bed, many ? PVUSB_PORTS_MAX : 1, BACK_BUFFERS_BEST);
        uint64_t before = fakexen_faults_stats(bed.faults).calls;
        count(&bed, counts, N, BYTES);
        all[many] = fakexen_faults_stats(bed.faults).calls - before;
        for (unsigned int i = 0; i < STATUS; i++)
            assert_int_equal(counts[i].calls, 0);
        /* One to wake the backend, and one for each response that finds the frontend asleep. */
        assert_true(counts[NOTIFY].calls <= ROUNDS * (1 + DEPTH));
        end(&bed);
    }
    /* The plain set-up of 31 ports is outside; a round costs the same. */
    assert_true(all[1] <= all[0]);
}

/* Without: a map and an unmap for each request; or a look and a copy, and nothing mapped. */
static void test_calls_other_ways(void **state)
{
    static const struct {
        enum back_buffers buffers;
        uint32_t bytes;
        unsigned int maps, copies;
    } rows[] = {{BACK_BUFFERS_MAP, BYTES, 1, 0},
                {BACK_BUFFERS_MAP, 64, 1, 0},
                {BACK_BUFFERS_COPY, BYTES, 0, 2},
                {BACK_BUFFERS_COPY, 64, 0, 2}};
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bed bed;
        struct count counts[] = {{.call = "grant_map"}, {.call = "grant_unmap"}, {.call = "grant_copy"},
                                 {.call = "pages_alloc"}, {.call = "xs_read"}};
        start(&bed, 1, rows[i].buffers);
        count(&bed, counts, 5, rows[i].bytes);
        assert_int_equal(counts[0].calls, rows[i].maps * ROUNDS * DEPTH);
        assert_int_equal(counts[1].calls, rows[i].maps * ROUNDS * DEPTH);
        assert_int_equal(counts[2].calls, rows[i].copies * ROUNDS * DEPTH);
        assert_int_equal(counts[3].calls, 0);
        assert_int_equal(counts[4].calls, 0);
        end(&bed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_persistent),
        cmocka_unit_test(test_calls_other_ways),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
