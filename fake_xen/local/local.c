// SPDX-License-Identifier: MIT
/*
 * The machine in one process. A domain that ends leaves its handles open and deaf;
 * their memory stays readable until they are closed, as their drivers may still be on the stack.
 */
#include "local.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct fakexen_local *local_of(struct xen_machine *machine)
{
    return (struct fakexen_local *)machine;
}

static struct local_handle *handle_of(struct xen *xen)
{
    return (struct local_handle *)xen;
}

/* ---- xenstore ---- */

static int local_xs_begin(struct xen *xen, xen_transaction *out)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_begin(handle->store, out);
}

static int local_xs_end(struct xen *xen, xen_transaction t, bool abort)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_end(handle->store, t, abort);
}

static ssize_t local_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_read(handle->store, t, path, buf, size);
}

static int local_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value,
                          size_t length)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_write(handle->store, t, path, value, length);
}

static int local_xs_mkdir(struct xen *xen, xen_transaction t, const char *path)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_mkdir(handle->store, t, path);
}

static int local_xs_rm(struct xen *xen, xen_transaction t, const char *path)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_rm(handle->store, t, path);
}

static ssize_t local_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf,
                                  size_t size)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_directory(handle->store, t, path, buf, size);
}

static int local_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                              unsigned int count)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_get_perms(handle->store, t, path, perms, count);
}

static int local_xs_set_perms(struct xen *xen, xen_transaction t, const char *path,
                              const struct xen_xs_perm *perms, unsigned int count)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_set_perms(handle->store, t, path, perms, count);
}

static int local_xs_watch(struct xen *xen, const char *path, const char *token)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_watch(handle->store, path, token);
}

static int local_xs_unwatch(struct xen *xen, const char *path, const char *token)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_unwatch(handle->store, path, token);
}

static int local_xs_watch_read(struct xen *xen, char *path, char *token)
{
    struct local_handle *handle = handle_of(xen);
    return handle->dead ? -EPIPE : store_event_take(handle->store, path, token);
}

/* ---- handles ---- */

static int local_fd(struct xen *xen)
{
    (void)xen;
    return -1;
}

static void handle_free(struct local_handle *handle)
{
    local_evtchn_close_all(handle);
    local_grant_close(handle);
    store_disconnect(handle->store);
    free(handle);
}

static void local_close(struct xen *xen)
{
    struct local_handle *handle = handle_of(xen);
    struct local_handle **at = &handle->domain->handles;
    while (*at != handle)
        at = &(*at)->next;
    *at = handle->next;
    handle_free(handle);
}

const struct xen_ops local_ops = {
    .name = "local",
    .close = local_close,
    .fd = local_fd,
    .pages_alloc = local_pages_alloc,
    .pages_free = local_pages_free,
    .grant = local_grant,
    .grant_end = local_grant_end,
    .grant_revoke = local_grant_revoke,
    .grant_map = local_grant_map,
    .grant_unmap = local_grant_unmap,
    .grant_copy = local_grant_copy,
    .grant_map_limit = local_grant_map_limit,
    .evtchn_alloc = local_evtchn_alloc,
    .evtchn_bind = local_evtchn_bind,
    .evtchn_notify = local_evtchn_notify,
    .evtchn_close = local_evtchn_close,
    .evtchn_pending = local_evtchn_pending,
    .evtchn_unmask = local_evtchn_unmask,
    .evtchn_status = local_evtchn_status,
    .xs_begin = local_xs_begin,
    .xs_end = local_xs_end,
    .xs_read = local_xs_read,
    .xs_write = local_xs_write,
    .xs_mkdir = local_xs_mkdir,
    .xs_rm = local_xs_rm,
    .xs_directory = local_xs_directory,
    .xs_get_perms = local_xs_get_perms,
    .xs_set_perms = local_xs_set_perms,
    .xs_watch = local_xs_watch,
    .xs_unwatch = local_xs_unwatch,
    .xs_watch_read = local_xs_watch_read,
};

static int local_open(struct xen_machine *machine, domid_t domid, struct xen **out)
{
    struct fakexen_local *local = local_of(machine);
    struct local_domain *domain = local_domain_find(local, domid);
    if (!domain || !domain->alive)
        return -ENXIO;
    struct local_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    handle->xen = (struct xen){.ops = &local_ops, .domid = domid};
    handle->local = local;
    handle->domain = domain;
    handle->due_last = &handle->due;
    int rc = local_grant_open(handle);
    if (!rc)
        rc = store_connect(local->store, domid, &handle->store);
    if (rc) {
        handle_free(handle);
        return rc;
    }
    handle->next = domain->handles;
    domain->handles = handle;
    *out = &handle->xen;
    return 0;
}

/* ---- domains ---- */

struct local_domain *local_domain_find(struct fakexen_local *local, domid_t domid)
{
    struct local_domain *domain = local->domains;
    while (domain && domain->domid != domid)
        domain = domain->next;
    return domain;
}

static int domain_add(struct fakexen_local *local, domid_t domid, struct local_domain **out)
{
    struct local_domain *domain = local_domain_find(local, domid);
    if (!domain) {
        domain = calloc(1, sizeof(*domain));
        if (!domain)
            return -ENOMEM;
        domain->domid = domid;
        domain->next = local->domains;
        local->domains = domain;
    }
    *out = domain;
    return 0;
}

static int local_domain_create(struct xen_machine *machine, domid_t domid)
{
    struct fakexen_local *local = local_of(machine);
    struct local_domain *domain;
    if (domid >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    int rc = domain_add(local, domid, &domain);
    if (rc)
        return rc;
    if (domain->alive)
        return -EEXIST;
    rc = store_introduce(local->store, domid);
    if (!rc)
        domain->alive = true;
    return rc;
}

static void handle_kill(struct local_handle *handle)
{
    handle->dead = true;
    /* The ports last: whom their end wakes finds everything else ended. */
    local_unmap_all(handle, true);
    local_grants_stop(handle);
    local_evtchn_close_all(handle);
    store_disconnect(handle->store);
    handle->store = NULL;
}

static int local_domain_destroy(struct xen_machine *machine, domid_t domid)
{
    struct fakexen_local *local = local_of(machine);
    struct local_domain *domain = local_domain_find(local, domid);
    if (!domid)
        return -EINVAL;
    if (!domain || !domain->alive)
        return -ENXIO;
    int rc = store_release(local->store, domid);
    if (rc)
        return rc;
    for (struct local_handle *handle = domain->handles; handle; handle = handle->next) {
        if (!handle->dead)
            handle_kill(handle);
    }
    domain->alive = false;
    return 0;
}

/* ---- the machine ---- */

static const struct xen_machine_ops local_machine_ops = {
    .open = local_open,
    .domain_create = local_domain_create,
    .domain_destroy = local_domain_destroy,
};

int fakexen_local_create(struct fakexen_local **out)
{
    struct fakexen_local *local = calloc(1, sizeof(*local));
    struct local_domain *domain;
    if (!local)
        return -ENOMEM;
    local->machine.ops = &local_machine_ops;
    int rc = store_create(&local->store);
    if (!rc)
        rc = domain_add(local, 0, &domain);
    if (rc) {
        fakexen_local_destroy(local);
        return rc;
    }
    domain->alive = true;
    *out = local;
    return 0;
}

void fakexen_local_destroy(struct fakexen_local *local)
{
    if (!local)
        return;
    struct local_domain *next;
    for (struct local_domain *domain = local->domains; domain; domain = next) {
        next = domain->next;
        assert(!domain->handles && !domain->granters);
        evtchn_space_dispose(&domain->ports);
        free(domain);
    }
    store_destroy(local->store);
    free(local);
}

struct xen_machine *fakexen_local_machine(struct fakexen_local *local)
{
    return &local->machine;
}

void fakexen_local_kill(struct xen *xen)
{
    if (!handle_of(xen)->dead)
        handle_kill(handle_of(xen));
}

bool fakexen_local_handle_pending(const struct xen *xen)
{
    const struct local_handle *handle = (const struct local_handle *)xen;
    return !handle->dead && (handle->due || store_event_waiting(handle->store));
}

bool fakexen_local_pending(const struct fakexen_local *local)
{
    for (const struct local_domain *domain = local->domains; domain; domain = domain->next) {
        for (const struct local_handle *handle = domain->handles; handle; handle = handle->next) {
            if (fakexen_local_handle_pending(&handle->xen))
                return true;
        }
    }
    return false;
}

struct fakexen_balance fakexen_local_balance(const struct fakexen_local *local)
{
    struct fakexen_balance balance = {0};
    for (const struct local_domain *domain = local->domains; domain; domain = domain->next) {
        for (const struct local_handle *handle = domain->handles; handle; handle = handle->next) {
            balance.handles++;
            balance.pages += handle->arena->used;
            balance.maps += handle->mapped;
            if (!handle->dead) {
                balance.watches += store_watch_count(handle->store);
                balance.transactions += store_transaction_count(handle->store);
            }
        }
        for (const struct granter *granter = domain->granters; granter; granter = granter->next)
            balance.grants += granter_count(granter);
        balance.ports += domain->ports.open;
    }
    return balance;
}
