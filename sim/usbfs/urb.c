// SPDX-License-Identifier: MIT
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usbfs/private.h"

#define ISO_PACKETS_MAX 128
#define NS_PER_MS       UINT64_C(1000000)
#define HEADER_BYTES    sizeof(struct usbfs_urb)

static void completed(struct host_urb *host);

static struct usb_host *host_of(const struct client *client)
{
    return client->node->bus->host;
}

static void free_urb(struct urb *urb)
{
    free(urb->buffer);
    free(urb->packets);
    free(urb);
}

static void append(struct urb **list, struct urb *urb)
{
    while (*list)
        list = &(*list)->next;
    *list = urb;
    urb->next = NULL;
}

static bool take_out(struct urb **list, const struct urb *urb)
{
    for (; *list; list = &(*list)->next) {
        if (*list == urb) {
            *list = urb->next;
            return true;
        }
    }
    return false;
}

/* The node's gate stands open as long as anybody has something to reap there. */
static void set_gate(struct node *node)
{
    bool open = false;
    for (const struct client *c = node->bus->clients; c; c = c->next)
        open = open || (c->node == node && c->fd >= 0 && c->done);
    testbed_gate(&node->place, open);
}

/* ---- what comes back ---- */

static int32_t status_of(const struct urb *urb)
{
    const struct host_urb *host = &urb->host;
    if (host->status == -ECONNRESET && urb->discarded)
        return -ENOENT;
    if (host->status == -ENODEV)
        return -ESHUTDOWN;
    if (host->status == 0 && host->short_not_ok && host->in && host->actual < host->length)
        return -EREMOTEIO;
    return host->status;
}

static int write_iso(const struct urb *urb)
{
    struct usbdevfs_iso_packet_desc descs[ISO_PACKETS_MAX];
    for (unsigned int i = 0; i < urb->host.nr_packets; i++) {
        const struct pvusb_iso_desc *p = &urb->packets[i];
        descs[i] = (struct usbdevfs_iso_packet_desc){
            .length = p->length, .actual_length = p->actual_length, .status = (unsigned int)p->status};
    }
    return wire_write(urb->client->fd, urb->address + HEADER_BYTES, descs,
                      urb->host.nr_packets * sizeof(descs[0]));
}

/* Into the program's memory: data, result, and which transfer it is. */
static int write_result(struct urb *urb, unsigned long to)
{
    int fd = urb->client->fd;
    struct usbfs_urb *copy = &urb->copy;
    const size_t from = offsetof(struct usbfs_urb, actual_length);
    bool iso = urb->host.type == USBIF_PIPE_TYPE_ISOC;
    copy->status = status_of(urb);
    copy->actual_length = (int)urb->host.actual;
    copy->start_frame = urb->host.start_frame;
    copy->error_count = (int)urb->host.error_count;
    int rc =
        urb->host.in ? wire_write(fd, urb->data, urb->buffer, iso ? urb->host.length : urb->host.actual) : 0;
    if (!rc)
        rc = wire_write(fd, urb->address + offsetof(struct usbfs_urb, status), &copy->status,
                        sizeof(copy->status));
    if (!rc)
        rc = wire_write(fd, urb->address + from, &copy->actual_length,
                        offsetof(struct usbfs_urb, signr) - from);
    if (!rc && iso)
        rc = write_iso(urb);
    return rc ? rc : wire_write(fd, to, &urb->address, sizeof(urb->address));
}

/* Gives the first one that is done to the program. */
static int64_t hand_over(struct client *client, unsigned long to)
{
    struct urb *urb = client->done;
    client->done = urb->next;
    client->node->bus->stats.reaped++;
    int rc = write_result(urb, to);
    free_urb(urb);
    set_gate(client->node);
    return rc;
}

int64_t urb_reap(struct client *client, unsigned long to, bool wait)
{
    if (client->done)
        return hand_over(client, to);
    client->node->bus->stats.empty++;
    if (!client->node->device)
        return -ENODEV;
    if (!wait)
        return -EAGAIN;
    client->reap_to = to;
    return IOCTL_LATER;
}

void urb_wake(struct client *client)
{
    unsigned long to = client->reap_to;
    if (!to || client->fd < 0)
        return;
    client->reap_to = 0;
    client_answer(client, client->done ? (long)hand_over(client, to) : -ENODEV);
}

/* An ioctl's own transfer is over. */
static void finish_ioctl(struct urb *urb)
{
    struct client *client = urb->client;
    int64_t result = urb->late ? -ETIMEDOUT : status_of(urb);
    client->waited_for = NULL;
    if (!result && urb->special == URB_SET_CONFIGURATION)
        testbed_set_configuration(client->node->bus->testbed, &client->node->place, urb->host.setup[2]);
    if (!result && urb->special == URB_PLAIN) {
        result = urb->host.actual;
        if (urb->host.in && wire_write(client->fd, urb->data, urb->buffer, urb->host.actual))
            result = -EFAULT;
    }
    free_urb(urb);
    client_answer(client, (long)result);
}

static void completed(struct host_urb *host)
{
    struct urb *urb = (struct urb *)host;
    struct client *client = urb->client;
    (void)take_out(&client->held, urb);
    if (client->fd < 0) {
        free_urb(urb);
    } else if (client->waited_for == urb) {
        finish_ioctl(urb);
    } else {
        append(&client->done, urb);
        if (client->reap_to)
            urb_wake(client);
        else
            set_gate(client->node);
    }
}

/* ---- what goes there ---- */

static int64_t start(struct client *client, struct urb *urb)
{
    struct host_urb *host = &urb->host;
    host->complete = completed;
    if (host->length) {
        host->seg[0] = (struct host_seg){urb->buffer, host->length};
        host->nr_segs = 1;
    }
    append(&client->held, urb);
    host_of(client)->ops->submit(host_of(client), client->node->handle, host);
    return 0;
}

/* A buffer, with the program's bytes if they go to the device. */
static int get_buffer(struct client *client, struct urb *urb)
{
    urb->buffer = calloc(1, urb->host.length ? urb->host.length : 1);
    if (!urb->buffer)
        return -ENOMEM;
    return urb->host.in ? 0 : wire_read(client->fd, urb->data, urb->buffer, urb->host.length);
}

/* As Linux: a request of class or standard type to an interface or endpoint is for who has that interface. */
static int check_recipient(struct client *client, const uint8_t setup[8])
{
    enum { TYPE = 0x60, VENDOR = 0x40, RECIPIENT = 0x1f, INTERFACE = 1, ENDPOINT = 2 };
    if ((setup[0] & TYPE) == VENDOR)
        return 0;
    if ((setup[0] & RECIPIENT) == INTERFACE)
        return ioctl_claim(client, setup[4]);
    if ((setup[0] & RECIPIENT) != ENDPOINT || (setup[4] & 0x7f) == 0)
        return 0;
    int interface = ioctl_interface_of(client->node->device, setup[4]);
    return interface < 0 ? interface : ioctl_claim(client, (unsigned int)interface);
}

static int prepare_control(struct client *client, struct urb *urb)
{
    struct host_urb *host = &urb->host;
    int length = urb->copy.buffer_length;
    if (length < 8 || (urb->copy.endpoint & 0x7f) != 0)
        return -EINVAL;
    int rc = wire_read(client->fd, (unsigned long)urb->copy.buffer, host->setup, sizeof(host->setup));
    if (rc)
        return rc;
    host->length = host->setup[6] | (uint32_t)host->setup[7] << 8;
    host->in = host->setup[0] & 0x80 && host->length;
    urb->data = (unsigned long)urb->copy.buffer + 8;
    return host->length > (uint32_t)length - 8 ? -EINVAL : check_recipient(client, host->setup);
}

static int prepare_iso(struct client *client, struct urb *urb)
{
    struct usbdevfs_iso_packet_desc descs[ISO_PACKETS_MAX];
    int n = urb->copy.number_of_packets;
    uint32_t total = 0;
    if (n < 1 || n > ISO_PACKETS_MAX)
        return -EINVAL;
    int rc = wire_read(client->fd, urb->address + HEADER_BYTES, descs, (size_t)n * sizeof(descs[0]));
    urb->packets = calloc((size_t)n, sizeof(urb->packets[0]));
    if (rc || !urb->packets)
        return rc ? rc : -ENOMEM;
    for (int i = 0; i < n; i++) {
        if (descs[i].length > 98304)
            return -EINVAL;
        urb->packets[i] = (struct pvusb_iso_desc){.offset = total, .length = descs[i].length};
        total += descs[i].length;
    }
    if (total > (uint32_t)urb->copy.buffer_length)
        return -EINVAL;
    urb->host.length = total;
    urb->host.packets = urb->packets;
    urb->host.nr_packets = (uint16_t)n;
    return 0;
}

static int prepare_data(struct client *client, struct urb *urb)
{
    struct usb_device *device = client->node->device;
    uint8_t address = urb->copy.endpoint;
    int interface = ioctl_interface_of(device, address);
    int rc = interface < 0 ? interface : ioctl_claim(client, (unsigned int)interface);
    if (rc)
        return rc;
    uint8_t type = device_endpoint(device, address)->type;
    /* Linux lets an interrupt endpoint be used as if it were a bulk one. */
    if (urb->copy.type != type && !(urb->copy.type == USBDEVFS_URB_TYPE_BULK && type == USBIF_PIPE_TYPE_INT))
        return -EINVAL;
    urb->host.type = type;
    urb->host.endpoint = address & 0x0f;
    urb->host.in = address & 0x80;
    urb->host.length = (uint32_t)urb->copy.buffer_length;
    urb->host.short_not_ok = urb->host.in && urb->copy.flags & USBDEVFS_URB_SHORT_NOT_OK;
    urb->data = (unsigned long)urb->copy.buffer;
    return urb->copy.type == USBDEVFS_URB_TYPE_ISO ? prepare_iso(client, urb) : 0;
}

int64_t urb_submit(struct client *client, unsigned long address)
{
    const unsigned int known =
        USBDEVFS_URB_SHORT_NOT_OK | USBDEVFS_URB_ISO_ASAP | USBDEVFS_URB_NO_FSBR | USBDEVFS_URB_NO_INTERRUPT;
    struct urb *urb = calloc(1, sizeof(*urb));
    if (!urb)
        return -ENOMEM;
    *urb = (struct urb){.client = client, .address = address, .deadline_ns = UINT64_MAX};
    int rc = wire_read(client->fd, address, &urb->copy, HEADER_BYTES);
    if (!rc &&
        (urb->copy.type > USBDEVFS_URB_TYPE_BULK || urb->copy.flags & ~known || urb->copy.endpoint & 0x70 ||
         urb->copy.buffer_length < 0 || urb->copy.buffer_length > (int)BUS_URB_BYTES_MAX))
        rc = -EINVAL;
    urb->host.type = urb->copy.type;
    if (!rc)
        rc = urb->copy.type == USBDEVFS_URB_TYPE_CONTROL ? prepare_control(client, urb)
                                                         : prepare_data(client, urb);
    if (!rc)
        rc = get_buffer(client, urb);
    if (rc) {
        free_urb(urb);
        return rc;
    }
    client->node->bus->stats.submitted++;
    return start(client, urb);
}

static struct urb *new_ioctl(struct client *client, unsigned int timeout_ms, enum urb_special special)
{
    struct urb *urb = calloc(1, sizeof(*urb));
    if (!urb)
        return NULL;
    urb->client = client;
    urb->special = special;
    urb->deadline_ns = timeout_ms ? client->node->bus->now_ns + timeout_ms * NS_PER_MS : UINT64_MAX;
    return urb;
}

int64_t urb_run(struct client *client, const uint8_t *setup, unsigned int endpoint, unsigned long data,
                uint32_t length, unsigned int timeout_ms)
{
    struct urb *urb = new_ioctl(client, timeout_ms, URB_PLAIN);
    if (!urb)
        return -ENOMEM;
    urb->data = data;
    urb->copy.type = setup ? USBDEVFS_URB_TYPE_CONTROL : USBDEVFS_URB_TYPE_BULK;
    urb->copy.endpoint = (unsigned char)endpoint;
    urb->copy.buffer_length = (int)length;
    int rc;
    if (setup) {
        urb->host.type = USBIF_PIPE_TYPE_CTRL;
        memcpy(urb->host.setup, setup, 8);
        urb->host.length = length;
        urb->host.in = setup[0] & 0x80 && length;
        rc = check_recipient(client, setup);
    } else {
        urb->copy.buffer = NULL;
        rc = prepare_data(client, urb);
        urb->data = data;
    }
    if (!rc)
        rc = get_buffer(client, urb);
    if (rc) {
        free_urb(urb);
        return rc;
    }
    client->waited_for = urb;
    (void)start(client, urb);
    return IOCTL_LATER;
}

int64_t urb_special(struct client *client, enum urb_special what, uint8_t value, uint8_t alternate)
{
    struct usb_host *host = host_of(client);
    struct host_device *device = client->node->handle;
    struct urb *urb = new_ioctl(client, 5000, what);
    if (!urb)
        return -ENOMEM;
    urb->host.type = USBIF_PIPE_TYPE_CTRL;
    urb->host.complete = completed;
    client->waited_for = urb;
    append(&client->held, urb);
    switch (what) {
    case URB_SET_CONFIGURATION:
        memcpy(urb->host.setup, (const uint8_t[8]){0x00, 9, value}, 8);
        host->ops->set_configuration(host, device, &urb->host, value);
        break;
    case URB_SET_INTERFACE:
        memcpy(urb->host.setup, (const uint8_t[8]){0x01, 11, alternate, 0, value}, 8);
        host->ops->set_interface(host, device, &urb->host, value, alternate);
        break;
    case URB_CLEAR_HALT:
        memcpy(urb->host.setup, (const uint8_t[8]){0x02, 1, 0, 0, value}, 8);
        host->ops->clear_halt(host, device, &urb->host, value);
        break;
    case URB_PLAIN:
        break;
    }
    return IOCTL_LATER;
}

/* ---- ending early ---- */

static void cancel(struct urb *urb)
{
    struct client *client = urb->client;
    host_of(client)->ops->cancel(host_of(client), client->node->handle, &urb->host);
}

int64_t urb_discard(struct client *client, unsigned long address)
{
    for (struct urb *u = client->held; u; u = u->next) {
        if (u->address != address)
            continue;
        client->node->bus->stats.discarded++;
        u->discarded = true;
        cancel(u);
        return 0;
    }
    return -EINVAL;
}

void urb_mark_all(struct client *client)
{
    for (struct urb *u = client->held; u; u = u->next)
        u->discarded = true;
}

void urb_kill_interface(struct client *client, int interface)
{
    struct urb *next;
    for (struct urb *u = client->held; u; u = next) {
        uint8_t endpoint = (uint8_t)(u->host.endpoint | (u->host.in ? 0x80 : 0));
        next = u->next;
        if (u->host.type == USBIF_PIPE_TYPE_CTRL ||
            ioctl_interface_of(client->node->device, endpoint) != interface)
            continue;
        u->discarded = true;
        cancel(u);
    }
}

void urb_drop_all(struct client *client)
{
    struct urb *urb;
    while (client->held) {
        urb = client->held;
        cancel(urb);
        assert(client->held != urb); /* sim_host cancels at once */
    }
    while ((urb = client->done)) {
        client->done = urb->next;
        free_urb(urb);
    }
    client->waited_for = NULL;
    set_gate(client->node);
}

void urb_expire(struct client *client, uint64_t now_ns)
{
    struct urb *urb = client->waited_for;
    if (!urb || urb->deadline_ns > now_ns)
        return;
    urb->late = true;
    cancel(urb);
}

uint64_t urb_deadline(const struct client *client)
{
    return client->waited_for ? client->waited_for->deadline_ns : UINT64_MAX;
}

static void own_completed(struct host_urb *urb)
{
    *(bool *)urb->context = true;
}

int urb_own(struct node *node, const uint8_t setup[8])
{
    struct usb_host *host = node->bus->host;
    bool over = false;
    struct host_urb urb = {.type = USBIF_PIPE_TYPE_CTRL, .complete = own_completed, .context = &over};
    memcpy(urb.setup, setup, 8);
    host->ops->submit(host, node->handle, &urb);
    if (!over)
        host->ops->cancel(host, node->handle, &urb);
    assert(over);
    return urb.status;
}
