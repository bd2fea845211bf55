// SPDX-License-Identifier: MIT
/* A session on a sound card: settings first, then two rings of URBs; see audio.h. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "guest/audio_private.h"

#define URB_BYTES_MAX 61440u /* fits in 16 pages with the packet descriptors (rule ISO-01) */
#define PACKET_MAX    2047u

/* UAC 1.0 table A-9 */
enum { SET_CUR = 0x01, GET_CUR = 0x81, GET_MIN = 0x82, GET_MAX = 0x83 };

/* What is asked of each direction, in this order. */
enum step { SET_ALTERNATE, SET_RATE, GET_RATE, MIN_VOLUME, MAX_VOLUME, SET_VOLUME, SET_MUTE, STEPS };

struct ring_urb {
    struct guest_xfer xfer;
    struct guest_audio *audio;
    enum guest_audio_direction direction;
    uint8_t *buffer;
    struct pvusb_iso_desc packets[GUEST_AUDIO_PACKETS_MAX];
};

struct stream {
    struct audio_path path;
    bool used;
    void *memory;
    size_t memory_size;
    uint32_t packet_us;
    uint32_t part;       /* of a sample, in millionths */
    uint32_t next;       /* number of the sample to send, or to come */
    uint32_t excused;    /* samples that packets with errors may have taken with them */
    bool started;        /* next_frame is known */
    uint16_t next_frame; /* with which the next URB should start */
    struct ring_urb urbs[GUEST_AUDIO_URBS_MAX];
    struct guest_audio_stats stats;
};

struct guest_audio {
    struct guest_device *device;
    void (*changed)(void *context, struct guest_audio *audio, int status);
    void *context;
    enum guest_audio_state state;
    struct guest_audio_settings settings;
    struct stream streams[2];
    bool leaving;         /* stopping, and the URBs are back */
    unsigned int pending; /* URBs under way */
    unsigned int step;    /* of both directions, one after the other */
    int16_t volume_min, volume_max;
    struct guest_xfer control;
    void *page; /* data of control requests */
    int error;  /* what ends the session */
};

static void next_step(struct guest_audio *audio);

/* ---- samples ---- */

static uint32_t samples_due(struct stream *stream, uint32_t rate)
{
    uint64_t part = stream->part + (uint64_t)rate * stream->packet_us;
    stream->part = (uint32_t)(part % 1000000);
    return (uint32_t)(part / 1000000);
}

static void fill(struct ring_urb *urb, uint32_t *length)
{
    struct guest_audio *audio = urb->audio;
    struct stream *stream = &audio->streams[urb->direction];
    uint32_t samples[PACKET_MAX / SAMPLE_BYTES];
    *length = 0;
    for (unsigned int i = 0; i < audio->settings.packets; i++) {
        bool play = urb->direction == GUEST_AUDIO_PLAY;
        uint32_t n = play ? samples_due(stream, audio->settings.rate) : 0;
        uint32_t bytes = play ? n * SAMPLE_BYTES : stream->path.packet;
        for (uint32_t s = 0; s < n; s++)
            samples[s] = htole32(stream->next + s);
        memcpy(urb->buffer + *length, samples, n * SAMPLE_BYTES);
        stream->next += n;
        urb->packets[i] = (struct pvusb_iso_desc){.offset = *length, .length = bytes};
        *length += bytes;
    }
}

static void expect(struct stream *stream, const uint8_t *bytes, uint32_t n)
{
    uint32_t samples[PACKET_MAX / SAMPLE_BYTES], differs = 0;
    memcpy(samples, bytes, n * SAMPLE_BYTES);
    uint32_t first = le32toh(samples[0]);
    for (uint32_t i = 0; i < n; i++)
        differs |= le32toh(samples[i]) ^ (first + i);
    if (differs) {
        stream->stats.odd++;
        return;
    }
    int32_t ahead = (int32_t)(first - stream->next);
    if (ahead > 0)
        stream->stats.lost += (uint32_t)ahead;
    if (ahead > 0 && (uint32_t)ahead > stream->excused)
        stream->stats.gaps++;
    if (ahead < 0)
        stream->stats.doubled++;
    if ((int32_t)(first + n - stream->next) > 0)
        stream->next = first + n;
    stream->excused = 0;
}

static void account(struct ring_urb *urb)
{
    struct stream *stream = &urb->audio->streams[urb->direction];
    uint16_t start = urb->xfer.urb.start_frame;
    uint16_t nr = urb->xfer.urb.nr_packets;
    stream->stats.urbs++;
    if (stream->started && start != stream->next_frame)
        stream->stats.jumps++;
    stream->started = true;
    stream->next_frame = (uint16_t)(start + ((uint32_t)nr << stream->path.exponent));
    for (unsigned int i = 0; i < nr; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        uint32_t actual = packet->actual_length;
        if (packet->status) {
            stream->stats.errors++;
            stream->excused += stream->path.packet / SAMPLE_BYTES;
            continue;
        }
        stream->stats.packets++;
        stream->stats.samples += actual / SAMPLE_BYTES;
        if (actual % SAMPLE_BYTES || (urb->direction == GUEST_AUDIO_PLAY && actual != packet->length))
            stream->stats.odd++;
        if (urb->direction == GUEST_AUDIO_RECORD && actual >= SAMPLE_BYTES)
            expect(stream, urb->buffer + packet->offset, actual / SAMPLE_BYTES);
    }
}

/* ---- the end ---- */

static void become_idle(struct guest_audio *audio)
{
    audio->state = GUEST_AUDIO_IDLE;
    audio->changed(audio->context, audio, audio->error);
}

static void check_drained(struct guest_audio *audio)
{
    if (audio->state != GUEST_AUDIO_STOPPING || audio->leaving || audio->pending > 0 || audio->control.busy)
        return;
    audio->leaving = true;
    audio->step = 0;
    next_step(audio);
}

static void stop_for(struct guest_audio *audio, int error)
{
    if (audio->state == GUEST_AUDIO_STOPPING || audio->state == GUEST_AUDIO_IDLE)
        return;
    audio->state = GUEST_AUDIO_STOPPING;
    audio->error = error;
    audio->pending++; /* completions inside must not find the ring empty before we do */
    for (unsigned int d = 0; d < 2; d++) {
        for (unsigned int i = 0; i < GUEST_AUDIO_URBS_MAX; i++) {
            if (audio->streams[d].urbs[i].xfer.busy)
                guest_unlink(&audio->streams[d].urbs[i].xfer);
        }
    }
    audio->pending--;
    check_drained(audio);
}

void guest_audio_stop(struct guest_audio *audio)
{
    stop_for(audio, 0);
}

/* ---- URBs ---- */

static void submit_urb(struct ring_urb *urb)
{
    struct guest_audio *audio = urb->audio;
    uint32_t length;
    fill(urb, &length);
    int rc = guest_isochronous(&urb->xfer, audio->device, audio->streams[urb->direction].path.endpoint,
                               urb->buffer, length, urb->packets, audio->settings.packets);
    if (rc)
        stop_for(audio, rc);
    else
        audio->pending++;
}

static void on_urb(struct guest_xfer *xfer)
{
    struct ring_urb *urb = xfer->context;
    struct guest_audio *audio = urb->audio;
    audio->pending--;
    if (xfer->status == 0)
        account(urb);
    if (xfer->status && audio->state == GUEST_AUDIO_RUNNING)
        stop_for(audio, xfer->status);
    else if (audio->state == GUEST_AUDIO_RUNNING)
        submit_urb(urb);
    else
        check_drained(audio);
}

static void start_rings(struct guest_audio *audio)
{
    audio->state = GUEST_AUDIO_RUNNING;
    for (unsigned int i = 0; i < audio->settings.urbs; i++) {
        for (unsigned int d = 0; d < 2; d++) {
            if (audio->streams[d].used && audio->state == GUEST_AUDIO_RUNNING)
                submit_urb(&audio->streams[d].urbs[i]);
        }
    }
    if (audio->state == GUEST_AUDIO_RUNNING)
        audio->changed(audio->context, audio, 0);
}

/* ---- control requests ---- */

static void put_le(uint8_t *page, uint32_t value, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        page[i] = (uint8_t)(value >> (8 * i));
}

static int16_t wanted_volume(const struct guest_audio *audio)
{
    int16_t volume = audio->settings.volume;
    if (volume > audio->volume_max)
        volume = audio->volume_max;
    return volume < audio->volume_min ? audio->volume_min : volume;
}

/* The setup packet of a step; false when the direction has nothing to ask there. */
static bool request(struct guest_audio *audio, struct stream *stream, enum step step, uint8_t setup[8])
{
    const struct audio_path *path = &stream->path;
    uint16_t unit = (uint16_t)(path->unit << 8 | path->control);
    bool starting = audio->state == GUEST_AUDIO_STARTING;
    if (!stream->used || (!starting && step != SET_ALTERNATE))
        return false;
    switch (step) {
    case SET_ALTERNATE:
        guest_setup(setup, 0x01, 11, starting ? path->alternate : 0, path->interface, 0);
        return true;
    case SET_RATE:
        put_le(audio->page, audio->settings.rate, 3);
        guest_setup(setup, 0x22, SET_CUR, 0x0100, path->endpoint, 3);
        return true;
    case GET_RATE:
        guest_setup(setup, 0xa2, GET_CUR, 0x0100, path->endpoint, 3);
        return true;
    case MIN_VOLUME:
        guest_setup(setup, 0xa1, GET_MIN, 0x0200, unit, 2);
        break;
    case MAX_VOLUME:
        guest_setup(setup, 0xa1, GET_MAX, 0x0200, unit, 2);
        break;
    case SET_VOLUME:
        put_le(audio->page, (uint16_t)wanted_volume(audio), 2);
        guest_setup(setup, 0x21, SET_CUR, 0x0200, unit, 2);
        break;
    case SET_MUTE:
        put_le(audio->page, 0, 1);
        guest_setup(setup, 0x21, SET_CUR, 0x0100, unit, 1);
        break;
    case STEPS:
        break;
    }
    return path->unit != 0;
}

static int reply(struct guest_audio *audio, enum step step, int status, uint32_t n)
{
    const uint8_t *page = audio->page;
    /* A card without the control stalls; it is not needed. */
    if (status == -EPIPE && step >= MIN_VOLUME)
        return 0;
    if (status)
        return status;
    if (step == GET_RATE &&
        (n != 3 || (page[0] | (uint32_t)page[1] << 8 | (uint32_t)page[2] << 16) != audio->settings.rate))
        return -EPROTO;
    if (step == MIN_VOLUME && n == 2)
        audio->volume_min = (int16_t)(page[0] | (unsigned int)page[1] << 8);
    if (step == MAX_VOLUME && n == 2)
        audio->volume_max = (int16_t)(page[0] | (unsigned int)page[1] << 8);
    return 0;
}

static void step_failed(struct guest_audio *audio, int error)
{
    if (audio->error == 0)
        audio->error = error;
    if (audio->state == GUEST_AUDIO_STARTING && error != -ENODEV && error != -ESHUTDOWN) {
        audio->state = GUEST_AUDIO_STOPPING;
        check_drained(audio);
    } else {
        become_idle(audio);
    }
}

static void on_control(struct guest_xfer *xfer)
{
    struct guest_audio *audio = xfer->context;
    if (audio->state == GUEST_AUDIO_STOPPING && !audio->leaving) {
        check_drained(audio); /* stopped while it was starting */
        return;
    }
    int rc = reply(audio, audio->step % STEPS, xfer->status, xfer->actual);
    if (rc) {
        step_failed(audio, rc);
        return;
    }
    audio->step++;
    next_step(audio);
}

static void next_step(struct guest_audio *audio)
{
    uint8_t setup[8];
    while (audio->step < 2 * STEPS &&
           !request(audio, &audio->streams[audio->step / STEPS], audio->step % STEPS, setup))
        audio->step++;
    if (audio->step == 2 * STEPS) {
        if (audio->state == GUEST_AUDIO_STARTING)
            start_rings(audio);
        else
            become_idle(audio);
        return;
    }
    int rc = guest_control(&audio->control, audio->device, setup, audio->page);
    if (rc)
        step_failed(audio, rc);
}

/* ---- from outside ---- */

bool guest_audio_matches(const struct guest_device *device)
{
    struct audio_path paths[2];
    audio_find_paths(device, paths);
    return paths[0].exists || paths[1].exists;
}

/* Whether a packet has room for the samples of its time, and an URB for its packets. */
static int prepare(struct guest_audio *audio, struct stream *stream)
{
    const struct guest_audio_settings *settings = &audio->settings;
    uint64_t most = ((uint64_t)settings->rate * stream->packet_us + 999999) / 1000000;
    if (!stream->path.exists)
        return -ENODEV;
    if (most * SAMPLE_BYTES > stream->path.packet || settings->packets * stream->path.packet > URB_BYTES_MAX)
        return -EINVAL;
    stream->part = stream->next = stream->excused = 0;
    stream->started = false;
    return 0;
}

int guest_audio_start(struct guest_audio *audio, const struct guest_audio_settings *settings)
{
    if (audio->state != GUEST_AUDIO_IDLE)
        return -EBUSY;
    struct guest_audio_settings *s = &audio->settings;
    *s = *settings;
    s->rate = s->rate ? s->rate : 48000;
    s->urbs = s->urbs ? s->urbs : 4;
    s->packets = s->packets ? s->packets : 8;
    if (s->urbs > GUEST_AUDIO_URBS_MAX || s->packets > GUEST_AUDIO_PACKETS_MAX || s->rate >= 1u << 24)
        return -EINVAL;
    for (unsigned int d = 0; d < 2; d++) {
        struct stream *stream = &audio->streams[d];
        stream->used = s->use[d] || !(s->use[0] || s->use[1]);
        stream->stats = (struct guest_audio_stats){0};
        int rc = stream->used ? prepare(audio, stream) : 0;
        if (rc)
            return rc;
    }
    audio->state = GUEST_AUDIO_STARTING;
    audio->leaving = false;
    audio->error = 0;
    audio->volume_min = INT16_MIN;
    audio->volume_max = INT16_MAX;
    audio->step = 0;
    next_step(audio);
    return 0;
}

static int stream_open(struct guest_audio *audio, enum guest_audio_direction direction)
{
    struct stream *stream = &audio->streams[direction];
    bool high = audio->device->speed == USBIF_SPEED_HIGH;
    stream->packet_us = (high ? 125u : 1000u) << stream->path.exponent;
    if (!stream->path.exists)
        return 0;
    size_t urb_bytes = (size_t)stream->path.packet * GUEST_AUDIO_PACKETS_MAX;
    urb_bytes = (urb_bytes + PVUSB_PAGE_SIZE - 1) / PVUSB_PAGE_SIZE * PVUSB_PAGE_SIZE;
    stream->memory_size = urb_bytes * GUEST_AUDIO_URBS_MAX;
    int rc = guest_buffer_alloc(audio->device->guest, stream->memory_size, &stream->memory);
    if (rc) {
        stream->memory = NULL;
        return rc;
    }
    for (unsigned int i = 0; i < GUEST_AUDIO_URBS_MAX; i++) {
        struct ring_urb *urb = &stream->urbs[i];
        urb->audio = audio;
        urb->direction = direction;
        urb->buffer = (uint8_t *)stream->memory + i * urb_bytes;
        urb->xfer.done = on_urb;
        urb->xfer.context = urb;
    }
    return 0;
}

int guest_audio_create(struct guest_device *device,
                       void (*changed)(void *context, struct guest_audio *audio, int status), void *context,
                       struct guest_audio **out)
{
    int rc;
    if (!guest_audio_matches(device))
        return -ENODEV;
    struct guest_audio *audio = calloc(1, sizeof(*audio));
    if (!audio)
        return -ENOMEM;
    struct audio_path paths[2];
    audio_find_paths(device, paths);
    audio->device = device;
    audio->changed = changed;
    audio->context = context;
    audio->control.done = on_control;
    audio->control.context = audio;
    audio->streams[0].path = paths[0];
    audio->streams[1].path = paths[1];
    rc = guest_buffer_alloc(device->guest, PVUSB_PAGE_SIZE, &audio->page);
    if (rc) {
        audio->page = NULL;
        goto out;
    }
    for (enum guest_audio_direction d = GUEST_AUDIO_PLAY; d <= GUEST_AUDIO_RECORD; d++) {
        rc = stream_open(audio, d);
        if (rc)
            goto out;
    }
    *out = audio;
    return 0;
out:
    guest_audio_destroy(audio);
    return rc;
}

void guest_audio_destroy(struct guest_audio *audio)
{
    if (!audio)
        return;
    assert(!guest_audio_busy(audio));
    struct guest *guest = audio->device->guest;
    for (unsigned int d = 0; d < 2; d++) {
        if (audio->streams[d].memory)
            guest_buffer_free(guest, audio->streams[d].memory, audio->streams[d].memory_size);
    }
    if (audio->page)
        guest_buffer_free(guest, audio->page, PVUSB_PAGE_SIZE);
    free(audio);
}

enum guest_audio_state guest_audio_state(const struct guest_audio *audio)
{
    return audio->state;
}

bool guest_audio_busy(const struct guest_audio *audio)
{
    return audio->pending > 0 || audio->control.busy;
}

struct guest_audio_stats guest_audio_stats(const struct guest_audio *audio,
                                           enum guest_audio_direction direction)
{
    return audio->streams[direction].stats;
}
