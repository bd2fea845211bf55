// SPDX-License-Identifier: MIT
/*
 * Calls straight into the device, with nothing in between and nothing to wait for: what passing a whole
 * controller through would cost beyond its native driver. A model, as there is no hardware; the upper bound
 * of all paths.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "process/loop.h"
#include "guest/loop_hcd.h"

struct direct {
    struct bench_session session; /* first */
    struct bench_devices *devices;
    struct usb_host *host;
    struct loop_hcd *loops[BENCH_GUESTS_MAX];
};

static int direct_step(struct bench_session *session, uint64_t now_ns)
{
    struct direct *direct = (struct direct *)session;
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && direct->loops[g]; g++)
        loop_hcd_step(direct->loops[g], now_ns);
    return 0;
}

/* Without a bus everything is done when it is submitted, and nobody sleeps. */
static int direct_wait(struct bench_session *session, uint64_t until_ns)
{
    struct direct *direct = (struct direct *)session;
    struct loop loop;
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && direct->loops[g]; g++) {
        if (loop_hcd_due(direct->loops[g]))
            return 0;
    }
    uint64_t due = direct->host->ops->deadline(direct->host);
    loop_clear(&loop);
    return loop_wait(&loop, due < until_ns ? due : until_ns);
}

static void direct_counters(struct bench_session *session, struct bench_counters *out)
{
    (void)session;
    *out = (struct bench_counters){.copied = BENCH_UNKNOWN};
}

static void direct_close(struct bench_session *session)
{
    struct direct *direct = (struct direct *)session;
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && direct->loops[g]; g++)
        loop_hcd_destroy(direct->loops[g]);
    bench_devices_destroy(direct->devices);
    free(direct);
}

static const struct bench_session_ops direct_ops = {
    .step = direct_step,
    .wait = direct_wait,
    .counters = direct_counters,
    .close = direct_close,
};

static int direct_open(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    struct direct *direct = calloc(1, sizeof(*direct));
    int rc = direct ? bench_devices_create(setup, &direct->devices) : -ENOMEM;
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "the devices: %s", strerror(-rc));
        free(direct);
        return rc;
    }
    direct->session =
        (struct bench_session){.ops = &direct_ops, .queue = 16, .patient_hubs = true, .copies = 1};
    direct->host = bench_devices_host(direct->devices);
    for (unsigned int g = 0; !rc && g < setup->guests; g++) {
        direct->loops[g] = loop_hcd_create(direct->host, setup->devices);
        direct->session.hcd[g] = loop_hcd_hcd(direct->loops[g]);
        for (unsigned int d = 0; !rc && d < setup->devices; d++) {
            char busid[32];
            bench_busid(g, d, busid, sizeof(busid));
            rc = loop_hcd_attach(direct->loops[g], d + 1, busid);
        }
    }
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "a device: %s", strerror(-rc));
        direct_close(&direct->session);
        return rc;
    }
    *out = &direct->session;
    return 0;
}

const struct bench_path bench_direct = {
    .name = "direct",
    .what = "calls straight into the device: a whole controller passed through",
    .model = true,
    .scales = true,
    .open = direct_open,
};
