// SPDX-License-Identifier: MIT
#include "tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"

/* ---- nodes ---- */

static struct xs_node *node_new(const char *name, size_t name_length, const void *value, size_t length,
                                unsigned int child_room)
{
    struct xs_node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->refs = 1;
    node->name = strndup(name, name_length);
    node->value = malloc(length + 1);
    node->children = calloc(child_room, sizeof(struct xs_node *));
    if (!node->name || !node->value || !node->children) {
        xs_node_put(node);
        return NULL;
    }
    if (length)
        memcpy(node->value, value, length);
    node->value[length] = '\0';
    node->length = length;
    return node;
}

struct xs_node *xs_node_new(const char *name, size_t name_length, const void *value, size_t length)
{
    return node_new(name, name_length, value, length, 1);
}

struct xs_node *xs_node_with_value(const struct xs_node *node, const void *value, size_t length)
{
    struct xs_node *copy = node_new(node->name, strlen(node->name), value, length, node->child_count + 1);
    if (!copy)
        return NULL;
    copy->generation = node->generation;
    xs_node_set_perms(copy, node->perms, node->perm_count);
    for (unsigned int i = 0; i < node->child_count; i++)
        copy->children[i] = xs_node_get(node->children[i]);
    copy->child_count = node->child_count;
    return copy;
}

struct xs_node *xs_node_clone(const struct xs_node *node)
{
    return xs_node_with_value(node, node->value, node->length);
}

void xs_node_set_perms(struct xs_node *node, const struct xen_xs_perm *perms, unsigned int count)
{
    assert(count <= XEN_XS_PERMS_MAX);
    memcpy(node->perms, perms, count * sizeof(*perms));
    node->perm_count = count;
}

void xs_node_append(struct xs_node *node, struct xs_node *child)
{
    node->children[node->child_count++] = child;
}

struct xs_node *xs_node_get(struct xs_node *node)
{
    node->refs++;
    return node;
}

void xs_node_put(struct xs_node *node)
{
    if (!node || --node->refs)
        return;
    for (unsigned int i = 0; i < node->child_count; i++)
        xs_node_put(node->children[i]);
    free(node->children);
    free(node->value);
    free(node->name);
    free(node);
}

/* ---- trees ---- */

static size_t component(const char *path)
{
    return strcspn(path, "/");
}

/* The index of a child, child_count when there is none. */
static unsigned int child_index(const struct xs_node *node, const char *name, size_t length)
{
    unsigned int i;
    for (i = 0; i < node->child_count; i++) {
        const char *have = node->children[i]->name;
        if (strncmp(have, name, length) == 0 && !have[length])
            break;
    }
    return i;
}

struct xs_node *xs_tree_nearest(struct xs_node *root, const char *path, size_t *used)
{
    struct xs_node *node = root;
    size_t at = 1;
    *used = 1;
    while (path[at]) {
        size_t length = component(path + at);
        unsigned int i = child_index(node, path + at, length);
        if (i == node->child_count)
            break;
        node = node->children[i];
        at += length;
        *used = at;
        if (path[at] == '/')
            at++;
    }
    return node;
}

struct xs_node *xs_tree_find(struct xs_node *root, const char *path)
{
    size_t used;
    struct xs_node *node = xs_tree_nearest(root, path, &used);
    return path[used] ? NULL : node;
}

/* length is that of the path of node, without the root's slash. */
static bool owned_below(const struct xs_node *node, domid_t domid, char *path, size_t length)
{
    for (unsigned int i = 0; i < node->child_count; i++) {
        const struct xs_node *child = node->children[i];
        size_t name = strlen(child->name);
        path[length] = '/';
        memcpy(path + length + 1, child->name, name + 1);
        if (child->perms[0].domid == domid || owned_below(child, domid, path, length + 1 + name))
            return true;
    }
    return false;
}

bool xs_tree_owned(const struct xs_node *root, domid_t domid, char path[XEN_XS_PATH_MAX + 1])
{
    return owned_below(root, domid, path, 0);
}

static void ignore_perms(struct xs_node *node, domid_t domid)
{
    for (unsigned int i = 1; i < node->perm_count; i++) {
        if (node->perms[i].domid == domid)
            node->perms[i].access |= XS_IGNORED;
    }
}

static bool has_perms(const struct xs_node *node, domid_t domid)
{
    for (unsigned int i = 1; i < node->perm_count; i++) {
        if (node->perms[i].domid == domid)
            return true;
    }
    return false;
}

/* As deep as the tree is: XEN_XS_PATH_MAX / 2 at most. */
int xs_tree_ignore(struct xs_node *root, domid_t domid, struct xs_node **out)
{
    struct xs_node *copy = NULL;
    if (has_perms(root, domid)) {
        copy = xs_node_clone(root);
        if (!copy)
            return -ENOMEM;
        ignore_perms(copy, domid);
    }
    for (unsigned int i = 0; i < root->child_count; i++) {
        struct xs_node *child;
        int rc = xs_tree_ignore(root->children[i], domid, &child);
        if (!rc && child != root->children[i] && !copy) {
            copy = xs_node_clone(root);
            if (!copy)
                xs_node_put(child);
            rc = copy ? 0 : -ENOMEM;
        }
        if (rc) {
            xs_node_put(copy);
            return rc;
        }
        if (child == root->children[i]) {
            xs_node_put(child);
            continue;
        }
        xs_node_put(copy->children[i]);
        copy->children[i] = child;
    }
    *out = copy ? copy : xs_node_get(root);
    return 0;
}

static void remove_child(struct xs_node *node, unsigned int i)
{
    xs_node_put(node->children[i]);
    node->child_count--;
    memmove(&node->children[i], &node->children[i + 1], (node->child_count - i) * sizeof(struct xs_node *));
}

/* rest is path without the slash before it. As deep as the path has components: XEN_XS_PATH_MAX / 2 at most.
 */
static int replace(struct xs_node *node, const char *rest, struct xs_node *leaf, uint64_t generation,
                   struct xs_node **out)
{
    if (!*rest) {
        *out = xs_node_get(leaf);
        return 0;
    }
    size_t length = component(rest);
    unsigned int i = child_index(node, rest, length);
    bool last = !rest[length];
    struct xs_node *child = NULL;
    if (!last || leaf) {
        int rc = last ? replace(node, "", leaf, generation, &child)
                      : replace(node->children[i], rest + length + 1, leaf, generation, &child);
        if (rc)
            return rc;
    }
    struct xs_node *copy = xs_node_clone(node);
    if (!copy) {
        xs_node_put(child);
        return -ENOMEM;
    }
    if (!child) {
        remove_child(copy, i);
        copy->generation = generation;
    } else if (i == copy->child_count) {
        xs_node_append(copy, child);
        copy->generation = generation;
    } else {
        xs_node_put(copy->children[i]);
        copy->children[i] = child;
    }
    *out = copy;
    return 0;
}

int xs_tree_replace(struct xs_node *root, const char *path, struct xs_node *leaf, uint64_t generation,
                    struct xs_node **out)
{
    return replace(root, path + 1, leaf, generation, out);
}
