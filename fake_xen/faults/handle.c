// SPDX-License-Identifier: MIT
/* The calls of a handle: each is counted, then fails by plan or is passed on. */
#include <errno.h>
#include <string.h>

#include "faults.h"

static struct xen *inner_of(struct xen *xen)
{
    return fault_handle_of(xen)->inner;
}

static int fault_fd(struct xen *xen)
{
    faults_call(fault_handle_of(xen)->faults, xen->domid, OP_FD);
    return fault_handle_of(xen)->wait;
}

/* ---- memory and grants ---- */

/* The plan's limit for the pages of a domain. */
static bool memory_left(const struct fault_handle *handle, unsigned int count)
{
    const struct faults *faults = handle->faults;
    uint64_t pages = count;
    for (const struct fault_handle *other = faults->handles; other; other = other->next)
        pages += other->xen.domid == handle->xen.domid ? other->pages : 0;
    for (unsigned int i = 0; i < faults->plan.count; i++) {
        if (faults->plan.item[i].kind == FAULT_MEMORY && pages > faults->plan.item[i].n)
            return false;
    }
    return true;
}

static int fault_pages_alloc(struct xen *xen, unsigned int count, void **out)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_PAGES_ALLOC);
    if (rc)
        return rc;
    if (!memory_left(handle, count)) {
        handle->faults->stats.failed++;
        return -ENOMEM;
    }
    rc = handle->inner->ops->pages_alloc(handle->inner, count, out);
    if (!rc)
        handle->pages += count;
    return rc;
}

static void fault_pages_free(struct xen *xen, void *addr, unsigned int count)
{
    struct fault_handle *handle = fault_handle_of(xen);
    faults_call(handle->faults, xen->domid, OP_PAGES_FREE);
    if (handle->gone)
        return;
    handle->inner->ops->pages_free(handle->inner, addr, count);
    if (addr)
        handle->pages -= count;
}

static int fault_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    int rc = fault_enter(xen, OP_GRANT);
    return rc ? rc : inner_of(xen)->ops->grant(inner_of(xen), to, addr, readonly, out);
}

static int fault_grant_end(struct xen *xen, grant_ref_t ref)
{
    int rc = fault_enter(xen, OP_GRANT_END);
    return rc ? rc : inner_of(xen)->ops->grant_end(inner_of(xen), ref);
}

static int fault_grant_revoke(struct xen *xen, grant_ref_t ref)
{
    int rc = fault_enter(xen, OP_GRANT_REVOKE);
    return rc ? rc : inner_of(xen)->ops->grant_revoke(inner_of(xen), ref);
}

/* As the granting domain does behind its driver's back; a reference belongs to one handle at most. */
static void revoke(struct faults *faults, domid_t from, unsigned int count, const grant_ref_t refs[])
{
    for (unsigned int i = 0; i < count; i++) {
        for (struct fault_handle *granter = faults->handles; granter; granter = granter->next) {
            if (granter->xen.domid == from && !granter->inner->ops->grant_revoke(granter->inner, refs[i]))
                faults->stats.revoked++;
        }
    }
}

static int fault_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                           bool writable, void **out)
{
    struct faults *faults = fault_handle_of(xen)->faults;
    int rc = fault_enter(xen, OP_GRANT_MAP);
    if (!rc)
        rc = inner_of(xen)->ops->grant_map(inner_of(xen), from, count, refs, writable, out);
    if (!rc && fault_plan_ask(&faults->plan, FAULT_REVOKE, OP_ANY, xen->domid))
        revoke(faults, from, count, refs);
    return rc;
}

static int fault_grant_unmap(struct xen *xen, void *addr, unsigned int count)
{
    int rc = fault_enter(xen, OP_GRANT_UNMAP);
    return rc ? rc : inner_of(xen)->ops->grant_unmap(inner_of(xen), addr, count);
}

static int fault_grant_copy(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[])
{
    int rc = fault_enter(xen, OP_GRANT_COPY);
    return rc ? rc : inner_of(xen)->ops->grant_copy(inner_of(xen), with, to_grant, count, seg);
}

static int fault_grant_map_limit(struct xen *xen, unsigned int count)
{
    int rc = fault_enter(xen, OP_GRANT_MAP_LIMIT);
    return rc ? rc : inner_of(xen)->ops->grant_map_limit(inner_of(xen), count);
}

/* ---- xenstore ---- */

static int fault_xs_begin(struct xen *xen, xen_transaction *out)
{
    int rc = fault_enter(xen, OP_XS_BEGIN);
    return rc ? rc : inner_of(xen)->ops->xs_begin(inner_of(xen), out);
}

static int fault_xs_end(struct xen *xen, xen_transaction t, bool abort)
{
    struct faults *faults = fault_handle_of(xen)->faults;
    bool conflict = !abort && fault_plan_ask(&faults->plan, FAULT_CONFLICT, OP_ANY, xen->domid);
    int rc = fault_enter(xen, OP_XS_END);
    if (!rc && conflict) {
        faults->stats.failed++;
        rc = -EAGAIN;
    }
    if (!rc)
        return inner_of(xen)->ops->xs_end(inner_of(xen), t, abort);
    (void)inner_of(xen)->ops->xs_end(inner_of(xen), t, true); /* over in every case; a wrong t stays wrong */
    return rc;
}

static ssize_t fault_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    int rc = fault_enter(xen, OP_XS_READ);
    return rc ? rc : inner_of(xen)->ops->xs_read(inner_of(xen), t, path, buf, size);
}

static int fault_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value,
                          size_t length)
{
    int rc = fault_enter(xen, OP_XS_WRITE);
    return rc ? rc : inner_of(xen)->ops->xs_write(inner_of(xen), t, path, value, length);
}

static int fault_xs_mkdir(struct xen *xen, xen_transaction t, const char *path)
{
    int rc = fault_enter(xen, OP_XS_MKDIR);
    return rc ? rc : inner_of(xen)->ops->xs_mkdir(inner_of(xen), t, path);
}

static int fault_xs_rm(struct xen *xen, xen_transaction t, const char *path)
{
    int rc = fault_enter(xen, OP_XS_RM);
    return rc ? rc : inner_of(xen)->ops->xs_rm(inner_of(xen), t, path);
}

static ssize_t fault_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf,
                                  size_t size)
{
    int rc = fault_enter(xen, OP_XS_DIRECTORY);
    return rc ? rc : inner_of(xen)->ops->xs_directory(inner_of(xen), t, path, buf, size);
}

static int fault_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                              unsigned int count)
{
    int rc = fault_enter(xen, OP_XS_GET_PERMS);
    return rc ? rc : inner_of(xen)->ops->xs_get_perms(inner_of(xen), t, path, perms, count);
}

static int fault_xs_set_perms(struct xen *xen, xen_transaction t, const char *path,
                              const struct xen_xs_perm *perms, unsigned int count)
{
    int rc = fault_enter(xen, OP_XS_SET_PERMS);
    return rc ? rc : inner_of(xen)->ops->xs_set_perms(inner_of(xen), t, path, perms, count);
}

static int fault_xs_watch(struct xen *xen, const char *path, const char *token)
{
    int rc = fault_enter(xen, OP_XS_WATCH);
    return rc ? rc : inner_of(xen)->ops->xs_watch(inner_of(xen), path, token);
}

static int fault_xs_unwatch(struct xen *xen, const char *path, const char *token)
{
    int rc = fault_enter(xen, OP_XS_UNWATCH);
    return rc ? rc : inner_of(xen)->ops->xs_unwatch(inner_of(xen), path, token);
}

static int fault_xs_watch_read(struct xen *xen, char *path, char *token)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = fault_enter(xen, OP_XS_WATCH_READ);
    handle->gone_seen = handle->gone;
    if (rc)
        return rc;
    if (fault_frozen(handle))
        return -EAGAIN;
    if (!handle->watch_late) {
        const struct fault_item *item =
            fault_plan_ask(&handle->faults->plan, FAULT_WATCH_DELAY, OP_ANY, xen->domid);
        handle->watch_late = item != NULL;
        handle->watch_polls = item ? item->polls : 0;
        handle->faults->stats.withheld += item != NULL;
    }
    if (handle->watch_polls > 0) {
        handle->watch_polls--;
        return -EAGAIN;
    }
    handle->watch_late = false;
    return handle->inner->ops->xs_watch_read(handle->inner, path, token);
}

const struct xen_ops fault_handle_ops = {
    .name = "faults",
    .close = fault_close,
    .fd = fault_fd,
    .pages_alloc = fault_pages_alloc,
    .pages_free = fault_pages_free,
    .grant = fault_grant,
    .grant_end = fault_grant_end,
    .grant_revoke = fault_grant_revoke,
    .grant_map = fault_grant_map,
    .grant_unmap = fault_grant_unmap,
    .grant_copy = fault_grant_copy,
    .grant_map_limit = fault_grant_map_limit,
    .evtchn_alloc = fault_evtchn_alloc,
    .evtchn_bind = fault_evtchn_bind,
    .evtchn_notify = fault_evtchn_notify,
    .evtchn_close = fault_evtchn_close,
    .evtchn_pending = fault_evtchn_pending,
    .evtchn_unmask = fault_evtchn_unmask,
    .evtchn_status = fault_evtchn_status,
    .xs_begin = fault_xs_begin,
    .xs_end = fault_xs_end,
    .xs_read = fault_xs_read,
    .xs_write = fault_xs_write,
    .xs_mkdir = fault_xs_mkdir,
    .xs_rm = fault_xs_rm,
    .xs_directory = fault_xs_directory,
    .xs_get_perms = fault_xs_get_perms,
    .xs_set_perms = fault_xs_set_perms,
    .xs_watch = fault_xs_watch,
    .xs_unwatch = fault_xs_unwatch,
    .xs_watch_read = fault_xs_watch_read,
};
