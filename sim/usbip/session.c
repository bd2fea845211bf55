// SPDX-License-Identifier: MIT
/* An imported device: its transfers, from the stream to the host and back. */
#include "usbip/server_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFERS  256u
#define REPLIES    64u /* without data: refusals and answers to unlinks */
#define MEMORY_MAX (16u << 20)
#define BUFFER_MIN 4096u
#define NO_PACKETS 0xffffffffu

#define REQ_CLEAR_FEATURE     1
#define REQ_SET_FEATURE       3
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE     11

enum transfer_state { FREE, RECEIVING, AT_HOST, ANSWERED };

struct transfer {
    struct stream_message message; /* first: sent() gets it */
    struct session *session;
    enum transfer_state state;
    struct usbip_header header;
    struct host_urb host;
    struct reply *unlink; /* the answer to an unlink of this one */
    /* length bytes of data, the packets as on the wire, the packets as the host has them. */
    uint8_t *buffer;
    size_t capacity;
    struct transfer *next, *before; /* of those under way; of the free ones only next */
    uint8_t bytes[USBIP_HEADER_SIZE];
};

struct reply {
    struct stream_message message;
    struct session *session;
    struct reply *next;
    uint8_t bytes[USBIP_HEADER_SIZE];
};

struct session {
    struct connection *connection;
    struct export *export; /* NULL: unplugged */
    uint32_t devid;
    char busid[USBIP_BUSID_SIZE];
    size_t memory;
    struct transfer *receiving; /* its payload is coming */
    bool closing;
    struct transfer *free_transfers, *under_way;
    struct reply *free_replies;
    struct transfer transfers[TRANSFERS];
    struct reply replies[REPLIES];
};

/* For transfers that are refused: so many packets of which nothing was done. */
static const uint8_t no_packets[USBIP_ISO_MAX * USBIP_ISO_SIZE];

/* ---- answers without data ---- */

static void reply_sent(struct stream_message *message)
{
    struct reply *reply = (struct reply *)message;
    reply->next = reply->session->free_replies;
    reply->session->free_replies = reply;
    /* There may be messages that waited for it. */
    connection_touch(reply->session->connection);
}

static struct reply *take_reply(struct session *session)
{
    struct reply *reply = session->free_replies;
    assert(reply);
    session->free_replies = reply->next;
    return reply;
}

static void send_reply(struct reply *reply, const struct usbip_header *header, uint32_t packets)
{
    usbip_put_header(reply->bytes, header);
    reply->message = (struct stream_message){.piece = {{reply->bytes, USBIP_HEADER_SIZE}}, .nr_pieces = 1};
    reply->message.sent = reply_sent;
    if (packets) {
        /* The cast drops a const that sending keeps. */
        reply->message.piece[1] =
            (struct iovec){(void *)(uintptr_t)no_packets, (size_t)packets * USBIP_ISO_SIZE};
        reply->message.nr_pieces = 2;
    }
    stream_queue(&reply->session->connection->stream, &reply->message);
    connection_touch(reply->session->connection);
}

static void answer_unlink(struct reply *reply, uint32_t seqnum, int32_t status)
{
    send_reply(reply, &(struct usbip_header){.command = USBIP_RET_UNLINK, .seqnum = seqnum, .status = status},
               0);
}

/* Answers now; the payload that follows the request is thrown away. */
static void refuse(struct session *session, const struct usbip_header *header, bool iso, int32_t status)
{
    size_t payload = header->in ? 0 : header->length;
    uint32_t packets = iso ? header->nr_packets : 0;
    struct usbip_header answer = {
        .command = USBIP_RET_SUBMIT, .seqnum = header->seqnum, .status = status, .nr_packets = packets};
    session->connection->server->stats.refused++;
    send_reply(take_reply(session), &answer, packets);
    stream_payload(&session->connection->stream, NULL, payload + (size_t)packets * USBIP_ISO_SIZE);
}

/* ---- transfers ---- */

static void release(struct transfer *transfer)
{
    struct session *session = transfer->session;
    if (transfer->before)
        transfer->before->next = transfer->next;
    else
        session->under_way = transfer->next;
    if (transfer->next)
        transfer->next->before = transfer->before;
    transfer->state = FREE;
    transfer->next = session->free_transfers;
    session->free_transfers = transfer;
}

static void transfer_sent(struct stream_message *message)
{
    release((struct transfer *)message);
}

static uint8_t *wire_packets(const struct transfer *transfer)
{
    return transfer->buffer + transfer->header.length;
}

static bool is_iso(const struct transfer *transfer)
{
    return transfer->host.type == USBIF_PIPE_TYPE_ISOC;
}

/* Packets to the wire's order; what came in is moved together, as the wire has no padding. Returns the bytes.
 */
static uint32_t pack(struct transfer *transfer)
{
    uint32_t bytes = 0;
    for (unsigned int i = 0; i < transfer->host.nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &transfer->host.packets[i];
        assert(packet->actual_length <= packet->length);
        if (transfer->header.in)
            memmove(transfer->buffer + bytes, transfer->buffer + packet->offset, packet->actual_length);
        bytes += packet->actual_length;
        usbip_put_packet(wire_packets(transfer) + (size_t)i * USBIP_ISO_SIZE, packet);
    }
    return bytes;
}

static void answer_transfer(struct transfer *transfer)
{
    struct host_urb *host = &transfer->host;
    uint32_t packets = is_iso(transfer) ? host->nr_packets : 0;
    uint32_t moved = packets ? pack(transfer) : host->actual;
    struct usbip_header answer = {.command = USBIP_RET_SUBMIT,
                                  .seqnum = transfer->header.seqnum,
                                  .status = host->status,
                                  .length = moved,
                                  .start_frame = packets ? host->start_frame : 0,
                                  .nr_packets = packets,
                                  .error_count = packets ? host->error_count : 0};
    struct stream_message *m = &transfer->message;
    usbip_put_header(transfer->bytes, &answer);
    *m = (struct stream_message){.piece = {{transfer->bytes, USBIP_HEADER_SIZE}}, .nr_pieces = 1};
    m->sent = transfer_sent;
    if (transfer->header.in && moved)
        m->piece[m->nr_pieces++] = (struct iovec){transfer->buffer, moved};
    if (packets)
        m->piece[m->nr_pieces++] = (struct iovec){wire_packets(transfer), (size_t)packets * USBIP_ISO_SIZE};
    transfer->state = ANSWERED;
    stream_queue(&transfer->session->connection->stream, m);
    connection_touch(transfer->session->connection);
}

/* An unlink that was in time is the only answer; one that was not follows the transfer's. */
static void transfer_done(struct host_urb *host)
{
    struct transfer *transfer = host->context;
    struct session *session = transfer->session;
    struct reply *unlink = transfer->unlink;
    transfer->unlink = NULL;
    if (session->closing) {
        release(transfer);
        return;
    }
    session->connection->server->stats.transfers++;
    if (host->type == USBIF_PIPE_TYPE_CTRL && host->status == 0 && session->export)
        export_follow(session->export, host->setup);
    uint32_t unlink_seqnum = unlink ? usbip_get32(unlink->bytes + 4) : 0;
    if (unlink && host->status == -ECONNRESET) {
        release(transfer);
        answer_unlink(unlink, unlink_seqnum, -ECONNRESET);
        return;
    }
    answer_transfer(transfer);
    if (unlink)
        answer_unlink(unlink, unlink_seqnum, 0);
}

/* ---- memory ---- */

static void drop_buffer(struct session *session, struct transfer *transfer)
{
    session->memory -= transfer->capacity;
    free(transfer->buffer);
    transfer->buffer = NULL;
    transfer->capacity = 0;
}

/* Buffers stay with their transfers: in the steady state nothing is allocated. */
static int make_room(struct session *session, struct transfer *transfer, size_t size)
{
    size = size < BUFFER_MIN ? BUFFER_MIN : size;
    if (transfer->capacity >= size)
        return 0;
    drop_buffer(session, transfer);
    for (struct transfer *t = session->free_transfers; t && session->memory + size > MEMORY_MAX; t = t->next)
        drop_buffer(session, t);
    if (session->memory + size > MEMORY_MAX)
        return -ENOMEM;
    transfer->buffer = malloc(size);
    if (!transfer->buffer)
        return -ENOMEM;
    transfer->capacity = size;
    session->memory += size;
    return 0;
}

/* ---- from the stream to the host ---- */

static bool is_standard(const uint8_t setup[8], uint8_t type, uint8_t request)
{
    return setup[0] == type && setup[1] == request;
}

/* Linux (stub_rx.c) tells these from others too; its clients reset a device with the request of a hub's port.
 */
static void start_control(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    const uint8_t *setup = urb->setup;
    if (is_standard(setup, 0x00, REQ_SET_CONFIGURATION))
        host->ops->set_configuration(host, device, urb, setup[2]);
    else if (is_standard(setup, 0x01, REQ_SET_INTERFACE))
        host->ops->set_interface(host, device, urb, setup[4], setup[2]);
    else if (is_standard(setup, 0x02, REQ_CLEAR_FEATURE) && setup[2] == 0 && setup[3] == 0)
        host->ops->clear_halt(host, device, urb, setup[4]);
    else if (is_standard(setup, 0x23, REQ_SET_FEATURE) && setup[2] == 4 && setup[3] == 0)
        host_urb_complete(urb, host->ops->reset(host, device), 0);
    else
        host->ops->submit(host, device, urb);
}

/* What a host would not take from its own drivers either. */
static int32_t check_control(const struct host_urb *urb)
{
    const uint8_t *setup = urb->setup;
    uint32_t wanted = setup[6] | (uint32_t)setup[7] << 8;
    if (urb->length > wanted)
        return -EINVAL;
    return wanted && urb->in != (setup[0] >> 7) ? -EINVAL : 0;
}

/* One after the other, so that they can be moved together. */
static int32_t take_packets(struct transfer *transfer)
{
    struct host_urb *host = &transfer->host;
    uint32_t end = 0;
    for (unsigned int i = 0; i < host->nr_packets; i++) {
        usbip_get_packet(wire_packets(transfer) + (size_t)i * USBIP_ISO_SIZE, &host->packets[i]);
        struct pvusb_iso_desc *packet = &host->packets[i];
        if (packet->offset < end || packet->offset > host->length ||
            packet->length > host->length - packet->offset)
            return -EINVAL;
        end = packet->offset + packet->length;
        packet->actual_length = 0;
        packet->status = -EXDEV;
    }
    return 0;
}

static void start(struct transfer *transfer)
{
    struct session *session = transfer->session;
    struct host_urb *urb = &transfer->host;
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    int32_t status = is_iso(transfer) ? take_packets(transfer) : control ? check_control(urb) : 0;
    transfer->state = AT_HOST;
    if (!session->export || !session->export->device)
        status = -ENODEV;
    if (status) {
        if (is_iso(transfer))
            memset(urb->packets, 0, urb->nr_packets * sizeof(urb->packets[0]));
        host_urb_complete(urb, status, 0);
        return;
    }
    struct usb_host *host = session->connection->server->config.host;
    if (control)
        start_control(host, session->export->device, urb);
    else
        host->ops->submit(host, session->export->device, urb);
}

static struct transfer *find(const struct session *session, uint32_t seqnum)
{
    for (struct transfer *t = session->under_way; t; t = t->next) {
        if (t->header.seqnum == seqnum)
            return t;
    }
    return NULL;
}

static void fill(struct transfer *transfer, int type)
{
    const struct usbip_header *header = &transfer->header;
    bool iso = type == USBIF_PIPE_TYPE_ISOC;
    size_t packets = iso ? header->nr_packets * (size_t)USBIP_ISO_SIZE : 0;
    size_t at = (header->length + packets + 15) / 16 * 16;
    transfer->host = (struct host_urb){
        .endpoint = header->endpoint,
        .type = (uint8_t)type,
        .in = header->in,
        .short_not_ok = (header->flags & USBIP_SHORT_NOT_OK) != 0,
        .interval = (uint16_t)(header->interval > 0xffff ? 0xffff : header->interval),
        .length = header->length,
        .nr_segs = 1,
        .nr_packets = (uint16_t)(iso ? header->nr_packets : 0),
        .packets = iso ? (struct pvusb_iso_desc *)(void *)(transfer->buffer + at) : NULL,
        .complete = transfer_done,
        .context = transfer,
    };
    transfer->host.seg[0] = (struct host_seg){transfer->buffer, header->length};
    memcpy(transfer->host.setup, header->setup, 8);
}

static void begin(struct session *session, const struct usbip_header *header, int type)
{
    struct transfer *transfer = session->free_transfers;
    bool iso = type == USBIF_PIPE_TYPE_ISOC;
    size_t packets = iso ? (size_t)header->nr_packets * USBIP_ISO_SIZE : 0;
    if (!transfer || make_room(session, transfer, header->length + 2 * packets + 16)) {
        refuse(session, header, iso, -ENOMEM);
        return;
    }
    session->free_transfers = transfer->next;
    transfer->next = session->under_way;
    transfer->before = NULL;
    if (transfer->next)
        transfer->next->before = transfer;
    session->under_way = transfer;
    transfer->header = *header;
    transfer->state = RECEIVING;
    fill(transfer, type);
    /* Data and packets follow each other on the wire as in the buffer. */
    uint8_t *to = header->in ? wire_packets(transfer) : transfer->buffer;
    stream_payload(&session->connection->stream, to, (header->in ? 0 : header->length) + packets);
    session->receiving = transfer;
}

static const char *take_submit(struct session *session, const struct usbip_header *header)
{
    uint8_t address = (uint8_t)(header->endpoint | (header->in ? 0x80u : 0u));
    int type = session->export ? export_endpoint_type(session->export, address) : -1;
    if (find(session, header->seqnum))
        return "a sequence number that is in use";
    if (type == USBIF_PIPE_TYPE_ISOC && (header->nr_packets == 0 || header->nr_packets > USBIP_ISO_MAX))
        return "an isochronous transfer of 0 or more than 1024 packets";
    if (type < 0 && header->nr_packets != 0 && header->nr_packets != NO_PACKETS)
        return "packets for an endpoint that is not there";
    if (type < 0)
        refuse(session, header, false, session->export ? -ENOENT : -ENODEV);
    else
        begin(session, header, type);
    return NULL;
}

static void take_unlink(struct session *session, const struct usbip_header *header)
{
    struct transfer *transfer = find(session, header->unlink_seqnum);
    struct reply *reply = take_reply(session);
    session->connection->server->stats.unlinks++;
    if (!transfer || transfer->state != AT_HOST || transfer->unlink || !session->export ||
        !session->export->device) {
        answer_unlink(reply, header->seqnum, 0); /* it is answered already, or will be */
        return;
    }
    struct usb_host *host = session->connection->server->config.host;
    usbip_put_header(reply->bytes,
                     &(struct usbip_header){.command = USBIP_RET_UNLINK, .seqnum = header->seqnum});
    transfer->unlink = reply;
    host->ops->cancel(host, session->export->device, &transfer->host);
}

static const char *take_command(struct session *session, const uint8_t *bytes)
{
    struct usbip_header header;
    const char *wrong = usbip_get_command(bytes, &header);
    if (wrong)
        return wrong;
    if (header.devid != session->devid)
        return "a device that this connection has not imported";
    if (header.command == USBIP_CMD_SUBMIT)
        return take_submit(session, &header);
    take_unlink(session, &header);
    return NULL;
}

bool session_reads(const struct session *session)
{
    return session->free_replies != NULL;
}

const char *session_run(struct session *session)
{
    struct stream *stream = &session->connection->stream;
    const char *wrong = NULL;
    while (!wrong) {
        if (!stream_payload_done(stream))
            return NULL;
        struct transfer *transfer = session->receiving;
        session->receiving = NULL;
        if (transfer)
            start(transfer);
        if (!session_reads(session))
            return NULL;
        const uint8_t *bytes = stream_take(stream, USBIP_HEADER_SIZE);
        if (!bytes)
            return NULL;
        wrong = take_command(session, bytes);
    }
    return wrong;
}

/* ---- coming and going ---- */

int session_create(struct connection *connection, struct export *export)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    session->connection = connection;
    session->export = export;
    session->devid = export->shown.busnum << 16 | export->shown.devnum;
    memcpy(session->busid, export->busid, sizeof(session->busid));
    for (unsigned int i = TRANSFERS; i-- > 0;) {
        session->transfers[i].session = session;
        session->transfers[i].next = session->free_transfers;
        session->free_transfers = &session->transfers[i];
    }
    for (unsigned int i = REPLIES; i-- > 0;) {
        session->replies[i].session = session;
        session->replies[i].next = session->free_replies;
        session->free_replies = &session->replies[i];
    }
    connection->session = session;
    export->session = session;
    return 0;
}

/* Its transfers have been answered with -ENODEV; the connection ends when that is sent. */
void session_device_gone(struct session *session)
{
    session->export->session = NULL;
    session->export = NULL;
    connection_touch(session->connection);
}

bool session_has_device(const struct session *session)
{
    return session->export != NULL;
}

const char *session_busid(const struct session *session)
{
    return session->busid;
}

void session_destroy(struct session *session)
{
    struct export *export = session->export;
    session->closing = true;
    session->export = NULL;
    if (export) {
        export->session = NULL;
        export_release(export);
    }
    session->connection->session = NULL;
    for (unsigned int i = 0; i < TRANSFERS; i++)
        free(session->transfers[i].buffer);
    free(session);
}
