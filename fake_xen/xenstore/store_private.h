/* SPDX-License-Identifier: MIT */
/* The inside of the store, for the files of this folder. */
#ifndef FAKEXEN_XENSTORE_STORE_PRIVATE_H
#define FAKEXEN_XENSTORE_STORE_PRIVATE_H

#include "store.h"
#include "tree.h"
#include "watch.h"

struct xs_transaction;

struct store {
    struct xs_node *root;
    uint64_t generation;
    struct store_conn *conns;
};

struct store_conn {
    struct store *store;
    struct store_conn *next;
    domid_t domid;
    struct xs_watch *watches;
    unsigned int watch_count;
    struct xs_transaction *transactions;
    unsigned int transaction_count;
    xen_transaction next_transaction;
    struct xs_events events;
};

/* One request to change the tree; path is absolute. */
enum xs_verb {
    XS_VERB_WRITE,
    XS_VERB_MKDIR,
    XS_VERB_RM,
    XS_VERB_SET_PERMS,
};

struct xs_request {
    enum xs_verb verb;
    const char *path;
    const void *data; /* the value, or struct xen_xs_perm[] */
    size_t length;    /* in bytes, or in entries */
};

/* What a domain may do with a node. */
unsigned int xs_access(domid_t domid, const struct xs_node *node);
bool xs_owner(domid_t domid, const struct xs_node *node);

/*
 * Does one request to *root, which becomes the new tree. Notes what it looked at in t, if given. With
 * events, adds what is to be told.
 */
int xs_apply(struct store_conn *conn, struct xs_node **root, const struct xs_request *request,
             struct xs_transaction *t, struct xs_events *events);

/* NULL for none such. */
struct xs_transaction *xs_transaction_find(struct store_conn *conn, xen_transaction id);
struct xs_node **xs_transaction_root(struct xs_transaction *t);
/* The commit fails if the node at path (with below: or any below it) is not then what it was at the
 * beginning. */
int xs_transaction_note(struct xs_transaction *t, const char *path, bool below);
/* The commit repeats this request. */
int xs_transaction_record(struct xs_transaction *t, const struct xs_request *request);
void xs_transactions_drop(struct store_conn *conn);

#endif
