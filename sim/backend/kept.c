// SPDX-License-Identifier: MIT
/*
 * Pages that stay mapped: a frontend that keeps its grants until the connection ends lets us map each page once (an
 * extension, see backend.h). A reference is a number of the guest's: it finds a page, or none; what the guest does to its
 * grant table later changes nothing of what is mapped. A table that is full, or crowded where a reference belongs, costs
 * that frontend its speed: those pages are mapped for each request, as everybody's are.
 */
#include "backend/private.h"

#include <stdlib.h>

#define TABLE_BITS 11u
#define TABLE_SIZE (1u << TABLE_BITS)
#define PROBES_MAX 16u /* a guest that chooses its references to collide wins nothing more */

static_assert(BACK_KEPT_MAX <= TABLE_SIZE / 2, "the table is never more than half full");

struct back_kept {
    unsigned int used;
    struct kept_page {
        grant_ref_t ref;
        uint8_t *page; /* NULL: nothing here */
    } at[TABLE_SIZE];
};

void back_kept_begin(struct back *back)
{
    uint32_t offered = 0;
    if (back->config.buffers == BACK_BUFFERS_BEST &&
        !xenbus_read_number(back->xen, XEN_XBT_NIL, back->frontend_dir, BACK_KEPT_NODE, 0, 1, &offered) && offered)
        back->kept = calloc(1, sizeof(*back->kept)); /* without memory nothing is kept */
}

void back_kept_end(struct back *back)
{
    for (unsigned int i = 0; back->kept && i < TABLE_SIZE; i++) {
        if (back->kept->at[i].page)
            back->xen->ops->grant_unmap(back->xen, back->kept->at[i].page, 1);
    }
    free(back->kept);
    back->kept = NULL;
}

/* The page of a reference, or the free place for it, or NULL. */
static struct kept_page *find(struct back_kept *kept, grant_ref_t ref)
{
    uint32_t hash = (ref * UINT32_C(2654435761)) >> (32u - TABLE_BITS);
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        struct kept_page *at = &kept->at[(hash + i) % TABLE_SIZE];
        if (!at->page || at->ref == ref)
            return at;
    }
    return NULL;
}

static uint8_t *page_of(struct back *back, grant_ref_t ref)
{
    struct kept_page *at = find(back->kept, ref);
    void *page;
    if (!at)
        return NULL;
    if (at->page) {
        back->stats.kept_hits++;
        return at->page;
    }
    if (back->kept->used == BACK_KEPT_MAX ||
        back->xen->ops->grant_map(back->xen, back->config.frontend, 1, &ref, true, &page))
        return NULL; /* whether that is an error is for the request's own map to find */
    back->stats.map_calls++;
    back->stats.mapped_pages++;
    back->kept->used++;
    *at = (struct kept_page){.ref = ref, .page = page};
    return page;
}

bool back_kept_segments(struct back *back, const struct usbif_request_segment *seg, unsigned int count,
                        struct host_seg *out)
{
    if (!back->kept)
        return false;
    for (unsigned int i = 0; i < count; i++) {
        uint8_t *page = page_of(back, seg[i].gref);
        if (!page)
            return false;
        out[i] = (struct host_seg){.base = page + seg[i].offset, .length = seg[i].length};
    }
    return true;
}
