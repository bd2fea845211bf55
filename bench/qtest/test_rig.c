// SPDX-License-Identifier: MIT
#include "qtest/test_rig.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_NS UINT64_C(100000000000)
#define STEP_NS  UINT64_C(1000000)

static uint64_t real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int qtest_rig_skip(enum qtest_clock clock)
{
    const char *reason;
    if (qtest_program(clock, &reason))
        return 0;
    printf("skip: %s\n", reason);
    return 77;
}

static void on_started(void *context, struct storage *storage, int status)
{
    struct qtest_rig *rig = context;
    (void)storage;
    rig->finished++;
    rig->status = status;
}

static void on_ready(void *context, struct guest_device *device)
{
    struct qtest_rig *rig = context;
    rig->ready++;
    rig->device = device;
    if (storage_matches(device) && !rig->storage) {
        assert_int_equal(storage_create(device, on_started, rig, &rig->storage), 0);
        device->driver = rig->storage;
    } else if (rig->on_ready) {
        rig->on_ready(rig, device);
    }
}

static void on_gone(void *context, struct guest_device *device)
{
    struct qtest_rig *rig = context;
    rig->gone++;
    if (rig->device == device)
        rig->device = NULL;
    if (rig->storage && device->driver == rig->storage) {
        storage_destroy(rig->storage);
        rig->storage = NULL;
    } else if (rig->on_gone) {
        rig->on_gone(rig, device);
    }
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct qtest_rig *rig = context;
    print_message("port %u: %d\n", port, error);
    rig->failed++;
}

void qtest_rig_open(struct qtest_rig *rig, const struct qtest_config *config)
{
    struct guest_listener listener = {
        .ready = on_ready, .gone = on_gone, .failed = on_failed, .context = rig};
    char error[256] = "";
    *rig = (struct qtest_rig){.clock = config->clock};
    int rc = qtest_create(config, &rig->qtest, error, sizeof(error));
    if (rc)
        fail_msg("QEMU: %s", error);
    assert_int_equal(guest_create(qtest_hcd(rig->qtest), &listener, &rig->guest), 0);
    if (rig->clock == QTEST_REAL)
        rig->now_ns = real_now();
}

void qtest_rig_step(struct qtest_rig *rig)
{
    guest_step(rig->guest, rig->now_ns);
    uint64_t due = guest_deadline(rig->guest), qtest = qtest_deadline(rig->qtest);
    due = qtest < due ? qtest : due;
    due = rig->limit_ns && rig->limit_ns < due ? rig->limit_ns : due;
    due = rig->on_step && rig->now_ns + STEP_NS < due ? rig->now_ns + STEP_NS : due;
    if (rig->clock == QTEST_VIRTUAL) {
        rig->now_ns = due > rig->now_ns ? due : rig->now_ns;
    } else {
        struct pollfd fd = {.fd = qtest_fd(rig->qtest), .events = POLLIN};
        uint64_t wait = due > rig->now_ns ? due - rig->now_ns : 0;
        struct timespec t = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        (void)ppoll(&fd, 1, &t, NULL);
        rig->now_ns = real_now();
    }
    qtest_step(rig->qtest, rig->now_ns);
    assert_true(qtest_alive(rig->qtest));
    if (rig->on_step)
        rig->on_step(rig);
}

void qtest_rig_until(struct qtest_rig *rig, const unsigned int *count, unsigned int n)
{
    rig->limit_ns = rig->now_ns + LIMIT_NS;
    while (*count < n) {
        assert_true(rig->now_ns < rig->limit_ns);
        qtest_rig_step(rig);
    }
    assert_int_equal(*count, n);
}

void qtest_rig_run_for(struct qtest_rig *rig, uint64_t ns)
{
    rig->limit_ns = rig->now_ns + ns;
    while (rig->now_ns < rig->limit_ns)
        qtest_rig_step(rig);
}

static void on_finished(struct storage_request *request)
{
    struct qtest_rig *rig = request->context;
    rig->finished++;
}

int qtest_rig_request(struct qtest_rig *rig, uint64_t lba, uint32_t blocks, bool write, void *buffer)
{
    struct storage_request r = {
        .lba = lba, .blocks = blocks, .write = write, .buffer = buffer, .done = on_finished, .context = rig};
    unsigned int before = rig->finished;
    assert_int_equal(storage_submit(rig->storage, &r), 0);
    qtest_rig_until(rig, &rig->finished, before + 1);
    return r.status;
}

static void on_control(struct guest_xfer *xfer)
{
    unsigned int *done = xfer->context;
    (*done)++;
}

uint32_t qtest_rig_control(struct qtest_rig *rig, const uint8_t setup[8], void *buffer)
{
    unsigned int done = 0;
    struct guest_xfer xfer = {.done = on_control, .context = &done};
    assert_int_equal(guest_control(&xfer, rig->device, setup, buffer), 0);
    qtest_rig_until(rig, &done, 1);
    assert_int_equal(xfer.status, 0);
    return xfer.actual;
}

void qtest_rig_close(struct qtest_rig *rig)
{
    guest_close(rig->guest);
    rig->limit_ns = rig->now_ns + LIMIT_NS;
    while (guest_busy(rig->guest)) {
        assert_true(rig->now_ns < rig->limit_ns);
        qtest_rig_step(rig);
    }
    assert_int_equal(rig->gone, rig->ready);
    guest_destroy(rig->guest);
    qtest_destroy(rig->qtest); /* which sees to it that no buffer is left */
}

uint32_t qtest_prng(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

void qtest_image_make(struct qtest_image *image, uint32_t size)
{
    uint32_t seed = 20261122;
    *image = (struct qtest_image){.path = "/tmp/qtest-image-XXXXXX", .bytes = malloc(size), .size = size};
    int fd = mkstemp(image->path);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < size; i++)
        image->bytes[i] = (uint8_t)qtest_prng(&seed);
    assert_int_equal(write(fd, image->bytes, size), size);
    close(fd);
}

void qtest_image_check(struct qtest_image *image)
{
    uint8_t *now = malloc(image->size);
    FILE *f = fopen(image->path, "r");
    assert_int_equal(fread(now, 1, image->size, f), image->size);
    fclose(f);
    assert_memory_equal(now, image->bytes, image->size);
    free(now);
    qtest_image_drop(image);
}

void qtest_image_drop(struct qtest_image *image)
{
    free(image->bytes);
    unlink(image->path);
}
