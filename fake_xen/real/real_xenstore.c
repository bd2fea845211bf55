// SPDX-License-Identifier: MIT
/* xenstore by libxenstore. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "real_private.h"

static struct xs_handle *xs_of(struct xen *xen)
{
    errno = 0;
    return real_of(xen)->xs;
}

static int result(bool good)
{
    return good ? 0 : real_error();
}

int real_xs_begin(struct xen *xen, xen_transaction *out)
{
    xs_transaction_t t = xs_transaction_start(xs_of(xen));
    if (t == XBT_NULL)
        return real_error();
    *out = (xen_transaction)t;
    return 0;
}

int real_xs_end(struct xen *xen, xen_transaction t, bool abort)
{
    return result(xs_transaction_end(xs_of(xen), t, abort));
}

ssize_t real_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    unsigned int length;
    char *value = xs_read(xs_of(xen), t, path, &length);
    if (!value)
        return real_error();
    ssize_t rc = length < size ? (ssize_t)length : -ERANGE;
    if (rc >= 0) {
        memcpy(buf, value, length);
        buf[length] = '\0';
    }
    free(value);
    return rc;
}

int real_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length)
{
    return result(xs_write(xs_of(xen), t, path, value, (unsigned int)length));
}

int real_xs_mkdir(struct xen *xen, xen_transaction t, const char *path)
{
    return result(xs_mkdir(xs_of(xen), t, path));
}

int real_xs_rm(struct xen *xen, xen_transaction t, const char *path)
{
    return result(xs_rm(xs_of(xen), t, path));
}

ssize_t real_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    unsigned int count;
    char **names = xs_directory(xs_of(xen), t, path, &count);
    size_t used = 0;
    if (!names)
        return real_error();
    for (unsigned int i = 0; i < count; i++) {
        size_t length = strlen(names[i]) + 1;
        if (length > size - used) {
            free(names);
            return -ERANGE;
        }
        memcpy(buf + used, names[i], length);
        used += length;
    }
    free(names);
    return (ssize_t)used;
}

int real_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                      unsigned int count)
{
    unsigned int all;
    struct xs_permissions *list = xs_get_permissions(xs_of(xen), t, path, &all);
    if (!list)
        return real_error();
    for (unsigned int i = 0; i < all && i < count; i++)
        perms[i] = (struct xen_xs_perm){
            .domid = (domid_t)list[i].id,
            .access = (enum xen_xs_access)((list[i].perms & XS_PERM_READ ? XEN_XS_READ : 0) |
                                           (list[i].perms & XS_PERM_WRITE ? XEN_XS_WRITE : 0))};
    free(list);
    return (int)(all < count ? all : count);
}

int real_xs_set_perms(struct xen *xen, xen_transaction t, const char *path, const struct xen_xs_perm *perms,
                      unsigned int count)
{
    struct xs_permissions list[XEN_XS_PERMS_MAX];
    if (count == 0 || count > XEN_XS_PERMS_MAX)
        return -EINVAL;
    for (unsigned int i = 0; i < count; i++)
        list[i] = (struct xs_permissions){
            .id = perms[i].domid,
            .perms = (perms[i].access & XEN_XS_READ ? XS_PERM_READ : 0u) |
                     (perms[i].access & XEN_XS_WRITE ? XS_PERM_WRITE : 0u)};
    return result(xs_set_permissions(xs_of(xen), t, path, list, count));
}

int real_xs_watch(struct xen *xen, const char *path, const char *token)
{
    return result(xs_watch(xs_of(xen), path, token));
}

int real_xs_unwatch(struct xen *xen, const char *path, const char *token)
{
    return result(xs_unwatch(xs_of(xen), path, token));
}

int real_xs_watch_read(struct xen *xen, char *path, char *token)
{
    char **event = xs_check_watch(xs_of(xen));
    if (!event)
        return real_error();
    snprintf(path, XEN_XS_PATH_MAX + 1, "%s", event[XS_WATCH_PATH]);
    snprintf(token, XEN_XS_TOKEN_MAX + 1, "%s", event[XS_WATCH_TOKEN]);
    free(event);
    return 0;
}
