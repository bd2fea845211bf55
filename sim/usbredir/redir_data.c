// SPDX-License-Identifier: MIT
/* Transfers: each packet of the peer is answered once; those of interrupt endpoints are sent as they come. */
#include "usbredir/redir_private.h"

#include <errno.h>
#include <stdlib.h>

#define REPORTS_AHEAD  2u
#define WRITES_WAITING 64 /* a peer that does not read gets no more reports */

#define REQ_CLEAR_FEATURE     1
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE     11

uint8_t redir_status_of(int32_t status)
{
    switch (status) {
    case 0:
        return usb_redir_success;
    case -ECONNRESET:
    case -ENOENT:
        return usb_redir_cancelled;
    case -EINVAL:
        return usb_redir_inval;
    case -EPIPE:
        return usb_redir_stall;
    case -ETIMEDOUT:
        return usb_redir_timeout;
    case -EOVERFLOW:
        return usb_redir_babble;
    default:
        return usb_redir_ioerror;
    }
}

/* ---- memory ---- */

void redir_data_init(struct redir *redir)
{
    for (unsigned int i = REDIR_TRANSFERS; i-- > 0;) {
        redir->transfers[i].redir = redir;
        redir->transfers[i].next = redir->free;
        redir->free = &redir->transfers[i];
    }
}

void redir_give_free(struct transfer *transfer)
{
    transfer->origin = REDIR_FREE;
    transfer->next = transfer->redir->free;
    transfer->redir->free = transfer;
}

/* Buffers stay with their transfers. */
struct transfer *redir_take(struct redir *redir, enum redir_origin origin, uint64_t id, uint32_t length)
{
    struct transfer *transfer = redir->free;
    if (!transfer || !redir->device)
        return NULL;
    if (transfer->capacity < length) {
        redir->memory -= transfer->capacity;
        free(transfer->buffer);
        transfer->capacity = 0;
        transfer->buffer = redir->memory + length > REDIR_MEMORY_MAX ? NULL : malloc(length);
        if (!transfer->buffer)
            return NULL;
        transfer->capacity = length;
        redir->memory += length;
    }
    redir->free = transfer->next;
    transfer->origin = origin;
    transfer->id = id;
    return transfer;
}

/* ---- answers ---- */

static void answer_control(struct transfer *transfer)
{
    struct usb_redir_control_packet_header header = transfer->control;
    bool in = header.requesttype & 0x80u;
    header.status = redir_status_of(transfer->host.status);
    header.length = (uint16_t)transfer->host.actual;
    usbredirparser_send_control_packet(transfer->redir->parser, transfer->id, &header,
                                       in && header.length ? transfer->buffer : NULL, in ? header.length : 0);
}

static void answer_bulk(struct transfer *transfer)
{
    struct usb_redir_bulk_packet_header header = transfer->bulk;
    uint32_t n = transfer->host.actual;
    header.status = redir_status_of(transfer->host.status);
    header.length = (uint16_t)n;
    header.length_high = (uint16_t)(n >> 16);
    n = transfer->host.in ? n : 0;
    usbredirparser_send_bulk_packet(transfer->redir->parser, transfer->id, &header,
                                    n ? transfer->buffer : NULL, (int)n);
}

static void answer_interrupt(struct transfer *transfer, uint64_t id)
{
    struct usb_redir_interrupt_packet_header header = {.endpoint = transfer->address,
                                                       .status = redir_status_of(transfer->host.status),
                                                       .length = (uint16_t)transfer->host.actual};
    int n = transfer->host.in ? header.length : 0;
    usbredirparser_send_interrupt_packet(transfer->redir->parser, id, &header, n ? transfer->buffer : NULL,
                                         n);
}

static void send_receiving_status(struct redir *redir, uint64_t id, uint8_t endpoint, uint8_t status)
{
    struct usb_redir_interrupt_receiving_status_header header = {.status = status, .endpoint = endpoint};
    usbredirparser_send_interrupt_receiving_status(redir->parser, id, &header);
}

/* A failure ends the reading; the peer is told and may begin anew. */
static void answer_report(struct transfer *transfer)
{
    struct redir *redir = transfer->redir;
    uint8_t number = transfer->address & 15u;
    if (!redir->reading[number])
        return;
    if (transfer->host.status) {
        redir->reading[number] = false;
        send_receiving_status(redir, 0, transfer->address, redir_status_of(transfer->host.status));
        return;
    }
    redir->stats.reports++;
    redir->missing[number]++;
    answer_interrupt(transfer, redir->report_id++);
}

static void answer_configuration(struct transfer *transfer)
{
    struct redir *redir = transfer->redir;
    const struct guest_configuration *current = redir->described.current;
    struct usb_redir_configuration_status_header header = {.status = redir_status_of(transfer->host.status),
                                                           .configuration = current ? current->value : 0};
    redir_send_endpoints(redir);
    usbredirparser_send_configuration_status(redir->parser, transfer->id, &header);
}

static void answer_setting(struct transfer *transfer)
{
    struct redir *redir = transfer->redir;
    uint8_t interface = transfer->host.setup[4];
    struct usb_redir_alt_setting_status_header header = {
        .status = redir_status_of(transfer->host.status),
        .interface = interface,
        .alt = interface < GUEST_INTERFACES_MAX ? redir->described.alternate[interface] : 0};
    redir_send_endpoints(redir);
    usbredirparser_send_alt_setting_status(redir->parser, transfer->id, &header);
}

static void done(struct host_urb *host)
{
    struct transfer *transfer = host->context;
    struct redir *redir = transfer->redir;
    enum redir_origin origin = transfer->origin;
    if (redir->closing || origin == REDIR_STOPPED) {
        redir_give_free(transfer);
        return;
    }
    redir->stats.transfers++;
    if (origin == REDIR_STREAM) {
        redir_iso_done(transfer);
        return;
    }
    if (host->type == USBIF_PIPE_TYPE_CTRL && host->status == 0)
        described_follow(&redir->described, host->setup);
    if (origin == REDIR_CONTROL)
        answer_control(transfer);
    else if (origin == REDIR_BULK)
        answer_bulk(transfer);
    else if (origin == REDIR_INTERRUPT)
        answer_interrupt(transfer, transfer->id);
    else if (origin == REDIR_REPORT)
        answer_report(transfer);
    else if (origin == REDIR_CONFIGURATION)
        answer_configuration(transfer);
    else
        answer_setting(transfer);
    redir_give_free(transfer);
}

/* ---- requests ---- */

struct host_urb *redir_fill(struct transfer *transfer, uint8_t type, bool in, uint32_t length)
{
    transfer->host = (struct host_urb){.endpoint = transfer->address & 15u,
                                       .type = type,
                                       .in = in,
                                       .interval = 1,
                                       .length = length,
                                       .nr_segs = 1,
                                       .seg = {{transfer->buffer, length}},
                                       .complete = done,
                                       .context = transfer};
    return &transfer->host;
}

void redir_submit(struct transfer *transfer)
{
    struct usb_host *host = transfer->redir->host;
    host->ops->submit(host, transfer->redir->device, &transfer->host);
}

static void on_control(void *priv, uint64_t id, struct usb_redir_control_packet_header *header, uint8_t *data,
                       int data_len)
{
    struct redir *redir = priv;
    struct usb_host *host = redir->host;
    bool in = header->requesttype & 0x80u, good = in || data_len == header->length;
    struct transfer *transfer = good ? redir_take(redir, REDIR_CONTROL, id, header->length) : NULL;
    if (!transfer) {
        struct usb_redir_control_packet_header refusal = *header;
        refusal.status = redir->device ? usb_redir_inval : usb_redir_ioerror;
        refusal.length = 0;
        redir->stats.refused++;
        usbredirparser_send_control_packet(redir->parser, id, &refusal, NULL, 0);
    } else {
        transfer->control = *header;
        transfer->address = 0;
        if (!in && data_len)
            memcpy(transfer->buffer, data, (size_t)data_len);
        struct host_urb *urb = redir_fill(transfer, USBIF_PIPE_TYPE_CTRL, in, header->length);
        const uint8_t setup[8] = {header->requesttype,     header->request,
                                  (uint8_t)header->value,  (uint8_t)(header->value >> 8),
                                  (uint8_t)header->index,  (uint8_t)(header->index >> 8),
                                  (uint8_t)header->length, (uint8_t)(header->length >> 8)};
        memcpy(urb->setup, setup, sizeof(setup));
        if (setup[0] == 0x02 && setup[1] == REQ_CLEAR_FEATURE && header->value == 0)
            host->ops->clear_halt(host, redir->device, urb, setup[4]);
        else
            redir_submit(transfer);
    }
    usbredirparser_free_packet_data(redir->parser, data);
}

static bool is_endpoint(const struct redir *redir, uint8_t address, uint8_t type)
{
    const struct guest_endpoint *endpoint = described_endpoint(&redir->described, address);
    return endpoint && endpoint->type == type;
}

static void on_bulk(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *header, uint8_t *data,
                    int data_len)
{
    struct redir *redir = priv;
    uint32_t length = header->length | (uint32_t)header->length_high << 16;
    bool in = header->endpoint & 0x80u;
    bool good = (in || (uint32_t)data_len == length) && header->stream_id == 0 &&
                is_endpoint(redir, header->endpoint, USBIF_PIPE_TYPE_BULK);
    struct transfer *transfer = good ? redir_take(redir, REDIR_BULK, id, length) : NULL;
    if (!transfer) {
        struct usb_redir_bulk_packet_header refusal = *header;
        refusal.status = redir->device ? usb_redir_inval : usb_redir_ioerror;
        refusal.length = refusal.length_high = 0;
        redir->stats.refused++;
        usbredirparser_send_bulk_packet(redir->parser, id, &refusal, NULL, 0);
    } else {
        transfer->bulk = *header;
        transfer->address = header->endpoint;
        if (!in && length)
            memcpy(transfer->buffer, data, length);
        (void)redir_fill(transfer, USBIF_PIPE_TYPE_BULK, in, length);
        redir_submit(transfer);
    }
    usbredirparser_free_packet_data(redir->parser, data);
}

static void on_interrupt(void *priv, uint64_t id, struct usb_redir_interrupt_packet_header *header,
                         uint8_t *data, int data_len)
{
    struct redir *redir = priv;
    bool good = !(header->endpoint & 0x80u) && data_len == header->length &&
                is_endpoint(redir, header->endpoint, USBIF_PIPE_TYPE_INT);
    struct transfer *transfer = good ? redir_take(redir, REDIR_INTERRUPT, id, header->length) : NULL;
    if (!transfer) {
        struct usb_redir_interrupt_packet_header refusal = {.endpoint = header->endpoint,
                                                            .status = usb_redir_inval};
        redir->stats.refused++;
        usbredirparser_send_interrupt_packet(redir->parser, id, &refusal, NULL, 0);
    } else {
        transfer->address = header->endpoint;
        if (data_len)
            memcpy(transfer->buffer, data, (size_t)data_len);
        (void)redir_fill(transfer, USBIF_PIPE_TYPE_INT, false, header->length);
        redir_submit(transfer);
    }
    usbredirparser_free_packet_data(redir->parser, data);
}

static void on_cancel(void *priv, uint64_t id)
{
    struct redir *redir = priv;
    for (unsigned int i = 0; i < REDIR_TRANSFERS; i++) {
        struct transfer *transfer = &redir->transfers[i];
        enum redir_origin origin = transfer->origin;
        bool asked = origin != REDIR_FREE && origin != REDIR_REPORT && origin != REDIR_STREAM &&
                     origin != REDIR_STOPPED;
        if (!asked || transfer->id != id)
            continue;
        redir->stats.cancels++;
        if (redir->device)
            redir->host->ops->cancel(redir->host, redir->device, &transfer->host);
        return;
    }
}

/* ---- interrupt endpoints ---- */

static void submit_report(struct redir *redir, uint8_t address)
{
    const struct guest_endpoint *endpoint = described_endpoint(&redir->described, address);
    struct transfer *transfer = endpoint ? redir_take(redir, REDIR_REPORT, 0, endpoint->packet) : NULL;
    if (!transfer)
        return;
    transfer->address = address;
    (void)redir_fill(transfer, USBIF_PIPE_TYPE_INT, true, endpoint->packet);
    redir_submit(transfer);
}

static void on_start_receiving(void *priv, uint64_t id,
                               struct usb_redir_start_interrupt_receiving_header *header)
{
    struct redir *redir = priv;
    uint8_t address = header->endpoint;
    if (!(address & 0x80u) || !is_endpoint(redir, address, USBIF_PIPE_TYPE_INT) ||
        redir->reading[address & 15u]) {
        send_receiving_status(redir, id, address, usb_redir_inval);
        return;
    }
    redir->reading[address & 15u] = true;
    send_receiving_status(redir, id, address, usb_redir_success);
    redir->missing[address & 15u] = REPORTS_AHEAD;
}

bool redir_reports_due(const struct redir *redir)
{
    if (!redir->device || usbredirparser_has_data_to_write(redir->parser) >= WRITES_WAITING)
        return false;
    for (unsigned int n = 1; n < 16; n++) {
        if (redir->reading[n] && redir->missing[n])
            return true;
    }
    return false;
}

/* Those that are done at once are for the next time. */
void redir_run_reports(struct redir *redir)
{
    for (uint8_t n = 1; n < 16 && redir_reports_due(redir); n++) {
        uint8_t count = redir->reading[n] ? redir->missing[n] : 0;
        redir->missing[n] = 0;
        while (count-- > 0 && redir->reading[n] && redir->device)
            submit_report(redir, (uint8_t)(n | 0x80u));
    }
}

static void on_stop_receiving(void *priv, uint64_t id,
                              struct usb_redir_stop_interrupt_receiving_header *header)
{
    struct redir *redir = priv;
    redir->reading[header->endpoint & 15u] = false;
    for (unsigned int i = 0; i < REDIR_TRANSFERS && redir->device; i++) {
        struct transfer *transfer = &redir->transfers[i];
        if (transfer->origin == REDIR_REPORT && transfer->address == header->endpoint)
            redir->host->ops->cancel(redir->host, redir->device, &transfer->host);
    }
    send_receiving_status(redir, id, header->endpoint, usb_redir_success);
}

/* ---- configurations and settings ---- */

static void on_set_configuration(void *priv, uint64_t id, struct usb_redir_set_configuration_header *header)
{
    struct redir *redir = priv;
    struct transfer *transfer = redir_take(redir, REDIR_CONFIGURATION, id, 0);
    if (!transfer) {
        struct usb_redir_configuration_status_header refusal = {.status = usb_redir_ioerror};
        usbredirparser_send_configuration_status(redir->parser, id, &refusal);
        return;
    }
    transfer->address = 0;
    memset(redir->reading, 0, sizeof(redir->reading));
    redir_iso_end_all(redir, false);
    struct host_urb *urb = redir_fill(transfer, USBIF_PIPE_TYPE_CTRL, false, 0);
    urb->setup[1] = REQ_SET_CONFIGURATION;
    urb->setup[2] = header->configuration;
    redir->host->ops->set_configuration(redir->host, redir->device, urb, header->configuration);
}

static void on_get_configuration(void *priv, uint64_t id)
{
    struct redir *redir = priv;
    const struct guest_configuration *current = redir->described.current;
    struct usb_redir_configuration_status_header header = {.configuration = current ? current->value : 0};
    usbredirparser_send_configuration_status(redir->parser, id, &header);
}

static void on_set_setting(void *priv, uint64_t id, struct usb_redir_set_alt_setting_header *header)
{
    struct redir *redir = priv;
    struct transfer *transfer = redir_take(redir, REDIR_SETTING, id, 0);
    if (!transfer) {
        struct usb_redir_alt_setting_status_header refusal = {.status = usb_redir_ioerror,
                                                              .interface = header->interface};
        usbredirparser_send_alt_setting_status(redir->parser, id, &refusal);
        return;
    }
    transfer->address = 0;
    redir_iso_end_interface(redir, header->interface);
    struct host_urb *urb = redir_fill(transfer, USBIF_PIPE_TYPE_CTRL, false, 0);
    urb->setup[0] = 0x01;
    urb->setup[1] = REQ_SET_INTERFACE;
    urb->setup[2] = header->alt;
    urb->setup[4] = header->interface;
    redir->host->ops->set_interface(redir->host, redir->device, urb, header->interface, header->alt);
}

static void on_get_setting(void *priv, uint64_t id, struct usb_redir_get_alt_setting_header *header)
{
    struct redir *redir = priv;
    uint8_t interface = header->interface;
    bool good = interface < GUEST_INTERFACES_MAX;
    struct usb_redir_alt_setting_status_header answer = {.status = good ? usb_redir_success : usb_redir_inval,
                                                         .interface = interface,
                                                         .alt = good ? redir->described.alternate[interface]
                                                                     : 0};
    usbredirparser_send_alt_setting_status(redir->parser, id, &answer);
}

/* ---- what there is not ---- */

static void on_streams(void *priv, uint64_t id, struct usb_redir_alloc_bulk_streams_header *header)
{
    struct redir *redir = priv;
    struct usb_redir_bulk_streams_status_header refusal = {.endpoints = header->endpoints,
                                                           .status = usb_redir_inval};
    usbredirparser_send_bulk_streams_status(redir->parser, id, &refusal);
}

void redir_set_data_callbacks(struct usbredirparser *parser)
{
    parser->control_packet_func = on_control;
    parser->bulk_packet_func = on_bulk;
    parser->interrupt_packet_func = on_interrupt;
    parser->cancel_data_packet_func = on_cancel;
    parser->set_configuration_func = on_set_configuration;
    parser->get_configuration_func = on_get_configuration;
    parser->set_alt_setting_func = on_set_setting;
    parser->get_alt_setting_func = on_get_setting;
    parser->start_interrupt_receiving_func = on_start_receiving;
    parser->stop_interrupt_receiving_func = on_stop_receiving;
    parser->alloc_bulk_streams_func = on_streams;
}
