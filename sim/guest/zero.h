/* SPDX-License-Identifier: MIT */
/*
 * The guest's test driver for gadget zero (devices/zero.h): the cases of Linux's usbtest, by its numbers.
 *
 *   1-4    bulk write, read; the same with lengths that vary
 *   5-8    the same, `depth` transfers queued at once
 *   9, 10  chapter 9 requests one by one, and queued with stalls and short answers among them
 *   11, 12 a read, a write that is unlinked
 *   13     halt: set, seen in the status, felt by a transfer, cleared, gone; in both directions
 *   14, 21 vendor control write and read back; from an odd address
 *   15, 16 isochronous write, read
 *   17-20  as 1 and 2 at an odd address (Linux: mapped by the core, and by the driver: one thing here)
 *   24     writes queued, two in their midst unlinked
 *
 * The first thing that is not as it should be ends a test. Only the source-and-sink configuration is driven.
 *
 * Threads: one. No allocation after guest_zero_create().
 */
#ifndef SIM_GUEST_ZERO_H
#define SIM_GUEST_ZERO_H

#include "guest/guest.h"

#define GUEST_ZERO_DEPTH_MAX  16u
#define GUEST_ZERO_LENGTH_MAX 8192u

struct guest_zero_params {
    unsigned int test;
    unsigned int iterations; /* 0 for 1000, as usbtest's -c */
    uint32_t length;         /* -s, 0 for 1024 */
    uint32_t vary;           /* -v, 0 for 512 */
    unsigned int depth;      /* -g, 0 for 8 */
    uint8_t pattern;         /* as the device's */
    uint8_t alternate;       /* setting to test in; 15 and 16 take 1 */
};

struct guest_zero_result {
    /* 0; what a transfer failed with; -EBADMSG wrong data; -EREMOTEIO wrong length; -EL2HLT no stall where
     * one should have been; -EXDEV an isochronous packet failed. */
    int status;
    unsigned int round; /* where it ended */
    uint64_t transfers, bytes, unlinked;
};

struct guest_zero;

bool guest_zero_matches(const struct guest_device *device);
/* -ENODEV when it does not match. */
int guest_zero_create(struct guest_device *device, struct guest_zero **out);
/* In gone() at the latest; not while a transfer is under way. */
void guest_zero_destroy(struct guest_zero *zero);
/* -EBUSY, -EINVAL beyond the limits, -EOPNOTSUPP no such test. done() comes once, perhaps from inside. */
int guest_zero_run(struct guest_zero *zero, const struct guest_zero_params *params,
                   void (*done)(void *context, struct guest_zero *zero), void *context);
bool guest_zero_busy(const struct guest_zero *zero);
struct guest_zero_result guest_zero_result(const struct guest_zero *zero);

#endif
