// SPDX-License-Identifier: MIT
#include <fakexen/real.h>

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "real_private.h"

struct real_machine {
    struct xen_machine machine;
    domid_t granted_to;
};

/* ---- event channels ---- */

static int port_or_error(int port, evtchn_port_t *out)
{
    if (port < 0)
        return real_error();
    *out = (evtchn_port_t)port;
    return 0;
}

static int evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out)
{
    errno = 0;
    return port_or_error(xenevtchn_bind_unbound_port(real_of(xen)->evtchn, remote), out);
}

static int evtchn_bind(struct xen *xen, domid_t remote, evtchn_port_t remote_port, evtchn_port_t *out)
{
    errno = 0;
    return port_or_error(xenevtchn_bind_interdomain(real_of(xen)->evtchn, remote, remote_port), out);
}

static int evtchn_notify(struct xen *xen, evtchn_port_t port)
{
    errno = 0;
    return xenevtchn_notify(real_of(xen)->evtchn, port) ? real_error() : 0;
}

static int evtchn_close(struct xen *xen, evtchn_port_t port)
{
    errno = 0;
    return xenevtchn_unbind(real_of(xen)->evtchn, port) ? real_error() : 0;
}

/* The library's call waits, so it is asked only when there is one. */
static int evtchn_pending(struct xen *xen, evtchn_port_t *out)
{
    struct pollfd p = {.fd = xenevtchn_fd(real_of(xen)->evtchn), .events = POLLIN};
    if (poll(&p, 1, 0) != 1)
        return -EAGAIN;
    errno = 0;
    return port_or_error(xenevtchn_pending(real_of(xen)->evtchn), out);
}

static int evtchn_unmask(struct xen *xen, evtchn_port_t port)
{
    errno = 0;
    return xenevtchn_unmask(real_of(xen)->evtchn, port) ? real_error() : 0;
}

static int evtchn_status(struct xen *xen, evtchn_port_t port, bool *bound)
{
    (void)xen;
    (void)port;
    (void)bound;
    return -EOPNOTSUPP;
}

/* ---- handles ---- */

static int real_fd(struct xen *xen)
{
    return real_of(xen)->epoll;
}

static void real_close(struct xen *xen)
{
    struct real *real = real_of(xen);
    real_grant_close(real);
    if (real->evtchn)
        xenevtchn_close(real->evtchn);
    if (real->xs)
        xs_close(real->xs);
    if (real->epoll >= 0)
        close(real->epoll);
    free(real);
}

static const struct xen_ops real_ops = {
    .name = "real",
    .close = real_close,
    .fd = real_fd,
    .pages_alloc = real_pages_alloc,
    .pages_free = real_pages_free,
    .grant = real_grant,
    .grant_end = real_grant_end,
    .grant_revoke = real_grant_revoke,
    .grant_map = real_grant_map,
    .grant_unmap = real_grant_unmap,
    .grant_map_limit = real_grant_map_limit,
    .evtchn_alloc = evtchn_alloc,
    .evtchn_bind = evtchn_bind,
    .evtchn_notify = evtchn_notify,
    .evtchn_close = evtchn_close,
    .evtchn_pending = evtchn_pending,
    .evtchn_unmask = evtchn_unmask,
    .evtchn_status = evtchn_status,
    .xs_begin = real_xs_begin,
    .xs_end = real_xs_end,
    .xs_read = real_xs_read,
    .xs_write = real_xs_write,
    .xs_mkdir = real_xs_mkdir,
    .xs_rm = real_xs_rm,
    .xs_directory = real_xs_directory,
    .xs_get_perms = real_xs_get_perms,
    .xs_set_perms = real_xs_set_perms,
    .xs_watch = real_xs_watch,
    .xs_unwatch = real_xs_unwatch,
    .xs_watch_read = real_xs_watch_read,
};

static int wait_on(struct real *real, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return fd < 0 || epoll_ctl(real->epoll, EPOLL_CTL_ADD, fd, &event) ? real_error() : 0;
}

static int open_all(struct real *real)
{
    errno = 0;
    real->xs = xs_open(XS_UNWATCH_FILTER);
    if (real->xs)
        real->evtchn = xenevtchn_open(NULL, 0);
    if (real->evtchn)
        real->gnttab = xengnttab_open(NULL, 0);
    if (!real->gnttab)
        return real_error();
    real->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (real->epoll < 0)
        return -errno;
    int rc = wait_on(real, xenevtchn_fd(real->evtchn));
    return rc ? rc : wait_on(real, xs_fileno(real->xs));
}

/* Its number is in its home, which is what a path without a '/' is below. */
static int own_domid(struct real *real, domid_t *out)
{
    char text[16];
    char *end;
    ssize_t n = real_xs_read(&real->xen, XEN_XBT_NIL, "domid", text, sizeof(text));
    unsigned long domid = n > 0 ? strtoul(text, &end, 10) : DOMID_FIRST_RESERVED;
    if (n < 0)
        return (int)n;
    if (domid >= DOMID_FIRST_RESERVED || *end)
        return -EPROTO;
    *out = (domid_t)domid;
    return 0;
}

static int machine_open(struct xen_machine *machine, domid_t domid, struct xen **out)
{
    const struct real_machine *m = (const struct real_machine *)(const void *)machine;
    struct real *real = calloc(1, sizeof(*real));
    if (!real)
        return -ENOMEM;
    real->xen.ops = &real_ops;
    real->granted_to = m->granted_to;
    real->epoll = -1;
    int rc = open_all(real);
    if (!rc)
        rc = own_domid(real, &real->xen.domid);
    if (!rc && real->xen.domid != domid)
        rc = -ENXIO;
    if (rc)
        real_close(&real->xen);
    else
        *out = &real->xen;
    return rc;
}

static int not_ours(struct xen_machine *machine, domid_t domid)
{
    (void)machine;
    (void)domid;
    return -EPERM;
}

static const struct xen_machine_ops machine_ops = {
    .open = machine_open, .domain_create = not_ours, .domain_destroy = not_ours};

int xen_real_machine_create(domid_t granted_to, struct xen_machine **out)
{
    struct real_machine *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    *m = (struct real_machine){.machine.ops = &machine_ops, .granted_to = granted_to};
    *out = &m->machine;
    return 0;
}

void xen_real_machine_destroy(struct xen_machine *machine)
{
    free(machine);
}
