// SPDX-License-Identifier: MIT
/* The connection, and what the peer is told of the device. */
#include "usbredir/redir_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- bytes ---- */

static void on_log(void *priv, int level, const char *message)
{
    struct redir *redir = priv;
    char line[256];
    if (!redir->log || level > usbredirparser_warning)
        return;
    snprintf(line, sizeof(line), "usbredir: %s: %.200s", redir->busid, message);
    redir->log(redir->log_context, line);
}

static int on_read(void *priv, uint8_t *data, int count)
{
    struct redir *redir = priv;
    ssize_t n = recv(redir->fd, data, (size_t)count, 0);
    if (n > 0)
        return (int)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    redir->status = n == 0 ? -EPIPE : -errno;
    return -1;
}

static int on_write(void *priv, uint8_t *data, int count)
{
    struct redir *redir = priv;
    ssize_t n = send(redir->fd, data, (size_t)count, MSG_NOSIGNAL);
    redir->stalled = n < 0 && errno == EAGAIN;
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    redir->status = -errno;
    return -1;
}

/* ---- what there is ---- */

static uint8_t type_of(const struct guest_endpoint *endpoint)
{
    static const uint8_t types[] = {[USBIF_PIPE_TYPE_ISOC] = usb_redir_type_iso,
                                    [USBIF_PIPE_TYPE_INT] = usb_redir_type_interrupt,
                                    [USBIF_PIPE_TYPE_CTRL] = usb_redir_type_control,
                                    [USBIF_PIPE_TYPE_BULK] = usb_redir_type_bulk};
    return types[endpoint->type];
}

void redir_send_endpoints(struct redir *redir)
{
    struct usb_redir_interface_info_header interfaces = {0};
    struct usb_redir_ep_info_header endpoints = {0};
    const struct guest_configuration *config = redir->described.current;
    memset(endpoints.type, usb_redir_type_invalid, sizeof(endpoints.type));
    for (unsigned int i = 0; i <= 16; i += 16) {
        endpoints.type[i] = usb_redir_type_control;
        endpoints.max_packet_size[i] = redir->described.raw_device[7];
    }
    for (unsigned int i = 0; config && i < config->nr_interfaces; i++) {
        const struct guest_interface *interface = &config->interfaces[i];
        if (!described_chosen(&redir->described, interface))
            continue;
        uint32_t n = interfaces.interface_count++;
        interfaces.interface[n] = interface->number;
        interfaces.interface_class[n] = interface->interface_class;
        interfaces.interface_subclass[n] = interface->subclass;
        interfaces.interface_protocol[n] = interface->protocol;
        for (unsigned int e = 0; e < interface->nr_endpoints; e++) {
            const struct guest_endpoint *endpoint = &interface->endpoints[e];
            unsigned int at = (endpoint->address & 15u) | (endpoint->address & 0x80u) >> 3;
            endpoints.type[at] = type_of(endpoint);
            endpoints.interval[at] = endpoint->interval;
            endpoints.interface[at] = interface->number;
            endpoints.max_packet_size[at] = redir_packet(endpoint);
        }
    }
    usbredirparser_send_interface_info(redir->parser, &interfaces);
    usbredirparser_send_ep_info(redir->parser, &endpoints);
}

static void connect_device(struct redir *redir)
{
    const uint8_t *d = redir->described.raw_device;
    uint8_t speed = redir->host->ops->speed(redir->host, redir->device);
    if (!redir->described_all || !redir->greeted || redir->connected)
        return;
    redir->connected = true;
    redir_send_endpoints(redir);
    struct usb_redir_device_connect_header connect = {
        .speed = speed == USBIF_SPEED_LOW    ? usb_redir_speed_low
                 : speed == USBIF_SPEED_FULL ? usb_redir_speed_full
                                             : usb_redir_speed_high,
        .device_class = d[4],
        .device_subclass = d[5],
        .device_protocol = d[6],
        .vendor_id = (uint16_t)(d[8] | d[9] << 8),
        .product_id = (uint16_t)(d[10] | d[11] << 8),
        .device_version_bcd = (uint16_t)(d[12] | d[13] << 8),
    };
    usbredirparser_send_device_connect(redir->parser, &connect);
}

static void on_described(void *context, int status)
{
    struct redir *redir = context;
    if (status)
        redir->status = status;
    redir->described_all = status == 0;
    connect_device(redir);
}

static void on_hello(void *priv, struct usb_redir_hello_header *hello)
{
    struct redir *redir = priv;
    (void)hello;
    redir->greeted = true;
    connect_device(redir);
}

static void on_reset(void *priv)
{
    struct redir *redir = priv;
    memset(redir->reading, 0, sizeof(redir->reading));
    redir_iso_end_all(redir, true);
    described_reset(&redir->described);
    if (redir->device && redir->host->ops->reset(redir->host, redir->device))
        redir->status = -ENODEV;
}

static void on_plugged(void *context, const char *busid)
{
    (void)context;
    (void)busid;
}

static void on_unplugged(void *context, const char *busid)
{
    struct redir *redir = context;
    if (!redir->device || strcmp(busid, redir->busid) != 0)
        return;
    described_end(&redir->described);
    redir->host->ops->close(redir->host, redir->device);
    redir->device = NULL;
    if (redir->connected)
        usbredirparser_send_device_disconnect(redir->parser);
}

/* ---- running ---- */

int redir_step(struct redir *redir)
{
    if (redir->status)
        return redir->status;
    int rc = usbredirparser_do_read(redir->parser);
    if (rc == usbredirparser_read_parse_error)
        redir->status = -EPROTO;
    redir_run_reports(redir);
    if (!redir->status && usbredirparser_has_data_to_write(redir->parser))
        (void)usbredirparser_do_write(redir->parser);
    if (!redir->status && !redir->device && !usbredirparser_has_data_to_write(redir->parser))
        redir->status = -ENODEV;
    return redir->status;
}

bool redir_due(const struct redir *redir)
{
    return (usbredirparser_has_data_to_write(redir->parser) && !redir->stalled) || redir_reports_due(redir);
}

int redir_fd(const struct redir *redir)
{
    return redir->fd;
}

short redir_events(const struct redir *redir)
{
    return usbredirparser_has_data_to_write(redir->parser) ? POLLIN | POLLOUT : POLLIN;
}

struct redir_stats redir_stats(const struct redir *redir)
{
    return redir->stats;
}

/* ---- coming and going ---- */

static int make_parser(struct redir *redir)
{
    uint32_t caps[USB_REDIR_CAPS_SIZE] = {0};
    redir->parser = usbredirparser_create();
    if (!redir->parser)
        return -ENOMEM;
    redir->parser->priv = redir;
    redir->parser->log_func = on_log;
    redir->parser->read_func = on_read;
    redir->parser->write_func = on_write;
    redir->parser->hello_func = on_hello;
    redir->parser->reset_func = on_reset;
    redir_set_data_callbacks(redir->parser);
    redir_set_iso_callbacks(redir->parser);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_connect_device_version);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_ep_info_max_packet_size);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
    usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
    usbredirparser_init(redir->parser, "pvusb", caps, USB_REDIR_CAPS_SIZE, usbredirparser_fl_usb_host);
    return 0;
}

static int open_device(struct redir *redir)
{
    int rc = redir->host->ops->open(redir->host, redir->busid, &redir->device);
    if (rc) {
        redir->device = NULL;
        return rc;
    }
    rc = redir->host->ops->reset(redir->host, redir->device);
    if (rc)
        return rc;
    redir->described.host = redir->host;
    redir->described.device = redir->device;
    redir->described.ready = on_described;
    redir->described.context = redir;
    described_begin(&redir->described);
    return 0;
}

int redir_create(struct usb_host *host, const char *busid, int fd,
                 void (*log)(void *context, const char *line), void *log_context, struct redir **out)
{
    struct redir *redir = calloc(1, sizeof(*redir));
    int on = 1;
    if (!redir) {
        close(fd);
        return -ENOMEM;
    }
    redir->host = host;
    redir->fd = fd;
    redir->log = log;
    redir->log_context = log_context;
    snprintf(redir->busid, sizeof(redir->busid), "%s", busid);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* not all sockets have it */
    redir_data_init(redir);
    redir->listener =
        (struct usb_host_listener){.plugged = on_plugged, .unplugged = on_unplugged, .context = redir};
    int flags = fcntl(fd, F_GETFL);
    int rc = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : make_parser(redir);
    if (!rc)
        rc = host->ops->listen(host, &redir->listener);
    if (!rc)
        rc = open_device(redir);
    if (rc) {
        redir_destroy(redir);
        return rc;
    }
    *out = redir;
    return 0;
}

void redir_destroy(struct redir *redir)
{
    if (!redir)
        return;
    redir->closing = true;
    described_end(&redir->described);
    if (redir->device)
        redir->host->ops->close(redir->host, redir->device);
    redir->host->ops->unlisten(redir->host, &redir->listener);
    if (redir->parser)
        usbredirparser_destroy(redir->parser);
    for (unsigned int i = 0; i < REDIR_TRANSFERS; i++)
        free(redir->transfers[i].buffer);
    close(redir->fd);
    free(redir);
}
