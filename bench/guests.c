// SPDX-License-Identifier: MIT
#include "bench/guests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "process/loop.h"

static void find_endpoints(struct bench_target *target)
{
    const struct guest_device *device = target->device;
    for (unsigned int i = 0; i < device->configuration.nr_interfaces; i++) {
        const struct guest_interface *interface = &device->configuration.interfaces[i];
        const struct guest_endpoint *out = guest_endpoint_of(interface, USBIF_PIPE_TYPE_BULK, 0);
        const struct guest_endpoint *in = guest_endpoint_of(interface, USBIF_PIPE_TYPE_BULK, 0x80);
        if (!in)
            in = guest_endpoint_of(interface, USBIF_PIPE_TYPE_INT, 0x80);
        if (!in)
            continue;
        target->in = in->address;
        target->out = out ? out->address : 0;
        return;
    }
}

static void on_ready(void *context, struct guest_device *device)
{
    struct bench_guests *guests = context;
    if (guests->nr_targets == BENCH_DEVICES_MAX)
        return;
    struct bench_target *target = &guests->target[guests->nr_targets++];
    *target = (struct bench_target){.device = device};
    for (unsigned int g = 0; g < guests->nr_guests; g++) {
        if (guests->guest[g] == device->guest)
            target->hcd = guests->session->hcd[g];
    }
    find_endpoints(target);
}

static void on_gone(void *context, struct guest_device *device)
{
    struct bench_guests *guests = context;
    (void)device;
    if (!guests->closing)
        guests->error = -ENODEV;
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct bench_guests *guests = context;
    (void)port;
    guests->error = error;
}

int bench_turn(struct bench_session *session, uint64_t until_ns, const bool *progress)
{
    int rc = session->ops->step(session, loop_now_ns());
    return rc || *progress ? rc : session->ops->wait(session, until_ns);
}

/* Steps guests and session until that is so; step() before guest_step(), which the root hubs may have news for. */
static int run_until(struct bench_guests *guests, bool (*done)(const struct bench_guests *guests))
{
    struct bench_session *session = guests->session;
    uint64_t limit = loop_now_ns() + BENCH_PATIENCE_NS;
    while (!done(guests) && !guests->error) {
        uint64_t due = limit, now = loop_now_ns();
        int rc = session->ops->step(session, now);
        for (unsigned int g = 0; g < guests->nr_guests; g++) {
            guest_step(guests->guest[g], now);
            uint64_t deadline = guest_deadline(guests->guest[g]);
            due = deadline < due ? deadline : due;
        }
        if (!rc && !done(guests))
            rc = session->ops->wait(session, due);
        if (rc)
            return rc;
        if (now >= limit)
            return -ETIMEDOUT;
    }
    return guests->error;
}

static bool all_ready(const struct bench_guests *guests)
{
    return guests->nr_targets == guests->wanted;
}

static bool none_busy(const struct bench_guests *guests)
{
    for (unsigned int g = 0; g < guests->nr_guests; g++) {
        if (guest_busy(guests->guest[g]))
            return false;
    }
    return true;
}

int bench_guests_open(struct bench_session *session, const struct bench_setup *setup,
                      struct bench_guests *out, char *why)
{
    const struct guest_listener listener = {
        .ready = on_ready, .gone = on_gone, .failed = on_failed, .context = out};
    int rc = 0;
    *out = (struct bench_guests){.session = session, .wanted = setup->guests * setup->devices};
    while (!rc && out->nr_guests < setup->guests) {
        rc = guest_create(session->hcd[out->nr_guests], &listener, &out->guest[out->nr_guests]);
        out->nr_guests += rc ? 0 : 1;
    }
    if (!rc)
        rc = run_until(out, all_ready);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "%u of %u devices were enumerated, then: %s", out->nr_targets, out->wanted,
                 strerror(-rc));
        (void)bench_guests_close(out);
    }
    return rc;
}

int bench_guests_close(struct bench_guests *guests)
{
    guests->closing = true;
    guests->error = 0;
    for (unsigned int g = 0; g < guests->nr_guests; g++)
        guest_close(guests->guest[g]);
    int rc = run_until(guests, none_busy);
    for (unsigned int g = 0; g < guests->nr_guests && !rc; g++)
        guest_destroy(guests->guest[g]);
    return rc;
}
