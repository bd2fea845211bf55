/* SPDX-License-Identifier: MIT */
/* What the tests of devices share: transfers in odd segments, and synchronous ways to run them. */
#ifndef SIM_TEST_DEVICE_UTIL_H
#define SIM_TEST_DEVICE_UTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/sim_host.h"

#define TURB_BYTES 8192u

struct turb {
    struct host_urb urb;
    uint8_t bytes[TURB_BYTES];
    unsigned int completed;          /* how often */
    unsigned int order;              /* the how-manieth completion of the test it was */
    void (*then)(struct turb *turb); /* called from complete() */
};

/* One host with an opened device at "1-1". */
struct bench {
    struct sim_host *sim;
    struct usb_host *host;
    struct host_device *device;
};

void bench_open(struct bench *bench, struct usb_device *device);
void bench_close(struct bench *bench);

/* Cuts the n bytes into segments of sizes that divide nothing. */
void turb_init(struct turb *turb, uint8_t type, uint8_t address, uint32_t n);
void turb_submit(struct bench *bench, struct turb *turb);
/* Submits, and expects that it completes at once. Returns the status; *actual may be NULL. */
int turb_run(struct bench *bench, struct turb *turb, uint8_t type, uint8_t address, uint32_t n,
             uint32_t *actual);
/* A control request with a data stage in data; returns bytes moved or the negative status. */
int bench_control(struct bench *bench, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                  uint16_t length, void *data);

#endif
