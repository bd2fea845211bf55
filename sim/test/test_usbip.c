// SPDX-License-Identifier: MIT
/*
 * Goal: every simulated device works over USB/IP as it does behind PVUSB: storage byte by byte, keyboard,
 * serial port, sound without a lost sample, Linux's usbtest with its unlinks and isochronous cases. Messages
 * as in Linux's Documentation/usb/usbip_protocol.rst.
 */
#include <errno.h>

#include "devices/audio.h"
#include "devices/composite.h"
#include "devices/disk.h"
#include "devices/faulty.h"
#include "devices/keyboard.h"
#include "devices/serial.h"
#include "devices/zero.h"
#include "guest/acm.h"
#include "guest/audio.h"
#include "guest/hid.h"
#include "guest/storage.h"
#include "guest/zero.h"
#include "hosts/wire.h"
#include "test/usbip_bed.h"

#define BYTES (512u * 1024)

static struct {
    struct storage *storage;
    struct hid *hid;
    struct acm *acm;
    struct guest_zero *zero;
    struct guest_audio *audio;
    int status;
    unsigned int done;
    char typed[64];
    unsigned int nr_typed;
    uint8_t received[8192];
    uint32_t nr_received;
} driver;

static void on_storage(void *context, struct storage *storage, int status)
{
    (void)context;
    (void)storage;
    driver.status = status;
    driver.done++;
}

static void on_key(void *context, struct hid *hid, uint8_t usage, bool down)
{
    (void)context;
    char c = hid_ascii(usage, hid_modifiers(hid));
    if (down && c && driver.nr_typed < sizeof(driver.typed) - 1)
        driver.typed[driver.nr_typed++] = c;
}

static void on_received(void *context, struct acm *acm, const uint8_t *bytes, uint32_t n)
{
    (void)context;
    (void)acm;
    assert_true(n <= sizeof(driver.received) - driver.nr_received);
    memcpy(driver.received + driver.nr_received, bytes, n);
    driver.nr_received += n;
}

static void on_audio(void *context, struct guest_audio *audio, int status)
{
    (void)context;
    (void)audio;
    driver.status = status;
}

static void on_zero(void *context, struct guest_zero *zero)
{
    (void)context;
    (void)zero;
    driver.done++;
}

static void take(struct usbip_bed *bed, struct guest_device *device)
{
    const struct hid_listener keys = {.key = on_key};
    const struct acm_listener line = {.received = on_received};
    (void)bed;
    if (storage_matches(device))
        assert_int_equal(storage_create(device, on_storage, NULL, &driver.storage), 0);
    if (hid_matches(device))
        assert_int_equal(hid_create(device, &keys, &driver.hid), 0);
    if (acm_matches(device))
        assert_int_equal(acm_create(device, &line, &driver.acm), 0);
    if (guest_audio_matches(device))
        assert_int_equal(guest_audio_create(device, on_audio, NULL, &driver.audio), 0);
    if (guest_zero_matches(device))
        assert_int_equal(guest_zero_create(device, &driver.zero), 0);
}

static void let_go(struct usbip_bed *bed, struct guest_device *device)
{
    (void)bed;
    (void)device;
    storage_destroy(driver.storage);
    hid_destroy(driver.hid);
    acm_destroy(driver.acm);
    guest_audio_destroy(driver.audio);
    guest_zero_destroy(driver.zero);
    driver.storage = NULL;
    driver.hid = NULL;
    driver.acm = NULL;
    driver.audio = NULL;
    driver.zero = NULL;
}

static void open_bed(struct usbip_bed *bed, enum usbip_way way, struct usb_device *device)
{
    memset(&driver, 0, sizeof(driver));
    usbip_bed_open(bed, way, device);
    bed->on_ready = take;
    bed->on_gone = let_go;
    usbip_bed_run_for(bed, 2 * SECOND);
    assert_int_equal(bed->ready, 1);
    assert_int_equal(bed->failed, 0);
}

/* ---- storage ---- */

static uint8_t *memory_of(struct usb_device *disk)
{
    uint64_t bytes;
    return disk_memory(disk, &bytes);
}

static struct usb_device *new_disk(uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 4 * BYTES, .speed = speed}, &device), 0);
    return device;
}

static void on_request(struct storage_request *request)
{
    driver.status = request->status;
    driver.done++;
}

static int move(struct usbip_bed *bed, bool write, void *buffer, uint32_t bytes)
{
    unsigned int before = driver.done;
    struct storage_request request = {
        .lba = 16, .blocks = bytes / 512, .write = write, .buffer = buffer, .done = on_request};
    assert_int_equal(storage_submit(driver.storage, &request), 0);
    while (driver.done == before && usbip_bed_step(bed))
        continue;
    assert_int_equal(driver.done, before + 1);
    return driver.status;
}

static void test_usbip_disk(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        struct usbip_bed bed;
        void *memory;
        struct usb_device *disk = new_disk(i & 1 ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH);
        open_bed(&bed, i & 2 ? USBIP_TCP : USBIP_PAIR, disk);
        assert_int_equal(bed.device->speed, i & 1 ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH);
        assert_string_equal(bed.device->strings[1], "Simulated disk");
        assert_int_equal(driver.done, 1);
        assert_int_equal(driver.status, 0);
        assert_int_equal(guest_buffer_alloc(bed.guest, BYTES, &memory), 0);
        uint8_t *bytes = memory;
        for (uint32_t b = 0; b < BYTES; b++)
            bytes[b] = (uint8_t)(b * 2654435761u >> 23);
        assert_int_equal(move(&bed, true, bytes, BYTES), 0);
        assert_memory_equal(memory_of(disk) + 16 * 512, bytes, BYTES);
        memset(bytes, 0, BYTES);
        assert_int_equal(move(&bed, false, bytes, BYTES), 0);
        assert_memory_equal(memory_of(disk) + 16 * 512, bytes, BYTES);
        guest_buffer_free(bed.guest, memory, BYTES);
        usbip_bed_close(&bed);
    }
}

/* Stalls and errors are told as they are: the driver's recovery works. */
static void test_usbip_faulty_disk(void **state)
{
    (void)state;
    struct usbip_bed bed;
    void *memory;
    struct usb_device *disk = new_disk(USBIF_SPEED_HIGH);
    memset(memory_of(disk), 0x5a, 4 * BYTES);
    const struct faulty_config faults = {.script = "ep 0x81 after 5: stall; ep 0x81 after 9: error"};
    assert_int_equal(faulty_wrap(disk, &faults), 0);
    open_bed(&bed, USBIP_TCP, disk);
    assert_int_equal(guest_buffer_alloc(bed.guest, BYTES, &memory), 0);
    assert_int_equal(move(&bed, false, memory, BYTES), 0);
    for (uint32_t b = 0; b < BYTES; b++)
        assert_int_equal(((uint8_t *)memory)[b], 0x5a);
    assert_true(storage_stats(driver.storage).stalls > 0);
    assert_true(storage_stats(driver.storage).recoveries > 0);
    guest_buffer_free(bed.guest, memory, BYTES);
    usbip_bed_close(&bed);
}

/* ---- keys, lines ---- */

static void test_usbip_keyboard(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        struct usbip_bed bed;
        struct usb_device *keyboard;
        assert_int_equal(keyboard_create((uint8_t)(USBIF_SPEED_LOW + i), &keyboard), 0);
        open_bed(&bed, USBIP_TCP, keyboard);
        assert_int_equal(bed.device->speed, USBIF_SPEED_LOW + i);
        assert_int_equal(keyboard_type(keyboard, "Over USB/IP"), 0);
        usbip_bed_run_for(&bed, 2 * SECOND);
        assert_string_equal(driver.typed, "Over USB/IP");
        usbip_bed_close(&bed);
    }
}

static void write_and_compare(struct usbip_bed *bed)
{
    uint8_t bytes[4096];
    uint32_t at = 0;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(acm_open(driver.acm), 0);
    usbip_bed_run_for(bed, SECOND);
    for (unsigned int round = 0; at < sizeof(bytes); round++) {
        assert_true(round < 1000);
        at += acm_write(driver.acm, bytes + at, (uint32_t)sizeof(bytes) - at);
        usbip_bed_run_for(bed, SECOND / 100);
    }
    usbip_bed_run_for(bed, SECOND);
    assert_int_equal(driver.nr_received, sizeof(bytes));
    assert_memory_equal(driver.received, bytes, sizeof(bytes));
    acm_close(driver.acm);
    usbip_bed_run_for(bed, SECOND);
}

static void test_usbip_serial(void **state)
{
    (void)state;
    struct usbip_bed bed;
    struct usb_device *serial;
    assert_int_equal(serial_create(&(struct serial_config){.loopback = true}, 0, &serial), 0);
    open_bed(&bed, USBIP_TCP, serial);
    write_and_compare(&bed);
    usbip_bed_close(&bed);
}

static void test_usbip_composite(void **state)
{
    (void)state;
    struct usbip_bed bed;
    struct function *functions[2];
    struct usb_device *device;
    assert_int_equal(serial_function(&(struct serial_config){.loopback = true}, &functions[0]), 0);
    assert_int_equal(keyboard_function(&functions[1]), 0);
    assert_int_equal(composite_create(USBIF_SPEED_HIGH, functions, 2, &device), 0);
    open_bed(&bed, USBIP_TCP, device);
    assert_int_equal(keyboard_type(device, "both"), 0);
    write_and_compare(&bed);
    assert_string_equal(driver.typed, "both");
    usbip_bed_close(&bed);
}

/* ---- isochronous ---- */

static const struct {
    struct audio_config card;
    struct guest_audio_settings settings;
    uint32_t per_second;
} sounds[] = {
    {{.speed = USBIF_SPEED_FULL}, {.rate = 48000}, 1000},
    {{.speed = USBIF_SPEED_FULL}, {.rate = 44100}, 1000}, /* packets of two lengths: padding between them */
    {{.speed = USBIF_SPEED_HIGH, .interval = 1}, {.packets = 64}, 8000},
};

/* Both directions at once, an error in every 97th packet; nothing else may be lost or doubled. */
static void test_usbip_audio(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < sizeof(sounds) / sizeof(sounds[0]); i++) {
        struct usbip_bed bed;
        struct usb_device *card;
        assert_int_equal(audio_create(&sounds[i].card, &card), 0);
        open_bed(&bed, i == 0 ? USBIP_TCP : USBIP_PAIR, card);
        audio_fail(card, AUDIO_EP_OUT, 50, 97, -EPROTO);
        audio_fail(card, AUDIO_EP_IN, 70, 97, -EILSEQ);
        assert_int_equal(guest_audio_start(driver.audio, &sounds[i].settings), 0);
        usbip_bed_run_for(&bed, 2 * SECOND);
        assert_int_equal(guest_audio_state(driver.audio), GUEST_AUDIO_RUNNING);
        for (unsigned int d = 0; d < 2; d++) {
            struct guest_audio_stats guest = guest_audio_stats(driver.audio, d);
            struct audio_stats device = audio_stats(card, d ? AUDIO_EP_IN : AUDIO_EP_OUT);
            uint64_t all = guest.packets + guest.errors;
            assert_in_range(all, 2 * sounds[i].per_second - 300, 2 * sounds[i].per_second);
            assert_in_range(guest.errors, all / 97 - 2, all / 97 + 2);
            assert_int_equal(guest.gaps + guest.doubled + guest.odd + guest.jumps, 0);
            assert_int_equal(device.gaps + device.lost + device.doubled + device.odd + device.missed, 0);
        }
        guest_audio_stop(driver.audio);
        usbip_bed_run_for(&bed, SECOND);
        assert_int_equal(guest_audio_state(driver.audio), GUEST_AUDIO_IDLE);
        usbip_bed_close(&bed);
    }
}

/* ---- Linux's usbtest ---- */

static void test_usbip_usbtest(void **state)
{
    static const unsigned int numbers[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                           12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24};
    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        struct usbip_bed bed;
        struct zero_config config = {.speed = i & 1 ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH, .pattern = 1};
        struct usb_device *device;
        assert_int_equal(zero_create(&config, &device), 0);
        open_bed(&bed, i & 2 ? USBIP_TCP : USBIP_PAIR, device);
        for (unsigned int n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
            struct guest_zero_params params = {.test = numbers[n],
                                               .iterations = 10,
                                               .length = 2048,
                                               .pattern = 1,
                                               .depth = 15,
                                               .alternate = i & 1};
            driver.done = 0;
            assert_int_equal(guest_zero_run(driver.zero, &params, on_zero, NULL), 0);
            while (!driver.done && usbip_bed_step(&bed))
                continue;
            assert_int_equal(driver.done, 1);
            struct guest_zero_result result = guest_zero_result(driver.zero);
            if (result.status)
                fail_msg("test %u, variant %u: status %d in round %u", numbers[n], i, result.status,
                         result.round);
            assert_true(result.transfers >= 10);
        }
        assert_int_equal(zero_stats(device).wrong, 0);
        usbip_bed_close(&bed);
    }
}

/* What a client that asks for 1-1 is told: 0 or -errno. */
static int asked(struct usbip_server *server, uint64_t now_ns)
{
    struct usbip_client *client;
    int fd[2];
    usbip_pair(fd);
    assert_int_equal(usbip_server_adopt(server, fd[1]), 0);
    assert_int_equal(usbip_client_create(fd[0], "1-1", NULL, NULL, &client), 0);
    for (unsigned int i = 0; i < 4; i++) {
        (void)usbip_client_step(client, now_ns);
        assert_int_equal(usbip_server_step(server, now_ns), 0);
    }
    int status = usbip_client_status(client);
    usbip_client_close(client);
    (void)usbip_client_step(client, now_ns);
    usbip_client_destroy(client);
    assert_int_equal(usbip_server_step(server, now_ns), 0);
    return status;
}

/* On a bus the descriptors take their time; a device that is asked for before is not there yet. */
static void test_usbip_ready(void **state)
{
    struct sim_host *sim;
    struct usb_device *zero;
    struct wire *wire;
    struct usbip_server *server;
    uint64_t now_ns = 0;
    (void)state;
    assert_int_equal(sim_host_create(&sim), 0);
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 1}, &zero), 0);
    assert_int_equal(sim_host_plug(sim, "1-1", zero), 0);
    assert_int_equal(wire_create(sim_host_host(sim), WIRE_HIGH, &wire), 0);
    assert_int_equal(usbip_server_create(&(struct usbip_server_config){.host = wire_host(wire)}, &server), 0);
    assert_int_equal(usbip_server_export(server, "1-1"), 0);
    assert_false(usbip_server_ready(server));
    assert_int_equal(asked(server, now_ns), -ENODEV);
    while (!usbip_server_ready(server)) {
        uint64_t due = usbip_server_deadline(server);
        now_ns = due > now_ns ? due : now_ns + 1;
        assert_in_range(now_ns, 1, SECOND);
        assert_int_equal(usbip_server_step(server, now_ns), 0);
    }
    assert_int_equal(asked(server, now_ns), 0);
    usbip_server_destroy(server);
    wire_destroy(wire);
    sim_host_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbip_disk),      cmocka_unit_test(test_usbip_faulty_disk),
        cmocka_unit_test(test_usbip_keyboard),  cmocka_unit_test(test_usbip_serial),
        cmocka_unit_test(test_usbip_composite), cmocka_unit_test(test_usbip_audio),
        cmocka_unit_test(test_usbip_usbtest),   cmocka_unit_test(test_usbip_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
