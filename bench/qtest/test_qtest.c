// SPDX-License-Identifier: MIT
/*
 * Goal: our guest drivers drive QEMU's controllers: disk data byte for byte, keys, stalls, unlinks, hot-plug.
 * usage: test_qtest uhci|ehci|xhci [real|polled]
 * In virtual time, in real time, or polled, which is in real time.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/hid.h"
#include "qtest/test_rig.h"

#define IMAGE  (4u * 1024 * 1024)
#define BUFFER (256u * 1024)
#define SECOND UINT64_C(1000000000)

static enum qtest_controller controller;
static bool polled, real;

static struct qtest_image image;
static int monitor[2];

/* A monitor of QEMU, for what happens outside of the guest. */
static void tell(struct qtest_rig *rig, const char *command)
{
    char answer[512];
    size_t n = strlen(command);
    assert_int_equal(send(monitor[0], command, n, MSG_NOSIGNAL), n);
    qtest_rig_run_for(rig, SECOND / 50);
    (void)!recv(monitor[0], answer, sizeof(answer), MSG_DONTWAIT);
}

static void open_machine(struct qtest_rig *rig, const char *drive, const char *device)
{
    char chardev[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, monitor), 0);
    fcntl(monitor[0], F_SETFD, FD_CLOEXEC);
    snprintf(chardev, sizeof(chardev), "socket,id=m,fd=%d", monitor[1]);
    const char *arguments[] = {"-drive", drive,  "-device",   device, "-chardev",
                               chardev,  "-mon", "chardev=m", NULL};
    struct qtest_config config = {
        .controller = controller,
        .polled = polled,
        .clock = real ? QTEST_REAL : QTEST_VIRTUAL,
        .arguments = arguments,
        .memory = 4u << 20,
    };
    qtest_rig_open(rig, &config);
    close(monitor[1]);
}

static void close_machine(struct qtest_rig *rig)
{
    qtest_rig_close(rig);
    close(monitor[0]);
}

static uint8_t *open_disk(struct qtest_rig *rig)
{
    char drive[128];
    void *buffer;
    qtest_image_make(&image, IMAGE);
    snprintf(drive, sizeof(drive), "if=none,id=d,format=raw,file=%s", image.path);
    open_machine(rig, drive, "usb-storage,id=disk,bus=hc.0,drive=d");
    qtest_rig_until(rig, &rig->finished, 1);
    assert_int_equal(rig->status, 0);
    assert_int_equal(rig->device->speed, controller == QTEST_UHCI ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH);
    assert_int_equal(guest_buffer_alloc(rig->guest, BUFFER, &buffer), 0);
    return buffer;
}

static void test_qtest_disk(void **state)
{
    (void)state;
    struct qtest_rig rig;
    struct hc_bus_counters before, after;
    uint8_t *buffer = open_disk(&rig);
    uint32_t seed = 7;
    unsigned int requests = controller != QTEST_UHCI ? 300 : 30;
    if (real)
        requests /= 5;
    qtest_counters(rig.qtest, &before);
    for (unsigned int i = 0; i < requests; i++) {
        uint32_t blocks = 1 + qtest_prng(&seed) % 400, lba = qtest_prng(&seed) % (IMAGE / 512 - blocks + 1);
        uint8_t *at = buffer + qtest_prng(&seed) % 4096 * 4;
        bool out = i % 3 == 2;
        for (uint32_t n = 0; n < blocks * 512; n++)
            at[n] = (uint8_t)(out ? qtest_prng(&seed) : 0);
        if (out)
            memcpy(image.bytes + lba * 512, at, blocks * 512);
        assert_int_equal(qtest_rig_request(&rig, lba, blocks, out, at), 0);
        assert_memory_equal(at, image.bytes + lba * 512, blocks * 512);
    }
    qtest_counters(rig.qtest, &after);
    print_message("%.1f register accesses and %.1f interrupts for a request\n",
                  (double)(after.reads + after.writes - before.reads - before.writes) / requests,
                  (double)(after.interrupts - before.interrupts) / requests);
    assert_int_equal(storage_stats(rig.storage).recoveries, 0);
    guest_buffer_free(rig.guest, buffer, BUFFER);
    close_machine(&rig);
    qtest_image_check(&image);
}

static void on_done(struct guest_xfer *xfer)
{
    unsigned int *done = xfer->context;
    (*done)++;
}

/* A stalled control transfer, and the next one is as if nothing had been. */
static void test_qtest_stall(void **state)
{
    (void)state;
    struct qtest_rig rig;
    uint8_t *buffer = open_disk(&rig), setup[8];
    for (unsigned int i = 0; i < 5; i++) {
        unsigned int done = 0;
        struct guest_xfer xfer = {.done = on_done, .context = &done};
        guest_setup(setup, 0x80, 6, 0x7700, 0, 64);
        assert_int_equal(guest_control(&xfer, rig.device, setup, buffer), 0);
        qtest_rig_until(&rig, &done, 1);
        assert_int_equal(xfer.status, -EPIPE);
        /* Less than asked for, more than asked for, nothing. */
        guest_setup(setup, 0x80, 6, 0x0100, 0, 64);
        assert_int_equal(qtest_rig_control(&rig, setup, buffer), 18);
        guest_setup(setup, 0x80, 6, 0x0100, 0, 7);
        assert_int_equal(qtest_rig_control(&rig, setup, buffer), 7);
        guest_setup(setup, 0x02, 1, 0, 0x81, 0);
        assert_int_equal(qtest_rig_control(&rig, setup, NULL), 0);
        assert_int_equal(qtest_rig_request(&rig, i, 3, false, buffer), 0);
        assert_memory_equal(buffer, image.bytes + i * 512, 3 * 512);
    }
    guest_buffer_free(rig.guest, buffer, BUFFER);
    close_machine(&rig);
    qtest_image_check(&image);
}

static void on_storage_done(struct storage_request *request)
{
    unsigned int *done = request->context;
    (*done)++;
}

/* ---- a keyboard ---- */

static struct hid *hid;
static char typed[64];
static unsigned int keys;

static void on_key(void *context, struct hid *from, uint8_t usage, bool down)
{
    (void)context;
    if (down && keys < sizeof(typed) - 1)
        typed[keys++] = hid_ascii(usage, hid_modifiers(from));
}

static void take_keyboard(struct qtest_rig *rig, struct guest_device *device)
{
    static const struct hid_listener listener = {.key = on_key};
    (void)rig;
    assert_true(hid_matches(device));
    assert_int_equal(hid_create(device, &listener, &hid), 0);
}

static void drop_keyboard(struct qtest_rig *rig, struct guest_device *device)
{
    (void)rig;
    (void)device;
    hid_destroy(hid);
}

/* Keys arrive; a transfer that waits comes back when asked for; and when the device is pulled out. */
static void test_qtest_keyboard(void **state)
{
    (void)state;
    struct qtest_rig rig;
    open_machine(&rig, "if=none,id=d,format=raw,file.driver=null-co,file.size=1M",
                 "usb-kbd,id=keyboard,bus=hc.0,port=1");
    rig.on_ready = take_keyboard;
    rig.on_gone = drop_keyboard;
    for (unsigned int i = 1; i <= 2; i++) {
        keys = 0;
        memset(typed, 0, sizeof(typed));
        qtest_rig_until(&rig, &rig.ready, i);
        tell(&rig, "sendkey q\n");
        qtest_rig_run_for(&rig, SECOND / 4); /* a key is down for 100 ms */
        tell(&rig, "sendkey shift-u\n");
        qtest_rig_until(&rig, &keys, 3);
        assert_int_equal(typed[0], 'q');
        assert_int_equal(typed[2], 'U');
        if (i == 2)
            break;
        tell(&rig, "device_del keyboard\n");
        qtest_rig_until(&rig, &rig.gone, 1);
        tell(&rig, "device_add usb-kbd,id=keyboard,bus=hc.0,port=1\n");
    }
    hid_stop(hid);
    qtest_rig_run_for(&rig, SECOND / 20);
    assert_false(hid_busy(hid));
    close_machine(&rig);
}

/* ---- isochronous ---- */

enum { STREAMS = 4, PACKETS = 8, ROUNDS = 25, PACKET = 192 };

struct stream {
    struct guest_xfer xfers[STREAMS];
    struct pvusb_iso_desc packets[STREAMS][PACKETS];
    void *buffer;
    struct qtest_rig *rig;
    unsigned int done, submitted;
    uint16_t next; /* frame */
};

static void send_packets(struct stream *stream, unsigned int i)
{
    struct guest_xfer *xfer = &stream->xfers[i];
    for (unsigned int p = 0; p < PACKETS; p++)
        stream->packets[i][p] =
            (struct pvusb_iso_desc){.offset = p * PACKET, .length = PACKET, .status = -EXDEV};
    stream->submitted++;
    assert_int_equal(guest_isochronous(xfer, stream->rig->device, 0x01, (uint8_t *)stream->buffer + i * 4096,
                                       PACKETS * PACKET, stream->packets[i], PACKETS),
                     0);
}

static void on_sent(struct guest_xfer *xfer)
{
    struct stream *stream = xfer->context;
    unsigned int i = (unsigned int)(xfer - stream->xfers);
    assert_int_equal(xfer->status, 0);
    assert_int_equal(xfer->urb.error_count, 0);
    for (unsigned int p = 0; p < PACKETS; p++) {
        assert_int_equal(stream->packets[i][p].status, 0);
        assert_int_equal(stream->packets[i][p].actual_length, PACKET);
    }
    if (stream->done++ > 0)
        assert_int_equal(xfer->urb.start_frame, stream->next);
    stream->next = (uint16_t)(xfer->urb.start_frame + PACKETS);
    if (stream->submitted < STREAMS * ROUNDS)
        send_packets(stream, i);
}

/* QEMU's sound card takes a packet in each frame, and none is missed. */
static void test_qtest_isochronous(void **state)
{
    (void)state;
    struct qtest_rig rig;
    struct stream stream = {.rig = &rig};
    const char *arguments[] = {"-audiodev", "none,id=a", "-device", "usb-audio,bus=hc.0,audiodev=a", NULL};
    struct qtest_config config = {.controller = controller,
                                  .polled = polled,
                                  .clock = real ? QTEST_REAL : QTEST_VIRTUAL,
                                  .arguments = arguments};
    uint8_t setup[8];
    if (controller == QTEST_EHCI || real)
        return; /* it is a full-speed device; in real time a busy machine may miss some */
    qtest_rig_open(&rig, &config);
    qtest_rig_until(&rig, &rig.ready, 1);
    assert_int_equal(guest_buffer_alloc(rig.guest, STREAMS * 4096, &stream.buffer), 0);
    guest_setup(setup, 0x01, 11, 1, 1, 0);
    assert_int_equal(qtest_rig_control(&rig, setup, NULL), 0);
    for (unsigned int i = 0; i < STREAMS; i++) {
        stream.xfers[i] = (struct guest_xfer){.done = on_sent, .context = &stream};
        send_packets(&stream, i);
    }
    uint64_t from = rig.now_ns;
    qtest_rig_until(&rig, &stream.done, STREAMS * ROUNDS);
    uint64_t frames = (rig.now_ns - from) / (SECOND / 1000);
    assert_in_range(frames, STREAMS * ROUNDS * PACKETS - 8, STREAMS * ROUNDS * PACKETS + 16);
    guest_buffer_free(rig.guest, stream.buffer, STREAMS * 4096);
    qtest_rig_close(&rig);
}

/* ---- a controller that writes nonsense ---- */

/*
 * Transfers fail or never end, QEMU may die of it, and the driver touches nothing but what is its own: with
 * sanitizers this finds something.
 */
static void test_qtest_nonsense(void **state)
{
    (void)state;
    for (uint32_t run = 1; run <= (real ? 1 : 6); run++) {
        struct qtest_rig rig;
        uint8_t *buffer = open_disk(&rig);
        uint32_t seed = run * 2654435761u;
        unsigned int done = 0;
        struct storage_request r = {
            .blocks = 400, .buffer = buffer, .done = on_storage_done, .context = &done};
        assert_int_equal(storage_submit(rig.storage, &r), 0);
        struct hc_bus *bus = qtest_bus(rig.qtest);
        uint32_t words = (uint32_t)(buffer - bus->memory) / 4;
        for (unsigned int i = 0; i < 30; i++) {
            for (unsigned int n = 0; n < 1u << i % 11; n++) {
                uint32_t word = qtest_prng(&seed), at = qtest_prng(&seed) % words;
                /* Mostly something that looks like what is there. */
                if (word % 4)
                    memcpy(&word, bus->memory + (size_t)(qtest_prng(&seed) % words) * 4, 4);
                memcpy(bus->memory + (size_t)at * 4, &word, 4);
            }
            guest_step(rig.guest, rig.now_ns);
            rig.now_ns += SECOND / 1000;
            qtest_step(rig.qtest, rig.now_ns);
        }
        kill(qtest_pid(rig.qtest), SIGKILL);
        guest_close(rig.guest);
        for (unsigned int i = 0; i < 10; i++)
            qtest_step(rig.qtest, rig.now_ns += SECOND);
        assert_int_equal(done, 1);
        guest_buffer_free(rig.guest, buffer, BUFFER);
        assert_false(guest_busy(rig.guest));
        guest_destroy(rig.guest);
        qtest_destroy(rig.qtest);
        close(monitor[0]);
        qtest_image_drop(&image);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qtest_disk),     cmocka_unit_test(test_qtest_stall),
        cmocka_unit_test(test_qtest_keyboard), cmocka_unit_test(test_qtest_isochronous),
        cmocka_unit_test(test_qtest_nonsense),
    };
    assert_true(argc > 1);
    controller = argv[1][0] == 'u' ? QTEST_UHCI : argv[1][0] == 'e' ? QTEST_EHCI : QTEST_XHCI;
    real = argc > 2;
    polled = real && argv[2][0] == 'p';
    int skip = qtest_rig_skip(real ? QTEST_REAL : QTEST_VIRTUAL);
    return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
