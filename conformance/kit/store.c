// SPDX-License-Identifier: MIT
#include "../store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "kit.h"

#define PATH_MAX_HERE 256u

struct xen *store_toolstack(struct conform *t)
{
    struct xen_machine *machine = t->peer->ops->machine(t->peer);
    int rc = t->dom0 || !conform_has(t, "toolstack") ? 0 : machine->ops->open(machine, 0, &t->dom0);
    if (rc)
        conform_fail(t, "cannot be the toolstack: %s", strerror(-rc));
    return t->dom0;
}

struct xen *store_own(struct conform *t)
{
    return t->test->role == CONFORM_BACKEND ? front_handle(front_number(t, 0)) : back_handle(t);
}

struct xen *store_guest(struct conform *t, domid_t guest)
{
    struct xen_machine *machine = t->peer->ops->machine(t->peer);
    struct xen *xen;
    int rc = machine->ops->open(machine, guest, &xen);
    if (rc)
        conform_fail(t, "cannot be guest %u: %s", guest, strerror(-rc));
    return xen;
}

bool store_read(struct conform *t, struct xen *xen, const char *path, char value[STORE_VALUE_MAX])
{
    ssize_t n = xen->ops->xs_read(xen, XEN_XBT_NIL, path, value, STORE_VALUE_MAX);
    if (n == -ENOENT || n == -EACCES)
        return false;
    if (n < 0)
        conform_fail(t, "xenstore %s: %s", path, strerror((int)-n));
    return true;
}

void kit_store_set(struct conform *t, struct xen *xen, const char *path, const char *value)
{
    int rc = value ? xen->ops->xs_write(xen, XEN_XBT_NIL, path, value, strlen(value))
                   : xen->ops->xs_rm(xen, XEN_XBT_NIL, path);
    if (rc && (value || rc != -ENOENT))
        conform_fail(t, "xenstore %s %s: %s", value ? "write" : "rm", path, strerror(-rc));
}

void store_write(struct conform *t, struct xen *xen, const char *path, const char *value)
{
    kit_log_line(t, "xenbus", "domain %u writes %s = '%s'", xen->domid, path, value);
    kit_store_set(t, xen, path, value);
}

void store_remove(struct conform *t, struct xen *xen, const char *path)
{
    kit_log_line(t, "xenbus", "domain %u removes %s", xen->domid, path);
    kit_store_set(t, xen, path, NULL);
}

void store_check(struct conform *t, struct xen *xen, const char *path, const char *value)
{
    char found[STORE_VALUE_MAX];
    conform_settle(t);
    bool there = store_read(t, xen, path, found);
    if (there != (value != NULL) || (there && strcmp(found, value) != 0)) {
        const char *wanted = value ? "'" : "", *is = there ? "'" : "";
        conform_fail(t, "%s: expected %s%s%s, it is %s%s%s", path, wanted, value ? value : "no such node",
                     wanted, is, there ? found : "missing", is);
    }
}

/* ---- a controller ---- */

static bool omitted(const struct store_controller *c, const char *node)
{
    size_t n = strlen(node);
    for (const char *at = c->omit; at && (at = strstr(at, node)); at += n) {
        if ((at == c->omit || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

static void put(struct conform *t, const struct store_controller *c, const char *dir, const char *node,
                const char *value)
{
    char path[PATH_MAX_HERE];
    snprintf(path, sizeof(path), "%s/%s", dir, node);
    if (!omitted(c, node))
        kit_store_set(t, t->dom0, path, value);
}

static void put_number(struct conform *t, const struct store_controller *c, const char *dir, const char *node,
                       unsigned int value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    put(t, c, dir, node, text);
}

static void make_directory(struct conform *t, const char *dir, domid_t owner, domid_t reader)
{
    const struct xen_xs_perm perms[] = {{.domid = owner, .access = XEN_XS_NONE},
                                        {.domid = reader, .access = XEN_XS_READ}};
    int rc = t->dom0->ops->xs_mkdir(t->dom0, XEN_XBT_NIL, dir);
    if (!rc)
        rc = t->dom0->ops->xs_set_perms(t->dom0, XEN_XBT_NIL, dir, perms, 2);
    if (rc)
        conform_fail(t, "xenstore mkdir %s: %s", dir, strerror(-rc));
}

static void directories(const struct store_controller *c, char backend[PATH_MAX_HERE],
                        char frontend[PATH_MAX_HERE])
{
    snprintf(backend, PATH_MAX_HERE, "/local/domain/%u/backend/%s/%u/%u", c->backend, c->kind, c->frontend,
             c->devid);
    snprintf(frontend, PATH_MAX_HERE, "/local/domain/%u/device/vusb/%u", c->frontend, c->devid);
}

void store_create_controller(struct conform *t, const struct store_controller *c)
{
    char backend[PATH_MAX_HERE], frontend[PATH_MAX_HERE];
    if (!store_toolstack(t))
        conform_skip(t, "nobody here may write a controller's nodes");
    if (conform_has(t, "lasting") && t->nr_created < KIT_CREATED)
        t->created[t->nr_created++] = *c;
    directories(c, backend, frontend);
    kit_log_line(t, "xenbus", "toolstack makes %s%s%s", backend, c->omit ? " without " : "",
                 c->omit ? c->omit : "");
    /* The frontend's half first: a backend looks there as soon as it sees its own. */
    make_directory(t, frontend, c->frontend, c->backend);
    put(t, c, frontend, "backend", backend);
    put_number(t, c, frontend, "backend-id", c->backend);
    put_number(t, c, frontend, "state", XenbusStateInitialising);
    make_directory(t, backend, c->backend, c->frontend);
    put_number(t, c, backend, "frontend-id", c->frontend);
    put(t, c, backend, "online", "1");
    put(t, c, backend, "type", "qusb");
    for (unsigned int i = 1; i <= c->num_ports; i++) {
        char node[16];
        snprintf(node, sizeof(node), "port/%u", i);
        put(t, c, backend, node, "");
    }
    if (c->usb_ver_text)
        put(t, c, backend, "usb-ver", c->usb_ver_text);
    else
        put_number(t, c, backend, "usb-ver", c->usb_ver);
    if (c->num_ports_text)
        put(t, c, backend, "num-ports", c->num_ports_text);
    else
        put_number(t, c, backend, "num-ports", c->num_ports);
    put(t, c, backend, "frontend", frontend);
    put_number(t, c, backend, "state", XenbusStateInitialising);
}

/* ---- a machine that outlives the case ---- */

#define CLOSE_NS UINT64_C(2000000000)

/* Written only where it is: a guest that has died has no home any more. */
static void write_existing(struct conform *t, const char *dir, const char *node, const char *value)
{
    char path[PATH_MAX_HERE], old[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, node);
    if (store_read(t, t->dom0, path, old))
        store_write(t, t->dom0, path, value);
}

struct closing {
    char path[PATH_MAX_HERE]; /* the state of the half under test */
};

static bool has_closed(struct conform *t, void *context)
{
    const struct closing *c = context;
    char value[STORE_VALUE_MAX];
    return !store_read(t, t->dom0, c->path, value) || strcmp(value, "6") == 0 || strcmp(value, "1") == 0;
}

/* What the half of that directory has said in its error node. */
static void remove_error(struct conform *t, domid_t domid, const char *dir)
{
    char home[32], path[PATH_MAX_HERE + 8];
    int n = snprintf(home, sizeof(home), "/local/domain/%u/", domid);
    snprintf(path, sizeof(path), "%serror/%s", home, dir + n);
    store_remove(t, t->dom0, path);
}

void kit_store_finish(struct conform *t)
{
    while (t->nr_created > 0 && t->dom0) {
        const struct store_controller *c = &t->created[--t->nr_created];
        char backend[PATH_MAX_HERE], frontend[PATH_MAX_HERE];
        struct closing closing;
        bool own_front = t->test->role == CONFORM_BACKEND;
        directories(c, backend, frontend);
        snprintf(closing.path, sizeof(closing.path), "%.240s/state", own_front ? backend : frontend);
        write_existing(t, backend, "online", "0");
        write_existing(t, own_front ? frontend : backend, "state", "5");
        write_existing(t, own_front ? frontend : backend, "state", "6");
        (void)kit_try(t, has_closed, &closing, CLOSE_NS);
        store_remove(t, t->dom0, backend);
        store_remove(t, t->dom0, frontend);
        remove_error(t, c->backend, backend);
        remove_error(t, c->frontend, frontend);
    }
}
