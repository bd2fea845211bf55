/* SPDX-License-Identifier: MIT */
/*
 * A sound card: USB Audio Class 1.0, full duplex, 16-bit stereo at 44100 or 48000 Hz, sampling frequency per
 * endpoint, mute and volume per direction. Alternate setting 0 of a streaming interface has no bandwidth, 1
 * has one isochronous endpoint.
 *
 * Samples are numbers: the n-th one of a stream, left and right together, is n as 32 bits in little endian,
 * from 0 when the alternate setting becomes 1. So a lost, doubled or late packet shows at the end that gets
 * it, and a frame without URB is a hole in what is recorded. Mute and volume are kept and told, and touch
 * nothing.
 *
 * Not modelled: a clock that drifts against the bus, feedback endpoints, sound.
 */
#ifndef SIM_DEVICES_AUDIO_H
#define SIM_DEVICES_AUDIO_H

#include "devices/device.h"

#define AUDIO_EP_OUT       0x01u /* playback, on interface 1 */
#define AUDIO_EP_IN        0x82u /* capture, on interface 2 */
#define AUDIO_UNIT_OUT     2u    /* feature units */
#define AUDIO_UNIT_IN      5u
#define AUDIO_SAMPLE_BYTES 4u
#define AUDIO_PACKET_MAX   192u

struct audio_config {
    uint8_t speed;    /* USBIF_SPEED_FULL or, also for 0, _HIGH */
    uint8_t interval; /* bInterval at high speed: 1 (24 bytes per 125 us) to 4 (192 per ms), 0 for 4 */
};

/* Of one direction, since the device was made. A sample here is left and right together. */
struct audio_stats {
    uint64_t packets; /* that came or went */
    uint64_t samples;
    uint64_t faults;  /* packets that audio_fail() spoiled */
    uint64_t missed;  /* packets' frames without URB */
    uint64_t odd;     /* packets with samples cut or not in sequence */
    uint64_t gaps;    /* places where samples were missing */
    uint64_t lost;    /* samples missing there */
    uint64_t doubled; /* packets of samples that had been there */
};

/* -EINVAL for another speed or interval. For sim_host_plug(). */
int audio_create(const struct audio_config *config, struct usb_device **out);
struct audio_stats audio_stats(const struct usb_device *device, uint8_t address);
/*
 * Spoils single packets: the one `after` packets from now, then every `period`-th one, 0 for no more. Its
 * data is lost on the way, and its status is what the host sees. Status 0 ends that.
 */
void audio_fail(struct usb_device *device, uint8_t address, uint64_t after, uint64_t period, int32_t status);
/* What the host has set. */
uint32_t audio_rate(const struct usb_device *device, uint8_t address);
int16_t audio_volume(const struct usb_device *device, uint8_t address);
bool audio_muted(const struct usb_device *device, uint8_t address);

#endif
