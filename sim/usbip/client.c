// SPDX-License-Identifier: MIT
/* A connection to a server and the URBs on it; see client.h. */
#include "usbip/client_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_PACKETS      0xffffffffu
#define REQ_SET_ADDRESS 5

static struct usbip_client *client_of(struct hcd *hcd)
{
    return (struct usbip_client *)hcd;
}

/* ---- giving back ---- */

/* All go through this list, so that nothing is given back from inside of a submit. */
void client_give_back(struct usbip_client *client, struct hcd_urb *urb, int status, uint32_t actual)
{
    urb->status = urb->hcd_unlinked ? urb->hcd_unlinked : status; /* rule STA-07 */
    urb->actual = actual;
    urb->hcd_next = NULL;
    urb->hcd_private = NULL;
    *client->done_end = urb;
    client->done_end = &urb->hcd_next;
}

static void give_back_all(struct usbip_client *client)
{
    unsigned int n = 0;
    for (const struct hcd_urb *urb = client->done; urb; urb = urb->hcd_next)
        n++;
    /* What completions start and is done at once is for the next step. */
    while (n-- > 0) {
        struct hcd_urb *urb = client->done;
        client->done = urb->hcd_next;
        if (!client->done)
            client->done_end = &client->done;
        client->held--;
        urb->complete(urb);
    }
}

void client_free_entry(struct usbip_client *client, struct entry *entry)
{
    client->under_way -= entry->kind == ENTRY_SUBMIT;
    if (entry->target)
        entry->target->target = NULL;
    entry->target = NULL;
    entry->urb = NULL;
    entry->kind = ENTRY_FREE;
}

/* The device is gone for ever, with all that was asked of it. */
void client_finish(struct usbip_client *client, int status)
{
    if (client->status)
        return;
    client->status = status;
    client->receiving = NULL;
    stream_close(&client->stream);
    root_port_detach(&client->port);
    /* In the order of submission: sequence numbers grow, and the oldest is the next one's successor. */
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        struct entry *entry = &client->entries[(client->seqnum + i) % ENTRIES];
        if (entry->kind == ENTRY_SUBMIT)
            client_give_back(client, entry->urb, -ENODEV, 0);
        client_free_entry(client, entry);
    }
    while (client->waiting) {
        struct hcd_urb *urb = client->waiting;
        client->waiting = urb->hcd_next;
        client_give_back(client, urb, -ENODEV, 0);
    }
}

/* ---- sending ---- */

static void entry_sent(struct stream_message *message)
{
    ((struct entry *)message)->sent = true;
}

/* Sequence numbers only grow; those whose place is taken are left out. */
static struct entry *take_entry(struct usbip_client *client, enum entry_kind kind)
{
    do {
        client->seqnum++;
    } while (client->entries[client->seqnum % ENTRIES].kind != ENTRY_FREE || client->seqnum == 0);
    struct entry *entry = &client->entries[client->seqnum % ENTRIES];
    entry->kind = kind;
    client->under_way += kind == ENTRY_SUBMIT;
    entry->seqnum = client->seqnum;
    entry->sent = false;
    entry->target = NULL;
    return entry;
}

static void send_entry(struct usbip_client *client, struct entry *entry, const struct usbip_header *header)
{
    usbip_put_header(entry->bytes, header);
    entry->message = (struct stream_message){.piece = {{entry->bytes, USBIP_HEADER_SIZE}}, .nr_pieces = 1};
    entry->message.sent = entry_sent;
    if (entry->kind == ENTRY_SUBMIT) {
        struct stream_message *m = &entry->message;
        const struct hcd_urb *urb = entry->urb;
        if (!urb->in && urb->length)
            m->piece[m->nr_pieces++] = (struct iovec){urb->buffer, urb->length};
        if (urb->type == USBIF_PIPE_TYPE_ISOC)
            m->piece[m->nr_pieces++] =
                (struct iovec){entry->packets, urb->nr_packets * (size_t)USBIP_ISO_SIZE};
    }
    stream_queue(&client->stream, &entry->message);
}

static void put_packets(struct entry *entry)
{
    const struct hcd_urb *urb = entry->urb;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        urb->packets[i].actual_length = 0;
        urb->packets[i].status = 0;
        usbip_put_packet(entry->packets + (size_t)i * USBIP_ISO_SIZE, &urb->packets[i]);
    }
}

static int start(struct usbip_client *client, struct hcd_urb *urb)
{
    struct entry *entry = take_entry(client, ENTRY_SUBMIT);
    bool iso = urb->type == USBIF_PIPE_TYPE_ISOC;
    entry->urb = urb;
    if (iso && !entry->packets)
        entry->packets = malloc((size_t)PVUSB_ISO_PACKETS_MAX * USBIP_ISO_SIZE);
    if (iso && !entry->packets) {
        client_free_entry(client, entry);
        return -ENOMEM;
    }
    if (iso)
        put_packets(entry);
    struct usbip_header header = {
        .command = USBIP_CMD_SUBMIT,
        .seqnum = entry->seqnum,
        .devid = client->devid,
        .in = urb->in,
        .endpoint = urb->type == USBIF_PIPE_TYPE_CTRL ? 0 : urb->endpoint,
        .flags = (urb->short_not_ok ? USBIP_SHORT_NOT_OK : 0u) | (iso ? USBIP_ISO_ASAP : 0u) |
                 (urb->in ? USBIP_DIR_IN : 0u),
        .length = urb->length,
        .nr_packets = iso ? urb->nr_packets : NO_PACKETS,
        .interval = urb->interval,
    };
    if (urb->type == USBIF_PIPE_TYPE_CTRL)
        memcpy(header.setup, urb->setup, 8);
    urb->hcd_private = entry;
    client->stats.urbs++;
    send_entry(client, entry, &header);
    return 0;
}

static void start_waiting(struct usbip_client *client)
{
    while (client->waiting && client->under_way < USBIP_CLIENT_URBS) {
        struct hcd_urb *urb = client->waiting;
        client->waiting = urb->hcd_next;
        int rc = start(client, urb);
        if (rc)
            client_give_back(client, urb, rc, 0);
    }
}

/* ---- the controller ---- */

static bool packets_in_order(const struct hcd_urb *urb)
{
    uint32_t end = 0;
    if (urb->nr_packets == 0 || urb->nr_packets > PVUSB_ISO_PACKETS_MAX || !urb->packets)
        return false;
    for (unsigned int i = 0; i < urb->nr_packets; i++) {
        const struct pvusb_iso_desc *packet = &urb->packets[i];
        if (packet->offset < end || packet->offset > urb->length ||
            packet->length > urb->length - packet->offset)
            return false;
        end = packet->offset + packet->length;
    }
    return true;
}

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    struct usbip_client *client = client_of(hcd);
    bool control = urb->type == USBIF_PIPE_TYPE_CTRL;
    if (client->status)
        return -ESHUTDOWN;
    if (urb->port != client->number || urb->device > PVUSB_ADDRESS_MAX || urb->endpoint > 15 ||
        (urb->length && !urb->buffer))
        return -EINVAL;
    if (urb->type == USBIF_PIPE_TYPE_ISOC && !packets_in_order(urb))
        return -EINVAL;
    if (urb->length > USBIP_LENGTH_MAX)
        return -EMSGSIZE;
    urb->hcd_unlinked = 0;
    urb->hcd_next = NULL;
    urb->hcd_private = NULL;
    client->held++;
    if (!client->port.attached || (urb->device && urb->device != client->address)) {
        client_give_back(client, urb, -ENODEV, 0);
    } else if (control && urb->setup[0] == 0x00 && urb->setup[1] == REQ_SET_ADDRESS) {
        bool good = urb->setup[2] <= PVUSB_ADDRESS_MAX && urb->setup[3] == 0;
        client->address = good ? urb->setup[2] : client->address;
        client_give_back(client, urb, good ? 0 : -EPIPE, 0);
    } else {
        struct hcd_urb **link = &client->waiting;
        while (*link)
            link = &(*link)->hcd_next;
        *link = urb;
        start_waiting(client);
    }
    return 0;
}

static bool still_waiting(struct usbip_client *client, struct hcd_urb *urb)
{
    for (struct hcd_urb **link = &client->waiting; *link; link = &(*link)->hcd_next) {
        if (*link != urb)
            continue;
        *link = urb->hcd_next;
        return true;
    }
    return false;
}

static bool is_done(const struct usbip_client *client, const struct hcd_urb *urb)
{
    for (const struct hcd_urb *u = client->done; u; u = u->hcd_next) {
        if (u == urb)
            return true;
    }
    return false;
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    struct usbip_client *client = client_of(hcd);
    struct entry *entry = urb->hcd_private;
    bool waits = still_waiting(client, urb);
    if (!waits && !entry)
        return is_done(client, urb) ? 0 : -EINVAL; /* its own result came first */
    if (urb->hcd_unlinked)
        return -EBUSY;
    urb->hcd_unlinked = reason;
    if (waits || stream_unqueue(&client->stream, &entry->message)) {
        if (entry)
            client_free_entry(client, entry);
        client_give_back(client, urb, reason, 0);
        return 0;
    }
    struct entry *unlink = take_entry(client, ENTRY_UNLINK);
    unlink->target = entry;
    entry->target = unlink;
    client->stats.unlinks++;
    send_entry(client, unlink,
               &(struct usbip_header){.command = USBIP_CMD_UNLINK,
                                      .seqnum = unlink->seqnum,
                                      .devid = client->devid,
                                      .unlink_seqnum = entry->seqnum});
    return 0;
}

static int op_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    struct usbip_client *client = client_of(hcd);
    return root_port_control(&client->port, client->number, setup, data, size, now_ns);
}

static size_t op_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    assert(size >= 1);
    bitmap[0] = client_of(hcd)->port.change ? 2 : 0;
    return bitmap[0] ? 1 : 0;
}

static unsigned int op_num_ports(struct hcd *hcd)
{
    (void)hcd;
    return 1;
}

static int op_buffer_alloc(struct hcd *hcd, size_t size, void **out)
{
    size_t bytes = (size + PVUSB_PAGE_SIZE - 1) / PVUSB_PAGE_SIZE * PVUSB_PAGE_SIZE;
    *out = aligned_alloc(PVUSB_PAGE_SIZE, bytes);
    if (!*out)
        return -ENOMEM;
    memset(*out, 0, bytes);
    client_of(hcd)->buffers++;
    return 0;
}

static void op_buffer_free(struct hcd *hcd, void *buffer, size_t size)
{
    (void)size;
    client_of(hcd)->buffers--;
    free(buffer);
}

static const struct hcd_ops client_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = op_hub_control,
    .hub_status = op_hub_status,
    .num_ports = op_num_ports,
    .buffer_alloc = op_buffer_alloc,
    .buffer_free = op_buffer_free,
};

/* ---- running ---- */

int usbip_client_step(struct usbip_client *client, uint64_t now_ns)
{
    (void)now_ns;
    for (int rc = 1; !client->status && rc == 1;) {
        rc = stream_fill(&client->stream);
        if (rc < 0)
            client_finish(client, rc);
        else
            client_receive(client);
        if (!client->stream.more)
            break;
    }
    start_waiting(client);
    give_back_all(client);
    int rc = client->status ? 0 : stream_flush(&client->stream);
    if (rc)
        client_finish(client, rc);
    return 0;
}

uint64_t usbip_client_deadline(const struct usbip_client *client)
{
    return client->done || stream_fresh(&client->stream) ? 0 : UINT64_MAX;
}

int usbip_client_fd(const struct usbip_client *client)
{
    return client->stream.fd;
}

short usbip_client_events(const struct usbip_client *client)
{
    return stream_blocked(&client->stream) ? POLLIN | POLLOUT : POLLIN;
}

struct hcd *usbip_client_hcd(struct usbip_client *client)
{
    return &client->hcd;
}

const struct usbip_device *usbip_client_device(const struct usbip_client *client)
{
    return client->imported ? &client->device : NULL;
}

int usbip_client_status(const struct usbip_client *client)
{
    return client->status;
}

unsigned int usbip_client_held(const struct usbip_client *client)
{
    return client->held;
}

struct usbip_client_stats usbip_client_stats(const struct usbip_client *client)
{
    struct usbip_client_stats stats = client->stats;
    stats.bytes_in = client->stream.bytes_in;
    stats.bytes_out = client->stream.bytes_out;
    stats.calls = client->stream.calls;
    return stats;
}

int usbip_client_create(int fd, const char *busid, void (*log)(void *context, const char *line),
                        void *log_context, struct usbip_client **out)
{
    struct usbip_client *client = calloc(1, sizeof(*client));
    size_t n = strnlen(busid, USBIP_BUSID_SIZE);
    int rc = !client ? -ENOMEM : n == 0 || n == USBIP_BUSID_SIZE ? -EINVAL : 0;
    if (rc)
        close(fd);
    else
        rc = stream_open(&client->stream, fd);
    if (rc) {
        free(client);
        return rc;
    }
    client->hcd.ops = &client_ops;
    client->number = 1;
    client->log = log;
    client->log_context = log_context;
    client->done_end = &client->done;
    memcpy(client->busid, busid, n);
    usbip_put_op(client->request_bytes, USBIP_REQ_IMPORT, 0);
    memcpy(client->request_bytes + USBIP_OP_SIZE, client->busid, USBIP_BUSID_SIZE);
    client->request.piece[0] = (struct iovec){client->request_bytes, sizeof(client->request_bytes)};
    client->request.nr_pieces = 1;
    stream_queue(&client->stream, &client->request);
    *out = client;
    return 0;
}

void usbip_client_close(struct usbip_client *client)
{
    client_finish(client, -ESHUTDOWN);
}

void usbip_client_destroy(struct usbip_client *client)
{
    if (!client)
        return;
    assert(client->held == 0 && client->buffers == 0);
    stream_close(&client->stream);
    for (unsigned int i = 0; i < ENTRIES; i++)
        free(client->entries[i].packets);
    free(client);
}
