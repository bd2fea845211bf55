// SPDX-License-Identifier: MIT
/*
 * Goal: a wire leaves exactly what USB 2.0 tables 5-2 to 5-10 say that a bus has, in virtual time, and
 * changes nothing else: order, results, cancels and unplugs are the inner host's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "hosts/wire.h"
#include "test/scripted_host.h"

#define SECOND UINT64_C(1000000000)
#define URBS   24u

struct one {
    struct host_urb urb;
    unsigned int completed;
    uint64_t at_ns;
};

struct rig {
    struct scripted_host inner;
    struct wire *wire;
    struct usb_host *host;
    struct host_device *device;
    struct usb_host_listener listener;
    uint64_t now_ns;
    unsigned int completions, order[URBS];
    unsigned int told; /* completions when the unplug was told */
    unsigned int unplugged;
    struct one all[URBS];
    uint8_t bytes[65536];
};

static void on_complete(struct host_urb *urb)
{
    struct rig *rig = urb->context;
    struct one *one = (struct one *)urb;
    if (rig->completions < URBS)
        rig->order[rig->completions] = (unsigned int)(one - rig->all);
    rig->completions++;
    one->completed++;
    one->at_ns = rig->now_ns;
}

static void on_plugged(void *context, const char *busid)
{
    (void)context;
    (void)busid;
}

static void on_unplugged(void *context, const char *busid)
{
    struct rig *rig = context;
    assert_string_equal(busid, "1-1");
    rig->unplugged++;
    rig->told = rig->completions;
}

static void open_rig(struct rig *rig, enum wire_speed speed, uint8_t device_speed)
{
    memset(rig, 0, sizeof(*rig));
    scripted_host_init(&rig->inner);
    assert_int_equal(wire_create(&rig->inner.host, speed, &rig->wire), 0);
    rig->host = wire_host(rig->wire);
    rig->listener = (struct usb_host_listener){on_plugged, on_unplugged, rig};
    assert_int_equal(rig->host->ops->listen(rig->host, &rig->listener), 0);
    scripted_host_plug(&rig->inner, "1-1", device_speed);
    assert_int_equal(rig->host->ops->open(rig->host, "1-1", &rig->device), 0);
    rig->host->ops->step(rig->host, 0);
}

static void close_rig(struct rig *rig)
{
    rig->host->ops->close(rig->host, rig->device);
    rig->host->ops->unlisten(rig->host, &rig->listener);
    wire_destroy(rig->wire);
}

static void submit(struct rig *rig, unsigned int i, uint8_t type, uint8_t endpoint, uint32_t length)
{
    struct one *one = &rig->all[i];
    *one = (struct one){.urb = {.endpoint = endpoint,
                                .type = type,
                                .in = true,
                                .interval = 1,
                                .length = length,
                                .nr_segs = 1,
                                .seg = {{rig->bytes, length}},
                                .complete = on_complete,
                                .context = rig}};
    rig->host->ops->submit(rig->host, rig->device, &one->urb);
}

/* The device is done with the i-th transfer it holds. */
static void done(struct rig *rig, unsigned int i, int32_t status, uint32_t n)
{
    scripted_host_complete(&rig->inner, i, status, rig->bytes, n);
}

static void step_to(struct rig *rig, uint64_t ns)
{
    rig->now_ns = ns;
    rig->host->ops->step(rig->host, ns);
}

/* The time of the next completion; UINT64_MAX for none. */
static uint64_t next(struct rig *rig)
{
    unsigned int before = rig->completions;
    while (rig->completions == before) {
        uint64_t due = rig->host->ops->deadline(rig->host);
        if (due == UINT64_MAX)
            return UINT64_MAX;
        step_to(rig, due > rig->now_ns ? due : rig->now_ns);
    }
    return rig->now_ns;
}

/* ---- maxima: transfers of one packet, as many as a bus has in a second ---- */

static const struct {
    const char *what;
    enum wire_speed speed;
    uint8_t device, type;
    uint32_t bytes;
    uint32_t per_second;
} maxima[] = {
    {"full-speed bulk", WIRE_FULL, USBIF_SPEED_FULL, USBIF_PIPE_TYPE_BULK, 64, 19 * 1000},
    {"full-speed bulk of 8 bytes (table 5-9)", WIRE_FULL, USBIF_SPEED_FULL, USBIF_PIPE_TYPE_BULK, 8,
     71 * 1000},
    {"high-speed bulk", WIRE_HIGH, USBIF_SPEED_HIGH, USBIF_PIPE_TYPE_BULK, 512, 13 * 8000},
    {"high-speed bulk of 1 byte (table 5-10)", WIRE_HIGH, USBIF_SPEED_HIGH, USBIF_PIPE_TYPE_BULK, 1,
     133 * 8000},
    {"full-speed control of 64 bytes", WIRE_FULL, USBIF_SPEED_FULL, USBIF_PIPE_TYPE_CTRL, 64, 13 * 1000},
    {"full-speed control of 1 byte (table 5-2)", WIRE_FULL, USBIF_SPEED_FULL, USBIF_PIPE_TYPE_CTRL, 1,
     32 * 1000},
    {"high-speed control of 64 bytes", WIRE_HIGH, USBIF_SPEED_HIGH, USBIF_PIPE_TYPE_CTRL, 64, 31 * 8000},
    {"high-speed control of 1 byte (table 5-3)", WIRE_HIGH, USBIF_SPEED_HIGH, USBIF_PIPE_TYPE_CTRL, 1,
     43 * 8000},
    {"full-speed interrupt", WIRE_FULL, USBIF_SPEED_FULL, USBIF_PIPE_TYPE_INT, 64, 1000},
    {"high-speed interrupt", WIRE_HIGH, USBIF_SPEED_HIGH, USBIF_PIPE_TYPE_INT, 3072, 8000},
    {"low-speed interrupt", WIRE_FULL, USBIF_SPEED_LOW, USBIF_PIPE_TYPE_INT, 8, 100},
};

static void test_wire_maxima(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        struct rig rig;
        open_rig(&rig, maxima[i].speed, maxima[i].device);
        /* Two at a time, so that the wire never waits for them. */
        for (unsigned int u = 0; u < 2; u++) {
            submit(&rig, u, maxima[i].type, 1, maxima[i].bytes);
            done(&rig, 0, 0, maxima[i].bytes);
        }
        for (unsigned int u = 0; next(&rig) < SECOND / 100; u = !u) {
            submit(&rig, u, maxima[i].type, 1, maxima[i].bytes);
            done(&rig, 0, 0, maxima[i].bytes);
        }
        /* The loop ends with the first one of the next ten milliseconds. */
        unsigned int count = rig.completions - 1;
        if (count != maxima[i].per_second / 100)
            fail_msg("%s: %u in 10 ms instead of %u", maxima[i].what, count, maxima[i].per_second / 100);
        close_rig(&rig);
    }
}

/* Many packets are as fast as many transfers: 60 KiB at full speed are 960 packets, 50 frames and 10 of the
 * 51st. */
static void test_wire_long_transfers(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, WIRE_FULL, USBIF_SPEED_FULL);
    submit(&rig, 0, USBIF_PIPE_TYPE_BULK, 1, 61440);
    done(&rig, 0, 0, 61440);
    assert_int_equal(next(&rig), 50 * 1000000u + (10 * 77 * 1000000u + 1499) / 1500);
    assert_int_equal(rig.all[0].urb.actual, 61440);
    close_rig(&rig);
    open_rig(&rig, WIRE_HIGH, USBIF_SPEED_HIGH);
    submit(&rig, 0, USBIF_PIPE_TYPE_BULK, 1, 61440); /* 120 packets: 9 microframes and 3 packets */
    done(&rig, 0, 0, 61440);
    assert_int_equal(next(&rig), 9 * 125000u + 3 * 567 * 125000u / 7500);
    close_rig(&rig);
}

/* A transfer counts from when its device is done, and a wire that was idle has saved nothing up. */
static void test_wire_idle_saves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, WIRE_FULL, USBIF_SPEED_FULL);
    submit(&rig, 0, USBIF_PIPE_TYPE_BULK, 1, 64);
    step_to(&rig, 5000000);
    assert_int_equal(rig.host->ops->deadline(rig.host),
                     UINT64_MAX); /* it waits for its device, which costs nothing */
    done(&rig, 0, 0, 64);
    assert_int_equal(rig.host->ops->deadline(rig.host), 0);
    step_to(&rig, 5500000);
    assert_int_equal(rig.completions, 0);
    assert_int_equal(next(&rig), 5500000 + (77 * 1000000u + 1499) / 1500);
    /* 1.1 ms later, in the middle of a frame whose rest is 9/10: what does not fit goes to the next one. */
    step_to(&rig, 7100000);
    submit(&rig, 0, USBIF_PIPE_TYPE_BULK, 1, 18 * 64);
    done(&rig, 0, 0, 18 * 64);
    assert_int_equal(next(&rig), 8000000 + (77 * 1000000u + 1499) / 1500); /* 17 in this one, 1 in the next */
    close_rig(&rig);
}

/* Packets of one endpoint in one interval each; of another endpoint in the same. */
static void test_wire_interrupts(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, WIRE_FULL, USBIF_SPEED_FULL);
    submit(&rig, 0, USBIF_PIPE_TYPE_INT, 1, 64);
    submit(&rig, 1, USBIF_PIPE_TYPE_INT, 2, 64);
    rig.all[0].urb.interval = 8;
    rig.all[1].urb.interval = 4;
    step_to(&rig, 9000001);
    done(&rig, 0, 0, 64);
    done(&rig, 0, 0, 64);
    assert_int_equal(next(&rig), 12000000 + (77 * 1000000u + 1499) / 1500);
    assert_int_equal(rig.order[0], 1);
    assert_int_equal(next(&rig), 16000000 + (77 * 1000000u + 1499) / 1500);
    close_rig(&rig);
}

/* One endpoint's transfers stay in order, those that never were on the wire too. */
static void test_wire_order(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, WIRE_HIGH, USBIF_SPEED_HIGH);
    for (unsigned int i = 0; i < 4; i++)
        submit(&rig, i, USBIF_PIPE_TYPE_BULK, 1, 4096);
    done(&rig, 0, 0, 4096);
    done(&rig, 0, 0, 100);
    done(&rig, 0, -ECONNRESET, 0);
    done(&rig, 0, -EPIPE, 0);
    step_to(&rig, 1);
    assert_int_equal(rig.completions, 0);
    step_to(&rig, SECOND);
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(rig.order[i], i);
    assert_int_equal(rig.all[1].urb.actual, 100);
    assert_int_equal(rig.all[2].urb.status, -ECONNRESET);
    assert_int_equal(rig.all[3].urb.status, -EPIPE);
    close_rig(&rig);
}

/* usb_host.h: cancel() ends it, with -ECONNRESET or what came first; each once. */
static void test_wire_cancel(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, WIRE_HIGH, USBIF_SPEED_HIGH);
    for (unsigned int i = 0; i < 3; i++)
        submit(&rig, i, USBIF_PIPE_TYPE_BULK, 1, 4096);
    done(&rig, 0, 0, 4096);
    step_to(&rig, 0);
    rig.host->ops->cancel(rig.host, rig.device, &rig.all[1].urb); /* at the device */
    assert_int_equal(rig.all[1].completed, 1);
    assert_int_equal(rig.all[1].urb.status, -ECONNRESET);
    rig.host->ops->cancel(rig.host, rig.device, &rig.all[0].urb); /* on the wire */
    assert_int_equal(rig.all[0].completed, 1);
    assert_int_equal(rig.all[0].urb.status, 0);
    assert_int_equal(rig.all[0].urb.actual, 4096);
    rig.inner.cancel_late = true;
    rig.host->ops->cancel(rig.host, rig.device, &rig.all[2].urb);
    assert_int_equal(rig.all[2].completed, 0);
    done(&rig, 0, -ECONNRESET, 0);
    step_to(&rig, SECOND);
    assert_int_equal(rig.completions, 3);
    close_rig(&rig);
}

/* usb_host.h: the URBs of a device that is unplugged or closed have been completed before. */
static void test_wire_unplug_and_close(void **state)
{
    (void)state;
    for (unsigned int unplug = 0; unplug < 2; unplug++) {
        struct rig rig;
        open_rig(&rig, WIRE_FULL, USBIF_SPEED_FULL);
        for (unsigned int i = 0; i < 3; i++)
            submit(&rig, i, USBIF_PIPE_TYPE_BULK, 1, 4096);
        done(&rig, 0, 0, 4096);
        step_to(&rig, 10);
        done(&rig, 0, 0, 5);
        if (unplug) {
            scripted_host_unplug(&rig.inner, "1-1");
            assert_int_equal(rig.unplugged, 1);
            assert_int_equal(rig.told, 3);
            assert_int_equal(rig.all[2].urb.status, -ENODEV);
        }
        close_rig(&rig);
        assert_int_equal(rig.completions, 3);
        for (unsigned int i = 0; i < 3; i++)
            assert_int_equal(rig.order[i], i);
        assert_int_equal(rig.all[0].urb.actual, 4096);
        assert_int_equal(rig.all[1].urb.actual, 5);
        assert_int_equal(rig.all[2].urb.status, unplug ? -ENODEV : -ECONNRESET);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_maxima),
        cmocka_unit_test(test_wire_long_transfers),
        cmocka_unit_test(test_wire_idle_saves_nothing),
        cmocka_unit_test(test_wire_interrupts),
        cmocka_unit_test(test_wire_order),
        cmocka_unit_test(test_wire_cancel),
        cmocka_unit_test(test_wire_unplug_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
