// SPDX-License-Identifier: MIT
/* Goal: the host of simulated devices tells everybody who listens, however many they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/disk.h"
#include "devices/keyboard.h"
#include "devices/sim_host.h"
#include "devices/ticker.h"

#define LISTENERS 500u

static void count_plug(void *context, const char *busid)
{
    (void)busid;
    ++*(unsigned int *)context;
}

static void plug(struct sim_host *sim, const char *busid)
{
    struct usb_device *keyboard;
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    assert_int_equal(sim_host_plug(sim, busid, keyboard), 0);
}

/* A driver domain has a listener for each controller of each guest: their number is not ours to limit. */
static void test_sim_host_many_listeners(void **state)
{
    (void)state;
    struct usb_host_listener listeners[LISTENERS];
    struct sim_host *sim;
    unsigned int told = 0;
    assert_int_equal(sim_host_create(&sim), 0);
    struct usb_host *host = sim_host_host(sim);
    for (unsigned int i = 0; i < LISTENERS; i++) {
        listeners[i] = (struct usb_host_listener){.plugged = count_plug, .context = &told};
        assert_int_equal(host->ops->listen(host, &listeners[i]), 0);
    }
    host->ops->unlisten(host, &listeners[7]);
    host->ops->unlisten(host, &listeners[LISTENERS - 1]);
    plug(sim, "1-1");
    assert_int_equal(told, LISTENERS - 2);
    assert_int_equal(host->ops->listen(host, &listeners[7]), 0); /* in a place that is free */
    plug(sim, "1-2");
    assert_int_equal(told, 2 * LISTENERS - 3);
    sim_host_destroy(sim);
}

static void plug_ticker(struct sim_host *sim, const char *busid)
{
    struct usb_device *ticker;
    assert_int_equal(ticker_create(&(struct ticker_config){.period_us = 1000}, &ticker), 0);
    assert_int_equal(sim_host_plug(sim, busid, ticker), 0);
}

static void plug_disk(struct sim_host *sim, const char *busid)
{
    struct usb_device *disk;
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 512}, &disk), 0);
    assert_int_equal(sim_host_plug(sim, busid, disk), 0);
}

static uint64_t time_of(struct sim_host *sim, const char *busid)
{
    return sim_host_device(sim, busid)->now_ns;
}

/* Disks have no use for time, and cost none when it passes; tickers hear of it, in whatever order they come and go. */
static void test_sim_host_time_among_idle_devices(void **state)
{
    (void)state;
    struct sim_host *sim;
    assert_int_equal(sim_host_create(&sim), 0);
    struct usb_host *host = sim_host_host(sim);
    plug_disk(sim, "1-1");
    plug_ticker(sim, "1-2");
    plug_disk(sim, "1-3");
    plug_ticker(sim, "1-4");
    plug_disk(sim, "1-5");
    host->ops->step(host, 1);
    assert_int_equal(time_of(sim, "1-2"), 1);
    assert_int_equal(time_of(sim, "1-4"), 1);
    assert_int_equal(time_of(sim, "1-1"), 0);
    assert_int_equal(sim_host_unplug(sim, "1-4"), 0);
    plug_disk(sim, "1-4");
    plug_ticker(sim, "1-6");
    host->ops->step(host, 2);
    assert_int_equal(time_of(sim, "1-2"), 2);
    assert_int_equal(time_of(sim, "1-6"), 2);
    assert_int_equal(time_of(sim, "1-4"), 0);
    sim_host_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_host_many_listeners),
        cmocka_unit_test(test_sim_host_time_among_idle_devices),
    };
    return cmocka_run_group_tests_name("the host of simulated devices", tests, NULL, NULL);
}
