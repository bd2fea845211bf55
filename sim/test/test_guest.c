// SPDX-License-Identifier: MIT
/*
 * Goal: the guest's USB core and storage driver do what Linux does on a good device, and survive a bad one.
 * The controller is loop_hcd.h, the devices are disks, some of them made to misbehave. Virtual time only.
 */
#include <inttypes.h>

#include "devices/disk.h"
#include "guest/storage.h"
#include "test/loop_hcd.h"
#include "test/test_device_util.h"

#define DISK_BYTES (4u * 1024 * 1024)
#define BUFFER     (512u * 1024)
#define STEPS_MAX  100000u

struct world {
    struct sim_host *sim;
    struct loop_hcd *loop;
    struct guest *guest;
    uint64_t now_ns;
    struct guest_device *device; /* the last one that became ready */
    unsigned int ready, gone, failed;
    int error;
    struct storage *storage;
    unsigned int started, finished;
    int start_status;
};

static void on_started(void *context, struct storage *storage, int status)
{
    struct world *w = context;
    (void)storage;
    w->started++;
    w->start_status = status;
}

static void on_ready(void *context, struct guest_device *device)
{
    struct world *w = context;
    w->ready++;
    w->device = device;
    if (!w->storage && storage_matches(device)) {
        assert_int_equal(storage_create(device, on_started, w, &w->storage), 0);
        device->driver = w->storage;
    }
}

static void on_gone(void *context, struct guest_device *device)
{
    struct world *w = context;
    w->gone++;
    if (device->driver) {
        assert_false(storage_busy(device->driver)); /* guest.h: every transfer has been given back */
        storage_destroy(device->driver);
        w->storage = NULL;
    }
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct world *w = context;
    (void)port;
    w->failed++;
    w->error = error;
}

static void world_open(struct world *w)
{
    struct guest_listener listener = {on_ready, on_gone, on_failed, w};
    *w = (struct world){0};
    assert_int_equal(sim_host_create(&w->sim), 0);
    w->loop = loop_hcd_create(sim_host_host(w->sim), 4);
    assert_int_equal(guest_create(loop_hcd_hcd(w->loop), &listener, &w->guest), 0);
}

static void world_plug(struct world *w, unsigned int port, const char *busid, struct usb_device *device)
{
    assert_int_equal(sim_host_plug(w->sim, busid, device), 0);
    assert_int_equal(loop_hcd_attach(w->loop, port, busid), 0);
}

/* One round; false when nothing will ever happen again. */
static bool world_step(struct world *w)
{
    guest_step(w->guest, w->now_ns);
    loop_hcd_step(w->loop, w->now_ns);
    if (loop_hcd_due(w->loop))
        return true;
    uint64_t due = guest_deadline(w->guest);
    if (due == UINT64_MAX)
        return false;
    if (due > w->now_ns)
        w->now_ns = due;
    return true;
}

static void world_run(struct world *w)
{
    unsigned int steps = 0;
    while (world_step(w))
        assert_true(++steps < STEPS_MAX);
    assert_int_equal(loop_hcd_held(w->loop), 0);
}

static void world_close(struct world *w)
{
    guest_close(w->guest);
    world_run(w);
    assert_false(guest_busy(w->guest));
    assert_int_equal(w->gone, w->ready);
    guest_destroy(w->guest);
    assert_int_equal(loop_hcd_buffers(w->loop), 0);
    loop_hcd_destroy(w->loop);
    sim_host_destroy(w->sim);
}

static struct usb_device *new_disk(uint8_t speed)
{
    struct usb_device *device;
    struct disk_config config = {.bytes = DISK_BYTES, .speed = speed, .serial = "0123456789AB"};
    assert_int_equal(disk_create(&config, &device), 0);
    return device;
}

/* ---- enumeration ---- */

/* USB 2.0 section 9.1.2, rule CTL-18; waits of 7.1.7.3 (100 ms debounce) and two resets of 10 ms with recovery. */
static void test_guest_enumerate(void **state)
{
    (void)state;
    static const uint8_t speeds[] = {USBIF_SPEED_FULL, USBIF_SPEED_HIGH};
    for (unsigned int i = 0; i < 2; i++) {
        struct world w;
        world_open(&w);
        world_plug(&w, 2, "1-1", new_disk(speeds[i]));
        world_run(&w);
        assert_int_equal(w.ready, 1);
        assert_int_equal(w.device->port, 2);
        assert_int_equal(w.device->speed, speeds[i]);
        assert_in_range(w.device->address, 1, 127);
        assert_int_equal(w.device->descriptor.vendor, 0x1209);
        assert_string_equal(w.device->strings[0], "PVUSB");
        assert_string_equal(w.device->strings[1], "Simulated disk");
        assert_string_equal(w.device->strings[2], "0123456789AB");
        assert_int_equal(w.device->configuration.interfaces[0].nr_endpoints, 2);
        assert_int_equal(guest_find_endpoint(w.device, DISK_EP_IN)->packet, i ? 512 : 64);
        assert_true(w.now_ns >= UINT64_C(162000000));
        assert_int_equal(w.started, 1);
        assert_int_equal(w.start_status, 0);
        assert_int_equal(storage_info(w.storage)->blocks, DISK_BYTES / 512);
        assert_string_equal(storage_info(w.storage)->vendor, "PVUSB");
        assert_string_equal(storage_info(w.storage)->product, "Simulated disk");
        world_close(&w);
    }
}

/* Rule ADR-07: an address is unique on the controller. A replugged device is a new one (HOT-11). */
static void test_guest_ports(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_plug(&w, 1, "1-1", new_disk(USBIF_SPEED_HIGH));
    world_plug(&w, 3, "1-3", new_disk(USBIF_SPEED_FULL));
    world_plug(&w, 4, "1-4", new_disk(USBIF_SPEED_FULL));
    world_run(&w);
    assert_int_equal(w.ready, 3);
    uint8_t address = w.device->address;
    assert_int_equal(sim_host_unplug(w.sim, "1-3"), 0);
    world_run(&w);
    assert_int_equal(w.gone, 1);
    world_plug(&w, 3, "1-3", new_disk(USBIF_SPEED_FULL));
    world_run(&w);
    assert_int_equal(w.ready, 4);
    assert_int_equal(w.device->port, 3);
    assert_int_not_equal(w.device->address, address);
    /* Out and in again between two looks at the hub: one connection change for two devices. */
    assert_int_equal(sim_host_unplug(w.sim, "1-3"), 0);
    world_plug(&w, 3, "1-3", new_disk(USBIF_SPEED_HIGH));
    world_run(&w);
    assert_int_equal(w.gone, 2);
    assert_int_equal(w.ready, 5);
    assert_int_equal(w.device->speed, USBIF_SPEED_HIGH);
    world_close(&w);
}

/* ---- a disk that lies ---- */

static struct {
    uint16_t value;       /* of the GET_DESCRIPTOR to answer otherwise */
    const uint8_t *bytes; /* NULL: never answers */
    uint32_t n;
    unsigned int stall_at;   /* the how-manieth bulk IN transfer stalls, from 1; 0 for none */
    unsigned int spoil_from; /* CSWs with a wrong tag: from this one to the next */
    unsigned int spoil_to;
    unsigned int ins, csws;
} lie;

static struct usb_device_ops liar_ops;
static int (*honest_in)(struct usb_device *device, struct device_endpoint *ep);

static int liar_intercept(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    (void)device;
    if (lie.value == 0 || setup->type != 0x80 || setup->request != 6 || setup->value != lie.value)
        return DEVICE_PASS;
    if (!lie.bytes)
        return DEVICE_WAIT;
    return device_control_in(ep, setup, lie.bytes, lie.n);
}

static int liar_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct host_urb *urb = ep->head;
    if (ep->moved == 0 && lie.stall_at && ++lie.ins == lie.stall_at)
        return -EPIPE;
    int rc = honest_in(device, ep);
    if (rc == DEVICE_DONE && urb->length == 13 && ep->ended) {
        lie.csws++;
        if (lie.csws >= lie.spoil_from && lie.csws < lie.spoil_to)
            host_urb_write(urb, 4, "\xff\xff\xff\xff", 4);
    }
    return rc;
}

static struct usb_device *new_liar(void)
{
    struct usb_device *device = new_disk(USBIF_SPEED_HIGH);
    liar_ops = *device->ops;
    honest_in = device->ops->in;
    liar_ops.intercept = liar_intercept;
    liar_ops.in = liar_in;
    device->ops = &liar_ops;
    return device;
}

#define CONFIG_BYTES(total, interface_length, ep_length) \
    9, 2, (total), 0, 1, 1, 0, 0x80, 50, (interface_length), 4, 0, 0, 2, 8, 6, 0x50, 0, \
    (ep_length), 5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0

/* USB 2.0 section 9.6: each lie fails the enumeration after three attempts, and nothing is read beyond the reply. */
static void test_guest_hostile_descriptors(void **state)
{
    (void)state;
    static const uint8_t longer[] = {CONFIG_BYTES(200, 9, 7)}, shorter[] = {CONFIG_BYTES(30, 9, 7)},
        total8[] = {CONFIG_BYTES(8, 9, 7)}, zero_interface[] = {CONFIG_BYTES(32, 0, 7)},
        zero_endpoint[] = {CONFIG_BYTES(32, 9, 0)}, one_endpoint[] = {CONFIG_BYTES(32, 9, 1)},
        beyond[] = {CONFIG_BYTES(32, 9, 60)}, short_interface[] = {CONFIG_BYTES(32, 8, 7)},
        huge[] = {9, 2, 0xff, 0xff, 1, 1, 0, 0x80, 50},
        device_packet[18] = {18, 1, 0, 2, 0, 0, 0, 63, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1},
        device_full[18] = {18, 1, 0, 2, 0, 0, 0, 8, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1},
        device_none[18] = {18, 1, 0, 2, 0, 0, 0, 64, 9, 18, 1, 0, 0, 1, 0, 0, 0, 0}, nothing[1] = {0};
    static const struct {
        const char *what;
        uint16_t value;
        const uint8_t *bytes;
        uint32_t n;
        int error;
    } cases[] = {
        {"wTotalLength more than there is", 0x0200, longer, sizeof(longer), -EPROTO},
        {"wTotalLength cuts a descriptor", 0x0200, shorter, sizeof(shorter), -EPROTO},
        {"wTotalLength 8", 0x0200, total8, sizeof(total8), -EPROTO},
        {"wTotalLength 65535", 0x0200, huge, sizeof(huge), -EMSGSIZE},
        {"interface of bLength 0", 0x0200, zero_interface, sizeof(zero_interface), -EPROTO},
        {"interface of bLength 8", 0x0200, short_interface, sizeof(short_interface), -EPROTO},
        {"endpoint of bLength 0", 0x0200, zero_endpoint, sizeof(zero_endpoint), -EPROTO},
        {"endpoint of bLength 1", 0x0200, one_endpoint, sizeof(one_endpoint), -EPROTO},
        {"endpoint beyond the end", 0x0200, beyond, sizeof(beyond), -EPROTO},
        {"configuration of 5 bytes", 0x0200, huge, 5, -EPROTO},
        {"no configuration at all", 0x0200, nothing, 0, -EPROTO},
        {"packet size 63 of endpoint 0", 0x0100, device_packet, 18, -EPROTO},
        {"packet size 8 at high speed (5.5.3)", 0x0100, device_full, 18, -EPROTO},
        {"device without configuration", 0x0100, device_none, 18, -EPROTO},
        {"device descriptor of 8 bytes", 0x0100, device_none, 8, -EPROTO},
        {"device descriptor of no bytes", 0x0100, nothing, 0, -EPROTO},
        {"silence for ever", 0x0200, NULL, 0, -ETIMEDOUT},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        memset(&lie, 0, sizeof(lie));
        lie.value = cases[i].value;
        lie.bytes = cases[i].bytes;
        lie.n = cases[i].n;
        world_open(&w);
        world_plug(&w, 1, "1-1", new_liar());
        world_run(&w);
        if (w.ready || w.failed != 1 || w.error != cases[i].error)
            fail_msg("%s: ready %u failed %u error %d, expected error %d", cases[i].what, w.ready, w.failed, w.error,
                     cases[i].error);
        /* Three attempts of 5 s each (guest.h). */
        if (!cases[i].bytes)
            assert_true(w.now_ns >= 3 * GUEST_TIMEOUT_NS);
        /* Another port still works, and this one does when an honest device comes. */
        lie.value = 0;
        world_plug(&w, 2, "1-2", new_disk(USBIF_SPEED_FULL));
        assert_int_equal(sim_host_unplug(w.sim, "1-1"), 0);
        world_plug(&w, 1, "1-1", new_disk(USBIF_SPEED_FULL));
        world_run(&w);
        assert_int_equal(w.ready, 2);
        world_close(&w);
    }
}

/* A bad string is no reason to refuse a device: it has none then (guest.h). */
static void test_guest_bad_strings(void **state)
{
    (void)state;
    static const uint8_t bad[] = {200, 3, 'a', 0};
    static const uint16_t values[] = {0x0300, 0x0301, 0x0303};
    for (unsigned int i = 0; i < 3; i++) {
        struct world w;
        memset(&lie, 0, sizeof(lie));
        lie.value = values[i];
        lie.bytes = bad;
        lie.n = sizeof(bad);
        world_open(&w);
        world_plug(&w, 1, "1-1", new_liar());
        world_run(&w);
        assert_int_equal(w.ready, 1);
        assert_string_equal(w.device->strings[2], "");
        world_close(&w);
    }
}

/* ---- storage ---- */

static void on_finished(struct storage_request *request)
{
    struct world *w = request->context;
    w->finished++;
}

static uint32_t prng(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 16);
}

static int run_request(struct world *w, uint64_t lba, uint32_t blocks, bool write, void *buffer)
{
    struct storage_request r = {
        .lba = lba, .blocks = blocks, .write = write, .buffer = buffer, .done = on_finished, .context = w};
    unsigned int before = w->finished;
    int rc = storage_submit(w->storage, &r);
    if (rc)
        return rc;
    world_run(w);
    assert_int_equal(w->finished, before + 1);
    return r.status;
}

static void world_open_disk(struct world *w, struct usb_device *device, uint8_t **buffer)
{
    void *memory;
    world_open(w);
    world_plug(w, 1, "1-1", device);
    world_run(w);
    assert_int_equal(w->started, 1);
    assert_int_equal(w->start_status, 0);
    assert_int_equal(guest_buffer_alloc(w->guest, BUFFER, &memory), 0);
    *buffer = memory;
}

static void world_close_disk(struct world *w, uint8_t *buffer)
{
    guest_buffer_free(w->guest, buffer, BUFFER);
    world_close(w);
}

/* storage.h: any number of blocks at any offset of a buffer; a model in memory says what the disk must hold. */
static void test_guest_read_write(void **state)
{
    (void)state;
    const char *text = getenv("PVUSB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240229, x = seed | 1;
    print_message("seed %" PRIu64 " (PVUSB_SEED)\n", seed);
    for (unsigned int speed = USBIF_SPEED_FULL; speed <= USBIF_SPEED_HIGH; speed++) {
        struct world w;
        uint8_t *buffer, *model = calloc(1, DISK_BYTES);
        assert_non_null(model);
        world_open_disk(&w, new_disk((uint8_t)speed), &buffer);
        for (unsigned int i = 0; i < 60; i++) {
            uint32_t at = prng(&x) % 4096, most = (BUFFER - 4096) / 512;
            uint32_t blocks = 1 + prng(&x) % (i % 4 ? 20 : most);
            uint32_t lba = prng(&x) % (DISK_BYTES / 512 - blocks + 1);
            bool write = prng(&x) % 2;
            for (uint32_t b = 0; write && b < blocks * 512; b++)
                buffer[at + b] = model[lba * 512 + b] = (uint8_t)prng(&x);
            if (!write)
                memset(buffer + at, 0xa5, blocks * 512);
            if (run_request(&w, lba, blocks, write, buffer + at) || memcmp(buffer + at, model + lba * 512, blocks * 512))
                fail_msg("seed %" PRIu64 ": %s of %u blocks at %u differs", seed, write ? "write" : "read", blocks, lba);
        }
        uint64_t bytes;
        assert_memory_equal(disk_memory(sim_host_device(w.sim, "1-1"), &bytes), model, DISK_BYTES);
        assert_int_equal(storage_stats(w.storage).recoveries, 0);
        free(model);
        world_close_disk(&w, buffer);
    }
}

/* storage.h: what lies beyond the end is refused before it costs a command; 120 KiB is the most per command. */
static void test_guest_limits(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    world_open_disk(&w, new_disk(USBIF_SPEED_HIGH), &buffer);
    uint64_t before = storage_stats(w.storage).commands;
    assert_int_equal(run_request(&w, DISK_BYTES / 512, 1, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, DISK_BYTES / 512 - 1, 2, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, UINT64_MAX, 2, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, 0, 0, false, buffer), -EINVAL);
    assert_int_equal(storage_stats(w.storage).commands, before);
    assert_int_equal(run_request(&w, 0, 241, false, buffer), 0); /* one block more than 120 KiB */
    assert_int_equal(storage_stats(w.storage).commands, before + 2);
    world_close_disk(&w, buffer);
}

/* BOT 6.7.2 and 5.3.4: a medium error in mid-data is halted, cleared, explained; the disk works on. */
static void test_guest_medium_error(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    world_open_disk(&w, new_disk(USBIF_SPEED_HIGH), &buffer);
    /* In the first URB of a command of two, in the second, and in the second command. */
    static const uint64_t bad[] = {0, 7, 119, 120, 200, 239, 240, 300};
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        disk_set_bad(sim_host_device(w.sim, "1-1"), bad[i], 1);
        assert_int_equal(run_request(&w, 0, 400, false, buffer), -ENODATA);
        assert_int_equal(run_request(&w, 0, 400, true, buffer), -ENODATA);
        disk_set_bad(sim_host_device(w.sim, "1-1"), 0, 0);
        assert_int_equal(run_request(&w, 0, 400, false, buffer), 0);
    }
    assert_int_equal(storage_stats(w.storage).recoveries, 0);
    assert_true(storage_stats(w.storage).stalls >= 16);
    world_close_disk(&w, buffer);
}

/* BOT figure 2: a stall in place of any data or status is cleared or recovered from, never fatal to the next request. */
static void test_guest_stall_anywhere(void **state)
{
    (void)state;
    for (unsigned int at = 1; at <= 8; at++) {
        struct world w;
        uint8_t *buffer;
        memset(&lie, 0, sizeof(lie));
        world_open_disk(&w, new_liar(), &buffer);
        lie.stall_at = at;
        int status = run_request(&w, 0, 400, false, buffer);
        if (status != 0)
            fail_msg("stall of IN transfer %u: status %d", at, status);
        assert_true(storage_stats(w.storage).stalls >= (at <= 6));
        lie.stall_at = 0;
        assert_int_equal(run_request(&w, 0, 400, false, buffer), 0);
        world_close_disk(&w, buffer);
    }
}

/* BOT 6.3 and 5.3.4: a CSW with a wrong tag means reset recovery and the command again, three times, then -EIO. */
static void test_guest_bad_status(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    memset(&lie, 0, sizeof(lie));
    world_open_disk(&w, new_liar(), &buffer);
    lie.csws = 0;
    lie.spoil_from = 1;
    lie.spoil_to = 3;
    assert_int_equal(run_request(&w, 5, 3, false, buffer), 0);
    assert_int_equal(storage_stats(w.storage).recoveries, 2);
    lie.csws = 0;
    lie.spoil_to = 100;
    assert_int_equal(run_request(&w, 5, 3, false, buffer), -EIO);
    assert_int_equal(storage_stats(w.storage).recoveries, 5);
    lie.spoil_to = 0;
    assert_int_equal(run_request(&w, 5, 3, true, buffer), 0);
    world_close_disk(&w, buffer);
}

/* guest.h: unplugged after any number of steps of enumeration and of a read, everything comes back, once. */
static void test_guest_unplug_anywhere(void **state)
{
    (void)state;
    bool idle = false;
    unsigned int finished = 0, cut = 0;
    for (unsigned int steps = 0; !idle; steps++) {
        struct world w;
        void *buffer;
        struct storage_request r = {.blocks = 300, .done = on_finished, .context = &w};
        bool submitted = false;
        world_open(&w);
        world_plug(&w, 1, "1-1", new_disk(USBIF_SPEED_FULL));
        assert_int_equal(guest_buffer_alloc(w.guest, BUFFER, &buffer), 0);
        r.buffer = buffer;
        for (unsigned int i = 0; i < steps && !idle; i++) {
            if (w.started && !submitted) {
                submitted = true;
                assert_int_equal(storage_submit(w.storage, &r), 0);
            }
            idle = !world_step(&w) && submitted;
        }
        unsigned int done_before = w.finished;
        assert_int_equal(sim_host_unplug(w.sim, "1-1"), 0);
        world_run(&w);
        assert_int_equal(w.gone, w.ready);
        assert_null(w.storage);
        assert_int_equal(w.finished, submitted);
        if (submitted && !done_before) {
            assert_true(r.status == -ENODEV || r.status == 0);
            cut += r.status == -ENODEV;
        }
        finished += done_before;
        guest_buffer_free(w.guest, buffer, BUFFER);
        world_close(&w);
        assert_true(steps < 1000);
    }
    assert_true(finished >= 1); /* it did get to the end, */
    assert_true(cut >= 5);      /* and was cut on the way */
}

/* guest.h: a transfer without an answer for its time is taken back and reported; one without limit stays. */
static void on_xfer_done(struct guest_xfer *xfer)
{
    ++*(unsigned int *)xfer->context;
}

static void test_guest_timeout(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    unsigned int done = 0;
    struct guest_xfer xfer = {.done = on_xfer_done, .context = &done}, open_end = xfer, short_one = xfer;
    world_open_disk(&w, new_disk(USBIF_SPEED_HIGH), &buffer);
    uint64_t start = w.now_ns;
    open_end.timeout_ns = GUEST_NO_TIMEOUT;
    short_one.timeout_ns = 1000;
    /* No command is under way, so the disk has nothing to say. */
    assert_int_equal(guest_transfer(&short_one, w.device, DISK_EP_IN, buffer, 13, false), 0);
    assert_int_equal(guest_transfer(&xfer, w.device, DISK_EP_IN, buffer, 13, false), 0);
    assert_int_equal(guest_transfer(&open_end, w.device, DISK_EP_IN, buffer, 13, false), 0);
    assert_int_equal(guest_transfer(&xfer, w.device, DISK_EP_IN, buffer, 13, false), -EBUSY);
    struct guest_xfer none = xfer;
    none.busy = false;
    assert_int_equal(guest_transfer(&none, w.device, 0x85, buffer, 13, false), -ENOENT);
    while (world_step(&w))
        continue;
    assert_int_equal(done, 2);
    assert_int_equal(short_one.status, -ETIMEDOUT);
    assert_int_equal(xfer.status, -ETIMEDOUT);
    assert_true(w.now_ns >= start + GUEST_TIMEOUT_NS && w.now_ns < start + 2 * GUEST_TIMEOUT_NS);
    guest_unlink(&open_end);
    while (world_step(&w))
        continue;
    assert_int_equal(done, 3);
    assert_int_equal(open_end.status, -ECONNRESET);
    world_close_disk(&w, buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guest_enumerate),       cmocka_unit_test(test_guest_ports),
        cmocka_unit_test(test_guest_hostile_descriptors), cmocka_unit_test(test_guest_bad_strings),
        cmocka_unit_test(test_guest_read_write),      cmocka_unit_test(test_guest_limits),
        cmocka_unit_test(test_guest_medium_error),    cmocka_unit_test(test_guest_stall_anywhere),
        cmocka_unit_test(test_guest_bad_status),      cmocka_unit_test(test_guest_unplug_anywhere),
        cmocka_unit_test(test_guest_timeout),
    };
    return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
