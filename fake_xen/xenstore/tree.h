/* SPDX-License-Identifier: MIT */
/*
 * The nodes of xenstore as an immutable tree: a change makes new nodes from the
 * root down to the place of the change and shares all others. So a snapshot is one reference
 * to a root, and a change that fails half way is thrown away by dropping one.
 */
#ifndef FAKEXEN_XENSTORE_TREE_H
#define FAKEXEN_XENSTORE_TREE_H

#include <fakexen/xen_ops.h>

struct xs_node {
    unsigned int refs;
    /* Unique in the store; new whenever value, permissions or the list of children change. */
    uint64_t generation;
    char *name;
    char *value; /* NUL behind its length */
    size_t length;
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX];
    unsigned int perm_count;
    struct xs_node **children; /* in order of creation */
    unsigned int child_count;
};

/* A node without children and without permissions; NULL when out of memory. */
struct xs_node *xs_node_new(const char *name, size_t name_length, const void *value, size_t length);
/* A node equal to this one, with room for one more child, that may be changed until it is shared. */
struct xs_node *xs_node_clone(const struct xs_node *node);
/* As xs_node_clone() with another value. */
struct xs_node *xs_node_with_value(const struct xs_node *node, const void *value, size_t length);
void xs_node_set_perms(struct xs_node *node, const struct xen_xs_perm *perms, unsigned int count);
/* The room must be there: once after xs_node_new() or xs_node_clone(). Takes the child. */
void xs_node_append(struct xs_node *node, struct xs_node *child);
struct xs_node *xs_node_get(struct xs_node *node);
/* NULL is allowed. */
void xs_node_put(struct xs_node *node);

/*
 * Writes the path of a node that the domain owns, other than the root; the first on the way
 * down. False when there is none.
 */
bool xs_tree_owned(const struct xs_node *root, domid_t domid, char path[XEN_XS_PATH_MAX + 1]);
/*
 * The tree with all entries for the domain in permissions, but not the first one of each node, marked XS_IGNORED. Takes
 * no reference from the caller. -ENOMEM.
 */
int xs_tree_ignore(struct xs_node *root, domid_t domid, struct xs_node **out);
/* The node at an absolute path; NULL when there is none. Borrowed. */
struct xs_node *xs_tree_find(struct xs_node *root, const char *path);
/*
 * The deepest node of path that exists, the root at least; *used is how much of path names it. What
 * follows, without the slash, is missing.
 */
struct xs_node *xs_tree_nearest(struct xs_node *root, const char *path, size_t *used);
/*
 * The tree with leaf at path (replaced, or appended to its parent, which must exist), or without
 * the node at path if leaf is NULL. Takes no reference from the caller. generation becomes that of
 * the parent when its list of children changes. -ENOMEM.
 */
int xs_tree_replace(struct xs_node *root, const char *path, struct xs_node *leaf, uint64_t generation,
                    struct xs_node **out);

#endif
