// SPDX-License-Identifier: MIT
/*
 * A UHCI controller of our own that behaves as QEMU's does (sim/uhci/model.h), in the guest's process: qemu-dm's way
 * where there is no QEMU, and what its frames alone cost, without register accesses over a socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "process/loop.h"
#include "uhci/driver.h"
#include "uhci/model.h"

#define MEMORY_BYTES   (8u * 1024 * 1024)
#define MEMORY_ADDRESS 0x10000000u

struct uhci_path {
    struct bench_session session; /* first */
    struct bench_devices *devices;
    uint8_t *memory;
    struct uhci_model *model;
    struct uhci_driver *driver;
};

static int uhci_step(struct bench_session *session, uint64_t now_ns)
{
    struct uhci_path *path = (struct uhci_path *)session;
    uhci_model_step(path->model, now_ns);
    uhci_driver_step(path->driver, now_ns);
    return 0;
}

static int uhci_wait(struct bench_session *session, uint64_t until_ns)
{
    struct uhci_path *path = (struct uhci_path *)session;
    uint64_t frame = uhci_model_deadline(path->model), driver = uhci_driver_deadline(path->driver);
    struct loop loop;
    until_ns = frame < until_ns ? frame : until_ns;
    loop_clear(&loop);
    return loop_wait(&loop, driver < until_ns ? driver : until_ns);
}

static void uhci_counters(struct bench_session *session, struct bench_counters *out)
{
    const struct hc_bus_counters *counters = &uhci_model_bus(((struct uhci_path *)session)->model)->counters;
    *out = (struct bench_counters){.notifications = counters->interrupts,
                                   .registers = counters->reads + counters->writes};
}

static void uhci_close(struct bench_session *session)
{
    struct uhci_path *path = (struct uhci_path *)session;
    uhci_driver_destroy(path->driver);
    uhci_model_destroy(path->model);
    bench_devices_destroy(path->devices);
    free(path->memory);
    free(path);
}

static const struct bench_session_ops uhci_ops = {
    .step = uhci_step,
    .wait = uhci_wait,
    .counters = uhci_counters,
    .close = uhci_close,
};

static int begin(struct uhci_path *path, const struct bench_setup *setup)
{
    path->memory = aligned_alloc(4096, MEMORY_BYTES);
    int rc = path->memory ? bench_devices_create(setup, &path->devices) : -ENOMEM;
    if (rc)
        return rc;
    memset(path->memory, 0, MEMORY_BYTES);
    const struct uhci_model_config config = {.host = bench_devices_host(path->devices),
                                             .memory = path->memory,
                                             .address = MEMORY_ADDRESS,
                                             .size = MEMORY_BYTES};
    rc = uhci_model_create(&config, &path->model);
    for (unsigned int d = 0; !rc && d < setup->devices; d++) {
        char busid[32];
        bench_busid(0, d, busid, sizeof(busid));
        rc = uhci_model_plug(path->model, d + 1, busid);
    }
    if (!rc)
        rc = uhci_driver_create(uhci_model_bus(path->model), &path->driver);
    return rc;
}

static int uhci_open(const struct bench_setup *asked, struct bench_session **out, char *why)
{
    struct bench_setup setup = *asked;
    setup.full_speed = true;
    if (setup.guests > 1 || setup.devices > UHCI_PORTS) {
        snprintf(why, BENCH_WHY_MAX, "one guest with at most %u devices", UHCI_PORTS);
        return -ENOTSUP;
    }
    struct uhci_path *path = calloc(1, sizeof(*path));
    if (!path)
        return -ENOMEM;
    /* By the device into a packet, and from there into memory; control data are once more with the port. */
    path->session = (struct bench_session){.ops = &uhci_ops, .queue = 16, .copies = 2, .control_copies = 1};
    int rc = begin(path, &setup);
    if (rc) {
        snprintf(why, BENCH_WHY_MAX, "%s", strerror(-rc));
        uhci_close(&path->session);
        return rc;
    }
    path->session.hcd[0] = uhci_driver_hcd(path->driver);
    *out = &path->session;
    return 0;
}

const struct bench_path bench_uhci_model = {
    .name = "uhci-model",
    .what = "a UHCI controller of our own, with the frames of QEMU's, in the guest's process",
    .model = true,
    .open = uhci_open,
};
