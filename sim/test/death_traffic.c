// SPDX-License-Identifier: MIT
#include "death_traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "frontend/frontend.h"
#include "guest/storage.h"
#include "process/loop.h"

#define GUEST_DOMID  1u
#define BLOCKS_MAX   200u
#define BUFFER_BYTES (BLOCKS_MAX * 512u)

struct side {
    const struct traffic *traffic;
    struct front *front;
    struct guest *guest;
    struct storage *storage;
    struct storage_request request;
    uint8_t *buffer;
    uint8_t expected[BUFFER_BYTES];
    uint64_t random;
    uint64_t connection; /* of the guest, as front_stats counts them */
    uint64_t lost;
    bool works;
    bool good;
    bool leaving;
    bool ended;
    bool bad;
};

static void report(struct side *side, enum traffic_event event, const char *what)
{
    struct traffic_report r = {.event = event, .ns = loop_now_ns()};
    snprintf(r.what, sizeof(r.what), "%s", what);
    if (event == TRAFFIC_BAD)
        side->bad = true;
    (void)!write(side->traffic->report, &r, sizeof(r));
}

static void count(const struct side *side)
{
    (void)!eventfd_write(side->traffic->ops, 1);
}

/* xorshift64*. */
static uint64_t next(struct side *side)
{
    side->random ^= side->random >> 12;
    side->random ^= side->random << 25;
    side->random ^= side->random >> 27;
    return side->random * 2685821657736338717u;
}

/* ---- traffic ---- */

static void write_some(struct side *side);

static void request_failed(struct side *side)
{
    if (side->ended || front_state(side->front) != XenbusStateConnected)
        return; /* with its connection */
    report(side, TRAFFIC_BAD, strerror(-side->request.status));
}

static void read_back(struct storage_request *request)
{
    struct side *side = request->context;
    if (request->status) {
        request_failed(side);
        return;
    }
    if (memcmp(side->buffer, side->expected, (size_t)request->blocks * 512) != 0) {
        report(side, TRAFFIC_BAD, "other bytes came back");
        return;
    }
    if (!side->good)
        report(side, TRAFFIC_GOOD, "");
    side->good = true;
    write_some(side);
}

static void ask(struct side *side, bool write, void (*done)(struct storage_request *request))
{
    side->request.write = write;
    side->request.done = done;
    int rc = storage_submit(side->storage, &side->request);
    if (rc) {
        side->request.status = rc;
        request_failed(side);
    }
}

static void written(struct storage_request *request)
{
    struct side *side = request->context;
    if (request->status) {
        request_failed(side);
        return;
    }
    memset(side->buffer, 0, BUFFER_BYTES);
    ask(side, false, read_back);
}

static void write_some(struct side *side)
{
    uint64_t blocks = storage_info(side->storage)->blocks;
    uint32_t n = (uint32_t)(1 + next(side) % BLOCKS_MAX);
    side->request = (struct storage_request){
        .lba = next(side) % (blocks - n), .blocks = n, .buffer = side->buffer, .context = side};
    for (size_t i = 0; i < (size_t)n * 512; i += 8) {
        uint64_t word = next(side);
        memcpy(side->expected + i, &word, 8);
    }
    memcpy(side->buffer, side->expected, (size_t)n * 512);
    ask(side, true, written);
}

static void started(void *context, struct storage *storage, int status)
{
    struct side *side = context;
    side->storage = storage;
    side->request.status = status;
    if (status)
        request_failed(side);
    else
        write_some(side);
}

/* ---- the guest ---- */

static void ready(void *context, struct guest_device *device)
{
    struct side *side = context;
    int rc = storage_create(device, started, side, &side->storage);
    if (rc)
        report(side, TRAFFIC_BAD, "no driver for the disk");
}

static void gone(void *context, struct guest_device *device)
{
    struct side *side = context;
    (void)device;
    storage_destroy(side->storage);
    side->storage = NULL;
}

static void submitted(void *context, const struct hcd_urb *urb)
{
    (void)urb;
    count(context);
}

static void returned(void *context, const struct hcd_urb *urb)
{
    struct side *side = context;
    count(side);
    if (!side->works && urb->status == 0)
        report(side, TRAFFIC_WORKS, "");
    side->works = side->works || urb->status == 0;
}

static int make_guest(struct side *side)
{
    const struct guest_listener listener = {.ready = ready, .gone = gone, .context = side};
    side->connection = front_stats(side->front).connections;
    side->works = false;
    side->good = false;
    int rc = guest_create(front_hcd(side->front), &listener, &side->guest);
    return rc ? rc : guest_buffer_alloc(side->guest, BUFFER_BYTES, (void **)&side->buffer);
}

static void destroy_guest(struct side *side)
{
    if (!side->guest)
        return;
    guest_buffer_free(side->guest, side->buffer, BUFFER_BYTES);
    guest_destroy(side->guest);
    side->guest = NULL;
}

/* ---- steps ---- */

static void look_at_connection(struct side *side)
{
    struct front_stats stats = front_stats(side->front);
    if (stats.lost_backends != side->lost)
        report(side, TRAFFIC_LOST, "");
    side->lost = stats.lost_backends;
    if (side->guest && !side->leaving &&
        (front_state(side->front) != XenbusStateConnected || stats.connections != side->connection)) {
        side->leaving = true;
        guest_close(side->guest);
    }
}

static int step(struct side *side)
{
    uint64_t now = loop_now_ns();
    count(side);
    int rc = front_step(side->front, now);
    look_at_connection(side);
    if (!rc && !side->guest && !side->ended && front_state(side->front) == XenbusStateConnected)
        rc = make_guest(side);
    if (side->guest)
        guest_step(side->guest, now);
    if (side->leaving && !guest_busy(side->guest)) {
        side->leaving = false;
        destroy_guest(side);
        if (!side->ended)
            report(side, TRAFFIC_LEFT, "");
        return rc ? rc : step(side);
    }
    return rc;
}

static int wait_for_more(struct side *side, struct loop *loop, int signals)
{
    uint64_t due = front_deadline(side->front);
    uint64_t guest = side->guest ? guest_deadline(side->guest) : UINT64_MAX;
    struct xen *xen = front_xen(side->front);
    loop_clear(loop);
    loop_add(loop, signals);
    loop_add(loop, xen->ops->fd(xen));
    return loop_wait(loop, guest < due ? guest : due);
}

static int play(struct side *side, int signals)
{
    for (;;) {
        struct loop loop;
        int rc = step(side);
        if (rc || side->bad)
            return rc;
        rc = wait_for_more(side, &loop, signals);
        if (rc || loop_ready(&loop, signals))
            return rc;
    }
}

static void close_all(struct side *side)
{
    struct loop loop;
    side->ended = true;
    side->leaving = side->guest != NULL;
    if (side->guest)
        guest_close(side->guest);
    front_close(side->front);
    while (step(side) == 0 && (side->guest || front_state(side->front) != XenbusStateClosed)) {
        if (wait_for_more(side, &loop, -1))
            break;
    }
    destroy_guest(side);
    front_destroy(side->front);
}

int traffic_run(const struct traffic *traffic)
{
    static struct side side;
    struct xen_machine *machine;
    struct xen *xen = NULL;
    side = (struct side){.traffic = traffic, .random = traffic->seed | 1};
    const struct front_tap tap = {.submitted = submitted, .returned = returned, .context = &side};
    int signals = loop_signal_fd();
    int rc = fakexen_client_machine_create(traffic->dir, &machine);
    if (!rc)
        rc = machine->ops->open(machine, GUEST_DOMID, &xen);
    if (!rc)
        rc = front_create(xen, 0, NULL, NULL, &side.front);
    if (!rc) {
        front_set_tap(side.front, &tap);
        front_set_reconnect(side.front, true);
        rc = play(&side, signals);
    } else {
        xen_close(xen);
    }
    if (rc == -EPIPE)
        report(&side, TRAFFIC_MACHINE, "");
    else if (rc)
        report(&side, TRAFFIC_BAD, strerror(-rc));
    if (side.front)
        close_all(&side);
    fakexen_client_machine_destroy(machine);
    close(signals);
    return side.bad ? 1 : rc ? 3 : 0;
}
