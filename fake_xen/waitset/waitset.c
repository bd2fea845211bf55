// SPDX-License-Identifier: MIT
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define FOUND_MAX 32 /* at one look; the kernel lets those that are left out come first at the next */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- looking ---- */

/* How many were found. */
static int look(struct xen_waitset *set, int timeout)
{
    struct epoll_event events[FOUND_MAX];
    set->looks++;
    int n = epoll_wait(set->epoll, events, FOUND_MAX, timeout);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        struct xen_source *source = events[i].data.ptr;
        source->found(source);
    }
    return n;
}

int waitset_look(struct xen_waitset *set)
{
    int n = look(set, 0);
    return n < 0 ? n : 0;
}

static int arm(struct xen_waitset *set, uint64_t until_ns)
{
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)}};
    if (timerfd_settime(set->timer, TFD_TIMER_ABSTIME, &at, NULL))
        return -errno;
    set->armed_ns = until_ns;
    return 0;
}

static void rang(struct xen_source *source)
{
    struct xen_waitset *set =
        (struct xen_waitset *)(void *)((char *)source - offsetof(struct xen_waitset, timer_source));
    set->rang = true;
    set->armed_ns = UINT64_MAX;
}

/*
 * Times that move on with every step, as those of timeouts do, cost nothing: the timer is set when it would ring too
 * late, and when it rings too early, it is set again.
 */
int xen_waitset_until(struct xen_waitset *set, uint64_t until_ns)
{
    if (set->held || until_ns == 0)
        return waitset_look(set);
    for (;;) {
        if (until_ns < set->armed_ns) {
            int rc = until_ns <= now_ns() ? 1 : arm(set, until_ns);
            if (rc)
                return rc < 0 ? rc : waitset_look(set);
        }
        set->rang = false;
        int n = look(set, -1);
        if (n != 1 || !set->rang)
            return n < 0 ? n : 0;
    }
}

/* ---- what is in it ---- */

int waitset_watch(struct xen_waitset *set, int fd, struct xen_source *source, bool each_time)
{
    struct epoll_event event = {.events = EPOLLIN | (each_time ? (uint32_t)EPOLLET : 0), .data.ptr = source};
    return epoll_ctl(set->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void waitset_forget(struct xen_waitset *set, int fd)
{
    (void)epoll_ctl(set->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void found_handle(struct xen_source *source)
{
    struct xen *xen = (struct xen *)(void *)((char *)source - offsetof(struct xen, member.source));
    xen->member.found = true;
}

int xen_waitset_add(struct xen_waitset *set, struct xen *xen)
{
    int rc;
    if (xen->ops->join) {
        rc = xen->ops->join(xen, set);
    } else {
        int fd = xen->ops->fd(xen);
        if (fd < 0)
            return 0;
        xen->member.source.found = found_handle;
        rc = waitset_watch(set, fd, &xen->member.source, false);
    }
    if (rc)
        return rc;
    xen->member.set = set;
    xen->member.found = true; /* what came before */
    return 0;
}

int xen_waitset_open(struct xen_waitset *set, struct xen_machine *machine, domid_t domid, struct xen **out)
{
    struct xen *xen;
    int rc = machine->ops->open(machine, domid, &xen);
    if (!rc && set) {
        rc = xen_waitset_add(set, xen);
        if (rc)
            xen_close(xen);
    }
    if (!rc)
        *out = xen;
    return rc;
}

static void found_fd(struct xen_source *source)
{
    ((struct xen_waitset_fd *)(void *)source)->ready = true;
}

int xen_waitset_add_fd(struct xen_waitset *set, struct xen_waitset_fd *item, int fd)
{
    *item = (struct xen_waitset_fd){.source.found = found_fd, .fd = -1};
    int rc = fd < 0 ? 0 : waitset_watch(set, fd, &item->source, false);
    if (!rc)
        item->fd = fd;
    return rc;
}

void xen_waitset_remove_fd(struct xen_waitset *set, struct xen_waitset_fd *item)
{
    if (item->fd >= 0)
        waitset_forget(set, item->fd);
    *item = (struct xen_waitset_fd){.fd = -1};
}

/* ---- life ---- */

int xen_waitset_create(struct xen_waitset **out)
{
    struct xen_waitset *set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    set->timer_source.found = rang;
    set->armed_ns = UINT64_MAX;
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    set->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int rc = set->epoll < 0 || set->timer < 0 ? -errno : waitset_watch(set, set->timer, &set->timer_source, true);
    if (rc) {
        xen_waitset_destroy(set);
        return rc;
    }
    *out = set;
    return 0;
}

void xen_waitset_destroy(struct xen_waitset *set)
{
    if (!set)
        return;
    if (set->timer >= 0)
        close(set->timer);
    if (set->epoll >= 0)
        close(set->epoll);
    free(set);
}
