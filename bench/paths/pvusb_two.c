// SPDX-License-Identifier: MIT
/*
 * PVUSB as it is used: the backend a process, the guest's frontends in ours, and the machine a third one that
 * traffic does not go through. Spinning, each side looks at its rings for a bounded time before it asks for
 * an event and sleeps.
 */
#include "bench/paths/pvusb.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <fakexen/fakexen.h>
#include <fakexen/waitset.h>

#include "bench/process.h"
#include "process/family.h"
#include "process/loop.h"

#define CONNECT_NS UINT64_C(10000000000)
#define SETTLE_NS  UINT64_C(1000000000)
#define LOOKS      16u /* at a ring before one at the clock */

struct way {
    uint64_t spin_ns; /* each side looks at its ring for so long before it blocks; 0: blocks at once */
    enum back_buffers buffers;
};

/* Between the backend's process and ours. */
struct shared {
    struct bench_counters counters; /* of the backend, whole when it sleeps */
    atomic_bool awake;
};

struct two {
    struct bench_session session; /* first */
    struct bench_setup setup;
    struct way way;
    struct family family;
    bool have_family;
    struct shared *shared;
    struct xen_machine *machine;
    struct front *fronts[BENCH_GUESTS_MAX];
    struct xen_waitset *set;
    struct xen_waitset_fd end; /* of the backend */
    uint64_t now_ns;           /* of the last step */
    bool ask;                  /* the next step() takes events and asks for more */
    bool asked;                /* the last one did and nothing was polled since, so that we may block */
};

/* ---- the backend's process ---- */

struct server {
    struct back_driver *driver;
    struct bench_devices *devices;
    struct usb_host *host;
    struct xen_waitset *set;
    struct xen_waitset_fd lifeline;
};

static bool server_pending(void *context)
{
    return back_driver_pending(((const struct server *)context)->driver);
}

static void server_poll(void *context, uint64_t now_ns)
{
    const struct server *server = context;
    back_driver_poll(server->driver);
    server->host->ops->step(server->host, now_ns);
}

static int server_step(const struct server *server)
{
    uint64_t now = loop_now_ns();
    int rc = back_driver_step(server->driver, now);
    server->host->ops->step(server->host, now);
    return rc;
}

static int back_loop(struct two *two, struct server *server)
{
    const struct loop_spin spin = {
        .ns = two->way.spin_ns, .pending = server_pending, .poll = server_poll, .context = server};
    int rc = 0;
    while (!rc && !server->lifeline.ready) {
        bool more = false;
        atomic_store_explicit(&two->shared->awake, true, memory_order_relaxed);
        rc = server_step(server);
        if (!rc && spin.ns > 0) {
            more = loop_spin(&spin, server->host->ops->deadline(server->host));
            rc = server_step(server);
        }
        struct bench_counters counters = {0};
        pvusb_bench_count_back(server->driver, &counters);
        two->shared->counters = counters;
        more = more || back_driver_busy(server->driver);
        atomic_store_explicit(&two->shared->awake, more, memory_order_release);
        if (!rc)
            rc = xen_waitset_until(server->set, more ? 0 : server->host->ops->deadline(server->host));
    }
    return rc;
}

static int back_open(struct family *family, struct two *two, struct xen_machine *machine,
                     struct server *server)
{
    server->host = bench_devices_host(server->devices);
    int rc = xen_waitset_create(&server->set);
    if (!rc)
        rc = xen_waitset_add_fd(server->set, &server->lifeline, family->lifeline[0]);
    const struct back_config config = {
        .host = server->host, .quiet = true, .buffers = two->way.buffers, .set = server->set};
    return rc ? rc : back_driver_create(machine, 0, &config, &server->driver);
}

static int back_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct server server = {.driver = NULL};
    bench_become_device_side(&two->setup);
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = bench_devices_create(&two->setup, &server.devices);
    if (!rc)
        rc = back_open(family, two, machine, &server);
    if (!rc)
        rc = back_loop(two, &server);
    back_driver_destroy(server.driver);
    xen_waitset_destroy(server.set);
    bench_devices_destroy(server.devices);
    fakexen_client_machine_destroy(machine);
    if (rc && rc != -EPIPE)
        snprintf(family->error, FAMILY_ERROR_MAX, "the backend: %s", strerror(-rc));
    return rc == 0 || rc == -EPIPE ? 0 : 1;
}

/* ---- the guests ---- */

static int two_step(struct bench_session *session, uint64_t now_ns)
{
    struct two *two = (struct two *)session;
    bool spins = two->way.spin_ns > 0;
    int rc = 0;
    for (unsigned int g = 0; !rc && g < two->setup.guests; g++) {
        struct front *front = two->fronts[g];
        if (two->ask || now_ns >= front_deadline(front))
            rc = front_step(front, now_ns);
        else if (spins && front_pending(front))
            front_poll(front, now_ns);
    }
    two->now_ns = now_ns;
    two->asked = two->ask || !spins;
    two->ask = false;
    return rc;
}

/* Takes what has come within some looks: nothing, not even the clock, is between it and the guest. */
static bool front_look(const struct two *two, uint64_t now_ns)
{
    bool any = false;
    for (unsigned int i = 0; i < LOOKS && !any; i++) {
        for (unsigned int g = 0; g < two->setup.guests; g++) {
            if (!front_pending(two->fronts[g]))
                continue;
            front_poll(two->fronts[g], now_ns);
            any = true;
        }
        if (!any)
            bench_relax();
    }
    return any;
}

static bool front_spin(const struct two *two, uint64_t until_ns)
{
    if (front_look(two, two->now_ns))
        return true;
    uint64_t now = loop_now_ns(), end = now + two->way.spin_ns;
    end = end < until_ns ? end : until_ns;
    for (; now < end; now = loop_now_ns()) {
        if (front_look(two, now))
            return true;
    }
    return false;
}

static int two_wait(struct bench_session *session, uint64_t until_ns)
{
    struct two *two = (struct two *)session;
    uint64_t due = until_ns;
    if (!two->asked) { /* what comes after the spinning is to send an event */
        two->ask = !front_spin(two, until_ns);
        return 0;
    }
    for (unsigned int g = 0; g < two->setup.guests; g++) {
        uint64_t deadline = front_deadline(two->fronts[g]);
        due = deadline < due ? deadline : due;
    }
    int rc = xen_waitset_until(two->set, due);
    two->ask = true;
    return rc || !two->end.ready ? rc : -EPIPE;
}

/* Asked for when no transfer is under way: a backend that is awake sleeps soon. */
static void two_counters(struct bench_session *session, struct bench_counters *out)
{
    struct two *two = (struct two *)session;
    uint64_t limit = loop_now_ns() + SETTLE_NS;
    while (atomic_load_explicit(&two->shared->awake, memory_order_acquire) && loop_now_ns() < limit)
        sched_yield();
    *out = two->shared->counters;
    pvusb_bench_count_front(two->fronts, out);
}

static void two_close(struct bench_session *session)
{
    struct two *two = (struct two *)session;
    char error[FAMILY_ERROR_MAX];
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && two->fronts[g]; g++)
        front_destroy(two->fronts[g]);
    xen_waitset_destroy(two->set);
    fakexen_client_machine_destroy(two->machine);
    if (two->have_family)
        (void)family_close(&two->family, 0, error);
    if (two->shared)
        munmap(two->shared, sizeof(*two->shared));
    free(two);
}

static const struct bench_session_ops two_ops = {
    .step = two_step,
    .wait = two_wait,
    .counters = two_counters,
    .close = two_close,
};

/* ---- beginning ---- */

static int start_processes(struct two *two, char *error)
{
    bench_become_device_side(&two->setup); /* for the machine; the backend does it by itself */
    int rc = family_open(&two->family, error);
    bench_become_guest_side(&two->setup);
    if (rc)
        return rc;
    two->have_family = true;
    rc = fakexen_client_machine_create(two->family.dir, &two->machine);
    if (!rc)
        rc = pvusb_bench_nodes(&two->setup, two->machine);
    if (!rc)
        rc = family_start(&two->family, "backend", back_main, two);
    if (rc < 0)
        return rc;
    for (unsigned int i = 0; i < two->family.nr_children; i++)
        two->session.process[two->session.nr_processes++] = two->family.child[i].pid;
    return 0;
}

static int wait_for_all(struct two *two)
{
    int rc = xen_waitset_create(&two->set);
    if (!rc)
        rc = xen_waitset_add_fd(two->set, &two->end, two->family.child[1].alive);
    for (unsigned int g = 0; !rc && g < two->setup.guests; g++)
        rc = xen_waitset_add(two->set, front_xen(two->fronts[g]));
    return rc;
}

static int connect_guests(struct two *two)
{
    uint64_t limit = loop_now_ns() + CONNECT_NS;
    int rc = pvusb_bench_fronts(&two->setup, two->machine, two->fronts);
    if (!rc)
        rc = wait_for_all(two);
    while (!rc) {
        uint64_t now = loop_now_ns();
        two->ask = true;
        rc = two_step(&two->session, now);
        if (!rc && pvusb_bench_connected(&two->setup, two->fronts))
            break;
        if (!rc && now >= limit)
            rc = -ETIMEDOUT;
        if (!rc)
            rc = two_wait(&two->session, limit);
    }
    for (unsigned int g = 0; !rc && g < two->setup.guests; g++)
        two->session.hcd[g] = front_hcd(two->fronts[g]);
    return rc;
}

static int open_two(const struct way *way, const struct bench_setup *setup, struct bench_session **out,
                    char *why)
{
    char error[FAMILY_ERROR_MAX] = "";
    struct two *two = calloc(1, sizeof(*two));
    if (!two)
        return -ENOMEM;
    *two = (struct two){
        .session = {.ops = &two_ops, .queue = PVUSB_BENCH_QUEUE, .patient_hubs = true, .copies = 1},
        .setup = *setup,
        .way = *way};
    int rc = 0;
    two->shared = mmap(NULL, sizeof(*two->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (two->shared == MAP_FAILED) {
        two->shared = NULL;
        rc = -ENOMEM;
    }
    if (!rc)
        rc = start_processes(two, error);
    if (!rc)
        rc = connect_guests(two);
    if (rc) {
        const char *line = error[0] || !two->have_family ? error : two->family.error;
        snprintf(why, BENCH_WHY_MAX, "%.120s", line[0] ? line : strerror(-rc));
        two_close(&two->session);
        return rc;
    }
    *out = &two->session;
    return 0;
}

/* ---- the paths ---- */

#define SPIN_NS UINT64_C(20000) /* what a wake-up across processors costs */

static int open_block(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_two(&(struct way){0}, setup, out, why);
}

static int open_map(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_two(&(struct way){.buffers = BACK_BUFFERS_MAP}, setup, out, why);
}

static int open_copy(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_two(&(struct way){.buffers = BACK_BUFFERS_COPY}, setup, out, why);
}

static int open_spin(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return open_two(&(struct way){.spin_ns = SPIN_NS}, setup, out, why);
}

const struct bench_path bench_pvusb_block = {
    .name = "pvusb-block",
    .what = "our PVUSB, two processes, persistent grants, each blocks when it has nothing to do",
    .scales = true,
    .open = open_block,
};

const struct bench_path bench_pvusb_spin = {
    .name = "pvusb-spin",
    .what = "the same, but each looks at its ring for 20 us before it blocks",
    .spins = true,
    .scales = true,
    .open = open_spin,
};

const struct bench_path bench_pvusb_map = {
    .name = "pvusb-map",
    .what = "as pvusb-block, but without persistent grants: each URB is granted and mapped for itself",
    .open = open_map,
};

const struct bench_path bench_pvusb_copy = {
    .name = "pvusb-copy",
    .what = "as pvusb-block, but without persistent grants: the data of each URB goes by grant copy",
    .open = open_copy,
};
