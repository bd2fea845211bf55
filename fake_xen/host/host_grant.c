// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

/* ---- granters ---- */

static void granter_free(struct host_granter *granter)
{
    if (granter->table)
        munmap(granter->table, sizeof(*granter->table));
    if (granter->table_fd >= 0)
        close(granter->table_fd);
    if (granter->table_readonly >= 0)
        close(granter->table_readonly);
    if (granter->granter.fd >= 0)
        close(granter->granter.fd);
    if (granter->readonly >= 0)
        close(granter->readonly);
    free(granter);
}

/* The same memory by another descriptor, that cannot write. */
static int reopen_readonly(int fd, int *out)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *out = open(path, O_RDONLY | O_CLOEXEC);
    return *out < 0 ? -errno : 0;
}

static int granter_memory(struct host_granter *granter)
{
    int rc = arena_memfd("fakexen-pages", ARENA_SIZE, &granter->granter.fd);
    if (rc)
        return rc;
    rc = arena_memfd("fakexen-table", sizeof(*granter->table), &granter->table_fd);
    if (rc)
        return rc;
    rc = reopen_readonly(granter->granter.fd, &granter->readonly);
    if (rc)
        return rc;
    void *table =
        mmap(NULL, sizeof(*granter->table), PROT_READ | PROT_WRITE, MAP_SHARED, granter->table_fd, 0);
    if (table == MAP_FAILED)
        return -errno;
    granter->table = table;
    granter->granter.entries = granter->table->entries;
    /* The client does this too, but may never come to it. */
    for (unsigned int i = 0; i < GRANT_ENTRIES; i++)
        granter->table->entries[i].domid = DOMID_INVALID;
    return 0;
}

static int granter_create(struct fakexen_host *host, struct host_domain *domain, struct host_granter **out)
{
    if (host->next_granter == UINT32_MAX)
        return -ENOSPC;
    struct host_granter *granter = calloc(1, sizeof(*granter));
    if (!granter)
        return -ENOMEM;
    granter->granter.fd = -1;
    granter->readonly = -1;
    granter->table_fd = -1;
    granter->table_readonly = -1;
    int rc = granter_memory(granter);
    if (rc) {
        granter_free(granter);
        return rc;
    }
    granter->domain = domain;
    granter->granter.domid = domain->domid;
    granter->id = ++host->next_granter;
    granter->next = domain->granters;
    domain->granters = granter;
    *out = granter;
    return 0;
}

int host_granter_create(struct fakexen_host *host, struct host_domain *domain, int *pages_fd,
                        struct host_granter **out)
{
    if (domain->ranges > UINT32_MAX / GRANT_ENTRIES)
        return -ENOSPC;
    int rc = granter_create(host, domain, out);
    if (rc)
        return rc;
    (*out)->granter.base = domain->ranges++ * GRANT_ENTRIES;
    *pages_fd = (*out)->granter.fd;
    return 0;
}

int host_granter_reserved(struct fakexen_host *host, struct host_domain *domain, grant_ref_t ref, domid_t to,
                          struct host_granter **out)
{
    int rc = granter_create(host, domain, out);
    if (rc)
        return rc;
    (*out)->granter.reserved = true;
    (*out)->table->entries[ref] = (grant_entry_v1_t){.flags = GTF_permit_access, .domid = to};
    return 0;
}

static void granter_settle(struct host_granter *granter)
{
    if (!granter->granter.orphan || granter->granter.pinned)
        return;
    struct host_granter **at = &granter->domain->granters;
    while (*at != granter)
        at = &(*at)->next;
    *at = granter->next;
    granter_free(granter);
}

void host_granter_close(struct fakexen_host *host, struct host_granter *granter)
{
    granter->granter.closed = true;
    granter->granter.orphan = true;
    __atomic_store_n(&granter->table->dead, 1, __ATOMIC_RELEASE); /* for who copies of it */
    for (struct host_client *client = host->clients; client; client = client->next) {
        for (struct host_sent *sent = client->sent; sent; sent = sent->next)
            sent->gone |= sent->granter == granter->id;
    }
    granter_settle(granter);
}

static struct host_granter *granter_find(struct fakexen_host *host, domid_t domid, grant_ref_t ref)
{
    struct host_domain *domain = host_domain_find(host, domid);
    struct host_granter *granter = domain ? domain->granters : NULL;
    while (granter && (granter->granter.reserved != (ref < GRANT_RESERVED) || ref < granter->granter.base ||
                       ref - granter->granter.base >= GRANT_ENTRIES))
        granter = granter->next;
    return granter;
}

/* ---- descriptors the client has ---- */

static int sent_ensure(struct host_client *client, const struct host_granter *granter, bool writable,
                       struct host_answer *answer)
{
    for (struct host_sent *sent = client->sent; sent; sent = sent->next) {
        if (sent->granter == granter->id && sent->writable == writable)
            return 0;
    }
    struct host_sent *sent = calloc(1, sizeof(*sent));
    if (!sent)
        return -ENOMEM;
    sent->granter = granter->id;
    sent->writable = writable;
    sent->next = client->sent;
    client->sent = sent;
    answer->fds[answer->fd_count++] = writable ? granter->granter.fd : granter->readonly;
    answer->reply.new_granters[answer->reply.new_count++] = granter->id;
    return 0;
}

/* The descriptors of an answer that does not go out were not sent after all. */
static void sent_withdraw(struct host_client *client, struct host_answer *answer)
{
    for (; answer->reply.new_count; answer->reply.new_count--) {
        struct host_sent *sent = client->sent;
        client->sent = sent->next;
        free(sent);
    }
    answer->fd_count = 0;
}

void host_sent_report(struct host_client *client, struct control_reply *reply)
{
    struct host_sent **at = &client->sent;
    while (*at && reply->gone_count < CONTROL_GONE_MAX) {
        struct host_sent *sent = *at;
        if (!sent->gone) {
            at = &sent->next;
            continue;
        }
        reply->gone[reply->gone_count++] = sent->granter;
        *at = sent->next;
        free(sent);
    }
}

void host_sent_drop(struct host_client *client)
{
    struct host_sent *next;
    for (struct host_sent *sent = client->sent; sent; sent = next) {
        next = sent->next;
        free(sent);
    }
    client->sent = NULL;
}

/* ---- maps ---- */

static void unpin(struct host_map *map, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        granter_unpin(&map->pages[i].granter->granter, map->pages[i].ref, map->writable);
        granter_settle(map->pages[i].granter);
    }
}

static int map_page(struct fakexen_host *host, struct host_client *client,
                    const struct control_request *request, struct host_map *map, unsigned int i,
                    struct host_answer *answer)
{
    grant_ref_t ref = request->refs[i];
    struct host_granter *granter = granter_find(host, (domid_t)request->domid, ref);
    uint32_t frame;
    if (!granter)
        return -ENOENT;
    int rc = granter_pin(&granter->granter, ref, client->domain->domid, map->writable, &frame);
    if (rc)
        return rc;
    map->pages[i] = (struct host_mapped){.granter = granter, .ref = ref};
    answer->reply.pages[i] = (struct control_page){.granter = granter->id, .frame = frame};
    rc = sent_ensure(client, granter, map->writable, answer);
    if (rc)
        granter_unpin(&granter->granter, ref, map->writable);
    return rc;
}

/* Numbers may come round; one that is in use must not be given twice. */
static uint32_t new_map_id(struct host_client *client)
{
    const struct host_map *used;
    do {
        client->next_map++;
        used = client->maps;
        while (used && used->id != client->next_map)
            used = used->next;
    } while (used);
    return client->next_map;
}

/* For who wants to know how often others map its pages: it sees the number without asking us. */
static void count_call(const struct host_map *map)
{
    __atomic_fetch_add(&map->pages[0].granter->table->maps, 1, __ATOMIC_RELAXED);
}

int host_map(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
             struct host_answer *answer)
{
    if (!request->count || request->flag > 1)
        return -EINVAL;
    if (request->domid >= DOMID_FIRST_RESERVED)
        return -ENOENT;
    if (client->mapped > HOST_MAPPED_MAX - request->count)
        return -ENOSPC;
    struct host_map *map = calloc(1, sizeof(*map) + request->count * sizeof(map->pages[0]));
    if (!map)
        return -ENOMEM;
    map->count = request->count;
    map->writable = request->flag;
    map->notify = HOST_NOTIFY_NONE;
    for (unsigned int i = 0; i < map->count; i++) {
        int rc = map_page(host, client, request, map, i, answer);
        if (rc) {
            unpin(map, i);
            sent_withdraw(client, answer);
            free(map);
            return rc;
        }
    }
    map->id = new_map_id(client);
    map->next = client->maps;
    client->maps = map;
    client->mapped += map->count;
    count_call(map);
    answer->reply.value = map->id;
    return 0;
}

static void map_end(struct host_client *client, struct host_map *map)
{
    const struct host_mapped *first = &map->pages[0];
    uint32_t frame = first->granter->granter.pins[first->ref - first->granter->granter.base].frame;
    host_notify_clear(&map->notify, first->granter, frame);
    count_call(map);
    unpin(map, map->count);
    host_notify_send(&map->notify);
    client->mapped -= map->count;
    free(map);
}

int host_unmap(struct host_client *client, uint32_t id)
{
    struct host_map **at = &client->maps;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    struct host_map *map = *at;
    if (!map)
        return -EINVAL;
    *at = map->next;
    map_end(client, map);
    return 0;
}

/* ---- copies, which the client makes itself ---- */

int host_copy(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
              struct host_answer *answer)
{
    uint32_t frame;
    if (request->flag > 1)
        return -EINVAL;
    struct host_granter *granter =
        request->domid < DOMID_FIRST_RESERVED ? granter_find(host, (domid_t)request->domid, request->value) : NULL;
    if (!granter)
        return -ENOENT;
    /* Who may not map the page learns nothing of the memory. */
    int rc = granter_pin(&granter->granter, request->value, client->domain->domid, request->flag, &frame);
    if (rc)
        return rc;
    granter_unpin(&granter->granter, request->value, request->flag);
    if (granter->table_readonly < 0)
        rc = reopen_readonly(granter->table_fd, &granter->table_readonly);
    if (rc)
        return rc == -EMFILE || rc == -ENFILE ? rc : -ENOMEM;
    answer->reply.value = granter->granter.base;
    answer->fds[answer->fd_count++] = granter->table_readonly;
    answer->fds[answer->fd_count++] = request->flag ? granter->granter.fd : granter->readonly;
    return 0;
}

void host_unmap_all(struct host_client *client)
{
    while (client->maps)
        host_unmap(client, client->maps->id);
}
