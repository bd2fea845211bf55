/* SPDX-License-Identifier: MIT */
/* The inside of the store, for the files of this folder. */
#ifndef FAKEXEN_XENSTORE_STORE_PRIVATE_H
#define FAKEXEN_XENSTORE_STORE_PRIVATE_H

#include "store.h"
#include "tree.h"
#include "watch.h"

struct xs_transaction;

/* What the store knows of a domain, whether it is there or not. */
struct xs_domain {
    uint32_t entries; /* nodes of the tree that it owns */
    domid_t target;   /* whose rights it has, too: XS_SET_TARGET */
    bool has_target;
    bool present;
    bool introduced;
};

/* "@introduceDomain" and "@releaseDomain" are no nodes but have permissions. */
#define XS_SPECIALS 2u

struct xs_special {
    const char *name;
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    unsigned int perm_count;
};

struct store {
    struct xs_node *root;
    uint64_t generation;
    struct store_conn *conns;
    struct xs_special specials[XS_SPECIALS];
    bool targets; /* some domain has, or had, a target */
    struct xs_domain domains[DOMID_FIRST_RESERVED];
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
    size_t event_bytes; /* of its events, delivered or not */
    bool overflow;      /* events were lost */
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

/* With the access of an entry: there was no such domain, or is none any more. One with its number is another. */
#define XS_IGNORED 0x10

/* What a connection may do with a node, or with anything that has such permissions. */
unsigned int xs_access(const struct store_conn *conn, const struct xs_node *node);
unsigned int xs_perms_access(const struct store_conn *conn, const struct xen_xs_perm *perms,
                             unsigned int count);
bool xs_owner(const struct store_conn *conn, const struct xen_xs_perm *perms);
/* NULL for none such. */
struct xs_special *xs_special_find(struct store *store, const char *name);

/* Adds step for each node of the tree to what its owner has. */
void xs_count(struct store *store, const struct xs_node *root, int step);

/*
 * Does one request to *root, which becomes the new tree. In a transaction, t, notes what it looked at;
 * else counts the nodes and adds to the batch what is to be told. One of t and batch is given.
 */
int xs_apply(struct store_conn *conn, struct xs_node **root, const struct xs_request *request,
             struct xs_transaction *t, struct xs_batch *batch);

/* NULL for none such. */
struct xs_transaction *xs_transaction_find(struct store_conn *conn, xen_transaction id);
struct xs_node **xs_transaction_root(struct xs_transaction *t);
/* How many more nodes the connection's domain owns in this transaction's tree than at its beginning. */
long *xs_transaction_grown(struct xs_transaction *t);
/* The commit fails if the node at the first length bytes of path is not then what it was at the beginning. */
int xs_transaction_note(struct xs_transaction *t, const char *path, size_t length);
/* The same for the node at path, which is not there, and all on the way up to the first `used` bytes, which is. */
int xs_transaction_missed(struct xs_transaction *t, const char *path, size_t used);
/*
 * What was asked of the node at path was refused; `used` is as of xs_tree_nearest(). xenstored then asks the parent
 * whether the reason may be told (errno_from_parents()), so that the parent, too, must be then what it was.
 */
int xs_transaction_refused(struct xs_transaction *t, const char *path, size_t used);
/* The commit tells watches of this node, which has been noted; exact: only those of this very node. */
void xs_transaction_fire(struct xs_transaction *t, const char *path, bool exact);
/* The commit will fail. */
void xs_transaction_fail(struct xs_transaction *t);
/* Nodes are made: the commit looks at the quota. */
void xs_transaction_creates(struct xs_transaction *t);
/* The commit repeats this request. */
int xs_transaction_record(struct xs_transaction *t, const struct xs_request *request);
void xs_transactions_drop(struct store_conn *conn);

#endif
