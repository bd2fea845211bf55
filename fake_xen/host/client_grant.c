// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../grant/window.h"
#include "client.h"

/* ---- the granting side: no word to the host ---- */

int client_pages_alloc(struct xen *xen, unsigned int count, void **out)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    if (!rc)
        rc = arena_alloc(client->arena, count, out);
    if (!rc)
        __atomic_store_n(&client->table->pages, client->arena->used, __ATOMIC_RELAXED);
    return rc;
}

void client_pages_free(struct xen *xen, void *addr, unsigned int count)
{
    struct client *client = (struct client *)xen;
    /* Without a machine no grant can be ended, so pages go with the handle. */
    if (client_check(client))
        return;
    arena_free(client->arena, addr, count);
    __atomic_store_n(&client->table->pages, client->arena->used, __ATOMIC_RELAXED);
}

int client_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    return rc ? rc : grant_table_grant(client->grants, to, addr, readonly, out);
}

int client_grant_end(struct xen *xen, grant_ref_t ref)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    return rc ? rc : grant_table_end(client->grants, ref);
}

int client_grant_revoke(struct xen *xen, grant_ref_t ref)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    return rc ? rc : grant_table_revoke(client->grants, ref);
}

/* ---- memory of others ---- */

static struct client_granter *granter_find(struct client *client, uint32_t id, bool writable)
{
    struct client_granter *granter = client->granters;
    while (granter && (granter->id != id || granter->writable != writable))
        granter = granter->next;
    return granter;
}

/* Takes the descriptors that came with an answer. */
static int granters_add(struct client *client, const struct control_reply *reply, bool writable,
                        const int *fds, unsigned int fd_count)
{
    int rc = reply->new_count == fd_count ? 0 : -EMFILE;
    for (unsigned int i = 0; i < fd_count; i++) {
        struct client_granter *granter = rc ? NULL : calloc(1, sizeof(*granter));
        if (!granter) {
            close(fds[i]);
            rc = rc ? rc : -ENOMEM;
            continue;
        }
        granter->id = reply->new_granters[i];
        granter->writable = writable;
        granter->fd = fds[i];
        granter->next = client->granters;
        client->granters = granter;
    }
    return rc;
}

void client_granters_gone(struct client *client, const struct control_reply *reply)
{
    for (unsigned int i = 0; i < reply->gone_count && i < CONTROL_GONE_MAX; i++) {
        struct client_granter **at = &client->granters;
        while (*at) {
            struct client_granter *granter = *at;
            if (granter->id != reply->gone[i]) {
                at = &granter->next;
                continue;
            }
            *at = granter->next;
            close(granter->fd);
            free(granter);
        }
    }
}

void client_granters_close(struct client *client)
{
    struct client_granter *next;
    for (struct client_granter *granter = client->granters; granter; granter = next) {
        next = granter->next;
        close(granter->fd);
        free(granter);
    }
    client->granters = NULL;
}

/* ---- the mapping side ---- */

static void host_unmap_chunk(struct client *client, uint32_t id)
{
    struct control_request request = client_request(CONTROL_UNMAP, 0, id);
    struct control_reply reply;
    client_call(client, &request, &reply, NULL, NULL);
}

/* Maps at most CONTROL_REFS_MAX pages at page `at` of the window. */
static int map_chunk(struct client *client, struct client_map *map, unsigned int at, domid_t from,
                     unsigned int count, const grant_ref_t *refs, bool writable)
{
    struct control_request request = client_request(CONTROL_MAP, from, 0);
    struct control_reply reply;
    int fds[CONTROL_FDS_MAX];
    unsigned int fd_count = CONTROL_FDS_MAX;
    request.flag = writable;
    request.count = count;
    memcpy(request.refs, refs, count * sizeof(refs[0]));
    int rc = client_call(client, &request, &reply, fds, &fd_count);
    if (rc)
        return rc;
    rc = granters_add(client, &reply, writable, fds, fd_count);
    for (unsigned int i = 0; !rc && i < count; i++) {
        const struct client_granter *granter = granter_find(client, reply.pages[i].granter, writable);
        rc = granter && reply.pages[i].frame < ARENA_PAGES
                 ? window_map(map->addr, at + i, granter->fd, reply.pages[i].frame, 1, writable)
                 : -EMFILE;
    }
    if (rc) {
        host_unmap_chunk(client, reply.value);
        return rc;
    }
    map->ids[map->chunks++] = reply.value;
    return 0;
}

static void map_free(struct client *client, struct client_map *map)
{
    /* The addresses first: when the granter sees that nobody maps the page, nobody does. */
    if (map->addr)
        window_release(map->addr, map->count);
    for (unsigned int i = 0; i < map->chunks; i++)
        host_unmap_chunk(client, map->ids[i]);
    free(map);
}

/* Domains of pages: one for all of them, or one for each. */
struct from {
    const domid_t *domids;
    bool each;
};

static domid_t from_at(const struct from *from, unsigned int at)
{
    return from->domids[from->each ? at : 0];
}

/* How many pages from `at` on one request can ask for: they are of one domain. */
static unsigned int chunk_length(unsigned int count, const struct from *from, unsigned int at)
{
    unsigned int some = 1;
    while (at + some < count && some < CONTROL_REFS_MAX && from_at(from, at + some) == from_at(from, at))
        some++;
    return some;
}

static int grant_map(struct client *client, unsigned int count, const struct from *from,
                     const grant_ref_t refs[], bool writable, void **out)
{
    int rc = client_check(client);
    if (rc)
        return rc;
    if (!count)
        return -EINVAL;
    if (count > client->map_limit || client->mapped > client->map_limit - count)
        return -ENOSPC;
    struct client_map *map = calloc(1, sizeof(*map) + count * sizeof(map->ids[0]));
    if (!map)
        return -ENOMEM;
    map->count = count;
    rc = window_reserve(count, &map->addr);
    for (unsigned int at = 0, some; !rc && at < count; at += some) {
        some = chunk_length(count, from, at);
        rc = map_chunk(client, map, at, from_at(from, at), some, refs + at, writable);
    }
    if (rc) {
        map_free(client, map);
        return rc;
    }
    map->next = client->maps;
    client->maps = map;
    client->mapped += count;
    *out = map->addr;
    return 0;
}

int client_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                     bool writable, void **out)
{
    return grant_map((struct client *)xen, count, &(struct from){.domids = &from}, refs, writable, out);
}

int client_grant_map_from(struct client *client, unsigned int count, const domid_t from[],
                          const grant_ref_t refs[], bool writable, void **out)
{
    return grant_map(client, count, &(struct from){.domids = from, .each = true}, refs, writable, out);
}

int client_grant_unmap(struct xen *xen, void *addr, unsigned int count)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    if (rc)
        return rc;
    struct client_map **at = &client->maps;
    while (*at && (*at)->addr != addr)
        at = &(*at)->next;
    struct client_map *map = *at;
    if (!map || map->count != count)
        return -EINVAL;
    *at = map->next;
    client->mapped -= count;
    map_free(client, map);
    return 0;
}

int client_grant_map_limit(struct xen *xen, unsigned int count)
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    if (!rc)
        client->map_limit = count;
    return rc;
}

void client_unmap_all(struct client *client)
{
    while (client->maps) {
        struct client_map *map = client->maps;
        client->maps = map->next;
        map_free(client, map);
    }
    client->mapped = 0;
}
