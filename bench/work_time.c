// SPDX-License-Identifier: MIT
/* Workloads that only let time pass: sound, which the guest's driver moves by itself, and silence. */
#include <errno.h>
#include <stdlib.h>

#include "bench/work.h"
#include "guest/audio.h"
#include "process/loop.h"

#define RATE 48000u

struct sound {
    struct guest_audio *audio;
    uint64_t until_ns;
    int status;
};

static void changed(void *context, struct guest_audio *audio, int status)
{
    struct sound *sound = context;
    (void)audio;
    if (status)
        sound->status = status;
}

/* Who keeps packets for a while, as QEMU's usb-redir does, is asked when the first ones are through. */
static bool runs(void *context)
{
    const struct sound *sound = context;
    return sound->status || (guest_audio_state(sound->audio) == GUEST_AUDIO_RUNNING &&
                             guest_audio_stats(sound->audio, GUEST_AUDIO_RECORD).samples > 0);
}

static bool played(void *context)
{
    const struct sound *sound = context;
    return sound->status || loop_now_ns() >= sound->until_ns;
}

static bool is_idle(void *context)
{
    const struct sound *sound = context;
    return guest_audio_state(sound->audio) == GUEST_AUDIO_IDLE && !guest_audio_busy(sound->audio);
}

/* What was lost between the two looks, from what came and what should have come. */
static void account(struct bench_sample *sample, const struct guest_audio_stats before[2],
                    const struct guest_audio_stats after[2])
{
    for (unsigned int d = 0; d < 2; d++) {
        sample->urbs += after[d].urbs - before[d].urbs;
        sample->bytes += (after[d].samples - before[d].samples) * 4;
    }
    sample->lost = after[GUEST_AUDIO_RECORD].lost - before[GUEST_AUDIO_RECORD].lost;
    sample->expected = sample->lost + after[GUEST_AUDIO_RECORD].samples - before[GUEST_AUDIO_RECORD].samples;
    sample->operations = after[0].errors - before[0].errors + after[1].errors - before[1].errors;
}

static int play(struct bench_guests *guests, struct sound *sound, uint64_t ns, struct bench_sample *out)
{
    struct guest_audio_settings settings = {.rate = RATE};
    struct guest_audio_stats before[2], after[2];
    struct bench_meter meter = {.guests = guests, .sample = out};
    int rc = guest_audio_start(sound->audio, &settings);
    if (!rc)
        rc = bench_guests_run(guests, loop_now_ns() + BENCH_PATIENCE_NS, runs, sound);
    if (rc || sound->status)
        return rc;
    bench_meter_begin(&meter);
    sound->until_ns = loop_now_ns() + ns;
    for (unsigned int d = 0; d < 2; d++)
        before[d] = guest_audio_stats(sound->audio, (enum guest_audio_direction)d);
    rc = bench_guests_run(guests, sound->until_ns, played, sound);
    for (unsigned int d = 0; d < 2; d++)
        after[d] = guest_audio_stats(sound->audio, (enum guest_audio_direction)d);
    bench_meter_end(&meter);
    account(out, before, after);
    return rc == -ETIMEDOUT ? 0 : rc; /* that is when the time is over */
}

int bench_work_iso(struct bench_guests *guests, uint64_t ns, struct bench_sample *out)
{
    struct sound *sound = calloc(1, sizeof(*sound));
    if (!sound)
        return -ENOMEM;
    int rc = guest_audio_create(guests->target[0].device, changed, sound, &sound->audio);
    if (rc) {
        free(sound);
        return bench_fail(out, rc, "the device is no sound card");
    }
    rc = play(guests, sound, ns, out);
    if (!rc && sound->status)
        rc = bench_fail(out, sound->status, "the sound stopped");
    guest_audio_stop(sound->audio);
    int stopped = bench_guests_run(guests, loop_now_ns() + BENCH_PATIENCE_NS, is_idle, sound);
    if (!stopped) { /* else its transfers come back when the session is closed */
        guest_audio_destroy(sound->audio);
        free(sound);
    }
    return rc ? rc : stopped;
}

static int pass(struct bench_session *session, uint64_t ns)
{
    uint64_t until = loop_now_ns() + ns;
    int rc = session->ops->step(session, loop_now_ns());
    while (!rc && loop_now_ns() < until) {
        rc = session->ops->wait(session, until);
        if (!rc)
            rc = session->ops->step(session, loop_now_ns());
    }
    return rc;
}

int bench_work_idle(struct bench_guests *guests, uint64_t ns, struct bench_sample *out)
{
    struct bench_meter meter = {.guests = guests, .sample = out};
    int rc = pass(guests->session, ns / 10); /* what is still going on from the enumeration */
    if (rc)
        return rc;
    bench_meter_begin(&meter);
    rc = pass(guests->session, ns);
    bench_meter_end(&meter);
    if (out->sleeps > 0)
        out->sleeps--; /* ours, until the time was over */
    return rc;
}
