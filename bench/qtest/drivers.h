/* SPDX-License-Identifier: MIT */
/* The guest drivers that qtest.c can put on its bus. */
#ifndef BENCH_QTEST_DRIVERS_H
#define BENCH_QTEST_DRIVERS_H

#include "qtest/qtest.h"
#include "uhci/driver.h"

struct qtest_driver {
    int (*create)(struct hc_bus *bus, bool polled, void **out);
    void (*destroy)(void *driver);
    struct hcd *(*hcd)(void *driver);
    void (*step)(void *driver, uint64_t now_ns);
    uint64_t (*deadline)(const void *driver);
};

const struct qtest_driver *qtest_driver(enum qtest_controller controller);

#endif
