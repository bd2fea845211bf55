// SPDX-License-Identifier: MIT
/*
 * Isochronous streams: URBs of as many packets as the peer has asked for. Those of an IN endpoint go round;
 * for an OUT endpoint the packets of the peer are collected, and the first URB goes when half of all are
 * full, so that the other half is there for what comes late.
 */
#include "usbredir/redir_private.h"

#include <errno.h>

#define WRITES_WAITING                                                                                       \
    800 /* a tenth of a second of packets, at most; a peer that does not read loses more                     \
         */

static struct redir_stream *stream_of(struct redir *redir, uint8_t address)
{
    return &redir->streams[(address & 15u) | (address & 0x80u) >> 3];
}

static void send_status(struct redir *redir, uint64_t id, uint8_t address, uint8_t status)
{
    struct usb_redir_iso_stream_status_header header = {.status = status, .endpoint = address};
    usbredirparser_send_iso_stream_status(redir->parser, id, &header);
}

/* What is under way comes back for nobody. cancel: at once. */
static void end_stream(struct redir *redir, struct redir_stream *stream, bool cancel)
{
    uint8_t address = stream->address;
    if (!stream->packets)
        return;
    while (stream->waiting) {
        struct transfer *transfer = stream->waiting;
        stream->waiting = transfer->next;
        redir_give_free(transfer);
    }
    *stream = (struct redir_stream){.packets = 0};
    for (unsigned int i = 0; i < REDIR_TRANSFERS; i++) {
        struct transfer *transfer = &redir->transfers[i];
        if (transfer->origin != REDIR_STREAM || transfer->address != address)
            continue;
        transfer->origin = REDIR_STOPPED;
        if (cancel && redir->device)
            redir->host->ops->cancel(redir->host, redir->device, &transfer->host);
    }
}

static void submit(struct transfer *transfer)
{
    stream_of(transfer->redir, transfer->address)->under_way++;
    redir_submit(transfer);
}

static struct host_urb *fill(struct transfer *transfer, uint32_t length, uint16_t nr_packets)
{
    struct host_urb *urb = redir_fill(transfer, USBIF_PIPE_TYPE_ISOC, transfer->address & 0x80u, length);
    urb->interval = stream_of(transfer->redir, transfer->address)->interval;
    urb->nr_packets = nr_packets;
    urb->packets = transfer->packets;
    return urb;
}

static struct transfer *take(struct redir *redir, struct redir_stream *stream)
{
    if (stream->taken == stream->urbs)
        return NULL;
    struct transfer *transfer =
        redir_take(redir, REDIR_STREAM, 0, (uint32_t)stream->packets * stream->packet);
    if (!transfer)
        return NULL;
    stream->taken++;
    transfer->address = stream->address;
    return transfer;
}

/* ---- from the device ---- */

static void send_packets(struct transfer *transfer)
{
    struct redir *redir = transfer->redir;
    struct redir_stream *stream = stream_of(redir, transfer->address);
    for (unsigned int i = 0; i < transfer->host.nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &transfer->packets[i];
        uint64_t id = stream->id++;
        if (usbredirparser_has_data_to_write(redir->parser) >= WRITES_WAITING) {
            redir->stats.iso_lost++;
            continue;
        }
        bool good = packet->status == 0 && packet->actual_length <= packet->length;
        struct usb_redir_iso_packet_header header = {.endpoint = transfer->address,
                                                     .status = packet->status
                                                                   ? redir_status_of(packet->status)
                                                               : good ? 0
                                                                      : usb_redir_babble,
                                                     .length = (uint16_t)(good ? packet->actual_length : 0)};
        redir->stats.iso_packets++;
        usbredirparser_send_iso_packet(redir->parser, id, &header,
                                       header.length ? transfer->buffer + packet->offset : NULL,
                                       header.length);
    }
}

static void receive(struct transfer *transfer)
{
    const struct redir_stream *stream = stream_of(transfer->redir, transfer->address);
    for (uint32_t i = 0; i < stream->packets; i++)
        transfer->packets[i] =
            (struct pvusb_iso_desc){.offset = i * stream->packet, .length = stream->packet};
    (void)fill(transfer, (uint32_t)stream->packets * stream->packet, stream->packets);
    submit(transfer);
}

/* An error ends the stream, and this. */
static void start_receiving(struct redir *redir, struct redir_stream *stream)
{
    for (unsigned int i = stream->urbs; i > 0 && stream->packets; i--) {
        struct transfer *transfer = take(redir, stream);
        if (!transfer)
            return;
        receive(transfer);
    }
}

/* ---- to the device ---- */

static bool is_full(const struct redir_stream *stream, const struct transfer *transfer)
{
    return transfer && transfer->host.nr_packets == stream->packets;
}

/* An error ends the stream, and this. */
static void submit_full(struct redir_stream *stream)
{
    while (is_full(stream, stream->waiting)) {
        struct transfer *transfer = stream->waiting;
        stream->waiting = transfer->next;
        if (!stream->waiting)
            stream->last = NULL;
        submit(transfer);
    }
}

static struct transfer *to_fill(struct redir *redir, struct redir_stream *stream)
{
    if (stream->last && !is_full(stream, stream->last))
        return stream->last;
    struct transfer *transfer = take(redir, stream);
    if (!transfer)
        return NULL;
    transfer->next = NULL;
    (void)fill(transfer, 0, 0);
    if (stream->last)
        stream->last->next = transfer;
    else
        stream->waiting = transfer;
    stream->last = transfer;
    return transfer;
}

static void play(struct redir *redir, struct redir_stream *stream, const uint8_t *data, uint32_t n)
{
    struct transfer *transfer = stream->dropping ? NULL : to_fill(redir, stream);
    if (!transfer) {
        /* The stream has a gap anyway: let it be one after which half of the URBs are free again. */
        uint16_t more = stream->dropping ? stream->dropping : (uint16_t)(stream->packets * stream->urbs / 2u);
        stream->dropping = (uint16_t)(more ? more - 1u : 0);
        redir->stats.iso_lost++;
        return;
    }
    struct host_urb *urb = &transfer->host;
    transfer->packets[urb->nr_packets++] = (struct pvusb_iso_desc){.offset = urb->length, .length = n};
    if (n)
        memcpy(transfer->buffer + urb->length, data, n);
    urb->length += n;
    urb->seg[0].length = urb->length;
    redir->stats.iso_packets++;
    if (!is_full(stream, transfer))
        return;
    if (!stream->flowing && stream->taken < (stream->urbs + 1u) / 2)
        return;
    stream->flowing = true;
    submit_full(stream);
}

static void on_iso(void *priv, uint64_t id, struct usb_redir_iso_packet_header *header, uint8_t *data,
                   int data_len)
{
    struct redir *redir = priv;
    struct redir_stream *stream = stream_of(redir, header->endpoint);
    bool good = stream->packets && stream->address == header->endpoint && !(header->endpoint & 0x80u) &&
                data_len == header->length && header->length <= stream->packet;
    if (good && redir->device) {
        play(redir, stream, data, header->length);
    } else {
        redir->stats.refused++;
        send_status(redir, id, header->endpoint, redir->device ? usb_redir_inval : usb_redir_ioerror);
    }
    usbredirparser_free_packet_data(redir->parser, data);
}

/* ---- both ---- */

/* The peer is told of one error for an URB of packets to the device; "stall" would end the stream for it. */
static void tell_of_errors(struct transfer *transfer)
{
    for (unsigned int i = 0; i < transfer->host.nr_packets; i++) {
        uint8_t status = redir_status_of(transfer->packets[i].status);
        if (status == usb_redir_success)
            continue;
        send_status(transfer->redir, transfer->id, transfer->address,
                    status == usb_redir_stall ? usb_redir_ioerror : status);
        return;
    }
}

void redir_iso_done(struct transfer *transfer)
{
    struct redir *redir = transfer->redir;
    struct redir_stream *stream = stream_of(redir, transfer->address);
    stream->under_way--;
    if (transfer->host.status) {
        redir_give_free(transfer);
        end_stream(redir, stream, false);
        send_status(redir, 0, transfer->address, usb_redir_stall); /* the peer may begin anew */
    } else if (stream->address & 0x80u) {
        send_packets(transfer);
        receive(transfer);
    } else {
        tell_of_errors(transfer);
        stream->taken--;
        stream->flowing = stream->under_way > 0; /* else half of the URBs are to be full again */
        redir_give_free(transfer);
    }
}

static void on_start(void *priv, uint64_t id, struct usb_redir_start_iso_stream_header *header)
{
    struct redir *redir = priv;
    const struct guest_endpoint *endpoint = described_endpoint(&redir->described, header->endpoint);
    struct redir_stream *stream = stream_of(redir, header->endpoint);
    bool good = redir->device && endpoint && endpoint->type == USBIF_PIPE_TYPE_ISOC && endpoint->packet &&
                !stream->packets && header->pkts_per_urb > 0 && header->pkts_per_urb <= REDIR_ISO_PACKETS &&
                header->no_urbs > 0 && header->no_urbs <= REDIR_ISO_URBS;
    if (!good) {
        redir->stats.refused++;
        send_status(redir, id, header->endpoint, usb_redir_inval);
        return;
    }
    uint8_t exponent = endpoint->interval == 0 ? 1 : endpoint->interval > 16 ? 16 : endpoint->interval;
    *stream = (struct redir_stream){.packets = header->pkts_per_urb,
                                    .urbs = header->no_urbs,
                                    .address = header->endpoint,
                                    .packet = redir_packet(endpoint),
                                    .interval = (uint16_t)(1u << (exponent - 1))};
    send_status(redir, id, header->endpoint, usb_redir_success);
    if (!(header->endpoint & 0x80u))
        return;
    start_receiving(redir, stream);
    if (stream->packets && !stream->taken) {
        end_stream(redir, stream, true);
        send_status(redir, id, header->endpoint, usb_redir_stall);
    }
}

static void on_stop(void *priv, uint64_t id, struct usb_redir_stop_iso_stream_header *header)
{
    struct redir *redir = priv;
    struct redir_stream *stream = stream_of(redir, header->endpoint);
    if (stream->address == header->endpoint)
        end_stream(redir, stream, true);
    send_status(redir, id, header->endpoint, usb_redir_success);
}

void redir_iso_end_interface(struct redir *redir, uint8_t number)
{
    const struct guest_configuration *config = redir->described.current;
    for (unsigned int i = 0; config && i < config->nr_interfaces; i++) {
        const struct guest_interface *interface = &config->interfaces[i];
        if (interface->number != number || !described_chosen(&redir->described, interface))
            continue;
        for (unsigned int e = 0; e < interface->nr_endpoints; e++)
            end_stream(redir, stream_of(redir, interface->endpoints[e].address), true);
    }
}

void redir_iso_end_all(struct redir *redir, bool tell)
{
    for (unsigned int i = 0; i < 32; i++) {
        struct redir_stream *stream = &redir->streams[i];
        uint8_t address = stream->address;
        if (!stream->packets)
            continue;
        end_stream(redir, stream, true);
        if (tell)
            send_status(redir, 0, address, usb_redir_stall);
    }
}

void redir_set_iso_callbacks(struct usbredirparser *parser)
{
    parser->iso_packet_func = on_iso;
    parser->start_iso_stream_func = on_start;
    parser->stop_iso_stream_func = on_stop;
}
