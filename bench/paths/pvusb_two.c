// SPDX-License-Identifier: MIT
/*
 * PVUSB as it is used: the backend a process, the guest's frontends in ours, and the machine a third one that
 * traffic does not go through. Spinning, each side looks at its rings for a bounded time before it asks for
 * an event and sleeps.
 */
#include "bench/paths/pvusb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <fakexen/fakexen.h>

#include "bench/process.h"
#include "process/family.h"
#include "process/loop.h"

#define CONNECT_NS UINT64_C(10000000000)
#define LOOKS      16u /* at a ring before one at the clock */

struct two {
    struct bench_session session; /* first */
    struct bench_setup setup;
    struct pvusb_way way;
    struct family family;
    bool have_family;
    struct bench_counters *back; /* shared with the backend, which writes it when it has done something */
    struct xen_machine *machine;
    struct front *fronts[BENCH_GUESTS_MAX];
    bool ask;   /* the next step() takes events and asks for more */
    bool asked; /* the last one did, so that we may block */
};

/* ---- the backend's process ---- */

struct server {
    struct back_driver *driver;
    struct usb_host *host;
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

/* The first descriptor is the lifeline. */
static int server_step(const struct server *server, const struct loop *loop)
{
    uint64_t now = loop_now_ns();
    int rc = loop->nr > 1 ? back_driver_step_ready(server->driver, now, loop->fds + 1, loop->nr - 1)
                          : back_driver_step(server->driver, now);
    server->host->ops->step(server->host, now);
    return rc;
}

static int server_sleep(const struct server *server, struct loop *loop, int lifeline, bool more)
{
    int fds[LOOP_FDS_MAX];
    loop_clear(loop);
    loop_add(loop, lifeline);
    unsigned int n = back_driver_fds(server->driver, fds, LOOP_FDS_MAX);
    for (unsigned int i = 0; i < n && i < LOOP_FDS_MAX; i++)
        loop_add(loop, fds[i]);
    return loop_wait(loop, more || back_driver_busy(server->driver) ? 0 : server->host->ops->deadline(server->host));
}

static int back_loop(struct two *two, struct family *family, struct server *server)
{
    const struct loop_spin spin = {
        .ns = two->way.spin_ns, .pending = server_pending, .poll = server_poll, .context = server};
    struct loop loop = {.nr = 0};
    int rc = 0;
    while (!rc && !loop_ready(&loop, family->lifeline[0])) {
        bool more = false;
        rc = server_step(server, &loop);
        if (!rc && spin.ns > 0) {
            more = loop_spin(&spin, server->host->ops->deadline(server->host));
            rc = server_step(server, &loop);
        }
        struct bench_counters counters = {0};
        pvusb_bench_count_back(server->driver, &counters);
        *two->back = counters;
        if (!rc)
            rc = server_sleep(server, &loop, family->lifeline[0], more);
    }
    return rc;
}

static int back_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct bench_devices *devices = NULL;
    struct server server = {.driver = NULL};
    bench_become_device_side(&two->setup);
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = bench_devices_create(&two->setup, &devices);
    if (!rc) {
        server.host = bench_devices_host(devices);
        const struct back_config config = {.host = server.host, .quiet = true, .buffers = two->way.buffers};
        rc = back_driver_create(machine, 0, &config, &server.driver);
    }
    if (!rc)
        rc = back_loop(two, family, &server);
    back_driver_destroy(server.driver);
    bench_devices_destroy(devices);
    fakexen_client_machine_destroy(machine);
    if (rc && rc != -EPIPE)
        snprintf(family->error, FAMILY_ERROR_MAX, "the backend: %s", strerror(-rc));
    return rc == 0 || rc == -EPIPE ? 0 : 1;
}

/* ---- the guests ---- */

static int two_step(struct bench_session *session, uint64_t now_ns)
{
    struct two *two = (struct two *)session;
    bool whole = two->ask || two->way.spin_ns == 0;
    int rc = 0;
    for (unsigned int g = 0; !rc && g < two->setup.guests; g++) {
        struct front *front = two->fronts[g];
        if (whole || now_ns >= front_deadline(front))
            rc = front_step(front, now_ns);
        else if (front_pending(front))
            front_poll(front, now_ns);
    }
    two->asked = whole;
    two->ask = false;
    return rc;
}

static bool front_look(const struct two *two)
{
    for (unsigned int i = 0; i < LOOKS; i++) {
        for (unsigned int g = 0; g < two->setup.guests; g++) {
            if (front_pending(two->fronts[g]))
                return true;
        }
        bench_relax();
    }
    return false;
}

static bool front_spin(const struct two *two, uint64_t until_ns)
{
    if (front_look(two))
        return true;
    uint64_t end = loop_now_ns() + two->way.spin_ns;
    end = end < until_ns ? end : until_ns;
    do {
        if (front_look(two))
            return true;
    } while (loop_now_ns() < end);
    return false;
}

static int two_wait(struct bench_session *session, uint64_t until_ns)
{
    struct two *two = (struct two *)session;
    struct loop loop;
    uint64_t due = until_ns;
    int backend = two->family.child[1].alive;
    if (!two->asked) { /* what comes after the spinning is to send an event */
        two->ask = !front_spin(two, until_ns);
        return 0;
    }
    loop_clear(&loop);
    loop_add(&loop, backend);
    for (unsigned int g = 0; g < two->setup.guests; g++) {
        struct xen *xen = front_xen(two->fronts[g]);
        uint64_t deadline = front_deadline(two->fronts[g]);
        loop_add(&loop, xen->ops->fd(xen));
        due = deadline < due ? deadline : due;
    }
    int rc = loop_wait(&loop, due);
    two->ask = true;
    return rc || !loop_ready(&loop, backend) ? rc : -EPIPE;
}

static void two_counters(struct bench_session *session, struct bench_counters *out)
{
    struct two *two = (struct two *)session;
    *out = *two->back;
    pvusb_bench_count_front(two->fronts, out);
}

static void two_close(struct bench_session *session)
{
    struct two *two = (struct two *)session;
    char error[FAMILY_ERROR_MAX];
    for (unsigned int g = 0; g < BENCH_GUESTS_MAX && two->fronts[g]; g++)
        front_destroy(two->fronts[g]);
    fakexen_client_machine_destroy(two->machine);
    if (two->have_family)
        (void)family_close(&two->family, 0, error);
    if (two->back)
        munmap(two->back, sizeof(*two->back));
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

static int connect_guests(struct two *two)
{
    uint64_t limit = loop_now_ns() + CONNECT_NS;
    int rc = pvusb_bench_fronts(&two->setup, two->machine, two->fronts);
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

int pvusb_two_open(const struct pvusb_way *way, const struct bench_setup *setup, struct bench_session **out,
                   char *why)
{
    char error[FAMILY_ERROR_MAX] = "";
    struct two *two = calloc(1, sizeof(*two));
    if (!two)
        return -ENOMEM;
    *two = (struct two){.session = {.ops = &two_ops, .queue = 16, .patient_hubs = true, .copies = 1},
                        .setup = *setup,
                        .way = *way};
    int rc = 0;
    two->back = mmap(NULL, sizeof(*two->back), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (two->back == MAP_FAILED) {
        two->back = NULL;
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
    return pvusb_two_open(&(struct pvusb_way){0}, setup, out, why);
}

static int open_map(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return pvusb_two_open(&(struct pvusb_way){.buffers = BACK_BUFFERS_MAP}, setup, out, why);
}

static int open_copy(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return pvusb_two_open(&(struct pvusb_way){.buffers = BACK_BUFFERS_COPY}, setup, out, why);
}

static int open_spin(const struct bench_setup *setup, struct bench_session **out, char *why)
{
    return pvusb_two_open(&(struct pvusb_way){.spin_ns = SPIN_NS}, setup, out, why);
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
