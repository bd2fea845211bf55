// SPDX-License-Identifier: MIT
/*
 * The guest's end of a xenstore ring: struct xenstore_domain_interface. Its page is the host's, granted to domain 0 by
 * the reserved entry; xenstored is its only other user, and not trusted with it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "genuine.h"

int host_ring_open(struct fakexen_host *host, struct host_domain *domain, struct host_ring **out)
{
    struct host_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->domain = domain;
    ring->source = (struct host_source){.kind = HOST_RING, .fd = -1};
    int rc = host_granter_reserved(host, domain, GNTTAB_RESERVED_XENSTORE, 0, &ring->granter);
    if (rc)
        goto fail;
    void *page = mmap(NULL, XEN_PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring->granter->granter.fd, 0);
    rc = page == MAP_FAILED ? -errno : 0;
    if (rc)
        goto fail;
    ring->page = page;
    rc = host_evtchn_own(domain, 0, &ring->port);
    if (rc)
        goto fail;
    ring->source.fd = ring->port->receive;
    rc = host_watch_source(host, &ring->source);
    if (rc)
        goto fail;
    *out = ring;
    return 0;
fail:
    host_ring_close(host, ring);
    return rc;
}

void host_ring_close(struct fakexen_host *host, struct host_ring *ring)
{
    if (!ring)
        return;
    if (ring->port) {
        /* xenstored holds the other end of it, so that closing alone would not take it out. */
        host_unwatch_source(host, &ring->source);
        host_evtchn_own_close(ring->domain, ring->port);
    }
    if (ring->page)
        munmap(ring->page, XEN_PAGE_SIZE_BYTES);
    if (ring->granter)
        host_granter_close(host, ring->granter);
    free(ring);
}

static uint32_t load(const XENSTORE_RING_IDX *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void moved(struct host_ring *ring, XENSTORE_RING_IDX *index, uint32_t to)
{
    __atomic_store_n(index, to, __ATOMIC_RELEASE);
    host_evtchn_raise_fd(ring->port->notify);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

ssize_t host_ring_write(struct host_ring *ring, const void *data, size_t size)
{
    struct xenstore_domain_interface *page = ring->page;
    const char *from = data;
    uint32_t prod = load(&page->req_prod);
    uint32_t used = prod - load(&page->req_cons);
    size_t done = 0;
    if (used > XENSTORE_RING_SIZE)
        return -EPROTO;
    size_t total = smaller(size, XENSTORE_RING_SIZE - used);
    while (done < total) {
        uint32_t at = MASK_XENSTORE_IDX(prod + (uint32_t)done);
        size_t some = smaller(total - done, XENSTORE_RING_SIZE - at);
        memcpy(page->req + at, from + done, some);
        done += some;
    }
    if (total)
        moved(ring, &page->req_prod, prod + (uint32_t)total);
    return (ssize_t)total;
}

ssize_t host_ring_read(struct host_ring *ring, void *data, size_t size)
{
    struct xenstore_domain_interface *page = ring->page;
    char *to = data;
    uint32_t cons = load(&page->rsp_cons);
    uint32_t there = load(&page->rsp_prod) - cons;
    size_t done = 0;
    if (there > XENSTORE_RING_SIZE)
        return -EPROTO;
    size_t total = smaller(size, there);
    while (done < total) {
        uint32_t at = MASK_XENSTORE_IDX(cons + (uint32_t)done);
        size_t some = smaller(total - done, XENSTORE_RING_SIZE - at);
        memcpy(to + done, page->rsp + at, some);
        done += some;
    }
    if (total)
        moved(ring, &page->rsp_cons, cons + (uint32_t)total);
    return (ssize_t)total;
}
