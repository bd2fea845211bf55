// SPDX-License-Identifier: MIT
/*
 * Goal: 24 hours of virtual time of a sound card that plays and records at once, through both halves, without
 * a lost or doubled sample. Arguments: hours, packets per URB.
 */
#include <inttypes.h>
#include <time.h>

#include "devices/audio.h"
#include "guest/audio.h"
#include "test/lab.h"

#define SECOND UINT64_C(1000000000)

static struct guest_audio *audio;
static int status;

static void on_changed(void *context, struct guest_audio *changed, int error)
{
    (void)context;
    (void)changed;
    status = error;
}

static void take(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    assert_int_equal(guest_audio_create(device, on_changed, NULL, &audio), 0);
}

static void let_go(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    (void)device;
    guest_audio_destroy(audio);
}

static uint64_t hours = 24;
static uint8_t packets = 64;

static void check(const struct usb_device *card, unsigned int direction, uint64_t seconds)
{
    struct guest_audio_stats guest = guest_audio_stats(audio, direction);
    struct audio_stats device = audio_stats(card, direction ? AUDIO_EP_IN : AUDIO_EP_OUT);
    printf("%s: %" PRIu64 " packets, %" PRIu64 " samples; errors %" PRIu64 ", gaps %" PRIu64
           ", doubled %" PRIu64 "; device: missed %" PRIu64 ", lost %" PRIu64 ", doubled %" PRIu64 "\n",
           direction ? "record" : "play", guest.packets, guest.samples, guest.errors, guest.gaps,
           guest.doubled, device.missed, device.lost, device.doubled);
    assert_in_range(guest.packets, seconds * 1000 - 1000, seconds * 1000 + 1000);
    assert_int_equal(guest.samples, guest.packets * 48);
    assert_int_equal(guest.errors + guest.gaps + guest.lost + guest.odd + guest.doubled + guest.jumps, 0);
    assert_int_equal(device.gaps + device.lost + device.odd + device.doubled + device.missed, 0);
    assert_in_range(device.packets - guest.packets, 0, 64); /* in the URB that was under way */
}

static void test_audio_soak(void **state)
{
    (void)state;
    struct lab lab;
    struct usb_device *card;
    struct guest_audio_settings settings = {.urbs = 4, .packets = packets};
    assert_int_equal(audio_create(&(struct audio_config){.speed = USBIF_SPEED_FULL}, &card), 0);
    lab_open(&lab, LAB_SPINE);
    lab.on_ready = take;
    lab.on_gone = let_go;
    assert_int_equal(lab_plug(&lab, 1, "1-1", card), 0);
    lab_run(&lab);
    assert_int_equal(guest_audio_start(audio, &settings), 0);
    clock_t began = clock();
    for (uint64_t hour = 1; hour <= hours; hour++) {
        lab_run_for(&lab, 3600 * SECOND);
        printf("%" PRIu64 " of %" PRIu64 " h\n", hour, hours);
        fflush(stdout);
    }
    assert_int_equal(guest_audio_state(audio), GUEST_AUDIO_RUNNING);
    printf("%" PRIu64 " h of virtual time in %.1f s, %" PRIu64 " rounds\n", hours,
           (double)(clock() - began) / CLOCKS_PER_SEC, lab.rounds);
    check(card, GUEST_AUDIO_PLAY, hours * 3600);
    check(card, GUEST_AUDIO_RECORD, hours * 3600);
    guest_audio_stop(audio);
    lab_run(&lab);
    assert_int_equal(status, 0);
    lab_close(&lab);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_audio_soak)};
    if (argc > 1)
        hours = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        packets = (uint8_t)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("audio for a day", tests, NULL, NULL);
}
