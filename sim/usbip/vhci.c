// SPDX-License-Identifier: MIT
#include "usbip/vhci.h"

#include <errno.h>
#include <stdlib.h>

#include "usbip/client_private.h"

struct usbip_vhci {
    struct hcd hcd;
    struct usbip_client *clients[PVUSB_PORTS_MAX + 1];
    unsigned int nr;
};

static struct usbip_vhci *vhci_of(struct hcd *hcd)
{
    return (struct usbip_vhci *)hcd;
}

static struct hcd *port_of(struct hcd *hcd, unsigned int port)
{
    struct usbip_vhci *vhci = vhci_of(hcd);
    return port >= 1 && port <= vhci->nr ? usbip_client_hcd(vhci->clients[port]) : NULL;
}

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    struct hcd *client = port_of(hcd, urb->port);
    return client ? client->ops->submit(client, urb) : -EINVAL;
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    struct hcd *client = port_of(hcd, urb->port);
    return client ? client->ops->unlink(client, urb, reason) : -EINVAL;
}

static int op_hub_control(struct hcd *hcd, const uint8_t setup[8], void *data, size_t size, uint64_t now_ns)
{
    struct usbip_vhci *vhci = vhci_of(hcd);
    if (setup[0] == 0xa0 && setup[1] == 6) {
        size_t bitmap = 1 + (size_t)vhci->nr / 8, bytes = 7 + 2 * bitmap, n = size < bytes ? size : bytes;
        uint8_t hub[15] = {(uint8_t)bytes, 0x29, (uint8_t)vhci->nr, 0x0a, 0, 10, 0};
        memset(hub + 7 + bitmap, 0xff, bitmap);
        memcpy(data, hub, n);
        return (int)n;
    }
    struct hcd *client = setup[5] == 0 ? port_of(hcd, setup[4]) : NULL;
    return client ? client->ops->hub_control(client, setup, data, size, now_ns) : -EPIPE;
}

static size_t op_hub_status(struct hcd *hcd, uint8_t *bitmap, size_t size)
{
    struct usbip_vhci *vhci = vhci_of(hcd);
    size_t n = 1 + vhci->nr / 8;
    bool any = false;
    assert(size >= n);
    memset(bitmap, 0, n);
    for (unsigned int p = 1; p <= vhci->nr; p++) {
        if (!vhci->clients[p]->port.change)
            continue;
        any = true;
        bitmap[p / 8] = (uint8_t)(bitmap[p / 8] | 1u << p % 8);
    }
    return any ? n : 0;
}

static unsigned int op_num_ports(struct hcd *hcd)
{
    return vhci_of(hcd)->nr;
}

/* Memory is of no connection; the first one's will do for all. */
static int op_buffer_alloc(struct hcd *hcd, size_t size, void **out)
{
    struct hcd *client = port_of(hcd, 1);
    return client->ops->buffer_alloc(client, size, out);
}

static void op_buffer_free(struct hcd *hcd, void *buffer, size_t size)
{
    struct hcd *client = port_of(hcd, 1);
    client->ops->buffer_free(client, buffer, size);
}

static const struct hcd_ops vhci_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = op_hub_control,
    .hub_status = op_hub_status,
    .num_ports = op_num_ports,
    .buffer_alloc = op_buffer_alloc,
    .buffer_free = op_buffer_free,
};

int usbip_vhci_create(struct usbip_client *const *clients, unsigned int n, struct usbip_vhci **out)
{
    assert(n >= 1 && n <= PVUSB_PORTS_MAX);
    struct usbip_vhci *vhci = calloc(1, sizeof(*vhci));
    if (!vhci)
        return -ENOMEM;
    vhci->hcd.ops = &vhci_ops;
    vhci->nr = n;
    for (unsigned int p = 1; p <= n; p++) {
        vhci->clients[p] = clients[p - 1];
        clients[p - 1]->number = (uint8_t)p;
    }
    *out = vhci;
    return 0;
}

void usbip_vhci_destroy(struct usbip_vhci *vhci)
{
    free(vhci);
}

struct hcd *usbip_vhci_hcd(struct usbip_vhci *vhci)
{
    return &vhci->hcd;
}
