// SPDX-License-Identifier: MIT
/* Section numbers are those of USB Audio Class 1.0 (UAC) unless they say otherwise. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "devices/audio.h"

#define VOLUME_MIN (-60 * 256) /* in 1/256 dB, section 5.2.2.4.3.2 */
#define VOLUME_RES 256

/* Table A-9, and the controls of tables */
enum { SET_CUR = 0x01, GET_CUR = 0x81, GET_MIN = 0x82, GET_MAX = 0x83, GET_RES = 0x84 };
enum { CONTROL_MUTE = 1, CONTROL_VOLUME = 2, CONTROL_RATE = 1 };

struct stream {
    uint8_t interface;
    bool open; /* alternate setting 1 */
    bool mute;
    int16_t volume;
    uint32_t rate;
    uint32_t part; /* of a sample that the last packet left over, in millionths */
    uint32_t next; /* number of the next sample */
    struct audio_stats stats;
    uint64_t fault_after, fault_period;
    int32_t fault_status;
};

struct audio {
    struct usb_device device;
    struct stream out, in;
    uint32_t packet_us; /* from one packet to the next */
    uint8_t config[200];
    const uint8_t *configs[1];
};

static struct audio *audio_of(const struct usb_device *device)
{
    return (struct audio *)(uintptr_t)device; /* drops the const of those who only ask */
}

static struct stream *stream_of(const struct usb_device *device, uint8_t address)
{
    struct audio *audio = audio_of(device);
    assert(address == AUDIO_EP_OUT || address == AUDIO_EP_IN);
    return address == AUDIO_EP_IN ? &audio->in : &audio->out;
}

/* ---- samples ---- */

/* Samples of the next packet; at 44100 Hz they are 44 or 45 in a millisecond. */
static uint32_t samples_due(const struct audio *audio, struct stream *stream)
{
    uint64_t part = stream->part + (uint64_t)stream->rate * audio->packet_us;
    stream->part = (uint32_t)(part % 1000000);
    return (uint32_t)(part / 1000000);
}

static bool fault_due(struct stream *stream)
{
    if (stream->fault_status == 0)
        return false;
    if (stream->fault_after > 0) {
        stream->fault_after--;
        return false;
    }
    stream->fault_after = stream->fault_period ? stream->fault_period - 1 : UINT64_MAX;
    stream->stats.faults++;
    return true;
}

static void capture(struct audio *audio, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    struct stream *stream = &audio->in;
    uint32_t samples[AUDIO_PACKET_MAX / AUDIO_SAMPLE_BYTES];
    uint32_t n = samples_due(audio, stream);
    uint32_t first = stream->next;
    assert(n <= AUDIO_PACKET_MAX / AUDIO_SAMPLE_BYTES);
    stream->next += n;
    if (fault_due(stream)) {
        packet->status = stream->fault_status;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        samples[i] = htole32(first + i);
    device_iso_in(ep, packet, samples, n * AUDIO_SAMPLE_BYTES);
    stream->stats.packets++;
    stream->stats.samples += n;
}

/* Compares n samples with those that should come now. */
static void check(struct stream *stream, const uint32_t *samples, uint32_t n)
{
    uint32_t first = le32toh(samples[0]), differs = 0;
    for (uint32_t i = 0; i < n; i++)
        differs |= le32toh(samples[i]) ^ (first + i);
    if (differs) {
        stream->stats.odd++;
        return;
    }
    int32_t ahead = (int32_t)(first - stream->next);
    if (ahead > 0) {
        stream->stats.gaps++;
        stream->stats.lost += (uint32_t)ahead;
    } else if (ahead < 0) {
        stream->stats.doubled++;
    }
    if ((int32_t)(first + n - stream->next) > 0)
        stream->next = first + n;
}

static void playback(struct audio *audio, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    struct stream *stream = &audio->out;
    uint32_t samples[AUDIO_PACKET_MAX / AUDIO_SAMPLE_BYTES];
    if (fault_due(stream)) {
        packet->status = stream->fault_status;
        stream->next += packet->length / AUDIO_SAMPLE_BYTES;
        return;
    }
    uint32_t bytes = device_iso_out(ep, packet, samples, sizeof(samples));
    uint32_t n = bytes / AUDIO_SAMPLE_BYTES;
    stream->stats.packets++;
    stream->stats.samples += n;
    if (bytes % AUDIO_SAMPLE_BYTES)
        stream->stats.odd++;
    if (n > 0)
        check(stream, samples, n);
}

static void audio_iso(struct usb_device *device, struct device_endpoint *ep, struct pvusb_iso_desc *packet)
{
    if (ep->address == AUDIO_EP_IN)
        capture(audio_of(device), ep, packet);
    else
        playback(audio_of(device), ep, packet);
}

/* What was recorded in that time is gone; what should have been played is the host's to know. */
static void audio_missed(struct usb_device *device, struct device_endpoint *ep, uint64_t packets)
{
    struct stream *stream = stream_of(device, ep->address);
    stream->stats.missed += packets;
    for (uint64_t i = 0; i < packets && ep->address == AUDIO_EP_IN; i++)
        stream->next += samples_due(audio_of(device), stream);
}

/* ---- control ---- */

static int rate_request(struct stream *stream, struct device_endpoint *ep, const struct usb_setup *setup)
{
    uint8_t bytes[3] = {(uint8_t)stream->rate, (uint8_t)(stream->rate >> 8), (uint8_t)(stream->rate >> 16)};
    if (setup->value != CONTROL_RATE << 8 || !stream->open || setup->length != 3)
        return -EPIPE;
    if (setup->type == 0xa2 && setup->request == GET_CUR)
        return device_control_in(ep, setup, bytes, 3);
    if (setup->type != 0x22 || setup->request != SET_CUR || device_control_out(ep, setup, bytes, 3) != 3)
        return -EPIPE;
    uint32_t rate = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
    if (rate != 44100 && rate != 48000)
        return -EPIPE;
    stream->rate = rate;
    return DEVICE_DONE;
}

static int mute_request(struct stream *stream, struct device_endpoint *ep, const struct usb_setup *setup)
{
    uint8_t mute = stream->mute;
    if (setup->length != 1)
        return -EPIPE;
    if (setup->type == 0xa1 && setup->request == GET_CUR)
        return device_control_in(ep, setup, &mute, 1);
    if (setup->type != 0x21 || setup->request != SET_CUR || device_control_out(ep, setup, &mute, 1) != 1)
        return -EPIPE;
    stream->mute = mute != 0;
    return DEVICE_DONE;
}

static int volume_request(struct stream *stream, struct device_endpoint *ep, const struct usb_setup *setup)
{
    uint8_t bytes[2];
    int value;
    if (setup->length != 2)
        return -EPIPE;
    if (setup->type == 0x21 && setup->request == SET_CUR) {
        if (device_control_out(ep, setup, bytes, 2) != 2)
            return -EPIPE;
        value = (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8);
        if (value < VOLUME_MIN || value > 0)
            return -EPIPE;
        stream->volume = (int16_t)value;
        return DEVICE_DONE;
    }
    if (setup->type != 0xa1)
        return -EPIPE;
    if (setup->request == GET_CUR)
        value = stream->volume;
    else if (setup->request == GET_MIN)
        value = VOLUME_MIN;
    else if (setup->request == GET_MAX)
        value = 0;
    else if (setup->request == GET_RES)
        value = VOLUME_RES;
    else
        return -EPIPE;
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)((uint16_t)value >> 8);
    return device_control_in(ep, setup, bytes, 2);
}

/* Section 5.2: to the endpoint, or to a feature unit in the high byte of wIndex (interface 0). */
static int audio_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    struct audio *audio = audio_of(device);
    if ((setup->type & 0x7fu) == 0x22) {
        if (setup->index != AUDIO_EP_OUT && setup->index != AUDIO_EP_IN)
            return -EPIPE;
        return rate_request(stream_of(device, (uint8_t)setup->index), ep, setup);
    }
    if (setup->index != AUDIO_UNIT_OUT << 8 && setup->index != AUDIO_UNIT_IN << 8)
        return -EPIPE;
    struct stream *stream = setup->index >> 8 == AUDIO_UNIT_IN ? &audio->in : &audio->out;
    if (setup->value == CONTROL_MUTE << 8) /* the master channel is 0 */
        return mute_request(stream, ep, setup);
    if (setup->value == CONTROL_VOLUME << 8)
        return volume_request(stream, ep, setup);
    return -EPIPE;
}

static void follow_setting(struct audio *audio, struct stream *stream)
{
    bool open = audio->device.alternate[stream->interface] == 1;
    if (open && !stream->open)
        stream->next = stream->part = 0;
    stream->open = open;
}

static void audio_configured(struct usb_device *device)
{
    struct audio *audio = audio_of(device);
    follow_setting(audio, &audio->out);
    follow_setting(audio, &audio->in);
}

static void audio_destroy(struct usb_device *device)
{
    free(audio_of(device));
}

static const struct usb_device_ops audio_ops = {
    .control = audio_control,
    .iso = audio_iso,
    .iso_missed = audio_missed,
    .reset = audio_configured,
    .configured = audio_configured,
    .destroy = audio_destroy,
};

/* ---- descriptors ---- */

#define TERMINAL_USB 0x01, 0x01 /* USB Audio terminal types 1.0 */
#define TERMINAL_OUT 0x01, 0x03
#define TERMINAL_MIC 0x01, 0x02

/* clang-format off */
#define STREAMING(interface, terminal, address, attributes) \
    9, 4, interface, 0, 0, 1, 2, 0, 0, \
    9, 4, interface, 1, 1, 1, 2, 0, 0, \
    7, 0x24, 1, terminal, 1, 1, 0, \
    14, 0x24, 2, 1, 2, 2, 16, 2, 0x44, 0xac, 0x00, 0x80, 0xbb, 0x00, \
    9, 5, address, attributes, AUDIO_PACKET_MAX, 0, 1, 0, 0, \
    7, 0x25, 1, 1, 0, 0, 0

/* Playback is USB 1 -> unit 2 -> speaker 3, capture is microphone 4 -> unit 5 -> USB 6. */
static const uint8_t config_full[200] = {
    9, 2, 200, 0, 3, 1, 0, 0x80, 50,
    9, 4, 0, 0, 0, 1, 1, 0, 0,
    10, 0x24, 1, 0x00, 0x01, 72, 0, 2, 1, 2,
    12, 0x24, 2, 1, TERMINAL_USB, 0, 2, 3, 0, 0, 0,
    10, 0x24, 6, AUDIO_UNIT_OUT, 1, 1, 3, 0, 0, 0,
    9, 0x24, 3, 3, TERMINAL_OUT, 0, AUDIO_UNIT_OUT, 0,
    12, 0x24, 2, 4, TERMINAL_MIC, 0, 2, 3, 0, 0, 0,
    10, 0x24, 6, AUDIO_UNIT_IN, 4, 1, 3, 0, 0, 0,
    9, 0x24, 3, 6, TERMINAL_USB, 0, AUDIO_UNIT_IN, 0,
    STREAMING(1, 1, AUDIO_EP_OUT, 0x09),
    STREAMING(2, 6, AUDIO_EP_IN, 0x05),
};
/* clang-format on */

static const uint8_t device_desc[18] = {18,   1,    0x00, 2, 0, 0, 0, 64, 0x09,
                                        0x12, 0x02, 0x00, 0, 1, 1, 2, 0,  1};
static const char *const strings[] = {"PVUSB", "Simulated sound card"};

/* The two endpoints get the size and the interval of the speed. */
static void fit_endpoints(struct audio *audio, uint8_t interval, unsigned int packet)
{
    for (unsigned int at = 0; at < sizeof(audio->config); at += audio->config[at]) {
        if (audio->config[at + 1] != 5)
            continue;
        audio->config[at + 4] = (uint8_t)packet;
        audio->config[at + 6] = interval;
    }
}

int audio_create(const struct audio_config *config, struct usb_device **out)
{
    bool full = config->speed == USBIF_SPEED_FULL;
    uint8_t interval = config->interval ? config->interval : full ? 1 : 4;
    if (!full && config->speed != 0 && config->speed != USBIF_SPEED_HIGH)
        return -EINVAL;
    if (interval > (full ? 1 : 4))
        return -EINVAL;
    struct audio *audio = calloc(1, sizeof(*audio));
    if (!audio)
        return -ENOMEM;
    memcpy(audio->config, config_full, sizeof(config_full));
    audio->packet_us = (full ? 1000u : 125u) << (interval - 1);
    fit_endpoints(audio, interval, audio->packet_us * 48 / 1000 * AUDIO_SAMPLE_BYTES);
    audio->configs[0] = audio->config;
    struct usb_descriptors descriptors = {
        .device = device_desc,
        .configurations = audio->configs,
        .strings = strings,
        .nr_strings = 2,
        .speed = full ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH,
    };
    audio->out = (struct stream){.interface = 1, .rate = 48000, .mute = true};
    audio->in = (struct stream){.interface = 2, .rate = 48000, .mute = true};
    int rc = device_init(&audio->device, &audio_ops, &descriptors);
    if (rc) {
        free(audio);
        return rc;
    }
    *out = &audio->device;
    return 0;
}

struct audio_stats audio_stats(const struct usb_device *device, uint8_t address)
{
    return stream_of(device, address)->stats;
}

void audio_fail(struct usb_device *device, uint8_t address, uint64_t after, uint64_t period, int32_t status)
{
    struct stream *stream = stream_of(device, address);
    stream->fault_after = after;
    stream->fault_period = period;
    stream->fault_status = status;
}

uint32_t audio_rate(const struct usb_device *device, uint8_t address)
{
    return stream_of(device, address)->rate;
}

int16_t audio_volume(const struct usb_device *device, uint8_t address)
{
    return stream_of(device, address)->volume;
}

bool audio_muted(const struct usb_device *device, uint8_t address)
{
    return stream_of(device, address)->mute;
}
