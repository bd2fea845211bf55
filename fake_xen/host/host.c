// SPDX-License-Identifier: MIT
#include "genuine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int host_watch_source(struct fakexen_host *host, struct host_source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(host->epoll, EPOLL_CTL_ADD, source->fd, &event) ? -errno : 0;
}

void host_unwatch_source(struct fakexen_host *host, const struct host_source *source)
{
    epoll_ctl(host->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

/* ---- domains ---- */

struct host_domain *host_domain_find(struct fakexen_host *host, domid_t domid)
{
    struct host_domain *domain = host->domains;
    while (domain && domain->domid != domid)
        domain = domain->next;
    return domain;
}

static int host_domain_add(struct fakexen_host *host, domid_t domid, struct host_domain **out)
{
    struct host_domain *domain = host_domain_find(host, domid);
    if (!domain) {
        domain = calloc(1, sizeof(*domain));
        if (!domain)
            return -ENOMEM;
        domain->domid = domid;
        domain->xenstored.source.fd = -1;
        domain->next = host->domains;
        host->domains = domain;
    }
    *out = domain;
    return 0;
}

int host_domain_create(struct fakexen_host *host, struct host_client *client, uint32_t domid)
{
    struct host_domain *domain;
    if (domid >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    int rc = host_domain_add(host, (domid_t)domid, &domain);
    if (rc)
        return rc;
    if (domain->there || domain->ring)
        return -EEXIST;
    if (host->genuine)
        return host_genuine_create(host, client, domain);
    rc = host_xenstored_open(host, domain);
    if (rc)
        return rc;
    rc = store_introduce(host->store, domain->domid);
    if (rc)
        host_xenstored_close(host, domain);
    else
        domain->alive = domain->there = true;
    return rc;
}

/* Its processes learn that it is gone. */
static void end_clients(struct fakexen_host *host, struct host_domain *domain)
{
    domain->alive = false;
    for (struct host_client *client = host->clients; client; client = client->next) {
        if (client->domain != domain)
            continue;
        __atomic_store_n(&client->granter->table->dead, 1, __ATOMIC_RELEASE);
        host_client_release(host, client);
        shutdown(client->source.fd, SHUT_RDWR);
        client->source.gone = true;
    }
    host_xenstored_close(host, domain);
}

int host_domain_destroy(struct fakexen_host *host, struct host_client *client, uint32_t domid)
{
    if (!domid)
        return -EINVAL;
    struct host_domain *domain = domid < DOMID_FIRST_RESERVED ? host_domain_find(host, (domid_t)domid) : NULL;
    if (!domain || !domain->alive)
        return -ENXIO;
    int rc = host->genuine ? host_genuine_destroy(host, client, domain) : store_release(host->store, domain->domid);
    if (rc < 0)
        return rc;
    end_clients(host, domain);
    if (rc == HOST_LATER)
        return rc;
    domain->there = false;
    host_evtchn_raise(host, VIRQ_DOM_EXC);
    return 0;
}

void host_domains(struct fakexen_host *host, uint32_t first, struct host_answer *answer)
{
    struct control_reply *reply = &answer->reply;
    for (; reply->value < CONTROL_DOMAINS_MAX; first = reply->domains[reply->value++] + 1) {
        const struct host_domain *next = NULL;
        for (const struct host_domain *d = host->domains; d; d = d->next) {
            if (d->there && d->domid >= first && (!next || d->domid < next->domid))
                next = d;
        }
        if (!next)
            break;
        reply->domains[reply->value] = next->domid;
    }
}

/* ---- opening ---- */

static int path_in(const struct fakexen_host *host, const char *name, char *buf, size_t size)
{
    int length = snprintf(buf, size, "%s/%s", host->dir, name);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int take_lock(struct fakexen_host *host)
{
    char path[512];
    int rc = path_in(host, CONTROL_LOCK, path, sizeof(path));
    if (rc)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
        close(fd);
        return rc;
    }
    /* Who had it may have removed the file between our open() and our lock. */
    struct stat held;
    struct stat there;
    if (fstat(fd, &held) || stat(path, &there) || held.st_ino != there.st_ino ||
        held.st_dev != there.st_dev) {
        close(fd);
        return -EADDRINUSE;
    }
    host->lock = fd;
    return 0;
}

static int start_listening(struct fakexen_host *host)
{
    struct sockaddr_un address;
    int rc = control_address(host->dir, &address);
    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    host->listener = (struct host_source){.kind = HOST_LISTENER, .fd = fd};
    /* We hold the lock, so what is there is of a host that died. */
    unlink(address.sun_path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 64))
        return -errno;
    return host_watch_source(host, &host->listener);
}

/* What every host has, whatever its store is. */
static int start(struct fakexen_host *host, const char *dir, struct host_domain **domain0)
{
    host->dir = strdup(dir);
    if (!host->dir)
        return -ENOMEM;
    int rc = host_xenstored_check(host);
    if (rc)
        return rc;
    host->made_dir = !mkdir(dir, 0700);
    if (!host->made_dir && errno != EEXIST)
        return -errno;
    rc = take_lock(host);
    if (rc)
        return rc;
    host->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (host->epoll < 0)
        return -errno;
    host->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (host->spare < 0)
        return -errno;
    rc = host_domain_add(host, 0, domain0);
    if (rc)
        return rc;
    (*domain0)->alive = (*domain0)->there = true;
    host_xenstored_clear(host);
    return start_listening(host);
}

static int host_start(struct fakexen_host *host, const char *dir, const struct fakexen_xenstored *genuine)
{
    struct host_domain *domain0 = NULL;
    int rc = start(host, dir, &domain0);
    if (rc)
        return rc;
    if (genuine)
        return host_genuine_start(host, genuine);
    rc = store_create(&host->store);
    return rc ? rc : host_xenstored_open(host, domain0);
}

static int host_open(const char *dir, const struct fakexen_xenstored *genuine, struct fakexen_host **out)
{
    struct fakexen_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->listener.fd = -1;
    host->epoll = -1;
    host->lock = -1;
    host->spare = -1;
    int rc = host_start(host, dir, genuine);
    if (rc) {
        fakexen_host_close(host);
        return rc;
    }
    *out = host;
    return 0;
}

int fakexen_host_open(const char *dir, struct fakexen_host **out)
{
    return host_open(dir, NULL, out);
}

int fakexen_host_open_genuine(const char *dir, const struct fakexen_xenstored *program, struct fakexen_host **out)
{
    return host_open(dir, program, out);
}

int fakexen_host_fd(const struct fakexen_host *host)
{
    return host->epoll;
}

/* ---- serving ---- */

int host_accept(struct fakexen_host *host, const struct host_source *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        return fd;
    /* A client that is left waiting would be reported again at once, and for ever. */
    if ((errno == EMFILE || errno == ENFILE) && host->spare >= 0) {
        close(host->spare);
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        host->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return -EAGAIN;
}

static void accept_one(struct fakexen_host *host)
{
    int fd = host_accept(host, &host->listener);
    if (fd >= 0)
        host_client_accept(host, fd);
}

static void clean_muxes(struct fakexen_host *host)
{
    for (struct host_domain *domain = host->domains; domain; domain = domain->next) {
        if (domain->mux)
            host_mux_clean(host, domain->mux);
    }
}

static void reap(struct fakexen_host *host)
{
    for (struct host_client **at = &host->clients; *at;) {
        struct host_client *client = *at;
        /* A handle whose xenstore connection broke is as good as dead. */
        if (client->xenstore && client->xenstore->source.gone)
            client->source.gone = true;
        if (!client->source.gone) {
            at = &client->next;
            continue;
        }
        host_client_release(host, client);
        host_genuine_forget(host, client);
        host->client_count--;
        *at = client->next;
        close(client->source.fd);
        free(client);
    }
    for (struct host_xenstore **at = &host->xenstores; *at;) {
        struct host_xenstore *xenstore = *at;
        if (!xenstore->source.gone) {
            at = &xenstore->next;
            continue;
        }
        *at = xenstore->next;
        close(xenstore->source.fd);
        free(xenstore);
    }
}

int fakexen_host_step(struct fakexen_host *host)
{
    struct epoll_event events[16];
    int rc = 0;
    int count = epoll_wait(host->epoll, events, 16, 0);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count && !rc; i++) {
        struct host_source *source = events[i].data.ptr;
        if (source->gone)
            continue;
        switch (source->kind) {
        case HOST_LISTENER:
            accept_one(host);
            break;
        case HOST_XENSTORED:
            host_xenstored_accept(host, (struct host_xenstored *)source);
            break;
        case HOST_CONTROL:
            host_client_serve(host, (struct host_client *)source);
            break;
        case HOST_XENSTORE:
            if (((struct host_xenstore *)source)->mux)
                host_mux_serve(host, (struct host_xenstore *)source, events[i].events);
            else
                host_xenstore_serve(host, (struct host_xenstore *)source);
            break;
        case HOST_RING:
        case HOST_CHILD:
        case HOST_TOOLS:
            rc = host_genuine_event(host, source);
            break;
        }
    }
    clean_muxes(host);
    reap(host);
    return rc;
}

struct fakexen_balance fakexen_host_balance(const struct fakexen_host *host)
{
    struct fakexen_balance balance = {0};
    for (const struct host_client *client = host->clients; client; client = client->next) {
        if (!client->domain || !client->granter || client->own)
            continue;
        balance.handles++;
        balance.pages += __atomic_load_n(&client->granter->table->pages, __ATOMIC_RELAXED);
        balance.maps += client->mapped;
    }
    /* The ring of each domain is not somebody's to give back: neither end of it. */
    for (const struct host_client *client = host->clients; client; client = client->next) {
        for (const struct host_port *port = client->ports; client->own && port; port = port->next)
            balance.ports--;
    }
    for (const struct host_xenstore *x = host->xenstores; x; x = x->next) {
        if (x->source.gone || x->mux)
            continue;
        balance.watches += store_watch_count(x->wire.conn);
        balance.transactions += store_transaction_count(x->wire.conn);
    }
    for (const struct host_domain *domain = host->domains; domain; domain = domain->next) {
        balance.ports += domain->ports.open;
        if (domain->ring)
            balance.ports--;
        if (domain->mux)
            host_mux_count(domain->mux, &balance);
        for (const struct host_granter *granter = domain->granters; granter; granter = granter->next) {
            if (!granter->granter.reserved)
                balance.grants += granter_count(&granter->granter);
        }
    }
    return balance;
}

unsigned int fakexen_host_descriptors(const struct fakexen_host *host)
{
    unsigned int n = 0;
    for (const struct host_domain *domain = host->domains; domain; domain = domain->next) {
        n += domain->xenstored.source.fd >= 0;
        /* Three of its memory, two of its port. */
        n += domain->ring ? 5 : 0;
    }
    for (const struct host_client *client = host->clients; client; client = client->next) {
        if (!client->own)
            continue;
        n += client->granter ? 4 : 1;
        for (const struct host_port *port = client->ports; port; port = port->next)
            n += 2;
    }
    return n;
}

/* ---- closing ---- */

static void remove_files(struct fakexen_host *host)
{
    char path[512];
    if (host->listener.fd >= 0 && !path_in(host, CONTROL_SOCKET, path, sizeof(path)))
        unlink(path);
    if (!path_in(host, CONTROL_LOCK, path, sizeof(path)))
        unlink(path);
    if (host->made_dir)
        rmdir(host->dir);
}

void fakexen_host_close(struct fakexen_host *host)
{
    if (!host)
        return;
    for (struct host_client *client = host->clients; client; client = client->next)
        client->source.gone = true;
    for (struct host_domain *domain = host->domains; domain; domain = domain->next)
        host_xenstored_close(host, domain);
    clean_muxes(host);
    reap(host);
    host_genuine_stop(host);
    struct host_domain *next;
    for (struct host_domain *domain = host->domains; domain; domain = next) {
        next = domain->next;
        host_mux_close(domain->mux);
        host_ring_close(host, domain->ring);
        evtchn_space_dispose(&domain->ports);
        free(domain);
    }
    store_destroy(host->store);
    if (host->lock >= 0)
        remove_files(host);
    if (host->listener.fd >= 0)
        close(host->listener.fd);
    if (host->epoll >= 0)
        close(host->epoll);
    if (host->spare >= 0)
        close(host->spare);
    if (host->lock >= 0)
        close(host->lock);
    free(host->dir);
    free(host);
}
