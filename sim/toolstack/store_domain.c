// SPDX-License-Identifier: MIT
/* Domains: their names, and what they leave. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "toolstack/owner.h"
#include "toolstack/store_private.h"

static void read_name(struct xen *xen, xen_transaction t, struct tstore_domain *domain)
{
    char dir[64];
    char value[XENBUS_VALUE_MAX];
    snprintf(dir, sizeof(dir), "/local/domain/%u", domain->domid);
    if (xenbus_read(xen, t, dir, "name", value))
        value[0] = '\0';
    snprintf(domain->name, sizeof(domain->name), "%.*s", (int)sizeof(domain->name) - 1, value);
    for (char *p = domain->name; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
}

int tstore_domains(struct xen *xen, xen_transaction t, struct tstore_domain *out)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    ssize_t n = tstore_children(xen, t, "/local/domain", names);
    unsigned int count = 0;
    if (n < 0)
        return (int)n;
    for (const char *name = names; name < names + n && count < STORE_DOMAINS_MAX; name += strlen(name) + 1) {
        const long domid = tstore_number(name, DOMID_FIRST_RESERVED - 1);
        unsigned int at = count;
        if (domid < 0)
            continue;
        for (; at > 0 && out[at - 1].domid > domid; at--)
            out[at] = out[at - 1];
        out[at].domid = (domid_t)domid;
        count++;
    }
    for (unsigned int i = 0; i < count; i++)
        read_name(xen, t, &out[i]);
    return (int)count;
}

int tstore_find_domain(struct xen *xen, const char *text, struct tstore_domain *out, char *error)
{
    struct tstore_domain domains[STORE_DOMAINS_MAX];
    const long domid = tstore_number(text, DOMID_FIRST_RESERVED - 1);
    int count = tstore_domains(xen, XEN_XBT_NIL, domains);
    if (count < 0)
        return tstore_failed(error, count);
    for (int i = 0; i < count; i++) {
        if (domid < 0 ? strcmp(domains[i].name, text) == 0 : domains[i].domid == domid) {
            *out = domains[i];
            return 0;
        }
    }
    return tool_refuse(error, -ENXIO, "Domain '%.64s' does not exist; 'pvusb guest-list' shows those that do",
                       text);
}

/* ---- naming ---- */

struct naming {
    const struct tstore_domain *domain;
    bool hvm;
    char *error;
};

static int name_body(struct xen *xen, xen_transaction t, void *context)
{
    struct tstore_domain domains[STORE_DOMAINS_MAX];
    const struct naming *naming = context;
    const struct tstore_domain *domain = naming->domain;
    char dir[XENBUS_PATH_MAX];
    int count = tstore_domains(xen, t, domains);
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        if (domains[i].domid != domain->domid && strcmp(domains[i].name, domain->name) == 0)
            return tool_refuse(naming->error, -EEXIST, "Domain '%s' already exists with ID '%u'",
                               domain->name, domains[i].domid);
    }
    snprintf(dir, sizeof(dir), "/local/domain/%u", domain->domid);
    int rc = xenbus_write(xen, t, dir, "name", "%s", domain->name);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "vm", "/vm/%s", domain->name);
    snprintf(dir, sizeof(dir), "/vm/%s", domain->name);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "name", "%s", domain->name);
    snprintf(dir, sizeof(dir), "/libxl/%u", domain->domid);
    if (!rc)
        rc = xenbus_write(xen, t, dir, "type", "%s", naming->hvm ? "hvm" : "pv");
    if (!rc)
        rc = xenbus_write(xen, t, dir, "name", "%s", domain->name);
    return rc;
}

int tstore_name_domain(struct xen *xen, const struct tstore_domain *domain, bool hvm, char *error)
{
    struct naming naming = {.domain = domain, .hvm = hvm, .error = error};
    return tstore_transact(xen, name_body, &naming, error);
}

/* ---- what it leaves ---- */

static void home_of(domid_t domid, char dir[64])
{
    snprintf(dir, 64, "/local/domain/%u", domid);
}

int tstore_lives(struct xen *xen, xen_transaction t, domid_t domid, char *error)
{
    char home[64];
    char value[XENBUS_VALUE_MAX];
    home_of(domid, home);
    int rc = xenbus_read(xen, t, home, "domid", value);
    return rc == -ENOENT ? tool_refuse(error, -ENXIO, "Domain %u does not exist", domid) : rc;
}

/* Who gives it something either has read this before, and does it once more, or is refused. */
static int forget_life(struct xen *xen, xen_transaction t, domid_t domid)
{
    char path[64 + sizeof("/domid")];
    home_of(domid, path);
    strcat(path, "/domid");
    return tstore_remove(xen, t, path, 0);
}

static int forget_backends(struct xen *xen, xen_transaction t, domid_t domid)
{
    struct tstore_controllers all;
    char path[XENBUS_PATH_MAX];
    int rc = tstore_controllers(xen, t, domid, &all);
    for (unsigned int i = 0; !rc && i < all.count; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", all.list[i].c.backend,
                 all.list[i].c.kind, domid);
        rc = tstore_remove(xen, t, path, 2);
        snprintf(path, sizeof(path), "/local/domain/%u/error/backend/%s/%u", all.list[i].c.backend,
                 all.list[i].c.kind, domid);
        if (!rc)
            rc = tstore_remove(xen, t, path, all.list[i].c.backend ? 2 : 3); /* what that said that went wrong */
    }
    tstore_controllers_free(&all);
    return rc;
}

/* The /vm node is found by who is in it, as the domain's own node has gone with it. */
static int forget_body(struct xen *xen, xen_transaction t, void *context)
{
    const domid_t domid = *(const domid_t *)context;
    char path[XENBUS_PATH_MAX];
    char name[XENBUS_VALUE_MAX];
    int rc = forget_life(xen, t, domid);
    if (!rc)
        rc = forget_backends(xen, t, domid);
    if (!rc)
        rc = tstore_forget_owner(xen, t, domid);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "/libxl/%u", domid);
    if (xenbus_read(xen, t, path, "name", name) == 0) {
        char vm[XENBUS_PATH_MAX];
        snprintf(vm, sizeof(vm), "/vm/%.64s", name);
        rc = tstore_remove(xen, t, vm, 1);
    }
    if (!rc)
        rc = tstore_remove(xen, t, path, 1);
    snprintf(path, sizeof(path), "/local/domain/0/device-model/%u", domid);
    return rc ? rc : tstore_remove(xen, t, path, 1);
}

int tstore_forget_domain(struct xen *xen, domid_t domid)
{
    char error[TOOL_ERROR_MAX];
    return tstore_transact(xen, forget_body, &domid, error);
}
