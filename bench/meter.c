// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/process.h"
#include "bench/work.h"
#include "process/loop.h"

int bench_sample_create(struct bench_sample *out)
{
    *out = (struct bench_sample){.latency_ns = malloc(BENCH_LATENCIES_MAX * sizeof(uint64_t))};
    return out->latency_ns ? 0 : -ENOMEM;
}

void bench_sample_destroy(struct bench_sample *sample)
{
    free(sample->latency_ns);
}

static uint64_t difference(uint64_t after, uint64_t before)
{
    return after == BENCH_UNKNOWN || before == BENCH_UNKNOWN ? BENCH_UNKNOWN : after - before;
}

void bench_meter_begin(struct bench_meter *meter)
{
    struct bench_session *session = meter->guests->session;
    uint64_t *latency_ns = meter->sample->latency_ns;
    *meter->sample = (struct bench_sample){.latency_ns = latency_ns};
    session->ops->counters(session, &meter->before);
    meter->begin_sleeps = bench_sleeps(session);
    meter->begin_cpu_ns = bench_cpu_ns(session);
    meter->begin_ns = loop_now_ns();
    meter->on = true;
}

void bench_meter_end(struct bench_meter *meter)
{
    struct bench_session *session = meter->guests->session;
    struct bench_sample *sample = meter->sample;
    struct bench_counters after;
    if (!meter->on)
        return;
    sample->elapsed_ns = loop_now_ns() - meter->begin_ns;
    sample->cpu_ns = bench_cpu_ns(session) - meter->begin_cpu_ns;
    sample->sleeps = bench_sleeps(session) - meter->begin_sleeps;
    session->ops->counters(session, &after);
    sample->counters = (struct bench_counters){
        .notifications = difference(after.notifications, meter->before.notifications),
        .copied = difference(after.copied, meter->before.copied),
        .maps = difference(after.maps, meter->before.maps),
        .registers = difference(after.registers, meter->before.registers),
    };
    if (session->copies) {
        uint64_t counted = sample->counters.copied == BENCH_UNKNOWN ? 0 : sample->counters.copied;
        unsigned int copies = session->copies + (meter->control ? session->control_copies : 0);
        sample->counters.copied = copies * sample->bytes + counted;
    }
    meter->on = false;
}

void bench_meter_latency(struct bench_meter *meter, uint64_t ns)
{
    struct bench_sample *sample = meter->sample;
    if (!meter->on)
        return;
    sample->operations++;
    if (sample->nr_latencies < BENCH_LATENCIES_MAX)
        sample->latency_ns[sample->nr_latencies++] = ns;
}

void bench_meter_urb(struct bench_meter *meter, uint32_t bytes)
{
    if (!meter->on)
        return;
    meter->sample->urbs++;
    meter->sample->bytes += bytes;
}

void bench_meter_drain(struct bench_meter *meter, const unsigned int *held)
{
    struct bench_session *session = meter->guests->session;
    const bool always = true;
    uint64_t now = loop_now_ns(), limit = now + BENCH_TAKE_BACK_NS;
    for (; *held && now < limit; now = loop_now_ns()) {
        if (bench_turn(session, now, limit, &always) || session->ops->wait(session, now + 1000000))
            break;
    }
    meter->sample->stuck = *held > 0;
}

int bench_fail(struct bench_sample *sample, int rc, const char *format, ...)
{
    va_list args;
    if (sample->error[0])
        return rc;
    va_start(args, format);
    vsnprintf(sample->error, sizeof(sample->error), format, args);
    va_end(args);
    return rc;
}
