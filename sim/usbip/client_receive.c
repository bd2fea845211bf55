// SPDX-License-Identifier: MIT
/* What a server answers: the import first, then what became of URBs. None of it is believed unchecked. */
#include "usbip/client_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void violation(struct usbip_client *client, const char *what)
{
    char line[256];
    snprintf(line, sizeof(line), "usbip: %s: the server sent %s; connection closed", client->busid, what);
    if (client->log)
        client->log(client->log_context, line);
    client_finish(client, -EPROTO);
}

/* ---- receiving ---- */

/* What a driver may see; the rest of the errnos means that the bus failed. */
static int status_of(int32_t status)
{
    switch (status) {
    case 0:
    case -EPIPE:
    case -EOVERFLOW:
    case -ENODEV:
    case -EINVAL:
    case -ESHUTDOWN:
    case -EREMOTEIO:
        return status;
    default:
        return -EPROTO;
    }
}

static void complete_entry(struct usbip_client *client, struct entry *entry)
{
    const struct usbip_header *header = &client->header;
    struct hcd_urb *urb = entry->urb;
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    int status = status_of(header->status);
    if (status == 0 && urb->in && !iso && urb->short_not_ok && header->length < urb->length)
        status = -EREMOTEIO; /* rule SNO-03 */
    urb->error_count = iso ? header->error_count : 0;
    urb->start_frame = iso ? (uint16_t)header->start_frame : urb->start_frame;
    client_free_entry(client, entry);
    client_give_back(client, urb, status, header->length);
}

/* The data came without padding; from the last packet on, each goes where its driver wants it. */
static const char *spread(struct usbip_client *client, struct entry *entry)
{
    struct hcd_urb *urb = entry->urb;
    uint32_t sum = 0;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        struct pvusb_iso_desc got;
        usbip_get_packet(entry->packets + (size_t)i * USBIP_ISO_SIZE, &got);
        if (got.actual_length > urb->packets[i].length)
            return "a packet longer than there is room for";
        urb->packets[i].actual_length = got.actual_length;
        urb->packets[i].status = got.status > 0 ? -EPROTO : got.status;
        sum += got.actual_length;
    }
    if (sum != client->header.length)
        return "packets that do not make up the data";
    for (unsigned int i = urb->nr_packets; urb->in && i-- > 0;) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        sum -= packet->actual_length;
        memmove((uint8_t *)urb->buffer + packet->offset, (uint8_t *)urb->buffer + sum, packet->actual_length);
    }
    return NULL;
}

static const char *take_submit(struct usbip_client *client, struct entry *entry)
{
    const struct usbip_header *header = &client->header;
    const struct hcd_urb *urb = entry->urb;
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    if (header->length > urb->length)
        return "more data than was asked for";
    if (iso && header->nr_packets != urb->nr_packets)
        return "another number of packets than was asked for";
    client->receiving = entry;
    client->phase = PHASE_DATA;
    stream_payload(&client->stream, urb->buffer, urb->in ? header->length : 0);
    return NULL;
}

/* An URB that is still here has been unlinked; without it, the answer to its submit has come before. */
static void take_unlink(struct usbip_client *client, struct entry *unlink)
{
    struct entry *entry = unlink->target;
    if (entry) {
        struct hcd_urb *urb = entry->urb;
        client_free_entry(client, entry);
        client_give_back(client, urb, -ECONNRESET, 0);
    }
    client_free_entry(client, unlink);
}

static const char *take_return(struct usbip_client *client, const uint8_t *bytes)
{
    const char *wrong = usbip_get_return(bytes, &client->header);
    if (wrong)
        return wrong;
    struct entry *entry = &client->entries[client->header.seqnum % ENTRIES];
    bool submit = client->header.command == USBIP_RET_SUBMIT;
    if (entry->kind != (submit ? ENTRY_SUBMIT : ENTRY_UNLINK) || entry->seqnum != client->header.seqnum ||
        !entry->sent)
        return "an answer to what was not asked";
    if (submit)
        return take_submit(client, entry);
    take_unlink(client, entry);
    return NULL;
}

static const char *take_rest(struct usbip_client *client)
{
    struct entry *entry = client->receiving;
    const char *wrong = NULL;
    if (client->phase == PHASE_DATA && entry->urb->type == USBIF_PIPE_TYPE_ISOC) {
        client->phase = PHASE_PACKETS;
        stream_payload(&client->stream, entry->packets, entry->urb->nr_packets * (size_t)USBIP_ISO_SIZE);
        return NULL;
    }
    if (client->phase == PHASE_PACKETS)
        wrong = spread(client, entry);
    if (wrong)
        return wrong;
    client->phase = PHASE_HEADER;
    client->receiving = NULL;
    complete_entry(client, entry);
    return NULL;
}

/* ---- the import ---- */

static int refusal(uint32_t status)
{
    return status == USBIP_BUSY ? -EBUSY : -ENODEV;
}

static const char *take_op(struct usbip_client *client, const uint8_t *bytes)
{
    uint16_t code;
    uint32_t status;
    const char *wrong = usbip_get_op(bytes, &code, &status);
    if (wrong)
        return wrong;
    if (code != USBIP_REP_IMPORT)
        return "no reply to an import";
    if (status)
        client_finish(client, refusal(status));
    client->phase = PHASE_DEVICE;
    return NULL;
}

static const char *take_device(struct usbip_client *client, const uint8_t *bytes)
{
    const char *wrong = usbip_get_device(bytes, &client->device);
    if (wrong)
        return wrong;
    if (strcmp(client->device.busid, client->busid) != 0)
        return "another device than was asked for";
    if (client->device.speed > USBIP_SPEED_HIGH) {
        client_finish(client, -EOPNOTSUPP);
        return NULL;
    }
    client->devid = client->device.busnum << 16 | (client->device.devnum & 0xffffu);
    client->phase = PHASE_HEADER;
    client->imported = true;
    root_port_attach(&client->port, (uint8_t)client->device.speed);
    return NULL;
}

void client_receive(struct usbip_client *client)
{
    static const size_t sizes[] = {
        [PHASE_OP] = USBIP_OP_SIZE, [PHASE_DEVICE] = USBIP_DEVICE_SIZE, [PHASE_HEADER] = USBIP_HEADER_SIZE};
    while (!client->status && stream_payload_done(&client->stream)) {
        const char *wrong;
        if (client->phase == PHASE_DATA || client->phase == PHASE_PACKETS) {
            wrong = take_rest(client);
        } else {
            const uint8_t *bytes = stream_take(&client->stream, sizes[client->phase]);
            if (!bytes)
                return;
            wrong = client->phase == PHASE_OP       ? take_op(client, bytes)
                    : client->phase == PHASE_DEVICE ? take_device(client, bytes)
                                                    : take_return(client, bytes);
        }
        if (wrong)
            violation(client, wrong);
    }
}
