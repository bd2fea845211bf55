/* SPDX-License-Identifier: MIT */
/* One handle on Xen. */
#ifndef FAKE_XEN_REAL_PRIVATE_H
#define FAKE_XEN_REAL_PRIVATE_H

#include <errno.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include <fakexen/xen_ops.h>

struct real_pages {
    struct real_pages *next;
    uint8_t *addr;
    unsigned int count;
    struct {
        uint32_t ref;
        unsigned int uses; /* grant() without grant_end() */
    } page[];
};

struct real_map {
    struct real_map *next;
    void *addr;
    unsigned int count;
};

struct real {
    struct xen xen;
    domid_t granted_to;
    xengnttab_handle *gnttab;
    xengntshr_handle *gntshr; /* NULL until the first page: a backend needs no gntalloc */
    xenevtchn_handle *evtchn;
    struct xs_handle *xs;
    int epoll; /* readable when evtchn or xs is */
    struct real_pages *pages;
    struct real_map *maps;
};

static inline struct real *real_of(struct xen *xen)
{
    return (struct real *)(void *)xen;
}

/* -errno of a call that failed; what says that the other side is gone is -EPIPE. */
static inline int real_error(void)
{
    switch (errno) {
    case 0:
        return -EIO;
    case EBADF:
    case ECONNRESET:
    case EPIPE:
        return -EPIPE;
    default:
        return -errno;
    }
}

/* real_grant.c */
int real_pages_alloc(struct xen *xen, unsigned int count, void **out);
void real_pages_free(struct xen *xen, void *addr, unsigned int count);
int real_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out);
int real_grant_end(struct xen *xen, grant_ref_t ref);
int real_grant_revoke(struct xen *xen, grant_ref_t ref);
int real_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[], bool writable,
                   void **out);
int real_grant_unmap(struct xen *xen, void *addr, unsigned int count);
int real_grant_map_limit(struct xen *xen, unsigned int count);
/* Gives back what is left. */
void real_grant_close(struct real *real);

/* real_xenstore.c */
int real_xs_begin(struct xen *xen, xen_transaction *out);
int real_xs_end(struct xen *xen, xen_transaction t, bool abort);
ssize_t real_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
int real_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length);
int real_xs_mkdir(struct xen *xen, xen_transaction t, const char *path);
int real_xs_rm(struct xen *xen, xen_transaction t, const char *path);
ssize_t real_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size);
int real_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                      unsigned int count);
int real_xs_set_perms(struct xen *xen, xen_transaction t, const char *path, const struct xen_xs_perm *perms,
                      unsigned int count);
int real_xs_watch(struct xen *xen, const char *path, const char *token);
int real_xs_unwatch(struct xen *xen, const char *path, const char *token);
int real_xs_watch_read(struct xen *xen, char *path, char *token);

#endif
