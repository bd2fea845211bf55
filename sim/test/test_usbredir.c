// SPDX-License-Identifier: MIT
/*
 * Goal: the usb-host side of usbredir does what QEMU's usb-redir expects of it: the test is the usb-guest,
 * with the same parser (spice/usbredir, docs/usb-redirection-protocol.md).
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <usbredirparser.h>

#include "devices/keyboard.h"
#include "devices/zero.h"
#include "test/test_device_util.h"
#include "usbredir/redir.h"

struct peer {
    struct sim_host *sim;
    struct redir *redir;
    struct usbredirparser *parser;
    int fd;
    char told[1024]; /* in order, "endpoints; connect 0525:a4a0 high; " and so on */
    struct usb_redir_ep_info_header endpoints;
    uint8_t data[70000];
    int length;
    unsigned int lines;
};

static void __attribute__((format(printf, 2, 3))) tell(struct peer *peer, const char *format, ...)
{
    size_t n = strlen(peer->told);
    va_list args;
    va_start(args, format);
    vsnprintf(peer->told + n, sizeof(peer->told) - n, format, args);
    va_end(args);
}

static void on_line(void *context, const char *line)
{
    struct peer *peer = context;
    (void)line;
    peer->lines++;
}

/* ---- the parser's callbacks ---- */

static void on_log(void *priv, int level, const char *message)
{
    (void)priv;
    (void)level;
    (void)message;
}

static int on_read(void *priv, uint8_t *data, int count)
{
    ssize_t n = recv(((struct peer *)priv)->fd, data, (size_t)count, MSG_DONTWAIT);
    return n < 0 ? 0 : n == 0 ? -1 : (int)n;
}

static int on_write(void *priv, uint8_t *data, int count)
{
    ssize_t n = send(((struct peer *)priv)->fd, data, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : (int)n;
}

static void on_hello(void *priv, struct usb_redir_hello_header *hello)
{
    (void)hello;
    tell(priv, "hello; ");
}

static void on_connect(void *priv, struct usb_redir_device_connect_header *h)
{
    tell(priv, "connect %04x:%04x speed %u class %02x; ", h->vendor_id, h->product_id, h->speed,
         h->device_class);
}

static void on_disconnect(void *priv)
{
    tell(priv, "disconnect; ");
}

static void on_interfaces(void *priv, struct usb_redir_interface_info_header *h)
{
    tell(priv, "interfaces %u; ", h->interface_count);
}

static void on_endpoints(void *priv, struct usb_redir_ep_info_header *h)
{
    ((struct peer *)priv)->endpoints = *h;
}

static void on_configuration(void *priv, uint64_t id, struct usb_redir_configuration_status_header *h)
{
    tell(priv, "%u: configuration %u status %u; ", (unsigned int)id, h->configuration, h->status);
}

static void on_setting(void *priv, uint64_t id, struct usb_redir_alt_setting_status_header *h)
{
    tell(priv, "%u: setting %u.%u status %u; ", (unsigned int)id, h->interface, h->alt, h->status);
}

static void on_iso_status(void *priv, uint64_t id, struct usb_redir_iso_stream_status_header *h)
{
    tell(priv, "%u: iso %02x status %u; ", (unsigned int)id, h->endpoint, h->status);
}

static void on_receiving(void *priv, uint64_t id, struct usb_redir_interrupt_receiving_status_header *h)
{
    tell(priv, "%u: receiving %02x status %u; ", (unsigned int)id, h->endpoint, h->status);
}

static void keep(struct peer *peer, uint8_t *data, int n)
{
    assert_true(n >= 0 && (size_t)n <= sizeof(peer->data));
    if (n)
        memcpy(peer->data, data, (size_t)n);
    peer->length = n;
    usbredirparser_free_packet_data(peer->parser, data);
}

static void on_control(void *priv, uint64_t id, struct usb_redir_control_packet_header *h, uint8_t *data,
                       int n)
{
    tell(priv, "%u: control status %u length %u; ", (unsigned int)id, h->status, h->length);
    keep(priv, data, n);
}

static void on_bulk(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *h, uint8_t *data, int n)
{
    tell(priv, "%u: bulk %02x status %u length %u; ", (unsigned int)id, h->endpoint, h->status,
         h->length | (unsigned int)h->length_high << 16);
    keep(priv, data, n);
}

static void on_interrupt(void *priv, uint64_t id, struct usb_redir_interrupt_packet_header *h, uint8_t *data,
                         int n)
{
    tell(priv, "%u: interrupt %02x status %u length %u; ", (unsigned int)id, h->endpoint, h->status,
         h->length);
    keep(priv, data, n);
}

/* ---- the two ends ---- */

static void make_parser(struct peer *peer)
{
    uint32_t caps[USB_REDIR_CAPS_SIZE] = {0};
    struct usbredirparser *parser = usbredirparser_create();
    assert_non_null(parser);
    parser->priv = peer;
    parser->log_func = on_log;
    parser->read_func = on_read;
    parser->write_func = on_write;
    parser->hello_func = on_hello;
    parser->device_connect_func = on_connect;
    parser->device_disconnect_func = on_disconnect;
    parser->interface_info_func = on_interfaces;
    parser->ep_info_func = on_endpoints;
    parser->configuration_status_func = on_configuration;
    parser->alt_setting_status_func = on_setting;
    parser->iso_stream_status_func = on_iso_status;
    parser->interrupt_receiving_status_func = on_receiving;
    parser->control_packet_func = on_control;
    parser->bulk_packet_func = on_bulk;
    parser->interrupt_packet_func = on_interrupt;
    usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
    usbredirparser_init(parser, "test", caps, USB_REDIR_CAPS_SIZE, 0);
    peer->parser = parser;
}

static int step(struct peer *peer)
{
    int rc = 0;
    for (unsigned int i = 0; i < 50 && !rc; i++) {
        while (usbredirparser_has_data_to_write(peer->parser) && usbredirparser_do_write(peer->parser) == 0)
            continue;
        rc = redir_step(peer->redir);
        (void)usbredirparser_do_read(peer->parser);
    }
    return rc;
}

static void expect(struct peer *peer, const char *told)
{
    assert_int_equal(step(peer), 0);
    assert_string_equal(peer->told, told);
    peer->told[0] = '\0';
}

static void open_peer(struct peer *peer, struct usb_device *device)
{
    int fd[2];
    memset(peer, 0, sizeof(*peer));
    assert_int_equal(sim_host_create(&peer->sim), 0);
    assert_int_equal(sim_host_plug(peer->sim, "1-1", device), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    peer->fd = fd[1];
    make_parser(peer);
    assert_int_equal(redir_create(sim_host_host(peer->sim), "1-1", fd[0], on_line, peer, &peer->redir), 0);
}

static void close_peer(struct peer *peer)
{
    redir_destroy(peer->redir);
    usbredirparser_destroy(peer->parser);
    if (peer->fd >= 0)
        close(peer->fd);
    sim_host_destroy(peer->sim);
}

static void configure(struct peer *peer, uint8_t value)
{
    struct usb_redir_set_configuration_header header = {.configuration = value};
    char told[80];
    usbredirparser_send_set_configuration(peer->parser, 1, &header);
    snprintf(told, sizeof(told), "interfaces 1; 1: configuration %u status 0; ", value);
    expect(peer, told);
}

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
    struct peer peer;
    open_peer(&peer, new_zero());
    expect(&peer, "hello; interfaces 0; connect 0525:a4a0 speed 2 class ff; ");
    assert_int_equal(peer.endpoints.type[0], usb_redir_type_control);
    assert_int_equal(peer.endpoints.type[16], usb_redir_type_control);
    assert_int_equal(peer.endpoints.max_packet_size[0], 64);
    assert_int_equal(peer.endpoints.type[1], usb_redir_type_invalid);
    configure(&peer, 3);
    assert_int_equal(peer.endpoints.type[1], usb_redir_type_bulk);
    assert_int_equal(peer.endpoints.type[17], usb_redir_type_bulk);
    assert_int_equal(peer.endpoints.max_packet_size[17], 512);
    assert_int_equal(peer.endpoints.type[18], usb_redir_type_invalid);
    struct usb_redir_set_alt_setting_header setting = {.interface = 0, .alt = 1};
    usbredirparser_send_set_alt_setting(peer.parser, 5, &setting);
    expect(&peer, "interfaces 1; 5: setting 0.1 status 0; ");
    assert_int_equal(peer.endpoints.type[18], usb_redir_type_iso);
    struct usb_redir_start_iso_stream_header iso = {.endpoint = 0x82, .pkts_per_urb = 8, .no_urbs = 2};
    usbredirparser_send_start_iso_stream(peer.parser, 6, &iso);
    expect(&peer, "6: iso 82 status 2; ");
    struct usb_redir_get_alt_setting_header get = {.interface = 0};
    usbredirparser_send_get_alt_setting(peer.parser, 7, &get);
    usbredirparser_send_reset(peer.parser);
    usbredirparser_send_get_configuration(peer.parser, 8);
    expect(&peer, "7: setting 0.1 status 0; 8: configuration 0 status 0; ");
    struct usb_redir_set_configuration_header wrong = {.configuration = 99};
    usbredirparser_send_set_configuration(peer.parser, 9, &wrong);
    expect(&peer, "interfaces 0; 9: configuration 0 status 4; ");
    close_peer(&peer);
}

static void test_usbredir_control(void **state)
{
    (void)state;
    struct peer peer;
    open_peer(&peer, new_zero());
    step(&peer);
    peer.told[0] = '\0';
    struct usb_redir_control_packet_header get = {
        .endpoint = 0x80, .request = 6, .requesttype = 0x80, .value = 0x0100, .length = 64};
    usbredirparser_send_control_packet(peer.parser, 11, &get, NULL, 0);
    expect(&peer, "11: control status 0 length 18; ");
    assert_int_equal(peer.length, 18);
    assert_int_equal(peer.data[8] | peer.data[9] << 8, 0x0525);
    get.value = 0x0700;
    usbredirparser_send_control_packet(peer.parser, 12, &get, NULL, 0);
    expect(&peer, "12: control status 4 length 0; "); /* stall */
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
    expect(&peer, "13: control status 0 length 300; 14: control status 0 length 300; ");
    assert_memory_equal(peer.data, bytes, sizeof(bytes));
    close_peer(&peer);
}

static void test_usbredir_bulk(void **state)
{
    (void)state;
    struct peer peer;
    static uint8_t out[65536 + 512];
    struct usb_device *zero = new_zero();
    open_peer(&peer, zero);
    step(&peer);
    peer.told[0] = '\0';
    configure(&peer, 3);
    /* More than 65535 bytes: the length has two halves. */
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512, .length_high = 1};
    usbredirparser_send_bulk_packet(peer.parser, 21, &in, NULL, 0);
    expect(&peer, "21: bulk 81 status 0 length 66048; ");
    assert_int_equal(peer.length, 66048);
    for (int i = 0; i < peer.length; i++)
        assert_int_equal(peer.data[i], i % 512 % 63);
    memcpy(out, peer.data, sizeof(out));
    struct usb_redir_bulk_packet_header to = {.endpoint = 0x01, .length = 512, .length_high = 1};
    usbredirparser_send_bulk_packet(peer.parser, 22, &to, out, sizeof(out));
    expect(&peer, "22: bulk 01 status 0 length 66048; ");
    assert_int_equal(zero_stats(zero).bytes_out, 66048);
    assert_int_equal(zero_stats(zero).wrong, 0);
    struct usb_redir_bulk_packet_header babble = {.endpoint = 0x81, .length = 100};
    usbredirparser_send_bulk_packet(peer.parser, 23, &babble, NULL, 0);
    expect(&peer, "23: bulk 81 status 6 length 100; ");
    /* A short answer to a large request: both halves are of what moved. */
    configure(&peer, 2);
    to = (struct usb_redir_bulk_packet_header){.endpoint = 0x01, .length = 10};
    usbredirparser_send_bulk_packet(peer.parser, 24, &to, out, 10);
    usbredirparser_send_bulk_packet(peer.parser, 25, &in, NULL, 0);
    expect(&peer, "24: bulk 01 status 0 length 10; 25: bulk 81 status 0 length 10; ");
    close_peer(&peer);
}

/* Endpoints that are not there, or of another kind; the device hears nothing of it. */
static void test_usbredir_refusals(void **state)
{
    (void)state;
    struct peer peer;
    uint8_t byte = 0;
    open_peer(&peer, new_zero());
    step(&peer);
    peer.told[0] = '\0';
    struct usb_redir_bulk_packet_header bulk = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 31, &bulk, NULL, 0); /* not configured */
    expect(&peer, "31: bulk 81 status 2 length 0; ");
    configure(&peer, 3);
    struct usb_redir_interrupt_packet_header interrupt = {.endpoint = 0x01, .length = 1};
    usbredirparser_send_interrupt_packet(peer.parser, 32, &interrupt, &byte, 1);
    struct usb_redir_start_interrupt_receiving_header receive = {.endpoint = 0x81};
    usbredirparser_send_start_interrupt_receiving(peer.parser, 33, &receive);
    bulk.endpoint = 0x8f;
    usbredirparser_send_bulk_packet(peer.parser, 34, &bulk, NULL, 0);
    usbredirparser_send_cancel_data_packet(peer.parser, 999);
    expect(&peer,
           "32: interrupt 01 status 2 length 0; 33: receiving 81 status 2; 34: bulk 8f status 2 length 0; ");
    bulk.endpoint = 0x81;
    bulk.length_high = 0x0200; /* 32 MiB */
    usbredirparser_send_bulk_packet(peer.parser, 35, &bulk, NULL, 0);
    expect(&peer, "35: bulk 81 status 2 length 0; ");
    assert_int_equal(redir_stats(peer.redir).refused, 4);
    close_peer(&peer);
}

/* A keyboard: read ahead, in order, until it is told to stop. */
static void test_usbredir_interrupt(void **state)
{
    (void)state;
    struct peer peer;
    struct usb_device *keyboard;
    const uint8_t a[6] = {4}, none[6] = {0};
    assert_int_equal(keyboard_create(0, &keyboard), 0);
    open_peer(&peer, keyboard);
    expect(&peer, "hello; interfaces 0; connect 1209:0101 speed 0 class 00; ");
    configure(&peer, 1);
    struct usb_redir_start_interrupt_receiving_header start = {.endpoint = 0x81};
    usbredirparser_send_start_interrupt_receiving(peer.parser, 41, &start);
    expect(&peer, "41: receiving 81 status 0; ");
    assert_int_equal(keyboard_press(keyboard, 0, a), 0);
    assert_int_equal(keyboard_press(keyboard, 0, none), 0);
    assert_int_equal(keyboard_press(keyboard, 0, a), 0);
    expect(&peer, "0: interrupt 81 status 0 length 8; 1: interrupt 81 status 0 length 8; "
                  "2: interrupt 81 status 0 length 8; ");
    assert_int_equal(peer.data[2], 4);
    assert_false(redir_due(peer.redir)); /* it waits for the device */
    struct usb_redir_stop_interrupt_receiving_header stop = {.endpoint = 0x81};
    usbredirparser_send_stop_interrupt_receiving(peer.parser, 42, &stop);
    expect(&peer, "42: receiving 81 status 0; ");
    assert_int_equal(keyboard_press(keyboard, 0, none), 0);
    expect(&peer, "");
    close_peer(&peer);
}

/* Loopback with nothing to give back: a transfer that waits is cancelled, and answered once. */
static void test_usbredir_cancel(void **state)
{
    (void)state;
    struct peer peer;
    open_peer(&peer, new_zero());
    step(&peer);
    peer.told[0] = '\0';
    configure(&peer, 2);
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 51, &in, NULL, 0);
    usbredirparser_send_bulk_packet(peer.parser, 52, &in, NULL, 0);
    expect(&peer, "");
    usbredirparser_send_cancel_data_packet(peer.parser, 52);
    expect(&peer, "52: bulk 81 status 1 length 0; ");
    usbredirparser_send_cancel_data_packet(peer.parser, 52);
    expect(&peer, "");
    assert_int_equal(redir_stats(peer.redir).cancels, 1);
    close_peer(&peer); /* with 51 under way */
}

static void test_usbredir_ends(void **state)
{
    (void)state;
    struct peer peer;
    open_peer(&peer, new_zero());
    step(&peer);
    peer.told[0] = '\0';
    configure(&peer, 2);
    struct usb_redir_bulk_packet_header in = {.endpoint = 0x81, .length = 512};
    usbredirparser_send_bulk_packet(peer.parser, 61, &in, NULL, 0);
    expect(&peer, "");
    assert_int_equal(sim_host_unplug(peer.sim, "1-1"), 0);
    assert_int_equal(step(&peer), -ENODEV);
    assert_string_equal(peer.told, "61: bulk 81 status 3 length 0; disconnect; ");
    close_peer(&peer);
    open_peer(&peer, new_zero());
    step(&peer);
    close(peer.fd);
    peer.fd = -1;
    assert_int_equal(redir_step(peer.redir), -EPIPE);
    assert_int_equal(redir_step(peer.redir), -EPIPE);
    close_peer(&peer);
    open_peer(&peer, new_zero());
    step(&peer);
    /* A header of a packet of 4 GiB. */
    assert_int_equal(send(peer.fd, "\x65\0\0\0\xff\xff\xff\xff\1\0\0\0\0\0\0\0", 16, MSG_NOSIGNAL), 16);
    assert_int_equal(redir_step(peer.redir), -EPROTO);
    assert_true(peer.lines >= 1);
    close_peer(&peer);
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
