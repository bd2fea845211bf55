// SPDX-License-Identifier: MIT
/* The EHCI controller as a whole: its start, its ports, its interrupts. See ehci.h. */
#include "qtest/ehci.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "qtest/ehci_private.h"

#define FRAME_LIST_BYTES 4096u
#define TD_BYTES         (TDS * 32u)
#define QH_BYTES         ((SKELETONS + ENDPOINTS) * 64u)
#define SETUP_BYTES      (TRANSFERS * 8u)
#define ITD_BYTES        (ITDS * 64u)
#define STRUCTURES       (FRAME_LIST_BYTES + TD_BYTES + QH_BYTES + 64u + ITD_BYTES + SETUP_BYTES)

static struct ehci *ehci_of(struct hcd *hcd)
{
    return (struct ehci *)hcd;
}

static uint32_t read_register(struct ehci *ehci, uint32_t offset)
{
    return hc_read(ehci->hc.bus, ehci->base + offset, 4);
}

static void write_register(struct ehci *ehci, uint32_t offset, uint32_t value)
{
    hc_write(ehci->hc.bus, ehci->base + offset, 4, value);
}

void ehci_ring(struct ehci *ehci)
{
    if (ehci->ringing) { /* polled, for new transfers: once more when the last one has been answered */
        if (!(read_register(ehci, USBSTS) & STS_ADVANCE))
            return;
        write_register(ehci, USBSTS, STS_ADVANCE);
    }
    for (unsigned int i = 0; i < ENDPOINTS; i++)
        ehci->endpoints[i].rung |= ehci->endpoints[i].state == EP_LEAVING;
    ehci->ringing = true;
    write_register(ehci, USBCMD, ehci->command | CMD_DOORBELL);
}

/* ---- ports ---- */

static uint16_t look(void *context, unsigned int port, uint16_t *change)
{
    struct ehci *ehci = context;
    uint32_t at = PORTSC + 4 * (port - 1), value = read_register(ehci, at);
    uint32_t news = value & (PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE | PORT_OVER_CURRENT_CHANGE);
    if (value == 0xffffffff)
        value = news = 0;
    if (news)
        write_register(ehci, at, value);
    *change = news & PORT_CONNECT_CHANGE ? HUB_C_CONNECTION : 0;
    *change |= news & PORT_ENABLED_CHANGE ? HUB_C_ENABLE : 0;
    uint16_t status = value & PORT_CONNECT ? HUB_CONNECTION : 0;
    return status | (value & PORT_ENABLED ? HUB_ENABLE | HUB_HIGH : 0);
}

static void reset(void *context, unsigned int port, bool on)
{
    struct ehci *ehci = context;
    uint32_t at = PORTSC + 4 * (port - 1), value = read_register(ehci, at);
    value &= ~(uint32_t)(PORT_CONNECT_CHANGE | PORT_ENABLED_CHANGE | PORT_OVER_CURRENT_CHANGE | PORT_RESET);
    write_register(ehci, at, on ? (value & ~(uint32_t)PORT_ENABLED) | PORT_RESET : value);
}

static void renewed(void *context, unsigned int port)
{
    ehci_queue_forsake(context, port);
}

static const struct root_hub_ops hub_ops = {.look = look, .reset = reset, .renewed = renewed};

/* ---- operations ---- */

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    return ehci_queue_submit(ehci_of(hcd), urb);
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    return ehci_queue_unlink(ehci_of(hcd), urb, reason);
}

static const struct hcd_ops ehci_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = hc_hub_control,
    .hub_status = hc_hub_status,
    .num_ports = hc_num_ports,
    .buffer_alloc = hc_buffer_alloc,
    .buffer_free = hc_buffer_free,
};

/* ---- time ---- */

static void take_status(struct ehci *ehci)
{
    uint32_t status = read_register(ehci, USBSTS);
    if (status == 0xffffffff || status & STS_SYSTEM) {
        ehci->dead = true;
        ehci_queue_abort(ehci, -ESHUTDOWN);
        return;
    }
    uint32_t news = status & (STS_INT | STS_ERROR | STS_PORT | STS_ADVANCE);
    if (news)
        write_register(ehci, USBSTS, news);
    if (news & STS_PORT)
        root_hub_poll(&ehci->hc.hub);
    if (news & STS_ADVANCE) {
        ehci->ringing = false;
        ehci_queue_advanced(ehci);
    }
}

void ehci_step(struct ehci *ehci, uint64_t now_ns)
{
    ehci->now_ns = now_ns;
    if (ehci->dead)
        return;
    bool interrupt = ehci->hc.bus->ops->interrupt(ehci->hc.bus);
    /* An answer to the doorbell that nobody takes keeps QEMU's controller from going on. */
    bool look_now = ehci->polled && (ehci->ringing || now_ns >= ehci->look_ns);
    if (look_now)
        ehci->look_ns = now_ns + LOOK_NS;
    if (interrupt || look_now)
        take_status(ehci);
    ehci_queue_scan(ehci);
}

uint64_t ehci_deadline(const struct ehci *ehci)
{
    if (ehci->dead)
        return UINT64_MAX;
    if (!ehci->polled)
        return ehci_queue_deadline(ehci);
    return ehci->held || ehci->ringing ? 0 : ehci->look_ns;
}

struct hcd *ehci_hcd(struct ehci *ehci)
{
    return &ehci->hc.hcd;
}

/* ---- lifetime ---- */

static void lay_out(struct ehci *ehci)
{
    uint8_t *at = ehci->structures;
    ehci->frames = (uint32_t *)(void *)at;
    ehci->td = (struct ehci_td *)(void *)(at + FRAME_LIST_BYTES);
    ehci->qh = (struct ehci_qh *)(void *)(at + FRAME_LIST_BYTES + TD_BYTES);
    at += FRAME_LIST_BYTES + TD_BYTES + QH_BYTES + 64u;
    ehci->itd = (struct ehci_itd *)(void *)at;
    ehci->setup = (uint8_t(*)[8])(void *)(at + ITD_BYTES);
    ehci->free_td = ehci->last_free_td = NONE;
    for (unsigned int i = 0; i < TDS; i++)
        ehci_td_release(ehci, (uint16_t)i);
    ehci->stop = ehci_td_take(ehci);
    for (unsigned int i = 0; i < TRANSFERS; i++) {
        ehci->transfers[i].next = ehci->free_transfer;
        ehci->free_transfer = &ehci->transfers[i];
    }
    for (unsigned int i = 0; i < SKELETONS; i++) {
        struct ehci_qh *qh = &ehci->qh[i];
        uint16_t next = i == SKEL_HEAD ? SKEL_HEAD : i + 1 == SKEL_HEAD ? NONE : (uint16_t)(i + 1);
        ehci->qh_next[i] = next;
        *qh = (struct ehci_qh){.overlay = {.next = LINK_END, .alternate = LINK_END, .token = TOKEN_HALTED}};
        qh->link = next == NONE ? LINK_END : hc_address(ehci->hc.bus, &ehci->qh[next]) | LINK_QH;
        qh->info1 = 2u << 12 | (i == SKEL_HEAD ? 1u << 15 : 0); /* high speed, head */
        qh->info2 = 1u << 30 | (i == SKEL_HEAD ? 0 : 1);
    }
    ehci_iso_open(ehci);
}

static int start(struct ehci *ehci)
{
    struct hc_bus *bus = ehci->hc.bus;
    ehci->base = hc_read(bus, CAPLENGTH, 1);
    uint32_t parameters = hc_read(bus, HCSPARAMS, 4);
    ehci->hc.hub = (struct root_hub){.ops = &hub_ops, .context = ehci, .nr_ports = parameters & 15u};
    if (ehci->base < 0x0c || ehci->base == 0xff || ehci->hc.hub.nr_ports == 0)
        return -ENODEV;
    write_register(ehci, USBCMD, CMD_RESET);
    if (read_register(ehci, USBCMD) & CMD_RESET)
        return -ENODEV;
    write_register(ehci, PERIODICLISTBASE, hc_address(bus, ehci->frames));
    write_register(ehci, ASYNCLISTADDR, hc_address(bus, &ehci->qh[SKEL_HEAD]));
    write_register(ehci, USBINTR,
                   ehci->polled ? 0 : STS_INT | STS_ERROR | STS_PORT | STS_SYSTEM | STS_ADVANCE);
    /* Without a threshold, which QEMU keeps for the answer to the doorbell too, polling need not wait for it.
     */
    ehci->command = CMD_RUN | CMD_PERIODIC | CMD_ASYNC | (ehci->polled ? 0 : CMD_ONE_MICROFRAME);
    write_register(ehci, USBCMD, ehci->command);
    write_register(ehci, CONFIGFLAG, 1);
    for (unsigned int i = 0; i < ehci->hc.hub.nr_ports; i++)
        write_register(ehci, PORTSC + 4 * i, PORT_POWER);
    return read_register(ehci, USBSTS) & STS_HALTED ? -ENODEV : 0;
}

static void free_all(struct ehci *ehci)
{
    if (ehci->structures)
        hc_pages_free(&ehci->hc.pages, ehci->structures, STRUCTURES);
    hc_close(&ehci->hc);
    free(ehci);
}

int ehci_create(struct hc_bus *bus, bool polled, struct ehci **out)
{
    struct ehci *ehci = calloc(1, sizeof(*ehci));
    int rc;

    if (!ehci)
        return -ENOMEM;
    ehci->polled = polled;
    rc = hc_open(&ehci->hc, &ehci_ops, bus);
    if (rc)
        goto out;
    rc = -ENOMEM;
    ehci->structures = hc_pages_alloc(&ehci->hc.pages, STRUCTURES);
    if (!ehci->structures)
        goto out;
    lay_out(ehci);
    rc = start(ehci);
    if (rc)
        goto out;
    *out = ehci;
    return 0;
out:
    free_all(ehci);
    return rc;
}

void ehci_destroy(struct ehci *ehci)
{
    if (!ehci)
        return;
    assert(ehci->held == 0);
    write_register(ehci, USBCMD, 0);
    free_all(ehci);
}
