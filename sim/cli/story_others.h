/* SPDX-License-Identifier: MIT */
/* What the demo's guest does with the devices beside the disk, all at once: a keyboard, a serial port, a sound card. */
#ifndef SIM_CLI_STORY_OTHERS_H
#define SIM_CLI_STORY_OTHERS_H

#include "guest/acm.h"
#include "guest/audio.h"
#include "guest/hid.h"

#define OTHERS_TEXT          "Hello from usbback"
#define OTHERS_SERIAL_BYTES  (UINT32_C(64) << 10)
#define OTHERS_AUDIO_SAMPLES UINT64_C(12000) /* a quarter of a second, in each direction */

struct others {
    struct guest_device *keyboard_device, *serial_device, *sound_device;
    struct hid *keyboard;
    struct acm *serial;
    struct guest_audio *sound;
    bool started;

    char typed[sizeof(OTHERS_TEXT)];
    unsigned int nr_typed;
    uint32_t sent;
    uint32_t received;
    uint32_t wrong; /* bytes that came back as others */
    bool sound_started;
    struct guest_audio_stats played, recorded;
    bool sound_done;
    int error;
};

/* True when one of these drivers took the device. */
bool others_ready(struct others *others, struct guest_device *device);
void others_gone(struct others *others, struct guest_device *device);
void others_event(struct others *others, struct guest_device *device, enum guest_event event);
/* Starts what has come, and goes on; to be called again and again until others_done(). */
void others_step(struct others *others);
/* True when all three have done what they should; what they do has been stopped then. */
bool others_done(const struct others *others);
/*
 * True when nothing was lost, doubled or changed. In real time a busy machine may be late for a frame of sound,
 * which is no fault of the path.
 */
bool others_good(const struct others *others, bool real_time);

#endif
