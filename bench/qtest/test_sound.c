// SPDX-License-Identifier: MIT
/*
 * Goal: sound goes through QEMU's controllers in both directions at once without a sample lost, doubled or
 * changed: our sound card, whose samples are numbers, behind QEMU's usb-redir; our audio driver on a driver
 * of ours for the controller, in real time. usage: test_qtest_sound uhci|ehci|xhci
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "devices/audio.h"
#include "guest/audio.h"
#include "qtest/test_redir.h"

#define MS   UINT64_C(1000000)
#define RUNS 20u

static const struct guest_audio_settings usual = {.rate = 48000};

static enum qtest_controller controller;

static struct {
    struct qtest_rig rig;
    struct qtest_redir behind;
    struct usb_device *card;
    struct guest_audio *audio;
    unsigned int changes;
    int status;
    bool pauses; /* in what is played are no fault */
} lab;

/* The device's side has the same time. */
static void run_device(struct qtest_rig *rig)
{
    qtest_redir_step(&lab.behind, rig->now_ns);
}

static void on_changed(void *context, struct guest_audio *audio, int status)
{
    (void)context;
    (void)audio;
    lab.changes++;
    lab.status = status;
}

static void on_ready(struct qtest_rig *rig, struct guest_device *device)
{
    (void)rig;
    assert_int_equal(guest_audio_create(device, on_changed, NULL, &lab.audio), 0);
}

static void on_gone(struct qtest_rig *rig, struct guest_device *device)
{
    (void)rig;
    (void)device;
    guest_audio_destroy(lab.audio);
    lab.audio = NULL;
}

static void open_lab(uint8_t interval)
{
    uint8_t speed = controller == QTEST_UHCI ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH;
    memset(&lab, 0, sizeof(lab));
    assert_int_equal(audio_create(&(struct audio_config){.speed = speed, .interval = interval}, &lab.card),
                     0);
    qtest_redir_open(&lab.behind, &lab.rig, controller, lab.card);
    lab.rig.on_ready = on_ready;
    lab.rig.on_gone = on_gone;
    lab.rig.on_step = run_device;
    qtest_rig_until(&lab.rig, &lab.rig.ready, 1);
    assert_int_equal(lab.rig.device->speed, speed);
    assert_non_null(lab.audio);
}

static void close_lab(void)
{
    qtest_redir_close(&lab.behind, &lab.rig);
}

static void start(const struct guest_audio_settings *settings)
{
    unsigned int changes = lab.changes;
    assert_int_equal(guest_audio_start(lab.audio, settings), 0);
    qtest_rig_until(&lab.rig, &lab.changes, changes + 1);
    assert_int_equal(guest_audio_state(lab.audio), GUEST_AUDIO_RUNNING);
}

static void stop(void)
{
    unsigned int changes = lab.changes;
    guest_audio_stop(lab.audio);
    qtest_rig_until(&lab.rig, &lab.changes, changes + 1);
    assert_int_equal(guest_audio_state(lab.audio), GUEST_AUDIO_IDLE);
    assert_int_equal(lab.status, 0);
}

/* Whether all that went in came out, as far as it has come. */
static bool complete(const struct audio_stats *before)
{
    struct guest_audio_stats out = guest_audio_stats(lab.audio, GUEST_AUDIO_PLAY);
    struct guest_audio_stats in = guest_audio_stats(lab.audio, GUEST_AUDIO_RECORD);
    struct audio_stats played = audio_stats(lab.card, AUDIO_EP_OUT);
    assert_int_equal(in.doubled + in.odd + out.odd + played.odd + played.doubled, 0);
    uint64_t late = in.lost + in.errors + in.jumps + out.errors + out.jumps + played.lost - before->lost;
    if (!lab.pauses)
        late += played.missed - before->missed;
    print_message("sent %u samples, played %u; recorded %u; late: %u\n", (unsigned int)out.samples,
                  (unsigned int)(played.samples - before->samples), (unsigned int)in.samples,
                  (unsigned int)late);
    return !late;
}

/* Until a tenth of a second of sound has gone through in each direction. */
static bool session(const struct guest_audio_settings *settings)
{
    struct audio_stats before = audio_stats(lab.card, AUDIO_EP_OUT);
    uint64_t samples = 0;
    start(settings);
    uint64_t limit = lab.rig.now_ns + 5000 * MS;
    while (samples < 4800 && lab.rig.now_ns < limit) {
        uint64_t played = audio_stats(lab.card, AUDIO_EP_OUT).samples - before.samples;
        samples = guest_audio_stats(lab.audio, GUEST_AUDIO_RECORD).samples;
        samples = played < samples ? played : samples;
        qtest_rig_run_for(&lab.rig, 10 * MS);
    }
    bool all = complete(&before) && samples >= 4800;
    stop();
    return all;
}

/* Twice, since a stream has to begin anew after its end. */
static void run_sessions(uint8_t interval, const struct guest_audio_settings *settings)
{
    unsigned int good = 0;
    open_lab(interval);
    /* QEMU's xHCI lets the present be when it is four periods late; here that is half a millisecond. */
    lab.pauses = controller == QTEST_XHCI && interval == 1;
    for (unsigned int i = 0; i < RUNS && good < 2; i++)
        good += session(settings);
    assert_int_equal(good, 2);
    assert_int_equal(redir_stats(lab.behind.redir).refused, 0);
    close_lab();
}

static void test_sound_both_ways(void **state)
{
    (void)state;
    run_sessions(0, &usual);
}

/* A packet in each microframe, and URBs that begin and end in the middle of a frame. */
static void test_sound_microframes(void **state)
{
    (void)state;
    if (controller != QTEST_UHCI)
        run_sessions(1, &(struct guest_audio_settings){.urbs = 6, .packets = 60});
}

/* A packet that the device spoils is told of, and nothing else is lost with it. Then the device is pulled
 * out. */
static void test_sound_errors(void **state)
{
    (void)state;
    bool good = false;
    open_lab(0);
    for (unsigned int i = 0; i < RUNS && !good; i++) {
        start(&usual);
        audio_fail(lab.card, AUDIO_EP_IN, 20, 0, -EPROTO);
        struct guest_audio_stats in = {.samples = 0};
        for (unsigned int n = 0; n < 500 && in.samples < 4800; n++) {
            qtest_rig_run_for(&lab.rig, 10 * MS);
            in = guest_audio_stats(lab.audio, GUEST_AUDIO_RECORD);
        }
        assert_int_equal(in.doubled + in.odd, 0);
        good = in.errors == 1 && in.lost == 48 && in.gaps + in.jumps == 0;
        if (!good)
            stop();
    }
    assert_true(good);
    assert_int_equal(sim_host_unplug(lab.behind.sim, "1-1"), 0);
    qtest_rig_until(&lab.rig, &lab.rig.gone, 1);
    assert_null(lab.audio);
    close_lab();
}

/* QEMU does nothing for so long, while the card goes on. */
static void hold_up(unsigned int ms)
{
    assert_int_equal(kill(qtest_pid(lab.rig.qtest), SIGSTOP), 0);
    for (unsigned int n = 0; n < ms; n++) {
        (void)poll(NULL, 0, 1);
        lab.rig.now_ns += MS;
        run_device(&lab.rig);
    }
    assert_int_equal(kill(qtest_pid(lab.rig.qtest), SIGCONT), 0);
}

/*
 * What QEMU itself loses: its xHCI does not take up what it was late with, so every hold-up leaves usb-redir
 * with as many packets more, until it throws half of them away in one piece. What is left of the sound is in
 * its order.
 */
static void test_sound_held_up(void **state)
{
    (void)state;
    struct guest_audio_stats in = {.samples = 0};
    if (controller != QTEST_XHCI)
        return; /* these go on with the frames that they have missed */
    open_lab(0);
    start(&usual);
    qtest_rig_run_for(&lab.rig, 200 * MS);
    for (unsigned int i = 0; i < RUNS && in.lost == 0; i++) {
        hold_up(50);
        qtest_rig_run_for(&lab.rig, 200 * MS);
        in = guest_audio_stats(lab.audio, GUEST_AUDIO_RECORD);
    }
    print_message("lost %u samples in %u pieces\n", (unsigned int)in.lost, (unsigned int)in.gaps);
    assert_true(in.lost > 0 && in.gaps > 0);
    assert_int_equal(in.odd + in.doubled + in.errors, 0);
    assert_int_equal(redir_stats(lab.behind.redir).iso_lost, 0); /* all of it was sent */
    stop();
    close_lab();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_both_ways),
        cmocka_unit_test(test_sound_microframes),
        cmocka_unit_test(test_sound_errors),
        cmocka_unit_test(test_sound_held_up),
    };
    assert_true(argc > 1);
    controller = argv[1][0] == 'u' ? QTEST_UHCI : argv[1][0] == 'e' ? QTEST_EHCI : QTEST_XHCI;
    int skip = qtest_rig_skip(QTEST_REAL);
    return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
