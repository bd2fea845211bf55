/* SPDX-License-Identifier: MIT */
/* A guest over a QEMU, for tests: in virtual or in real time. */
#ifndef BENCH_QTEST_TEST_RIG_H
#define BENCH_QTEST_TEST_RIG_H

#include "guest/storage.h"
#include "qtest/qtest.h"
#include "test/test_device_util.h"

struct qtest_rig {
    struct qtest *qtest;
    enum qtest_clock clock;
    struct guest *guest;
    uint64_t now_ns;
    uint64_t limit_ns;           /* of what is being waited for, 0 for none */
    struct guest_device *device; /* the last one that became ready, NULL when it is gone */
    unsigned int ready, gone, failed;
    struct storage *storage; /* of the first disk */
    unsigned int finished;   /* its start, then requests */
    int status;
    /* Set after qtest_rig_open(), before the first step; may be NULL. */
    void (*on_ready)(struct qtest_rig *rig, struct guest_device *device);
    void (*on_gone)(struct qtest_rig *rig, struct guest_device *device);
    void (*on_step)(struct qtest_rig *rig); /* at the end of each, which is every millisecond then */
};

/* Skips the test's program where QEMU is missing: call it first in main(). */
int qtest_rig_skip(enum qtest_clock clock);
void qtest_rig_open(struct qtest_rig *rig, const struct qtest_config *config);
/* Waits for what is next and runs it. */
void qtest_rig_step(struct qtest_rig *rig);
/* Until *count is n; within 100 seconds of the rig's time. */
void qtest_rig_until(struct qtest_rig *rig, const unsigned int *count, unsigned int n);
void qtest_rig_run_for(struct qtest_rig *rig, uint64_t ns);
int qtest_rig_request(struct qtest_rig *rig, uint64_t lba, uint32_t blocks, bool write, void *buffer);
/* A control transfer without surprise; returns the bytes moved. */
uint32_t qtest_rig_control(struct qtest_rig *rig, const uint8_t setup[8], void *buffer);
void qtest_rig_close(struct qtest_rig *rig);

/* xorshift: a seed other than 0 gives the same numbers everywhere. */
uint32_t qtest_prng(uint32_t *seed);

/* A disk's contents, in a file for QEMU and in memory, where a test keeps it as the disk should be. */
struct qtest_image {
    char path[32];
    uint8_t *bytes;
    uint32_t size;
};

/* Random bytes, always the same. */
void qtest_image_make(struct qtest_image *image, uint32_t size);
/* The file is what the memory is, and both go. */
void qtest_image_check(struct qtest_image *image);
void qtest_image_drop(struct qtest_image *image);

#endif
