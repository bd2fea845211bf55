// SPDX-License-Identifier: MIT
/* The machine: counting, freezing, opening handles. */
#include "faults.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct faults *faults_of(struct xen_machine *machine)
{
    return (struct faults *)machine;
}

static const struct faults *faults_of_const(const struct xen_machine *machine)
{
    return (const struct faults *)machine;
}

/* ---- freezing ---- */

bool fakexen_faults_frozen(const struct xen_machine *machine, domid_t domid)
{
    const struct faults *faults = faults_of_const(machine);
    for (unsigned int i = 0; i < faults->nr_frozen; i++) {
        if (faults->frozen[i] == domid)
            return true;
    }
    return false;
}

static void refresh_all(struct faults *faults)
{
    for (struct fault_handle *handle = faults->handles; handle; handle = handle->next)
        fault_refresh(handle);
}

int fakexen_faults_freeze(struct xen_machine *machine, domid_t domid)
{
    struct faults *faults = faults_of(machine);
    if (fakexen_faults_frozen(machine, domid))
        return 0;
    if (faults->nr_frozen == FAKEXEN_FAULTS_FROZEN_MAX)
        return -ENOSPC;
    faults->frozen[faults->nr_frozen++] = domid;
    refresh_all(faults);
    return 0;
}

void fakexen_faults_thaw(struct xen_machine *machine, domid_t domid)
{
    struct faults *faults = faults_of(machine);
    for (unsigned int i = 0; i < faults->nr_frozen; i++) {
        if (faults->frozen[i] == domid)
            faults->frozen[i--] = faults->frozen[--faults->nr_frozen];
    }
    refresh_all(faults);
}

bool fault_frozen(const struct fault_handle *handle)
{
    return fakexen_faults_frozen(&handle->faults->machine, handle->xen.domid);
}

static void freeze_by_plan(struct faults *faults)
{
    for (unsigned int i = 0; i < faults->plan.count; i++) {
        const struct fault_item *item = &faults->plan.item[i];
        if (item->n != faults->stats.calls)
            continue;
        /* More than fits is as good as not frozen. */
        if (item->kind == FAULT_FREEZE)
            (void)fakexen_faults_freeze(&faults->machine, (domid_t)item->domid);
        else if (item->kind == FAULT_THAW)
            fakexen_faults_thaw(&faults->machine, (domid_t)item->domid);
    }
}

/* ---- calls ---- */

int faults_call(struct faults *faults, domid_t domid, enum fault_op op)
{
    faults->calls[op]++;
    faults->stats.calls++;
    freeze_by_plan(faults);
    if (fault_ops[op].errors[0] == 0)
        return 0;
    const struct fault_item *item = fault_plan_ask(&faults->plan, FAULT_CALL, op, domid);
    if (!item)
        return 0;
    faults->stats.failed++;
    return -item->error;
}

int fault_enter(struct xen *xen, enum fault_op op)
{
    struct fault_handle *handle = fault_handle_of(xen);
    int rc = faults_call(handle->faults, xen->domid, op);
    if (rc == -EPIPE && !handle->gone) {
        handle->gone = true;
        fault_refresh(handle);
    }
    return handle->gone ? -EPIPE : rc;
}

/* ---- waiting ---- */

static bool own_news(const struct fault_handle *handle)
{
    return (handle->gone && !handle->gone_seen) || fault_ports_held(handle);
}

void fault_refresh(struct fault_handle *handle)
{
    eventfd_t value;
    if (handle->wait < 0)
        return;
    bool frozen = fault_frozen(handle);
    struct epoll_event event = {.events = frozen ? 0 : EPOLLIN};
    (void)epoll_ctl(handle->wait, EPOLL_CTL_MOD, handle->inner->ops->fd(handle->inner), &event);
    if (!frozen && (own_news(handle) || handle->gone))
        (void)!eventfd_write(handle->wake, 1);
    else
        (void)!eventfd_read(handle->wake, &value);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) == 1;
}

bool fakexen_faults_pending(const struct xen_machine *machine, bool (*waiting)(const struct xen *inner))
{
    for (const struct fault_handle *handle = faults_of_const(machine)->handles; handle;
         handle = handle->next) {
        if (fault_frozen(handle))
            continue;
        if (own_news(handle))
            return true;
        if (!handle->gone &&
            (waiting ? waiting(handle->inner) : readable(handle->inner->ops->fd(handle->inner))))
            return true;
    }
    return false;
}

/* ---- handles ---- */

static int make_wait(struct fault_handle *handle)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = handle->inner->ops->fd(handle->inner);
    if (fd < 0)
        return 0;
    handle->wait = epoll_create1(EPOLL_CLOEXEC);
    handle->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (handle->wait < 0 || handle->wake < 0 || epoll_ctl(handle->wait, EPOLL_CTL_ADD, fd, &event) ||
        epoll_ctl(handle->wait, EPOLL_CTL_ADD, handle->wake, &event))
        return -errno;
    fault_refresh(handle);
    return 0;
}

static void handle_free(struct fault_handle *handle)
{
    fault_ports_drop(handle);
    if (handle->wait >= 0)
        close(handle->wait);
    if (handle->wake >= 0)
        close(handle->wake);
    free(handle);
}

void fault_close(struct xen *xen)
{
    struct fault_handle *handle = fault_handle_of(xen);
    struct fault_handle **at = &handle->faults->handles;
    faults_call(handle->faults, xen->domid, OP_CLOSE);
    while (*at != handle)
        at = &(*at)->next;
    *at = handle->next;
    xen_close(handle->inner);
    handle_free(handle);
}

static int fault_open(struct xen_machine *machine, domid_t domid, struct xen **out)
{
    struct faults *faults = faults_of(machine);
    int rc = faults_call(faults, domid, OP_OPEN);
    if (rc)
        return rc;
    struct fault_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    handle->xen = (struct xen){.ops = &fault_handle_ops, .domid = domid};
    handle->faults = faults;
    handle->wait = handle->wake = -1;
    rc = faults->inner->ops->open(faults->inner, domid, &handle->inner);
    if (!rc) {
        rc = make_wait(handle);
        if (rc)
            xen_close(handle->inner);
    }
    if (rc) {
        handle_free(handle);
        return rc;
    }
    handle->next = faults->handles;
    faults->handles = handle;
    *out = &handle->xen;
    return 0;
}

static int fault_domain_create(struct xen_machine *machine, domid_t domid)
{
    struct faults *faults = faults_of(machine);
    int rc = faults_call(faults, domid, OP_DOMAIN_CREATE);
    return rc ? rc : faults->inner->ops->domain_create(faults->inner, domid);
}

static int fault_domain_destroy(struct xen_machine *machine, domid_t domid)
{
    struct faults *faults = faults_of(machine);
    int rc = faults_call(faults, domid, OP_DOMAIN_DESTROY);
    return rc ? rc : faults->inner->ops->domain_destroy(faults->inner, domid);
}

/* ---- the machine ---- */

static const struct xen_machine_ops faults_ops = {
    .open = fault_open,
    .domain_create = fault_domain_create,
    .domain_destroy = fault_domain_destroy,
};

int fakexen_faults_create(struct xen_machine *inner, struct xen_machine **out)
{
    struct faults *faults = calloc(1, sizeof(*faults));
    if (!faults)
        return -ENOMEM;
    faults->machine.ops = &faults_ops;
    faults->inner = inner;
    fault_plan_init(&faults->plan);
    *out = &faults->machine;
    return 0;
}

void fakexen_faults_destroy(struct xen_machine *machine)
{
    assert(!machine || !faults_of(machine)->handles);
    free(machine);
}

int fakexen_faults_parse(struct xen_machine *machine, const char *plan, char error[FAKEXEN_FAULTS_ERROR_MAX])
{
    return fault_plan_parse(&faults_of(machine)->plan, plan, error);
}

void fakexen_faults_clear(struct xen_machine *machine)
{
    fault_plan_init(&faults_of(machine)->plan);
}

uint64_t fakexen_faults_seed(const struct xen_machine *machine)
{
    return faults_of_const(machine)->plan.seed;
}

struct fakexen_faults_stats fakexen_faults_stats(const struct xen_machine *machine)
{
    return faults_of_const(machine)->stats;
}

uint64_t fakexen_faults_calls(const struct xen_machine *machine, const char *call)
{
    for (enum fault_op op = 0; op < FAULT_OPS; op++) {
        if (strcmp(fault_ops[op].name, call) == 0)
            return faults_of_const(machine)->calls[op];
    }
    return 0;
}

const struct fakexen_faults_op *fakexen_faults_op(unsigned int i)
{
    return i < FAULT_OPS ? &fault_ops[i] : NULL;
}
