/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for sound cards: USB Audio Class 1.0, 16-bit stereo, full duplex. Each direction has a
 * ring of URBs of a few packets each; one that returns is handed in again at once. Playback sends sample
 * numbers and capture expects them (devices/audio.h says how they look), so nothing can be lost or doubled
 * unseen.
 *
 * A packet with an error is counted, and the samples it took with it are no gap. An URB that fails as a whole
 * ends the session with its status.
 *
 * Threads: one. No allocation after guest_audio_create().
 */
#ifndef SIM_GUEST_AUDIO_H
#define SIM_GUEST_AUDIO_H

#include "guest/guest.h"

#define GUEST_AUDIO_URBS_MAX    6u  /* of one direction: both fit into the 16 slots of the ring */
#define GUEST_AUDIO_PACKETS_MAX 64u /* of one URB */

enum guest_audio_direction { GUEST_AUDIO_PLAY = 0, GUEST_AUDIO_RECORD = 1 };

struct guest_audio_settings {
    bool use[2];     /* which directions; both are false: both */
    uint32_t rate;   /* in Hz, 0 for 48000 */
    uint8_t urbs;    /* 0 for 4 */
    uint8_t packets; /* 0 for 8 */
    int16_t volume;  /* in 1/256 dB, brought into the range the device names */
};

struct guest_audio_stats {
    uint64_t urbs;
    uint64_t packets; /* without error */
    uint64_t samples; /* in them; left and right are one */
    uint64_t errors;  /* packets with a status */
    uint64_t odd;     /* packets with samples cut or not in sequence */
    uint64_t gaps;    /* places where samples were missing and no error had said so; capture only */
    uint64_t lost;    /* samples missing, with errors and without */
    uint64_t doubled; /* packets of samples that had been there */
    uint64_t jumps;   /* URBs that did not start with the frame after the last one's end */
};

enum guest_audio_state {
    GUEST_AUDIO_IDLE,
    GUEST_AUDIO_STARTING,
    GUEST_AUDIO_RUNNING,
    GUEST_AUDIO_STOPPING,
};

struct guest_audio;

/* Whether the device has a streaming interface that this driver can use. */
bool guest_audio_matches(const struct guest_device *device);
/*
 * changed() tells of RUNNING, and of IDLE with 0 after guest_audio_stop() or with what ended the session;
 * from inside guest_audio_start() only when the controller takes no transfers. -ENODEV: no match.
 */
int guest_audio_create(struct guest_device *device,
                       void (*changed)(void *context, struct guest_audio *audio, int status), void *context,
                       struct guest_audio **out);
/* In gone() at the latest; not while a transfer is under way. */
void guest_audio_destroy(struct guest_audio *audio);
/* -EBUSY not idle; -EINVAL beyond the limits above; -ENODEV no such direction. Statistics start from 0. */
int guest_audio_start(struct guest_audio *audio, const struct guest_audio_settings *settings);
/* Takes all URBs back, then leaves the alternate settings. Nothing when idle. */
void guest_audio_stop(struct guest_audio *audio);
enum guest_audio_state guest_audio_state(const struct guest_audio *audio);
bool guest_audio_busy(const struct guest_audio *audio);
struct guest_audio_stats guest_audio_stats(const struct guest_audio *audio,
                                           enum guest_audio_direction direction);

#endif
