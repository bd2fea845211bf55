// SPDX-License-Identifier: MIT
#include "raw_back.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URB_SLOTS  16u
#define CONN_SLOTS 512u

/* ---- xenstore ---- */

void raw_back_init(struct raw_back *back, struct xen *xen, domid_t frontend)
{
    memset(back, 0, sizeof(*back));
    back->xen = xen;
    back->frontend = frontend;
    snprintf(back->dir, sizeof(back->dir), "/local/domain/0/backend/qusb/%u/0", frontend);
    snprintf(back->frontend_dir, sizeof(back->frontend_dir), "/local/domain/%u/device/vusb/0", frontend);
}

void raw_back_dispose(struct raw_back *back)
{
    if (!back->xen)
        return;
    raw_back_unmap(back);
    xen_close(back->xen);
    back->xen = NULL;
}

void raw_back_state(struct raw_back *back, enum xenbus_state state)
{
    char path[160];
    char value[8];
    snprintf(path, sizeof(path), "%s/state", back->dir);
    int n = snprintf(value, sizeof(value), "%d", (int)state);
    (void)back->xen->ops->xs_write(back->xen, XEN_XBT_NIL, path, value, (size_t)n);
}

static int read_number(struct raw_back *back, const char *node, uint32_t *out)
{
    char path[160];
    char value[32];
    snprintf(path, sizeof(path), "%s/%s", back->frontend_dir, node);
    ssize_t n = back->xen->ops->xs_read(back->xen, XEN_XBT_NIL, path, value, sizeof(value));
    if (n < 0)
        return (int)n;
    *out = (uint32_t)strtoul(value, NULL, 10);
    return 0;
}

enum xenbus_state raw_back_frontend_state(struct raw_back *back)
{
    uint32_t state;
    return read_number(back, "state", &state) ? XenbusStateUnknown : (enum xenbus_state)state;
}

/* ---- rings ---- */

int raw_back_map(struct raw_back *back)
{
    const struct xen_ops *ops = back->xen->ops;
    int rc = read_number(back, "urb-ring-ref", &back->urb_ref[0]);
    for (unsigned int i = 1; !rc && i < 1u << back->order; i++) {
        char node[24];
        snprintf(node, sizeof(node), "urb-ring-ref%u", i);
        rc = read_number(back, node, &back->urb_ref[i]);
    }
    if (!rc)
        rc = read_number(back, "conn-ring-ref", &back->conn_ref);
    if (!rc)
        rc = read_number(back, "event-channel", &back->remote_port);
    if (!rc)
        rc = ops->grant_map(back->xen, back->frontend, 1u << back->order, back->urb_ref, true, (void **)&back->urb);
    if (!rc)
        rc = ops->grant_map(back->xen, back->frontend, 1, &back->conn_ref, true, (void **)&back->conn);
    if (!rc)
        rc = ops->evtchn_bind(back->xen, back->frontend, back->remote_port, &back->evtchn);
    back->req_cons = 0;
    back->rsp_prod = 0;
    back->conn_cons = 0;
    return rc;
}

void raw_back_unmap(struct raw_back *back)
{
    const struct xen_ops *ops = back->xen->ops;
    if (back->urb)
        ops->grant_unmap(back->xen, back->urb, 1u << back->order);
    if (back->conn)
        ops->grant_unmap(back->xen, back->conn, 1);
    if (back->evtchn)
        ops->evtchn_close(back->xen, back->evtchn);
    back->urb = NULL;
    back->conn = NULL;
    back->evtchn = 0;
}

void raw_back_drain(struct raw_back *back)
{
    evtchn_port_t port;
    while (!back->xen->ops->evtchn_pending(back->xen, &port)) {
        back->events++;
        back->xen->ops->evtchn_unmask(back->xen, port);
    }
}

void raw_back_notify(struct raw_back *back)
{
    if (back->evtchn)
        back->xen->ops->evtchn_notify(back->xen, back->evtchn);
}

bool raw_back_take(struct raw_back *back, struct usbif_urb_request *request)
{
    if (!back->urb)
        return false;
    if (back->urb->req_prod == back->req_cons) {
        back->urb->req_event = back->req_cons + 1;
        return false;
    }
    *request = back->urb->ring[back->req_cons++ % (URB_SLOTS << back->order)].req;
    return true;
}

void raw_back_put(struct raw_back *back, struct usbif_urb_response response)
{
    if (back->urb)
        back->urb->ring[back->rsp_prod++ % (URB_SLOTS << back->order)].rsp = response;
}

void raw_back_publish(struct raw_back *back)
{
    if (back->urb)
        back->urb->rsp_prod = back->rsp_prod;
    raw_back_notify(back);
}

void raw_back_respond(struct raw_back *back, struct usbif_urb_response response)
{
    raw_back_put(back, response);
    raw_back_publish(back);
}

void raw_back_plug_raw(struct raw_back *back, struct usbif_conn_response event)
{
    if (!back->conn)
        return;
    back->conn->ring[back->conn_cons++ % CONN_SLOTS].rsp = event;
    back->conn->rsp_prod = back->conn_cons;
    raw_back_notify(back);
}

void raw_back_plug(struct raw_back *back, uint8_t portnum, uint8_t speed)
{
    uint16_t id = back->conn ? back->conn->ring[back->conn_cons % CONN_SLOTS].req.id : 0;
    raw_back_plug_raw(back, (struct usbif_conn_response){.id = id, .portnum = portnum, .speed = speed});
}

/* ---- segments ---- */

int raw_back_map_segments(struct raw_back *back, const struct usbif_urb_request *request, unsigned int first,
                          unsigned int count, bool writable, uint8_t **out)
{
    grant_ref_t refs[USBIF_MAX_SEGMENTS_PER_REQUEST];
    for (unsigned int i = 0; i < count; i++)
        refs[i] = request->seg[first + i].gref;
    return back->xen->ops->grant_map(back->xen, back->frontend, count, refs, writable, (void **)out);
}

void raw_back_unmap_segments(struct raw_back *back, uint8_t *pages, unsigned int count)
{
    back->xen->ops->grant_unmap(back->xen, pages, count);
}

uint32_t raw_back_copy(struct raw_back *back, const struct usbif_urb_request *request, bool in, void *data,
                       uint32_t length)
{
    uint8_t *pages;
    uint8_t *bytes = data;
    uint32_t done = 0;
    unsigned int count = request->nr_buffer_segs;
    if (count == 0 || raw_back_map_segments(back, request, 0, count, in, &pages))
        return 0;
    for (unsigned int i = 0; i < count && done < length; i++) {
        uint8_t *at = pages + (size_t)i * RAW_PAGE + request->seg[i].offset;
        uint32_t part = request->seg[i].length < length - done ? request->seg[i].length : length - done;
        memcpy(in ? at : bytes + done, in ? bytes + done : at, part);
        done += part;
    }
    raw_back_unmap_segments(back, pages, count);
    return done;
}
