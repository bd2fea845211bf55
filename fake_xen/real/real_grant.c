// SPDX-License-Identifier: MIT
/* Pages by gntalloc, maps by gntdev. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "real_private.h"

/* ---- granting ---- */

static int share(struct real *real, struct real_pages *pages)
{
    uint32_t *refs = calloc(pages->count, sizeof(*refs));
    if (!refs)
        return -ENOMEM;
    errno = 0;
    pages->addr = xengntshr_share_pages(real->gntshr, real->granted_to, (int)pages->count, refs, 1);
    int rc = pages->addr ? 0 : real_error();
    for (unsigned int i = 0; !rc && i < pages->count; i++)
        pages->page[i].ref = refs[i];
    free(refs);
    return rc;
}

int real_pages_alloc(struct xen *xen, unsigned int count, void **out)
{
    struct real *real = real_of(xen);
    errno = 0;
    if (!real->gntshr)
        real->gntshr = xengntshr_open(NULL, 0);
    if (!real->gntshr)
        return real_error();
    struct real_pages *pages = calloc(1, sizeof(*pages) + count * sizeof(pages->page[0]));
    if (!pages)
        return -ENOMEM;
    pages->count = count;
    int rc = share(real, pages);
    if (rc) {
        free(pages);
        return rc;
    }
    memset(pages->addr, 0, (size_t)count * XEN_PAGE_SIZE_BYTES);
    pages->next = real->pages;
    real->pages = pages;
    *out = pages->addr;
    return 0;
}

void real_pages_free(struct xen *xen, void *addr, unsigned int count)
{
    struct real *real = real_of(xen);
    for (struct real_pages **at = &real->pages; addr && *at; at = &(*at)->next) {
        struct real_pages *pages = *at;
        if (pages->addr != addr || pages->count != count)
            continue;
        *at = pages->next;
        (void)xengntshr_unshare(real->gntshr, addr, count);
        free(pages);
        return;
    }
}

int real_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    struct real *real = real_of(xen);
    const uint8_t *wanted = addr;
    (void)readonly;
    if (to != real->granted_to)
        return -EPERM;
    for (struct real_pages *pages = real->pages; pages; pages = pages->next) {
        size_t size = (size_t)pages->count * XEN_PAGE_SIZE_BYTES;
        if (wanted < pages->addr || wanted >= pages->addr + size)
            continue;
        size_t page = (size_t)(wanted - pages->addr) / XEN_PAGE_SIZE_BYTES;
        pages->page[page].uses++;
        *out = pages->page[page].ref;
        return 0;
    }
    return -EINVAL;
}

int real_grant_end(struct xen *xen, grant_ref_t ref)
{
    for (struct real_pages *pages = real_of(xen)->pages; pages; pages = pages->next) {
        for (unsigned int i = 0; i < pages->count; i++) {
            if (pages->page[i].ref != ref)
                continue;
            if (pages->page[i].uses == 0)
                return -EINVAL;
            pages->page[i].uses--;
            return 0;
        }
    }
    return -EINVAL;
}

int real_grant_revoke(struct xen *xen, grant_ref_t ref)
{
    (void)xen;
    (void)ref;
    return -EOPNOTSUPP;
}

/* ---- mapping ---- */

int real_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[], bool writable,
                   void **out)
{
    struct real *real = real_of(xen);
    struct real_map *map = calloc(1, sizeof(*map));
    if (!map)
        return -ENOMEM;
    errno = 0;
    /* The library does not write them. */
    map->addr = xengnttab_map_domain_grant_refs(real->gnttab, count, from, (uint32_t *)(uintptr_t)refs,
                                                writable ? PROT_READ | PROT_WRITE : PROT_READ);
    if (!map->addr) {
        int rc = real_error();
        free(map);
        return rc;
    }
    map->count = count;
    map->next = real->maps;
    real->maps = map;
    *out = map->addr;
    return 0;
}

int real_grant_unmap(struct xen *xen, void *addr, unsigned int count)
{
    struct real *real = real_of(xen);
    for (struct real_map **at = &real->maps; *at; at = &(*at)->next) {
        struct real_map *map = *at;
        if (map->addr != addr || map->count != count)
            continue;
        errno = 0;
        if (xengnttab_unmap(real->gnttab, addr, count))
            return real_error();
        *at = map->next;
        free(map);
        return 0;
    }
    return -EINVAL;
}

int real_grant_map_limit(struct xen *xen, unsigned int count)
{
    errno = 0;
    return xengnttab_set_max_grants(real_of(xen)->gnttab, count) ? real_error() : 0;
}

void real_grant_close(struct real *real)
{
    while (real->maps)
        if (real_grant_unmap(&real->xen, real->maps->addr, real->maps->count)) {
            struct real_map *map = real->maps; /* it goes with the handle */
            real->maps = map->next;
            free(map);
        }
    while (real->pages)
        real_pages_free(&real->xen, real->pages->addr, real->pages->count);
    if (real->gntshr)
        xengntshr_close(real->gntshr);
    if (real->gnttab)
        xengnttab_close(real->gnttab);
}
