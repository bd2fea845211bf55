// SPDX-License-Identifier: MIT
/* The granting half of libxengnttab. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gntdev.h"

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return gntdev_open("libxengnttab (gntshr)");
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return xengnttab_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
    return xengnttab_fd(xgs);
}

/* ---- sharing ---- */

/* Ends the grants that have not ended yet; true when all have, and the pages are free. */
static bool share_settle(struct client *client, struct share *share)
{
    bool busy = false;
    for (unsigned int i = 0; i < share->count; i++) {
        if (share->refs[i] && client_grant_end(&client->xen, share->refs[i]))
            busy = true;
        else
            share->refs[i] = 0;
    }
    if (!busy)
        client_pages_free(&client->xen, share->pages, share->count);
    return !busy;
}

/* As gntalloc does: what was unshared while somebody still mapped it is looked at again with every call. */
static void settle_all(xengntshr_handle *xgs)
{
    for (struct share **at = &xgs->shares; *at;) {
        struct share *share = *at;
        if (share->addr || !share_settle(xgs->handle.client, share)) {
            at = &share->next;
            continue;
        }
        *at = share->next;
        free(share);
    }
}

/* The program sees the pages through a mapping of its own, so that they fault once they are unshared. */
static int view(const struct client *client, const struct share *share, void **out)
{
    off_t offset = (const uint8_t *)share->pages - client->arena->base;
    void *addr = mmap(NULL, (size_t)share->count * XEN_PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      client->arena->fd, offset);
    if (addr == MAP_FAILED)
        return -errno;
    *out = addr;
    return 0;
}

static int share_make(struct client *client, domid_t domid, bool writable, struct share *share)
{
    int rc = client_pages_alloc(&client->xen, share->count, &share->pages);
    if (rc)
        return rc;
    for (unsigned int i = 0; !rc && i < share->count; i++)
        rc = client_grant(&client->xen, domid, (uint8_t *)share->pages + (size_t)i * XEN_PAGE_SIZE_BYTES,
                          !writable, &share->refs[i]);
    if (!rc)
        rc = view(client, share, &share->addr);
    /* Nobody knows the references yet. */
    if (rc)
        share_settle(client, share);
    return rc;
}

static void *share_pages(xengntshr_handle *xgs, uint32_t domid, unsigned int count, uint32_t *refs,
                         int writable, struct notify notify)
{
    struct client *client = xgs->handle.client;
    struct share *share = calloc(1, sizeof(*share) + count * sizeof(share->refs[0]));
    if (!share)
        return NULL;
    share->count = count;
    share->notify = notify_wanted(&notify);
    handle_lock(&xgs->handle);
    settle_all(xgs);
    int rc = share_make(client, domid == DOMID_SELF ? client->xen.domid : (domid_t)domid, writable, share);
    if (!rc && share->notify) {
        rc = client_share_notify(client, share->pages, notify.offset, notify.port);
        if (rc) {
            munmap(share->addr, (size_t)count * XEN_PAGE_SIZE_BYTES);
            share_settle(client, share);
        }
    }
    if (!rc) {
        memcpy(refs, share->refs, count * sizeof(refs[0]));
        share->next = xgs->shares;
        xgs->shares = share;
    }
    void *addr = share->addr;
    handle_unlock(&xgs->handle);
    if (!rc)
        return addr;
    free(share);
    handle_result(rc);
    return NULL;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs, int writable)
{
    if (count <= 0 || (unsigned int)count > ARENA_PAGES) {
        errno = count <= 0 ? EINVAL : ENOSPC;
        return NULL;
    }
    return share_pages(xgs, domid, (unsigned int)count, refs, writable,
                       notify_of(CONTROL_NONE, CONTROL_NONE));
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref, int writable,
                                  uint32_t notify_offset, evtchn_port_t notify_port)
{
    return share_pages(xgs, domid, 1, ref, writable, notify_of(notify_offset, notify_port));
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    struct client *client = xgs->handle.client;
    int rc = -EINVAL;
    handle_lock(&xgs->handle);
    struct share *share = xgs->shares;
    while (share && (!share->addr || share->addr != start_address))
        share = share->next;
    if (share && share->count == count) {
        munmap(share->addr, (size_t)count * XEN_PAGE_SIZE_BYTES);
        share->addr = NULL;
        rc = share->notify ? client_share_end(client, share->pages) : 0;
        settle_all(xgs);
    }
    handle_unlock(&xgs->handle);
    return handle_result(rc);
}
