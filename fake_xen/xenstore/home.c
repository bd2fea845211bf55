// SPDX-License-Identifier: MIT
#include "home.h"

#include <stdio.h>

static void set_perms(struct xs_home_node *node, domid_t domid, bool own)
{
    if (!domid)
        return;
    if (own) {
        node->perms[node->perm_count++] = (struct xen_xs_perm){.domid = domid, .access = XEN_XS_NONE};
        return;
    }
    node->perms[node->perm_count++] = (struct xen_xs_perm){.domid = 0, .access = XEN_XS_NONE};
    node->perms[node->perm_count++] = (struct xen_xs_perm){.domid = domid, .access = XEN_XS_READ};
}

unsigned int xs_home_nodes(domid_t domid, struct xs_home_node nodes[XS_HOME_NODES])
{
    static const struct {
        const char *name;
        const char *value; /* before the domid; NULL: a folder */
        bool own;          /* the domain's own, else domain 0's and readable by it */
    } all[XS_HOME_NODES] = {
        {"", NULL, false},        {"/domid", "", false},   {"/name", "Domain-", false},
        {"/device", NULL, false}, {"/data", NULL, true},   {"/error", NULL, true},
        {"/drivers", NULL, true}, {"/attr", NULL, true},   {"/feature", NULL, true},
    };
    char home[XS_HOME_SIZE];
    unsigned int count = domid ? XS_HOME_NODES : 3;
    xs_path_home(domid, home);
    for (unsigned int i = 0; i < count; i++) {
        struct xs_home_node *node = &nodes[i];
        *node = (struct xs_home_node){.folder = !all[i].value};
        snprintf(node->path, sizeof(node->path), "%s%s", home, all[i].name);
        if (!node->folder)
            snprintf(node->value, sizeof(node->value), "%s%u", all[i].value, (unsigned int)domid);
        set_perms(node, domid, all[i].own);
    }
    return count;
}
