// SPDX-License-Identifier: MIT
#include "test/redir_peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include "devices/audio.h"

static void __attribute__((format(printf, 2, 3))) tell(struct redir_peer *peer, const char *format, ...)
{
    size_t n = strlen(peer->told);
    va_list args;
    va_start(args, format);
    vsnprintf(peer->told + n, sizeof(peer->told) - n, format, args);
    va_end(args);
}

static void on_line(void *context, const char *line)
{
    struct redir_peer *peer = context;
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
    ssize_t n = recv(((struct redir_peer *)priv)->fd, data, (size_t)count, MSG_DONTWAIT);
    return n < 0 ? 0 : n == 0 ? -1 : (int)n;
}

static int on_write(void *priv, uint8_t *data, int count)
{
    ssize_t n = send(((struct redir_peer *)priv)->fd, data, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
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
    ((struct redir_peer *)priv)->endpoints = *h;
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

static void keep(struct redir_peer *peer, uint8_t *data, int n)
{
    assert_true(n >= 0 && (size_t)n <= sizeof(peer->data));
    if (n)
        memcpy(peer->data, data, (size_t)n);
    peer->length = n;
    usbredirparser_free_packet_data(peer->parser, data);
}

/* Their samples follow each other. */
static void on_iso(void *priv, uint64_t id, struct usb_redir_iso_packet_header *h, uint8_t *data, int n)
{
    struct redir_peer *peer = priv;
    if (peer->unchecked) {
        peer->packets++;
        keep(peer, data, n);
        return;
    }
    assert_int_equal(id, peer->packets++);
    assert_int_equal(h->endpoint, AUDIO_EP_IN);
    assert_int_equal(n, h->length);
    if (h->status) {
        assert_int_equal(h->length, 0);
        peer->bad_packets++;
        peer->next += 48;
    } else {
        assert_int_equal(n, 192);
    }
    for (int i = 0; i < n; i += 4, peer->next++)
        assert_int_equal(data[i] | data[i + 1] << 8 | data[i + 2] << 16, peer->next);
    usbredirparser_free_packet_data(peer->parser, data);
}

static void on_receiving(void *priv, uint64_t id, struct usb_redir_interrupt_receiving_status_header *h)
{
    tell(priv, "%u: receiving %02x status %u; ", (unsigned int)id, h->endpoint, h->status);
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

static void make_parser(struct redir_peer *peer)
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
    parser->iso_packet_func = on_iso;
    usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
    usbredirparser_init(parser, "test", caps, USB_REDIR_CAPS_SIZE, 0);
    peer->parser = parser;
}

static int exchange(struct redir_peer *peer, unsigned int times)
{
    int rc = 0;
    for (unsigned int i = 0; i < times && !rc; i++) {
        while (usbredirparser_has_data_to_write(peer->parser) && usbredirparser_do_write(peer->parser) == 0)
            continue;
        rc = redir_step(peer->redir);
        (void)usbredirparser_do_read(peer->parser);
    }
    return rc;
}

int redir_peer_step(struct redir_peer *peer)
{
    return exchange(peer, 50);
}

void redir_peer_expect(struct redir_peer *peer, const char *told)
{
    assert_int_equal(redir_peer_step(peer), 0);
    assert_string_equal(peer->told, told);
    peer->told[0] = '\0';
}

void redir_peer_open(struct redir_peer *peer, struct usb_device *device)
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

void redir_peer_close(struct redir_peer *peer)
{
    redir_destroy(peer->redir);
    usbredirparser_destroy(peer->parser);
    if (peer->fd >= 0)
        close(peer->fd);
    sim_host_destroy(peer->sim);
}

void redir_peer_configure(struct redir_peer *peer, uint8_t value)
{
    struct usb_redir_set_configuration_header header = {.configuration = value};
    char told[80];
    usbredirparser_send_set_configuration(peer->parser, 1, &header);
    snprintf(told, sizeof(told), "interfaces 1; 1: configuration %u status 0; ", value);
    redir_peer_expect(peer, told);
}

void redir_peer_pass(struct redir_peer *peer, unsigned int ms)
{
    struct usb_host *host = sim_host_host(peer->sim);
    while (ms-- > 0) {
        host->ops->step(host, peer->now_ns += 1000000);
        (void)exchange(peer, 2);
    }
}
