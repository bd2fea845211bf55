// SPDX-License-Identifier: MIT
#include "inproc_frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

#define BUFFER (64u * XEN_PAGE_SIZE_BYTES)

struct guest_slot {
    struct hcd_urb urb;
    unsigned int times;
};

struct inproc_frontend {
    struct front *front;
    struct hcd *hcd;
    uint64_t now_ns;
    uint8_t *buffer; /* BUFFER bytes, NULL until the first use */
    struct guest_slot slot[GUEST_URBS_MAX];
    unsigned int nr_slots;
};

int inproc_frontend_start(struct xen_machine *machine, domid_t domid, struct inproc_frontend **out)
{
    struct xen *xen;
    struct inproc_frontend *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    int rc = machine->ops->open(machine, domid, &xen);
    if (!rc)
        rc = front_create(xen, 0, NULL, NULL, &f->front);
    if (rc) {
        free(f);
        return rc;
    }
    f->hcd = front_hcd(f->front);
    *out = f;
    return 0;
}

void inproc_frontend_stop(struct inproc_frontend *f)
{
    if (!f)
        return;
    front_destroy(f->front);
    for (unsigned int i = 0; i < f->nr_slots; i++)
        free(f->slot[i].urb.packets);
    free(f);
}

void inproc_frontend_kill(struct inproc_frontend *f)
{
    fakexen_local_kill(front_xen(f->front));
    inproc_frontend_stop(f);
}

int inproc_frontend_step(struct inproc_frontend *f, uint64_t now_ns)
{
    f->now_ns = now_ns;
    return front_step(f->front, now_ns);
}

bool inproc_frontend_pending(const struct inproc_frontend *f)
{
    return fakexen_local_handle_pending(front_xen(f->front));
}

uint64_t inproc_frontend_deadline(const struct inproc_frontend *f)
{
    return front_deadline(f->front);
}

/* ---- the guest ---- */

static int need_buffer(struct inproc_frontend *f)
{
    return f->buffer ? 0 : f->hcd->ops->buffer_alloc(f->hcd, BUFFER, (void **)&f->buffer);
}

static void done(struct hcd_urb *urb)
{
    struct guest_slot *slot = urb->context;
    slot->times++;
}

static int make_packets(struct hcd_urb *urb, const struct guest_urb *wanted)
{
    urb->packets = calloc(wanted->nr_packets, sizeof(*urb->packets));
    if (!urb->packets)
        return -ENOMEM;
    for (uint32_t i = 0; i < wanted->nr_packets; i++) {
        urb->packets[i].offset = i * wanted->packet_length;
        urb->packets[i].length = (uint16_t)wanted->packet_length;
    }
    return 0;
}

int inproc_guest_submit(struct inproc_frontend *f, const struct guest_urb *wanted)
{
    if (f->nr_slots == GUEST_URBS_MAX)
        return -ENOSPC;
    if (wanted->offset > BUFFER || wanted->length > BUFFER - wanted->offset)
        return -EINVAL;
    int rc = need_buffer(f);
    if (rc)
        return rc;
    struct guest_slot *slot = &f->slot[f->nr_slots];
    memset(slot, 0, sizeof(*slot));
    slot->urb = (struct hcd_urb){.port = wanted->port,
                                 .device = wanted->device,
                                 .endpoint = wanted->endpoint,
                                 .type = wanted->type,
                                 .in = wanted->in,
                                 .short_not_ok = wanted->short_not_ok,
                                 .interval = wanted->interval,
                                 .nr_packets = wanted->nr_packets,
                                 .length = wanted->length,
                                 .buffer = wanted->length > 0 ? f->buffer + wanted->offset : NULL,
                                 .complete = done,
                                 .context = slot};
    memcpy(slot->urb.setup, wanted->setup, sizeof(wanted->setup));
    rc = wanted->nr_packets > 0 ? make_packets(&slot->urb, wanted) : 0;
    if (!rc)
        rc = f->hcd->ops->submit(f->hcd, &slot->urb);
    if (rc) {
        free(slot->urb.packets);
        slot->urb.packets = NULL;
        return rc;
    }
    return (int)f->nr_slots++;
}

int inproc_guest_unlink(struct inproc_frontend *f, int urb, int reason)
{
    if (urb < 0 || (unsigned int)urb >= f->nr_slots)
        return -EINVAL;
    return f->hcd->ops->unlink(f->hcd, &f->slot[urb].urb, reason);
}

struct guest_result inproc_guest_result(struct inproc_frontend *f, int urb)
{
    if (urb < 0 || (unsigned int)urb >= f->nr_slots)
        return (struct guest_result){.status = -EINVAL};
    const struct guest_slot *slot = &f->slot[urb];
    return (struct guest_result){.status = slot->urb.status,
                                 .actual = slot->urb.actual,
                                 .error_count = slot->urb.error_count,
                                 .times = slot->times};
}

static int reach(struct inproc_frontend *f, uint32_t offset, uint32_t size)
{
    return offset > BUFFER || size > BUFFER - offset ? -EINVAL : need_buffer(f);
}

int inproc_guest_write(struct inproc_frontend *f, uint32_t offset, const void *data, uint32_t size)
{
    int rc = reach(f, offset, size);
    if (!rc)
        memcpy(f->buffer + offset, data, size);
    return rc;
}

int inproc_guest_read(struct inproc_frontend *f, uint32_t offset, void *data, uint32_t size)
{
    int rc = reach(f, offset, size);
    if (!rc)
        memcpy(data, f->buffer + offset, size);
    return rc;
}

int inproc_guest_hub(struct inproc_frontend *f, const uint8_t setup[8], void *data, uint16_t size)
{
    return f->hcd->ops->hub_control(f->hcd, setup, data, size, f->now_ns);
}

void inproc_guest_close(struct inproc_frontend *f)
{
    front_close(f->front);
}

int inproc_guest_reconnect(struct inproc_frontend *f)
{
    return front_reconnect(f->front);
}

struct guest_packet inproc_guest_packet(const struct inproc_frontend *f, int urb, unsigned int packet)
{
    if (urb < 0 || (unsigned int)urb >= f->nr_slots || packet >= f->slot[urb].urb.nr_packets)
        return (struct guest_packet){.status = -EINVAL};
    const struct pvusb_iso_desc *result = &f->slot[urb].urb.packets[packet];
    return (struct guest_packet){.status = result->status, .actual = result->actual_length};
}

uint32_t inproc_guest_hub_changes(struct inproc_frontend *f)
{
    uint8_t bitmap[4] = {0};
    if (f->hcd->ops->hub_status(f->hcd, bitmap, sizeof(bitmap)) == 0)
        return 0;
    return (uint32_t)bitmap[0] | (uint32_t)bitmap[1] << 8 | (uint32_t)bitmap[2] << 16 | (uint32_t)bitmap[3] << 24;
}
