// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/waitset.h>

#include "cli/cli.h"
#include "cli/drive.h"
#include "cli/options.h"
#include "frontend/frontend.h"
#include "guest/storage.h"
#include "process/loop.h"

#define CHUNK_BYTES  (UINT32_C(1) << 20)
#define FNV_1A_BEGIN UINT64_C(14695981039346656037)
#define TAKE_BACK_NS UINT64_C(5000000000) /* as long as the frontend waits for what the backend has */

static const char help_text[] =
    "Usage: pvusb frontend --xen fake:DIR --domid N [--read BYTES | --drive]\n"
    "\n"
    "Is a guest of a machine (see 'pvusb host'): usbfront below a small USB core that\n"
    "enumerates what is plugged in and drives disks. Runs until it is told to end (Ctrl-C).\n"
    "\n"
    "  --xen fake:DIR     the machine; --xen real: the Xen that this domain runs on\n"
    "  --domid N          which guest\n"
    "  --devid N          which of its controllers (default 0)\n"
    "  --read BYTES       read so much of the first disk (for example 1M), print the\n"
    "                     checksum and end\n"
    "  --timeout SECONDS  how long --read waits for a disk (default 10); then exit code 3\n"
    "  --no-reconnect     when the backend closes or dies, end with exit code 3; without this\n"
    "                     the next backend is waited for, and --read begins anew\n"
    "  --drive            no USB core: lines on stdin say what the guest does, as in\n"
    "                     conformance/DRIVE.md, until stdin ends\n"
    "  --no-persistent    grant pages for each request, also when the backend would keep them\n"
    "  --ring-pages N     make an URB ring of so many pages, or of as many as the backend takes:\n"
    "                     1, 2, 4, 8 or 16 (default 8)\n"
    "  --spin USEC        look at the ring for so long after each response before waiting for\n"
    "                     an event (default 0, at most 1000): fast, and a processor is busy\n"
    "  --verbose          say what the driver does\n"
    "  --help             this text\n"
    "\n";

struct options {
    const char *xen;
    uint64_t domid;
    uint64_t devid;
    uint64_t read;
    uint64_t timeout_s;
    bool no_reconnect;
    bool drive;
    bool no_persistent;
    uint64_t ring_pages; /* 0: the driver's own choice */
    uint64_t spin_us;
    bool verbose;
    bool help;
};

struct frontend {
    const struct options *options;
    struct xen_waitset *set;
    struct xen_waitset_fd signals;
    struct front *front;
    struct guest *guest;
    struct storage *storage;
    struct storage_request request;
    uint8_t *buffer;
    uint64_t done_bytes;
    uint64_t sum;
    uint64_t limit_ns;     /* for a disk to come */
    uint64_t connection;   /* whose guest this is, as front_stats counts them */
    uint64_t lost;         /* backends that died, as far as told */
    bool leaving;          /* the connection has ended, its guest is closing */
    bool ended;
    int code;
};

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"xen", required_argument, NULL, 'x'},     {"domid", required_argument, NULL, 'd'},
        {"devid", required_argument, NULL, 'i'},   {"read", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'}, {"verbose", no_argument, NULL, 'v'},
        {"no-reconnect", no_argument, NULL, 'n'},  {"help", no_argument, NULL, 'h'},
        {"drive", no_argument, NULL, 'D'},         {"no-persistent", no_argument, NULL, 'p'},
        {"spin", required_argument, NULL, 's'},    {"ring-pages", required_argument, NULL, 'R'},
        {NULL, 0, NULL, 0},
    };
    int c;
    *options = (struct options){.domid = UINT64_MAX, .timeout_s = 10};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        int rc = 0;
        switch (c) {
        case 'x':
            options->xen = optarg;
            break;
        case 'd':
            rc = parse_number(optarg, 0, DOMID_FIRST_RESERVED - 1, &options->domid);
            break;
        case 'i':
            rc = parse_number(optarg, 0, 65535, &options->devid);
            break;
        case 'r':
            rc = parse_size(optarg, &options->read);
            break;
        case 't':
            rc = parse_number(optarg, 1, 86400, &options->timeout_s);
            break;
        case 'n':
            options->no_reconnect = true;
            break;
        case 'D':
            options->drive = true;
            break;
        case 's':
            rc = parse_number(optarg, 0, 1000, &options->spin_us);
            break;
        case 'R':
            rc = parse_ring_pages(optarg, &options->ring_pages);
            break;
        case 'p':
            options->no_persistent = true;
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return usage_error("frontend", "'%s' is not an option or lacks its value; see 'pvusb frontend --help'",
                               argv[optind - 1]);
        }
        if (rc)
            return usage_error("frontend", "'%s' is not a number that this option takes", optarg);
    }
    if (optind < argc)
        return usage_error("frontend", "'%s' is not wanted; see 'pvusb frontend --help'", argv[optind]);
    if (options->drive && (options->read || options->verbose))
        return usage_error("frontend", "--drive needs stdout for itself: neither --read nor --verbose go with it");
    return options->domid == UINT64_MAX ? usage_error("frontend", "--domid N is needed: which guest this is") : 0;
}

/* ---- reading a disk ---- */

static void read_next(struct frontend *frontend);

static void read_done(struct storage_request *request)
{
    struct frontend *frontend = request->context;
    uint64_t bytes = (uint64_t)request->blocks * storage_info(frontend->storage)->block_size;
    if (request->status && front_state(frontend->front) != XenbusStateConnected)
        return; /* the connection's end, not the disk's: the next disk is read anew */
    if (request->status) {
        usage_error("frontend", "read: %s", strerror(-request->status));
        frontend->code = EXIT_CHECK_FAILED;
        frontend->ended = true;
        return;
    }
    for (uint64_t i = 0; i < bytes; i++)
        frontend->sum = (frontend->sum ^ frontend->buffer[i]) * 1099511628211u; /* FNV-1a */
    frontend->done_bytes += bytes;
    read_next(frontend);
}

static void read_next(struct frontend *frontend)
{
    const struct storage_info *info = storage_info(frontend->storage);
    uint64_t end = info->blocks * info->block_size;
    uint64_t left = (frontend->options->read < end ? frontend->options->read : end) - frontend->done_bytes;
    left = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    if (left < info->block_size) {
        printf("read %" PRIu64 " bytes, checksum %016" PRIx64 "\n", frontend->done_bytes, frontend->sum);
        frontend->ended = true;
        return;
    }
    frontend->request = (struct storage_request){.lba = frontend->done_bytes / info->block_size,
                                                 .blocks = (uint32_t)(left / info->block_size),
                                                 .buffer = frontend->buffer,
                                                 .done = read_done,
                                                 .context = frontend};
    int rc = storage_submit(frontend->storage, &frontend->request);
    if (rc) {
        usage_error("frontend", "read: %s", strerror(-rc));
        frontend->code = EXIT_CHECK_FAILED;
        frontend->ended = true;
    }
}

static void started(void *context, struct storage *storage, int status)
{
    struct frontend *frontend = context;
    if (status) {
        usage_error("frontend", "the disk does not start: %s", strerror(-status));
        return;
    }
    const struct storage_info *info = storage_info(storage);
    printf("disk: %s %s, %" PRIu64 " blocks of %u bytes\n", info->vendor, info->product, info->blocks,
           info->block_size);
    fflush(stdout);
    if (frontend->options->read)
        read_next(frontend);
}

/* ---- devices ---- */

static void ready(void *context, struct guest_device *device)
{
    struct frontend *frontend = context;
    printf("port %u: address %u, %04x:%04x \"%s\"\n", device->port, device->address, device->descriptor.vendor,
           device->descriptor.product, device->strings[1]);
    fflush(stdout);
    if (frontend->storage || !storage_matches(device))
        return;
    if (storage_create(device, started, frontend, &frontend->storage) == 0)
        device->driver = frontend->storage;
}

static void gone(void *context, struct guest_device *device)
{
    struct frontend *frontend = context;
    printf("port %u: gone\n", device->port);
    fflush(stdout);
    if (device->driver && device->driver == frontend->storage) {
        storage_destroy(frontend->storage);
        frontend->storage = NULL;
    }
}

static void failed(void *context, unsigned int port, int error)
{
    (void)context;
    printf("port %u: a device that cannot be enumerated: %s\n", port, strerror(-error));
    fflush(stdout);
}

/* ---- running ---- */

static int connected(struct frontend *frontend)
{
    const struct guest_listener listener = {.ready = ready, .gone = gone, .failed = failed, .context = frontend};
    struct hcd *hcd = front_hcd(frontend->front);
    printf("connected: %u ports\n", hcd->ops->num_ports(hcd));
    fflush(stdout);
    frontend->connection = front_stats(frontend->front).connections;
    frontend->done_bytes = 0;
    frontend->sum = FNV_1A_BEGIN;
    int rc = guest_create(hcd, &listener, &frontend->guest);
    return rc ? rc : guest_buffer_alloc(frontend->guest, CHUNK_BYTES, (void **)&frontend->buffer);
}

static void destroy_guest(struct frontend *frontend)
{
    if (frontend->guest && frontend->buffer)
        guest_buffer_free(frontend->guest, frontend->buffer, CHUNK_BYTES);
    guest_destroy(frontend->guest);
    frontend->guest = NULL;
    frontend->buffer = NULL;
}

static uint64_t limit_from(const struct frontend *frontend, uint64_t now_ns)
{
    return frontend->options->read ? now_ns + frontend->options->timeout_s * UINT64_C(1000000000) : UINT64_MAX;
}

/* The backend has closed or died. The guest of this connection goes, as a kernel removes the controller. */
static void disconnected(struct frontend *frontend, uint64_t now_ns)
{
    uint64_t lost = front_stats(frontend->front).lost_backends;
    printf("disconnected: the backend %s\n", lost != frontend->lost ? "is gone without closing" : "closed");
    fflush(stdout);
    frontend->lost = lost;
    frontend->leaving = true;
    frontend->limit_ns = limit_from(frontend, now_ns);
    guest_close(frontend->guest);
}

/* A new connection may have come in the same step that ended the old one. */
static bool connection_ended(const struct frontend *frontend)
{
    return frontend->guest && !frontend->leaving && !frontend->ended &&
           (front_state(frontend->front) != XenbusStateConnected ||
            front_stats(frontend->front).connections != frontend->connection);
}

static int step(struct frontend *frontend, uint64_t now_ns)
{
    int rc = front_step(frontend->front, now_ns);
    if (!rc && connection_ended(frontend))
        disconnected(frontend, now_ns);
    if (!rc && !frontend->guest && !frontend->ended && front_state(frontend->front) == XenbusStateConnected)
        rc = connected(frontend);
    if (frontend->guest)
        guest_step(frontend->guest, now_ns);
    if (frontend->leaving && !guest_busy(frontend->guest)) {
        frontend->leaving = false;
        destroy_guest(frontend);
        return rc ? rc : frontend->options->no_reconnect ? -ECONNRESET : step(frontend, now_ns);
    }
    return rc;
}

static int wait_for_more(struct frontend *frontend, uint64_t until_ns)
{
    uint64_t due = front_deadline(frontend->front);
    uint64_t guest = frontend->guest ? guest_deadline(frontend->guest) : UINT64_MAX;
    due = guest < due ? guest : due;
    return xen_waitset_until(frontend->set, due < until_ns ? due : until_ns);
}

static bool pending(void *context)
{
    return front_pending(((struct frontend *)context)->front);
}

static void poll_ring(void *context, uint64_t now_ns)
{
    front_poll(((struct frontend *)context)->front, now_ns);
}

/* After this the frontend owes a step, which asks for the next event. */
static bool spin(struct frontend *frontend)
{
    const struct loop_spin spin = {
        .ns = frontend->options->spin_us * 1000, .pending = pending, .poll = poll_ring, .context = frontend};
    uint64_t due = front_deadline(frontend->front);
    uint64_t guest = frontend->guest ? guest_deadline(frontend->guest) : UINT64_MAX;
    return loop_spin(&spin, guest < due ? guest : due);
}

static int play(struct frontend *frontend)
{
    frontend->limit_ns = limit_from(frontend, loop_now_ns());
    for (;;) {
        bool more = false;
        int rc = step(frontend, loop_now_ns());
        if (!rc && !frontend->ended && frontend->options->spin_us) {
            more = spin(frontend);
            rc = step(frontend, loop_now_ns());
        }
        if (rc || frontend->ended)
            return rc;
        if (!frontend->storage && loop_now_ns() >= frontend->limit_ns)
            return -ETIMEDOUT;
        rc = wait_for_more(frontend, more ? 0 : frontend->storage ? UINT64_MAX : frontend->limit_ns);
        if (rc || frontend->signals.ready)
            return rc;
    }
}

/* What is under way comes back before the backend is told of the end, as with a kernel: QEMU may die of it. */
static void take_back(struct frontend *frontend)
{
    uint64_t end = loop_now_ns() + TAKE_BACK_NS;
    if (frontend->guest)
        guest_close(frontend->guest);
    while (step(frontend, loop_now_ns()) == 0 && frontend->guest && guest_busy(frontend->guest) &&
           loop_now_ns() < end) {
        if (wait_for_more(frontend, end))
            return;
    }
}

/* An orderly end, within that time and the frontend's own bound. */
static void close_all(struct frontend *frontend)
{
    xen_waitset_remove_fd(frontend->set, &frontend->signals); /* a second one ends nothing sooner */
    frontend->ended = true;
    take_back(frontend);
    front_close(frontend->front);
    while (step(frontend, loop_now_ns()) == 0 &&
           ((frontend->guest && guest_busy(frontend->guest)) || front_state(frontend->front) != XenbusStateClosed)) {
        if (wait_for_more(frontend, UINT64_MAX))
            break;
    }
    destroy_guest(frontend);
    front_destroy(frontend->front);
}

/* Who drives it polls what stdin is, too. */
static int make_set(struct frontend *frontend, struct xen *xen, int signals)
{
    if (frontend->options->drive)
        return 0;
    int rc = xen_waitset_create(&frontend->set);
    if (!rc)
        rc = xen_waitset_add(frontend->set, xen);
    return rc ? rc : xen_waitset_add_fd(frontend->set, &frontend->signals, signals);
}

static int run(const struct options *options)
{
    struct frontend frontend = {.options = options, .sum = FNV_1A_BEGIN};
    struct xen_machine *machine;
    struct xen *xen;
    int code = connect_machine("frontend", options->xen, (domid_t)options->domid, &machine, &xen);
    if (code)
        return code;
    int signals = loop_signal_fd();
    int rc = make_set(&frontend, xen, signals);
    if (!rc)
        rc = front_create(xen, (unsigned int)options->devid, options->verbose ? print_line : NULL, NULL,
                          &frontend.front);
    if (rc)
        xen_close(xen);
    if (!rc && options->ring_pages)
        front_set_ring_pages(frontend.front, (unsigned int)options->ring_pages);
    if (!rc && options->drive) {
        rc = drive_frontend(frontend.front, signals);
        frontend.front = NULL;
    } else if (!rc) {
        front_set_reconnect(frontend.front, !options->no_reconnect);
        front_set_persistent(frontend.front, !options->no_persistent);
        rc = play(&frontend);
    }
    if (rc == -ETIMEDOUT)
        usage_error("frontend", "no disk came within %" PRIu64 " s; is 'pvusb backend' running?", options->timeout_s);
    else if (rc)
        usage_error("frontend", "%s", rc == -EPIPE        ? "the machine is gone"
                                      : rc == -ECONNRESET ? "the backend closed or died"
                                      : rc == -EPROTO     ? "a line on stdin is too long"
                                                          : strerror(-rc));
    if (frontend.front)
        close_all(&frontend);
    xen_waitset_destroy(frontend.set);
    disconnect_machine(options->xen, machine);
    if (signals >= 0)
        close(signals);
    return rc ? EXIT_PEER : frontend.code;
}

int frontend_cli(int argc, char **argv)
{
    struct options options;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    return run(&options);
}
