// SPDX-License-Identifier: MIT
/* A controller's nodes as libxl writes them, whoever wrote them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../back.h"
#include "frontend_groups.h"

/* The directory that holds the nodes under test. */
static const char *dir_of(struct conform *t, bool backend)
{
    return backend ? back_dir(t) : back_frontend_dir(t);
}

static void read_node(struct conform *t, bool backend, const char *node, char value[STORE_VALUE_MAX])
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir_of(t, backend), node);
    if (!store_read(t, store_own(t), path, value))
        conform_fail(t, "%s: expected a node, it is missing", path);
}

static void node_is(struct conform *t, bool backend, const char *node, const char *expected)
{
    char value[STORE_VALUE_MAX];
    read_node(t, backend, node, value);
    if (strcmp(value, expected) != 0)
        conform_fail(t, "%s: expected \"%s\", got \"%s\"", node, expected, value);
}

static unsigned long number(struct conform *t, const char *node, unsigned long low, unsigned long high)
{
    char value[STORE_VALUE_MAX];
    char *end;
    read_node(t, true, node, value);
    unsigned long n = strtoul(value, &end, 10);
    if (end == value || *end || n < low || n > high)
        conform_fail(t, "%s: expected %lu to %lu, got \"%s\"", node, low, high, value);
    return n;
}

#define NODES(X)                                                                                             \
    X(back_state, "backend.state", "the backend's state is 1", true, "state", "1")                           \
    X(back_online, "backend.online", "online is 1", true, "online", "1")                                     \
    X(back_guest, "backend.frontend-id", "frontend-id is the guest", true, "frontend-id", "1")               \
    X(back_type, "backend.type", "type is qusb", true, "type", "qusb")                                       \
    X(back_port, "backend.port", "port is there and empty", true, "port", "")                                \
    X(front_state, "frontend.state", "the frontend's state is 1", false, "state", "1")                       \
    X(front_id, "frontend.backend-id", "backend-id is domain 0", false, "backend-id", "0")

#define NODE_RUN(name, id, title, backend, node, value)                                                      \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        node_is(t, backend, node, value);                                                                    \
    }
#define TOOL_CASE(id, requirement, title, run)                                                               \
    {                                                                                                        \
        "toolstack." id, requirement, title, run, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL             \
    }
#define NODE_ROW(name, id, title, backend, node, value) TOOL_CASE(id, "toolstack.nodes", title, name),
NODES(NODE_RUN)

static void back_names_front(struct conform *t)
{
    node_is(t, true, "frontend", back_frontend_dir(t));
}

static void front_names_back(struct conform *t)
{
    node_is(t, false, "backend", back_dir(t));
}

static void num_ports(struct conform *t)
{
    number(t, "num-ports", 1, 31);
}

static void usb_ver(struct conform *t)
{
    number(t, "usb-ver", 1, 2);
}

static void all_ports(struct conform *t)
{
    const unsigned long ports = number(t, "num-ports", 1, 31);
    for (unsigned long i = 1; i <= ports; i++) {
        char node[24];
        char value[STORE_VALUE_MAX];
        snprintf(node, sizeof(node), "port/%lu", i);
        read_node(t, true, node, value);
    }
}

static void no_more_ports(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/port/%lu", back_dir(t), number(t, "num-ports", 1, 31) + 1);
    conform_true(t, !store_read(t, store_own(t), path, value), "no port node beyond num-ports");
    snprintf(path, sizeof(path), "%s/port/0", back_dir(t));
    conform_true(t, !store_read(t, store_own(t), path, value), "no port node 0");
}

/* Entry 0 names the owner; the other side may read and not write. */
static void perms(struct conform *t, bool backend, domid_t owner, domid_t reader)
{
    struct xen_xs_perm perm[XEN_XS_PERMS_MAX];
    struct xen *xen = store_own(t);
    int n = xen->ops->xs_get_perms(xen, XEN_XBT_NIL, dir_of(t, backend), perm, XEN_XS_PERMS_MAX);
    bool may_read = false;
    if (n < 1)
        conform_fail(t, "%s: its permissions cannot be read", dir_of(t, backend));
    conform_equal(t, "owner", owner, perm[0].domid);
    conform_equal(t, "access of all others", XEN_XS_NONE, perm[0].access);
    for (int i = 1; i < n; i++) {
        may_read = may_read || (perm[i].domid == reader && perm[i].access == XEN_XS_READ);
        conform_true(t, !(perm[i].access & XEN_XS_WRITE), "nobody but the owner may write");
    }
    conform_true(t, may_read, "the other side may read");
}

static void back_perms(struct conform *t)
{
    perms(t, true, 0, 1);
}

static void front_perms(struct conform *t)
{
    perms(t, false, 1, 0);
}

static void absent(struct conform *t, const char *node)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/%s", back_frontend_dir(t), node);
    conform_true(t, !store_read(t, store_own(t), path, value), "the toolstack leaves it to the frontend");
}

static void no_rings(struct conform *t)
{
    absent(t, "urb-ring-ref");
    absent(t, "conn-ring-ref");
    absent(t, "event-channel");
}

const struct conform_case cases_toolstack[] = {
    NODES(NODE_ROW)
        TOOL_CASE("backend.frontend", "toolstack.nodes", "frontend is its directory", back_names_front),
    TOOL_CASE("frontend.backend", "toolstack.nodes", "backend is its directory", front_names_back),
    TOOL_CASE("backend.num-ports", "toolstack.limits", "num-ports is 1 to 31", num_ports),
    TOOL_CASE("backend.usb-ver", "toolstack.limits", "usb-ver is 1 or 2", usb_ver),
    TOOL_CASE("ports.all", "toolstack.nodes", "every port has its node", all_ports),
    TOOL_CASE("ports.no-more", "toolstack.nodes", "and there are no others", no_more_ports),
    TOOL_CASE("backend.perms", "toolstack.permissions", "the guest may only read the backend's", back_perms),
    TOOL_CASE("frontend.perms", "toolstack.permissions", "the backend may only read the frontend's",
              front_perms),
    TOOL_CASE("frontend.no-rings", "toolstack.nodes", "ring nodes are the frontend's", no_rings),
    {0},
};
