// SPDX-License-Identifier: MIT
#include "hosts/usb_host.h"

enum direction { INTO_SEGMENTS, OUT_OF_SEGMENTS };

/* The one walk over segments. It trusts only their lengths, which the owner of the URB has checked. */
static uint32_t walk(const struct host_urb *urb, uint32_t offset, uint8_t *bytes, uint32_t n,
                     enum direction direction)
{
    uint32_t done = 0;
    for (unsigned int i = 0; i < urb->nr_segs && done < n; i++) {
        const struct host_seg *seg = &urb->seg[i];
        if (offset >= seg->length) {
            offset -= seg->length;
            continue;
        }
        uint32_t part = seg->length - offset;
        if (part > n - done)
            part = n - done;
        if (direction == INTO_SEGMENTS)
            memcpy(seg->base + offset, bytes + done, part);
        else
            memcpy(bytes + done, seg->base + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}

uint32_t host_urb_write(struct host_urb *urb, uint32_t offset, const void *src, uint32_t n)
{
    /* The cast drops a const that INTO_SEGMENTS keeps. */
    return walk(urb, offset, (uint8_t *)(uintptr_t)src, n, INTO_SEGMENTS);
}

uint32_t host_urb_read(const struct host_urb *urb, uint32_t offset, void *dst, uint32_t n)
{
    return walk(urb, offset, dst, n, OUT_OF_SEGMENTS);
}

void host_urb_complete(struct host_urb *urb, int32_t status, uint32_t actual)
{
    assert(actual <= urb->length);
    urb->status = status;
    urb->actual = actual;
    urb->complete(urb);
}
