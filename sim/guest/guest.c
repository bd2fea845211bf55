// SPDX-License-Identifier: MIT
/* Transfers and the root hub; see guest.h. */
#include <errno.h>
#include <stdlib.h>

#include "guest/guest_private.h"

/* USB 2.0 tables 11-16, 11-17, 11-19 to 11-22 */
enum { HUB_GET_STATUS = 0, HUB_CLEAR_FEATURE = 1, HUB_SET_FEATURE = 3, HUB_GET_DESCRIPTOR = 6 };
enum { FEATURE_POWER = 8, FEATURE_C_CONNECTION = 16 };
enum { STATUS_CONNECTION = 0x0001, CHANGE_CONNECTION = 0x0001, CHANGE_RESET = 0x0010 };

void guest_setup(uint8_t setup[8], uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                 uint16_t length)
{
    uint8_t bytes[8] = {type,           request,
                        value & 0xffu,  (uint8_t)(value >> 8),
                        index & 0xffu,  (uint8_t)(index >> 8),
                        length & 0xffu, (uint8_t)(length >> 8)};
    memcpy(setup, bytes, 8);
}

int guest_port_status(struct guest *guest, unsigned int port, struct port_status *out)
{
    uint8_t setup[8], raw[4];
    guest_setup(setup, 0xa3, HUB_GET_STATUS, 0, (uint16_t)port, 4);
    if (guest->hcd->ops->hub_control(guest->hcd, setup, raw, sizeof(raw), guest->now_ns) != 4)
        return -EPROTO;
    out->status = (uint16_t)(raw[0] | raw[1] << 8);
    out->change = (uint16_t)(raw[2] | raw[3] << 8);
    return 0;
}

void guest_port_feature(struct guest *guest, unsigned int port, bool set, uint16_t feature)
{
    uint8_t setup[8];
    guest_setup(setup, 0x23, set ? HUB_SET_FEATURE : HUB_CLEAR_FEATURE, feature, (uint16_t)port, 0);
    (void)guest->hcd->ops->hub_control(guest->hcd, setup, NULL, 0, guest->now_ns);
}

/* ---- transfers ---- */

static void unchain(struct guest_xfer *xfer)
{
    *xfer->link = xfer->next;
    if (xfer->next)
        xfer->next->link = xfer->link;
}

/*
 * A device whose last transfer has come back may be let go, but not while a driver is at work on the stack: an unlink
 * in done() completes others inside, and gone() frees the driver.
 */
static void drain(struct guest *guest)
{
    guest->drain_wanted = false;
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        const struct guest_device *device = &guest->ports[i].device;
        if ((device->gone || device->frozen) && !device->in_flight)
            port_drained(&guest->ports[i]);
    }
}

static void on_complete(struct hcd_urb *urb)
{
    struct guest_xfer *xfer = urb->context;
    struct guest_device *device = xfer->device;
    struct guest *guest = device->guest;
    unchain(xfer);
    xfer->busy = false;
    xfer->status = urb->status;
    xfer->actual = urb->actual;
    /* An unlinked URB returns with the reason of the unlink, or with its own result if that came first. */
    if (xfer->reason && (urb->status == -ECONNRESET || urb->status == -ENOENT))
        xfer->status = xfer->reason;
    if (urb->actual > urb->length) {
        xfer->status = -EPROTO;
        xfer->actual = 0;
    }
    guest->completing++;
    xfer->done(xfer);
    guest->completing--;
    if ((device->gone || device->frozen) && !device->in_flight)
        guest->drain_wanted = true;
    if (guest->drain_wanted && guest->completing == 0)
        drain(guest);
}

static int submit(struct guest_xfer *xfer, struct guest_device *device)
{
    struct guest *guest = device->guest;
    uint64_t timeout = xfer->timeout_ns ? xfer->timeout_ns : GUEST_TIMEOUT_NS;
    if (device->gone)
        return -ENODEV;
    if (device->frozen && xfer != &guest->ports[device->port - 1].xfer)
        return -EHOSTUNREACH;
    xfer->device = device;
    xfer->reason = 0;
    xfer->deadline = timeout == GUEST_NO_TIMEOUT ? UINT64_MAX : guest->now_ns + timeout;
    xfer->urb.port = device->port;
    xfer->urb.device = device->address;
    xfer->urb.complete = on_complete;
    xfer->urb.context = xfer;
    int rc = guest->hcd->ops->submit(guest->hcd, &xfer->urb);
    if (rc)
        return rc;
    xfer->busy = true;
    xfer->link = &device->in_flight;
    xfer->next = device->in_flight;
    if (xfer->next)
        xfer->next->link = &xfer->next;
    device->in_flight = xfer;
    return 0;
}

int guest_control(struct guest_xfer *xfer, struct guest_device *device, const uint8_t setup[8], void *buffer)
{
    if (xfer->busy)
        return -EBUSY;
    uint32_t length = setup[6] | (uint32_t)setup[7] << 8;
    xfer->urb =
        (struct hcd_urb){.type = USBIF_PIPE_TYPE_CTRL, .length = length, .buffer = length ? buffer : NULL};
    xfer->urb.in = length && setup[0] & 0x80u;
    xfer->urb.packet = device->packet0;
    memcpy(xfer->urb.setup, setup, 8);
    return submit(xfer, device);
}

const struct guest_endpoint *guest_find_endpoint(const struct guest_device *device, uint8_t address)
{
    const struct guest_configuration *config = &device->configuration;
    for (unsigned int i = 0; i < config->nr_interfaces; i++) {
        for (unsigned int e = 0; e < config->interfaces[i].nr_endpoints; e++) {
            if (config->interfaces[i].endpoints[e].address == address)
                return &config->interfaces[i].endpoints[e];
        }
    }
    return NULL;
}

int guest_transfer(struct guest_xfer *xfer, struct guest_device *device, uint8_t address, void *buffer,
                   uint32_t length, bool short_not_ok)
{
    const struct guest_endpoint *ep = guest_find_endpoint(device, address);
    if (xfer->busy)
        return -EBUSY;
    if (!ep || (ep->type != USBIF_PIPE_TYPE_BULK && ep->type != USBIF_PIPE_TYPE_INT))
        return -ENOENT;
    xfer->urb = (struct hcd_urb){
        .endpoint = address & 0x0fu,
        .type = ep->type,
        .in = (address & 0x80u) != 0,
        .short_not_ok = short_not_ok,
        .interval = ep->interval,
        .packet = ep->packet,
        .length = length,
        .buffer = length ? buffer : NULL,
    };
    return submit(xfer, device);
}

int guest_isochronous(struct guest_xfer *xfer, struct guest_device *device, uint8_t address, void *buffer,
                      uint32_t length, struct pvusb_iso_desc *packets, uint16_t nr_packets)
{
    const struct guest_endpoint *ep = guest_find_endpoint(device, address);
    if (xfer->busy)
        return -EBUSY;
    if (!ep || ep->type != USBIF_PIPE_TYPE_ISOC)
        return -ENOENT;
    uint8_t exponent = ep->interval == 0 ? 1 : ep->interval > 16 ? 16 : ep->interval;
    xfer->urb = (struct hcd_urb){
        .endpoint = address & 0x0fu,
        .type = USBIF_PIPE_TYPE_ISOC,
        .in = (address & 0x80u) != 0,
        .interval = (uint16_t)(1u << (exponent - 1)), /* in frames, as Linux has it (rule ISO-05) */
        .packet = ep->packet,
        .transactions = ep->transactions,
        .length = length,
        .buffer = length ? buffer : NULL,
        .packets = packets,
        .nr_packets = nr_packets,
    };
    return submit(xfer, device);
}

static void unlink_for(struct guest_xfer *xfer, int reason)
{
    struct hcd *hcd = xfer->device->guest->hcd;
    xfer->reason = reason;
    /* -EINVAL and -EBUSY mean that it is on its way back already. */
    (void)hcd->ops->unlink(hcd, &xfer->urb, -ECONNRESET);
}

void guest_unlink(struct guest_xfer *xfer)
{
    if (xfer->busy && !xfer->reason)
        unlink_for(xfer, -ECONNRESET);
}

/* Unlinks the first transfer in reach; completions may change the list, so each round starts over. */
static bool unlink_one(struct guest_device *device, uint64_t until, int reason)
{
    for (struct guest_xfer *xfer = device->in_flight; xfer; xfer = xfer->next) {
        if (xfer->reason || xfer->deadline > until)
            continue;
        unlink_for(xfer, reason);
        return true;
    }
    return false;
}

void guest_unlink_all(struct guest_device *device, int reason)
{
    while (unlink_one(device, UINT64_MAX, reason))
        continue;
}

void guest_reset(struct guest_device *device)
{
    /* To the port it is as if the device had been away for a moment. */
    if (!device->gone)
        port_connection(&device->guest->ports[device->port - 1], true);
}

int guest_buffer_alloc(struct guest *guest, size_t size, void **out)
{
    return guest->hcd->ops->buffer_alloc(guest->hcd, size, out);
}

void guest_buffer_free(struct guest *guest, void *buffer, size_t size)
{
    guest->hcd->ops->buffer_free(guest->hcd, buffer, size);
}

/* ---- stepping ---- */

/*
 * Ports are never powered by themselves (rule HUB-07); devices may be asked after bPwrOn2PwrGood (section
 * 11.23.2.1).
 */
static void power_on(struct guest *guest)
{
    uint8_t setup[8], descriptor[16];
    guest_setup(setup, 0xa0, HUB_GET_DESCRIPTOR, 0x2900, 0, sizeof(descriptor));
    int n = guest->hcd->ops->hub_control(guest->hcd, setup, descriptor, sizeof(descriptor), guest->now_ns);
    uint64_t wait_ms = n >= 7 ? descriptor[5] * UINT64_C(2) : 100;
    for (unsigned int p = 1; p <= guest->nr_ports; p++)
        guest_port_feature(guest, p, true, FEATURE_POWER);
    guest->powered = true;
    guest->power_good = guest->now_ns + wait_ms * MS;
}

static void port_changed(struct guest_port *port)
{
    struct port_status s;
    if (guest_port_status(port->guest, port->number, &s))
        return;
    for (uint16_t bit = 0; bit < 5; bit++) {
        /* The end of a reset is for port_run() to see. */
        if (1u << bit == CHANGE_RESET && port->state == PORT_RESET)
            continue;
        if (s.change & 1u << bit)
            guest_port_feature(port->guest, port->number, false, (uint16_t)(FEATURE_C_CONNECTION + bit));
    }
    if (s.change & CHANGE_CONNECTION)
        port_connection(port, s.status & STATUS_CONNECTION);
}

static void look_at_hub(struct guest *guest)
{
    uint8_t bitmap[PVUSB_PORTS_MAX / 8 + 1] = {0};
    size_t n = guest->hcd->ops->hub_status(guest->hcd, bitmap, sizeof(bitmap));
    for (unsigned int p = 1; p <= guest->nr_ports && n; p++) {
        if (p / 8 < n && bitmap[p / 8] & 1u << p % 8)
            port_changed(&guest->ports[p - 1]);
    }
}

void guest_step(struct guest *guest, uint64_t now_ns)
{
    guest->now_ns = now_ns;
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        while (unlink_one(&guest->ports[i].device, now_ns, -ETIMEDOUT))
            continue;
    }
    if (guest->closing)
        return;
    if (!guest->powered)
        power_on(guest);
    if (now_ns < guest->power_good)
        return;
    look_at_hub(guest);
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        if (guest->ports[i].due <= now_ns)
            port_run(&guest->ports[i]);
    }
}

uint64_t guest_deadline(const struct guest *guest)
{
    uint64_t first = guest->closing ? UINT64_MAX : guest->powered ? guest->power_good : 0;
    if (first <= guest->now_ns && guest->powered)
        first = UINT64_MAX;
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        const struct guest_port *port = &guest->ports[i];
        if (!guest->closing && port->due < first)
            first = port->due;
        for (const struct guest_xfer *xfer = port->device.in_flight; xfer; xfer = xfer->next) {
            if (!xfer->reason && xfer->deadline < first)
                first = xfer->deadline;
        }
    }
    return first;
}

int guest_create(struct hcd *hcd, const struct guest_listener *listener, struct guest **out)
{
    unsigned int nr_ports = hcd->ops->num_ports(hcd);
    struct guest *guest = NULL;
    int rc;

    if (nr_ports == 0 || nr_ports > PVUSB_PORTS_MAX)
        return -EINVAL;
    guest = calloc(1, sizeof(*guest) + nr_ports * sizeof(guest->ports[0]));
    if (!guest)
        return -ENOMEM;
    guest->hcd = hcd;
    guest->listener = *listener;
    for (unsigned int i = 0; i < nr_ports; i++) {
        struct guest_port *port = &guest->ports[i];
        void *buffer;
        rc = guest_buffer_alloc(guest, GUEST_CONFIGURATION_MAX, &buffer);
        if (rc)
            goto out;
        port->buffer = buffer;
        port->guest = guest;
        port->number = (uint8_t)(i + 1);
        port->due = UINT64_MAX;
        guest->nr_ports = i + 1;
    }
    *out = guest;
    return 0;
out:
    guest_destroy(guest);
    return rc;
}

void guest_close(struct guest *guest)
{
    guest->closing = true;
    for (unsigned int i = 0; i < guest->nr_ports; i++)
        port_connection(&guest->ports[i], false);
}

bool guest_busy(const struct guest *guest)
{
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        if (guest->ports[i].device.in_flight)
            return true;
    }
    return false;
}

void guest_destroy(struct guest *guest)
{
    if (!guest)
        return;
    assert(!guest_busy(guest));
    for (unsigned int i = 0; i < guest->nr_ports; i++) {
        assert(!guest->ports[i].announced);
        guest_buffer_free(guest, guest->ports[i].buffer, GUEST_CONFIGURATION_MAX);
    }
    free(guest);
}
