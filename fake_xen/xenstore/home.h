/* SPDX-License-Identifier: MIT */
/* What a toolstack makes for each domain before the domain runs, as libxl does. */
#ifndef FAKEXEN_XENSTORE_HOME_H
#define FAKEXEN_XENSTORE_HOME_H

#include "path.h"

#define XS_HOME_NODES 9u

struct xs_home_node {
    char path[XS_HOME_SIZE + 16];
    bool folder; /* without a value */
    char value[16];
    struct xen_xs_perm perms[2];
    unsigned int perm_count; /* 0: as inherited */
};

/* Parents first; returns how many. */
unsigned int xs_home_nodes(domid_t domid, struct xs_home_node nodes[XS_HOME_NODES]);

#endif
