/* SPDX-License-Identifier: MIT */
/*
 * The guests of a session: enumerate what is behind it with sim/guest, then leave the devices to a workload,
 * which hands URBs to their controllers itself. So what a path costs is measured, not what a guest's core
 * does.
 */
#ifndef BENCH_GUESTS_H
#define BENCH_GUESTS_H

#include "bench/path.h"
#include "guest/guest.h"

#define BENCH_DEVICES_MAX (31u + BENCH_GUESTS_MAX)
#define BENCH_PATIENCE_NS (UINT64_C(5) * 1000000000) /* for anything that a path is asked to do */

struct bench_target {
    struct hcd *hcd;
    struct guest_device *device;
    uint8_t in, out; /* addresses of its bulk endpoints, or in: of its interrupt endpoint; 0 without */
};

struct bench_guests {
    struct bench_session *session;
    unsigned int wanted;
    struct guest *guest[BENCH_GUESTS_MAX];
    unsigned int nr_guests;
    struct bench_target target[BENCH_DEVICES_MAX];
    unsigned int nr_targets; /* in the order in which they were found */
    bool closing;
    bool stuck;       /* transfers of a guest did not come back: the session cannot be closed */
    bool hurry;       /* skips waits for ports */
    uint64_t skew_ns; /* by which the guests' clock is ahead for that */
    int error;
};

/*
 * Returns when all devices are configured. -ETIMEDOUT when they are not in time, or what step() and
 * wait() said; why (BENCH_WHY_MAX bytes) then says which. On failure there is nothing to close.
 */
int bench_guests_open(struct bench_session *session, const struct bench_setup *setup,
                      struct bench_guests *out, char *why);
/* No URB of a workload may be under way. 0 or as above. */
int bench_guests_close(struct bench_guests *guests);

/*
 * Steps session and guests until done() says so. -ETIMEDOUT at limit_ns; what step() and wait() said; or what
 * was wrong with a device.
 */
int bench_guests_run(struct bench_guests *guests, uint64_t limit_ns, bool (*done)(void *context),
                     void *context);
/*
 * One turn of the session at now_ns, without the guests: step, then wait unless *progress has been set
 * meanwhile. 0 or -errno.
 */
int bench_turn(struct bench_session *session, uint64_t now_ns, uint64_t until_ns, const bool *progress);

#endif
