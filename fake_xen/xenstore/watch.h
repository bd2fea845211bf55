/* SPDX-License-Identifier: MIT */
/*
 * Watches of xenstore, inside the store. Events of a change are made before the
 * change is, so that running out of memory leaves neither.
 */
#ifndef FAKEXEN_XENSTORE_WATCH_H
#define FAKEXEN_XENSTORE_WATCH_H

#include "store.h"
#include "tree.h"

struct xs_event {
    struct xs_event *next;
    struct store_conn *conn;
    char *path;  /* as the watcher wants it: relative if its watch was */
    char *token; /* both behind this struct */
    size_t size; /* with both */
    uint64_t hash;
    struct xs_event *same; /* the next in its bucket */
};

struct xs_events {
    struct xs_event *first;
    struct xs_event **last; /* NULL while empty */
};

/* The events of one change or commit, each once: a large commit has very many. */
#define XS_BUCKETS 256u

struct xs_batch {
    bool quiet; /* changes add nothing by themselves */
    struct xs_events events;
    struct xs_event *buckets[XS_BUCKETS];
};

struct xs_watch {
    struct xs_watch *next;
    char *path; /* absolute, or special */
    char *token;
    size_t relative; /* how much of path is not shown to the watcher */
};

/*
 * What happened to path: the trees before and after. removed: with all below it. exact: only those who watch this very
 * node are told. commit: it is one of the changes of a transaction, and parents is the tree that the parent of path is
 * of when this one is told. Special: both trees NULL.
 */
struct xs_change {
    const char *path;
    struct xs_node *before;
    struct xs_node *after;
    bool removed;
    bool exact;
    bool commit;
    struct xs_node *parents;
};

/* Adds what the connections watch of this change. */
int xs_events_collect(struct xs_batch *batch, struct store *store, const struct xs_change *change);
/* Hands the events to their connections. */
void xs_events_deliver(struct xs_batch *batch);
void xs_batch_drop(struct xs_batch *batch);

#endif
