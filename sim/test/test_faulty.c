// SPDX-License-Identifier: MIT
/*
 * Goal: whatever a device does wrong on command, the guest's core and its disk driver end in a named outcome
 * after bounded time, leave nothing behind, and another device works. Over loop_hcd.h and over the spine.
 */
#include "devices/disk.h"
#include "devices/faulty.h"
#include "guest/storage.h"
#include "test/lab.h"

#define DISK_BYTES (4u * 1024 * 1024)
#define READ_BYTES (64u * 1024)
#define SECOND     UINT64_C(1000000000)

static struct storage *disk_driver;
static int started_status;
static unsigned int started;

static void on_started(void *context, struct storage *storage, int status)
{
    (void)context;
    (void)storage;
    started++;
    started_status = status;
}

static void take(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    if (!disk_driver && storage_matches(device)) {
        assert_int_equal(storage_create(device, on_started, NULL, &disk_driver), 0);
        device->driver = disk_driver;
    }
}

static void let_go(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    if (!device->driver)
        return;
    assert_false(storage_busy(device->driver));
    storage_destroy(device->driver);
    disk_driver = NULL;
}

static struct usb_device *new_disk_of(uint8_t speed)
{
    struct usb_device *device;
    struct disk_config config = {.bytes = DISK_BYTES, .speed = speed};
    assert_int_equal(disk_create(&config, &device), 0);
    return device;
}

static void open_lab(struct lab *lab, enum lab_way way)
{
    disk_driver = NULL;
    started = 0;
    started_status = 1;
    lab_open(lab, way);
    lab->on_ready = take;
    lab->on_gone = let_go;
}

static int wrap(struct lab *lab, struct usb_device *device, const char *script)
{
    struct faulty_config config = {.script = script, .host = lab->sim, .busid = "1-1"};
    return faulty_wrap(device, &config);
}

/* What the core makes of it: ready, or given up with an error after three attempts. */
static const struct {
    const char *script;
    int error; /* 0: enumerated */
} enumerations[] = {
    {"", 0},
    {"ep 0: stall", 0},
    {"ep 0 times 2: stall", 0},
    {"ep 0 times 3: stall", -EPIPE},
    {"ep 0 times 2: nak", 0},
    {"ep 0 times 0: nak", -ETIMEDOUT},
    {"ep 0 times 0: error", -EPROTO},
    {"ep 0 times 0: babble", -EOVERFLOW},
    {"ep 0 times 0: short 7", -EPROTO},
    {"ep 0 times 0: long 1", -EOVERFLOW},
    {"ep 0 after 1 times 0: stall", -EPIPE},
    {"descriptor device times 0: truncated 0", -EPROTO},
    {"descriptor device times 0: truncated 7", -EPROTO},
    {"descriptor device times 0: truncated 17", -EPROTO},
    {"descriptor device after 1 times 0: too-long 1", -EOVERFLOW},
    {"descriptor device times 0: bLength 17", -EPROTO},
    {"descriptor device times 0: bLength 0", -EPROTO},
    {"descriptor device times 0: byte 1 2", -EPROTO},
    {"descriptor device times 0: byte 7 9", -EPROTO},
    {"descriptor device times 0: byte 17 0", -EPROTO},
    {"descriptor config times 0: stall", -EPIPE},
    {"descriptor config times 0: nak", -ETIMEDOUT},
    {"descriptor config times 0: truncated 8", -EPROTO},
    {"descriptor config times 0: truncated 31", -EPROTO},
    {"descriptor config times 0: too-long 1", -EOVERFLOW},
    {"descriptor config times 0: wTotalLength 8", -EPROTO},
    {"descriptor config times 0: wTotalLength 31", -EPROTO},
    {"descriptor config times 0: wTotalLength 33", -EPROTO},
    {"descriptor config times 0: wTotalLength 0xffff", -EMSGSIZE},
    {"descriptor config times 0: bLength 0", -EPROTO},
    {"descriptor config times 0: bLength 8", -EPROTO},
    {"descriptor config times 0: byte 9 0", -EPROTO},
    {"descriptor config times 0: byte 9 1", -EPROTO},
    {"descriptor config times 0: byte 18 0", -EPROTO},
    {"descriptor config times 0: byte 18 200", -EPROTO},
    {"descriptor config times 0: byte 20 0x80", -EPROTO},
    {"descriptor config times 0: byte 5 0", -EPROTO},
    /* Lies that are not about lengths, one attempt of them, and strings: the device is taken. */
    {"descriptor config: wTotalLength 33", 0},
    {"descriptor config times 0: byte 4 200", 0},
    {"descriptor string times 0: stall", 0},
    {"descriptor string times 0: nak", 0},
    {"descriptor string times 0: truncated 1", 0},
    {"descriptor string times 0: bLength 255", 0},
    {"descriptor string times 0: too-long 252", 0},
};

static void test_faulty_enumeration(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(enumerations) / sizeof(enumerations[0]); i++) {
        struct lab lab;
        struct usb_device *device = new_disk_of(USBIF_SPEED_HIGH);
        const char *script = enumerations[i / 2].script;
        int error = enumerations[i / 2].error;
        open_lab(&lab, i % 2 ? LAB_SPINE : LAB_LOOP);
        assert_int_equal(wrap(&lab, device, script), 0);
        assert_int_equal(lab_plug(&lab, 1, "1-1", device), 0);
        lab_run(&lab);
        if (lab.ready != (error == 0) || lab.failed != (error != 0) || lab.error != error)
            fail_msg("%s, way %u: ready %u failed %u error %d, expected %d", script, i % 2, lab.ready,
                     lab.failed, lab.error, error);
        assert_true(lab.now_ns < 20 * SECOND); /* three timeouts of 5 s, and what else there is */
        assert_int_equal(faulty_fired(device) > 0, *script != '\0');
        assert_int_equal(started, error == 0);
        /* The port next door, and then this one with a good device. */
        assert_int_equal(lab_plug(&lab, 2, "1-2", new_disk_of(USBIF_SPEED_FULL)), 0);
        lab_unplug(&lab, "1-1");
        lab_run(&lab);
        assert_int_equal(lab_plug(&lab, 1, "1-1", new_disk_of(USBIF_SPEED_FULL)), 0);
        lab_run(&lab);
        assert_int_equal(lab.ready, (error == 0) + 2);
        lab_close(&lab);
    }
}

/* What the disk driver makes of it, when it reads or writes 64 KiB. */
static const struct {
    const char *script;
    bool write;
    int status;
    unsigned int stalls, recoveries;
    unsigned int seconds; /* at most */
} requests[] = {
    {"", false, 0, 0, 0, 1},
    {"", true, 0, 0, 0, 1},
    {"ep 0x81: stall", false, 0, 3, 1, 1},
    {"ep 0x81 times 2: stall", false, 0, 4, 1, 1},
    {"ep 0x81 after 2: stall", false, 0, 1, 0, 1},
    {"ep 0x81 after 2 times 2: stall", false, 0, 3, 1, 1},
    {"ep 0x81 times 0: stall", false, -EIO, 12, 3, 1},
    {"ep 0x02: stall", false, 0, 2, 1, 1},
    {"ep 0x02 times 0: stall", false, -EIO, 6, 3, 1},
    {"ep 0x02 after 1: stall", true, 0, 3, 1, 6},
    {"ep 0x81: nak", false, 0, 2, 1, 6},
    {"ep 0x81 times 0: nak", false, -EIO, 6, 3, 16},
    {"ep 0x02: nak", false, 0, 2, 1, 6},
    {"ep 0x02 after 1: nak", true, 0, 2, 1, 6},
    {"ep 0x81: error", false, 0, 2, 1, 1},
    {"ep 0x81 after 1: error", false, 0, 2, 1, 1},
    {"ep 0x81 after 2: error", false, 0, 2, 1, 1},
    {"ep 0x81 times 0: error", false, -EIO, 6, 3, 1},
    {"ep 0x02: error", true, 0, 2, 1, 1},
    {"ep 0x02 times 0: error", true, -EIO, 6, 3, 1},
    {"ep 0x81: babble", false, 0, 2, 1, 1},
    {"ep 0x81 after 2: babble", false, 0, 2, 1, 1},
    {"ep 0x81 times 0: babble", false, -EIO, 6, 3, 1},
    {"ep 0x81: short 512", false, 0, 0, 0, 1},
    {"ep 0x81: short 1000", false, 0, 0, 0, 1},
    {"ep 0x81: short 0", false, 0, 0, 0, 1},
    {"ep 0x81 after 2: short 12", false, 0, 2, 1, 1},
    {"ep 0x81 after 2: short 0", false, 0, 2, 1, 1},
    {"ep 0x81 times 0: short 13", false, -EIO, 0, 0, 1},
    {"ep 0x81 times 0: short 5", false, -EIO, 6, 3, 1},
    {"ep 0x81 after 2: long 1", false, 0, 2, 1, 1},
    {"ep 0x81 after 1: long 1", false, 0, 2, 1, 1},
    {"ep 0x81: disconnect", false, -ENODEV, 0, 0, 1},
    {"ep 0x81 after 2: disconnect", false, -ENODEV, 0, 0, 1},
    {"ep 0x02: disconnect", true, -ENODEV, 0, 0, 1},
    {"ep 0x02 after 1: disconnect", true, -ENODEV, 0, 0, 1},
    {"ep 0x81: error; ep 0: stall", false, 0, 4, 2, 6},
    {"ep 0x81: error; ep 0: nak", false, 0, 2, 2, 11},
    {"ep 0x81: error; ep 0 times 0: nak", false, -EIO, 0, 3, 26},
    {"ep 0x81: error; ep 0 after 1: disconnect", false, -ENODEV, 1, 1, 1},
};

static void on_done(struct storage_request *request)
{
    ++*(unsigned int *)request->context;
}

static void test_faulty_requests(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(requests) / sizeof(requests[0]); i++) {
        struct lab lab;
        void *buffer;
        unsigned int done = 0;
        struct usb_device *device = new_disk_of(USBIF_SPEED_HIGH);
        open_lab(&lab, i % 2 ? LAB_SPINE : LAB_LOOP);
        assert_int_equal(lab_plug(&lab, 1, "1-1", device), 0);
        lab_run(&lab);
        assert_int_equal(started_status, 0);
        assert_int_equal(wrap(&lab, device, requests[i / 2].script), 0);
        assert_int_equal(guest_buffer_alloc(lab.guest, READ_BYTES, &buffer), 0);
        uint64_t memory;
        uint8_t *bytes = disk_memory(device, &memory);
        for (unsigned int b = 0; b < READ_BYTES; b++) {
            bytes[b] = requests[i / 2].write ? 0 : (uint8_t)(b * 7 + b / 256);
            ((uint8_t *)buffer)[b] = requests[i / 2].write ? (uint8_t)(b * 7 + b / 256) : 0;
        }
        struct storage_request request = {.blocks = READ_BYTES / 512,
                                          .write = requests[i / 2].write,
                                          .buffer = buffer,
                                          .done = on_done,
                                          .context = &done};
        uint64_t began = lab.now_ns;
        struct storage_stats before = storage_stats(disk_driver), stats = before;
        assert_int_equal(storage_submit(disk_driver, &request), 0);
        while (lab_step(&lab)) {
            if (disk_driver)
                stats = storage_stats(disk_driver);
        }
        unsigned int stalls = (unsigned int)(stats.stalls - before.stalls);
        unsigned int recoveries = (unsigned int)(stats.recoveries - before.recoveries);
        if (done != 1 || request.status != requests[i / 2].status || stalls != requests[i / 2].stalls ||
            recoveries != requests[i / 2].recoveries || lab.now_ns - began > requests[i / 2].seconds * SECOND)
            fail_msg("%s (%s), way %u: done %u status %d stalls %u recoveries %u after %u ms",
                     requests[i / 2].script, requests[i / 2].write ? "write" : "read", i % 2, done,
                     request.status, stalls, recoveries, (unsigned int)((lab.now_ns - began) / 1000000));
        if (request.status == 0)
            assert_memory_equal(buffer, bytes, READ_BYTES);
        guest_buffer_free(lab.guest, buffer, READ_BYTES);
        lab_close(&lab);
    }
}

/* guest_reset(): a disk that nothing else has helped is enumerated again, and then works. */
static void test_faulty_reset(void **state)
{
    (void)state;
    for (enum lab_way way = LAB_LOOP; way < LAB_WAYS; way++) {
        struct lab lab;
        void *buffer;
        unsigned int done = 0;
        struct usb_device *device = new_disk_of(USBIF_SPEED_HIGH);
        open_lab(&lab, way);
        assert_int_equal(lab_plug(&lab, 1, "1-1", device), 0);
        lab_run(&lab);
        assert_int_equal(guest_buffer_alloc(lab.guest, READ_BYTES, &buffer), 0);
        assert_int_equal(wrap(&lab, device, "ep 0x81 times 3: nak; ep 0x81 times 2: stall"), 0);
        struct storage_request request = {.blocks = 8, .buffer = buffer, .done = on_done, .context = &done};
        assert_int_equal(storage_submit(disk_driver, &request), 0);
        lab_run(&lab);
        assert_int_equal(request.status, -EIO);
        uint8_t address = lab.device->address;
        guest_reset(lab.device);
        assert_int_equal(lab.gone, 1);
        lab_run(&lab);
        assert_int_equal(lab.ready, 2);
        assert_int_not_equal(lab.device->address, address);
        assert_int_equal(started_status, 0);
        assert_int_equal(storage_submit(disk_driver, &request), 0);
        lab_run(&lab);
        assert_int_equal(request.status, 0);
        /* With a request under way, which ends first; and once more while that is going on. */
        assert_int_equal(storage_submit(disk_driver, &request), 0);
        struct guest_device *under_way = lab.device;
        guest_reset(under_way);
        guest_reset(under_way);
        lab_run(&lab);
        assert_int_equal(request.status, -ENODEV);
        assert_int_equal(done, 3);
        assert_int_equal(lab.ready, 3);
        guest_buffer_free(lab.guest, buffer, READ_BYTES);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faulty_enumeration),
        cmocka_unit_test(test_faulty_requests),
        cmocka_unit_test(test_faulty_reset),
    };
    return cmocka_run_group_tests_name("devices that misbehave", tests, NULL, NULL);
}
