// SPDX-License-Identifier: MIT
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "home.h"
#include "store_private.h"

/* ---- reading ---- */

/* Finds a node that the connection may read; borrowed until the next change. */
static int find_readable(struct store_conn *conn, xen_transaction id, const char *path, struct xs_node **out)
{
    char absolute[XEN_XS_PATH_MAX + 1];
    int rc = xs_path_resolve(conn->domid, path, false, absolute);
    if (rc)
        return rc;
    struct xs_node *root = conn->store->root;
    struct xs_transaction *t = NULL;
    if (id != XEN_XBT_NIL) {
        t = xs_transaction_find(conn, id);
        if (!t)
            return -ENOENT;
        root = *xs_transaction_root(t);
    }
    size_t used;
    struct xs_node *node = xs_tree_nearest(root, absolute, &used);
    rc = t ? xs_transaction_missed(t, absolute, used) : 0;
    if (rc)
        return rc;
    /* Whether a node exists is told only to those who may read what would be its parent. */
    if (!(xs_access(conn, node) & XEN_XS_READ)) {
        rc = t ? xs_transaction_refused(t, absolute, used) : 0;
        return rc ? rc : -EACCES;
    }
    if (absolute[used])
        return -ENOENT;
    *out = node;
    return 0;
}

ssize_t store_read(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size)
{
    struct xs_node *node;
    int rc = find_readable(conn, t, path, &node);
    if (rc)
        return rc;
    if (node->length >= size)
        return -ERANGE;
    memcpy(buf, node->value, node->length + 1);
    return (ssize_t)node->length;
}

ssize_t store_directory(struct store_conn *conn, xen_transaction t, const char *path, char *buf, size_t size)
{
    struct xs_node *node;
    int rc = find_readable(conn, t, path, &node);
    if (rc)
        return rc;
    size_t used = 0;
    for (unsigned int i = 0; i < node->child_count; i++)
        used += strlen(node->children[i]->name) + 1;
    if (used > XEN_XS_PAYLOAD_MAX)
        return -E2BIG;
    if (used > size)
        return -ERANGE;
    used = 0;
    for (unsigned int i = 0; i < node->child_count; i++) {
        size_t length = strlen(node->children[i]->name) + 1;
        memcpy(buf + used, node->children[i]->name, length);
        used += length;
    }
    return (ssize_t)used;
}

/* The name that byte *offset of the list is in, and where in it; child_count when it is behind the list. */
static unsigned int child_at(const struct xs_node *node, size_t *offset)
{
    unsigned int i;
    for (i = 0; i < node->child_count; i++) {
        size_t length = strlen(node->children[i]->name) + 1;
        if (*offset < length)
            break;
        *offset -= length;
    }
    return i;
}

ssize_t store_directory_part(struct store_conn *conn, xen_transaction t, const char *path, size_t offset,
                             char *buf, size_t size, uint64_t *generation)
{
    struct xs_node *node;
    int rc = find_readable(conn, t, path, &node);
    if (rc)
        return rc;
    size_t used = 0;
    size -= (size_t)snprintf(NULL, 0, "%" PRIu64, node->generation) + 1;
    unsigned int i = child_at(node, &offset);
    for (; i < node->child_count; i++) {
        const char *name = node->children[i]->name + offset;
        size_t length = strlen(name) + 1;
        /* One byte stays for the end of the list. */
        if (used + length >= size)
            break;
        memcpy(buf + used, name, length);
        used += length;
        offset = 0;
    }
    if (i == node->child_count)
        buf[used++] = '\0';
    *generation = node->generation;
    return (ssize_t)used;
}

int store_get_perms(struct store_conn *conn, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                    unsigned int count)
{
    struct xs_node *node;
    int rc = find_readable(conn, t, path, &node);
    if (rc)
        return rc;
    if (node->perm_count > count)
        return -ERANGE;
    for (unsigned int i = 0; i < node->perm_count; i++) {
        perms[i] = node->perms[i];
        perms[i].access &= (enum xen_xs_access)~XS_IGNORED;
    }
    return (int)node->perm_count;
}

/* ---- changing ---- */

static int change(struct store_conn *conn, xen_transaction id, const char *path, struct xs_request *request)
{
    char absolute[XEN_XS_PATH_MAX + 1];
    struct xs_batch batch = {0};
    struct xs_transaction *t = NULL;
    long grown = 0;
    int rc = xs_path_resolve(conn->domid, path, false, absolute);
    if (rc)
        return rc;
    if (id != XEN_XBT_NIL) {
        t = xs_transaction_find(conn, id);
        if (!t)
            return -ENOENT;
        grown = *xs_transaction_grown(t);
    }
    request->path = absolute;
    struct xs_node **place = t ? xs_transaction_root(t) : &conn->store->root;
    struct xs_node *root = xs_node_get(*place);
    rc = xs_apply(conn, &root, request, t, t ? NULL : &batch);
    if (!rc && t) {
        rc = xs_transaction_record(t, request);
        if (rc)
            *xs_transaction_grown(t) = grown;
    }
    if (!rc) {
        struct xs_node *old = *place;
        *place = root;
        root = old;
        xs_events_deliver(&batch);
    }
    xs_batch_drop(&batch);
    xs_node_put(root);
    return rc;
}

int store_write(struct store_conn *conn, xen_transaction t, const char *path, const void *value,
                size_t length)
{
    /* On the wire path, its NUL and the value share one payload. */
    if (length > XEN_XS_PAYLOAD_MAX || strlen(path) + 1 + length > XEN_XS_PAYLOAD_MAX)
        return -E2BIG;
    struct xs_request request = {.verb = XS_VERB_WRITE, .data = value, .length = length};
    return change(conn, t, path, &request);
}

int store_mkdir(struct store_conn *conn, xen_transaction t, const char *path)
{
    struct xs_request request = {.verb = XS_VERB_MKDIR};
    return change(conn, t, path, &request);
}

int store_rm(struct store_conn *conn, xen_transaction t, const char *path)
{
    struct xs_request request = {.verb = XS_VERB_RM};
    return change(conn, t, path, &request);
}

struct xs_special *xs_special_find(struct store *store, const char *name)
{
    for (unsigned int i = 0; i < XS_SPECIALS; i++) {
        if (strcmp(store->specials[i].name, name) == 0)
            return &store->specials[i];
    }
    return NULL;
}

static int set_special_perms(struct store_conn *conn, const char *name, const struct xen_xs_perm *perms,
                             unsigned int count)
{
    struct xs_special *special = xs_special_find(conn->store, name);
    if (!special)
        return -EINVAL;
    if (!xs_owner(conn, special->perms))
        return -EACCES;
    memcpy(special->perms, perms, count * sizeof(*perms));
    special->perm_count = count;
    return 0;
}

int store_set_perms(struct store_conn *conn, xen_transaction t, const char *path,
                    const struct xen_xs_perm *perms, unsigned int count)
{
    if (!count || count > (conn->domid ? STORE_NODE_PERMS_MAX : XEN_XS_PERMS_MAX))
        return count ? -ENOSPC : -EINVAL;
    struct xen_xs_perm kept[XEN_XS_PERMS_MAX];
    for (unsigned int i = 0; i < count; i++) {
        if ((unsigned int)perms[i].access > XEN_XS_BOTH)
            return -EINVAL;
        kept[i] = perms[i];
        if (perms[i].domid >= DOMID_FIRST_RESERVED || !conn->store->domains[perms[i].domid].present)
            kept[i].access |= XS_IGNORED;
    }
    if (kept[0].access & XS_IGNORED)
        return -ENOENT;
    if (path[0] == '@')
        return set_special_perms(conn, path, kept, count);
    struct xs_request request = {.verb = XS_VERB_SET_PERMS, .data = kept, .length = count};
    return change(conn, t, path, &request);
}

/* ---- connections ---- */

int store_connect(struct store *store, domid_t domid, struct store_conn **out)
{
    struct store_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return -ENOMEM;
    conn->store = store;
    conn->domid = domid;
    conn->next = store->conns;
    store->conns = conn;
    *out = conn;
    return 0;
}

void store_disconnect(struct store_conn *conn)
{
    if (!conn)
        return;
    struct store_conn **at = &conn->store->conns;
    while (*at != conn)
        at = &(*at)->next;
    *at = conn->next;
    store_reset(conn);
    free(conn);
}

domid_t store_conn_domid(const struct store_conn *conn)
{
    return conn->domid;
}

unsigned int store_watch_count(const struct store_conn *conn)
{
    return conn->watch_count;
}

unsigned int store_transaction_count(const struct store_conn *conn)
{
    return conn->transaction_count;
}

/* ---- domains ---- */

/* The events of "@introduceDomain" or the like, to be delivered when it has happened. */
static int special_events(struct store *store, const char *name, struct xs_batch *batch)
{
    struct xs_change happening = {.path = name};
    return xs_events_collect(batch, store, &happening);
}

static int make_home(struct store_conn *conn, xen_transaction t, domid_t domid)
{
    struct xs_home_node nodes[XS_HOME_NODES];
    unsigned int count = xs_home_nodes(domid, nodes);
    int rc = 0;
    for (unsigned int i = 0; !rc && i < count; i++) {
        const struct xs_home_node *node = &nodes[i];
        rc = node->folder ? store_mkdir(conn, t, node->path)
                          : store_write(conn, t, node->path, node->value, strlen(node->value));
        if (!rc && node->perm_count)
            rc = store_set_perms(conn, t, node->path, node->perms, node->perm_count);
    }
    return rc;
}

static int make_nodes(struct store_conn *conn, domid_t domid)
{
    xen_transaction t;
    int rc = store_begin(conn, &t);
    if (rc)
        return rc;
    int made = make_home(conn, t, domid);
    rc = store_end(conn, t, made != 0);
    return made ? made : rc;
}

/* The home, and what the domain owns elsewhere: the next one with its number must not inherit it. */
static int remove_nodes(struct store_conn *conn, domid_t domid, struct xs_node **root, struct xs_batch *batch)
{
    char path[XEN_XS_PATH_MAX + 1];
    const struct xs_request request = {.verb = XS_VERB_RM, .path = path};
    xs_path_home(domid, path);
    int rc = xs_apply(conn, root, &request, NULL, batch);
    /* Domain 0 may have removed even the place of all homes. */
    if (rc == -ENOENT)
        rc = 0;
    while (!rc && xs_tree_owned(*root, domid, path))
        rc = xs_apply(conn, root, &request, NULL, batch);
    return rc;
}

/* Entries in the permissions of others: the next domain with this number must not have them. */
static void forget_special_perms(struct store *store, domid_t domid)
{
    for (unsigned int i = 0; i < XS_SPECIALS; i++) {
        struct xs_special *special = &store->specials[i];
        unsigned int kept = 1;
        if (special->perms[0].domid == domid)
            special->perms[0].domid = 0;
        for (unsigned int k = 1; k < special->perm_count; k++) {
            if (special->perms[k].domid != domid)
                special->perms[kept++] = special->perms[k];
        }
        special->perm_count = kept;
    }
}

static int remove_domain(struct store *store, struct store_conn *conn, domid_t domid)
{
    struct xs_batch batch = {0};
    struct xs_node *root;
    int rc = xs_tree_ignore(store->root, domid, &root);
    if (rc)
        return rc;
    rc = remove_nodes(conn, domid, &root, &batch);
    if (rc) {
        /* What has been counted belongs to a tree that is not going to be. */
        xs_count(store, root, -1);
        xs_count(store, store->root, 1);
    } else {
        struct xs_node *old = store->root;
        store->root = root;
        root = old;
        forget_special_perms(store, domid);
        xs_events_deliver(&batch);
    }
    xs_batch_drop(&batch);
    xs_node_put(root);
    return rc;
}

/* Neither its own, nor the domain as one: the number may come again. */
static void forget_targets(struct store *store, domid_t domid)
{
    store->domains[domid].has_target = false;
    for (unsigned int i = 0; store->targets && i < DOMID_FIRST_RESERVED; i++) {
        if (store->domains[i].has_target && store->domains[i].target == domid)
            store->domains[i].has_target = false;
    }
}

/* Makes or removes a domain and tells so. */
static int change_domain(struct store *store, domid_t domid, bool make)
{
    struct store_conn *conn = NULL;
    struct xs_batch batch = {0};
    struct xs_domain *domain = &store->domains[domid];
    int rc;

    rc = store_connect(store, 0, &conn);
    if (rc)
        goto out;
    if (make || domain->introduced)
        rc = special_events(store, make ? "@introduceDomain" : "@releaseDomain", &batch);
    if (rc)
        goto out;
    /* What is made now is the domain's already. */
    domain->present = true;
    rc = make ? make_nodes(conn, domid) : remove_domain(store, conn, domid);
    if (rc) {
        domain->present = !make;
        goto out;
    }
    xs_events_deliver(&batch);
    domain->present = make;
    domain->introduced = make;
    forget_targets(store, domid);
out:
    xs_batch_drop(&batch);
    store_disconnect(conn);
    return rc;
}

int store_introduce(struct store *store, domid_t domid)
{
    return change_domain(store, domid, true);
}

int store_release(struct store *store, domid_t domid)
{
    return change_domain(store, domid, false);
}

bool store_introduced(const struct store *store, domid_t domid)
{
    return domid < DOMID_FIRST_RESERVED && store->domains[domid].introduced;
}

int store_mark_introduced(struct store *store, domid_t domid, bool introduced)
{
    struct xs_batch batch = {0};
    struct xs_domain *domain = domid < DOMID_FIRST_RESERVED ? &store->domains[domid] : NULL;
    if (!domain || !domain->present)
        return introduced ? -EINVAL : -ENOENT;
    /* For one that is introduced XS_INTRODUCE only makes its event channel anew. */
    if (domain->introduced == introduced)
        return introduced ? 0 : -ENOENT;
    int rc = special_events(store, introduced ? "@introduceDomain" : "@releaseDomain", &batch);
    if (rc) {
        xs_batch_drop(&batch);
        return rc;
    }
    xs_events_deliver(&batch);
    domain->introduced = introduced;
    forget_targets(store, domid);
    return 0;
}

int store_set_target(struct store *store, domid_t domid, domid_t target)
{
    if (!store_introduced(store, domid) || !store_introduced(store, target))
        return -ENOENT;
    store->domains[domid].target = target;
    store->domains[domid].has_target = true;
    store->targets = true;
    return 0;
}

/* ---- the store ---- */

/* setup_structure() of xenstored. */
static int make_tool(struct store *store)
{
    struct store_conn *conn;
    int rc = store_connect(store, 0, &conn);
    if (rc)
        return rc;
    rc = store_mkdir(conn, XEN_XBT_NIL, "/tool/xenstored");
    store_disconnect(conn);
    return rc;
}

int store_create(struct store **out)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    int rc = -ENOMEM;
    /* Only domain 0 is told of other domains, until it lets others know (dom_release_perms of xenstored). */
    const struct xen_xs_perm none = {.domid = 0, .access = XEN_XS_NONE};
    store->specials[0] = (struct xs_special){.name = "@introduceDomain", .perms = {none}, .perm_count = 1};
    store->specials[1] = (struct xs_special){.name = "@releaseDomain", .perms = {none}, .perm_count = 1};
    store->root = xs_node_new("", 0, NULL, 0);
    if (store->root) {
        xs_node_set_perms(store->root, &none, 1);
        store->root->generation = ++store->generation;
        xs_count(store, store->root, 1);
        rc = make_tool(store);
    }
    if (!rc)
        rc = store_introduce(store, 0);
    if (rc) {
        store_destroy(store);
        return rc;
    }
    *out = store;
    return 0;
}

void store_destroy(struct store *store)
{
    if (!store)
        return;
    assert(!store->conns);
    xs_node_put(store->root);
    free(store);
}
