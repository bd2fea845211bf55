// SPDX-License-Identifier: MIT
/*
 * Goal: isochronous transfers of the common layer have time. Every packet has its frame, an URB completes
 * when its last frame has passed and not before, a cancel comes in the middle, a frame without URB is
 * counted. Driven straight over usb_host.h, with a sound card and gadget zero.
 */
#include "devices/audio.h"
#include "devices/faulty.h"
#include "devices/zero.h"
#include "test/test_device_util.h"

#define MS      UINT64_C(1000000)
#define PACKETS 16u

struct iso {
    struct turb turb;
    struct pvusb_iso_desc packets[PACKETS];
};

static struct bench bench;
static struct usb_device *card;

static void step(uint64_t now_ns)
{
    bench.host->ops->step(bench.host, now_ns);
}

static uint64_t deadline(void)
{
    return bench.host->ops->deadline(bench.host);
}

static void iso_init(struct iso *iso, uint8_t address, unsigned int n, uint32_t bytes)
{
    turb_init(&iso->turb, USBIF_PIPE_TYPE_ISOC, address, n * bytes);
    for (unsigned int i = 0; i < n; i++)
        iso->packets[i] = (struct pvusb_iso_desc){.offset = i * bytes, .length = bytes};
    iso->turb.urb.packets = iso->packets;
    iso->turb.urb.nr_packets = (uint16_t)n;
}

/* Numbers the samples of a playback URB from first on. */
static void iso_number(struct iso *iso, uint32_t first)
{
    for (uint32_t i = 0; i < iso->turb.urb.length / 4; i++) {
        uint32_t n = first + i;
        uint8_t sample[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 0};
        memcpy(iso->turb.bytes + 4 * (size_t)i, sample, 4);
    }
}

static uint32_t sample_at(const struct iso *iso, uint32_t offset)
{
    const uint8_t *p = iso->turb.bytes + offset;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void setting(uint16_t interface, uint16_t alternate)
{
    assert_int_equal(bench_control(&bench, 0x01, 11, alternate, interface, 0, NULL), 0);
}

static void open_card(struct audio_config config)
{
    assert_int_equal(audio_create(&config, &card), 0);
    bench_open(&bench, card);
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
    setting(1, 1);
    setting(2, 1);
}

static const struct {
    struct audio_config config;
    uint64_t frame_ns;
    unsigned int interval; /* frames from packet to packet */
    uint32_t bytes;
} speeds[] = {
    {{.speed = USBIF_SPEED_FULL}, 1000000, 1, 192},
    {{.speed = USBIF_SPEED_HIGH}, 125000, 8, 192},
    {{.speed = USBIF_SPEED_HIGH, .interval = 1}, 125000, 1, 24},
    {{.speed = USBIF_SPEED_HIGH, .interval = 3}, 125000, 4, 96},
};

/* Rules ISO-06, ISO-11: the frame it began with is told; the next URB goes on where it ended. */
static void test_iso_frames(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        static struct iso a, b;
        uint64_t frame_ns = speeds[i].frame_ns, interval = speeds[i].interval;
        open_card(speeds[i].config);
        uint64_t now = 5 * MS + 1;
        step(now);
        iso_init(&a, AUDIO_EP_IN, 8, speeds[i].bytes);
        iso_init(&b, AUDIO_EP_IN, 8, speeds[i].bytes);
        turb_submit(&bench, &a.turb);
        turb_submit(&bench, &b.turb);
        assert_true(deadline() <= now); /* the stream has not begun yet */
        step(now);
        /* The first packet's frame is the first whole one to come, on the grid of the interval. */
        uint64_t first = (now / frame_ns + interval) / interval * interval;
        uint64_t end = (first + 7 * interval + 1) * frame_ns;
        assert_int_equal(deadline(), end);
        step(end - 1);
        assert_int_equal(a.turb.completed, 0);
        step(end);
        assert_int_equal(a.turb.completed, 1);
        assert_int_equal(b.turb.completed, 0);
        assert_int_equal(a.turb.urb.status, 0);
        assert_int_equal(a.turb.urb.actual, 8 * speeds[i].bytes);
        assert_int_equal(a.turb.urb.error_count, 0);
        assert_int_equal(a.turb.urb.start_frame, first);
        assert_int_equal(deadline(), end + 8 * interval * frame_ns);
        step(deadline());
        assert_int_equal(b.turb.completed, 1);
        assert_int_equal(b.turb.urb.start_frame, first + 8 * interval);
        assert_int_equal(sample_at(&a, 0), 0);
        assert_int_equal(sample_at(&b, 0), 8 * speeds[i].bytes / 4);
        assert_int_equal(deadline(), UINT64_MAX);
        bench_close(&bench);
    }
}

/* Packets are served in their frames, not when the URB ends: a cancel finds some done, and the rest not. */
static void test_iso_cancel(void **state)
{
    (void)state;
    static struct iso a, b, c;
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    iso_init(&a, AUDIO_EP_IN, 8, 192);
    iso_init(&b, AUDIO_EP_IN, 8, 192);
    iso_init(&c, AUDIO_EP_IN, 8, 192);
    turb_submit(&bench, &a.turb);
    turb_submit(&bench, &b.turb);
    turb_submit(&bench, &c.turb);
    step(0); /* frames 1 to 8, 9 to 16, 17 to 24 */
    step(4 * MS);
    bench.host->ops->cancel(bench.host, bench.device, &a.turb.urb);
    assert_int_equal(a.turb.completed, 1);
    assert_int_equal(a.turb.urb.status, -ECONNRESET);
    assert_int_equal(a.turb.urb.actual, 3 * 192);
    for (unsigned int i = 0; i < 8; i++) {
        assert_int_equal(a.packets[i].status, i < 3 ? 0 : -EXDEV);
        assert_int_equal(a.packets[i].actual_length, i < 3 ? 192 : 0);
    }
    assert_int_equal(a.turb.urb.error_count, 0);
    /* One that has not begun, in the midst of the queue. */
    bench.host->ops->cancel(bench.host, bench.device, &b.turb.urb);
    assert_int_equal(b.turb.urb.status, -ECONNRESET);
    assert_int_equal(b.turb.urb.actual, 0);
    assert_int_equal(b.packets[0].status, -EXDEV);
    /* The third keeps its frames, and those in between are missed. */
    assert_int_equal(deadline(), 25 * MS);
    step(25 * MS - 1);
    assert_int_equal(c.turb.completed, 0);
    step(25 * MS);
    assert_int_equal(c.turb.completed, 1);
    assert_int_equal(c.turb.urb.start_frame, 17);
    assert_int_equal(sample_at(&c, 0), 16 * 48);
    assert_int_equal(audio_stats(card, AUDIO_EP_IN).missed, 13);
    assert_int_equal(audio_stats(card, AUDIO_EP_IN).packets, 11);
    bench_close(&bench);
}

/* An URB that comes too late finds the samples of its frames gone: in both directions it can be told. */
static void test_iso_underrun(void **state)
{
    (void)state;
    static struct iso in, out;
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    for (unsigned int round = 0; round < 3; round++) {
        iso_init(&in, AUDIO_EP_IN, 8, 192);
        iso_init(&out, AUDIO_EP_OUT, 8, 192);
        iso_number(&out, round * 8 * 48);
        turb_submit(&bench, &in.turb);
        turb_submit(&bench, &out.turb);
        step(round * 20 * MS); /* begins at once only in the first round */
        step(round * 20 * MS + 9 * MS);
        assert_int_equal(in.turb.completed, 1);
        assert_int_equal(out.turb.completed, 1);
        assert_int_equal(in.turb.urb.start_frame, round ? round * 20 : 1);
        step((round + 1) * 20 * MS); /* eleven frames without an URB, later twelve */
        assert_int_equal(audio_stats(card, AUDIO_EP_IN).missed, (round + 1) * 12 - 1);
        assert_int_equal(audio_stats(card, AUDIO_EP_OUT).missed, (round + 1) * 12 - 1);
        assert_int_equal(sample_at(&in, 0), round ? (round * 20 - 1) * 48 : 0);
    }
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).gaps, 0);
    /* The stream ends with its URB, and with its alternate setting: then nothing is missed. */
    setting(2, 0);
    setting(2, 1);
    iso_init(&out, AUDIO_EP_OUT, 8, 192);
    turb_submit(&bench, &out.turb);
    bench.host->ops->cancel(bench.host, bench.device, &out.turb.urb);
    step(500 * MS);
    assert_int_equal(audio_stats(card, AUDIO_EP_IN).missed, 35);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).missed, 35);
    bench_close(&bench);
}

/* What the sink is there to notice: gaps, doubles, wrong order, cut and foreign samples. */
static void test_iso_sink(void **state)
{
    (void)state;
    static const struct {
        uint32_t first;
        uint32_t bytes;
        uint64_t gaps, lost, doubled, odd; /* all of them, so far */
    } packets[] = {
        {0, 192, 0, 0, 0, 0},    {48, 192, 0, 0, 0, 0},   {48, 192, 0, 0, 1, 0},   {96, 192, 0, 0, 1, 0},
        {240, 192, 1, 96, 1, 0}, {192, 192, 1, 96, 2, 0}, {288, 192, 1, 96, 2, 0}, {336, 190, 1, 96, 2, 1},
        {383, 192, 1, 96, 2, 1}, {431, 0, 1, 96, 2, 1},   {432, 192, 2, 97, 2, 1},
    };
    static struct iso out;
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    for (unsigned int i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        iso_init(&out, AUDIO_EP_OUT, 1, 192);
        iso_number(&out, packets[i].first);
        out.packets[0].length = packets[i].bytes;
        turb_submit(&bench, &out.turb);
        step(i * MS);
        step((i + 2) * MS);
        struct audio_stats stats = audio_stats(card, AUDIO_EP_OUT);
        if (out.turb.completed != 1 || stats.gaps != packets[i].gaps || stats.lost != packets[i].lost ||
            stats.doubled != packets[i].doubled || stats.odd != packets[i].odd)
            fail_msg("packet %u: gaps %u lost %u doubled %u odd %u", i, (unsigned int)stats.gaps,
                     (unsigned int)stats.lost, (unsigned int)stats.doubled, (unsigned int)stats.odd);
        assert_int_equal(out.turb.urb.actual, packets[i].bytes);
    }
    iso_init(&out, AUDIO_EP_OUT, 1, 192);
    iso_number(&out, 480);
    out.turb.bytes[100] ^= 1;
    turb_submit(&bench, &out.turb);
    step(100 * MS);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).odd, 2);
    bench_close(&bench);
}

/* Rule ISO-06: single packets fail, the URB does not. Each packet is where its descriptor says. */
static void test_iso_packets(void **state)
{
    (void)state;
    static struct iso a;
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    audio_fail(card, AUDIO_EP_IN, 2, 3, -EILSEQ);
    iso_init(&a, AUDIO_EP_IN, 8, 200); /* room for more than comes */
    a.packets[1].offset = 1400;
    a.packets[7].offset = 200;
    a.packets[3].length = 100; /* too small: a babble */
    turb_submit(&bench, &a.turb);
    step(0);
    step(9 * MS);
    static const int status[8] = {0, 0, -EILSEQ, -EOVERFLOW, 0, -EILSEQ, 0, 0};
    static const uint32_t actual[8] = {192, 192, 0, 100, 192, 0, 192, 192};
    for (unsigned int i = 0; i < 8; i++) {
        assert_int_equal(a.packets[i].status, status[i]);
        assert_int_equal(a.packets[i].actual_length, actual[i]);
    }
    assert_int_equal(a.turb.urb.status, 0);
    assert_int_equal(a.turb.urb.error_count, 3);
    assert_int_equal(a.turb.urb.actual, 5 * 192 + 100);
    assert_int_equal(sample_at(&a, 1400), 48);
    assert_int_equal(sample_at(&a, 200), 7 * 48);
    assert_int_equal(sample_at(&a, 1592), 0); /* not touched */
    /* More than a frame can carry, and packets outside of the buffer. */
    iso_init(&a, AUDIO_EP_OUT, 2, 193);
    turb_submit(&bench, &a.turb);
    step(20 * MS);
    step(30 * MS);
    assert_int_equal(a.packets[0].status, -EPROTO);
    assert_int_equal(a.turb.urb.error_count, 2);
    iso_init(&a, AUDIO_EP_IN, 2, 192);
    a.packets[1].offset = 193;
    turb_submit(&bench, &a.turb);
    assert_int_equal(a.turb.urb.status, -EPROTO);
    a.packets[1].offset = UINT32_MAX;
    turb_submit(&bench, &a.turb);
    assert_int_equal(a.turb.urb.status, -EPROTO);
    iso_init(&a, AUDIO_EP_IN, 0, 192);
    turb_submit(&bench, &a.turb);
    assert_int_equal(a.turb.urb.status, -EPROTO);
    bench_close(&bench);
}

/* A stream goes on when the other's setting changes; its own ends it. Unplugging ends both. */
static void test_iso_settings(void **state)
{
    (void)state;
    static struct iso in, out, more;
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    iso_init(&in, AUDIO_EP_IN, 8, 192);
    iso_init(&out, AUDIO_EP_OUT, 8, 192);
    iso_init(&more, AUDIO_EP_OUT, 8, 192);
    iso_number(&out, 0);
    iso_number(&more, 8 * 48);
    turb_submit(&bench, &in.turb);
    turb_submit(&bench, &out.turb);
    turb_submit(&bench, &more.turb);
    step(0);
    step(4 * MS);
    setting(2, 0);
    assert_int_equal(in.turb.completed, 1);
    assert_int_equal(in.turb.urb.status, -EPIPE); /* there is no such endpoint any more */
    assert_int_equal(in.turb.urb.actual, 3 * 192);
    step(9 * MS);
    assert_int_equal(out.turb.completed, 1);
    setting(2, 1);
    iso_init(&in, AUDIO_EP_IN, 8, 192);
    turb_submit(&bench, &in.turb);
    step(13 * MS);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).missed, 0);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).packets, 12);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).odd + audio_stats(card, AUDIO_EP_OUT).gaps, 0);
    /* A bus reset leaves nothing half done behind. */
    assert_int_equal(bench.host->ops->reset(bench.host, bench.device), 0);
    assert_int_equal(in.turb.urb.status, -ECONNRESET);
    assert_int_equal(more.turb.urb.status, -ECONNRESET);
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
    setting(1, 1);
    setting(2, 1);
    iso_init(&in, AUDIO_EP_IN, 8, 192);
    iso_init(&more, AUDIO_EP_OUT, 8, 192);
    turb_submit(&bench, &in.turb);
    turb_submit(&bench, &more.turb);
    step(13 * MS);
    step(16 * MS);
    assert_int_equal(in.packets[0].actual_length, 192);
    assert_int_equal(more.packets[0].actual_length, 192);
    assert_int_equal(sim_host_unplug(bench.sim, "1-1"), 0);
    assert_int_equal(in.turb.urb.status, -ENODEV);
    assert_int_equal(in.turb.urb.actual, 2 * 192);
    assert_int_equal(more.turb.urb.status, -ENODEV);
    assert_int_equal(more.turb.urb.actual, 2 * 192);
    assert_int_equal(sample_at(&in, 0), 0); /* numbers start anew with the setting */
    bench_close(&bench);
}

/* UAC 1.0 sections 5.2.2.4.3 and 5.2.3.2.3.1. */
static void test_iso_controls(void **state)
{
    (void)state;
    uint8_t rate[3] = {0x44, 0xac, 0}, bad[3] = {0x45, 0xac, 0}, got[4] = {0}, one = 0;
    uint8_t volume[2] = {0x00, 0xf0}, much[2] = {0x01, 0x00};
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    assert_int_equal(bench_control(&bench, 0x22, 1, 0x0100, AUDIO_EP_OUT, 3, rate), 3);
    assert_int_equal(audio_rate(card, AUDIO_EP_OUT), 44100);
    assert_int_equal(audio_rate(card, AUDIO_EP_IN), 48000);
    assert_int_equal(bench_control(&bench, 0x22, 1, 0x0100, AUDIO_EP_OUT, 3, bad), -EPIPE);
    assert_int_equal(bench_control(&bench, 0xa2, 0x81, 0x0100, AUDIO_EP_OUT, 3, got), 3);
    assert_memory_equal(got, rate, 3);
    assert_int_equal(bench_control(&bench, 0xa2, 0x81, 0x0200, AUDIO_EP_OUT, 3, got), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x22, 1, 0x0100, 0x81, 3, rate), -EPIPE);
    assert_true(audio_muted(card, AUDIO_EP_OUT));
    assert_int_equal(bench_control(&bench, 0x21, 1, 0x0100, AUDIO_UNIT_OUT << 8, 1, &one), 1);
    assert_false(audio_muted(card, AUDIO_EP_OUT));
    assert_true(audio_muted(card, AUDIO_EP_IN));
    assert_int_equal(bench_control(&bench, 0x21, 1, 0x0200, AUDIO_UNIT_IN << 8, 2, volume), 2);
    assert_int_equal(audio_volume(card, AUDIO_EP_IN), -0x1000);
    assert_int_equal(audio_volume(card, AUDIO_EP_OUT), 0);
    assert_int_equal(bench_control(&bench, 0x21, 1, 0x0200, AUDIO_UNIT_IN << 8, 2, much), -EPIPE);
    assert_int_equal(bench_control(&bench, 0xa1, 0x82, 0x0200, AUDIO_UNIT_IN << 8, 2, got), 2);
    assert_int_equal((int16_t)(got[0] | got[1] << 8), -60 * 256);
    assert_int_equal(bench_control(&bench, 0xa1, 0x81, 0x0200, AUDIO_UNIT_IN << 8, 2, got), 2);
    assert_memory_equal(got, volume, 2);
    assert_int_equal(bench_control(&bench, 0xa1, 0x81, 0x0200, 3 << 8, 2, got), -EPIPE);
    setting(1, 0); /* without bandwidth there is no endpoint to ask */
    assert_int_equal(bench_control(&bench, 0xa2, 0x81, 0x0100, AUDIO_EP_OUT, 3, got), -EPIPE);
    bench_close(&bench);
    struct audio_config wrong[] = {{.speed = USBIF_SPEED_LOW},
                                   {.speed = USBIF_SPEED_FULL, .interval = 2},
                                   {.speed = USBIF_SPEED_HIGH, .interval = 5}};
    for (unsigned int i = 0; i < 3; i++)
        assert_int_equal(audio_create(&wrong[i], &card), -EINVAL);
}

/* High-bandwidth and odd intervals of gadget zero; loopback; the vendor requests and their limits. */
static void test_iso_zero(void **state)
{
    (void)state;
    struct usb_device *zero;
    static struct turb turb;
    static uint8_t bytes[4097];
    struct zero_config config = {.speed = USBIF_SPEED_FULL, .pattern = 1, .loopback_first = true};
    assert_int_equal(zero_create(&config, &zero), 0);
    bench_open(&bench, zero);
    assert_int_equal(bench_control(&bench, 0x80, 6, 0x0200, 0, 9, bytes), 9);
    assert_int_equal(bytes[5], ZERO_LOOPBACK);
    assert_int_equal(bench_control(&bench, 0x00, 9, ZERO_LOOPBACK, 0, 0, NULL), 0);
    for (uint32_t n = 0; n <= 4096; n = n * 2 + 64) {
        turb_init(&turb, USBIF_PIPE_TYPE_BULK, ZERO_EP_OUT, n);
        memset(turb.bytes, (int)n + 1, n);
        turb_submit(&bench, &turb);
        assert_int_equal(turb.urb.status, 0);
        uint32_t actual, cut = n && n < 4096 ? 1 : 0; /* a full transfer needs its short packet to end */
        if (cut) {
            assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, ZERO_EP_OUT, 1, NULL), 0);
        }
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, ZERO_EP_IN, n + cut, &actual), 0);
        assert_int_equal(actual, n + cut);
        assert_true(n == 0 || turb.bytes[n - 1] == (uint8_t)(n + 1));
    }
    for (unsigned int i = 0; i < 4097; i++)
        bytes[i] = (uint8_t)(i * 3 + 1);
    assert_int_equal(bench_control(&bench, 0x40, 0x5b, 0, 0, 4096, bytes), 4096);
    assert_int_equal(bench_control(&bench, 0xc0, 0x5c, 0, 0, 4096, bytes), 4096);
    assert_int_equal(bytes[4095], (uint8_t)(4095 * 3 + 1));
    assert_int_equal(bench_control(&bench, 0x40, 0x5b, 0, 0, 4097, bytes), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x40, 0x5b, 1, 0, 8, bytes), -EPIPE);
    bench_close(&bench);
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 2}, &zero), -EINVAL);
}

static void test_iso_faulty(void **state)
{
    (void)state;
    static const char *const bad[] = {"ep",
                                      "ep 0x81",
                                      "ep 0x81 stall",
                                      "ep 0x81: stal",
                                      "ep 0x81: stall 3",
                                      "ep 0x81: short",
                                      "ep 0x01: short 3",
                                      "ep 0x80: stall",
                                      "ep 0x101: stall",
                                      "ep 0x81 after: stall",
                                      "ep 0x81 after -1: stall",
                                      "ep 0x81 after 0x100000000: stall",
                                      "ep 0x81: truncated 3",
                                      "descriptor: stall",
                                      "descriptor hub: stall",
                                      "descriptor device: error",
                                      "descriptor device: byte 3",
                                      "ep 0x81: disconnect",
                                      "ep 0x81: stall; nonsense",
                                      "ep 1 2 3 4 5 6 7 8 9 10 11: stall"};
    open_card((struct audio_config){.speed = USBIF_SPEED_FULL});
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (faulty_wrap(card, &(struct faulty_config){.script = bad[i]}) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    }
    char many[17 * 16 + 1] = "";
    for (unsigned int i = 0; i < 17; i++)
        strcat(many, "ep 0x81: stall\n");
    assert_int_equal(faulty_wrap(card, &(struct faulty_config){.script = many}), -ENOSPC);
    /* Packets of a stream, each spoiled its own way; its time goes on. */
    static struct iso a;
    static const char script[] =
        "ep 0x82 after 1: error; ep 0x82 after 2: short 100;"
        "ep 0x82 after 3: babble\n ep 0x82 after 4 : nak;; ep 0x82 after 5: long 8; ep 0x82 after 6: stall";
    assert_int_equal(faulty_wrap(card, &(struct faulty_config){.script = script}), 0);
    iso_init(&a, AUDIO_EP_IN, 8, 200);
    turb_submit(&bench, &a.turb);
    step(0);
    step(9 * MS);
    static const int status[8] = {0, -EPROTO, 0, -EOVERFLOW, 0, 0, -EPIPE, 0};
    static const uint32_t actual[8] = {192, 0, 100, 0, 0, 200, 0, 192};
    for (unsigned int i = 0; i < 8; i++) {
        assert_int_equal(a.packets[i].status, status[i]);
        assert_int_equal(a.packets[i].actual_length, actual[i]);
    }
    assert_int_equal(sample_at(&a, 7 * 200), 7 * 48);
    assert_int_equal(faulty_fired(card), 6);
    bench_close(&bench);
    /* In mid-transfer: a packet has moved, then the device is away. */
    static struct turb turb;
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 0}, &card), 0);
    bench_open(&bench, card);
    assert_int_equal(bench_control(&bench, 0x00, 9, ZERO_SOURCE_SINK, 0, 0, NULL), 0);
    struct faulty_config config = {.script = "ep 0x81: disconnect", .host = bench.sim, .busid = "1-1"};
    assert_int_equal(faulty_wrap(card, &config), 0);
    turb_init(&turb, USBIF_PIPE_TYPE_BULK, ZERO_EP_IN, 2048);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.completed, 0);
    step(0);
    assert_int_equal(turb.urb.status, -ENODEV);
    assert_int_equal(turb.urb.actual, 512);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso_frames),   cmocka_unit_test(test_iso_cancel),
        cmocka_unit_test(test_iso_underrun), cmocka_unit_test(test_iso_sink),
        cmocka_unit_test(test_iso_packets),  cmocka_unit_test(test_iso_settings),
        cmocka_unit_test(test_iso_controls), cmocka_unit_test(test_iso_zero),
        cmocka_unit_test(test_iso_faulty),
    };
    return cmocka_run_group_tests_name("isochronous devices", tests, NULL, NULL);
}
