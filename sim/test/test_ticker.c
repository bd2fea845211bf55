// SPDX-License-Identifier: MIT
/* A ticker's reports come at their times, none is lost however late they are fetched, and a silent host is let be. */
#include "test_device_util.h"

#include "devices/ticker.h"

#define MS UINT64_C(1000000)

static struct bench bench;
static struct turb turb;

static int open_ticker(void **state)
{
    struct usb_device *device;
    (void)state;
    assert_int_equal(ticker_create(&(struct ticker_config){.period_us = 2000}, &device), 0);
    bench_open(&bench, device);
    assert_int_equal(bench_control(&bench, 0, 9, 1, 0, 0, NULL), 0);
    return 0;
}

static int close_ticker(void **state)
{
    (void)state;
    bench_close(&bench);
    return 0;
}

static struct ticker_report report(void)
{
    struct ticker_report r = {0};
    for (unsigned int i = 0; i < 8; i++) {
        r.due_ns |= (uint64_t)turb.bytes[i] << (8 * i);
        r.number |= (uint64_t)turb.bytes[8 + i] << (8 * i);
    }
    return r;
}

static void step(uint64_t now_ns)
{
    bench.host->ops->step(bench.host, now_ns);
}

static uint64_t deadline(void)
{
    return bench.host->ops->deadline(bench.host);
}

static void ask(void)
{
    turb_init(&turb, USBIF_PIPE_TYPE_INT, TICKER_EP, TICKER_REPORT_BYTES);
    turb_submit(&bench, &turb);
}

static void comes_at_its_time(void **state)
{
    (void)state;
    step(10 * MS);
    assert_true(deadline() == UINT64_MAX); /* nobody asked */
    ask();
    assert_true(deadline() == 12 * MS);
    step(12 * MS - 1);
    assert_int_equal(turb.completed, 0);
    step(12 * MS);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(turb.urb.actual, TICKER_REPORT_BYTES);
    assert_true(report().due_ns == 12 * MS);
    assert_true(report().number == 0);
    assert_true(deadline() == UINT64_MAX);
}

static void late_reports_say_how_late(void **state)
{
    (void)state;
    ask();
    step(1);
    step(1000 * MS);
    uint64_t last = report().due_ns;
    for (uint64_t i = 1; i < 300; i++) {
        ask();
        assert_int_equal(turb.completed, 1);
        struct ticker_report r = report();
        assert_true(r.number == i);
        assert_in_range(r.due_ns - last, MS, 3 * MS - 1);
        last = r.due_ns;
    }
}

static void begins_anew_with_the_configuration(void **state)
{
    (void)state;
    ask();
    step(1000 * MS);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(bench_control(&bench, 0, 9, 1, 0, 0, NULL), 0);
    ask();
    assert_int_equal(turb.completed, 0);
    step(1002 * MS);
    assert_true(report().due_ns == 1002 * MS);
    assert_true(report().number == 0);
}

static void refuses_what_cannot_be(void **state)
{
    struct usb_device *device;
    (void)state;
    assert_int_equal(ticker_create(&(struct ticker_config){.speed = USBIF_SPEED_LOW}, &device), -EINVAL);
    assert_int_equal(ticker_create(&(struct ticker_config){.period_us = 10000001}, &device), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_at_its_time, open_ticker, close_ticker),
        cmocka_unit_test_setup_teardown(late_reports_say_how_late, open_ticker, close_ticker),
        cmocka_unit_test_setup_teardown(begins_anew_with_the_configuration, open_ticker, close_ticker),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
