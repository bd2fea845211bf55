// SPDX-License-Identifier: MIT
/*
 * Transactions. One works on a snapshot and remembers what it looked at and what it
 * asked for. The commit compares the first with the tree of that moment and repeats the second on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"

/* A node that was looked at, in order of the first time; and whether watches are to be told of it, at the end. */
struct note {
    struct note *next;
    bool fire;
    bool exact; /* only those of this very node */
    bool committed;
    char path[];
};

struct record {
    struct record *next;
    struct xs_request request;
    char *path;
    void *data;
};

struct xs_transaction {
    struct xs_transaction *next;
    xen_transaction id;
    struct xs_node *base; /* the tree at the beginning */
    struct xs_node *root; /* with the changes made since */
    struct note *notes;
    struct note **last_note;
    struct record *records;
    struct record **last;
    /* Of a guest, whose memory here is limited. */
    bool guest;
    unsigned int note_count;
    unsigned int record_cost;
    long grown;
    bool failed;
    bool creates;
};

struct xs_transaction *xs_transaction_find(struct store_conn *conn, xen_transaction id)
{
    struct xs_transaction *t = conn->transactions;
    while (t && t->id != id)
        t = t->next;
    return t;
}

struct xs_node **xs_transaction_root(struct xs_transaction *t)
{
    return &t->root;
}

long *xs_transaction_grown(struct xs_transaction *t)
{
    return &t->grown;
}

void xs_transaction_fail(struct xs_transaction *t)
{
    t->failed = true;
}

void xs_transaction_creates(struct xs_transaction *t)
{
    t->creates = true;
}

static struct note *note_find(const struct xs_transaction *t, const char *path, size_t length)
{
    struct note *note = t->notes;
    while (note && (strncmp(note->path, path, length) != 0 || note->path[length]))
        note = note->next;
    return note;
}

int xs_transaction_note(struct xs_transaction *t, const char *path, size_t length)
{
    if (note_find(t, path, length))
        return 0;
    if (t->guest && t->note_count >= STORE_TRANSACTION_NODES_MAX) {
        t->failed = true;
        return -ENOSPC;
    }
    struct note *note = calloc(1, sizeof(*note) + length + 1);
    if (!note)
        return -ENOMEM;
    memcpy(note->path, path, length);
    *t->last_note = note;
    t->last_note = &note->next;
    t->note_count++;
    return 0;
}

void xs_transaction_fire(struct xs_transaction *t, const char *path, bool exact)
{
    struct note *note = note_find(t, path, strlen(path));
    note->exact = exact && (note->exact || !note->fire);
    note->fire = true;
}

/* How much of a path, of length bytes, is that of its parent. */
static size_t parent_length(const char *path, size_t length)
{
    while (path[--length] != '/')
        continue;
    return length ? length : 1;
}

int xs_transaction_missed(struct xs_transaction *t, const char *path, size_t used)
{
    size_t length = strlen(path);
    int rc = xs_transaction_note(t, path, length);
    while (!rc && length > used) {
        length = parent_length(path, length);
        rc = xs_transaction_note(t, path, length);
    }
    return rc;
}

int xs_transaction_refused(struct xs_transaction *t, const char *path, size_t used)
{
    return path[used] || !path[1] ? 0 : xs_transaction_note(t, path, parent_length(path, used));
}

static void record_free(struct record *record)
{
    free(record->path);
    free(record->data);
    free(record);
}

/* The commit makes all nodes on the way anew, during which nobody else is served. */
static unsigned int record_cost(const char *path)
{
    unsigned int components = 0;
    for (; *path; path++)
        components += *path == '/';
    return 1 + components / 32;
}

int xs_transaction_record(struct xs_transaction *t, const struct xs_request *request)
{
    size_t size =
        request->verb == XS_VERB_SET_PERMS ? request->length * sizeof(struct xen_xs_perm) : request->length;
    unsigned int cost = record_cost(request->path);
    if (t->guest && t->record_cost + cost > STORE_TRANSACTION_NODES_MAX)
        return -ENOSPC;
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return -ENOMEM;
    record->path = strdup(request->path);
    record->data = malloc(size + 1);
    if (!record->path || !record->data) {
        record_free(record);
        return -ENOMEM;
    }
    if (size)
        memcpy(record->data, request->data, size);
    record->request = *request;
    record->request.path = record->path;
    record->request.data = record->data;
    *t->last = record;
    t->last = &record->next;
    t->record_cost += cost;
    return 0;
}

static void transaction_free(struct xs_transaction *t)
{
    struct note *next_note;
    for (struct note *n = t->notes; n; n = next_note) {
        next_note = n->next;
        free(n);
    }
    struct record *next_record;
    for (struct record *r = t->records; r; r = next_record) {
        next_record = r->next;
        record_free(r);
    }
    xs_node_put(t->base);
    xs_node_put(t->root);
    free(t);
}

void xs_transactions_drop(struct store_conn *conn)
{
    struct xs_transaction *next;
    for (struct xs_transaction *t = conn->transactions; t; t = next) {
        next = t->next;
        transaction_free(t);
    }
    conn->transactions = NULL;
    conn->transaction_count = 0;
}

bool store_transaction_open(struct store_conn *conn, xen_transaction id)
{
    return xs_transaction_find(conn, id);
}

static unsigned int open_in_domain(const struct store_conn *conn)
{
    unsigned int count = 0;
    for (const struct store_conn *c = conn->store->conns; c; c = c->next)
        count += c->domid == conn->domid ? c->transaction_count : 0;
    return count;
}

int store_begin(struct store_conn *conn, xen_transaction *out)
{
    if (conn->domid && open_in_domain(conn) > STORE_TRANSACTIONS_MAX)
        return -ENOSPC;
    struct xs_transaction *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    do {
        t->id = ++conn->next_transaction;
    } while (t->id == XEN_XBT_NIL || xs_transaction_find(conn, t->id));
    t->base = xs_node_get(conn->store->root);
    t->root = xs_node_get(conn->store->root);
    t->last = &t->records;
    t->last_note = &t->notes;
    t->guest = conn->domid;
    t->next = conn->transactions;
    conn->transactions = t;
    conn->transaction_count++;
    *out = t->id;
    return 0;
}

static bool conflicts(const struct xs_transaction *t, struct xs_node *now)
{
    for (const struct note *n = t->notes; n; n = n->next) {
        struct xs_node *was = xs_tree_find(t->base, n->path);
        struct xs_node *is = xs_tree_find(now, n->path);
        if (!was || !is) {
            if (was != is)
                return true;
        } else if (was->generation != is->generation) {
            return true;
        }
    }
    return false;
}

/*
 * Of each node once, in the order in which they were first looked at: finalize_transaction(). One by one they are written
 * and told of, so that the parent, whose permissions count too, may still be the old one.
 */
static int collect(struct store *store, const struct xs_transaction *t, struct xs_node *after,
                   struct xs_batch *batch)
{
    int rc = 0;
    for (struct note *n = t->notes; n && !rc; n = n->next) {
        const struct note *parent = n->path[1] ? note_find(t, n->path, parent_length(n->path, strlen(n->path))) : NULL;
        bool parent_new = parent && parent->committed;
        const struct xs_change change = {.path = n->path,
                                         .before = store->root,
                                         .after = after,
                                         .exact = n->exact,
                                         .commit = true,
                                         .parents = parent_new ? after : store->root};
        rc = n->fire ? xs_events_collect(batch, store, &change) : 0;
        n->committed = true;
    }
    return rc;
}

static int commit(struct store_conn *conn, struct xs_transaction *t)
{
    struct store *store = conn->store;
    struct xs_batch batch = {.quiet = true};
    struct xs_node *root = NULL;
    int rc;

    rc = -ENOMEM;
    if (t->failed)
        goto out;
    rc = -ENOSPC;
    if (t->guest && t->creates && store->domains[conn->domid].entries + t->grown >= (long)STORE_ENTRIES_MAX)
        goto out;
    rc = -EAGAIN;
    if (conflicts(t, store->root))
        goto out;
    root = xs_node_get(store->root);
    rc = 0;
    for (struct record *r = t->records; r && !rc; r = r->next)
        rc = xs_apply(conn, &root, &r->request, NULL, &batch);
    if (!rc)
        rc = collect(store, t, root, &batch);
    if (rc) {
        /* What the requests before have counted belongs to a tree that is not going to be. */
        xs_count(store, root, -1);
        xs_count(store, store->root, 1);
        goto out;
    }
    struct xs_node *old = store->root;
    store->root = root;
    root = old;
    xs_events_deliver(&batch);
    rc = 0;
out:
    xs_batch_drop(&batch);
    xs_node_put(root);
    return rc;
}

int store_end(struct store_conn *conn, xen_transaction id, bool abort)
{
    struct xs_transaction **at = &conn->transactions;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    struct xs_transaction *t = *at;
    if (!t)
        return -ENOENT;
    int rc = abort ? 0 : commit(conn, t);
    /* A transaction ends whatever becomes of it, as with xenstored. */
    *at = t->next;
    conn->transaction_count--;
    transaction_free(t);
    return rc;
}
