// SPDX-License-Identifier: MIT
/*
 * Goal: a device of several functions has a driver for each, and neither knows of the other; and descriptors
 * or notifications that lie cost the driver nothing but the device.
 */
#include "test/class_bed.h"

static struct usb_device *make(uint8_t speed, bool serial_first)
{
    struct function *f[2];
    struct usb_device *device;
    assert_int_equal(serial_function(&(struct serial_config){.loopback = true}, &f[!serial_first]), 0);
    assert_int_equal(keyboard_function(&f[serial_first]), 0);
    assert_int_equal(composite_create(speed, f, 2, &device), 0);
    return device;
}

static bool all_back(const struct bed *bed)
{
    return bed->ports[1].nr_received == 1 << 20;
}

/* guest.h: both in use at once; the trouble of one is not the other's. */
static void test_class_composite_both(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 20];
    uint64_t seed = bed_seed(), x = seed | 1;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)bed_prng(&x);
    for (unsigned int i = 0; i < 8; i++) {
        struct bed bed;
        uint8_t speed = i & 1 ? USBIF_SPEED_HIGH : USBIF_SPEED_FULL;
        bed_open(&bed, i & 2 ? BED_SPINE : BED_LOOP, 2);
        bed_plug_ready(&bed, 1, make(speed, i & 4));
        struct usb_device *device = bed_device(&bed, 1);
        struct bed_port *port = &bed.ports[1];
        assert_non_null(port->hid);
        assert_non_null(port->acm);
        assert_int_equal(acm_open(port->acm), 0);
        bed_write(&bed, 1, bytes, sizeof(bytes));
        for (const char *c = "in the middle"; *c; c++) {
            const char one[2] = {*c, 0};
            assert_int_equal(keyboard_type(device, one), 0);
            if (*c == ' ')
                device_halt(device, i & 4 ? 0x83 : 0x81);
            for (unsigned int s = 0; s < 2; s++)
                bed_step(&bed);
        }
        assert_true(port->nr_received < sizeof(bytes));
        assert_true(bed_run(&bed, 30 * SECOND, all_back));
        bed_run(&bed, SECOND, NULL);
        if (memcmp(port->received, bytes, sizeof(bytes)) != 0)
            fail_msg("seed %" PRIu64 ": what came back differs", seed);
        assert_string_equal(port->typed, "in the middle");
        assert_int_equal(hid_stats(port->hid).failures, 2);
        assert_int_equal(acm_stats(port->acm).failures, 0);

        /* One driver leaves, and may come back; the other goes on. */
        hid_stop(port->hid);
        bed_run(&bed, SECOND, NULL);
        hid_destroy(port->hid);
        port->hid = NULL;
        assert_true(hid_matches(port->device));
        assert_false(acm_matches(port->device));
        port->nr_received = 0;
        bed_write(&bed, 1, bytes, 100);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->nr_received, 100);

        assert_int_equal(guest_reset_device(port->device), 0);
        bed_run(&bed, SECOND, NULL);
        port->nr_received = 0;
        bed_write(&bed, 1, bytes, 100);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->nr_received, 100);
        bed_unplug(&bed, 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->gone, 1);
        bed_close(&bed);
    }
}

struct disk_job {
    struct storage_request request;
    struct storage *storage;
    unsigned int rounds;
};

static void next_round(struct storage_request *request)
{
    struct disk_job *job = request->context;
    assert_int_equal(request->status, 0);
    if (++job->rounds < 20)
        assert_int_equal(storage_submit(job->storage, request), 0);
}

/* Rule RING-12: four ports, 19 receivers that may be idle, a disk that is read all the time; everybody gets
 * on. */
static void test_class_composite_four_ports(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 20];
    struct bed bed;
    struct usb_device *disk;
    struct disk_job job = {0};
    bed_open(&bed, BED_SPINE, 2);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 1 << 20}, &disk), 0);
    bed_plug_ready(&bed, 1, make(USBIF_SPEED_HIGH, false));
    bed_plug_ready(&bed, 2, bed_serial(USBIF_SPEED_FULL));
    bed_plug_ready(&bed, 3, disk);
    bed_plug_ready(&bed, 4, bed_keyboard(USBIF_SPEED_LOW));
    void *buffer;
    assert_int_equal(guest_buffer_alloc(bed.guest, 1 << 19, &buffer), 0);
    job = (struct disk_job){
        .request = {.blocks = 1024, .write = true, .buffer = buffer, .done = next_round, .context = &job},
        .storage = bed.ports[3].storage};
    assert_int_equal(acm_open(bed.ports[1].acm), 0);
    bed_run(&bed, SECOND, NULL);
    assert_int_equal(storage_submit(job.storage, &job.request), 0);
    bed_write(&bed, 1, bytes, sizeof(bytes));
    assert_int_equal(keyboard_type(bed_device(&bed, 1), "one"), 0);
    assert_int_equal(keyboard_type(bed_device(&bed, 4), "four"), 0);
    bed_run(&bed, 60 * SECOND, NULL);
    assert_int_equal(bed.ports[1].nr_received, sizeof(bytes));
    assert_string_equal(bed.ports[1].typed, "one");
    assert_string_equal(bed.ports[4].typed, "four");
    assert_int_equal(job.rounds, 20);
    storage_destroy(bed.ports[3].storage);
    bed.ports[3].storage = NULL;
    assert_true(storage_matches(bed.ports[3].device)); /* free for another driver */
    guest_buffer_free(bed.guest, buffer, 1 << 19);
    bed_close(&bed);
}

static void count_round(struct storage_request *request)
{
    ((struct disk_job *)request->context)->rounds++;
}

/*
 * guest.h gone(): a disk is pulled while its reads wait for slots that a serial port's receivers hold. They come
 * back from inside the driver's own unlinks; the driver is still at work then, and must not be let go yet.
 */
static void test_class_composite_pulled_while_waiting(void **state)
{
    (void)state;
    struct bed bed;
    struct usb_device *disk;
    struct disk_job job = {0};
    void *buffer;
    bed_open(&bed, BED_SPINE, 2);
    assert_int_equal(disk_create(&(struct disk_config){.bytes = 1 << 20}, &disk), 0);
    bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
    bed_plug_ready(&bed, 2, disk);
    assert_int_equal(guest_buffer_alloc(bed.guest, 1 << 19, &buffer), 0);
    assert_int_equal(acm_open(bed.ports[1].acm), 0);
    bed_run(&bed, SECOND, NULL);
    job.request = (struct storage_request){.blocks = 1024, .buffer = buffer, .done = count_round, .context = &job};
    job.storage = bed.ports[2].storage;
    assert_int_equal(storage_submit(job.storage, &job.request), 0);
    bed_run(&bed, SECOND / 1000, NULL);
    assert_int_equal(job.request.blocks_done, 0); /* its first reads have waited for less than a turn */
    bed_unplug(&bed, 2);
    bed_run(&bed, SECOND, NULL);
    assert_int_equal(bed.ports[2].gone, 1);
    assert_int_equal(job.rounds, 1);
    assert_int_equal(job.request.status, -ENODEV);
    guest_buffer_free(bed.guest, buffer, 1 << 19);
    bed_close(&bed);
}

/* guest.h: claims are by interface, and each is one driver's. */
static void test_class_composite_claims(void **state)
{
    (void)state;
    struct bed bed;
    int me;
    bed_open(&bed, BED_LOOP, 2);
    bed_plug_ready(&bed, 1, make(USBIF_SPEED_HIGH, false));
    struct guest_device *device = bed.ports[1].device;
    struct hid *hid;
    struct acm *acm;
    struct storage *storage;
    assert_int_equal(guest_claim(device, 0, &me), -EBUSY);
    assert_int_equal(guest_claim(device, 2, &me), -EBUSY);
    assert_int_equal(guest_claim(device, 3, &me), -ENOENT);
    assert_int_equal(guest_claim(device, 0, bed.ports[1].hid), 0);
    assert_int_equal(hid_create(device, &(struct hid_listener){0}, &hid), -ENODEV);
    assert_int_equal(acm_create(device, &(struct acm_listener){0}, &acm), -ENODEV);
    assert_int_equal(storage_create(device, NULL, NULL, &storage), -ENODEV);
    assert_null(guest_find_interface(device, -1, -1, -1));
    /* A data interface that is somebody else's is no port. */
    acm_destroy(bed.ports[1].acm);
    bed.ports[1].acm = NULL;
    assert_int_equal(guest_claim(device, 2, &me), 0);
    assert_false(acm_matches(device));
    assert_int_equal(guest_find_interface(device, 2, 2, -1)->number, 1);
    assert_null(guest_find_interface(device, 2, 2, 2));
    guest_release(device, &me);
    assert_true(acm_matches(device));
    bed_close(&bed);
}

/* ---- lies ---- */

static struct usb_device_ops odd_ops;
static int (*honest_in)(struct usb_device *device, struct device_endpoint *ep);
static int (*honest_out)(struct usb_device *device, struct device_endpoint *ep);
static struct {
    uint8_t config[128]; /* instead of the real one, when n is not 0 */
    uint32_t n;
    uint8_t notification[16]; /* instead of the real one, when there are bytes */
    uint32_t notified;
    unsigned int cleared; /* halts */
    uint8_t fails;        /* the address of the endpoint whose next transfer fails; 0 for none */
} odd;

static int odd_intercept(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    (void)device;
    if (!odd.n || setup->type != 0x80 || setup->request != 6 || setup->value != 0x0200)
        return DEVICE_PASS;
    return device_control_in(ep, setup, odd.config, odd.n);
}

static bool fails(const struct device_endpoint *ep)
{
    bool now = odd.fails == ep->address;
    if (now)
        odd.fails = 0;
    return now;
}

static int odd_out(struct usb_device *device, struct device_endpoint *ep)
{
    return fails(ep) ? -EPROTO : honest_out(device, ep);
}

static int odd_in(struct usb_device *device, struct device_endpoint *ep)
{
    if (fails(ep))
        return -EPROTO;
    if (ep->address != 0x81 || !odd.notified)
        return honest_in(device, ep);
    device_in_copy(ep, odd.notification, odd.notified);
    odd.notified = 0;
    return DEVICE_DONE;
}

static void odd_halt_cleared(struct usb_device *device, uint8_t address)
{
    (void)device;
    (void)address;
    odd.cleared++;
}

static struct usb_device *odd_serial(void)
{
    struct usb_device *device = bed_serial(USBIF_SPEED_HIGH);
    memset(&odd, 0, sizeof(odd));
    odd_ops = *device->ops;
    honest_in = device->ops->in;
    odd_ops.intercept = odd_intercept;
    honest_out = device->ops->out;
    odd_ops.in = odd_in;
    odd_ops.out = odd_out;
    odd_ops.halt_cleared = odd_halt_cleared;
    device->ops = &odd_ops;
    return device;
}

/* CDC 1.2 section 5.2.3.2: a union that is missing means the next interface; one that lies means no port. */
static void test_class_composite_union(void **state)
{
    (void)state;
    enum { UNION_AT = 9 + 9 + 5 + 5 + 4 };
    static const struct {
        unsigned int at;
        uint8_t value;
        bool port;
    } rows[] = {
        {0, 0, true},                     /* nothing changed */
        {UNION_AT + 2, 0x07, true},       /* no union */
        {UNION_AT + 3, 5, true},          /* the union of another interface */
        {UNION_AT + 4, 0, false},         /* the data interface is the communication interface */
        {UNION_AT + 4, 7, false},         /* there is none */
        {UNION_AT + 5 + 3, 2, false},     /* notifications by bulk */
        {UNION_AT + 5 + 7 + 5, 3, false}, /* data of another class */
        {UNION_AT + 5 + 7 + 3, 1, false}, /* data in an alternate setting only */
    };
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bed bed;
        struct usb_device *device = odd_serial();
        bed_open(&bed, BED_LOOP, 2);
        odd.n = 67;
        memcpy(odd.config, device->descriptors.configurations[0], odd.n);
        if (rows[i].at)
            odd.config[rows[i].at] = rows[i].value;
        bed_plug(&bed, 1, device);
        bed_run(&bed, 5 * SECOND, NULL);
        assert_int_equal(bed.ports[1].ready, 1);
        if ((bed.ports[1].acm != NULL) != rows[i].port)
            fail_msg("row %u", i);
        bed_close(&bed);
    }
}

/* acm.h: what a notification says of its length is believed only as far as there is room. */
static void test_class_composite_notifications(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        uint32_t n;
        unsigned int packets;
    } rows[] = {
        {{0xa1, 0x20, 0, 0, 0, 0, 0xff, 0xff, 3, 0}, 10, 1}, /* endless: dropped at once */
        {{0xa1, 0x20, 0, 0, 0, 0, 1, 0, 3}, 9, 1},           /* too short for a state */
        {{0xa1, 0x00, 0, 0, 0, 0, 2, 0, 3, 0}, 10, 1},       /* another one: NETWORK_CONNECTION */
        {{0x21, 0x20, 0, 0, 0, 0, 2, 0, 3, 0}, 10, 1},       /* a request, not a notification */
        {{0xa1, 0x20, 0, 0, 0, 0, 56, 0}, 16, 4},            /* as long as there is room */
        {{0xa1, 0x21, 0, 0, 0, 0, 56, 0}, 15, 5},            /* the last packet has more than that */
        {{0}, 1, 10},                                        /* ten bytes of nothing, one at a time */
    };
    struct bed bed;
    bed_open(&bed, BED_LOOP, 2);
    bed_plug_ready(&bed, 1, odd_serial());
    struct bed_port *port = &bed.ports[1];
    assert_int_equal(acm_open(port->acm), 0);
    bed_run(&bed, SECOND, NULL);
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        port->nr_signals = 0;
        for (unsigned int k = 0; k < rows[i].packets; k++) {
            memcpy(odd.notification, rows[i].bytes, 16);
            odd.notified = rows[i].n;
            device_kick(bed_device(&bed, 1), 0x81);
            bed_run(&bed, SECOND, NULL);
        }
        assert_int_equal(port->nr_signals, 0);
        if (rows[i].n == 1)
            break;
        serial_signal(bed_device(&bed, 1), SERIAL_RING); /* the next one is understood */
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->nr_signals, 1);
        port->nr_signals = 0;
    }
    /* Two bytes of the last row are still in the way of what follows; a halt starts over. */
    device_halt(bed_device(&bed, 1), 0x81);
    serial_signal(bed_device(&bed, 1), SERIAL_RING);
    bed_run(&bed, SECOND, NULL);
    assert_int_equal(port->nr_signals, 1);
    assert_int_equal(port->signals, ACM_RING);
    bed_close(&bed);
}

/* acm.h: an error that halts nothing; the idle receivers beside it are taken back, or nothing would end. */
static void test_class_composite_errors(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        static const uint8_t addresses[3] = {0x81, 0x82, 0x02};
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, odd_serial());
        struct bed_port *port = &bed.ports[1];
        assert_int_equal(acm_open(port->acm), 0);
        bed_run(&bed, SECOND, NULL);
        for (unsigned int i = 0; i < 3; i++) {
            odd.fails = addresses[i];
            device_kick(bed_device(&bed, 1), addresses[i]);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(odd.cleared, i < 2 ? i + 1 : 2); /* at once; OUT is idle still */
            port->nr_received = port->nr_signals = 0;
            bed_write(&bed, 1, (const uint8_t *)"hello", 5);
            bed_run(&bed, SECOND, NULL);
            serial_signal(bed_device(&bed, 1), SERIAL_RING);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(odd.fails, 0);
            assert_int_equal(acm_stats(port->acm).failures, i + 1);
            assert_int_equal(port->nr_received, 5);
            assert_memory_equal(port->received, "hello", 5);
            assert_int_equal(port->nr_signals, 1);
            /* Each of these takes a receiver: all of them are back in service. */
            for (unsigned int k = 0; k < 2 * ACM_READS; k++) {
                bed_write(&bed, 1, (const uint8_t *)"x", 1);
                bed_run(&bed, SECOND / 10, NULL);
            }
            assert_int_equal(port->nr_received, 5 + 2 * ACM_READS);
        }
        bed_close(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_composite_both),
        cmocka_unit_test(test_class_composite_four_ports),
        cmocka_unit_test(test_class_composite_pulled_while_waiting),
        cmocka_unit_test(test_class_composite_claims),
        cmocka_unit_test(test_class_composite_union),
        cmocka_unit_test(test_class_composite_notifications),
        cmocka_unit_test(test_class_composite_errors),
    };
    return cmocka_run_group_tests_name("guest: composite devices", tests, NULL, NULL);
}
