// SPDX-License-Identifier: MIT
#include "bench/guests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "process/loop.h"

/* A guest's waits while it enumerates are shorter, the timeouts of its transfers longer. */
#define PORT_WAIT_NS UINT64_C(200000000)
#define MOMENT_NS    UINT64_C(500000) /* longer than a transfer takes */

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

int bench_turn(struct bench_session *session, uint64_t now_ns, uint64_t until_ns, const bool *progress)
{
    int rc = session->ops->step(session, now_ns);
    return rc || *progress ? rc : session->ops->wait(session, until_ns);
}

/* The guests' waits for ports, which end at due_ns on their clock, need not be sat out: see path.h. */
static bool may_skip(const struct bench_guests *guests, uint64_t due_ns, uint64_t guest_now_ns)
{
    return guests->hurry && due_ns > guest_now_ns && due_ns - guest_now_ns <= PORT_WAIT_NS;
}

/* Waits until something comes for the session, or for a guest at due_ns of its clock. */
static int wait_for_more(struct bench_guests *guests, uint64_t due_ns, uint64_t now_ns, uint64_t limit_ns)
{
    struct bench_session *session = guests->session;
    uint64_t until = due_ns == UINT64_MAX ? due_ns : due_ns - guests->skew_ns;
    if (!may_skip(guests, due_ns, now_ns + guests->skew_ns))
        return session->ops->wait(session, until < limit_ns ? until : limit_ns);
    /* The transfers of other ports get some time to come back, or their timeouts would be skipped, too. */
    uint64_t moment = now_ns + MOMENT_NS < until ? now_ns + MOMENT_NS : until;
    int rc = session->ops->wait(session, moment);
    if (!rc && loop_now_ns() >= moment)
        guests->skew_ns += until - moment;
    return rc;
}

int bench_guests_run(struct bench_guests *guests, uint64_t limit_ns, bool (*done)(void *context),
                     void *context)
{
    struct bench_session *session = guests->session;
    while (!done(context) && !guests->error) {
        uint64_t due = UINT64_MAX, now = loop_now_ns();
        int rc = session->ops->step(session, now); /* first: it may have news of the root hub */
        for (unsigned int g = 0; g < guests->nr_guests; g++) {
            guest_step(guests->guest[g], now + guests->skew_ns);
            uint64_t deadline = guest_deadline(guests->guest[g]);
            due = deadline < due ? deadline : due;
        }
        if (!rc && !done(context))
            rc = wait_for_more(guests, due, now, limit_ns);
        if (rc)
            return rc;
        if (now >= limit_ns)
            return -ETIMEDOUT;
    }
    return guests->error;
}

static bool all_ready(void *context)
{
    const struct bench_guests *guests = context;
    return guests->nr_targets == guests->wanted;
}

static bool none_busy(void *context)
{
    const struct bench_guests *guests = context;
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
    out->hurry = session->patient_hubs;
    while (!rc && out->nr_guests < setup->guests) {
        rc = guest_create(session->hcd[out->nr_guests], &listener, &out->guest[out->nr_guests]);
        out->nr_guests += rc ? 0 : 1;
    }
    if (!rc)
        rc = bench_guests_run(out, loop_now_ns() + BENCH_PATIENCE_NS, all_ready, out);
    out->hurry = false;
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "%u of %u devices were enumerated, then: %s", out->nr_targets,
                 out->wanted, strerror(-rc));
        out->stuck = bench_guests_close(out) != 0;
    }
    return rc;
}

int bench_guests_close(struct bench_guests *guests)
{
    guests->closing = true;
    guests->error = 0;
    for (unsigned int g = 0; g < guests->nr_guests; g++)
        guest_close(guests->guest[g]);
    int rc = bench_guests_run(guests, loop_now_ns() + BENCH_PATIENCE_NS, none_busy, guests);
    for (unsigned int g = 0; g < guests->nr_guests && !rc; g++)
        guest_destroy(guests->guest[g]);
    return rc;
}
