// SPDX-License-Identifier: MIT
#include "test_device_util.h"

#include <string.h>

#include "devices/probe.h"

static struct bench bench;

static int open_probe(void **state)
{
    struct usb_device *device;
    (void)state;
    assert_int_equal(probe_create(&(struct probe_config){0}, &device), 0);
    bench_open(&bench, device);
    assert_int_equal(bench_control(&bench, 0, 9, 1, 0, 0, NULL), 0);
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_CLEAR, 0, 0, 0, NULL), 0);
    return 0;
}

static int close_probe(void **state)
{
    (void)state;
    bench_close(&bench);
    return 0;
}

static void script(uint8_t endpoint, uint8_t action, uint32_t n)
{
    struct probe_step step = {.action = action, .n = n};
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_SCRIPT, 0, endpoint, sizeof(step), &step), sizeof(step));
}

static struct turb turb, other;

static void expect(uint8_t address, uint32_t length, int32_t status, uint32_t expected)
{
    uint32_t actual;
    uint8_t type = (address & 15u) == 2 ? USBIF_PIPE_TYPE_INT : USBIF_PIPE_TYPE_BULK;
    assert_int_equal(turb_run(&bench, &turb, type, address, length, &actual), status);
    assert_int_equal(actual, expected);
}

static void expect_pattern(uint8_t address, uint32_t position, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(turb.bytes[i], PROBE_BYTE(address, position + i));
}

static void sends_its_stream(void **state)
{
    (void)state;
    expect(0x81, 700, 0, 700);
    expect_pattern(0x81, 0, 700);
    expect(0x81, 0, 0, 0);
    expect(0x81, 1024, 0, 1024);
    expect_pattern(0x81, 700, 1024);
    expect(0x83, 10, 0, 10);
    expect_pattern(0x83, 0, 10);
}

static void does_what_the_script_says(void **state)
{
    (void)state;
    script(0x81, PROBE_SHORT, 100);
    script(0x81, PROBE_SHORT, 512); /* a packet of no bytes follows */
    script(0x81, PROBE_ERROR, 512);
    script(0x81, PROBE_BABBLE, 0);
    script(0x81, PROBE_STALL, 0);
    expect(0x81, 2048, 0, 100);
    expect(0x81, 2048, 0, 512);
    expect_pattern(0x81, 100, 512);
    expect(0x81, 2048, -EPROTO, 512);
    expect(0x81, 1024, -EOVERFLOW, 1024);
    expect(0x81, 1024, -EPIPE, 0);
    expect(0x81, 1024, -EPIPE, 0); /* halted */
    assert_int_equal(bench_control(&bench, 2, 1, 0, 0x81, 0, NULL), 0);
    expect(0x81, 1024, 0, 1024);
    script(0x01, PROBE_STALL, 1024);
    expect(0x01, 2048, -EPIPE, 1024);
}

static void takes_and_tells_the_last(void **state)
{
    uint8_t last[64];
    (void)state;
    turb_init(&turb, USBIF_PIPE_TYPE_BULK, 0x01, 40);
    for (unsigned int i = 0; i < 40; i++)
        turb.bytes[i] = (uint8_t)(i * 3);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_LAST, 0, 0x01, sizeof(last), last), 40);
    assert_memory_equal(last, turb.bytes, 40);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_LAST, 0, 0x81, sizeof(last), last), -EPIPE);
}

static void holds_until_released_or_cancelled(void **state)
{
    (void)state;
    turb_init(&turb, USBIF_PIPE_TYPE_INT, 0x82, 8);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.completed, 0);
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_RELEASE, 0, 0x82, 0, NULL), 0);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(turb.urb.actual, 8);
    expect_pattern(0x82, 0, 8);

    script(0x81, PROBE_HOLD, 600);
    turb_init(&other, USBIF_PIPE_TYPE_BULK, 0x81, 2048);
    turb_submit(&bench, &other);
    assert_int_equal(other.completed, 0);
    bench.host->ops->cancel(bench.host, bench.device, &other.urb);
    assert_int_equal(other.completed, 1);
    assert_int_equal(other.urb.actual, 512);
    expect(0x81, 512, 0, 512); /* the step went with its transfer */
}

static void logs_what_reached_it(void **state)
{
    struct probe_entry log[4] = {{0}};
    uint32_t sum = 0;
    (void)state;
    expect(0x81, 20, 0, 20);
    for (uint32_t i = 0; i < 20; i++)
        sum += (i + 1) * PROBE_BYTE(0x81u, i);
    turb_init(&other, USBIF_PIPE_TYPE_INT, 0x82, 8);
    turb_submit(&bench, &other);
    bench.host->ops->cancel(bench.host, bench.device, &other.urb);
    assert_int_equal(bench_control(&bench, 1, 11, 1, 0, 0, NULL), 0); /* SET_INTERFACE */
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_LOG, 0, 0, sizeof(log), log), 3 * sizeof(log[0]));
    assert_int_equal(log[0].endpoint, 0x81);
    assert_int_equal(log[0].type, USBIF_PIPE_TYPE_BULK);
    assert_int_equal(log[0].end, PROBE_ENDED);
    assert_int_equal(log[0].length, 20);
    assert_int_equal(log[0].actual, 20);
    assert_int_equal(log[0].sum, sum);
    assert_int_equal(log[1].endpoint, 0x82);
    assert_int_equal(log[1].end, PROBE_CANCELLED);
    assert_int_equal(log[2].type, USBIF_PIPE_TYPE_CTRL);
    assert_int_equal(log[2].setup[1], 11);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_LOG, 0, 2, sizeof(log[0]), log), sizeof(log[0]));
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_LOG, 0, 4, sizeof(log[0]), log), -EPIPE);
}

static void keeps_bytes_and_refuses(void **state)
{
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8}, back[16] = {0};
    struct probe_step bad = {.action = PROBE_BABBLE + 1};
    (void)state;
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_BYTES, 0, 0, 8, bytes), 8);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_BYTES, 0, 0, 16, back), 8);
    assert_memory_equal(back, bytes, 8);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_BYTES, 3, 0, 16, back), 3);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_GET_BYTES, 0, 1, 8, back), -EOVERFLOW);
    assert_int_equal(bench_control(&bench, 0xc0, PROBE_DO_STALL, 0, 0, 8, back), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_SCRIPT, 0, 0x81, sizeof(bad), &bad), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_SCRIPT, 0, 0x85, sizeof(bad), &bad), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x40, PROBE_SET_UNPLUG, 1, 0, 0, NULL), -EPIPE); /* it has no host */
}

static void holds_a_control_request(void **state)
{
    (void)state;
    turb_init(&turb, USBIF_PIPE_TYPE_CTRL, 0, 0);
    turb.urb.setup[0] = 0x40;
    turb.urb.setup[1] = PROBE_DO_HOLD;
    turb_submit(&bench, &turb);
    assert_int_equal(turb.completed, 0);
    bench.host->ops->cancel(bench.host, bench.device, &turb.urb);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(turb.urb.status, -ECONNRESET);
}

static void goes_when_told(void **state)
{
    struct sim_host *sim;
    struct usb_device *device;
    (void)state;
    assert_int_equal(sim_host_create(&sim), 0);
    const struct probe_config config = {.speed = USBIF_SPEED_LOW, .host = sim, .busid = "1-1"};
    assert_int_equal(probe_create(&config, &device), 0);
    assert_int_equal(sim_host_plug(sim, "1-1", device), 0);
    struct host_urb urb = {.type = USBIF_PIPE_TYPE_CTRL, .setup = {0x40, PROBE_SET_UNPLUG, 5}};
    turb_init(&turb, USBIF_PIPE_TYPE_CTRL, 0, 0);
    memcpy(turb.urb.setup, urb.setup, sizeof(urb.setup));
    device_submit(device, &turb.urb);
    assert_int_equal(turb.completed, 1);
    assert_int_equal(device_deadline(device), 5000000);
    device_step(device, 4999999);
    assert_non_null(sim_host_device(sim, "1-1"));
    device_step(device, 5000000);
    assert_null(sim_host_device(sim, "1-1"));
    sim_host_destroy(sim);
}

static void has_no_super_speed(void **state)
{
    struct usb_device *device;
    (void)state;
    assert_int_equal(probe_create(&(struct probe_config){.speed = DEVICE_SPEED_SUPER}, &device), -EINVAL);
}

#define ON_PROBE(test) cmocka_unit_test_setup_teardown(test, open_probe, close_probe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_PROBE(sends_its_stream),
        ON_PROBE(does_what_the_script_says),
        ON_PROBE(takes_and_tells_the_last),
        ON_PROBE(holds_until_released_or_cancelled),
        ON_PROBE(logs_what_reached_it),
        ON_PROBE(keeps_bytes_and_refuses),
        ON_PROBE(holds_a_control_request),
        cmocka_unit_test(goes_when_told),
        cmocka_unit_test(has_no_super_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
