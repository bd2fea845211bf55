// SPDX-License-Identifier: MIT
/* Every ioctl but those that move URBs; Linux's drivers/usb/core/devio.c says what each answers. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "usbfs/private.h"

/* Linux's enum usb_device_speed. */
enum { SPEED_LOW = 1, SPEED_FULL = 2, SPEED_HIGH = 3 };

/* ---- interfaces ---- */

/* The interface that an endpoint is in, or whether there is an interface of that number. */
static int search(const struct usb_device *device, int endpoint, int interface)
{
    enum { DT_INTERFACE = 4, DT_ENDPOINT = 5 };
    const uint8_t *config = ep0_configuration(device, device->configuration);
    unsigned int total = config ? config[2] | (unsigned int)config[3] << 8 : 0;
    int current = -1;
    for (unsigned int at = 0; at + 4 <= total && config[at] >= 2; at += config[at]) {
        const uint8_t *d = config + at;
        if (d[1] == DT_INTERFACE) {
            bool active = d[2] < DEVICE_INTERFACES_MAX && d[3] == device->alternate[d[2]];
            current = active ? d[2] : -1;
            if (interface >= 0 && d[2] == interface)
                return interface;
        }
        if (d[1] == DT_ENDPOINT && d[2] == endpoint && current >= 0)
            return current;
    }
    return -ENOENT;
}

int ioctl_interface_of(const struct usb_device *device, uint8_t endpoint)
{
    return search(device, endpoint, -1);
}

int ioctl_claim(struct client *client, unsigned int interface)
{
    struct node *node = client->node;
    if (interface >= DEVICE_INTERFACES_MAX)
        return -EINVAL;
    if (search(node->device, -1, (int)interface) < 0)
        return -ENOENT;
    if (node->owner[interface] && node->owner[interface] != client)
        return -EBUSY;
    node->owner[interface] = client;
    return 0;
}

static int release(struct client *client, unsigned int interface)
{
    struct node *node = client->node;
    if (interface >= DEVICE_INTERFACES_MAX || node->owner[interface] != client)
        return -EINVAL;
    urb_kill_interface(client, (int)interface);
    node->owner[interface] = NULL;
    return 0;
}

/* ---- one function for each ioctl ---- */

static int64_t claim_interface(struct client *client, unsigned long argument)
{
    unsigned int interface;
    int rc = wire_read(client->fd, argument, &interface, sizeof(interface));
    return rc ? rc : ioctl_claim(client, interface);
}

/* There are no drivers to tell apart. */
static int64_t disconnect_claim(struct client *client, unsigned long argument)
{
    struct usbdevfs_disconnect_claim wanted;
    int rc = wire_read(client->fd, argument, &wanted, sizeof(wanted));
    return rc ? rc : ioctl_claim(client, wanted.interface);
}

static int64_t release_interface(struct client *client, unsigned long argument)
{
    unsigned int interface;
    int rc = wire_read(client->fd, argument, &interface, sizeof(interface));
    return rc ? rc : release(client, interface);
}

static int64_t get_capabilities(struct client *client, unsigned long argument)
{
    const uint32_t capabilities = USBDEVFS_CAP_NO_PACKET_SIZE_LIM | USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
    return wire_write(client->fd, argument, &capabilities, sizeof(capabilities));
}

static int64_t get_speed(struct client *client, unsigned long argument)
{
    struct usb_host *host = client->node->bus->host;
    (void)argument;
    switch (host->ops->speed(host, client->node->handle)) {
    case USBIF_SPEED_LOW:
        return SPEED_LOW;
    case USBIF_SPEED_FULL:
        return SPEED_FULL;
    default:
        return SPEED_HIGH;
    }
}

static int64_t connect_info(struct client *client, unsigned long argument)
{
    struct usbdevfs_connectinfo info = {.devnum = client->node->place.number,
                                        .slow = get_speed(client, 0) == SPEED_LOW};
    return wire_write(client->fd, argument, &info, sizeof(info));
}

static int64_t get_driver(struct client *client, unsigned long argument)
{
    struct usbdevfs_getdriver driver;
    int rc = wire_read(client->fd, argument, &driver, sizeof(driver));
    if (rc || driver.interface >= DEVICE_INTERFACES_MAX || !client->node->owner[driver.interface])
        return rc ? rc : -ENODATA;
    memset(driver.driver, 0, sizeof(driver.driver));
    memcpy(driver.driver, "usbfs", 6);
    return wire_write(client->fd, argument, &driver, sizeof(driver));
}

/* To the driver of an interface, and nobody has one. */
static int64_t to_driver(struct client *client, unsigned long argument)
{
    struct usbdevfs_ioctl wanted;
    int rc = wire_read(client->fd, argument, &wanted, sizeof(wanted));
    if (rc)
        return rc;
    if (wanted.ifno < 0 || search(client->node->device, -1, wanted.ifno) < 0)
        return -EINVAL;
    switch ((unsigned int)wanted.ioctl_code) {
    case USBDEVFS_DISCONNECT:
        return -ENODATA;
    case USBDEVFS_CONNECT:
        return 0;
    default:
        return -ENOTTY;
    }
}

static int64_t set_configuration(struct client *client, unsigned long argument)
{
    struct node *node = client->node;
    unsigned int value;
    int rc = wire_read(client->fd, argument, &value, sizeof(value));
    if (rc)
        return rc;
    for (unsigned int i = 0; i < DEVICE_INTERFACES_MAX; i++) {
        if (node->owner[i])
            return -EBUSY;
    }
    if (value == UINT32_MAX)
        value = 0;
    if (value > UINT8_MAX || (value && !ep0_configuration(node->device, (uint8_t)value)))
        return -EINVAL;
    return urb_special(client, URB_SET_CONFIGURATION, (uint8_t)value, 0);
}

static int64_t set_interface(struct client *client, unsigned long argument)
{
    struct usbdevfs_setinterface wanted;
    int rc = wire_read(client->fd, argument, &wanted, sizeof(wanted));
    if (!rc)
        rc = ioctl_claim(client, wanted.interface);
    if (!rc && wanted.altsetting > UINT8_MAX)
        rc = -EINVAL;
    if (rc)
        return rc;
    return urb_special(client, URB_SET_INTERFACE, (uint8_t)wanted.interface, (uint8_t)wanted.altsetting);
}

/* The endpoint that an ioctl names, in an interface that the client has. */
static int read_endpoint(struct client *client, unsigned long argument, uint8_t *out)
{
    unsigned int endpoint;
    int rc = wire_read(client->fd, argument, &endpoint, sizeof(endpoint));
    if (!rc)
        rc = endpoint & ~0x8fu ? -EINVAL : ioctl_interface_of(client->node->device, (uint8_t)endpoint);
    if (rc >= 0)
        rc = ioctl_claim(client, (unsigned int)rc);
    *out = (uint8_t)endpoint;
    return rc;
}

static int64_t clear_halt(struct client *client, unsigned long argument)
{
    uint8_t endpoint;
    int rc = read_endpoint(client, argument, &endpoint);
    return rc ? rc : urb_special(client, URB_CLEAR_HALT, endpoint, 0);
}

/* Data toggles are not modelled. */
static int64_t reset_endpoint(struct client *client, unsigned long argument)
{
    uint8_t endpoint;
    return read_endpoint(client, argument, &endpoint);
}

/* As Linux does it: everybody's transfers end, configuration and alternate settings come back. */
static int64_t reset(struct client *client, unsigned long argument)
{
    struct node *node = client->node;
    struct usb_host *host = node->bus->host;
    uint8_t alternate[DEVICE_INTERFACES_MAX];
    const uint8_t setup[8] = {0x00, 9, node->device->configuration};
    (void)argument;
    memcpy(alternate, node->device->alternate, sizeof(alternate));
    for (struct client *c = node->bus->clients; c; c = c->next) {
        if (c->node == node)
            urb_mark_all(c);
    }
    int rc = host->ops->reset(host, node->handle);
    if (!rc && setup[2])
        rc = urb_own(node, setup);
    for (uint8_t i = 0; !rc && i < DEVICE_INTERFACES_MAX; i++) {
        const uint8_t choose[8] = {0x01, 11, alternate[i], 0, i};
        if (alternate[i])
            rc = urb_own(node, choose);
    }
    return rc;
}

static int64_t control(struct client *client, unsigned long argument)
{
    struct usbdevfs_ctrltransfer c;
    int rc = wire_read(client->fd, argument, &c, sizeof(c));
    if (rc)
        return rc;
    if (c.wLength > 4096)
        return -EINVAL;
    const uint8_t setup[8] = {c.bRequestType,     c.bRequest,
                              (uint8_t)c.wValue,  (uint8_t)(c.wValue >> 8),
                              (uint8_t)c.wIndex,  (uint8_t)(c.wIndex >> 8),
                              (uint8_t)c.wLength, (uint8_t)(c.wLength >> 8)};
    return urb_run(client, setup, c.bRequestType & 0x80u, (unsigned long)c.data, c.wLength, c.timeout);
}

static int64_t bulk(struct client *client, unsigned long argument)
{
    struct usbdevfs_bulktransfer b;
    int rc = wire_read(client->fd, argument, &b, sizeof(b));
    if (rc)
        return rc;
    if (b.len > BUS_URB_BYTES_MAX || b.ep & ~0x8fu)
        return -EINVAL;
    return urb_run(client, NULL, b.ep, (unsigned long)b.data, b.len, b.timeout);
}

static int64_t reap(struct client *client, unsigned long argument)
{
    return urb_reap(client, argument, true);
}

static int64_t reap_now(struct client *client, unsigned long argument)
{
    return urb_reap(client, argument, false);
}

static const struct {
    unsigned long number;
    int64_t (*run)(struct client *client, unsigned long argument);
    bool gone_too; /* works when the device is gone */
} table[] = {
    {USBDEVFS_SUBMITURB, urb_submit, false},
    {USBDEVFS_REAPURBNDELAY, reap_now, true},
    {USBDEVFS_REAPURB, reap, true},
    {USBDEVFS_DISCARDURB, urb_discard, true},
    {USBDEVFS_CONTROL, control, false},
    {USBDEVFS_BULK, bulk, false},
    {USBDEVFS_CLAIMINTERFACE, claim_interface, false},
    {USBDEVFS_RELEASEINTERFACE, release_interface, false},
    {USBDEVFS_DISCONNECT_CLAIM, disconnect_claim, false},
    {USBDEVFS_SETCONFIGURATION, set_configuration, false},
    {USBDEVFS_SETINTERFACE, set_interface, false},
    {USBDEVFS_CLEAR_HALT, clear_halt, false},
    {USBDEVFS_RESETEP, reset_endpoint, false},
    {USBDEVFS_RESET, reset, false},
    {USBDEVFS_GETDRIVER, get_driver, false},
    {USBDEVFS_IOCTL, to_driver, false},
    {USBDEVFS_GET_CAPABILITIES, get_capabilities, false},
    {USBDEVFS_GET_SPEED, get_speed, false},
    {USBDEVFS_CONNECTINFO, connect_info, false},
};

int64_t ioctl_run(struct client *client, const struct wire_request *request)
{
    client->node->bus->stats.ioctls++;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        /* The library passes on 32 bits, without sign. */
        if ((uint32_t)table[i].number != (uint32_t)request->number)
            continue;
        if (!client->node->device && !table[i].gone_too)
            return -ENODEV;
        return table[i].run(client, request->argument);
    }
    return request->number ? -ENOTTY : -EINVAL;
}
