/* SPDX-License-Identifier: MIT */
/* A device of ours behind QEMU's usb-redir, for tests with a rig: in real time, stepped by the rig's on_step.
 */
#ifndef BENCH_QTEST_TEST_REDIR_H
#define BENCH_QTEST_TEST_REDIR_H

#include "devices/sim_host.h"
#include "qtest/test_rig.h"
#include "usbredir/redir.h"

struct qtest_redir {
    struct sim_host *sim; /* the device is at "1-1" */
    struct redir *redir;
};

/* Takes the device. Opens the rig, too; its on_step is for the caller to set, then. */
void qtest_redir_open(struct qtest_redir *behind, struct qtest_rig *rig, enum qtest_controller controller,
                      struct usb_device *device);
void qtest_redir_step(struct qtest_redir *behind, uint64_t now_ns);
void qtest_redir_close(struct qtest_redir *behind, struct qtest_rig *rig);

#endif
