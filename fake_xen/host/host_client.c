// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "genuine.h"

int host_client_accept(struct fakexen_host *host, int fd)
{
    struct host_client *client = calloc(1, sizeof(*client));
    if (!client || host->client_count >= HOST_CLIENTS_MAX) {
        free(client);
        close(fd);
        return -ENOMEM;
    }
    client->source = (struct host_source){.kind = HOST_CONTROL, .fd = fd};
    client->own = host_genuine_is(host, fd);
    int rc = host_watch_source(host, &client->source);
    if (rc) {
        close(fd);
        free(client);
        return rc;
    }
    client->next = host->clients;
    host->clients = client;
    host->client_count++;
    return 0;
}

void host_client_release(struct fakexen_host *host, struct host_client *client)
{
    if (!client->domain)
        return;
    host_unmap_all(client);
    host_share_end_all(client);
    /* After its maps: whom the end of a port wakes finds them ended. */
    host_evtchn_close_all(client);
    host_sent_drop(client);
    if (client->xenstore)
        host_xenstore_close(client->xenstore);
    if (client->granter)
        host_granter_close(host, client->granter);
    client->xenstore = NULL;
    client->granter = NULL;
    client->domain = NULL;
}

/* The client's end of its xenstore connection goes to *xenstore_fd, to be closed when it has been sent. */
static int hello(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
                 struct host_answer *answer, int *xenstore_fd)
{
    int pages_fd;
    if (client->domain)
        return -EINVAL;
    struct host_domain *domain =
        request->domid < DOMID_FIRST_RESERVED ? host_domain_find(host, (domid_t)request->domid) : NULL;
    if (!domain || !domain->alive)
        return -ENXIO;
    client->domain = domain;
    int rc = host_granter_create(host, domain, &pages_fd, &client->granter);
    /* xenstored has a socket of its own for domain 0. */
    bool elsewhere = host->genuine && !domain->domid;
    if (!rc && !elsewhere)
        rc = host_xenstore_open(host, domain->domid, xenstore_fd, &client->xenstore);
    if (rc) {
        host_client_release(host, client);
        return rc;
    }
    answer->reply.value = client->granter->granter.base;
    answer->fds[answer->fd_count++] = client->granter->table_fd;
    answer->fds[answer->fd_count++] = pages_fd;
    if (!elsewhere)
        answer->fds[answer->fd_count++] = *xenstore_fd;
    return 0;
}

/* What only a handle may ask. */
static int serve_handle(struct fakexen_host *host, struct host_client *client,
                        const struct control_request *request, struct host_answer *answer)
{
    if (!client->domain)
        return -EPERM;
    switch (request->type) {
    case CONTROL_MAP:
        return host_map(host, client, request, answer);
    case CONTROL_UNMAP:
        return host_unmap(client, request->value);
    case CONTROL_COPY:
        return host_copy(host, client, request, answer);
    case CONTROL_NOTIFY:
        return host_notify_set(client, request);
    case CONTROL_SHARE_END:
        return host_share_end(client, request->value);
    case CONTROL_EVTCHN_ALLOC:
        return host_evtchn_alloc(client, request->domid, answer);
    case CONTROL_EVTCHN_BIND:
        return host_evtchn_bind(host, client, request->domid, request->value, answer);
    case CONTROL_EVTCHN_VIRQ:
        return host_evtchn_virq(client, request->value, answer);
    case CONTROL_EVTCHN_CLOSE:
        return host_evtchn_close(client, request->value);
    case CONTROL_EVTCHN_STATUS:
        return host_evtchn_status(client, request->value, answer);
    default:
        return -ENOSYS;
    }
}

static int serve(struct fakexen_host *host, struct host_client *client, const struct control_request *request,
                 struct host_answer *answer, int *xenstore_fd)
{
    switch (request->type) {
    case CONTROL_HELLO:
        return hello(host, client, request, answer, xenstore_fd);
    case CONTROL_DOMAIN_CREATE:
        return host_domain_create(host, client, request->domid);
    case CONTROL_DOMAIN_DESTROY:
        return host_domain_destroy(host, client, request->domid);
    case CONTROL_DOMAINS:
        host_domains(host, request->domid, answer);
        return 0;
    case CONTROL_BALANCE:
        answer->reply.balance = fakexen_host_balance(host);
        return 0;
    case CONTROL_BYE:
        host_client_release(host, client);
        return 0;
    default:
        return serve_handle(host, client, request, answer);
    }
}

/* A packet that is no request: not from a client of ours. */
static bool well_formed(const struct control_request *request, size_t size)
{
    size_t header = offsetof(struct control_request, refs);
    if (size < header || request->magic != CONTROL_MAGIC || request->version != CONTROL_VERSION)
        return false;
    return request->count <= CONTROL_REFS_MAX && size == header + request->count * sizeof(request->refs[0]) &&
           (!request->count || request->type == CONTROL_MAP || request->type == CONTROL_NOTIFY);
}

/* A client that asks on without reading the answers fills its socket and is dropped. */
static void send_answer(struct fakexen_host *host, struct host_client *client, const struct host_answer *answer)
{
    if (!client->source.gone && control_send(client->source.fd, &answer->reply, sizeof(answer->reply), answer->fds,
                                             answer->fd_count)) {
        host_client_release(host, client);
        client->source.gone = true;
    }
}

static void wait_for(struct fakexen_host *host, struct host_client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &client->source};
    if (epoll_ctl(host->epoll, EPOLL_CTL_MOD, client->source.fd, &event))
        client->source.gone = true;
    client->waiting = !events;
}

void host_client_answer(struct fakexen_host *host, struct host_client *client, int rc)
{
    struct host_answer answer;
    memset(&answer, 0, sizeof(answer));
    answer.reply.rc = rc;
    host_sent_report(client, &answer.reply);
    wait_for(host, client, EPOLLIN);
    send_answer(host, client, &answer);
}

void host_client_serve(struct fakexen_host *host, struct host_client *client)
{
    struct control_request request;
    struct host_answer answer;
    int xenstore_fd = -1;
    memset(&answer, 0, sizeof(answer));
    ssize_t size = client->waiting ? 0
                                   : control_receive(client->source.fd, &request, sizeof(request), NULL, NULL,
                                                     MSG_DONTWAIT | MSG_TRUNC);
    if (size == -EAGAIN)
        return;
    if (size <= 0 || !well_formed(&request, (size_t)size)) {
        host_client_release(host, client);
        client->source.gone = true;
        return;
    }
    answer.reply.rc = serve(host, client, &request, &answer, &xenstore_fd);
    if (answer.reply.rc == HOST_LATER) {
        wait_for(host, client, 0);
        return;
    }
    host_sent_report(client, &answer.reply);
    /* Watches have to have told before the answer says that it has happened. */
    host_xenstore_flush(host, NULL);
    send_answer(host, client, &answer);
    if (xenstore_fd >= 0)
        close(xenstore_fd);
}
