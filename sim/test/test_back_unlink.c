// SPDX-License-Identifier: MIT
/* Goal: unlink, in every order and race: each request answered once, the target before its unlink. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV     LAB_ADDRESS
#define BULK_IN RAW_PIPE(RAW_BULK, DEV, 1, 1)
#define OTHER   4u /* the address of the device at port 2 */

static void start(struct lab *lab, bool cancel_late)
{
    lab_ready(lab, 4);
    lab_plug(lab, 2, "1-2", USBIF_SPEED_FULL);
    lab_expect_event(lab, 2, USBIF_SPEED_FULL);
    lab_set_address(lab, 0, 2, OTHER);
    lab->rig.host.cancel_late = cancel_late;
    scripted_host_clear_log(&lab->rig.host);
}

static void pend(struct lab *lab, uint16_t id, uint32_t pipe)
{
    struct usbif_urb_request request = raw_request(id, pipe);
    unsigned int held = lab->rig.host.nr_held;
    raw_buffer(&lab->front[0], &request, (id % 16u) * PVUSB_PAGE_SIZE, 64);
    lab_send(lab, &request);
    assert_int_equal(lab->rig.host.nr_held, held + 1);
    lab_expect_none(lab);
}

static void unlink_it(struct lab *lab, uint16_t id, uint32_t pipe, uint16_t target)
{
    struct usbif_urb_request request = raw_unlink(id, pipe, target);
    lab_send(lab, &request);
}

/*
 * UNL-01 to UNL-04, UNL-08, SEG-10: the target's answer, then the unlink's; endpoint, type and direction do
 * not matter.
 */
static void test_unlink_found(void **state)
{
    static const uint32_t pipes[] = {
        BULK_IN,
        RAW_PIPE(RAW_CTRL, DEV, 0, 0),
        RAW_PIPE(RAW_ISO, DEV, 9, 0) | 31,
        RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, /* device 0 at its port */
    };
    struct lab lab;
    (void)state;
    start(&lab, false);
    for (unsigned int i = 0; i < sizeof(pipes) / sizeof(pipes[0]); i++) {
        pend(&lab, 1, BULK_IN);
        pend(&lab, 2, BULK_IN);
        unlink_it(&lab, 3, pipes[i], 1);
        lab_expect(&lab, 1, -71, 0);
        lab_expect(&lab, 3, 0, 0);
        lab_expect_none(&lab);
        assert_int_equal(lab.rig.host.nr_held, 1); /* the other goes on (rule XFR-09) */
        lab_complete(&lab, 0, 0, "x", 1);
        lab_expect(&lab, 2, 0, 1);
        assert_int_equal(lab_maps(&lab), 2);
    }
    lab_dispose(&lab);
}

/* UNL-05, UNL-13, ID-07: what is not there, or not for that device, is left alone. */
static void test_unlink_not_found(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, false);
    pend(&lab, 1, BULK_IN);
    unlink_it(&lab, 2, BULK_IN, 9);                              /* never there */
    lab_expect(&lab, 2, 0, 0);
    unlink_it(&lab, 2, BULK_IN, 2);                              /* itself */
    lab_expect(&lab, 2, 0, 0);
    unlink_it(&lab, 2, RAW_PIPE(RAW_BULK, OTHER, 1, 1), 1);      /* the other device's */
    lab_expect(&lab, 2, 0, 0);
    unlink_it(&lab, 2, RAW_PIPE(RAW_CTRL, 0, 0, 0) | 2, 1);      /* the other port's */
    lab_expect(&lab, 2, 0, 0);
    unlink_it(&lab, 2, RAW_PIPE(RAW_BULK, 77, 1, 1), 1);         /* MAL-29 */
    lab_expect(&lab, 2, -19, 0);
    lab_expect_none(&lab);
    assert_string_equal(lab.rig.host.log, "submit ep 1 bulk in 64; "); /* nothing was cancelled */
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 1, 0, 0);
    unlink_it(&lab, 2, BULK_IN, 1);                              /* finished */
    lab_expect(&lab, 2, 0, 0);
    unlink_it(&lab, 2, BULK_IN, 1);
    lab_expect(&lab, 2, 0, 0);
    lab_dispose(&lab);
}

/*
 * Request and unlink in one push, in both orders: before its target there is nothing to unlink (rules UNL-05,
 * RING-03).
 */
static void test_unlink_in_one_push(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, false);
    struct raw_front *f = &lab.front[0];
    struct usbif_urb_request request = raw_request(1, BULK_IN);
    struct usbif_urb_request unlink = raw_unlink(2, BULK_IN, 1);
    raw_front_put(f, &request);
    raw_front_put(f, &unlink);
    raw_front_push(f);
    lab_run(&lab);
    lab_expect(&lab, 1, -71, 0);
    lab_expect(&lab, 2, 0, 0);
    raw_front_put(f, &unlink);
    raw_front_put(f, &request);
    raw_front_push(f);
    lab_run(&lab);
    lab_expect(&lab, 2, 0, 0);
    lab_expect_none(&lab);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 1, 0, 0);
    lab_dispose(&lab);
}

/* ID-06: one id twice. The older goes first. */
static void test_unlink_same_id(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, false);
    pend(&lab, 6, BULK_IN); /* so that the older of the two does not sit in the first place */
    pend(&lab, 7, BULK_IN);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 6, 0, 0);
    pend(&lab, 7, RAW_PIPE(RAW_BULK, DEV, 2, 1));
    pend(&lab, 7, RAW_PIPE(RAW_BULK, OTHER, 3, 1));
    unlink_it(&lab, 8, BULK_IN, 7);
    lab_expect(&lab, 7, -71, 0);
    lab_expect(&lab, 8, 0, 0);
    assert_int_equal(lab.rig.host.nr_held, 2);
    assert_int_equal(lab.rig.host.held[0]->endpoint, 2);
    assert_int_equal(lab.rig.host.held[1]->endpoint, 3);
    unlink_it(&lab, 7, BULK_IN, 7); /* an unlink with the same id too */
    lab_expect(&lab, 7, -71, 0);
    lab_expect(&lab, 7, 0, 0);
    assert_int_equal(lab.rig.host.nr_held, 1);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 7, 0, 0);
    lab_dispose(&lab);
}

/*
 * UNL-04, UNL-08: the host takes its time. Two unlinks, and one of an unlink, wait or not; data may still
 * win.
 */
static void test_unlink_late(void **state)
{
    static const struct {
        int32_t status, wire;
        const char *data;
        uint32_t length;
    } ends[] = {
        {-ECONNRESET, -71, NULL, 0},
        {0, 0, "won", 3},
        {-EPIPE, -32, NULL, 0},
        {-ECONNRESET, -71, "part", 4},
    };
    struct lab lab;
    (void)state;
    start(&lab, true);
    for (uint16_t i = 0; i < 4; i++) /* places that unlinks will use have been ordinary requests before */
        pend(&lab, i, BULK_IN);
    for (uint16_t i = 0; i < 4; i++) {
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, i, 0, 0);
    }
    for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        pend(&lab, 1, BULK_IN);
        unlink_it(&lab, 2, BULK_IN, 1);
        unlink_it(&lab, 3, BULK_IN, 1); /* twice */
        lab_expect_none(&lab);
        unlink_it(&lab, 4, BULK_IN, 2); /* an unlink is nothing to unlink (rule UNL-13) */
        lab_expect(&lab, 4, 0, 0);
        pend(&lab, 5, BULK_IN);
        assert_int_equal(lab_maps(&lab), 4);
        lab_complete(&lab, 0, ends[i].status, ends[i].data, ends[i].length);
        lab_expect(&lab, 1, ends[i].wire, (int32_t)ends[i].length);
        lab_expect(&lab, 2, 0, 0);
        lab_expect(&lab, 3, 0, 0);
        lab_expect_none(&lab);
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 5, 0, 0);
        assert_int_equal(lab_maps(&lab), 2);
    }
    for (uint16_t i = 0; i < 4; i++) /* and the other way round */
        pend(&lab, i, BULK_IN);
    for (uint16_t i = 0; i < 4; i++) {
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, i, 0, 0);
        lab_expect_none(&lab);
    }
    lab_dispose(&lab);
}

/* Late unlinks that wait for different targets; both ends in the other order. */
static void test_unlink_late_crossed(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, true);
    pend(&lab, 1, BULK_IN);
    pend(&lab, 2, BULK_IN);
    unlink_it(&lab, 11, BULK_IN, 1);
    unlink_it(&lab, 12, BULK_IN, 2);
    lab_expect_none(&lab);
    lab_complete(&lab, 1, -ECONNRESET, NULL, 0);
    lab_expect(&lab, 2, -71, 0);
    lab_expect(&lab, 12, 0, 0);
    lab_expect_none(&lab);
    lab_complete(&lab, 0, -ECONNRESET, NULL, 0);
    lab_expect(&lab, 1, -71, 0);
    lab_expect(&lab, 11, 0, 0);
    lab_expect_none(&lab);
    lab_dispose(&lab);
}

/* HOT-02, HOT-04, HOT-05: the device goes while unlinks wait. */
static void test_unlink_late_unplug(void **state)
{
    for (unsigned int how = 0; how < 2; how++) {
        struct lab lab;
        (void)state;
        start(&lab, true);
        pend(&lab, 1, BULK_IN);
        pend(&lab, 2, RAW_PIPE(RAW_BULK, OTHER, 1, 1));
        unlink_it(&lab, 3, BULK_IN, 1);
        lab_expect_none(&lab);
        if (how == 0)
            scripted_host_unplug(&lab.rig.host, "1-1");
        else
            assert_int_equal(vusb_set_port(lab.rig.dom0, &lab.controller[0], 1, ""), 0);
        lab_run(&lab);
        lab_expect(&lab, 1, how == 0 ? -19 : -71, 0);
        lab_expect(&lab, 3, 0, 0);
        lab_expect_none(&lab);
        lab_expect_event(&lab, 1, 0);
        assert_int_equal(lab.rig.host.nr_held, 1); /* the other device's */
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 2, 0, 0);
        lab_dispose(&lab);
    }
}

/* RING-11, RING-18: a full ring of unlinks that wait; then everything ends at once. */
static void test_unlink_full_ring(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, true);
    pend(&lab, 0, BULK_IN);
    for (uint16_t i = 1; i < 16; i++)
        unlink_it(&lab, i, BULK_IN, 0);
    lab_expect_none(&lab);
    lab_complete(&lab, 0, -ECONNRESET, NULL, 0);
    lab_expect(&lab, 0, -71, 0);
    uint32_t seen = 0;
    for (unsigned int i = 0; i < 15; i++) {
        seen |= 1u << lab.front[0].rsp[0].id;
        lab_expect(&lab, lab.front[0].rsp[0].id, 0, 0);
    }
    assert_int_equal(seen, 0xfffe);
    lab_expect_none(&lab);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* UNL-14: data that comes after the unlink was answered does not reach the page. */
static void test_unlink_buffer_untouched(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, false);
    struct raw_front *f = &lab.front[0];
    memset(f->page, 0xee, PVUSB_PAGE_SIZE);
    pend(&lab, 0, BULK_IN);
    unlink_it(&lab, 2, BULK_IN, 0);
    assert_int_equal(lab_maps(&lab), 2); /* there is no way left to write it */
    assert_int_equal(f->xen->ops->grant_end(f->xen, f->rw[0]), 0);
    assert_int_equal(f->xen->ops->grant(f->xen, 0, f->page, false, &f->rw[0]), 0);
    lab_expect(&lab, 0, -71, 0);
    lab_expect(&lab, 2, 0, 0);
    for (unsigned int i = 0; i < PVUSB_PAGE_SIZE; i++)
        assert_int_equal(f->page[i], 0xee);
    lab_dispose(&lab);
}

/*
 * STA-08, UNL-12: as many responses as requests over many unlinks, and places for new requests all the time.
 */
static void test_unlink_many(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, false);
    for (unsigned int i = 0; i < 1000; i++) {
        pend(&lab, (uint16_t)i, BULK_IN);
        unlink_it(&lab, (uint16_t)(i + 1), BULK_IN, (uint16_t)i);
        lab_expect(&lab, (uint16_t)i, -71, 0);
        lab_expect(&lab, (uint16_t)(i + 1), 0, 0);
        lab_expect_none(&lab);
        scripted_host_clear_log(&lab.rig.host);
    }
    struct back_stats stats = back_stats(lab.rig.back);
    assert_int_equal(stats.requests, stats.responses);
    assert_int_equal(stats.requests, 2 + 2000);
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlink_found),
        cmocka_unit_test(test_unlink_not_found),
        cmocka_unit_test(test_unlink_in_one_push),
        cmocka_unit_test(test_unlink_same_id),
        cmocka_unit_test(test_unlink_late),
        cmocka_unit_test(test_unlink_late_crossed),
        cmocka_unit_test(test_unlink_late_unplug),
        cmocka_unit_test(test_unlink_full_ring),
        cmocka_unit_test(test_unlink_buffer_untouched),
        cmocka_unit_test(test_unlink_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
