/* SPDX-License-Identifier: MIT */
/*
 * A device that speaks at times of its own, for measuring how late it is heard: one interrupt IN endpoint,
 * vendor class, reports of 16 bytes (struct ticker_report, little endian). The times are an open loop: they do not wait
 * for the host, and a report that is fetched late says by itself how late. They begin one period after the first
 * transfer since the configuration was set, and are 0.5 to 1.5 periods apart, by a generator that always starts
 * alike: a guest that polls every millisecond is met at every phase.
 */
#ifndef SIM_DEVICES_TICKER_H
#define SIM_DEVICES_TICKER_H

#include "devices/device.h"

#define TICKER_VENDOR       0x1209u
#define TICKER_PRODUCT      0x0104u
#define TICKER_EP           0x81u
#define TICKER_REPORT_BYTES 16u

struct ticker_report {
    uint64_t due_ns; /* on the clock of device_step() */
    uint64_t number; /* from 0; none is left out */
};

struct ticker_config {
    uint32_t period_us; /* 1..10000000, 0 for 1000 */
    uint8_t speed;      /* USBIF_SPEED_FULL or, also for 0, _HIGH */
};

/* -EINVAL for another speed or period, -ENOMEM. For sim_host_plug(). */
int ticker_create(const struct ticker_config *config, struct usb_device **out);

#endif
