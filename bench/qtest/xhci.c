// SPDX-License-Identifier: MIT
/* The xHCI controller as a whole: its start, its ports, its interrupts. See xhci.h. */
#include "qtest/xhci.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "qtest/xhci_private.h"

#define PAGE 4096u

static struct xhci *xhci_of(struct hcd *hcd)
{
    return (struct xhci *)hcd;
}

static uint32_t read_register(struct xhci *xhci, uint32_t offset)
{
    return hc_read(xhci->hc.bus, xhci->base + offset, 4);
}

static void write_register(struct xhci *xhci, uint32_t offset, uint32_t value)
{
    hc_write(xhci->hc.bus, xhci->base + offset, 4, value);
}

void xhci_die(struct xhci *xhci)
{
    xhci->dead = true;
    for (unsigned int i = 1; i <= SLOTS; i++) {
        for (unsigned int dci = 1; dci < SLOT_ENDPOINTS; dci++) {
            if (xhci->slots[i].endpoints[dci])
                xhci_abort(xhci, xhci->slots[i].endpoints[dci], -ESHUTDOWN);
        }
    }
}

/* ---- ports ---- */

static uint16_t look(void *context, unsigned int port, uint16_t *change)
{
    struct xhci *xhci = context;
    uint32_t at = PORTSC + 16 * (port - 1), value = read_register(xhci, at);
    uint16_t status = 0;
    *change = 0;
    if (value == 0xffffffff)
        return 0;
    if (value & PORT_CHANGES)
        write_register(xhci, at, PORT_POWER | (value & PORT_CHANGES));
    xhci->speed[port] = value >> 10 & 15u;
    *change |= value & PORT_CONNECT_CHANGE ? HUB_C_CONNECTION : 0;
    *change |= value & PORT_ENABLED_CHANGE ? HUB_C_ENABLE : 0;
    if (value & PORT_CONNECT)
        status |= HUB_CONNECTION | (xhci->speed[port] == 2 ? HUB_LOW : xhci->speed[port] == 3 ? HUB_HIGH : 0);
    return status | (value & PORT_ENABLED ? HUB_ENABLE : 0);
}

/* The controller ends the reset itself. */
static void reset(void *context, unsigned int port, bool on)
{
    struct xhci *xhci = context;
    if (on)
        write_register(xhci, PORTSC + 16 * (port - 1), PORT_POWER | PORT_RESET);
}

static void renewed(void *context, unsigned int port)
{
    struct xhci *xhci = context;
    xhci->slots[port].forsaken = true;
}

static const struct root_hub_ops hub_ops = {.look = look, .reset = reset, .renewed = renewed};

/* ---- operations ---- */

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    return xhci_submit(xhci_of(hcd), urb);
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    return xhci_unlink(xhci_of(hcd), urb, reason);
}

static const struct hcd_ops xhci_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = hc_hub_control,
    .hub_status = hc_hub_status,
    .num_ports = hc_num_ports,
    .buffer_alloc = hc_buffer_alloc,
    .buffer_free = hc_buffer_free,
};

/* ---- time ---- */

static void take_interrupt(struct xhci *xhci)
{
    uint32_t status = read_register(xhci, USBSTS);
    if (status == 0xffffffff || status & (STS_SYSTEM | STS_ERROR)) {
        xhci_die(xhci);
        return;
    }
    write_register(xhci, USBSTS, status & (STS_EVENT | STS_PORT));
    hc_write(xhci->hc.bus, xhci->runtime + IMAN, 4, IMAN_PENDING | IMAN_ENABLE);
    xhci->unacknowledged++; /* the interrupter waits for the place in its ring, even for an old one */
}

void xhci_step(struct xhci *xhci, uint64_t now_ns)
{
    xhci->now_ns = now_ns;
    if (!xhci->dead && xhci->hc.bus->ops->interrupt(xhci->hc.bus))
        take_interrupt(xhci);
    if (!xhci->dead && xhci->polled && now_ns >= xhci->look_ns) {
        xhci->look_ns = now_ns + LOOK_NS;
        if (read_register(xhci, USBSTS) & (STS_SYSTEM | STS_ERROR))
            xhci_die(xhci);
    }
    if (!xhci->dead)
        xhci_events(xhci);
    if (!xhci->dead && xhci->ports_changed) {
        xhci->ports_changed = false;
        root_hub_poll(&xhci->hc.hub);
    }
    xhci_give_back(xhci);
}

uint64_t xhci_deadline(const struct xhci *xhci)
{
    if (xhci->done || xhci->ports_changed)
        return 0;
    if (xhci->dead || !xhci->polled)
        return UINT64_MAX;
    return xhci->held ? 0 : xhci->look_ns;
}

struct hcd *xhci_hcd(struct xhci *xhci)
{
    return &xhci->hc.hcd;
}

/* ---- lifetime ---- */

static int lay_out(struct xhci *xhci)
{
    xhci->slots_array = hc_pages_alloc(&xhci->hc.pages, PAGE);
    xhci->input = hc_pages_alloc(&xhci->hc.pages, PAGE);
    xhci->segments = hc_pages_alloc(&xhci->hc.pages, PAGE);
    if (!xhci->slots_array || !xhci->input || !xhci->segments ||
        xhci_ring_open(xhci, &xhci->commands, true) || xhci_ring_open(xhci, &xhci->events, false))
        return -ENOMEM;
    xhci->segments[0] = hc_address(xhci->hc.bus, xhci->events.trb);
    xhci->segments[1] = RING_TRBS;
    xhci->done_end = &xhci->done;
    for (unsigned int i = 0; i < TRANSFERS; i++) {
        xhci->transfers[i].next = xhci->free_transfer;
        xhci->free_transfer = &xhci->transfers[i];
    }
    return 0;
}

static void write_address(struct xhci *xhci, uint32_t offset, uint32_t value)
{
    hc_write(xhci->hc.bus, offset, 4, value);
    hc_write(xhci->hc.bus, offset + 4, 4, 0);
}

static int start(struct xhci *xhci)
{
    struct hc_bus *bus = xhci->hc.bus;
    xhci->base = hc_read(bus, CAPLENGTH, 1);
    uint32_t parameters = hc_read(bus, HCSPARAMS1, 4), scratchpads = hc_read(bus, HCSPARAMS2, 4);
    uint32_t capabilities = hc_read(bus, HCCPARAMS1, 4), ports = parameters >> 24;
    if (parameters == 0xffffffff || ports == 0 || (parameters & 255u) < SLOTS || capabilities & 4u ||
        scratchpads & 0xfbe00000u)
        return -ENODEV;
    xhci->doorbells = hc_read(bus, DBOFF, 4) & ~3u;
    xhci->runtime = hc_read(bus, RTSOFF, 4) & ~31u;
    xhci->hc.hub =
        (struct root_hub){.ops = &hub_ops, .context = xhci, .nr_ports = ports < SLOTS ? ports : SLOTS};
    write_register(xhci, USBCMD, CMD_RESET);
    if (read_register(xhci, USBCMD) & CMD_RESET)
        return -ENODEV;
    write_register(xhci, CONFIG, SLOTS);
    write_address(xhci, xhci->base + DCBAAP, hc_address(bus, xhci->slots_array));
    write_address(xhci, xhci->base + CRCR, xhci_ring_position(xhci, &xhci->commands));
    hc_write(bus, xhci->runtime + ERSTSZ, 4, 1);
    write_address(xhci, xhci->runtime + ERDP, hc_address(bus, xhci->events.trb));
    write_address(xhci, xhci->runtime + ERSTBA, hc_address(bus, xhci->segments));
    hc_write(bus, xhci->runtime + IMOD, 4, 0);
    hc_write(bus, xhci->runtime + IMAN, 4, xhci->polled ? 0 : IMAN_ENABLE);
    write_register(xhci, USBCMD, CMD_RUN | (xhci->polled ? 0 : CMD_INTERRUPTS));
    return read_register(xhci, USBSTS) & STS_HALTED ? -ENODEV : 0;
}

static void free_all(struct xhci *xhci)
{
    xhci_ring_close(xhci, &xhci->commands);
    xhci_ring_close(xhci, &xhci->events);
    if (xhci->slots_array)
        hc_pages_free(&xhci->hc.pages, xhci->slots_array, PAGE);
    if (xhci->input)
        hc_pages_free(&xhci->hc.pages, xhci->input, PAGE);
    if (xhci->segments)
        hc_pages_free(&xhci->hc.pages, xhci->segments, PAGE);
    hc_close(&xhci->hc);
    free(xhci);
}

int xhci_create(struct hc_bus *bus, bool polled, struct xhci **out)
{
    struct xhci *xhci = calloc(1, sizeof(*xhci));
    int rc;

    if (!xhci)
        return -ENOMEM;
    xhci->polled = polled;
    for (unsigned int i = 0; i <= SLOTS; i++)
        xhci->slots[i].port = (uint8_t)i;
    rc = hc_open(&xhci->hc, &xhci_ops, bus);
    if (rc)
        goto out;
    rc = lay_out(xhci);
    if (rc)
        goto out;
    rc = start(xhci);
    if (rc)
        goto out;
    *out = xhci;
    return 0;
out:
    free_all(xhci);
    return rc;
}

void xhci_destroy(struct xhci *xhci)
{
    if (!xhci)
        return;
    assert(xhci->held == 0);
    for (unsigned int i = 1; i <= SLOTS; i++)
        xhci_slot_close(xhci, &xhci->slots[i]);
    write_register(xhci, USBCMD, 0);
    free_all(xhci);
}
