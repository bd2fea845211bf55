// SPDX-License-Identifier: MIT
/*
 * Goal: a super-speed device reaches the guest as a high-speed one when its descriptors permit, else not
 * at all (rule CONN-13). What is checked and changed is what QEMU 7.2 checks and changes.
 */
#include "devices/disk.h"
#include "guest/storage.h"
#include "test/lab.h"

static struct storage *driver;
static int started_status;

static void on_started(void *context, struct storage *storage, int status)
{
    (void)context;
    (void)storage;
    started_status = status;
}

static void take(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    assert_int_equal(storage_create(device, on_started, NULL, &driver), 0);
}

static void let_go(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    (void)device;
    storage_destroy(driver);
}

static void test_super_as_high(void **state)
{
    (void)state;
    for (enum lab_way way = LAB_LOOP; way < LAB_WAYS; way++) {
        struct lab lab;
        struct usb_device *disk;
        assert_int_equal(
            disk_create(&(struct disk_config){.bytes = 1 << 20, .speed = DEVICE_SPEED_SUPER}, &disk), 0);
        started_status = 1;
        lab_open(&lab, way);
        lab.on_ready = take;
        lab.on_gone = let_go;
        assert_int_equal(disk->descriptors.device[7], 9);
        assert_int_equal(lab_plug(&lab, 1, "2-1", disk), 0);
        lab_run(&lab);
        assert_int_equal(lab.ready, 1);
        assert_int_equal(lab.device->speed, USBIF_SPEED_HIGH);
        assert_int_equal(lab.device->raw_device[7], 64);
        assert_int_equal(lab.device->raw_device[2] | lab.device->raw_device[3] << 8, 0x0300);
        assert_int_equal(lab.device->raw_device[17], 1);
        assert_int_equal(guest_find_endpoint(lab.device, DISK_EP_IN)->packet, 1024);
        assert_int_equal(lab.device->raw_configuration_length, 44); /* the companions are still there */
        assert_int_equal(started_status, 0);
        assert_int_equal(storage_info(driver)->blocks, 2048);
        lab_close(&lab);
    }
}

struct plain {
    struct usb_device device;
    uint8_t device_desc[18];
    uint8_t config[31];
    const uint8_t *configs[1];
};

static void plain_destroy(struct usb_device *device)
{
    free(device);
}

static const struct usb_device_ops plain_ops = {.destroy = plain_destroy};

/* One endpoint, and its companion. */
static struct usb_device *new_plain(uint8_t speed, uint8_t type, uint16_t packet, uint8_t companion)
{
    struct plain *plain = calloc(1, sizeof(*plain));
    assert_non_null(plain);
    const uint8_t packet0 = speed == DEVICE_SPEED_SUPER ? 9 : 64;
    const uint8_t device_desc[18] = {18, 1, 0, 3, 0xff, 0, 0, packet0, 0x09, 0x12, 9, 0, 0, 1, 0, 0, 0, 1};
    const uint8_t config[31] = {9, 2, 31, 0, 1, 1, 0, 0x80, 0, 9, 4, 0, 0, 1, 0xff, 0, 0, 0,
                                7, 5, 0x81, type, (uint8_t)packet, (uint8_t)(packet >> 8), 1,
                                6, 0x30, 0, companion, 0, 0};
    memcpy(plain->device_desc, device_desc, sizeof(device_desc));
    memcpy(plain->config, config, sizeof(config));
    plain->configs[0] = plain->config;
    struct usb_descriptors descriptors = {
        .device = plain->device_desc, .configurations = plain->configs, .speed = speed};
    assert_int_equal(device_init(&plain->device, &plain_ops, &descriptors), 0);
    return &plain->device;
}

static const struct {
    const char *what;
    uint8_t speed, type;
    uint16_t packet;
    uint8_t companion;
    int rc;
} cases[] = {
    {"isochronous", DEVICE_SPEED_SUPER, 1, 1024, 0, -EOPNOTSUPP},
    {"bulk", DEVICE_SPEED_SUPER, 2, 1024, 0, 0},
    {"bulk with streams", DEVICE_SPEED_SUPER, 2, 1024, 4, -EOPNOTSUPP},
    {"interrupt of 1024", DEVICE_SPEED_SUPER, 3, 1024, 0, 0},
    {"interrupt of 1025", DEVICE_SPEED_SUPER, 3, 1025, 0, -EOPNOTSUPP},
    {"interrupt, those bits mean nothing there", DEVICE_SPEED_SUPER, 3, 64, 4, 0},
    {"isochronous at high speed", USBIF_SPEED_HIGH, 1, 1024, 0, 0},
};

static void test_super_refused(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        struct host_device *opened;
        struct usb_device *device =
            new_plain(cases[i / 2].speed, cases[i / 2].type, cases[i / 2].packet, cases[i / 2].companion);
        lab_open(&lab, i % 2 ? LAB_SPINE : LAB_LOOP);
        if (cases[i / 2].speed == USBIF_SPEED_HIGH)
            ((struct plain *)device)->device_desc[7] = 64; /* nobody rewrites that of another speed */
        int rc = lab_plug(&lab, 1, "2-1", device);
        lab_run(&lab);
        if (lab.way == LAB_SPINE)
            rc = lab.ready ? 0 : lab.host->ops->open(lab.host, "2-1", &opened);
        if (rc != cases[i / 2].rc || lab.ready != (rc == 0) || lab.failed)
            fail_msg("%s: rc %d, ready %u", cases[i / 2].what, rc, lab.ready);
        if (lab.ready)
            assert_int_equal(lab.device->speed, USBIF_SPEED_HIGH);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_super_as_high),
        cmocka_unit_test(test_super_refused),
    };
    return cmocka_run_group_tests_name("super-speed devices", tests, NULL, NULL);
}
