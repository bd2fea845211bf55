// SPDX-License-Identifier: MIT
/* Both halves and the machine in one process: what their own work costs, with no wake-up and no second
 * processor. */
#include "bench/paths/pvusb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"

#define ROUNDS_MAX 10000u /* to connect in */

struct one {
    struct bench_session session; /* first */
    struct bench_setup setup;
    struct fakexen_local *local;
    struct bench_devices *devices;
    struct usb_host *host;
    struct back_driver *driver;
    struct front *fronts[BENCH_GUESTS_MAX];
};

static int one_step(struct bench_session *session, uint64_t now_ns)
{
    struct one *one = (struct one *)session;
    int rc = back_driver_step(one->driver, now_ns);
    one->host->ops->step(one->host, now_ns);
    for (unsigned int g = 0; !rc && g < one->setup.guests; g++)
        rc = front_step(one->fronts[g], now_ns);
    return rc;
}

static int one_wait(struct bench_session *session, uint64_t until_ns)
{
    struct one *one = (struct one *)session;
    struct loop loop;
    if (fakexen_local_pending(one->local) || back_driver_busy(one->driver))
        return 0;
    uint64_t due = one->host->ops->deadline(one->host);
    due = due < until_ns ? due : until_ns;
    for (unsigned int g = 0; g < one->setup.guests; g++) {
        uint64_t deadline = front_deadline(one->fronts[g]);
        due = deadline < due ? deadline : due;
    }
    loop_clear(&loop);
    return loop_wait(&loop, due);
}

static void one_counters(struct bench_session *session, struct bench_counters *out)
{
    struct one *one = (struct one *)session;
    *out = (struct bench_counters){.registers = 0};
    pvusb_bench_count_back(one->driver, out);
    pvusb_bench_count_front(one->fronts, out);
}

static void one_close(struct bench_session *session)
{
    struct one *one = (struct one *)session;
    back_driver_destroy(one->driver);
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && one->fronts[g]; g++)
        front_destroy(one->fronts[g]);
    fakexen_local_destroy(one->local);
    bench_devices_destroy(one->devices);
    free(one);
}

static const struct bench_session_ops one_ops = {
    .step = one_step,
    .wait = one_wait,
    .counters = one_counters,
    .close = one_close,
};

static int begin(struct one *one)
{
    int rc = fakexen_local_create(&one->local);
    if (!rc)
        rc = bench_devices_create(&one->setup, &one->devices);
    if (rc)
        return rc;
    struct xen_machine *machine = fakexen_local_machine(one->local);
    one->host = bench_devices_host(one->devices);
    rc = pvusb_bench_nodes(&one->setup, machine);
    const struct back_config config = {.host = one->host, .quiet = true};
    if (!rc)
        rc = back_driver_create(machine, 0, &config, &one->driver);
    if (!rc)
        rc = pvusb_bench_fronts(&one->setup, machine, one->fronts);
    for (unsigned int i = 0; !rc && !pvusb_bench_connected(&one->setup, one->fronts); i++)
        rc = i < ROUNDS_MAX ? one_step(&one->session, loop_now_ns()) : -ETIMEDOUT;
    for (unsigned int g = 0; !rc && g < one->setup.guests; g++)
        one->session.hcd[g] = front_hcd(one->fronts[g]);
    return rc;
}

static int one_open(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    struct one *one = calloc(1, sizeof(*one));
    if (!one)
        return -ENOMEM;
    *one = (struct one){.session = {.ops = &one_ops, .queue = PVUSB_BENCH_QUEUE, .patient_hubs = true, .copies = 1},
                        .setup = *setup};
    int rc = begin(one);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "%s", strerror(-rc));
        one_close(&one->session);
        return rc;
    }
    *out = &one->session;
    return 0;
}

const struct bench_path bench_pvusb_one = {
    .name = "pvusb-one",
    .what = "our PVUSB, both halves in one process: no wake-ups",
    .open = one_open,
};
