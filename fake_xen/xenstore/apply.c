// SPDX-License-Identifier: MIT
/*
 * Who may do what to a tree, and doing it. Permissions follow xenstored_core.c: perm_for_conn(),
 * errno_from_parents(), construct_node().
 */
#include <errno.h>
#include <string.h>

#include "path.h"
#include "store_private.h"

/* A domain with a target has the target's rights as well as its own. */
static bool is_one_of(const struct store_conn *conn, domid_t domid)
{
    const struct xs_domain *domain = &conn->store->domains[conn->domid];
    return domid == conn->domid || (domain->has_target && domain->target == domid);
}

bool xs_owner(const struct store_conn *conn, const struct xen_xs_perm *perms)
{
    return conn->domid == 0 || is_one_of(conn, perms[0].domid);
}

unsigned int xs_perms_access(const struct store_conn *conn, const struct xen_xs_perm *perms,
                             unsigned int count)
{
    if (xs_owner(conn, perms))
        return XEN_XS_BOTH;
    for (unsigned int i = 1; i < count; i++) {
        if (!(perms[i].access & XS_IGNORED) && is_one_of(conn, perms[i].domid))
            return perms[i].access;
    }
    return perms[0].access;
}

unsigned int xs_access(const struct store_conn *conn, const struct xs_node *node)
{
    return xs_perms_access(conn, node->perms, node->perm_count);
}

/* What a node counts for STORE_NODE_SIZE_MAX, as write_node_raw() of xenstored has it. */
static size_t xs_node_size(const struct xs_node *node)
{
    /* struct xs_tdb_record_hdr and struct xs_permissions of xenstored. */
    size_t size = 24 + 8 * (size_t)node->perm_count + node->length;
    for (unsigned int i = 0; i < node->child_count; i++)
        size += strlen(node->children[i]->name) + 1;
    return size;
}

void xs_count(struct store *store, const struct xs_node *root, int step)
{
    store->domains[root->perms[0].domid].entries += (uint32_t)step;
    for (unsigned int i = 0; i < root->child_count; i++)
        xs_count(store, root->children[i], step);
}

/* A request under way. */
struct job {
    struct store_conn *conn;
    struct xs_node **root;
    const struct xs_request *request;
    struct xs_transaction *t;
    struct xs_batch *batch; /* NULL in a transaction: nothing is counted or told before its commit */
};

static uint64_t new_generation(const struct job *job)
{
    return ++job->conn->store->generation;
}

static int refused(const struct job *job, size_t used)
{
    int rc = job->t ? xs_transaction_refused(job->t, job->request->path, used) : 0;
    return rc ? rc : -EACCES;
}

/* Nodes of the connection's domain in the tree below. */
static long owned(const struct job *job, const struct xs_node *node)
{
    long count = node->perms[0].domid == job->conn->domid;
    for (unsigned int i = 0; i < node->child_count; i++)
        count += owned(job, node->children[i]);
    return count;
}

/* Counts the tree below node, which has come (1) or gone (-1). */
static void count(const struct job *job, const struct xs_node *node, int step)
{
    if (job->batch)
        xs_count(job->conn->store, node, step);
    else
        *xs_transaction_grown(job->t) += step * owned(job, node);
}

/* Only guests have quotas. */
static int check_quota(const struct job *job, unsigned int more)
{
    const struct store_conn *conn = job->conn;
    /* What a transaction makes is counted at its end. */
    uint32_t have = conn->store->domains[conn->domid].entries + (job->t ? 1 : more);
    return conn->domid && have > STORE_ENTRIES_MAX ? -ENOSPC : 0;
}

/* A transaction in which something was too large can only fail: write_node(). */
static int check_size(const struct job *job, const struct xs_node *node, size_t more)
{
    if (!job->conn->domid || xs_node_size(node) + more < STORE_NODE_SIZE_MAX)
        return 0;
    if (job->t)
        xs_transaction_fail(job->t);
    return -ENOSPC;
}

/* Puts leaf (or nothing) at path and tells; takes leaf. */
static int put(const struct job *job, const char *path, struct xs_node *leaf)
{
    struct xs_node *after = NULL;
    int rc = xs_tree_replace(*job->root, path, leaf, new_generation(job), &after);
    xs_node_put(leaf);
    if (!rc && job->batch && !job->batch->quiet) {
        struct xs_change change = {
            .path = job->request->path, .before = *job->root, .after = after, .removed = !leaf};
        rc = xs_events_collect(job->batch, job->conn->store, &change);
    }
    if (rc) {
        xs_node_put(after);
        return rc;
    }
    xs_node_put(*job->root);
    *job->root = after;
    return 0;
}

static struct xs_node *child_of(const struct job *job, const struct xs_node *parent, const char *name,
                                size_t length)
{
    const char *end = name + length;
    bool leaf = !*end && job->request->verb == XS_VERB_WRITE;
    struct xs_node *node =
        xs_node_new(name, length, leaf ? job->request->data : NULL, leaf ? job->request->length : 0);
    if (!node)
        return NULL;
    xs_node_set_perms(node, parent->perms, parent->perm_count);
    if (job->conn->domid)
        node->perms[0].domid = job->conn->domid;
    node->generation = new_generation(job);
    return node;
}

/* Makes what is missing of the path from start on, below parent. */
static int make_branch(const struct job *job, const struct xs_node *parent, size_t start,
                       struct xs_node **out)
{
    const char *path = job->request->path;
    struct xs_node *top = NULL;
    struct xs_node *above = NULL;
    unsigned int made = 0;
    int rc = 0;
    for (size_t at = start; !rc;) {
        size_t length = strcspn(path + at, "/");
        struct xs_node *node = child_of(job, above ? above : parent, path + at, length);
        rc = node ? 0 : -ENOMEM;
        if (rc)
            break;
        if (above)
            xs_node_append(above, node);
        else
            top = node;
        if (above)
            rc = check_size(job, above, 0);
        made++;
        above = node;
        at += length;
        if (!path[at])
            break;
        at++;
    }
    if (!rc)
        rc = check_size(job, above, 0);
    if (!rc)
        rc = check_quota(job, made);
    if (rc)
        xs_node_put(top);
    else
        *out = top;
    return rc;
}

static int create(const struct job *job, const struct xs_node *parent, size_t used)
{
    const char *path = job->request->path;
    size_t start = used == 1 ? 1 : used + 1;
    size_t end = start + strcspn(path + start, "/");
    struct xs_node *top;
    if (job->t)
        xs_transaction_creates(job->t);
    int rc = check_quota(job, 1);
    if (!rc)
        rc = check_size(job, parent, end - start + 1);
    if (!rc)
        rc = make_branch(job, parent, start, &top);
    if (rc)
        return rc;
    char top_path[XEN_XS_PATH_MAX + 1];
    memcpy(top_path, path, end);
    top_path[end] = '\0';
    rc = put(job, top_path, xs_node_get(top));
    if (!rc)
        count(job, top, 1);
    xs_node_put(top);
    return rc;
}

static int apply_write(const struct job *job, struct xs_node *node, size_t used)
{
    bool exists = !job->request->path[used];
    if (!(xs_access(job->conn, node) & XEN_XS_WRITE))
        return refused(job, used);
    if (!exists)
        return create(job, node, used);
    if (job->request->verb == XS_VERB_MKDIR)
        return 0;
    struct xs_node *copy = xs_node_with_value(node, job->request->data, job->request->length);
    if (!copy)
        return -ENOMEM;
    copy->generation = new_generation(job);
    int rc = check_size(job, copy, 0);
    if (rc) {
        xs_node_put(copy);
        return rc;
    }
    return put(job, job->request->path, copy);
}

/* All that goes with a node is looked at, from there down, and told of. */
static int note_below(const struct job *job, const struct xs_node *node, char *path, size_t length)
{
    for (unsigned int i = 0; i < node->child_count; i++) {
        const struct xs_node *child = node->children[i];
        size_t end = length + 1 + strlen(child->name);
        path[length] = '/';
        strcpy(path + length + 1, child->name);
        int rc = xs_transaction_note(job->t, path, end);
        if (rc)
            return rc;
        xs_transaction_fire(job->t, path, true);
        rc = note_below(job, child, path, end);
        if (rc)
            return rc;
    }
    return 0;
}

static int note_removal(const struct job *job, const struct xs_node *node)
{
    char path[XEN_XS_PATH_MAX + 1];
    strcpy(path, job->request->path);
    return note_below(job, node, path, strlen(path));
}

static int apply_rm(const struct job *job, struct xs_node *node, size_t used)
{
    const char *path = job->request->path;
    if (!(xs_access(job->conn, node) & XEN_XS_WRITE))
        return refused(job, used);
    if (!path[used]) {
        if (!path[1])
            return -EINVAL;
        size_t parent = (size_t)(strrchr(path, '/') - path);
        int rc = job->t ? xs_transaction_note(job->t, path, parent ? parent : 1) : 0;
        if (!rc && job->t)
            rc = note_removal(job, node);
        if (rc)
            return rc;
        xs_node_get(node);
        rc = put(job, path, NULL);
        if (!rc)
            count(job, node, -1);
        xs_node_put(node);
        return rc;
    }
    /* Already gone is fine as long as there is a place it could have been in. */
    size_t rest = used == 1 ? 1 : used + 1;
    return strchr(path + rest, '/') ? -ENOENT : 0;
}

static int apply_set_perms(const struct job *job, struct xs_node *node, size_t used)
{
    const struct xen_xs_perm *perms = job->request->data;
    struct store *store = job->conn->store;
    domid_t old_owner = node->perms[0].domid;
    if (job->request->path[used])
        return xs_access(job->conn, node) & XEN_XS_WRITE ? -ENOENT : -EACCES;
    if (!xs_owner(job->conn, node->perms))
        return refused(job, used);
    /* A guest must not give its nodes to another domain's quota. */
    if (job->conn->domid && perms[0].domid != old_owner)
        return -EPERM;
    struct xs_node *copy = xs_node_clone(node);
    if (!copy)
        return -ENOMEM;
    xs_node_set_perms(copy, perms, (unsigned int)job->request->length);
    copy->generation = new_generation(job);
    int rc = check_size(job, copy, 0);
    if (rc) {
        xs_node_put(copy);
        return rc;
    }
    rc = put(job, job->request->path, copy);
    /* In a transaction only domain 0 can do this, whose own nodes nobody counts. */
    if (!rc && job->batch) {
        store->domains[old_owner].entries--;
        store->domains[perms[0].domid].entries++;
    }
    return rc;
}

int xs_apply(struct store_conn *conn, struct xs_node **root, const struct xs_request *request,
             struct xs_transaction *t, struct xs_batch *batch)
{
    struct job job = {.conn = conn, .root = root, .request = request, .t = t, .batch = batch};
    size_t used;
    struct xs_node *node = xs_tree_nearest(*root, request->path, &used);
    int rc = t ? xs_transaction_missed(t, request->path, used) : 0;
    if (rc)
        return rc;
    bool tells = request->path[used] ? request->verb != XS_VERB_RM : request->verb != XS_VERB_MKDIR;
    switch (request->verb) {
    case XS_VERB_WRITE:
    case XS_VERB_MKDIR:
        rc = apply_write(&job, node, used);
        break;
    case XS_VERB_RM:
        rc = apply_rm(&job, node, used);
        break;
    case XS_VERB_SET_PERMS:
        rc = apply_set_perms(&job, node, used);
        break;
    }
    if (!rc && t && tells)
        xs_transaction_fire(t, request->path, false);
    return rc;
}
