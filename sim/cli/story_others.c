// SPDX-License-Identifier: MIT
#include "cli/story_others.h"

#include <string.h>

/* The byte at a place of the serial stream. */
static uint8_t serial_byte(uint32_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* ---- drivers' news ---- */

static void key(void *context, struct hid *hid, uint8_t usage, bool down)
{
    struct others *others = context;
    char c = down && usage < HID_MODIFIERS ? hid_ascii(usage, hid_modifiers(hid)) : 0;
    if (c && others->nr_typed + 1 < sizeof(others->typed))
        others->typed[others->nr_typed++] = c;
}

static void write_more(struct others *others)
{
    uint8_t bytes[512];
    uint32_t n;
    uint32_t taken;
    do {
        n = OTHERS_SERIAL_BYTES - others->sent;
        n = n < sizeof(bytes) ? n : sizeof(bytes);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = serial_byte(others->sent + i);
        taken = n > 0 ? acm_write(others->serial, bytes, n) : 0;
        others->sent += taken;
    } while (taken > 0);
}

static void writable(void *context, struct acm *acm)
{
    (void)acm;
    write_more(context);
}

static void received(void *context, struct acm *acm, const uint8_t *bytes, uint32_t n)
{
    struct others *others = context;
    (void)acm;
    for (uint32_t i = 0; i < n; i++)
        others->wrong += bytes[i] != serial_byte(others->received + i);
    others->received += n;
}

static void port_failed(void *context, struct acm *acm, int error)
{
    (void)acm;
    ((struct others *)context)->error = error;
}

static void sound_changed(void *context, struct guest_audio *audio, int status)
{
    struct others *others = context;
    if (status) {
        others->error = status;
        return;
    }
    if (guest_audio_state(audio) != GUEST_AUDIO_IDLE)
        return;
    others->played = guest_audio_stats(audio, GUEST_AUDIO_PLAY);
    others->recorded = guest_audio_stats(audio, GUEST_AUDIO_RECORD);
    others->sound_done = true;
}

/* ---- devices ---- */

bool others_ready(struct others *others, struct guest_device *device)
{
    const struct hid_listener keys = {.key = key, .context = others};
    const struct acm_listener port = {
        .received = received, .writable = writable, .failed = port_failed, .context = others};
    if (!others->keyboard && hid_matches(device)) {
        others->keyboard_device = device;
        return hid_create(device, &keys, &others->keyboard) == 0;
    }
    if (!others->serial && acm_matches(device)) {
        others->serial_device = device;
        return acm_create(device, &port, &others->serial) == 0;
    }
    if (!others->sound && guest_audio_matches(device)) {
        others->sound_device = device;
        return guest_audio_create(device, sound_changed, others, &others->sound) == 0;
    }
    return false;
}

void others_gone(struct others *others, struct guest_device *device)
{
    if (others->keyboard && device == others->keyboard_device) {
        hid_destroy(others->keyboard);
        others->keyboard = NULL;
    }
    if (others->serial && device == others->serial_device) {
        acm_destroy(others->serial);
        others->serial = NULL;
    }
    if (others->sound && device == others->sound_device) {
        guest_audio_destroy(others->sound);
        others->sound = NULL;
    }
}

void others_event(struct others *others, struct guest_device *device, enum guest_event event)
{
    if (others->keyboard && device == others->keyboard_device)
        hid_event(others->keyboard, event);
    if (others->serial && device == others->serial_device)
        acm_event(others->serial, event);
}

/* ---- steps ---- */

static void start(struct others *others)
{
    const struct guest_audio_settings settings = {0};
    others->started = true;
    int rc = acm_open(others->serial);
    if (!rc)
        rc = guest_audio_start(others->sound, &settings);
    if (rc)
        others->error = rc;
    else
        write_more(others);
}

static bool enough_sound(const struct others *others)
{
    return guest_audio_stats(others->sound, GUEST_AUDIO_PLAY).samples >= OTHERS_AUDIO_SAMPLES &&
           guest_audio_stats(others->sound, GUEST_AUDIO_RECORD).samples >= OTHERS_AUDIO_SAMPLES;
}

void others_step(struct others *others)
{
    if (!others->keyboard || !others->serial || !others->sound)
        return;
    if (!others->started)
        start(others);
    if (acm_is_open(others->serial) && others->sent < OTHERS_SERIAL_BYTES)
        write_more(others);
    if (guest_audio_state(others->sound) == GUEST_AUDIO_RUNNING && enough_sound(others))
        guest_audio_stop(others->sound);
}

bool others_done(const struct others *others)
{
    return others->error || (others->started && others->sound_done && others->received >= OTHERS_SERIAL_BYTES &&
                             others->nr_typed + 1 == sizeof(others->typed));
}

bool others_good(const struct others *others, bool real_time)
{
    const struct guest_audio_stats *in = &others->recorded;
    return !others->error && strcmp(others->typed, OTHERS_TEXT) == 0 && others->wrong == 0 &&
           others->received == OTHERS_SERIAL_BYTES && others->sound_done && (in->lost == 0 || real_time) && in->doubled == 0 &&
           in->errors == 0 && in->odd == 0;
}
