// SPDX-License-Identifier: MIT
/*
 * Goal: the usb-host side of usbredir does what QEMU's usb-redir expects of it: the test is the usb-guest,
 * with the same parser (spice/usbredir, docs/usb-redirection-protocol.md).
 */
#include <sys/socket.h>
#include <unistd.h>

#include "devices/keyboard.h"
#include "devices/zero.h"
#include "test/redir_peer.h"

static struct usb_device *new_zero(void)
{
    struct usb_device *device;
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 1}, &device), 0);
    return device;
}

/* ---- tests ---- */

static void test_usbredir_connect(void **state)
{
    (void)state;
    struct redir_peer peer;
    redir_peer_open(&peer, new_zero());
    redir_peer_expect(&peer, "hello; interfaces 0; connect 0525:a4a0 speed 2 class ff; ");
    assert_int_equal(peer.endpoints.type[0], usb_redir_type_control);
    assert_int_equal(peer.endpoints.type[16], usb_redir_type_control);
    assert_int_equal(peer.endpoints.max_packet_size[0], 64);
    assert_int_equal(peer.endpoints.type[1], usb_redir_type_invalid);
    redir_peer_configure(&peer, 3);
    assert_int_equal(peer.endpoints.type[1], usb_redir_type_bulk);
    assert_int_equal(peer.endpoints.type[17], usb_redir_type_bulk);
    assert_int_equal(peer.endpoints.max_packet_size[17], 512);
    assert_int_equal(peer.endpoints.type[18], usb_redir_type_invalid);
    struct usb_redir_set_alt_setting_header setting = {.interface = 0, .alt = 1};
    usbredirparser_send_set_alt_setting(peer.parser, 5, &setting);
    redir_peer_expect(&peer, "interfaces 1; 5: setting 0.1 status 0; ");
    assert_int_equal(peer.endpoints.type[18], usb_redir_type_iso);
    struct usb_redir_start_iso_stream_header iso = {.endpoint = 0x82, .pkts_per_urb = 8, .no_urbs = 2};
    usbredirparser_send_start_iso_stream(peer.parser, 6, &iso);
    redir_peer_expect(&peer, "6: iso 82 status 0; ");
    struct usb_redir_get_alt_setting_header get = {.interface = 0};
    usbredirparser_send_get_alt_setting(peer.parser, 7, &get);
    usbredirparser_send_reset(peer.parser);
    usbredirparser_send_get_configuration(peer.parser, 8);
    redir_peer_expect(&peer, "7: setting 0.1 status 0; 0: iso 82 status 4; 8: configuration 0 status 0; ");
    struct usb_redir_set_configuration_header wrong = {.configuration = 99};
    usbredirparser_send_set_configuration(peer.parser, 9, &wrong);
    redir_peer_expect(&peer, "interfaces 0; 9: configuration 0 status 4; ");
    redir_peer_close(&peer);
}

static void test_usbredir_control(void **state)
{
    (void)state;
    struct redir_peer peer;
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    peer.told[0] = '\0';
    struct usb_redir_control_packet_header get = {
        .endpoint = 0x80, .request = 6, .requesttype = 0x80, .value = 0x0100, .length = 64};
    usbredirparser_send_control_packet(peer.parser, 11, &get, NULL, 0);
    redir_peer_expect(&peer, "11: control status 0 length 18; ");
    assert_int_equal(peer.length, 18);
    assert_int_equal(peer.data[8] | peer.data[9] << 8, 0x0525);
    get.value = 0x0700;
    usbredirparser_send_control_packet(peer.parser, 12, &get, NULL, 0);
    redir_peer_expect(&peer, "12: control status 4 length 0; "); /* stall */
    /* Gadget zero's memory: written, read. */
    uint8_t bytes[300];
    for (unsigned int i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 5);
    struct usb_redir_control_packet_header put = {
        .request = 0x5b, .requesttype = 0x40, .length = sizeof(bytes)};
    usbredirparser_send_control_packet(peer.parser, 13, &put, bytes, sizeof(bytes));
    struct usb_redir_control_packet_header back = {
        .endpoint = 0x80, .request = 0x5c, .requesttype = 0xc0, .length = sizeof(bytes)};
    usbredirparser_send_control_packet(peer.parser, 14, &back, NULL, 0);
    redir_peer_expect(&peer, "13: control status 0 length 300; 14: control status 0 length 300; ");
    assert_memory_equal(peer.data, bytes, sizeof(bytes));
    redir_peer_close(&peer);
}

static void test_usbredir_bulk(void **state)
{
    (void)state;
    struct redir_peer peer;
    static uint8_t out[65536 + 512];
    struct usb_device *zero = new_zero();
    redir_peer_open(&peer, zero);
    redir_peer_step(&peer);
    peer.told[0] = '\0';
    redir_peer_configure(&peer, 3);
    /* More than 65535 bytes: the length has two halves. */
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512, .length_high = 1};
    usbredirparser_send_bulk_packet(peer.parser, 21, &in, NULL, 0);
    redir_peer_expect(&peer, "21: bulk 81 status 0 length 66048; ");
    assert_int_equal(peer.length, 66048);
    for (int i = 0; i < peer.length; i++)
        assert_int_equal(peer.data[i], i % 512 % 63);
    memcpy(out, peer.data, sizeof(out));
    struct usb_redir_bulk_packet_header to = {.endpoint = 0x01, .length = 512, .length_high = 1};
    usbredirparser_send_bulk_packet(peer.parser, 22, &to, out, sizeof(out));
    redir_peer_expect(&peer, "22: bulk 01 status 0 length 66048; ");
    assert_int_equal(zero_stats(zero).bytes_out, 66048);
    assert_int_equal(zero_stats(zero).wrong, 0);
    struct usb_redir_bulk_packet_header babble = {.endpoint = 0x81, .length = 100};
    usbredirparser_send_bulk_packet(peer.parser, 23, &babble, NULL, 0);
    redir_peer_expect(&peer, "23: bulk 81 status 6 length 100; ");
    /* A short answer to a large request: both halves are of what moved. */
    redir_peer_configure(&peer, 2);
    to = (struct usb_redir_bulk_packet_header){.endpoint = 0x01, .length = 10};
    usbredirparser_send_bulk_packet(peer.parser, 24, &to, out, 10);
    usbredirparser_send_bulk_packet(peer.parser, 25, &in, NULL, 0);
    redir_peer_expect(&peer, "24: bulk 01 status 0 length 10; 25: bulk 81 status 0 length 10; ");
    redir_peer_close(&peer);
}

/* Endpoints that are not there, or of another kind; the device hears nothing of it. */
static void test_usbredir_refusals(void **state)
{
    (void)state;
    struct redir_peer peer;
    uint8_t byte = 0;
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    peer.told[0] = '\0';
    struct usb_redir_bulk_packet_header bulk = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 31, &bulk, NULL, 0); /* not configured */
    redir_peer_expect(&peer, "31: bulk 81 status 2 length 0; ");
    redir_peer_configure(&peer, 3);
    struct usb_redir_interrupt_packet_header interrupt = {.endpoint = 0x01, .length = 1};
    usbredirparser_send_interrupt_packet(peer.parser, 32, &interrupt, &byte, 1);
    struct usb_redir_start_interrupt_receiving_header receive = {.endpoint = 0x81};
    usbredirparser_send_start_interrupt_receiving(peer.parser, 33, &receive);
    bulk.endpoint = 0x8f;
    usbredirparser_send_bulk_packet(peer.parser, 34, &bulk, NULL, 0);
    usbredirparser_send_cancel_data_packet(peer.parser, 999);
    redir_peer_expect(
        &peer,
        "32: interrupt 01 status 2 length 0; 33: receiving 81 status 2; 34: bulk 8f status 2 length 0; ");
    bulk.endpoint = 0x81;
    bulk.length_high = 0x0200; /* 32 MiB */
    usbredirparser_send_bulk_packet(peer.parser, 35, &bulk, NULL, 0);
    redir_peer_expect(&peer, "35: bulk 81 status 2 length 0; ");
    assert_int_equal(redir_stats(peer.redir).refused, 4);
    redir_peer_close(&peer);
}

/* A keyboard: read ahead, in order, until it is told to stop. */
static void test_usbredir_interrupt(void **state)
{
    (void)state;
    struct redir_peer peer;
    struct usb_device *keyboard;
    const uint8_t a[6] = {4}, none[6] = {0};
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    redir_peer_open(&peer, keyboard);
    redir_peer_expect(&peer, "hello; interfaces 0; connect 1209:0101 speed 0 class 00; ");
    redir_peer_configure(&peer, 1);
    struct usb_redir_start_interrupt_receiving_header start = {.endpoint = 0x81};
    usbredirparser_send_start_interrupt_receiving(peer.parser, 41, &start);
    redir_peer_expect(&peer, "41: receiving 81 status 0; ");
    assert_int_equal(keyboard_press(keyboard, 0, a), 0);
    assert_int_equal(keyboard_press(keyboard, 0, none), 0);
    assert_int_equal(keyboard_press(keyboard, 0, a), 0);
    redir_peer_expect(&peer, "0: interrupt 81 status 0 length 8; 1: interrupt 81 status 0 length 8; "
                             "2: interrupt 81 status 0 length 8; ");
    assert_int_equal(peer.data[2], 4);
    assert_false(redir_due(peer.redir)); /* it waits for the device */
    struct usb_redir_stop_interrupt_receiving_header stop = {.endpoint = 0x81};
    usbredirparser_send_stop_interrupt_receiving(peer.parser, 42, &stop);
    redir_peer_expect(&peer, "42: receiving 81 status 0; ");
    assert_int_equal(keyboard_press(keyboard, 0, none), 0);
    redir_peer_expect(&peer, "");
    redir_peer_close(&peer);
}

/* Loopback with nothing to give back: a transfer that waits is cancelled, and answered once. */
static void test_usbredir_cancel(void **state)
{
    (void)state;
    struct redir_peer peer;
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    peer.told[0] = '\0';
    redir_peer_configure(&peer, 2);
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 51, &in, NULL, 0);
    usbredirparser_send_bulk_packet(peer.parser, 52, &in, NULL, 0);
    redir_peer_expect(&peer, "");
    usbredirparser_send_cancel_data_packet(peer.parser, 52);
    redir_peer_expect(&peer, "52: bulk 81 status 1 length 0; ");
    usbredirparser_send_cancel_data_packet(peer.parser, 52);
    redir_peer_expect(&peer, "");
    assert_int_equal(redir_stats(peer.redir).cancels, 1);
    redir_peer_close(&peer); /* with 51 under way */
}

static void test_usbredir_ends(void **state)
{
    (void)state;
    struct redir_peer peer;
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    peer.told[0] = '\0';
    redir_peer_configure(&peer, 2);
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 61, &in, NULL, 0);
    redir_peer_expect(&peer, "");
    assert_int_equal(sim_host_unplug(peer.sim, "1-1"), 0);
    assert_int_equal(redir_peer_step(&peer), -ENODEV);
    assert_string_equal(peer.told, "61: bulk 81 status 3 length 0; disconnect; ");
    redir_peer_close(&peer);
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    close(peer.fd);
    peer.fd = -1;
    assert_int_equal(redir_step(peer.redir), -EPIPE);
    assert_int_equal(redir_step(peer.redir), -EPIPE);
    redir_peer_close(&peer);
    redir_peer_open(&peer, new_zero());
    redir_peer_step(&peer);
    /* A header of a packet of 4 GiB. */
    assert_int_equal(send(peer.fd, "\x65\0\0\0\xff\xff\xff\xff\1\0\0\0\0\0\0\0", 16, MSG_NOSIGNAL), 16);
    assert_int_equal(redir_step(peer.redir), -EPROTO);
    assert_true(peer.lines >= 1);
    redir_peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbredir_connect),   cmocka_unit_test(test_usbredir_control),
        cmocka_unit_test(test_usbredir_bulk),      cmocka_unit_test(test_usbredir_refusals),
        cmocka_unit_test(test_usbredir_interrupt), cmocka_unit_test(test_usbredir_cancel),
        cmocka_unit_test(test_usbredir_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
