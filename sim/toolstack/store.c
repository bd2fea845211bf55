// SPDX-License-Identifier: MIT
/* Transactions and waiting. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolstack/store_private.h"

/* Each failure means that somebody else's command got through. */
#define TRIES 1000u
/* So often in all for what may be as it is. */
#define FAILURES 20u

ssize_t tstore_children(struct xen *xen, xen_transaction t, const char *dir,
                        char names[XEN_XS_PAYLOAD_MAX + 1])
{
    ssize_t n = xen->ops->xs_directory(xen, t, dir, names, XEN_XS_PAYLOAD_MAX);
    if (n < 0)
        return n == -ENOENT ? 0 : n;
    names[n] = '\0';
    return n;
}

long tstore_number(const char *name, long max)
{
    const size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > 6 || name[digits])
        return -1;
    const long value = strtol(name, NULL, 10);
    return value <= max ? value : -1;
}

int tstore_failed(char *error, int rc)
{
    return tool_refuse(error, rc, "%s",
                       rc == -EPIPE    ? "the machine is gone"
                       : rc == -EAGAIN ? "xenstore keeps changing; try again"
                                       : strerror(-rc));
}

/* xenstored fails also by EIO and EINVAL when another's command got through, before it says so at the end. */
static bool is_worth_another(int rc, unsigned int *tries, unsigned int *failures)
{
    if (rc == -EIO || rc == -EINVAL)
        return ++*failures < FAILURES;
    return rc == -EAGAIN && ++*tries < TRIES;
}

int tstore_transact(struct xen *xen, int (*body)(struct xen *xen, xen_transaction t, void *context),
                    void *context, char *error)
{
    unsigned int tries = 0;
    unsigned int failures = 0;
    int rc;
    error[0] = '\0';
    do {
        xen_transaction t;
        rc = xen->ops->xs_begin(xen, &t);
        if (rc)
            break;
        rc = body(xen, t, context);
        const bool refused = rc && error[0];
        int end = xen->ops->xs_end(xen, t, rc && !refused);
        if (refused && end != -EAGAIN)
            return rc;
        if (refused)
            error[0] = '\0'; /* what it saw was not of one moment */
        rc = rc && !refused ? rc : end;
    } while (is_worth_another(rc, &tries, &failures));
    return rc && !error[0] ? tstore_failed(error, rc) : rc;
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int drain(struct xen *xen)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    int rc;
    while (!(rc = xen->ops->xs_watch_read(xen, path, token)))
        ;
    return rc == -EAGAIN ? 0 : rc;
}

int tstore_wait(struct xen *xen, const char *const *paths, unsigned int count, int (*done)(void *context),
                void *context, uint64_t timeout_ms)
{
    const uint64_t end = now_ms() + timeout_ms;
    unsigned int watched = 0;
    int rc = 0;
    while (!rc && watched < count) {
        rc = xen->ops->xs_watch(xen, paths[watched], "wait");
        watched += !rc;
    }
    while (!rc) {
        struct pollfd fd = {.fd = xen->ops->fd(xen), .events = POLLIN};
        rc = drain(xen);
        int is = rc ? 0 : done(context);
        if (rc || is) {
            rc = is < 0 ? is : rc;
            break;
        }
        const uint64_t now = now_ms();
        if (now >= end)
            rc = -ETIMEDOUT;
        else if (poll(&fd, 1, (int)(end - now)) < 0 && errno != EINTR)
            rc = -errno;
    }
    while (watched-- > 0)
        xen->ops->xs_unwatch(xen, paths[watched], "wait");
    return rc;
}
