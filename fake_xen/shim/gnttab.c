// SPDX-License-Identifier: MIT
/* The mapping half of libxengnttab over a client of the host. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gntdev.h"

/* gntdev's limit of old; xengnttab_set_max_grants() sets another. */
#define MAPPED_MAX (64u * 1024u)

xengnttab_handle *gntdev_open(const char *library)
{
    xengnttab_handle *xgt = calloc(1, sizeof(*xgt));
    if (!xgt)
        return NULL;
    if (handle_open(&xgt->handle, library)) {
        free(xgt);
        return NULL;
    }
    return xgt;
}

void gntdev_close(xengnttab_handle *xgt)
{
    struct share *next;
    for (struct share *share = xgt->shares; share; share = next) {
        next = share->next;
        if (share->addr)
            munmap(share->addr, (size_t)share->count * XEN_PAGE_SIZE_BYTES);
        free(share);
    }
    handle_close(&xgt->handle);
    free(xgt);
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    xengnttab_handle *xgt = gntdev_open("libxengnttab");
    if (xgt)
        client_grant_map_limit(&xgt->handle.client->xen, MAPPED_MAX);
    return xgt;
}

int xengnttab_close(xengnttab_handle *xgt)
{
    if (xgt)
        gntdev_close(xgt);
    return 0;
}

int xengnttab_fd(xengnttab_handle *xgt)
{
    return xgt->handle.client->control;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    handle_lock(&xgt->handle);
    int rc = client_grant_map_limit(&xgt->handle.client->xen, nr_grants);
    handle_unlock(&xgt->handle);
    return handle_result(rc);
}

/* ---- mapping ---- */

/* gntdev has one error for all that the hypervisor refuses. */
static void *map_result(int rc, void *addr)
{
    if (!rc)
        return addr;
    handle_result(rc == -EACCES || rc == -ENOENT ? -EINVAL : rc);
    return NULL;
}

static domid_t resolve(const xengnttab_handle *xgt, uint32_t domid)
{
    if (domid == DOMID_SELF)
        return xgt->handle.client->xen.domid;
    return domid < DOMID_FIRST_RESERVED ? (domid_t)domid : DOMID_INVALID;
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port)
{
    struct client *client = xgt->handle.client;
    struct notify notify = notify_of(notify_offset, notify_port);
    void *addr = NULL;
    handle_lock(&xgt->handle);
    int rc = client_grant_map(&client->xen, resolve(xgt, domid), 1, &ref, prot & PROT_WRITE, &addr);
    if (!rc && notify_wanted(&notify)) {
        rc = client_map_notify(client, addr, notify.offset, notify.port);
        if (rc)
            client_grant_unmap(&client->xen, addr, 1);
    }
    handle_unlock(&xgt->handle);
    return map_result(rc, addr);
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    return xengnttab_map_domain_grant_refs(xgt, 1, domid, &ref, prot);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid, uint32_t *refs,
                                      int prot)
{
    void *addr = NULL;
    handle_lock(&xgt->handle);
    int rc = client_grant_map(&xgt->handle.client->xen, resolve(xgt, domid), count, refs, prot & PROT_WRITE,
                              &addr);
    handle_unlock(&xgt->handle);
    return map_result(rc, addr);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids, uint32_t *refs,
                               int prot)
{
    void *addr = NULL;
    domid_t *from = count ? reallocarray(NULL, count, sizeof(*from)) : NULL;
    if (!from)
        return map_result(count ? -ENOMEM : -EINVAL, NULL);
    for (uint32_t i = 0; i < count; i++)
        from[i] = resolve(xgt, domids[i]);
    handle_lock(&xgt->handle);
    int rc = client_grant_map_from(xgt->handle.client, count, from, refs, prot & PROT_WRITE, &addr);
    handle_unlock(&xgt->handle);
    free(from);
    return map_result(rc, addr);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
    handle_lock(&xgt->handle);
    int rc = client_grant_unmap(&xgt->handle.client->xen, start_address, count);
    handle_unlock(&xgt->handle);
    return handle_result(rc);
}
