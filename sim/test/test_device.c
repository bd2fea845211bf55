// SPDX-License-Identifier: MIT
/*
 * Goal: the common layer below every simulated device keeps USB 2.0 chapter 9 and the promises of usb_host.h,
 * whoever asks what. Driven straight over the seam, with a loopback device: what bulk OUT 1 takes, bulk IN 1
 * gives back.
 */
#include "test/test_device_util.h"

#define LOOP_BYTES 4096u

struct loop {
    struct usb_device device;
    uint8_t bytes[LOOP_BYTES];
    uint32_t n;
    unsigned int *destroyed;
    uint8_t vendor;
};

static const uint8_t loop_device_desc[18] = {18,   1,    0,    2, 0xff, 0, 0, 64, 0x34,
                                             0x12, 0x78, 0x56, 0, 1,    1, 2, 0,  1};
/* Interface 0 has two alternate settings: alternate 1 adds interrupt IN 2. */
static const uint8_t loop_config[] = {
    9,    2,    9 + 9 + 7 + 7 + 9 + 7 + 7 + 7,
    0,    1,    1,
    0,    0xc0, 50,
    9,    4,    0,
    0,    2,    0xff,
    0,    0,    0,
    7,    5,    0x81,
    2,    64,   0,
    0,    7,    5,
    0x01, 2,    64,
    0,    0,    9,
    4,    0,    1,
    3,    0xff, 0,
    0,    0,    7,
    5,    0x81, 2,
    64,   0,    0,
    7,    5,    0x01,
    2,    64,   0,
    0,    7,    5,
    0x82, 3,    8,
    0,    10,
};
static const uint8_t *const loop_configs[] = {loop_config};
static const char *const loop_strings[] = {"pvusb", "loop"};

static int loop_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct loop *loop = (struct loop *)device;
    if (loop->n == 0 || ep->address != 0x81)
        return DEVICE_WAIT;
    uint32_t used = device_in_copy(ep, loop->bytes, loop->n);
    memmove(loop->bytes, loop->bytes + used, loop->n - used);
    loop->n -= used;
    return DEVICE_DONE;
}

static int loop_out(struct usb_device *device, struct device_endpoint *ep)
{
    struct loop *loop = (struct loop *)device;
    uint32_t n = device_out_packet(ep);
    if (n > LOOP_BYTES - loop->n)
        return DEVICE_WAIT;
    host_urb_read(ep->head, ep->moved, loop->bytes + loop->n, n);
    loop->n += n;
    device_out_take(ep, n);
    device_kick(device, 0x81);
    return DEVICE_DONE;
}

/* Vendor request 1 stores or reports a byte, 2 sends 16 bytes whatever wLength says. */
static int loop_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    struct loop *loop = (struct loop *)device;
    uint8_t much[16] = {0};
    if (setup->request == 1 && setup->type == 0xc0)
        return device_control_in(ep, setup, &loop->vendor, 1);
    if (setup->request == 2 && setup->type == 0xc0)
        return device_control_in(ep, setup, much, sizeof(much));
    if (setup->request == 1 && setup->type == 0x40)
        return device_control_out(ep, setup, &loop->vendor, 1) == 1 ? DEVICE_DONE : -EPIPE;
    return -EPIPE;
}

static void loop_destroy(struct usb_device *device)
{
    struct loop *loop = (struct loop *)device;
    if (loop->destroyed)
        ++*loop->destroyed;
    free(loop);
}

static const struct usb_device_ops loop_ops = {
    .control = loop_control, .in = loop_in, .out = loop_out, .destroy = loop_destroy};

static struct usb_device *loop_create(unsigned int *destroyed)
{
    struct usb_descriptors d = {.device = loop_device_desc,
                                .configurations = loop_configs,
                                .strings = loop_strings,
                                .nr_strings = 2,
                                .speed = USBIF_SPEED_FULL};
    struct loop *loop = calloc(1, sizeof(*loop));
    assert_non_null(loop);
    assert_int_equal(device_init(&loop->device, &loop_ops, &d), 0);
    loop->destroyed = destroyed;
    return &loop->device;
}

static void setup_configured(struct bench *bench)
{
    bench_open(bench, loop_create(NULL));
    assert_int_equal(bench_control(bench, 0x00, 9, 1, 0, 0, NULL), 0);
}

/* usb_host.h: host_urb_write() and _read() stay inside the segments. */
static void test_device_segments(void **state)
{
    (void)state;
    uint8_t a[4], b[6], in[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, out[16] = {0};
    struct host_urb urb = {.length = 10, .nr_segs = 3, .seg = {{a, 4}, {NULL, 0}, {b, 6}}};
    memset(a, 0xee, sizeof(a));
    assert_int_equal(host_urb_write(&urb, 2, in, 12), 8);
    assert_int_equal(a[1], 0xee);
    assert_int_equal(b[5], 8);
    assert_int_equal(host_urb_read(&urb, 3, out, 16), 7);
    assert_memory_equal(out, in + 1, 7);
    assert_int_equal(host_urb_read(&urb, 10, out, 1), 0);
    assert_int_equal(host_urb_write(&urb, UINT32_MAX, in, 1), 0);
}

/* Names that usb_host.h and sysfs use, and nothing else. */
static void test_device_busid(void **state)
{
    (void)state;
    static const struct {
        const char *busid;
        bool valid;
    } cases[] = {
        {"1-2", true},
        {"2-4.3.3", true},
        {"10-1.20", true},
        {"", false},
        {"1", false},
        {"1-", false},
        {"1-0", false},
        {"01-1", false},
        {"1-1.", false},
        {"1-1-1", false},
        {"1.1", false},
        {"1-1.0", false},
        {"1-1/..", false},
        {"usb1", false},
        {"1-1.1.1.1.1.1.1.1.1.1.1.1.1.1.1", true},
        {"1-1.1.1.1.1.1.1.1.1.1.1.1.1.1.11", false},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (sim_host_busid_valid(cases[i].busid) != cases[i].valid)
            fail_msg("busid \"%s\" should be %s", cases[i].busid, cases[i].valid ? "valid" : "refused");
    }
}

/* usb_host.h open(): -ENODEV, -EBUSY; class 9 is refused (rule CONN-14). */
static void test_device_open(void **state)
{
    (void)state;
    struct bench bench;
    struct host_device *second;
    static const uint8_t hub[18] = {18, 1, 0, 2, 9, 0, 0, 64, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1};
    bench_open(&bench, loop_create(NULL));
    assert_int_equal(bench.host->ops->open(bench.host, "1-1", &second), -EBUSY);
    assert_int_equal(bench.host->ops->open(bench.host, "1-9", &second), -ENODEV);
    assert_int_equal(bench.host->ops->speed(bench.host, bench.device), USBIF_SPEED_FULL);
    struct usb_device *device = loop_create(NULL);
    device->descriptors.device = hub;
    assert_int_equal(sim_host_plug(bench.sim, "1-3", device), 0);
    assert_int_equal(bench.host->ops->open(bench.host, "1-3", &second), -EACCES);
    assert_int_equal(sim_host_plug(bench.sim, "1-3", loop_create(NULL)), -EEXIST);
    assert_int_equal(sim_host_plug(bench.sim, "1_3", loop_create(NULL)), -EINVAL);
    bench_close(&bench);
}

/* USB 2.0 section 9.4: each standard request, in the configured state. bytes < 0 is a stall. */
static void test_device_chapter9(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t type, request;
        uint16_t value, index, length;
        int result;
        uint8_t first;
    } cases[] = {
        {"9.4.3 device descriptor", 0x80, 6, 0x0100, 0, 18, 18, 18},
        {"9.4.3 shorter wLength truncates", 0x80, 6, 0x0100, 0, 8, 8, 18},
        {"9.4.3 longer wLength ends short", 0x80, 6, 0x0100, 0, 64, 18, 18},
        {"9.4.3 device descriptor has one index", 0x80, 6, 0x0101, 0, 18, -EPIPE, 0},
        {"9.4.3 configuration with all its parts", 0x80, 6, 0x0200, 0, 255, (int)sizeof(loop_config), 9},
        {"9.4.3 no such configuration", 0x80, 6, 0x0201, 0, 9, -EPIPE, 0},
        {"9.6.7 languages", 0x80, 6, 0x0300, 0, 255, 4, 4},
        {"9.6.7 string 2", 0x80, 6, 0x0302, 0x0409, 255, 10, 10},
        {"9.6.7 no such string", 0x80, 6, 0x0303, 0x0409, 255, -EPIPE, 0},
        {"9.6.7 no such language", 0x80, 6, 0x0301, 0x0407, 255, -EPIPE, 0},
        {"9.6.2 no qualifier at full speed only", 0x80, 6, 0x0600, 0, 10, -EPIPE, 0},
        {"9.6.4 no other speed", 0x80, 6, 0x0700, 0, 9, -EPIPE, 0},
        {"no BOS in USB 2.0", 0x80, 6, 0x0f00, 0, 5, -EPIPE, 0},
        {"9.4.2 get configuration", 0x80, 8, 0, 0, 1, 1, 1},
        {"9.4.5 device is self-powered", 0x80, 0, 0, 0, 2, 2, 1},
        {"9.4.5 interface status", 0x81, 0, 0, 0, 2, 2, 0},
        {"9.4.5 no such interface", 0x81, 0, 0, 1, 2, -EPIPE, 0},
        {"9.4.5 endpoint status", 0x82, 0, 0, 0x81, 2, 2, 0},
        {"9.4.5 no such endpoint", 0x82, 0, 0, 0x83, 2, -EPIPE, 0},
        {"9.4.5 endpoint of the other alternate setting", 0x82, 0, 0, 0x82, 2, -EPIPE, 0},
        {"9.4.4 get interface", 0x81, 10, 0, 0, 1, 1, 0},
        {"9.4.4 get interface 20", 0x81, 10, 0, 20, 1, -EPIPE, 0},
        {"9.4.10 no such alternate setting", 0x01, 11, 2, 0, 0, -EPIPE, 0},
        {"9.4.7 no such configuration", 0x00, 9, 2, 0, 0, -EPIPE, 0},
        {"9.4.9 remote wakeup not offered", 0x00, 3, 1, 0, 0, -EPIPE, 0},
        {"9.4.9 test mode not offered", 0x00, 3, 2, 0x0100, 0, -EPIPE, 0},
        {"9.4.6 set address is the host's (CTL-04)", 0x00, 5, 5, 0, 0, -EPIPE, 0},
        {"unknown request", 0x80, 13, 0, 0, 2, -EPIPE, 0},
        {"reserved type", 0xe0, 6, 0x0100, 0, 18, -EPIPE, 0},
    };
    struct bench bench;
    setup_configured(&bench);
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t data[256] = {0};
        int r = bench_control(&bench, cases[i].type, cases[i].request, cases[i].value, cases[i].index,
                              cases[i].length, data);
        if (r != cases[i].result || data[0] != cases[i].first)
            fail_msg("%s: result %d first byte %u, expected %d and %u", cases[i].what, r, data[0],
                     cases[i].result, cases[i].first);
    }
    bench_close(&bench);
}

/*
 * USB 2.0 section 9.1.1: endpoints exist only in a configuration, and in the alternate setting that has
 * them.
 */
static void test_device_states(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb turb, waiting;
    uint8_t byte = 9;
    bench_open(&bench, loop_create(NULL));
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x01, 8, NULL), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x80, 8, 0, 0, 1, &byte), 1);
    assert_int_equal(byte, 0);
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x01, 8, NULL), 0);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_INT, 0x82, 8, NULL), -EPIPE);
    assert_int_equal(bench_control(&bench, 0x01, 11, 1, 0, 0, NULL), 0);
    turb_init(&waiting, USBIF_PIPE_TYPE_INT, 0x82, 8);
    turb_submit(&bench, &waiting);
    assert_int_equal(waiting.completed, 0);
    /* Rule PIPE-07: isochronous aimed at bulk, and the reverse, are refused. */
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_ISOC, 0x81, 8, NULL), -EPIPE);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x8f, 8, NULL), -EPIPE);
    /* The endpoint goes, and with it who waits there. */
    assert_int_equal(bench_control(&bench, 0x00, 9, 0, 0, 0, NULL), 0);
    assert_int_equal(waiting.completed, 1);
    assert_int_equal(waiting.urb.status, -EPIPE);
    bench_close(&bench);
}

/* USB 2.0 section 9.4.5 and rule CTL-11: a halted endpoint stalls until CLEAR_FEATURE(ENDPOINT_HALT). */
static void test_device_halt(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb turb, held;
    uint8_t status[2] = {0, 0};
    setup_configured(&bench);
    turb_init(&held, USBIF_PIPE_TYPE_BULK, 0x81, 8);
    turb_submit(&bench, &held);
    assert_int_equal(bench_control(&bench, 0x02, 3, 0, 0x81, 0, NULL), 0);
    assert_int_equal(held.urb.status, -EPIPE);
    assert_int_equal(bench_control(&bench, 0x82, 0, 0, 0x81, 2, status), 2);
    assert_int_equal(status[0], 1);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x81, 8, NULL), -EPIPE);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x01, 8, NULL), 0);
    assert_int_equal(bench_control(&bench, 0x02, 1, 0, 0x81, 0, NULL), 0);
    assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x81, 8, NULL), 0);
    assert_int_equal(bench_control(&bench, 0x02, 3, 0, 0x85, 0, NULL), -EPIPE);
    bench_close(&bench);
}

/*
 * USB 2.0 section 5.8.3: a transfer ends when it is full or with a short packet; a larger packet is a
 * babble.
 */
static void test_device_packets(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint32_t sent, asked;
        int status;
        uint32_t actual, left;
    } cases[] = {
        {"one short packet", 10, 64, 0, 10, 0},
        {"exactly full", 64, 64, 0, 64, 0},
        {"two full and one short", 150, 512, 0, 150, 0},
        {"full transfer leaves the rest", 192, 128, 0, 128, 64},
        {"babble in the first packet: 64 into 10", 64, 10, -EOVERFLOW, 10, 64},
        {"babble in the second packet", 128, 100, -EOVERFLOW, 100, 64},
        {"babble of a short packet", 30, 20, -EOVERFLOW, 20, 30},
        {"any packet into a transfer of 0 bytes", 5, 0, -EOVERFLOW, 0, 5},
    };
    static struct turb turb;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench bench;
        uint32_t actual;
        setup_configured(&bench);
        struct loop *loop = (struct loop *)sim_host_device(bench.sim, "1-1");
        assert_int_equal(turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x01, cases[i].sent, &actual), 0);
        assert_int_equal(actual, cases[i].sent);
        int status = turb_run(&bench, &turb, USBIF_PIPE_TYPE_BULK, 0x81, cases[i].asked, &actual);
        if (status != cases[i].status || actual != cases[i].actual || loop->n != cases[i].left)
            fail_msg("%s: status %d actual %u left %u, expected %d, %u, %u", cases[i].what, status, actual,
                     loop->n, cases[i].status, cases[i].actual, cases[i].left);
        /* XFR-02 and SEG-13: not a byte beyond actual. */
        assert_int_equal(turb.bytes[actual], 0);
        bench_close(&bench);
    }
}

/*
 * Rule XFR-07: completion order per endpoint is submission order. One transfer may span what several OUTs
 * bring.
 */
static void test_device_order(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb in[8], out;
    setup_configured(&bench);
    for (unsigned int i = 0; i < 8; i++) {
        turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x81, 128);
        turb_submit(&bench, &in[i]);
    }
    assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 64, NULL), 0);
    assert_int_equal(in[0].completed, 0);
    for (unsigned int i = 0; i < 8; i++)
        assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 10 + i, NULL), 0);
    assert_int_equal(in[0].urb.actual, 74);
    for (unsigned int i = 1; i < 8; i++) {
        assert_int_equal(in[i].completed, 1);
        assert_int_equal(in[i].urb.actual, 10 + i);
        assert_int_equal(in[i].order, in[0].order + 2 * i); /* an OUT completes between each two */
    }
    bench_close(&bench);
}

/*
 * Rule XFR-09: cancelling, whichever place the URB has in the queue, harms nobody else. Contract: exactly
 * once.
 */
static void test_device_cancel(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb in[4], out;
    setup_configured(&bench);
    for (unsigned int i = 0; i < 4; i++) {
        turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x81, 128);
        turb_submit(&bench, &in[i]);
    }
    assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 64, NULL), 0);
    static const unsigned int victims[] = {2, 0, 3};
    for (unsigned int i = 0; i < 3; i++) {
        struct turb *t = &in[victims[i]];
        bench.host->ops->cancel(bench.host, bench.device, &t->urb);
        assert_int_equal(t->completed, 1);
        assert_int_equal(t->urb.status, -ECONNRESET);
        assert_int_equal(t->urb.actual, victims[i] == 0 ? 64 : 0); /* the first had a packet already */
        bench.host->ops->cancel(bench.host, bench.device, &t->urb);
        assert_int_equal(t->completed, 1);
    }
    assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 5, NULL), 0);
    assert_int_equal(in[1].urb.status, 0);
    assert_int_equal(in[1].urb.actual, 5);
    /* A follower that could go, had the cancelled one not been in its way, goes now. */
    struct loop *loop = (struct loop *)sim_host_device(bench.sim, "1-1");
    loop->n = LOOP_BYTES - 10;
    for (unsigned int i = 0; i < 2; i++) {
        turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x01, i ? 8 : 64);
        turb_submit(&bench, &in[i]);
        assert_int_equal(in[i].completed, 0);
    }
    bench.host->ops->cancel(bench.host, bench.device, &in[0].urb);
    assert_int_equal(in[1].completed, 1);
    assert_int_equal(in[1].urb.status, 0);
    bench_close(&bench);
}

/*
 * USB 2.0 section 9.1.1.5: SET_INTERFACE clears the halts of its interface; SET_CONFIGURATION those of all.
 */
static void test_device_halt_and_settings(void **state)
{
    (void)state;
    struct bench bench;
    uint8_t status[2] = {0, 0};
    setup_configured(&bench);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(bench_control(&bench, 0x02, 3, 0, 0x81, 0, NULL), 0);
        assert_int_equal(bench_control(&bench, i ? 0x00 : 0x01, i ? 9 : 11, i ? 1 : 0, 0, 0, NULL), 0);
        assert_int_equal(bench_control(&bench, 0x82, 0, 0, 0x81, 2, status), 2);
        assert_int_equal(status[0], 0);
    }
    bench_close(&bench);
}

/* Rules SNO-02 and XFR-08: a short transfer with short_not_ok, or a babble, starts no follower. */
static void test_device_short_not_ok(void **state)
{
    (void)state;
    for (unsigned int babble = 0; babble < 2; babble++) {
        struct bench bench;
        static struct turb in[3], out;
        setup_configured(&bench);
        struct loop *loop = (struct loop *)sim_host_device(bench.sim, "1-1");
        for (unsigned int i = 0; i < 3; i++) {
            turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x81, babble ? 10 : 64);
            in[i].urb.short_not_ok = !babble;
            turb_submit(&bench, &in[i]);
        }
        assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 20, NULL), 0);
        assert_int_equal(in[0].urb.status, babble ? -EOVERFLOW : 0);
        assert_int_equal(in[1].urb.status, -ECONNRESET);
        assert_int_equal(in[2].urb.status, -ECONNRESET);
        assert_true(in[0].order < in[1].order && in[1].order < in[2].order);
        /* Who comes later is served again. */
        loop->n = 3;
        assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x81, 64, NULL), 0);
        bench_close(&bench);
    }
}

/* Vendor requests: both directions, a stall, and more data than there is room for (rules CTL-14, STA-06). */
static void test_device_control(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb turb;
    uint8_t byte = 0x5a, back = 0;
    setup_configured(&bench);
    assert_int_equal(bench_control(&bench, 0x40, 1, 0, 0, 1, &byte), 1);
    assert_int_equal(bench_control(&bench, 0xc0, 1, 0, 0, 1, &back), 1);
    assert_int_equal(back, 0x5a);
    assert_int_equal(bench_control(&bench, 0xc0, 99, 0, 0, 1, &back), -EPIPE);
    assert_int_equal(bench_control(&bench, 0xc0, 1, 0, 0, 1, &back),
                     1); /* ep0 does not stay halted: section 8.5.3.4 */
    turb_init(&turb, USBIF_PIPE_TYPE_CTRL, 0x80, 4);
    memcpy(turb.urb.setup, (uint8_t[8]){0xc0, 2, 0, 0, 0, 0, 16, 0}, 8);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.urb.status, -EOVERFLOW);
    assert_int_equal(turb.urb.actual, 4);
    /* wLength 8 with 4 bytes there: refused, nothing read beyond. */
    turb_init(&turb, USBIF_PIPE_TYPE_CTRL, 0x00, 4);
    memcpy(turb.urb.setup, (uint8_t[8]){0x40, 1, 0, 0, 0, 0, 8, 0}, 8);
    turb_submit(&bench, &turb);
    assert_int_equal(turb.urb.status, -EPIPE);
    bench_close(&bench);
}

struct watch {
    struct bench *bench;
    struct turb *held;
    unsigned int plugged, unplugged;
};

static void on_plugged(void *context, const char *busid)
{
    struct watch *watch = context;
    assert_string_equal(busid, "1-1");
    watch->plugged++;
}

static void on_unplugged(void *context, const char *busid)
{
    struct watch *watch = context;
    assert_string_equal(busid, "1-1");
    assert_int_equal(watch->held->completed, 1); /* usb_host.h: URBs come back first */
    watch->unplugged++;
}

/*
 * usb_host.h: URBs held complete with -ENODEV, then unplugged(); the dead handle refuses and can be closed.
 */
static void test_device_unplug(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb held, late, out;
    unsigned int destroyed = 0;
    bench_open(&bench, loop_create(&destroyed));
    assert_int_equal(bench_control(&bench, 0x00, 9, 1, 0, 0, NULL), 0);
    struct watch watch = {.bench = &bench, .held = &held};
    struct usb_host_listener listener = {on_plugged, on_unplugged, &watch};
    assert_int_equal(bench.host->ops->listen(bench.host, &listener), 0);
    turb_init(&held, USBIF_PIPE_TYPE_BULK, 0x81, 512);
    turb_submit(&bench, &held);
    assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 64, NULL), 0);
    assert_int_equal(sim_host_unplug(bench.sim, "1-1"), 0);
    assert_int_equal(held.urb.status, -ENODEV);
    assert_int_equal(held.urb.actual, 64); /* in mid-transfer */
    assert_int_equal(watch.unplugged, 1);
    assert_int_equal(destroyed, 1);
    turb_init(&late, USBIF_PIPE_TYPE_BULK, 0x81, 8);
    turb_submit(&bench, &late);
    assert_int_equal(late.urb.status, -ENODEV);
    assert_int_equal(bench.host->ops->reset(bench.host, bench.device), -ENODEV);
    /* The name is free at once, although the old handle is still open. */
    assert_int_equal(sim_host_plug(bench.sim, "1-1", loop_create(NULL)), 0);
    assert_int_equal(watch.plugged, 1);
    struct host_device *fresh;
    assert_int_equal(bench.host->ops->open(bench.host, "1-1", &fresh), 0);
    bench.host->ops->close(bench.host, fresh);
    assert_int_equal(sim_host_unplug(bench.sim, "1-7"), -ENODEV);
    bench.host->ops->unlisten(bench.host, &listener);
    bench_close(&bench);
}

static struct bench *then_bench;
static struct turb then_next;

static void then_unplug(struct turb *turb)
{
    (void)turb;
    then_bench->host->ops->close(then_bench->host, then_bench->device);
    (void)sim_host_unplug(then_bench->sim, "1-1");
}

static void then_resubmit(struct turb *turb)
{
    (void)turb;
    turb_init(&then_next, USBIF_PIPE_TYPE_BULK, 0x81, 64);
    turb_submit(then_bench, &then_next);
}

/* usb_host.h: complete() runs inside submit and cancel, and may itself submit, close and unplug. */
static void test_device_reentrant(void **state)
{
    (void)state;
    struct bench bench;
    static struct turb in[3], out;
    then_bench = &bench;
    setup_configured(&bench);
    for (unsigned int i = 0; i < 3; i++)
        turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x81, 64);
    in[0].then = then_resubmit;
    in[1].then = then_unplug;
    turb_submit(&bench, &in[0]);
    assert_int_equal(turb_run(&bench, &out, USBIF_PIPE_TYPE_BULK, 0x01, 7, NULL), 0);
    assert_int_equal(in[0].completed, 1);
    assert_int_equal(then_next.completed, 0); /* resubmitted, not served twice */
    turb_submit(&bench, &in[1]);
    turb_submit(&bench, &in[2]);
    bench.host->ops->cancel(bench.host, bench.device,
                            &in[1].urb); /* unplugs from the completion of a cancel */
    assert_int_equal(in[2].completed, 1);
    assert_int_equal(then_next.completed, 1);
    assert_null(sim_host_device(bench.sim, "1-1"));
    sim_host_destroy(bench.sim);

    setup_configured(&bench);
    for (unsigned int i = 0; i < 2; i++)
        turb_init(&in[i], USBIF_PIPE_TYPE_BULK, 0x81, 64);
    in[0].then = then_unplug;
    turb_submit(&bench, &in[0]);
    turb_submit(&bench, &in[1]);
    turb_init(&out, USBIF_PIPE_TYPE_BULK, 0x01, 300);
    turb_submit(&bench, &out); /* in mid-OUT the IN completes, and pulls the device out */
    assert_int_equal(in[1].completed, 1);
    assert_int_equal(out.completed, 1);
    sim_host_destroy(bench.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_segments),  cmocka_unit_test(test_device_busid),
        cmocka_unit_test(test_device_open),      cmocka_unit_test(test_device_chapter9),
        cmocka_unit_test(test_device_states),    cmocka_unit_test(test_device_halt),
        cmocka_unit_test(test_device_packets),   cmocka_unit_test(test_device_order),
        cmocka_unit_test(test_device_cancel),    cmocka_unit_test(test_device_short_not_ok),
        cmocka_unit_test(test_device_control),   cmocka_unit_test(test_device_unplug),
        cmocka_unit_test(test_device_reentrant), cmocka_unit_test(test_device_halt_and_settings),
    };
    return cmocka_run_group_tests_name("devices: the common layer", tests, NULL, NULL);
}
