// SPDX-License-Identifier: MIT
/* Goal: the reader of ring recordings takes every field of a good line, and no line that is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ring_trace.h"

#define REQ                                                                                                  \
    "41.377547: xenhcd_do_request: REQ slot=6 id=10 pipe=c0008281(port=1 dev=2 ep=1 dir=in type=3) flags=1 " \
    "buflen=0 nseg=16 u=a1fe000000000001 urblen=65536 segs"
#define PAGES4 " 25:0+4096 26:0+4096 27:0+4096 28:0+4096"
#define RSP                                                                                                  \
    "41.667206: xenhcd_int: RSP slot=8 id=12 start_frame=3 status=-71 actual=5 errors=1 (req pipe c0008281)"
#define CONN "69.496117: xenhcd_int: CONN id=10 port=2 speed=1"
#define PUSH "41.377566: xenhcd_do_request: PUSH notify=1"

static void test_ring_trace_parse_good(void **state)
{
    static const char text[] = REQ PAGES4 PAGES4 PAGES4 PAGES4 "\n" PUSH "\n" RSP "\n" CONN "\n";
    char error[RING_TRACE_ERROR_MAX] = "";
    struct ring_trace trace;
    (void)state;
    assert_int_equal(ring_trace_parse("good", text, &trace, error), 0);
    assert_int_equal(trace.count, 4);
    const struct ring_trace_record *r = trace.records;
    assert_int_equal(r->kind, RING_TRACE_REQ);
    assert_int_equal(r->time_us, 41377547);
    assert_int_equal(r->slot, 6);
    assert_int_equal(r->id, 10);
    assert_int_equal(r->pipe, 0xc0008281);
    assert_int_equal(r->port, 1);
    assert_int_equal(r->device, 2);
    assert_int_equal(r->endpoint, 1);
    assert_int_equal(r->type, USBIF_PIPE_TYPE_BULK);
    assert_true(r->in);
    assert_int_equal(r->flags, 1);
    assert_int_equal(r->buffer_length, 0);
    assert_int_equal(r->urb_length, 65536);
    assert_int_equal(r->nr_segs, 16);
    assert_memory_equal(r->u, "\xa1\xfe\0\0\0\0\0\1", 8);
    assert_int_equal(r->seg[15].gref, 28);
    assert_int_equal(r->seg[15].length, 4096);
    assert_true(r[1].kind == RING_TRACE_PUSH && r[1].notify);
    assert_int_equal(r[2].kind, RING_TRACE_RSP);
    assert_int_equal(r[2].start_frame, 3);
    assert_int_equal(r[2].status, -71);
    assert_int_equal(r[2].actual, 5);
    assert_int_equal(r[2].errors, 1);
    assert_int_equal(r[3].kind, RING_TRACE_CONN);
    assert_int_equal(r[3].port, 2);
    assert_int_equal(r[3].speed, 1);
    assert_int_equal(r[3].line, 4);
    ring_trace_dispose(&trace);
    ring_trace_dispose(&trace);
}

static void test_ring_trace_parse_bad(void **state)
{
    static const char *const lines[] = {
        "",
        " " PUSH,
        PUSH " ",
        PUSH "\r",
        CONN "1000",
        "41.37756: xenhcd_do_request: PUSH notify=1",
        "41.377566: xenhcd_int: PUSH notify=1",
        "41.377566: xenhcd_do_request: PUSH notify=2",
        "41.377566: xenhcd_do_request: PUSH notify=01",
        "41.377566: xenhcd_int: CONN id=65536 port=2 speed=1",
        "41.377566: xenhcd_int: CONN id=1 port= speed=1",
        "41.377566: xenhcd_int: RSP slot=16 id=1 start_frame=0 status=0 actual=5 errors=0 (req pipe "
        "c0008281)",
        "41.377566: xenhcd_int: RSP slot=1 id=1 start_frame=0 status=-0 actual=5 errors=0 (req pipe "
        "c0008281)",
        "41.377566: xenhcd_int: RSP slot=1 id=1 start_frame=0 status=0 actual=5 errors=0 (req pipe C0008281)",
        REQ PAGES4 PAGES4 PAGES4,                                            /* fewer segments than said */
        REQ PAGES4 PAGES4 PAGES4 PAGES4 " 29:0+1",                           /* more */
        REQ PAGES4 PAGES4 PAGES4 " 25:0+4096 26:0+4096 27:0+4096 28:0+4095", /* not urblen */
        "1.000000: xenhcd_do_request: REQ slot=0 id=0 pipe=80000081(port=2 dev=0 ep=0 dir=in type=2) flags=0 "
        "buflen=0 nseg=0 u=8006000100004000 urblen=0 segs", /* the word says port 1 */
        "1.000000: xenhcd_do_request: REQ slot=0 id=0 pipe=80000081(port=1 dev=0 ep=0 dir=in type=2) flags=0 "
        "buflen=0 nseg=0 u=80060001000040 urblen=0 segs", /* seven bytes */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[2048];
        char error[RING_TRACE_ERROR_MAX] = "";
        struct ring_trace trace;
        snprintf(text, sizeof(text), "%s\n%s\n", CONN, lines[i]);
        if (ring_trace_parse("bad", text, &trace, error) == 0)
            fail_msg("taken: %s", lines[i]);
        assert_memory_equal(error, "bad:2: ", 7);
    }
}

/* A line that the end of the file cuts is no line; no line at all is no recording. */
static void test_ring_trace_parse_end(void **state)
{
    char error[RING_TRACE_ERROR_MAX] = "";
    struct ring_trace trace;
    (void)state;
    assert_int_not_equal(ring_trace_parse("cut", CONN "\n" PUSH, &trace, error), 0);
    assert_string_equal(error, "cut:2: not a line of a ring recording");
    assert_int_not_equal(ring_trace_parse("empty", "", &trace, error), 0);
    assert_int_not_equal(ring_trace_read("no such file", &trace, error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_trace_parse_good),
        cmocka_unit_test(test_ring_trace_parse_bad),
        cmocka_unit_test(test_ring_trace_parse_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
