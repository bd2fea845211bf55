// SPDX-License-Identifier: MIT
/* Our frontend as the half under test, with the guest that drives it: one process, virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "guest/told.h"
#include "inproc_moments.h"
#include "inproc_private.h"

struct inproc_frontend {
    struct front *front;
    struct hcd *hcd;
    struct told *told;
    uint64_t now_ns;
    unsigned int nr_urbs;
};

int inproc_frontend_start(struct xen_machine *machine, domid_t domid, struct inproc_frontend **out)
{
    struct xen *xen;
    struct inproc_frontend *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    int rc = machine->ops->open(machine, domid, &xen);
    if (!rc)
        inproc_moments_xen(xen);
    if (!rc)
        rc = front_create(xen, 0, NULL, NULL, &f->front);
    if (rc) {
        free(f);
        return rc;
    }
    f->hcd = front_hcd(f->front);
    rc = told_create(f->hcd, NULL, NULL, &f->told);
    if (rc)
        inproc_frontend_stop(f);
    else
        *out = f;
    return rc;
}

void inproc_frontend_stop(struct inproc_frontend *f)
{
    if (!f)
        return;
    front_destroy(f->front);
    told_destroy(f->told);
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

static struct inproc_frontend *of(struct peer *peer)
{
    return ((struct inproc *)(void *)peer)->frontend;
}

static int submit(struct peer *peer, const struct guest_urb *wanted)
{
    struct inproc_frontend *f = of(peer);
    struct hcd_urb urb = {.port = wanted->port,
                          .device = wanted->device,
                          .endpoint = wanted->endpoint,
                          .type = wanted->type,
                          .in = wanted->in,
                          .short_not_ok = wanted->short_not_ok,
                          .interval = wanted->interval,
                          .nr_packets = wanted->nr_packets,
                          .length = wanted->length};
    memcpy(urb.setup, wanted->setup, sizeof(urb.setup));
    if (f->nr_urbs == GUEST_URBS_MAX)
        return -ENOSPC;
    int rc = told_submit(f->told, f->nr_urbs, &urb, wanted->offset, (uint16_t)wanted->packet_length);
    return rc ? rc : (int)f->nr_urbs++;
}

static int unlink_urb(struct peer *peer, int urb, int reason)
{
    return urb < 0 ? -EINVAL : told_unlink(of(peer)->told, (unsigned int)urb, reason);
}

static const struct hcd_urb *find(struct peer *peer, int urb, unsigned int *times)
{
    return urb < 0 ? NULL : told_urb(of(peer)->told, (unsigned int)urb, times);
}

static struct guest_result result(struct peer *peer, int urb)
{
    unsigned int times = 0;
    const struct hcd_urb *found = find(peer, urb, &times);
    if (!found)
        return (struct guest_result){.status = -EINVAL};
    return (struct guest_result){
        .status = found->status, .actual = found->actual, .error_count = found->error_count, .times = times};
}

static struct guest_packet packet(struct peer *peer, int urb, unsigned int number)
{
    unsigned int times;
    const struct hcd_urb *found = find(peer, urb, &times);
    if (!found || number >= found->nr_packets)
        return (struct guest_packet){.status = -EINVAL};
    const struct pvusb_iso_desc *desc = &found->packets[number];
    return (struct guest_packet){.status = desc->status, .actual = desc->actual_length};
}

static int write_buffer(struct peer *peer, uint32_t offset, const void *data, uint32_t size)
{
    return told_write(of(peer)->told, offset, data, size);
}

static int read_buffer(struct peer *peer, uint32_t offset, void *data, uint32_t size)
{
    return told_read(of(peer)->told, offset, data, size);
}

static int hub(struct peer *peer, const uint8_t setup[8], void *data, uint16_t size)
{
    struct inproc_frontend *f = of(peer);
    return f->hcd->ops->hub_control(f->hcd, setup, data, size, f->now_ns);
}

static uint32_t hub_changes(struct peer *peer)
{
    struct hcd *hcd = of(peer)->hcd;
    uint8_t bitmap[4] = {0};
    if (hcd->ops->hub_status(hcd, bitmap, sizeof(bitmap)) == 0)
        return 0;
    return (uint32_t)bitmap[0] | (uint32_t)bitmap[1] << 8 | (uint32_t)bitmap[2] << 16 | (uint32_t)bitmap[3] << 24;
}

static int close_guest(struct peer *peer)
{
    front_close(of(peer)->front);
    inproc_frontend_step(of(peer), of(peer)->now_ns);
    return 0;
}

static int reconnect(struct peer *peer)
{
    int rc = front_reconnect(of(peer)->front);
    inproc_frontend_step(of(peer), of(peer)->now_ns);
    return rc;
}

const struct peer_guest_ops inproc_guest_ops = {
    submit, unlink_urb, result, write_buffer, read_buffer, hub, close_guest, reconnect, packet, hub_changes,
};
