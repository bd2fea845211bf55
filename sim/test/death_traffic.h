/* SPDX-License-Identifier: MIT */
/*
 * The frontend of the stress on death: a guest that writes blocks of a disk, reads them back and compares, for ever,
 * through every backend that comes. A process of its own that tells its parent what it sees.
 */
#ifndef SIM_TEST_DEATH_TRAFFIC_H
#define SIM_TEST_DEATH_TRAFFIC_H

#include <stdint.h>

enum traffic_event {
    TRAFFIC_WORKS,   /* the backend answered on this connection */
    TRAFFIC_GOOD,    /* bytes came back the same, the first on this connection */
    TRAFFIC_LOST,    /* the driver said that the backend is gone without closing */
    TRAFFIC_LEFT,    /* the connection has ended, for whatever reason, and its guest with it */
    TRAFFIC_MACHINE, /* the machine is gone; the process ends */
    TRAFFIC_BAD,     /* what must not be; the process ends */
};

/* Written to the report pipe as it is. */
struct traffic_report {
    enum traffic_event event;
    uint64_t ns; /* when, by loop_now_ns() */
    char what[48];
};

struct traffic {
    const char *dir; /* of the machine */
    uint64_t seed;
    int ops;    /* eventfd: counts steps and URBs */
    int report; /* pipe */
};

/* Until SIGTERM (0), the end of the machine (3) or an error (1): the exit code. */
int traffic_run(const struct traffic *traffic);

#endif
