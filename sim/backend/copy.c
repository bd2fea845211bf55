// SPDX-License-Identifier: MIT
/*
 * Data of a frontend that does not keep its grants, copied through memory of our own instead of mapped: for what is small
 * the second copy costs less than mapping and unmapping a page. Isochronous data is mapped: between its packets are bytes
 * of the guest's that are not ours to write.
 */
#include "backend/private.h"

#include <stdlib.h>

void back_bounce_begin(struct back *back)
{
    bool all = back->config.buffers == BACK_BUFFERS_COPY;
    if (back->kept || back->config.buffers == BACK_BUFFERS_MAP || !back->xen->ops->grant_copy)
        return;
    back->bounce_size = all ? PVUSB_URB_LENGTH_MAX : BACK_COPY_MAX;
    back->bounce = calloc(back->nr_requests, back->bounce_size); /* without memory all is mapped */
}

void back_bounce_end(struct back *back)
{
    free(back->bounce);
    back->bounce = NULL;
}

bool back_bounce_fits(const struct back_request *request)
{
    const struct pvusb_urb *urb = &request->urb;
    return request->back->bounce && urb->nr_segs > 0 && urb->pipe.type != USBIF_PIPE_TYPE_ISOC &&
           urb->length <= request->back->bounce_size;
}

/* The first `bytes` of the transfer; 0 only looks whether the pages may be used. False when one may not. */
static bool copy(struct back_request *request, bool to_grant, uint32_t bytes)
{
    struct back *back = request->back;
    struct xen_copy piece[PVUSB_SEGMENTS_MAX];
    unsigned int n = 0;
    uint32_t left = bytes;
    for (; n < request->urb.nr_segs && (left > 0 || bytes == 0); n++) {
        const struct usbif_request_segment *seg = &request->seg[n];
        uint16_t part = seg->length < left ? seg->length : (uint16_t)left;
        piece[n] = (struct xen_copy){
            .ref = seg->gref, .offset = seg->offset, .length = part, .local = request->host.seg[n].base};
        left -= part;
    }
    if (back->xen->ops->grant_copy(back->xen, back->config.frontend, to_grant, n, piece))
        return false;
    back->stats.copy_calls++;
    back->stats.copied_bytes += bytes;
    for (unsigned int i = 0; i < n; i++) {
        if (piece[i].status != GNTST_okay)
            return false;
    }
    return true;
}

bool back_bounce_in(struct back_request *request, const struct usbif_urb_request *slot)
{
    struct back *back = request->back;
    uint8_t *at = back->bounce + (size_t)(request - back->request) * back->bounce_size;
    for (unsigned int i = 0; i < request->urb.nr_segs; i++) {
        request->seg[i] = slot->seg[i];
        request->host.seg[i] = (struct host_seg){.base = at, .length = slot->seg[i].length};
        at += slot->seg[i].length;
    }
    request->copied = copy(request, request->urb.pipe.in, request->urb.pipe.in ? 0 : request->urb.length);
    return request->copied;
}

bool back_bounce_out(struct back_request *request)
{
    bool copied = request->copied;
    request->copied = false;
    return !copied || !request->urb.pipe.in || request->host.actual == 0 ||
           copy(request, true, request->host.actual);
}
