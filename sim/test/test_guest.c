// SPDX-License-Identifier: MIT
/*
 * Goal: the guest's USB core does what Linux does on a good device, and survives a bad one. The controller is
 * loop_hcd.h, the devices are disks, some of them made to misbehave. Virtual time only.
 */
#include "test/test_guest_util.h"

/*
 * USB 2.0 section 9.1.2, rule CTL-18; waits of 7.1.7.3 (100 ms debounce) and two resets of 10 ms with
 * recovery.
 */
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
    assert_int_equal(loop_hcd_address0_conflicts(w.loop), 0); /* USB 2.0 section 9.1.1.4 */
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

#define CONFIG_BYTES(total, interface_length, ep_length)                                                     \
    9, 2, (total), 0, 1, 1, 0, 0x80, 50, (interface_length), 4, 0, 0, 2, 8, 6, 0x50, 0, (ep_length), 5,      \
        0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0

/*
 * USB 2.0 section 9.6: each lie fails the enumeration after three attempts, and nothing is read beyond the
 * reply.
 */
static void test_guest_hostile_descriptors(void **state)
{
    (void)state;
    static const uint8_t longer[] = {CONFIG_BYTES(200, 9, 7)}, shorter[] = {CONFIG_BYTES(30, 9, 7)},
                         total8[] = {CONFIG_BYTES(8, 9, 7)}, zero_interface[] = {CONFIG_BYTES(32, 0, 7)},
                         zero_endpoint[] = {CONFIG_BYTES(32, 9, 0)},
                         one_endpoint[] = {CONFIG_BYTES(32, 9, 1)}, beyond[] = {CONFIG_BYTES(32, 9, 60)},
                         short_interface[] = {CONFIG_BYTES(32, 8, 7)},
                         zero_unknown[] = {CONFIG_BYTES(34, 9, 7), 0, 0x24},
                         one_unknown[] = {CONFIG_BYTES(33, 9, 7), 1},
                         huge[] = {9, 2, 0xff, 0xff, 1, 1, 0, 0x80, 50},
                         device_packet[18] = {18, 1, 0, 2, 0, 0, 0, 63, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1},
                         device_full[18] = {18, 1, 0, 2, 0, 0, 0, 8, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1},
                         device_none[18] = {18, 1, 0, 2, 0, 0, 0, 64, 9, 18, 1, 0, 0, 1, 0, 0, 0, 0},
                         nothing[1] = {0};
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
        {"unknown descriptor of bLength 0", 0x0200, zero_unknown, sizeof(zero_unknown), -EPROTO},
        {"one byte too many", 0x0200, one_unknown, sizeof(one_unknown), -EPROTO},
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
            fail_msg("%s: ready %u failed %u error %d, expected error %d", cases[i].what, w.ready, w.failed,
                     w.error, cases[i].error);
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

/*
 * Rule ADR-07 again: an address given up in a failed attempt is not released a second time, when it is
 * another's.
 */
static void test_guest_address_reuse(void **state)
{
    (void)state;
    static const uint8_t bad[9] = {9, 2, 8};
    struct world w;
    bool used[128] = {false};
    memset(&lie, 0, sizeof(lie));
    lie.value = 0x0200;
    lie.bytes = bad;
    lie.n = sizeof(bad);
    world_open(&w);
    world_plug(&w, 1, "1-1", new_liar());
    world_run(&w);
    assert_int_equal(w.failed, 1);
    for (unsigned int i = 0; i < 127;
         i++) { /* port 2 ends with the address that port 1 had last: the third */
        world_plug(&w, 2, "1-2", new_disk(USBIF_SPEED_HIGH));
        world_run(&w);
        assert_false(used[w.device->address]);
        used[w.device->address] = true;
        if (i < 126) {
            assert_int_equal(sim_host_unplug(w.sim, "1-2"), 0);
            world_run(&w);
        }
    }
    uint8_t address = w.device->address;
    assert_int_equal(sim_host_unplug(w.sim, "1-1"), 0);
    for (unsigned int i = 0; i < 127; i++) {
        world_plug(&w, 3, "1-3", new_disk(USBIF_SPEED_HIGH));
        world_run(&w);
        assert_int_not_equal(w.device->address, address);
        assert_int_equal(sim_host_unplug(w.sim, "1-3"), 0);
        world_run(&w);
    }
    world_close(&w);
}

/* descriptor.h: n is wTotalLength, not more and not less; 30 endpoints fit, 33 interfaces do not. */
static void test_guest_parser(void **state)
{
    (void)state;
    static const uint8_t good[] = {CONFIG_BYTES(32, 9, 7), 2, 0x24};
    static struct guest_configuration config;
    assert_int_equal(guest_parse_configuration(good, 32, &config), 0);
    assert_int_equal(config.interfaces[0].endpoints[1].address, 0x02);
    for (unsigned int more = 0; more < 4; more++) { /* high bandwidth; 3 is reserved */
        uint8_t wide[] = {CONFIG_BYTES(32, 9, 7)};
        wide[9 + 9 + 5] |= (uint8_t)(more << 3);
        assert_int_equal(guest_parse_configuration(wide, 32, &config), 0);
        assert_int_equal(config.interfaces[0].endpoints[0].packet, 512);
        assert_int_equal(config.interfaces[0].endpoints[0].transactions, more == 3 ? 1 : 1 + more);
    }
    assert_int_equal(guest_parse_configuration(good, 34, &config), -EPROTO);
    assert_int_equal(guest_parse_configuration(good, 31, &config), -EPROTO);
    uint8_t many[9 + 33 * 9] = {9, 2, (9 + 33 * 9) & 255, (9 + 33 * 9) >> 8, 33, 1};
    for (unsigned int i = 0; i < 33; i++)
        memcpy(many + 9 + 9 * i, (uint8_t[]){9, 4, (uint8_t)i, 0, 0, 255, 0, 0, 0}, 9);
    assert_int_equal(guest_parse_configuration(many, sizeof(many), &config), -EMSGSIZE);
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
        cmocka_unit_test(test_guest_enumerate),
        cmocka_unit_test(test_guest_ports),
        cmocka_unit_test(test_guest_hostile_descriptors),
        cmocka_unit_test(test_guest_bad_strings),
        cmocka_unit_test(test_guest_address_reuse),
        cmocka_unit_test(test_guest_parser),
        cmocka_unit_test(test_guest_timeout),
    };
    return cmocka_run_group_tests_name("guest: the core", tests, NULL, NULL);
}
