// SPDX-License-Identifier: MIT
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "store_private.h"

/* ---- events ---- */

static void events_append(struct xs_events *events, struct xs_event *event)
{
    event->next = NULL;
    *(events->last ? events->last : &events->first) = event;
    events->last = &event->next;
}

static void event_free(struct xs_event *event)
{
    event->conn->event_bytes -= event->size;
    free(event);
}

/* FNV-1a by words, as tokens may be long and many. */
static uint64_t hash_text(uint64_t hash, const char *text, size_t size)
{
    for (uint64_t word = 0; size; word = 0) {
        size_t some = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, text, some);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 32;
        text += some;
        size -= some;
    }
    return hash;
}

static bool batch_has(const struct xs_batch *batch, uint64_t hash, const struct store_conn *conn,
                      const char *path, const char *token)
{
    for (const struct xs_event *e = batch->buckets[hash % XS_BUCKETS]; e; e = e->same) {
        if (e->hash == hash && e->conn == conn && strcmp(e->path, path) == 0 && strcmp(e->token, token) == 0)
            return true;
    }
    return false;
}

static int xs_events_add(struct xs_batch *batch, struct store_conn *conn, const char *path, const char *token)
{
    if (conn->overflow)
        return 0;
    size_t path_size = strlen(path) + 1;
    size_t token_size = strlen(token) + 1;
    uint64_t hash = hash_text(hash_text((uintptr_t)conn, path, path_size), token, token_size);
    /* One commit that touches a node twice is one change of it. */
    if (batch_has(batch, hash, conn, path, token))
        return 0;
    struct xs_event *event = NULL;
    size_t size = sizeof(*event) + path_size + token_size;
    /* Whoever does not read must not make the store grow without end. */
    if (conn->domid && conn->event_bytes + size > STORE_EVENTS_MAX) {
        conn->overflow = true;
        return 0;
    }
    event = malloc(size);
    if (!event)
        return -ENOMEM;
    *event = (struct xs_event){.conn = conn, .size = size, .hash = hash};
    event->path = (char *)(event + 1);
    event->token = event->path + path_size;
    memcpy(event->path, path, path_size);
    memcpy(event->token, token, token_size);
    event->same = batch->buckets[hash % XS_BUCKETS];
    batch->buckets[hash % XS_BUCKETS] = event;
    conn->event_bytes += size;
    events_append(&batch->events, event);
    return 0;
}

void xs_events_deliver(struct xs_batch *batch)
{
    struct xs_event *next;
    for (struct xs_event *e = batch->events.first; e; e = next) {
        next = e->next;
        events_append(&e->conn->events, e);
    }
    *batch = (struct xs_batch){0};
}

static void xs_events_drop(struct xs_events *events)
{
    struct xs_event *next;
    for (struct xs_event *e = events->first; e; e = next) {
        next = e->next;
        event_free(e);
    }
    *events = (struct xs_events){0};
}

void xs_batch_drop(struct xs_batch *batch)
{
    xs_events_drop(&batch->events);
    *batch = (struct xs_batch){0};
}

/*
 * Since XSA-115 a watch tells a guest only of what it may read, or may read the parent of
 * (watch_permitted() of xenstored); before the change or after it. In a commit only one state of the parent counts, and
 * of a node that was not there and is not nobody is told.
 */
static bool may_know(const struct store_conn *conn, const struct xs_change *change, const char *path)
{
    if (path[0] == '@') {
        const struct xs_special *special = xs_special_find(conn->store, path);
        return special && xs_perms_access(conn, special->perms, special->perm_count) & XEN_XS_READ;
    }
    if (!conn->domid && !change->commit)
        return true;
    struct xs_node *roots[] = {change->after, change->before};
    char parent[XEN_XS_PATH_MAX + 1];
    const char *slash = strrchr(path, '/');
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = '\0';
    for (unsigned int i = 0; i < 2; i++) {
        struct xs_node *node = xs_tree_find(roots[i], path);
        if (!node)
            continue;
        if (xs_access(conn, node) & XEN_XS_READ)
            return true;
        struct xs_node *above = xs_tree_find(change->commit ? change->parents : roots[i], parent);
        if (above && (!change->commit || i == 0) && xs_access(conn, above) & XEN_XS_READ)
            return true;
    }
    return false;
}

/* What one connection watches of path; exact: of that very node only. */
static int collect_of(struct xs_batch *batch, struct store_conn *conn, const struct xs_change *change,
                      const char *path, bool exact)
{
    /* Asked once for all its watches: there may be many, and a directory may be long. */
    enum { UNKNOWN, NO, YES } known = UNKNOWN;
    for (struct xs_watch *w = conn->watches; w; w = w->next) {
        if (exact ? strcmp(w->path, path) != 0 : !xs_path_within(path, w->path))
            continue;
        if (known == UNKNOWN)
            known = may_know(conn, change, path) ? YES : NO;
        if (known == NO)
            break;
        int rc = xs_events_add(batch, conn, path + w->relative, w->token);
        if (rc)
            return rc;
    }
    return 0;
}

static int collect(struct xs_batch *batch, struct store *store, const struct xs_change *change, const char *path,
                   bool exact)
{
    int rc = 0;
    for (struct store_conn *conn = store->conns; conn && !rc; conn = conn->next)
        rc = collect_of(batch, conn, change, path, exact);
    return rc;
}

/* Somebody watches a node below path, and not path itself or what is above. */
static bool watched_below(const struct store *store, const char *path)
{
    for (const struct store_conn *conn = store->conns; conn; conn = conn->next) {
        for (const struct xs_watch *w = conn->watches; w; w = w->next) {
            if (xs_path_within(w->path, path) && strcmp(w->path, path) != 0)
                return true;
        }
    }
    return false;
}

/* The nodes below go before the one that they are in, each told to those who watch it: delnode_sub(). */
static int collect_below(struct xs_batch *batch, struct store *store, const struct xs_change *change,
                         const struct xs_node *node, char *path, size_t length)
{
    for (unsigned int i = 0; i < node->child_count; i++) {
        const struct xs_node *child = node->children[i];
        size_t name = strlen(child->name);
        path[length] = '/';
        memcpy(path + length + 1, child->name, name + 1);
        int rc = collect_below(batch, store, change, child, path, length + 1 + name);
        path[length + 1 + name] = '\0';
        if (!rc)
            rc = collect(batch, store, change, path, true);
        if (rc)
            return rc;
    }
    return 0;
}

int xs_events_collect(struct xs_batch *batch, struct store *store, const struct xs_change *change)
{
    char path[XEN_XS_PATH_MAX + 1];
    int rc = 0;
    if (change->removed && watched_below(store, change->path)) {
        strcpy(path, change->path);
        rc = collect_below(batch, store, change, xs_tree_find(change->before, path), path, strlen(path));
    }
    return rc ? rc : collect(batch, store, change, change->path, change->exact);
}

/* ---- watches ---- */

static void xs_watch_free(struct xs_watch *watch)
{
    if (!watch)
        return;
    free(watch->path);
    free(watch->token);
    free(watch);
}

static struct xs_watch **watch_find(struct store_conn *conn, const char *path, const char *token)
{
    struct xs_watch **at = &conn->watches;
    while (*at && (strcmp((*at)->path, path) != 0 || strcmp((*at)->token, token) != 0))
        at = &(*at)->next;
    return at;
}

static bool at_quota(const struct store_conn *conn)
{
    unsigned int count = 0;
    for (const struct store_conn *c = conn->store->conns; c; c = c->next)
        count += c->domid == conn->domid ? c->watch_count : 0;
    return conn->domid && count > STORE_WATCHES_MAX;
}

int store_watch(struct store_conn *conn, const char *path, const char *token)
{
    struct xs_watch *watch = NULL;
    struct xs_batch batch = {0};
    char absolute[XEN_XS_PATH_MAX + 1];
    int rc;

    rc = xs_path_resolve(conn->domid, path, true, absolute);
    if (rc)
        goto out;
    struct xs_watch **at = watch_find(conn, absolute, token);
    rc = -EEXIST;
    if (*at)
        goto out;
    rc = -E2BIG;
    if (strlen(token) > XEN_XS_TOKEN_MAX || at_quota(conn))
        goto out;
    rc = -ENOMEM;
    watch = calloc(1, sizeof(*watch));
    if (!watch)
        goto out;
    watch->path = strdup(absolute);
    watch->token = strdup(token);
    if (!watch->path || !watch->token)
        goto out;
    watch->relative = strlen(absolute) - strlen(path);
    rc = xs_events_add(&batch, conn, path, token);
    if (rc)
        goto out;
    xs_events_deliver(&batch);
    *at = watch;
    watch = NULL;
    conn->watch_count++;
out:
    xs_batch_drop(&batch);
    xs_watch_free(watch);
    return rc;
}

static void forget_events(struct store_conn *conn, const char *path, const char *token)
{
    struct xs_event *next;
    struct xs_events kept = {0};
    for (struct xs_event *e = conn->events.first; e; e = next) {
        next = e->next;
        if (strcmp(e->token, token) == 0 && xs_path_within(e->path, path))
            event_free(e);
        else
            events_append(&kept, e);
    }
    conn->events = kept;
}

int store_unwatch(struct store_conn *conn, const char *path, const char *token)
{
    char absolute[XEN_XS_PATH_MAX + 1];
    /* Nobody watches what is no path. */
    if (xs_path_resolve(conn->domid, path, true, absolute))
        return -ENOENT;
    struct xs_watch **at = watch_find(conn, absolute, token);
    struct xs_watch *watch = *at;
    if (!watch)
        return -ENOENT;
    *at = watch->next;
    conn->watch_count--;
    forget_events(conn, watch->path + watch->relative, token);
    xs_watch_free(watch);
    return 0;
}

void store_reset(struct store_conn *conn)
{
    struct xs_watch *next;
    for (struct xs_watch *w = conn->watches; w; w = next) {
        next = w->next;
        xs_watch_free(w);
    }
    conn->watches = NULL;
    conn->watch_count = 0;
    xs_events_drop(&conn->events);
    xs_transactions_drop(conn);
}

bool store_event_waiting(const struct store_conn *conn)
{
    return conn->events.first || conn->overflow;
}

int store_event_take(struct store_conn *conn, char *path, char *token)
{
    struct xs_event *event = conn->events.first;
    if (conn->overflow)
        return -EPIPE;
    if (!event)
        return -EAGAIN;
    conn->events.first = event->next;
    if (!event->next)
        conn->events.last = NULL;
    strcpy(path, event->path);
    strcpy(token, event->token);
    event_free(event);
    return 0;
}
