// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "genuine.h"

int host_xenstore_add(struct fakexen_host *host, domid_t domid, int fd, struct host_xenstore **out)
{
    struct host_xenstore *xenstore = calloc(1, sizeof(*xenstore));
    int rc = -ENOMEM;
    if (!xenstore)
        goto fail;
    xenstore->source = (struct host_source){.kind = HOST_XENSTORE, .fd = fd};
    xenstore->events = EPOLLIN;
    xenstore->domid = domid;
    xenstore->wire.store = host->store;
    const struct host_domain *domain = host_domain_find(host, domid);
    rc = domain->mux ? host_mux_add(domain->mux, xenstore)
                     : store_connect(host->store, domid, &xenstore->wire.conn);
    if (rc)
        goto fail;
    rc = host_watch_source(host, &xenstore->source);
    if (rc)
        goto fail;
    xenstore->next = host->xenstores;
    host->xenstores = xenstore;
    *out = xenstore;
    return 0;
fail:
    if (xenstore && xenstore->mux)
        host_mux_remove(xenstore);
    else if (xenstore)
        store_disconnect(xenstore->wire.conn);
    free(xenstore);
    close(fd);
    return rc;
}

int host_xenstore_open(struct fakexen_host *host, domid_t domid, int *peer, struct host_xenstore **out)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -errno;
    int rc = host_xenstore_add(host, domid, ends[0], out);
    if (rc)
        close(ends[1]);
    else
        *peer = ends[1];
    return rc;
}

void host_xenstore_close(struct host_xenstore *xenstore)
{
    if (xenstore->source.gone)
        return;
    xenstore->source.gone = true;
    if (xenstore->mux)
        host_mux_remove(xenstore);
    store_disconnect(xenstore->wire.conn);
    xenstore->wire.conn = NULL;
    wire_out_dispose(&xenstore->out);
}

void host_xenstore_send(struct fakexen_host *host, struct host_xenstore *xenstore)
{
    while (xenstore->out.length) {
        ssize_t sent =
            send(xenstore->source.fd, xenstore->out.data, xenstore->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            break;
        wire_out_consume(&xenstore->out, (size_t)sent);
    }
    bool full = xenstore->out.length;
    if (full && ((errno != EAGAIN && errno != EWOULDBLOCK) || xenstore->out.length > HOST_QUEUE_MAX)) {
        host_xenstore_close(xenstore);
        return;
    }
    /*
     * While there is no room for answers no more questions are read. Questions that were read but not
     * served have their next turn when there is room for answers, which may be at once.
     */
    uint32_t events = full || wire_ready(&xenstore->wire) ? EPOLLOUT : EPOLLIN;
    /* Such a question has its turn when xenstored has room. */
    if (!full && xenstore->mux)
        events = host_mux_wants(xenstore) ? EPOLLIN : 0;
    if (events == xenstore->events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = &xenstore->source};
    if (epoll_ctl(host->epoll, EPOLL_CTL_MOD, xenstore->source.fd, &event))
        host_xenstore_close(xenstore);
    xenstore->events = events;
}

void host_xenstore_flush(struct fakexen_host *host, struct host_xenstore *except)
{
    for (struct host_xenstore *x = host->xenstores; x; x = x->next) {
        if (x == except || x->source.gone || x->mux || !store_event_waiting(x->wire.conn))
            continue;
        if (wire_events(&x->wire, &x->out))
            host_xenstore_close(x);
        else
            host_xenstore_send(host, x);
    }
    if (except && !except->source.gone)
        host_xenstore_send(host, except);
}

int host_xenstore_receive(struct host_xenstore *xenstore)
{
    void *at;
    size_t room = wire_room(&xenstore->wire, &at);
    ssize_t got = recv(xenstore->source.fd, at, room, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (!got)
        return -EPIPE;
    xenstore->wire.have += (size_t)got;
    return 0;
}

/* A few of the requests: what is left is for the next step, so that no client keeps the others waiting. */
static int serve_some(struct host_xenstore *xenstore)
{
    unsigned int left = HOST_REQUESTS_MAX;
    for (bool received = false;; received = true) {
        int rc = 1;
        while (left && rc > 0) {
            rc = wire_step(&xenstore->wire, &xenstore->out);
            left--;
        }
        if (rc || received)
            return rc < 0 ? rc : 0;
        rc = host_xenstore_receive(xenstore);
        if (rc)
            return rc;
    }
}

void host_xenstore_serve(struct fakexen_host *host, struct host_xenstore *xenstore)
{
    int rc = 0;
    host_xenstore_send(host, xenstore);
    if (!xenstore->source.gone && !xenstore->out.length)
        rc = serve_some(xenstore);
    host_xenstore_flush(host, xenstore);
    /* Last, so that what was asked before has its answer. */
    if (rc)
        host_xenstore_close(xenstore);
}
