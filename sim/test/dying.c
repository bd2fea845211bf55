// SPDX-License-Identifier: MIT
#include "dying.h"

static const struct xen_ops *real;
static unsigned int left;
static bool dead;
static void (*die)(void *context, struct xen *xen);
static void *die_context;

static void tick(struct xen *xen)
{
    if (dead || left == 0 || --left > 0)
        return;
    dead = true;
    die(die_context, xen);
}

/* One wrapper for each call. */
#define COUNTED(type, name, parameters, arguments)                                                                   \
    static type dying_##name parameters                                                                              \
    {                                                                                                                \
        tick(xen);                                                                                                   \
        return real->name arguments;                                                                                 \
    }

#define XBT xen_transaction

COUNTED(int, pages_alloc, (struct xen *xen, unsigned int n, void **out), (xen, n, out))
COUNTED(int, grant, (struct xen *xen, domid_t to, const void *a, bool r, grant_ref_t *out), (xen, to, a, r, out))
COUNTED(int, grant_end, (struct xen *xen, grant_ref_t ref), (xen, ref))
COUNTED(int, grant_revoke, (struct xen *xen, grant_ref_t ref), (xen, ref))
COUNTED(int, grant_map, (struct xen *xen, domid_t d, unsigned int n, const grant_ref_t *refs, bool w, void **out),
        (xen, d, n, refs, w, out))
COUNTED(int, grant_unmap, (struct xen *xen, void *addr, unsigned int n), (xen, addr, n))
COUNTED(int, grant_map_limit, (struct xen *xen, unsigned int n), (xen, n))
COUNTED(int, evtchn_alloc, (struct xen *xen, domid_t d, evtchn_port_t *out), (xen, d, out))
COUNTED(int, evtchn_bind, (struct xen *xen, domid_t d, evtchn_port_t p, evtchn_port_t *out), (xen, d, p, out))
COUNTED(int, evtchn_notify, (struct xen *xen, evtchn_port_t port), (xen, port))
COUNTED(int, evtchn_close, (struct xen *xen, evtchn_port_t port), (xen, port))
COUNTED(int, evtchn_pending, (struct xen *xen, evtchn_port_t *out), (xen, out))
COUNTED(int, evtchn_unmask, (struct xen *xen, evtchn_port_t port), (xen, port))
COUNTED(int, evtchn_status, (struct xen *xen, evtchn_port_t port, bool *bound), (xen, port, bound))
COUNTED(int, xs_begin, (struct xen *xen, XBT *out), (xen, out))
COUNTED(int, xs_end, (struct xen *xen, XBT t, bool abort), (xen, t, abort))
COUNTED(ssize_t, xs_read, (struct xen *xen, XBT t, const char *p, char *buf, size_t n), (xen, t, p, buf, n))
COUNTED(int, xs_write, (struct xen *xen, XBT t, const char *p, const char *v, size_t n), (xen, t, p, v, n))
COUNTED(int, xs_mkdir, (struct xen *xen, XBT t, const char *p), (xen, t, p))
COUNTED(int, xs_rm, (struct xen *xen, XBT t, const char *p), (xen, t, p))
COUNTED(ssize_t, xs_directory, (struct xen *xen, XBT t, const char *p, char *buf, size_t n), (xen, t, p, buf, n))
COUNTED(int, xs_get_perms, (struct xen *xen, XBT t, const char *p, struct xen_xs_perm *perms, unsigned int n),
        (xen, t, p, perms, n))
COUNTED(int, xs_set_perms, (struct xen *xen, XBT t, const char *p, const struct xen_xs_perm *perms, unsigned int n),
        (xen, t, p, perms, n))
COUNTED(int, xs_watch, (struct xen *xen, const char *p, const char *token), (xen, p, token))
COUNTED(int, xs_unwatch, (struct xen *xen, const char *p, const char *token), (xen, p, token))
COUNTED(int, xs_watch_read, (struct xen *xen, char *p, char *token), (xen, p, token))

static void dying_pages_free(struct xen *xen, void *addr, unsigned int count)
{
    tick(xen);
    real->pages_free(xen, addr, count);
}

/* The end of the process itself is no call. */
static void dying_close(struct xen *xen)
{
    xen->ops = real;
    real->close(xen);
}

static int dying_fd(struct xen *xen)
{
    return real->fd(xen);
}

static const struct xen_ops counted_ops = {
    .name = "dying",
    .close = dying_close,
    .fd = dying_fd,
    .pages_alloc = dying_pages_alloc,
    .pages_free = dying_pages_free,
    .grant = dying_grant,
    .grant_end = dying_grant_end,
    .grant_revoke = dying_grant_revoke,
    .grant_map = dying_grant_map,
    .grant_unmap = dying_grant_unmap,
    .grant_map_limit = dying_grant_map_limit,
    .evtchn_alloc = dying_evtchn_alloc,
    .evtchn_bind = dying_evtchn_bind,
    .evtchn_notify = dying_evtchn_notify,
    .evtchn_close = dying_evtchn_close,
    .evtchn_pending = dying_evtchn_pending,
    .evtchn_unmask = dying_evtchn_unmask,
    .evtchn_status = dying_evtchn_status,
    .xs_begin = dying_xs_begin,
    .xs_end = dying_xs_end,
    .xs_read = dying_xs_read,
    .xs_write = dying_xs_write,
    .xs_mkdir = dying_xs_mkdir,
    .xs_rm = dying_xs_rm,
    .xs_directory = dying_xs_directory,
    .xs_get_perms = dying_xs_get_perms,
    .xs_set_perms = dying_xs_set_perms,
    .xs_watch = dying_xs_watch,
    .xs_unwatch = dying_xs_unwatch,
    .xs_watch_read = dying_xs_watch_read,
};

void dying_begin(struct xen *xen, unsigned int n, void (*die_how)(void *context, struct xen *xen), void *context)
{
    real = xen->ops;
    left = n;
    dead = false;
    die = die_how;
    die_context = context;
    xen->ops = &counted_ops;
}

bool dying_dead(void)
{
    return dead;
}

void dying_spare(void)
{
    left = 0;
}
