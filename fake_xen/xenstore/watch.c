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

static bool events_have(const struct xs_events *events, const struct store_conn *conn, const char *path,
                        const char *token)
{
    for (const struct xs_event *e = events->first; e; e = e->next) {
        if (e->conn == conn && strcmp(e->path, path) == 0 && strcmp(e->token, token) == 0)
            return true;
    }
    return false;
}

int xs_events_add(struct xs_events *events, struct store_conn *conn, const char *path, const char *token)
{
    /* One commit that touches a node twice is one change of it. */
    if (events_have(events, conn, path, token))
        return 0;
    size_t path_size = strlen(path) + 1;
    size_t token_size = strlen(token) + 1;
    struct xs_event *event = malloc(sizeof(*event) + path_size + token_size);
    if (!event)
        return -ENOMEM;
    event->conn = conn;
    event->path = (char *)(event + 1);
    event->token = event->path + path_size;
    memcpy(event->path, path, path_size);
    memcpy(event->token, token, token_size);
    events_append(events, event);
    return 0;
}

void xs_events_deliver(struct xs_events *events)
{
    struct xs_event *next;
    for (struct xs_event *e = events->first; e; e = next) {
        next = e->next;
        events_append(&e->conn->events, e);
    }
    *events = (struct xs_events){0};
}

void xs_events_drop(struct xs_events *events)
{
    struct xs_event *next;
    for (struct xs_event *e = events->first; e; e = next) {
        next = e->next;
        free(e);
    }
    *events = (struct xs_events){0};
}

/* Since XSA-115 a watch tells a domain only of what it may read. */
static bool may_know(const struct store_conn *conn, const struct xs_change *change, const char *path)
{
    if (!conn->domid)
        return true;
    struct xs_node *roots[] = {change->after, change->before};
    for (unsigned int i = 0; i < 2; i++) {
        struct xs_node *node = roots[i] ? xs_tree_find(roots[i], path) : NULL;
        if (node)
            return xs_access(conn->domid, node) & XEN_XS_READ;
    }
    return false;
}

static const char *event_path(const struct xs_watch *watch, const struct xs_change *change)
{
    if (xs_path_within(change->path, watch->path))
        return change->path;
    if (change->removed && xs_path_within(watch->path, change->path) &&
        xs_tree_find(change->before, watch->path))
        return watch->path;
    return NULL;
}

int xs_events_collect(struct xs_events *events, struct store *store, const struct xs_change *change)
{
    for (struct store_conn *conn = store->conns; conn; conn = conn->next) {
        for (struct xs_watch *w = conn->watches; w; w = w->next) {
            const char *path = event_path(w, change);
            if (!path || !may_know(conn, change, path))
                continue;
            int rc = xs_events_add(events, conn, path + w->relative, w->token);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* ---- watches ---- */

void xs_watch_free(struct xs_watch *watch)
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

int store_watch(struct store_conn *conn, const char *path, const char *token)
{
    struct xs_watch *watch = NULL;
    struct xs_events events = {0};
    char absolute[XEN_XS_PATH_MAX + 1];
    int rc;

    rc = xs_path_resolve(conn->domid, path, true, absolute);
    if (rc)
        goto out;
    rc = -E2BIG;
    if (strlen(token) > XEN_XS_TOKEN_MAX || conn->watch_count >= STORE_WATCHES_MAX)
        goto out;
    struct xs_watch **at = watch_find(conn, absolute, token);
    rc = -EEXIST;
    if (*at)
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
    rc = xs_events_add(&events, conn, path, token);
    if (rc)
        goto out;
    xs_events_deliver(&events);
    *at = watch;
    watch = NULL;
    conn->watch_count++;
out:
    xs_events_drop(&events);
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
            free(e);
        else
            events_append(&kept, e);
    }
    conn->events = kept;
}

int store_unwatch(struct store_conn *conn, const char *path, const char *token)
{
    char absolute[XEN_XS_PATH_MAX + 1];
    int rc = xs_path_resolve(conn->domid, path, true, absolute);
    if (rc)
        return rc;
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

void store_reset_watches(struct store_conn *conn)
{
    struct xs_watch *next;
    for (struct xs_watch *w = conn->watches; w; w = next) {
        next = w->next;
        xs_watch_free(w);
    }
    conn->watches = NULL;
    conn->watch_count = 0;
    xs_events_drop(&conn->events);
}

bool store_event_waiting(const struct store_conn *conn)
{
    return conn->events.first;
}

int store_event_take(struct store_conn *conn, char *path, char *token)
{
    struct xs_event *event = conn->events.first;
    if (!event)
        return -EAGAIN;
    conn->events.first = event->next;
    if (!event->next)
        conn->events.last = NULL;
    strcpy(path, event->path);
    strcpy(token, event->token);
    free(event);
    return 0;
}
