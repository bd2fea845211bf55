// SPDX-License-Identifier: MIT
/*
 * Goal: a sound card plays and records at once through both halves, and not one sample is lost or doubled
 * that no error announced. The same over loop_hcd.h, which shows whose fault a failure is.
 */
#include "devices/audio.h"
#include "devices/faulty.h"
#include "guest/audio.h"
#include "test/lab.h"

#define SECOND UINT64_C(1000000000)

struct session {
    struct guest_audio *audio;
    unsigned int changes;
    int status;
};

static struct session session;

static void on_changed(void *context, struct guest_audio *audio, int status)
{
    struct session *s = context;
    if (guest_audio_state(audio) == GUEST_AUDIO_IDLE)
        assert_false(guest_audio_busy(audio));
    s->changes++;
    s->status = status;
}

static void take(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    session = (struct session){0};
    if (guest_audio_matches(device))
        assert_int_equal(guest_audio_create(device, on_changed, &session, &session.audio), 0);
}

static void let_go(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    (void)device;
    assert_true(!session.audio || !guest_audio_busy(session.audio));
    guest_audio_destroy(session.audio);
    session.audio = NULL;
}

static struct usb_device *open_card(struct lab *lab, enum lab_way way, struct audio_config config)
{
    struct usb_device *card;
    assert_int_equal(audio_create(&config, &card), 0);
    lab_open(lab, way);
    lab->on_ready = take;
    lab->on_gone = let_go;
    assert_int_equal(lab_plug(lab, 1, "1-1", card), 0);
    lab_run(lab);
    assert_int_equal(lab->ready, 1);
    assert_non_null(session.audio);
    return card;
}

static void start(struct lab *lab, struct guest_audio_settings settings)
{
    assert_int_equal(guest_audio_start(session.audio, &settings), 0);
    for (unsigned int i = 0; guest_audio_state(session.audio) == GUEST_AUDIO_STARTING; i++) {
        assert_true(i < 1000);
        lab_step(lab);
    }
    assert_int_equal(session.status, 0);
    assert_int_equal(guest_audio_state(session.audio), GUEST_AUDIO_RUNNING);
}

static void stop(struct lab *lab)
{
    guest_audio_stop(session.audio);
    lab_run(lab);
    assert_int_equal(guest_audio_state(session.audio), GUEST_AUDIO_IDLE);
    assert_int_equal(session.status, 0);
}

/* Nothing lost, doubled or out of its frame that no error has announced. */
static void check_clean(const struct usb_device *card, unsigned int d)
{
    struct guest_audio_stats guest = guest_audio_stats(session.audio, d);
    struct audio_stats device = audio_stats(card, d ? AUDIO_EP_IN : AUDIO_EP_OUT);
    assert_int_equal(guest.gaps, 0);
    assert_int_equal(guest.doubled, 0);
    assert_int_equal(guest.odd, 0);
    assert_int_equal(guest.jumps, 0);
    assert_int_equal(device.gaps, 0);
    assert_int_equal(device.lost, 0);
    assert_int_equal(device.doubled, 0);
    assert_int_equal(device.odd, 0);
    assert_int_equal(device.missed, 0);
}

static const struct {
    const char *what;
    struct audio_config card;
    struct guest_audio_settings settings;
    uint32_t packets_per_second;
    uint32_t samples_per_second;
} runs[] = {
    {"full speed", {.speed = USBIF_SPEED_FULL}, {.rate = 48000}, 1000, 48000},
    {"full speed, 44100 Hz", {.speed = USBIF_SPEED_FULL}, {.rate = 44100}, 1000, 44100},
    {"high speed", {.speed = USBIF_SPEED_HIGH}, {.urbs = 6, .packets = 16}, 1000, 48000},
    {"a packet per microframe", {.speed = USBIF_SPEED_HIGH, .interval = 1}, {.packets = 64}, 8000, 48000},
    {"a packet per 500 us", {.speed = USBIF_SPEED_HIGH, .interval = 3}, {.rate = 44100}, 2000, 44100},
};

/* 60 s of both directions, less for the other speeds, with an error in every 997th packet. ISO-06, ISO-11. */
static void test_audio_full_duplex(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(runs) / sizeof(runs[0]); i++) {
        struct lab lab;
        unsigned int r = i / 2;
        uint64_t seconds = i == LAB_SPINE ? 60 : 6; /* the first row through both halves */
        uint64_t pps = runs[r].packets_per_second;
        struct usb_device *card = open_card(&lab, i % 2 ? LAB_SPINE : LAB_LOOP, runs[r].card);
        audio_fail(card, AUDIO_EP_OUT, 500, 997, -EPROTO);
        audio_fail(card, AUDIO_EP_IN, 700, 997, -EILSEQ);
        start(&lab, runs[r].settings);
        lab_run_for(&lab, seconds * SECOND);
        assert_int_equal(guest_audio_state(session.audio), GUEST_AUDIO_RUNNING);
        for (unsigned int d = 0; d < 2; d++) {
            struct guest_audio_stats guest = guest_audio_stats(session.audio, d);
            struct audio_stats device = audio_stats(card, d ? AUDIO_EP_IN : AUDIO_EP_OUT);
            uint64_t all = guest.packets + guest.errors;
            check_clean(card, d);
            assert_in_range(all, seconds * pps - 200, seconds * pps + 200);
            assert_true(guest.errors >= all / 998 && guest.errors <= all / 997 + 1);
            assert_true(device.faults - guest.errors <= 1); /* one may be in the URB that is under way */
            uint64_t lost = d ? guest.lost : guest.errors * runs[r].samples_per_second / pps;
            uint64_t due = all * runs[r].samples_per_second / pps;
            assert_in_range(guest.samples + lost, due - 100, due + 1); /* the last may have been an error */
            if (runs[r].samples_per_second == 48000 && d == GUEST_AUDIO_RECORD)
                assert_in_range(guest.lost, (guest.errors - 1) * 48000 / pps, guest.errors * 48000 / pps);
        }
        stop(&lab);
        check_clean(card, 0);
        check_clean(card, 1);
        lab_close(&lab);
    }
}

/* Starts and stops at odd moments, one direction alone, and again: every session begins with sample 0. */
static void test_audio_sessions(void **state)
{
    (void)state;
    static const struct {
        int16_t wish, set;
    } volumes[] = {{-256, -256}, {512, 0}, {INT16_MIN, -60 * 256}};
    for (enum lab_way way = LAB_LOOP; way < LAB_WAYS; way++) {
        struct lab lab;
        struct usb_device *card = open_card(&lab, way, (struct audio_config){.speed = USBIF_SPEED_HIGH});
        for (unsigned int i = 0; i < 60; i++) {
            struct guest_audio_settings settings = {.use = {i % 4 != 1, i % 4 != 2},
                                                    .urbs = (uint8_t)(1 + i % 6),
                                                    .packets = (uint8_t)(1 + i * 7 % 64)};
            settings.volume = volumes[i % 3].wish;
            start(&lab, settings);
            assert_int_equal(guest_audio_start(session.audio, &settings), -EBUSY);
            lab_run_for(&lab, SECOND / 7 + i * UINT64_C(3333333));
            assert_int_equal(guest_audio_state(session.audio), GUEST_AUDIO_RUNNING);
            stop(&lab);
            check_clean(card, 0);
            check_clean(card, 1);
            uint64_t heard = guest_audio_stats(session.audio, GUEST_AUDIO_RECORD).samples;
            assert_int_equal(guest_audio_stats(session.audio, GUEST_AUDIO_RECORD).lost, 0);
            assert_true(settings.use[1] ? heard > 48000 / 10 : heard == 0);
            assert_false(audio_muted(card, AUDIO_EP_IN) && settings.use[1]);
            if (settings.use[0])
                assert_int_equal(audio_volume(card, AUDIO_EP_OUT), volumes[i % 3].set);
            lab_run_for(&lab, SECOND);
        }
        lab_close(&lab);
    }
}

/* Stopped while it is starting, before each of its steps. */
static void test_audio_stop_early(void **state)
{
    (void)state;
    for (unsigned int steps = 0; steps < 60; steps++) {
        struct lab lab;
        struct usb_device *card =
            open_card(&lab, steps % 2 ? LAB_SPINE : LAB_LOOP, (struct audio_config){.interval = 2});
        struct guest_audio_settings settings = {0};
        assert_int_equal(guest_audio_start(session.audio, &settings), 0);
        for (unsigned int i = 0; i < steps / 2; i++)
            lab_step(&lab);
        stop(&lab);
        assert_int_equal(card->alternate[1], 0);
        assert_int_equal(card->alternate[2], 0);
        guest_audio_stop(session.audio); /* nothing */
        lab_close(&lab);
    }
}

static const struct {
    const char *script; /* from the driver's start on */
    struct guest_audio_settings settings;
    int status;      /* with which the session ends; 1: it goes on */
    uint64_t errors; /* of the recording */
} faults[] = {
    {"ep 0: stall", {.rate = 0}, -EPIPE, 0},
    {"ep 0 after 1: stall", {.rate = 0}, -EPIPE, 0},
    {"ep 0 after 2: short 2", {.rate = 0}, -EPROTO, 0},
    {"ep 0 after 2: short 3", {.rate = 0}, -EPROTO, 0}, /* a rate of 0 */
    {"ep 0 after 1: nak", {.rate = 0}, -ETIMEDOUT, 0},
    {"ep 0 after 3 times 4: stall", {.rate = 0}, 1, 0}, /* no volume, no mute: it can do without */
    {"ep 0 after 9: stall", {.rate = 0}, -EPIPE, 0},
    {"ep 0 after 2: disconnect", {.rate = 0}, -ENODEV, 0},
    {"ep 0x82 after 100: disconnect", {.rate = 0}, -ENODEV, 0},
    {"ep 0x01 after 100: disconnect", {.rate = 0}, -ENODEV, 0},
    {"ep 0x82 after 100 times 5: error", {.rate = 0}, 1, 5},
    {"ep 0x82 after 100 times 50: stall", {.rate = 0}, 1, 50},
    {"ep 0x82 after 100: babble", {.rate = 0}, 1, 1},
    {"", {.rate = 44100}, 1, 0},
    {"", {.rate = 32000}, -EPIPE, 0}, /* the card has no such rate */
};

static void test_audio_faults(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(faults) / sizeof(faults[0]); i++) {
        struct lab lab;
        const char *script = faults[i / 2].script;
        struct usb_device *card =
            open_card(&lab, i % 2 ? LAB_SPINE : LAB_LOOP, (struct audio_config){.speed = USBIF_SPEED_FULL});
        struct faulty_config config = {.script = script, .host = lab.sim, .busid = "1-1"};
        assert_int_equal(faulty_wrap(card, &config), 0);
        assert_int_equal(guest_audio_start(session.audio, &faults[i / 2].settings), 0);
        lab_run_for(&lab, 20 * SECOND);
        bool goes_on = session.audio && guest_audio_state(session.audio) == GUEST_AUDIO_RUNNING;
        int status = goes_on ? 1 : session.status;
        if (status != faults[i / 2].status)
            fail_msg("%s, way %u: status %d", script, i % 2, status);
        assert_int_equal(session.changes, goes_on || !strstr(script, "0x") ? 1 : 2);
        if (goes_on) {
            struct guest_audio_stats stats = guest_audio_stats(session.audio, GUEST_AUDIO_RECORD);
            assert_int_equal(stats.errors, faults[i / 2].errors);
            assert_int_equal(stats.gaps, 0);
            assert_int_equal(stats.lost, faults[i / 2].errors * 48);
            stop(&lab);
        } else if (session.audio) {
            /* The card is as good as new, but for the alternate setting that it did not want to leave. */
            start(&lab, (struct guest_audio_settings){0});
            lab_run_for(&lab, SECOND);
            check_clean(card, GUEST_AUDIO_RECORD);
            stop(&lab);
        }
        lab_close(&lab);
    }
}

/* What the recording driver must notice, and an error must not excuse: each on its own. */
static void test_audio_notices(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        uint64_t gaps, odd;
    } cases[] = {
        {"ep 0x82 after 100: nak", 1, 0},       /* a packet without data */
        {"ep 0x82 after 100: short 100", 1, 0}, /* samples missing at the end of one */
        {"ep 0x82 after 100: short 101", 1, 1}, /* and a cut one */
        {"ep 0x82 after 100: error; ep 0x82 after 101: nak", 1, 0},
        {"ep 0x82 after 100: error; ep 0x82 after 102: nak", 1, 0},
        {"ep 0x82 after 100 times 2: error", 0, 0},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        struct audio_config full = {.speed = USBIF_SPEED_FULL};
        struct usb_device *card = open_card(&lab, LAB_SPINE, full);
        struct faulty_config config = {.script = cases[i].script};
        assert_int_equal(faulty_wrap(card, &config), 0);
        start(&lab, (struct guest_audio_settings){0});
        lab_run_for(&lab, SECOND);
        struct guest_audio_stats stats = guest_audio_stats(session.audio, GUEST_AUDIO_RECORD);
        if (stats.gaps != cases[i].gaps || stats.odd != cases[i].odd || stats.doubled)
            fail_msg("%s: gaps %u odd %u", cases[i].script, (unsigned int)stats.gaps,
                     (unsigned int)stats.odd);
        stop(&lab);
        lab_close(&lab);
    }
}

/* Nobody ran for 100 ms: the rings, 32 ms long, ran dry, and both ends can tell by how much. */
static void test_audio_underrun(void **state)
{
    (void)state;
    for (enum lab_way way = LAB_LOOP; way < LAB_WAYS; way++) {
        struct lab lab;
        struct usb_device *card = open_card(&lab, way, (struct audio_config){.speed = USBIF_SPEED_FULL});
        start(&lab, (struct guest_audio_settings){.rate = 0});
        lab_run_for(&lab, SECOND);
        lab.now_ns += SECOND / 10;
        lab_run_for(&lab, SECOND);
        struct guest_audio_stats stats = guest_audio_stats(session.audio, GUEST_AUDIO_RECORD);
        uint64_t missed = audio_stats(card, AUDIO_EP_IN).missed;
        assert_in_range(missed, 60, 100);
        assert_int_equal(stats.gaps, 1);
        assert_int_equal(stats.lost, missed * 48);
        assert_int_equal(stats.jumps, 1);
        stats = guest_audio_stats(session.audio, GUEST_AUDIO_PLAY);
        assert_int_equal(stats.jumps, 1);
        assert_in_range(audio_stats(card, AUDIO_EP_OUT).missed, 60, 100);
        assert_int_equal(audio_stats(card, AUDIO_EP_OUT).lost, 0); /* late, but all there */
        stop(&lab);
        lab_close(&lab);
    }
}

static struct usb_device_ops watched;
static void (*honest_iso)(struct usb_device *device, struct device_endpoint *ep,
                          struct pvusb_iso_desc *packet);
static unsigned int watched_packets;

static void watch(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    assert_int_equal(ep->head->interval, 8);
    watched_packets++;
    honest_iso(device, ep, packet);
}

/* Rule ISO-05: the interval goes in frames over the ring, not as the descriptor's exponent. */
static void test_audio_interval(void **state)
{
    (void)state;
    struct lab lab;
    struct usb_device *card = open_card(&lab, LAB_SPINE, (struct audio_config){.interval = 4});
    watched = *card->ops;
    honest_iso = watched.iso;
    watched.iso = watch;
    card->ops = &watched;
    start(&lab, (struct guest_audio_settings){.rate = 0});
    lab_run_for(&lab, SECOND);
    stop(&lab);
    assert_in_range(watched_packets, 1900, 2100);
    lab_close(&lab);
}

static void test_audio_limits(void **state)
{
    (void)state;
    struct lab lab;
    open_card(&lab, LAB_LOOP, (struct audio_config){.speed = USBIF_SPEED_HIGH});
    static const struct guest_audio_settings wrong[] = {
        {.urbs = 7}, {.packets = 65}, {.rate = 48001}, {.rate = 0xffffffff}};
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(guest_audio_start(session.audio, &wrong[i]), -EINVAL);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audio_full_duplex), cmocka_unit_test(test_audio_sessions),
        cmocka_unit_test(test_audio_stop_early),  cmocka_unit_test(test_audio_faults),
        cmocka_unit_test(test_audio_notices),     cmocka_unit_test(test_audio_limits),
        cmocka_unit_test(test_audio_interval),    cmocka_unit_test(test_audio_underrun),
    };
    return cmocka_run_group_tests_name("audio through both halves", tests, NULL, NULL);
}
