// SPDX-License-Identifier: MIT
/* The controller as a whole: its memory, its start, its interrupts. See driver.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "uhci/driver_private.h"

#define FRAME_LIST_BYTES 4096u
#define QH_BYTES         ((SKELETONS + ENDPOINTS) * 16u)
#define TD_BYTES         (TDS * 16u)
#define SETUP_BYTES      (TRANSFERS * 8u)
#define STRUCTURES       (FRAME_LIST_BYTES + TD_BYTES + QH_BYTES + SETUP_BYTES)

static struct uhci_driver *driver_of(struct hcd *hcd)
{
    return (struct uhci_driver *)hcd;
}

uint16_t uhci_driver_frame(struct uhci_driver *driver)
{
    return (uint16_t)(hc_read(driver->hc.bus, FRNUM, 2) & FRNUM_MASK);
}

/* ---- operations ---- */

static int op_submit(struct hcd *hcd, struct hcd_urb *urb)
{
    return uhci_queue_submit(driver_of(hcd), urb);
}

static int op_unlink(struct hcd *hcd, struct hcd_urb *urb, int reason)
{
    return uhci_queue_unlink(driver_of(hcd), urb, reason);
}

static const struct hcd_ops driver_ops = {
    .submit = op_submit,
    .unlink = op_unlink,
    .hub_control = hc_hub_control,
    .hub_status = hc_hub_status,
    .num_ports = hc_num_ports,
    .buffer_alloc = hc_buffer_alloc,
    .buffer_free = hc_buffer_free,
};

/* ---- time ---- */

static void die(struct uhci_driver *driver)
{
    driver->dead = true;
    uhci_queue_abort(driver, -ESHUTDOWN);
}

void uhci_driver_step(struct uhci_driver *driver, uint64_t now_ns)
{
    driver->now_ns = now_ns;
    if (driver->dead)
        return;
    if (driver->hc.bus->ops->interrupt(driver->hc.bus)) {
        uint32_t status = hc_read(driver->hc.bus, USBSTS, 2);
        if (status == 0xffff || status & (STS_SYSTEM | STS_PROCESS)) {
            die(driver);
            return;
        }
        hc_write(driver->hc.bus, USBSTS, 2, status & (STS_INT | STS_ERROR | STS_RESUME));
    }
    if (now_ns >= driver->poll_ns)
        uhci_hub_poll(driver);
    uhci_queue_scan(driver);
}

uint64_t uhci_driver_deadline(const struct uhci_driver *driver)
{
    uint64_t due = driver->poll_ns;
    if (driver->dead)
        return UINT64_MAX;
    if (uhci_queue_unlinking(driver) && driver->now_ns + MS < due)
        due = driver->now_ns + MS;
    for (unsigned int i = 0; i < ENDPOINTS && driver->iso; i++) {
        const struct endpoint *ep = &driver->endpoints[i];
        bool streams = ep->used && ep->type == USBIF_PIPE_TYPE_ISOC && ep->head && ep->head->loaded;
        if (streams && ep->head->over_ns < due)
            due = ep->head->over_ns;
    }
    return due;
}

unsigned int uhci_driver_held(const struct uhci_driver *driver)
{
    return driver->held;
}

struct hcd *uhci_driver_hcd(struct uhci_driver *driver)
{
    return &driver->hc.hcd;
}

/* ---- lifetime ---- */

static void lay_out(struct uhci_driver *driver)
{
    uint8_t *at = driver->structures;
    driver->frames = (uint32_t *)(void *)at;
    driver->td = (struct uhci_td *)(void *)(at + FRAME_LIST_BYTES);
    driver->qh = (struct uhci_qh *)(void *)(at + FRAME_LIST_BYTES + TD_BYTES);
    driver->setup = (uint8_t(*)[8])(void *)(at + FRAME_LIST_BYTES + TD_BYTES + QH_BYTES);
    driver->free_td = driver->last_free_td = NONE;
    for (unsigned int i = 0; i < TDS; i++)
        uhci_td_release(driver, (uint16_t)i);
    for (unsigned int i = 0; i < TRANSFERS; i++) {
        driver->transfers[i].next = driver->free_transfer;
        driver->free_transfer = &driver->transfers[i];
    }
    for (unsigned int i = 0; i < SKELETONS + ENDPOINTS; i++) {
        bool last = i >= SKEL_END;
        uint32_t next = last ? LINK_END : hc_address(driver->hc.bus, driver_qh(driver, i + 1)) | LINK_QH;
        driver->qh_next[i] = last ? NONE : (uint16_t)(i + 1);
        *driver_qh(driver, i) = (struct uhci_qh){.link = next, .element = LINK_END};
    }
    for (unsigned int i = 0; i < ENDPOINTS; i++)
        driver->endpoints[i].tail = NONE;
    for (unsigned int frame = 0; frame < FRAMES; frame++) {
        unsigned int k = 0;
        while (k < SKEL_1 - SKEL_128 && !(frame & 1u << k))
            k++;
        driver->frames[frame] = hc_address(driver->hc.bus, driver_qh(driver, SKEL_1 - k)) | LINK_QH;
        driver->frame_td[frame] = NONE;
    }
}

static int start(struct uhci_driver *driver)
{
    struct hc_bus *bus = driver->hc.bus;
    hc_write(bus, USBCMD, 2, CMD_HCRESET);
    if (hc_read(bus, USBCMD, 2) & CMD_HCRESET || !(hc_read(bus, PORTSC1, 2) & PORT_ALWAYS_ONE))
        return -ENODEV;
    hc_write(bus, USBINTR, 2, INTR_TIMEOUT_CRC | INTR_RESUME | INTR_IOC | INTR_SHORT);
    hc_write(bus, FRBASEADD, 4, hc_address(bus, driver->frames));
    hc_write(bus, FRNUM, 2, 0);
    hc_write(bus, USBCMD, 2, CMD_RUN | CMD_CONFIGURED | CMD_MAX64);
    return hc_read(bus, USBCMD, 2) & CMD_RUN ? 0 : -ENODEV;
}

static void free_all(struct uhci_driver *driver)
{
    if (driver->structures)
        hc_pages_free(&driver->hc.pages, driver->structures, STRUCTURES);
    hc_close(&driver->hc);
    free(driver);
}

int uhci_driver_create(struct hc_bus *bus, struct uhci_driver **out)
{
    struct uhci_driver *driver;
    int rc;

    static_assert(STRUCTURES < UHCI_MEMORY_MIN, "there is room for buffers");
    if (bus->size < UHCI_MEMORY_MIN)
        return -ENOMEM;
    driver = calloc(1, sizeof(*driver));
    if (!driver)
        return -ENOMEM;
    uhci_hub_open(driver);
    rc = hc_open(&driver->hc, &driver_ops, bus);
    if (rc)
        goto out;
    rc = -ENOMEM;
    driver->structures = hc_pages_alloc(&driver->hc.pages, STRUCTURES);
    if (!driver->structures)
        goto out;
    lay_out(driver);
    rc = start(driver);
    if (rc)
        goto out;
    *out = driver;
    return 0;
out:
    free_all(driver);
    return rc;
}

void uhci_driver_destroy(struct uhci_driver *driver)
{
    if (!driver)
        return;
    assert(driver->held == 0);
    hc_write(driver->hc.bus, USBCMD, 2, 0);
    hc_write(driver->hc.bus, USBINTR, 2, 0);
    free_all(driver);
}
