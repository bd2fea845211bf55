// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../grant/window.h"
#include "local.h"

#define MAP_LIMIT_DEFAULT 1024u

static struct local_handle *handle_of(struct xen *xen)
{
    return (struct local_handle *)xen;
}

/* ---- the granting side ---- */

static void granter_free(struct granter *granter)
{
    close(granter->fd);
    free(granter->entries);
    free(granter);
}

/* Frees a granter whose handle is gone once nobody maps of it. */
static void granter_settle(struct fakexen_local *local, struct granter *granter)
{
    if (!granter->orphan || granter->pinned)
        return;
    struct granter **at = &local_domain_find(local, granter->domid)->granters;
    while (*at != granter)
        at = &(*at)->next;
    *at = granter->next;
    granter_free(granter);
}

int local_grant_open(struct local_handle *handle)
{
    struct local_domain *domain = handle->domain;
    struct granter *granter = NULL;
    int rc;

    handle->map_limit = MAP_LIMIT_DEFAULT;
    rc = -ENOSPC;
    if (domain->ranges > UINT32_MAX / GRANT_ENTRIES)
        goto out;
    rc = arena_create(&handle->arena);
    if (rc)
        goto out;
    rc = -ENOMEM;
    granter = calloc(1, sizeof(*granter));
    if (!granter)
        goto out;
    granter->base = domain->ranges * GRANT_ENTRIES;
    granter->domid = domain->domid;
    granter->entries = calloc(GRANT_ENTRIES, sizeof(grant_entry_v1_t));
    /* Of its own, as maps may come to need it after the arena is gone. */
    granter->fd = dup(handle->arena->fd);
    if (!granter->entries || granter->fd < 0)
        goto out;
    rc = grant_table_create(granter->entries, granter->base, handle->arena, &handle->table);
    if (rc)
        goto out;
    granter->next = domain->granters;
    domain->granters = granter;
    domain->ranges++;
    handle->granter = granter;
    granter = NULL;
out:
    if (granter) {
        if (granter->fd >= 0)
            close(granter->fd);
        free(granter->entries);
        free(granter);
    }
    return rc;
}

void local_grants_stop(struct local_handle *handle)
{
    handle->granter->closed = true;
}

void local_grant_close(struct local_handle *handle)
{
    local_unmap_all(handle, false);
    grant_table_destroy(handle->table);
    arena_destroy(handle->arena);
    if (handle->granter) {
        handle->granter->closed = true;
        handle->granter->orphan = true;
        granter_settle(handle->local, handle->granter);
    }
}

int local_pages_alloc(struct xen *xen, unsigned int count, void **out)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : arena_alloc(handle->arena, count, out);
}

void local_pages_free(struct xen *xen, void *addr, unsigned int count)
{
    /* In a domain that ended no grant can be ended, so pages go with the handle. */
    if (!handle_of(xen)->dead)
        arena_free(handle_of(xen)->arena, addr, count);
}

int local_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : grant_table_grant(handle->table, to, addr, readonly, out);
}

int local_grant_end(struct xen *xen, grant_ref_t ref)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : grant_table_end(handle->table, ref);
}

int local_grant_revoke(struct xen *xen, grant_ref_t ref)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : grant_table_revoke(handle->table, ref);
}

/* ---- the mapping side ---- */

static struct granter *granter_find(struct fakexen_local *local, domid_t domid, grant_ref_t ref)
{
    struct local_domain *domain = local_domain_find(local, domid);
    struct granter *granter = domain ? domain->granters : NULL;
    while (granter && (ref < granter->base || ref - granter->base >= GRANT_ENTRIES))
        granter = granter->next;
    return granter;
}

/* Lets the first count pages of map go. */
static void unpin(struct local_handle *handle, struct local_map *map, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        granter_unpin(map->pages[i].granter, map->pages[i].ref, map->writable);
        granter_settle(handle->local, map->pages[i].granter);
    }
}

static int map_page(struct local_handle *handle, struct local_map *map, unsigned int i, domid_t from,
                    grant_ref_t ref)
{
    uint32_t frame;
    struct granter *granter = granter_find(handle->local, from, ref);
    if (!granter)
        return -ENOENT;
    int rc = granter_pin(granter, ref, handle->xen.domid, map->writable, &frame);
    if (rc)
        return rc;
    map->pages[i] = (struct local_mapped){.granter = granter, .ref = ref};
    rc = window_map(map->addr, i, granter->fd, frame, 1, map->writable);
    if (rc)
        granter_unpin(granter, ref, map->writable);
    return rc;
}

int local_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                    bool writable, void **out)
{
    struct local_handle *handle = handle_of(xen);
    struct local_map *map = NULL;
    unsigned int done = 0;
    int rc;

    if (handle->dead)
        return -EPIPE;
    if (!count)
        return -EINVAL;
    if (count > handle->map_limit || handle->mapped > handle->map_limit - count)
        return -ENOSPC;
    rc = -ENOMEM;
    map = calloc(1, sizeof(*map) + count * sizeof(map->pages[0]));
    if (!map)
        goto out;
    map->count = count;
    map->writable = writable;
    rc = window_reserve(count, &map->addr);
    if (rc)
        goto out;
    for (; done < count; done++) {
        rc = map_page(handle, map, done, from, refs[done]);
        if (rc)
            goto out;
    }
    map->next = handle->maps;
    handle->maps = map;
    handle->mapped += count;
    *out = map->addr;
    return 0;
out:
    if (map) {
        unpin(handle, map, done);
        if (map->addr)
            window_release(map->addr, count);
    }
    free(map);
    return rc;
}

static void map_end(struct local_handle *handle, struct local_map *map)
{
    if (!map->detached) {
        unpin(handle, map, map->count);
        handle->mapped -= map->count;
    }
    window_release(map->addr, map->count);
    free(map);
}

int local_grant_unmap(struct xen *xen, void *addr, unsigned int count)
{
    struct local_handle *handle = handle_of(xen);
    if (handle->dead)
        return -EPIPE;
    struct local_map **at = &handle->maps;
    while (*at && (*at)->addr != addr)
        at = &(*at)->next;
    struct local_map *map = *at;
    if (!map || map->count != count)
        return -EINVAL;
    *at = map->next;
    map_end(handle, map);
    return 0;
}

/* By the descriptor of the memory: who grants may have closed its handle, and its addresses with it. */
static int copy_one(struct local_handle *handle, domid_t with, bool to_grant, struct xen_copy *seg)
{
    uint32_t frame;
    struct granter *granter = granter_find(handle->local, with, seg->ref);
    int rc = granter ? granter_pin(granter, seg->ref, handle->xen.domid, to_grant, &frame) : -ENOENT;
    seg->status = rc == 0 ? GNTST_okay : rc == -ENOENT ? GNTST_bad_gntref : GNTST_general_error;
    if (rc)
        return 0;
    off_t at = (off_t)frame * (off_t)XEN_PAGE_SIZE_BYTES + seg->offset;
    ssize_t done = to_grant ? pwrite(granter->fd, seg->local, seg->length, at)
                            : pread(granter->fd, seg->local, seg->length, at);
    granter_unpin(granter, seg->ref, to_grant);
    return done == seg->length ? 0 : -ENOMEM;
}

int local_grant_copy(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[])
{
    struct local_handle *handle = handle_of(xen);
    int rc = handle->dead ? -EPIPE : 0;
    for (unsigned int i = 0; !rc && i < count; i++)
        rc = seg[i].offset + (unsigned int)seg[i].length > XEN_PAGE_SIZE_BYTES ? -EINVAL : 0;
    for (unsigned int i = 0; !rc && i < count; i++)
        rc = copy_one(handle, with, to_grant, &seg[i]);
    return rc;
}

int local_grant_map_limit(struct xen *xen, unsigned int count)
{
    struct local_handle *handle = handle_of(xen);
    if (handle->dead)
        return -EPIPE;
    handle->map_limit = count;
    return 0;
}

void local_unmap_all(struct local_handle *handle, bool keep)
{
    struct local_map *next;
    for (struct local_map *map = handle->maps; map; map = next) {
        next = map->next;
        if (!keep) {
            map_end(handle, map);
        } else if (!map->detached) {
            unpin(handle, map, map->count);
            handle->mapped -= map->count;
            window_detach(map->addr, map->count);
            map->detached = true;
        }
    }
    if (!keep)
        handle->maps = NULL;
}
