/* SPDX-License-Identifier: MIT */
/*
 * xenstore as pure logic: a tree, connections, transactions, watches. No I/O, no clock.
 *
 * A connection belongs to one domain. Errors are negative errno values of xsd_errors
 * (xen/io/xs_wire.h); -ERANGE is only about the caller's buffer. Semantics are those of the
 * calls xs_* in xen_ops.h, after Xen's tools/xenstore.
 */
#ifndef FAKEXEN_XENSTORE_STORE_H
#define FAKEXEN_XENSTORE_STORE_H

#include <fakexen/xen_ops.h>

/*
 * Quotas of each domain but domain 0, with the defaults of Xen's C xenstored; beyond it is -ENOSPC, for
 * watches -E2BIG. As there, one more transaction and one more watch pass, as the test is for more than the limit;
 * and nodes made in a transaction are counted at its end, where they must leave one to spare.
 */
#define STORE_ENTRIES_MAX      1000u /* nodes owned */
#define STORE_WATCHES_MAX      128u
#define STORE_TRANSACTIONS_MAX 10u
#define STORE_NODE_SIZE_MAX    2048u /* a node with its permissions, value and names of children is smaller */
#define STORE_NODE_PERMS_MAX   5u
/*
 * Nodes looked at in one transaction; and, as changes are repeated by the commit, changes in it, where 32
 * components of a path count as one change more.
 */
#define STORE_TRANSACTION_NODES_MAX 1024u
/* Bytes of events that wait in one connection. Beyond, store_event_take() fails for ever. */
#define STORE_EVENTS_MAX (1024u * 1024u)

struct store;
struct store_conn;

/* A store with /local/domain and domain 0. */
int store_create(struct store **out);
/* All connections must be gone. NULL is allowed. */
void store_destroy(struct store *store);

/*
 * Makes and removes a domain's home, as libxl does, and fires @introduceDomain and @releaseDomain. With
 * the domain go all nodes that it owned, wherever they are (XSA-322).
 */
int store_introduce(struct store *store, domid_t domid);
int store_release(struct store *store, domid_t domid);
/* What XS_IS_DOMAIN_INTRODUCED says. */
bool store_introduced(const struct store *store, domid_t domid);
/*
 * XS_INTRODUCE and XS_RELEASE of a tool: whether the domain is introduced, not whether it is there. -EINVAL
 * to introduce one that is not there, -ENOENT to release one that is not introduced.
 */
int store_mark_introduced(struct store *store, domid_t domid, bool introduced);
/* XS_SET_TARGET: domid may do from now on what target may. -ENOENT if one is not introduced. */
int store_set_target(struct store *store, domid_t domid, domid_t target);

int store_connect(struct store *store, domid_t domid, struct store_conn **out);
/* NULL is allowed. */
void store_disconnect(struct store_conn *conn);
domid_t store_conn_domid(const struct store_conn *conn);
unsigned int store_watch_count(const struct store_conn *conn);
unsigned int store_transaction_count(const struct store_conn *conn);
bool store_transaction_open(struct store_conn *conn, xen_transaction t);

int store_begin(struct store_conn *conn, xen_transaction *out);
int store_end(struct store_conn *conn, xen_transaction t, bool abort);
ssize_t store_read(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size);
int store_write(struct store_conn *conn, xen_transaction t, const char *path, const void *value,
                size_t length);
int store_mkdir(struct store_conn *conn, xen_transaction t, const char *path);
int store_rm(struct store_conn *conn, xen_transaction t, const char *path);
ssize_t store_directory(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size);
/*
 * A part of the names from byte `offset` of all of them, only whole ones (the first may have lost its
 * beginning), with a NUL behind the last one of all; and the node's generation, which tells
 * whether parts belong together. Behind that number as text, with a NUL, they fit into size bytes (more than 22).
 */
ssize_t store_directory_part(struct store_conn *conn, xen_transaction t, const char *path, size_t offset,
                             char *buf, size_t size, uint64_t *generation);
int store_get_perms(struct store_conn *conn, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                    unsigned int count);
/* path may be "@introduceDomain" or "@releaseDomain", whose permissions say who is told of them. */
int store_set_perms(struct store_conn *conn, xen_transaction t, const char *path,
                    const struct xen_xs_perm *perms, unsigned int count);
int store_watch(struct store_conn *conn, const char *path, const char *token);
int store_unwatch(struct store_conn *conn, const char *path, const char *token);
/* Removes all watches and their events, and all transactions. */
void store_reset(struct store_conn *conn);
bool store_event_waiting(const struct store_conn *conn);
/* Buffers as for xs_watch_read() in xen_ops.h. -EAGAIN when there is none, -EPIPE when events were lost. */
int store_event_take(struct store_conn *conn, char *path, char *token);

#endif
