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

/* Per connection. -ENOSPC and -E2BIG beyond, as xenstored does at its quotas. */
#define STORE_TRANSACTIONS_MAX 10u
#define STORE_WATCHES_MAX      1024u

struct store;
struct store_conn;

/* A store with /local/domain and domain 0. */
int store_create(struct store **out);
/* All connections must be gone. NULL is allowed. */
void store_destroy(struct store *store);

/* Makes and removes a domain's home, as libxl does, and fires @introduceDomain and @releaseDomain. */
int store_introduce(struct store *store, domid_t domid);
int store_release(struct store *store, domid_t domid);
/* Whether the domain has a home. */
bool store_introduced(const struct store *store, domid_t domid);

int store_connect(struct store *store, domid_t domid, struct store_conn **out);
/* NULL is allowed. */
void store_disconnect(struct store_conn *conn);
domid_t store_conn_domid(const struct store_conn *conn);
unsigned int store_watch_count(const struct store_conn *conn);
unsigned int store_transaction_count(const struct store_conn *conn);

int store_begin(struct store_conn *conn, xen_transaction *out);
int store_end(struct store_conn *conn, xen_transaction t, bool abort);
ssize_t store_read(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size);
int store_write(struct store_conn *conn, xen_transaction t, const char *path, const void *value,
                size_t length);
int store_mkdir(struct store_conn *conn, xen_transaction t, const char *path);
int store_rm(struct store_conn *conn, xen_transaction t, const char *path);
ssize_t store_directory(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size);
int store_get_perms(struct store_conn *conn, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                    unsigned int count);
int store_set_perms(struct store_conn *conn, xen_transaction t, const char *path,
                    const struct xen_xs_perm *perms, unsigned int count);
int store_watch(struct store_conn *conn, const char *path, const char *token);
int store_unwatch(struct store_conn *conn, const char *path, const char *token);
/* Removes all watches and their events. */
void store_reset_watches(struct store_conn *conn);
bool store_event_waiting(const struct store_conn *conn);
/* Buffers as for xs_watch_read() in xen_ops.h. -EAGAIN when there is none. */
int store_event_take(struct store_conn *conn, char *path, char *token);

#endif
