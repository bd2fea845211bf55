// SPDX-License-Identifier: MIT
/*
 * Goal: the UHCI driver drives QEMU's piix3-usb-uhci, and our model takes the frames that QEMU's takes: the
 * figures of the qemu-dm path are QEMU's. QEMU's clock is virtual, so the frames are the same on every
 * machine.
 */
#include <signal.h>
#include <unistd.h>

#include "devices/disk.h"
#include "qtest/test_rig.h"
#include "test/uhci_rig.h"

#define IMAGE  (1024u * 1024)
#define BUFFER (128u * 1024)
#define SECOND UINT64_C(1000000000)

static struct qtest_image image;

static void open_disk(struct qtest_rig *rig, const char *drive, void **buffer)
{
    const char *arguments[] = {"-drive", drive, "-device", "usb-storage,bus=hc.0,drive=d", NULL};
    struct qtest_config config = {
        .controller = QTEST_UHCI, .clock = QTEST_VIRTUAL, .arguments = arguments, .memory = 2u << 20};
    qtest_rig_open(rig, &config);
    qtest_rig_until(rig, &rig->finished, 1);
    assert_int_equal(rig->status, 0);
    assert_int_equal(rig->device->speed, USBIF_SPEED_FULL);
    assert_int_equal(guest_buffer_alloc(rig->guest, BUFFER, buffer), 0);
}

static void test_qtest_uhci_disk(void **state)
{
    (void)state;
    struct qtest_rig rig;
    uint8_t *buffer;
    void *memory;
    char drive[128];
    qtest_image_make(&image, IMAGE);
    snprintf(drive, sizeof(drive), "if=none,id=d,format=raw,file=%s", image.path);
    open_disk(&rig, drive, &memory);
    buffer = memory;
    uint32_t seed = 7;
    for (unsigned int i = 0; i < 24; i++) {
        uint32_t blocks = 1 + qtest_prng(&seed) % 240, lba = qtest_prng(&seed) % (IMAGE / 512 - blocks + 1);
        uint8_t *at = buffer + qtest_prng(&seed) % 64 * 4;
        if (i % 3 == 2) {
            for (uint32_t n = 0; n < blocks * 512; n++)
                image.bytes[lba * 512 + n] = at[n] = (uint8_t)qtest_prng(&seed);
            assert_int_equal(qtest_rig_request(&rig, lba, blocks, true, at), 0);
        } else {
            assert_int_equal(qtest_rig_request(&rig, lba, blocks, false, at), 0);
            assert_memory_equal(at, image.bytes + lba * 512, blocks * 512);
        }
    }
    assert_int_equal(storage_stats(rig.storage).recoveries, 0);
    guest_buffer_free(rig.guest, buffer, BUFFER);
    qtest_rig_close(&rig);
    qtest_image_check(&image);
}

/* ---- agreement ---- */

#define REQUESTS 20u

struct figures {
    unsigned int read[3], write[3]; /* frames of REQUESTS requests of sizes[] blocks */
    unsigned int control;           /* of REQUESTS control transfers, queued at once */
};

static const uint32_t sizes[3] = {8, 120, 240};

static void on_control(struct guest_xfer *xfer)
{
    unsigned int *done = xfer->context;
    (*done)++;
}

static void queue_control(struct guest_device *device, void *buffer, unsigned int *done)
{
    static struct guest_xfer xfers[REQUESTS];
    uint8_t setup[8];
    guest_setup(setup, 0x80, 6, 0x0100, 0, 18);
    for (unsigned int n = 0; n < REQUESTS; n++) {
        xfers[n] = (struct guest_xfer){.done = on_control, .context = done};
        assert_int_equal(guest_control(&xfers[n], device, setup, buffer), 0);
    }
}

static struct figures of_qemu(void)
{
    struct qtest_rig rig;
    struct figures f = {.control = 0};
    struct hc_bus_counters before, after;
    void *buffer;
    open_disk(&rig, "if=none,id=d,format=raw,file.driver=null-co,file.size=16M,file.read-zeroes=on", &buffer);
    for (unsigned int i = 0; i < 6; i++) {
        uint16_t from = qtest_frame(rig.qtest);
        qtest_counters(rig.qtest, &before);
        for (unsigned int n = 0; n < REQUESTS; n++)
            assert_int_equal(qtest_rig_request(&rig, 0, sizes[i / 2], i & 1, buffer), 0);
        qtest_counters(rig.qtest, &after);
        unsigned int frames = (qtest_frame(rig.qtest) - from) & 2047u;
        *(i & 1 ? &f.write[i / 2] : &f.read[i / 2]) = frames;
        /* Two accesses for each interrupt, at most four interrupts for a request, and the ports now and then.
         */
        assert_in_range(after.interrupts - before.interrupts, REQUESTS * 3, REQUESTS * 4);
        assert_in_range(after.reads + after.writes - before.reads - before.writes, REQUESTS * 6,
                        REQUESTS * 10);
    }
    uint16_t from = qtest_frame(rig.qtest);
    unsigned int done = 0;
    queue_control(rig.device, buffer, &done);
    qtest_rig_until(&rig, &done, REQUESTS);
    f.control = (qtest_frame(rig.qtest) - from) & 2047u;
    guest_buffer_free(rig.guest, buffer, BUFFER);
    qtest_rig_close(&rig);
    return f;
}

static unsigned int model_frames(struct uhci_rig *rig)
{
    struct uhci_model_counters c;
    uhci_model_counters(rig->model, &c);
    return (unsigned int)c.frames;
}

static struct figures of_model(void)
{
    struct uhci_rig rig;
    struct usb_device *disk;
    struct figures f = {.control = 0};
    void *buffer;
    uhci_rig_open(&rig);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = IMAGE}, &disk), 0);
    uhci_rig_plug(&rig, 1, "1-1", disk);
    uhci_rig_until(&rig, &rig.finished, 1);
    assert_int_equal(guest_buffer_alloc(rig.guest, BUFFER, &buffer), 0);
    for (unsigned int i = 0; i < 6; i++) {
        unsigned int from = model_frames(&rig);
        for (unsigned int n = 0; n < REQUESTS; n++)
            assert_int_equal(uhci_rig_request(&rig, 0, sizes[i / 2], i & 1, buffer), 0);
        *(i & 1 ? &f.write[i / 2] : &f.read[i / 2]) = model_frames(&rig) - from;
    }
    unsigned int from = model_frames(&rig), done = 0;
    queue_control(rig.device, buffer, &done);
    uhci_rig_until(&rig, &done, REQUESTS);
    f.control = model_frames(&rig) - from;
    guest_buffer_free(rig.guest, buffer, BUFFER);
    uhci_rig_close(&rig);
    return f;
}

static void compare(const char *what, unsigned int model, unsigned int qemu)
{
    print_message("%-18s model %4u frames, QEMU %4u\n", what, model, qemu);
    assert_in_range(model * 100, qemu * 95, qemu * 105);
}

/* performance.md section 3: 60 KiB are 50 frames, 1200 KiB/s; a control transfer is one. */
static void test_qtest_uhci_agreement(void **state)
{
    (void)state;
    struct figures model = of_model(), qemu = of_qemu();
    for (unsigned int i = 0; i < 3; i++) {
        char what[32];
        snprintf(what, sizeof(what), "read %u KiB", sizes[i] / 2);
        compare(what, model.read[i], qemu.read[i]);
        snprintf(what, sizeof(what), "write %u KiB", sizes[i] / 2);
        compare(what, model.write[i], qemu.write[i]);
    }
    compare("control", model.control, qemu.control);
    assert_in_range(qemu.read[1], 50 * REQUESTS, 51 * REQUESTS);
    assert_in_range(qemu.control, REQUESTS, REQUESTS + 1);
}

static void test_qtest_refusals(void **state)
{
    (void)state;
    struct qtest *qtest;
    char error[128];
    struct qtest_config config = {.program = "/nonexistent/qemu"};
    assert_int_not_equal(qtest_create(&config, &qtest, error, sizeof(error)), 0);
    assert_string_equal(error, "/nonexistent/qemu: No such file or directory");
    const char *arguments[] = {"-device", "no-such-device", NULL};
    config = (struct qtest_config){.clock = QTEST_VIRTUAL, .arguments = arguments};
    assert_int_not_equal(qtest_create(&config, &qtest, error, sizeof(error)), 0);
    assert_non_null(strstr(error, "no-such-device"));
}

/* QEMU dies in the middle: transfers come back, and nothing hangs. */
static void test_qtest_death(void **state)
{
    (void)state;
    struct qtest_rig rig;
    void *buffer;
    open_disk(&rig, "if=none,id=d,format=raw,file.driver=null-co,file.size=16M,file.read-zeroes=on", &buffer);
    unsigned int done = 0;
    struct guest_xfer xfer = {.done = on_control, .context = &done};
    uint8_t setup[8];
    guest_setup(setup, 0x80, 6, 0x0100, 0, 18);
    assert_int_equal(guest_control(&xfer, rig.device, setup, buffer), 0);
    kill(qtest_pid(rig.qtest), SIGKILL);
    for (unsigned int i = 0; i < 10; i++)
        qtest_step(rig.qtest, rig.now_ns += SECOND);
    assert_false(qtest_alive(rig.qtest));
    assert_int_equal(done, 1);
    assert_int_equal(xfer.status, -ESHUTDOWN);
    guest_buffer_free(rig.guest, buffer, BUFFER);
    guest_close(rig.guest);
    assert_false(guest_busy(rig.guest));
    guest_destroy(rig.guest);
    qtest_destroy(rig.qtest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qtest_uhci_disk),
        cmocka_unit_test(test_qtest_uhci_agreement),
        cmocka_unit_test(test_qtest_refusals),
        cmocka_unit_test(test_qtest_death),
    };
    int skip = qtest_rig_skip(QTEST_VIRTUAL);
    return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
