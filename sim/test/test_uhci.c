// SPDX-License-Identifier: MIT
/*
 * Goal: the guest's USB core and class drivers work unchanged over the UHCI driver and the UHCI model, at the
 * pace that QEMU's frame budget allows. All times are virtual.
 */
#include "devices/audio.h"
#include "devices/disk.h"
#include "devices/keyboard.h"
#include "devices/zero.h"
#include "guest/audio.h"
#include "guest/hid.h"
#include "guest/zero.h"
#include "test/uhci_rig.h"
#include "uhci/driver_private.h"

#define DISK_BYTES (1024u * 1024)
#define BUFFER     (256u * 1024)
#define SECOND     UINT64_C(1000000000)

static struct uhci_rig rig;

static struct usb_device *new_disk(uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(disk_create(&(struct disk_config){.bytes = DISK_BYTES, .speed = speed}, &device), 0);
    return device;
}

static uint8_t *open_disk(uint8_t speed)
{
    void *buffer;
    uhci_rig_open(&rig);
    uhci_rig_plug(&rig, 1, "1-1", new_disk(speed));
    uhci_rig_until(&rig, &rig.finished, 1);
    assert_int_equal(rig.status, 0);
    assert_int_equal(rig.device->speed, USBIF_SPEED_FULL);
    assert_int_equal(guest_buffer_alloc(rig.guest, BUFFER, &buffer), 0);
    return buffer;
}

static void close_disk(uint8_t *buffer)
{
    guest_buffer_free(rig.guest, buffer, BUFFER);
    uhci_rig_close(&rig);
}

static uint32_t prng(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void fill(uint8_t *bytes, uint32_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)prng(&seed);
}

/* Disks that are slow and that were slowed down; requests of all sizes, at odd places in memory. */
static void test_uhci_disk(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 7, 120, 240, 255, 500};
    for (unsigned int i = 0; i < 2; i++) {
        uint8_t *buffer = open_disk(i ? USBIF_SPEED_HIGH : USBIF_SPEED_FULL);
        uint64_t bytes;
        uint8_t *disk = disk_memory(sim_host_device(rig.sim, "1-1"), &bytes);
        for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            uint32_t n = sizes[s] * 512;
            uint8_t *at = buffer + s * 36;
            fill(at, n, s + 1);
            assert_int_equal(uhci_rig_request(&rig, s, sizes[s], true, at), 0);
            assert_memory_equal(disk + s * 512, at, n);
            fill(disk, DISK_BYTES, s + 100);
            assert_int_equal(uhci_rig_request(&rig, 3 * s, sizes[s], false, at), 0);
            assert_memory_equal(disk + 3 * s * 512, at, n);
        }
        assert_int_equal(storage_stats(rig.storage).recoveries, 0);
        close_disk(buffer);
    }
}

static void test_uhci_stall(void **state)
{
    (void)state;
    uint8_t *buffer = open_disk(USBIF_SPEED_FULL);
    disk_set_bad(sim_host_device(rig.sim, "1-1"), 10, 1);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(uhci_rig_request(&rig, 8, 8, i & 1, buffer), -ENODATA);
        assert_int_equal(uhci_rig_request(&rig, 20, 100, i & 1, buffer), 0);
    }
    assert_true(storage_stats(rig.storage).stalls >= 3);
    assert_int_equal(storage_stats(rig.storage).recoveries, 0);
    close_disk(buffer);
}

/* ---- the budget: performance.md's arithmetic of QEMU's frames ---- */

static unsigned int frames_of_request(uint32_t blocks, bool write, uint8_t *buffer)
{
    struct uhci_model_counters before, after;
    uhci_model_counters(rig.model, &before);
    assert_int_equal(uhci_rig_request(&rig, 0, blocks, write, buffer), 0);
    uhci_model_counters(rig.model, &after);
    return (unsigned int)(after.frames - before.frames);
}

static void on_control(struct guest_xfer *xfer)
{
    unsigned int *done = xfer->context;
    (*done)++;
    assert_int_equal(xfer->status, 0);
}

static void test_uhci_budget(void **state)
{
    (void)state;
    static const struct {
        uint32_t blocks;
        unsigned int frames; /* 20 packets in each, one for the command, one for the status */
    } rows[] = {{1, 3}, {2, 3}, {3, 4}, {120, 50}, {240, 98 + 2}};
    uint8_t *buffer = open_disk(USBIF_SPEED_FULL);
    uhci_rig_run_for(&rig, SECOND / 2);
    for (unsigned int i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i / 2].blocks == 240)
            continue; /* two data transfers: below */
        assert_int_equal(frames_of_request(rows[i / 2].blocks, i & 1, buffer), rows[i / 2].frames);
    }
    /* Two transfers of 60 KiB, the second one queued when the first is done: no packet in between is lost. */
    assert_in_range(frames_of_request(240, false, buffer), 98, 99);
    /* A control transfer's status counts as 2048 bytes: one for each frame, however short. */
    void *data;
    uint8_t setup[8];
    struct uhci_model_counters before, after;
    assert_int_equal(guest_buffer_alloc(rig.guest, 64, &data), 0);
    guest_setup(setup, 0x80, 6, 0x0100, 0, 18);
    struct guest_xfer xfers[40];
    unsigned int done = 0;
    uhci_model_counters(rig.model, &before);
    for (unsigned int i = 0; i < 40; i++) {
        xfers[i] = (struct guest_xfer){.done = on_control, .context = &done};
        assert_int_equal(guest_control(&xfers[i], rig.device, setup, data), 0);
    }
    uhci_rig_until(&rig, &done, 40);
    uhci_model_counters(rig.model, &after);
    assert_int_equal(after.frames - before.frames, 40);
    guest_buffer_free(rig.guest, data, 64);
    close_disk(buffer);
}

/* A pause is made up for, 16 frames at a time, but not more than 128 of them. No stop when idle. */
static void test_uhci_pause(void **state)
{
    (void)state;
    struct uhci_model_counters c;
    uhci_rig_open(&rig);
    uhci_model_step(rig.model, 0);
    uhci_model_step(rig.model, 10 * SECOND / 1000);
    uhci_model_counters(rig.model, &c);
    assert_int_equal(c.frames, 10);
    uhci_model_step(rig.model, 11 * SECOND / 1000 - 1);
    uhci_model_counters(rig.model, &c);
    assert_int_equal(c.frames, 10);
    uhci_model_step(rig.model, 60 * SECOND / 1000);
    uhci_model_counters(rig.model, &c);
    assert_int_equal(c.frames, 26);
    assert_int_equal(uhci_model_deadline(rig.model), 61 * SECOND / 1000);
    uhci_model_step(rig.model, 61 * SECOND / 1000);
    uhci_model_counters(rig.model, &c);
    assert_int_equal(c.frames, 42);
    assert_int_equal(c.skipped, 0);
    uhci_model_step(rig.model, 1042 * SECOND / 1000);
    uhci_model_counters(rig.model, &c);
    assert_int_equal(c.frames, 58);
    assert_int_equal(c.skipped, 1000 - 128);
    rig.now_ns = 1042 * SECOND / 1000;
    uhci_rig_close(&rig);
}

/* ---- hot-plug ---- */

static void on_pending(struct storage_request *request)
{
    unsigned int *done = request->context;
    (*done)++;
}

/* In the middle of a request: pulled out of the host, or taken off the port. */
static void test_uhci_hotplug(void **state)
{
    (void)state;
    struct usb_device *device;
    uint8_t *buffer = open_disk(USBIF_SPEED_HIGH);
    assert_int_equal(uhci_model_plug(rig.model, 1, "1-1"), -EBUSY);
    assert_int_equal(uhci_model_plug(rig.model, 3, "1-1"), -EINVAL);
    assert_int_equal(uhci_model_plug(rig.model, 2, "1-1"), -EBUSY);
    assert_int_equal(uhci_model_plug(rig.model, 2, "1-9"), -ENODEV);
    assert_int_equal(uhci_model_unplug(rig.model, 2), -ENODEV);
    assert_string_equal(uhci_model_port(rig.model, 1), "1-1");
    assert_null(uhci_model_port(rig.model, 2));
    unsigned int port = 1;
    for (unsigned int i = 0; i < 6; i++) {
        unsigned int done = 0;
        struct storage_request r = {.blocks = 500, .buffer = buffer, .done = on_pending, .context = &done};
        assert_int_equal(storage_submit(rig.storage, &r), 0);
        uhci_rig_run_for(&rig, i * 7 * SECOND / 1000);
        if (i & 1)
            assert_int_equal(sim_host_unplug(rig.sim, "1-1"), 0);
        else
            assert_int_equal(uhci_model_unplug(rig.model, port), 0);
        assert_null(uhci_model_port(rig.model, port));
        uhci_rig_until(&rig, &rig.gone, i + 1);
        assert_null(rig.storage);
        assert_int_equal(done, 1);
        assert_int_not_equal(r.status, 0);
        if (i & 1)
            assert_int_equal(sim_host_plug(rig.sim, "1-1", new_disk(USBIF_SPEED_HIGH)), 0);
        port = 3 - port;
        assert_int_equal(uhci_model_plug(rig.model, port, "1-1"), 0);
        uhci_rig_until(&rig, &rig.finished, i + 2);
        assert_int_equal(rig.status, 0);
        assert_int_equal(uhci_rig_request(&rig, 0, 16, true, buffer), 0);
        rig.finished--;
    }
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 512, .speed = DEVICE_SPEED_SUPER}, &device),
                     0);
    assert_int_equal(sim_host_plug(rig.sim, "2-1", device), 0);
    assert_int_equal(uhci_model_plug(rig.model, 3 - port, "2-1"), -EPROTOTYPE);
    close_disk(buffer);
}

/* ---- other classes ---- */

static struct hid *hid;
static char typed[64];
static unsigned int keys;

static void on_key(void *context, struct hid *from, uint8_t usage, bool down)
{
    (void)context;
    if (down && hid_ascii(usage, hid_modifiers(from)))
        typed[keys++] = hid_ascii(usage, hid_modifiers(from));
}

static void take_keyboard(struct uhci_rig *r, struct guest_device *device)
{
    static const struct hid_listener listener = {.key = on_key};
    (void)r;
    assert_true(hid_matches(device));
    assert_int_equal(hid_create(device, &listener, &hid), 0);
}

static void drop_keyboard(struct uhci_rig *r, struct guest_device *device)
{
    (void)r;
    (void)device;
    hid_destroy(hid);
}

/* A low-speed keyboard next to a disk: keys arrive while the disk is busy, and none is lost. */
static void test_uhci_keyboard(void **state)
{
    (void)state;
    struct usb_device *keyboard;
    uint8_t *buffer = open_disk(USBIF_SPEED_FULL);
    rig.on_ready = take_keyboard;
    rig.on_gone = drop_keyboard;
    keys = 0;
    memset(typed, 0, sizeof(typed));
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    uhci_rig_plug(&rig, 2, "1-2", keyboard);
    uhci_rig_until(&rig, &rig.ready, 2);
    assert_int_equal(rig.device->speed, USBIF_SPEED_LOW);
    assert_int_equal(keyboard_type(keyboard, "Hello, UHCI!"), 0);
    assert_int_equal(uhci_rig_request(&rig, 0, 400, true, buffer), 0);
    uhci_rig_until(&rig, &keys, 12);
    assert_string_equal(typed, "Hello, UHCI!");
    hid_set_leds(hid, KEYBOARD_CAPS_LOCK);
    uhci_rig_run_for(&rig, SECOND / 10);
    assert_int_equal(keyboard_leds(keyboard), KEYBOARD_CAPS_LOCK);
    /* It goes while its transfer waits. */
    assert_int_equal(sim_host_unplug(rig.sim, "1-2"), 0);
    uhci_rig_until(&rig, &rig.gone, 1);
    close_disk(buffer);
}

/* A transfer that waits comes back; the controller forgets it after 32 frames, and takes no key any more. */
static void test_uhci_unlink(void **state)
{
    (void)state;
    struct usb_device *keyboard;
    uhci_rig_open(&rig);
    rig.on_ready = take_keyboard;
    rig.on_gone = drop_keyboard;
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    uhci_rig_plug(&rig, 2, "1-2", keyboard);
    uhci_rig_until(&rig, &rig.ready, 1);
    uhci_rig_run_for(&rig, SECOND / 10);
    assert_int_equal(uhci_driver_held(rig.driver), 1);
    hid_stop(hid);
    uhci_rig_run_for(&rig, SECOND * 3 / 1000);
    assert_false(hid_busy(hid));
    assert_int_equal(uhci_driver_held(rig.driver), 0);
    uhci_rig_run_for(&rig, SECOND * 40 / 1000);
    assert_int_equal(keyboard_type(keyboard, "x"), 0);
    uhci_rig_run_for(&rig, SECOND / 10);
    assert_int_equal(keyboard_queued(keyboard), 2);
    uhci_rig_close(&rig);
}

static struct guest_zero *zero;

static void take_zero(struct uhci_rig *r, struct guest_device *device)
{
    (void)r;
    assert_int_equal(guest_zero_create(device, &zero), 0);
}

static void drop_zero(struct uhci_rig *r, struct guest_device *device)
{
    (void)r;
    (void)device;
    guest_zero_destroy(zero);
}

static void on_zero(void *context, struct guest_zero *from)
{
    unsigned int *done = context;
    (void)from;
    (*done)++;
}

/* The cases of Linux's usbtest: bulk of all lengths and depths, chapter 9, unlinks, halts, isochronous. */
static void test_uhci_usbtest(void **state)
{
    (void)state;
    static const unsigned int tests[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                         11, 12, 13, 14, 15, 16, 17, 18, 21, 24};
    struct usb_device *device;
    uhci_rig_open(&rig);
    rig.on_ready = take_zero;
    rig.on_gone = drop_zero;
    assert_int_equal(zero_create(&(struct zero_config){.speed = USBIF_SPEED_FULL}, &device), 0);
    uhci_rig_plug(&rig, 2, "1-1", device);
    uhci_rig_until(&rig, &rig.ready, 1);
    for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        bool slow = tests[i] == 15 || tests[i] == 16;
        struct guest_zero_params params = {.test = tests[i], .iterations = slow ? 2 : 10};
        unsigned int done = 0;
        assert_int_equal(guest_zero_run(zero, &params, on_zero, &done), 0);
        uhci_rig_until(&rig, &done, 1);
        if (guest_zero_result(zero).status)
            print_message("usbtest %u, round %u\n", tests[i], guest_zero_result(zero).round);
        assert_int_equal(guest_zero_result(zero).status, 0);
    }
    uhci_rig_close(&rig);
}

static struct guest_audio *audio;

static void on_audio(void *context, struct guest_audio *from, int status)
{
    (void)context;
    (void)from;
    assert_int_equal(status, 0);
}

static void take_audio(struct uhci_rig *r, struct guest_device *device)
{
    (void)r;
    assert_int_equal(guest_audio_create(device, on_audio, NULL, &audio), 0);
}

static void drop_audio(struct uhci_rig *r, struct guest_device *device)
{
    (void)r;
    (void)device;
    guest_audio_destroy(audio);
}

/* Full duplex sound: a packet in each frame and direction, and no sample lost. */
static void test_uhci_audio(void **state)
{
    (void)state;
    struct usb_device *card;
    struct guest_audio_settings settings = {.rate = 48000};
    uhci_rig_open(&rig);
    rig.on_ready = take_audio;
    rig.on_gone = drop_audio;
    assert_int_equal(audio_create(&(struct audio_config){.speed = USBIF_SPEED_FULL}, &card), 0);
    uhci_rig_plug(&rig, 1, "1-1", card);
    uhci_rig_until(&rig, &rig.ready, 1);
    assert_int_equal(guest_audio_start(audio, &settings), 0);
    uhci_rig_run_for(&rig, 5 * SECOND);
    for (unsigned int d = 0; d < 2; d++) {
        struct guest_audio_stats s = guest_audio_stats(audio, d);
        assert_in_range(s.packets, 4700, 5000);
        assert_int_equal(s.errors, 0);
        assert_int_equal(s.gaps, 0);
        assert_int_equal(s.odd, 0);
        assert_int_equal(s.jumps, 0);
        assert_int_equal(s.doubled, 0);
    }
    /* A controller that is late: what it still can do counts, the rest is missed, and then all is as before. */
    for (unsigned int ms = 0; ms < 14; ms++)
        uhci_driver_step(rig.driver, rig.now_ns += SECOND / 1000);
    uhci_rig_run_for(&rig, SECOND);
    for (unsigned int d = 0; d < 2; d++) {
        struct guest_audio_stats s = guest_audio_stats(audio, d);
        assert_int_equal(s.errors, 13);
        assert_int_equal(s.lost, d ? 13 * 48 : 0);
        assert_int_equal(s.odd + s.jumps + s.doubled, 0);
    }
    guest_audio_stop(audio);
    uhci_rig_run_for(&rig, SECOND / 4);
    assert_false(guest_audio_busy(audio));
    uhci_rig_close(&rig);
}

/* The last descriptor of a transfer is done, and the queue not moved on yet. Looked at twice, nothing counts twice. */
static unsigned int look_early(void)
{
    unsigned int looks = 0;
    for (unsigned int i = 0; i < ENDPOINTS; i++) {
        const struct endpoint *ep = &rig.driver->endpoints[i];
        struct transfer *t = ep->head;
        if (!ep->used || !t || !t->loaded || ep->type != USBIF_PIPE_TYPE_BULK)
            continue;
        uint32_t *element = &endpoint_qh(rig.driver, ep)->element, moved = *element;
        if (rig.driver->td[t->last].control & TD_ACTIVE || (moved & LINK_ADDRESS) == td_address(rig.driver, t->last))
            continue;
        *element = td_address(rig.driver, t->last);
        uhci_queue_scan(rig.driver);
        uhci_queue_scan(rig.driver);
        assert_ptr_equal(ep->head, t);
        assert_true(t->actual < t->urb->length);
        *element = moved;
        uhci_queue_scan(rig.driver);
        looks++;
    }
    return looks;
}

static void test_uhci_late_queue(void **state)
{
    (void)state;
    uint8_t *buffer = open_disk(USBIF_SPEED_FULL);
    unsigned int done = 0, looks = 0;
    struct storage_request r = {.blocks = 1, .buffer = buffer, .done = on_pending, .context = &done};
    assert_int_equal(storage_submit(rig.storage, &r), 0);
    for (unsigned int i = 0; done == 0 && i < 1000; i++) {
        guest_step(rig.guest, rig.now_ns);
        uhci_model_step(rig.model, rig.now_ns);
        looks += look_early();
        uhci_driver_step(rig.driver, rig.now_ns);
        rig.now_ns += SECOND / 1000;
    }
    assert_int_equal(done, 1);
    assert_int_equal(r.status, 0);
    assert_int_equal(looks, 3); /* command, data, status */
    close_disk(buffer);
}

/* ---- hostile memory ---- */

/* The schedule is garbage: the model stays inside the guest's memory, and ends each frame. */
static void test_uhci_garbage(void **state)
{
    (void)state;
    uint32_t seed = 1;
    uhci_rig_open(&rig);
    uhci_rig_plug(&rig, 1, "1-1", new_disk(USBIF_SPEED_FULL));
    uhci_rig_until(&rig, &rig.finished, 1);
    guest_close(rig.guest);
    while (guest_busy(rig.guest))
        uhci_rig_step(&rig);
    for (unsigned int i = 0; i < 3000; i++) {
        /* Pages of descriptors that point at each other, or anywhere. */
        for (unsigned int n = 0; n < 64; n++) {
            uint32_t at = prng(&seed) % (RIG_MEMORY / 4), kind = prng(&seed) % 8, word = prng(&seed);
            static const uint8_t pids[] = {0x69, 0xe1, 0x2d, 0x00};
            if (kind < 4)
                word = RIG_ADDRESS + word % 65536 / 4 * 4 % RIG_MEMORY;
            else if (kind < 6)
                word = (word & 0xffe00000u) | (word & 0x78000) | 1u << 8 | pids[word % 3];
            memcpy(rig.memory + (kind & 1 ? at % 16384 : at) * 4, &word, 4);
        }
        uhci_model_write(rig.model, prng(&seed) % 32, 1u << prng(&seed) % 3, i % 7 ? 0x81 : prng(&seed));
        uhci_model_write(rig.model, 0x08, 4, RIG_ADDRESS + prng(&seed) % 65536);
        uhci_model_write(rig.model, 0x00, 2, 0xc1);
        uhci_model_write(rig.model, 0x10, 2, 0x04);
        uhci_model_write(rig.model, 0x02, 2, 0x3f);
        rig.now_ns += SECOND / 1000;
        uhci_model_step(rig.model, rig.now_ns);
    }
    struct uhci_model_counters c;
    uhci_model_counters(rig.model, &c);
    assert_true(c.frames > 1000);
    guest_destroy(rig.guest);
    uhci_driver_destroy(rig.driver);
    uhci_model_destroy(rig.model);
    sim_host_destroy(rig.sim);
    free(rig.memory);
}

/* The controller writes nonsense over all that the driver shares with it: transfers fail, and nothing else.
 */
static void test_uhci_false_controller(void **state)
{
    (void)state;
    for (uint32_t run = 1; run <= 8; run++) {
        uint32_t seed = run;
        uint8_t *buffer = open_disk(USBIF_SPEED_FULL);
        unsigned int done = 0;
        struct storage_request r = {.blocks = 200, .buffer = buffer, .done = on_pending, .context = &done};
        assert_int_equal(storage_submit(rig.storage, &r), 0);
        uhci_rig_run_for(&rig, SECOND / 100);
        for (unsigned int i = 0; i < 200; i++) {
            /* The frame list and the descriptors lie at the beginning. */
            for (unsigned int n = 0; n < 200; n++) {
                uint32_t word = prng(&seed);
                memcpy(rig.memory + word % (140 * 1024 / 4) * 4, &seed, 4);
            }
            rig.now_ns += SECOND / 1000;
            uhci_model_write(rig.model, 0x04, 2, 0x0f);
            uhci_rig_step(&rig);
        }
        rig.spoilt = true;
        guest_buffer_free(rig.guest, buffer, BUFFER);
        uhci_rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uhci_disk),
        cmocka_unit_test(test_uhci_stall),
        cmocka_unit_test(test_uhci_budget),
        cmocka_unit_test(test_uhci_pause),
        cmocka_unit_test(test_uhci_hotplug),
        cmocka_unit_test(test_uhci_keyboard),
        cmocka_unit_test(test_uhci_unlink),
        cmocka_unit_test(test_uhci_usbtest),
        cmocka_unit_test(test_uhci_audio),
        cmocka_unit_test(test_uhci_late_queue),
        cmocka_unit_test(test_uhci_garbage),
        cmocka_unit_test(test_uhci_false_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
