/* SPDX-License-Identifier: MIT */
/* Between audio.c (the session and its URBs) and audio_descriptor.c (what the device says it has). */
#ifndef SIM_GUEST_AUDIO_PRIVATE_H
#define SIM_GUEST_AUDIO_PRIVATE_H

#include "guest/audio.h"

#define SAMPLE_BYTES 4u

/* One direction of a card. */
struct audio_path {
    bool exists;
    uint8_t interface, alternate, endpoint;
    uint8_t exponent; /* a packet each 2^exponent frames */
    uint16_t packet;  /* bytes */
    uint8_t unit;     /* feature unit, 0 for none */
    uint8_t control;  /* number of the control interface */
};

/* UAC 1.0 sections 4.3 and 4.5. Finds the first usable alternate setting of each direction. */
void audio_find_paths(const struct guest_device *device, struct audio_path paths[2]);

#endif
