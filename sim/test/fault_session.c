// SPDX-License-Identifier: MIT
#include "fault_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "devices/disk.h"
#include "devices/sim_host.h"
#include "frontend/frontend.h"
#include "guest/storage.h"
#include "toolstack/vusb.h"
#include "xenbus/xenbus.h"

#define GUEST       1u
#define BUSID       "1-1"
#define BLOCK       512u
#define DISK_BYTES  (UINT64_C(1) << 20)
#define WRITE_LBA   64u
#define WRITE_BYTES (96u << 10)
#define READ_BYTES  (512u << 10)

/* More than any recovery takes: three tries of a command with a timeout of 5 s for each of its transfers. */
#define CHAPTER_NS (200 * UINT64_C(1000000000))
#define STEPS_MAX  100000u

enum chapter { CONNECTING, WAITING, STARTING, WRITING, READING, PULLING, DRAINING, CLOSING, REMOVING, ENDED };

struct session {
    const struct fault_session_config *config;
    struct fault_result *result;
    struct fakexen_local *local;
    struct xen_machine *machine;
    struct xen *dom0;
    struct vusb_controller controller;
    struct sim_host *sim;
    struct back_driver *driver;
    struct front *front;
    struct guest *guest;
    struct storage *storage;
    uint8_t *buffer;
    struct storage_request request;
    enum chapter chapter;
    uint64_t chapter_ns; /* when it began */
    uint64_t now_ns;
    bool written;
    bool pulled;
    bool request_ended;
    bool lost; /* a driver's machine is gone: no orderly end */
};

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 251 + 1);
}

static void enter(struct session *s, enum chapter chapter)
{
    s->chapter = chapter;
    s->chapter_ns = s->now_ns;
}

/* Keeps the first failure, and goes on to close in order what there is. */
static void fail(struct session *s, const char *what, int error)
{
    if (!s->result->failure[0])
        snprintf(s->result->failure, sizeof(s->result->failure), "%s: %s", what, strerror(-error));
    if (s->chapter < DRAINING) {
        enter(s, DRAINING);
        if (s->guest)
            guest_close(s->guest);
    }
}

/* ---- the guest's part ---- */

static void request_done(struct storage_request *request);

static void ask(struct session *s, uint64_t lba, uint32_t bytes, bool write)
{
    s->request_ended = false;
    s->request = (struct storage_request){.lba = lba,
                                          .blocks = bytes / BLOCK,
                                          .write = write,
                                          .buffer = s->buffer,
                                          .done = request_done,
                                          .context = s};
    int rc = storage_submit(s->storage, &s->request);
    if (rc)
        fail(s, "the disk takes no request", rc);
}

/* Blocks that were reported as read, from the beginning of the disk: the pattern where it was written. */
static void check_start(struct session *s, uint32_t blocks)
{
    for (uint32_t i = 0; i < blocks * BLOCK; i++) {
        bool inside = i >= WRITE_LBA * BLOCK && i < WRITE_LBA * BLOCK + WRITE_BYTES;
        if (s->buffer[i] != (inside ? pattern(i - WRITE_LBA * BLOCK) : 0))
            s->result->wrong_data = true;
    }
}

static void read_back(struct session *s)
{
    for (uint32_t i = 0; i < WRITE_BYTES; i++) {
        if (s->buffer[i] != pattern(i))
            s->result->wrong_data = true;
    }
    memset(s->buffer, 0xee, READ_BYTES);
    enter(s, PULLING);
    ask(s, 0, READ_BYTES, false);
}

static void request_done(struct storage_request *request)
{
    struct session *s = request->context;
    s->request_ended = true;
    if (s->chapter == PULLING) {
        check_start(s, request->blocks_done);
        if (request->status != -ENODEV || !s->pulled)
            fail(s, "the read in which the disk was pulled", request->status ? request->status : -EIO);
    } else if (request->status) {
        fail(s, s->chapter == WRITING ? "write" : "read", request->status);
    } else if (s->chapter == WRITING) {
        memset(s->buffer, 0xee, WRITE_BYTES);
        enter(s, READING);
        ask(s, WRITE_LBA, WRITE_BYTES, false);
    } else if (s->chapter == READING) {
        read_back(s);
    }
}

static void started(void *context, struct storage *storage, int status)
{
    struct session *s = context;
    (void)storage;
    if (status) {
        fail(s, "the disk does not start", status);
        return;
    }
    for (uint32_t i = 0; i < WRITE_BYTES; i++)
        s->buffer[i] = pattern(i);
    enter(s, WRITING);
    ask(s, WRITE_LBA, WRITE_BYTES, true);
}

static void ready(void *context, struct guest_device *device)
{
    struct session *s = context;
    if (s->chapter != WAITING)
        return;
    enter(s, STARTING);
    int rc = storage_create(device, started, s, &s->storage);
    if (rc)
        fail(s, "no driver for the disk", rc);
}

static void gone(void *context, struct guest_device *device)
{
    struct session *s = context;
    (void)device;
    storage_destroy(s->storage);
    s->storage = NULL;
    if (s->chapter < DRAINING && !s->pulled)
        fail(s, "the disk went by itself", -ENODEV);
}

static void not_enumerated(void *context, unsigned int port, int error)
{
    (void)port;
    fail(context, "enumeration", error);
}

static void connected(struct session *s)
{
    const struct guest_listener listener = {
        .ready = ready, .gone = gone, .failed = not_enumerated, .context = s};
    void *buffer;
    enter(s, WAITING);
    int rc = guest_create(front_hcd(s->front), &listener, &s->guest);
    if (!rc)
        rc = guest_buffer_alloc(s->guest, READ_BYTES, &buffer);
    if (rc)
        fail(s, "the guest has no memory", rc);
    else
        s->buffer = buffer;
}

/* ---- the end ---- */

static void drain(struct session *s)
{
    if (s->guest && guest_busy(s->guest))
        return;
    if (s->guest) {
        guest_buffer_free(s->guest, s->buffer, READ_BYTES);
        guest_destroy(s->guest);
        s->guest = NULL;
    }
    front_close(s->front);
    enter(s, CLOSING);
}

static void remove_controller(struct session *s)
{
    char value[XENBUS_VALUE_MAX];
    int rc = xenbus_read(s->dom0, XEN_XBT_NIL, "/local/domain/0/device-model/1/backends", "qusb", value);
    if (rc)
        fail(s, "the backend announces itself", rc); /* rule XS-16 */
    rc = vusb_close(s->dom0, &s->controller);
    if (!rc)
        rc = vusb_remove(s->dom0, &s->controller);
    if (rc)
        fail(s, "removing the controller", rc);
    enter(s, rc ? ENDED : REMOVING);
}

static void go_on(struct session *s)
{
    bool closed = front_state(s->front) == XenbusStateClosed;
    if (s->chapter == CONNECTING && front_state(s->front) == XenbusStateConnected)
        connected(s);
    else if (s->chapter < DRAINING && front_state(s->front) >= XenbusStateClosing)
        fail(s, "the frontend gave up", -front_verdict(s->front) ? -EPROTO : -EIO);
    if (s->chapter == PULLING && !s->pulled && s->request.blocks_done > 0) {
        s->pulled = true;
        sim_host_unplug(s->sim, BUSID);
    }
    if (s->chapter == PULLING && s->request_ended && !s->storage) {
        enter(s, DRAINING);
        guest_close(s->guest);
    }
    if (s->chapter == DRAINING)
        drain(s);
    else if (s->chapter == CLOSING && closed)
        remove_controller(s);
    else if (s->chapter == REMOVING && !back_driver_connector(s->driver, 0))
        enter(s, ENDED);
}

/* ---- steps ---- */

/* A frozen domain does not run: neither what it learns nor its own clock moves it. */
static bool runs(const struct session *s, domid_t domid)
{
    return !fakexen_faults_frozen(s->machine, domid);
}

static int step_guest(struct session *s)
{
    int rc = front_step(s->front, s->now_ns);
    if (rc)
        fail(s, "frontend", rc);
    else if (s->guest)
        guest_step(s->guest, s->now_ns);
    return rc;
}

static int step_backend(struct session *s)
{
    struct usb_host *usb = sim_host_host(s->sim);
    int rc = back_driver_step(s->driver, s->now_ns);
    if (rc)
        fail(s, "backend", rc);
    else
        usb->ops->step(usb, s->now_ns);
    return rc;
}

static int step(struct session *s)
{
    int rc = runs(s, GUEST) ? step_guest(s) : 0;
    if (!rc && runs(s, 0))
        rc = step_backend(s);
    if (!rc && runs(s, GUEST))
        go_on(s);
    return rc;
}

static uint64_t next_time(const struct session *s)
{
    struct usb_host *usb = sim_host_host(s->sim);
    uint64_t due = s->now_ns + UINT64_C(1000000000);
    uint64_t front = runs(s, GUEST) ? front_deadline(s->front) : UINT64_MAX;
    uint64_t guest = runs(s, GUEST) && s->guest ? guest_deadline(s->guest) : UINT64_MAX;
    uint64_t device = runs(s, 0) ? usb->ops->deadline(usb) : UINT64_MAX;
    due = front < due ? front : due;
    due = guest < due ? guest : due;
    due = device < due ? device : due;
    return due > s->now_ns ? due : s->now_ns + 1;
}

/* Nobody that runs can do anything now. */
static bool idle(const struct session *s)
{
    if (s->config->settle)
        s->config->settle(s->config->context);
    return !fakexen_faults_pending(s->machine, s->local ? fakexen_local_handle_pending : NULL) &&
           !(runs(s, 0) && back_driver_busy(s->driver));
}

static void out_of_time(struct session *s)
{
    static const char *const names[] = {"connecting",        "waiting for the disk",
                                        "starting the disk", "writing",
                                        "reading",           "pulling",
                                        "draining",          "closing",
                                        "removing",          "ended"};
    char text[128];
    s->result->endless = true;
    s->result->late = s->result->steps < STEPS_MAX;
    snprintf(text, sizeof(text), "no end of %s (frontend %d)", names[s->chapter], (int)front_state(s->front));
    fail(s, text, -ETIMEDOUT);
}

static void play(struct session *s, const struct fault_session_config *config)
{
    while (s->chapter != ENDED) {
        if (++s->result->steps >= STEPS_MAX || s->now_ns - s->chapter_ns > CHAPTER_NS) {
            bool draining = s->chapter >= DRAINING;
            out_of_time(s);
            if (draining || s->result->steps >= STEPS_MAX)
                return;
        }
        if (step(s)) {
            s->lost = true;
            return;
        }
        if (config->stepped)
            config->stepped(config->context, s->machine, s->now_ns, s->chapter == READING);
        if (idle(s))
            s->now_ns = next_time(s);
    }
}

/* ---- the beginning, and what is left to destroy ---- */

static int make_disk(struct session *s)
{
    struct usb_device *disk;
    int rc = sim_host_create(&s->sim);
    if (!rc)
        rc = disk_create(&(struct disk_config){.bytes = DISK_BYTES}, &disk);
    return rc ? rc : sim_host_plug(s->sim, BUSID, disk);
}

static int make_machine(struct session *s, const char *plan)
{
    struct xen_machine *inner = s->config->inner;
    int rc = inner ? 0 : fakexen_local_create(&s->local);
    if (rc)
        return rc;
    rc = fakexen_faults_create(inner ? inner : fakexen_local_machine(s->local), &s->machine);
    if (!rc && plan && fakexen_faults_parse(s->machine, plan, s->result->failure)) {
        s->result->plan_refused = true;
        return -EINVAL;
    }
    if (!rc)
        rc = s->machine->ops->domain_create(s->machine, GUEST);
    if (!rc)
        rc = s->machine->ops->open(s->machine, 0, &s->dom0);
    return rc;
}

static int make_drivers(struct session *s)
{
    struct xen *xen;
    int rc =
        back_driver_create(s->machine, 0,
                           &(struct back_config){.host = sim_host_host(s->sim),
                                                 .buffers = s->config->buffers},
                           &s->driver);
    if (!rc)
        rc = s->machine->ops->open(s->machine, GUEST, &xen);
    if (rc)
        return rc;
    rc = front_create(xen, 0, NULL, NULL, &s->front);
    if (rc)
        xen_close(xen);
    else
        front_set_persistent(s->front, !s->config->plain);
    return rc;
}

static int make_all(struct session *s, const char *plan)
{
    s->controller = (struct vusb_controller){.kind = "qusb", .frontend = GUEST, .usb_ver = 2, .num_ports = 4};
    int rc = make_machine(s, plan);
    if (rc) {
        fail(s, "the machine", rc);
        return rc;
    }
    rc = vusb_create(s->dom0, &s->controller);
    if (!rc)
        rc = vusb_set_port(s->dom0, &s->controller, 1, BUSID);
    if (rc) {
        fail(s, "the toolstack", rc);
        return rc;
    }
    rc = make_disk(s);
    if (!rc)
        rc = make_drivers(s);
    if (rc)
        fail(s, "the drivers", rc);
    return rc;
}

/* As a guest's kernel that goes down: its controller returns everything, at its deadline at the latest. */
static void abandon_guest(struct session *s)
{
    if (!s->guest)
        return;
    guest_close(s->guest);
    front_close(s->front);
    for (int i = 0; guest_busy(s->guest) && i < 100; i++) {
        front_step(s->front, s->now_ns);
        guest_step(s->guest, s->now_ns);
        s->now_ns += UINT64_C(10000000000);
    }
    guest_buffer_free(s->guest, s->buffer, READ_BYTES);
    guest_destroy(s->guest);
}

static void destroy_all(struct session *s, bool front_first)
{
    struct fault_result *result = s->result;
    abandon_guest(s);
    if (s->front)
        result->requests = front_stats(s->front).requests;
    if (front_first)
        front_destroy(s->front);
    back_driver_destroy(s->driver);
    if (!front_first)
        front_destroy(s->front);
    xen_close(s->dom0);
    sim_host_destroy(s->sim);
    if (s->machine) {
        result->faults = fakexen_faults_stats(s->machine);
        for (unsigned int i = 0; fakexen_faults_op(i); i++)
            result->calls[i] = fakexen_faults_calls(s->machine, fakexen_faults_op(i)->name);
    }
    if (s->local)
        result->left = fakexen_local_balance(s->local);
    else if (s->config->inner && s->config->balance(s->config->inner, &result->left))
        result->left.handles = UINT32_MAX; /* it does not answer any more */
    fakexen_faults_destroy(s->machine);
    fakexen_local_destroy(s->local);
}

void fault_session_run(const struct fault_session_config *config, struct fault_result *result)
{
    struct session s = {.config = config, .result = result};
    memset(result, 0, sizeof(*result));
    if (!make_all(&s, config->plan))
        play(&s, config);
    result->ended_ns = s.now_ns;
    destroy_all(&s, config->front_first);
}
