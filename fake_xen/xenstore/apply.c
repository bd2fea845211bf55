// SPDX-License-Identifier: MIT
/*
 * Who may do what to a tree, and doing it. Permissions follow xenstored_core.c: perm_for_conn(),
 * errno_from_parents(), construct_node().
 */
#include <errno.h>
#include <string.h>

#include "path.h"
#include "store_private.h"

bool xs_owner(domid_t domid, const struct xs_node *node)
{
    return domid == 0 || node->perms[0].domid == domid;
}

unsigned int xs_access(domid_t domid, const struct xs_node *node)
{
    if (xs_owner(domid, node))
        return XEN_XS_BOTH;
    for (unsigned int i = 1; i < node->perm_count; i++) {
        if (node->perms[i].domid == domid)
            return node->perms[i].access;
    }
    return node->perms[0].access;
}

/* A request under way. */
struct job {
    struct store_conn *conn;
    struct xs_node **root;
    const struct xs_request *request;
    struct xs_transaction *t;
    struct xs_events *events;
};

static uint64_t new_generation(const struct job *job)
{
    return ++job->conn->store->generation;
}

static int note(const struct job *job, const char *path, size_t length, bool below)
{
    if (!job->t)
        return 0;
    char prefix[XEN_XS_PATH_MAX + 1];
    memcpy(prefix, path, length);
    prefix[length] = '\0';
    return xs_transaction_note(job->t, prefix, below);
}

/* Puts leaf (or nothing) at path and tells; takes leaf. */
static int put(const struct job *job, const char *path, struct xs_node *leaf)
{
    struct xs_node *after = NULL;
    int rc = xs_tree_replace(*job->root, path, leaf, new_generation(job), &after);
    xs_node_put(leaf);
    if (!rc && job->events) {
        struct xs_change change = {
            .path = job->request->path, .before = *job->root, .after = after, .removed = !leaf};
        rc = xs_events_collect(job->events, job->conn->store, &change);
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

/* Makes what is missing of the path behind parent, whose name ends at used. */
static int create(const struct job *job, const struct xs_node *parent, size_t used)
{
    const char *path = job->request->path;
    size_t start = used == 1 ? 1 : used + 1;
    size_t first_end = start + strcspn(path + start, "/");
    struct xs_node *top = NULL;
    struct xs_node *above = NULL;
    for (size_t at = start;;) {
        size_t length = strcspn(path + at, "/");
        struct xs_node *node = child_of(job, above ? above : parent, path + at, length);
        if (!node) {
            xs_node_put(top);
            return -ENOMEM;
        }
        if (above)
            xs_node_append(above, node);
        else
            top = node;
        above = node;
        at += length;
        if (!path[at])
            break;
        at++;
    }
    char top_path[XEN_XS_PATH_MAX + 1];
    memcpy(top_path, path, first_end);
    top_path[first_end] = '\0';
    return put(job, top_path, top);
}

static int apply_write(const struct job *job, struct xs_node *node, size_t used)
{
    bool exists = !job->request->path[used];
    if (!(xs_access(job->conn->domid, node) & XEN_XS_WRITE))
        return -EACCES;
    if (!exists)
        return create(job, node, used);
    if (job->request->verb == XS_VERB_MKDIR)
        return 0;
    struct xs_node *copy = xs_node_with_value(node, job->request->data, job->request->length);
    if (!copy)
        return -ENOMEM;
    copy->generation = new_generation(job);
    return put(job, job->request->path, copy);
}

static int apply_rm(const struct job *job, struct xs_node *node, size_t used)
{
    const char *path = job->request->path;
    if (!(xs_access(job->conn->domid, node) & XEN_XS_WRITE))
        return -EACCES;
    if (!path[used]) {
        if (!path[1])
            return -EINVAL;
        size_t parent = (size_t)(strrchr(path, '/') - path);
        int rc = note(job, path, parent ? parent : 1, false);
        return rc ? rc : put(job, path, NULL);
    }
    /* Already gone is fine as long as there is a place it could have been in. */
    size_t rest = used == 1 ? 1 : used + 1;
    return strchr(path + rest, '/') ? -ENOENT : 0;
}

static int apply_set_perms(const struct job *job, struct xs_node *node, size_t used)
{
    const struct xen_xs_perm *perms = job->request->data;
    domid_t domid = job->conn->domid;
    if (job->request->path[used])
        return xs_access(domid, node) & XEN_XS_WRITE ? -ENOENT : -EACCES;
    if (!xs_owner(domid, node))
        return -EACCES;
    /* A guest must not give its nodes to another domain's quota. */
    if (domid && perms[0].domid != node->perms[0].domid)
        return -EPERM;
    struct xs_node *copy = xs_node_clone(node);
    if (!copy)
        return -ENOMEM;
    xs_node_set_perms(copy, perms, (unsigned int)job->request->length);
    copy->generation = new_generation(job);
    return put(job, job->request->path, copy);
}

int xs_apply(struct store_conn *conn, struct xs_node **root, const struct xs_request *request,
             struct xs_transaction *t, struct xs_events *events)
{
    struct job job = {.conn = conn, .root = root, .request = request, .t = t, .events = events};
    size_t used;
    struct xs_node *node = xs_tree_nearest(*root, request->path, &used);
    int rc = note(&job, request->path, strlen(request->path), request->verb == XS_VERB_RM);
    if (!rc)
        rc = note(&job, request->path, used, request->verb == XS_VERB_RM && !request->path[used]);
    if (rc)
        return rc;
    switch (request->verb) {
    case XS_VERB_WRITE:
    case XS_VERB_MKDIR:
        return apply_write(&job, node, used);
    case XS_VERB_RM:
        return apply_rm(&job, node, used);
    case XS_VERB_SET_PERMS:
        return apply_set_perms(&job, node, used);
    }
    return -EINVAL;
}
