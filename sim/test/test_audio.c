// SPDX-License-Identifier: MIT
/*
 * Goal: a sound card plays and records at once through both halves, and not one sample is lost or doubled that
 * no error announced. The same over loop_hcd.h, which shows whose fault a failure is.
 */
#include "devices/audio.h"
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
    (void)audio;
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

/* 60 s of both directions, with an error in every 997th packet. Rules ISO-06, ISO-11. */
static void test_audio_full_duplex(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(runs) / sizeof(runs[0]); i++) {
        struct lab lab;
        unsigned int r = i / 2;
        struct usb_device *card = open_card(&lab, i % 2 ? LAB_SPINE : LAB_LOOP, runs[r].card);
        audio_fail(card, AUDIO_EP_OUT, 500, 997, -EPROTO);
        audio_fail(card, AUDIO_EP_IN, 700, 997, -EILSEQ);
        start(&lab, runs[r].settings);
        lab_run_for(&lab, 60 * SECOND);
        assert_int_equal(guest_audio_state(session.audio), GUEST_AUDIO_RUNNING);
        for (unsigned int d = 0; d < 2; d++) {
            struct guest_audio_stats guest = guest_audio_stats(session.audio, d);
            struct audio_stats device = audio_stats(card, d ? AUDIO_EP_IN : AUDIO_EP_OUT);
            uint64_t all = guest.packets + guest.errors;
            check_clean(card, d);
            assert_in_range(all, 60 * runs[r].packets_per_second - 200, 60 * runs[r].packets_per_second + 200);
            assert_true(guest.errors >= all / 998 && guest.errors <= all / 997 + 1);
            assert_true(device.faults - guest.errors <= 1); /* one may be in the URB that is under way */
            uint64_t samples = guest.samples + guest.errors * runs[r].samples_per_second /
                                                   runs[r].packets_per_second;
            assert_in_range(samples, 59 * runs[r].samples_per_second, 61 * runs[r].samples_per_second);
            if (runs[r].samples_per_second == 48000 && d == GUEST_AUDIO_RECORD)
                assert_in_range(guest.lost, (guest.errors - 1) * (48000 / runs[r].packets_per_second),
                                guest.errors * (48000 / runs[r].packets_per_second));
        }
        stop(&lab);
        check_clean(card, 0);
        check_clean(card, 1);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audio_full_duplex),
    };
    return cmocka_run_group_tests_name("audio through both halves", tests, NULL, NULL);
}
