// SPDX-License-Identifier: MIT
#include "../grant/window.h"
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- round trips ---- */

int client_break(struct client *client)
{
    client->broken = true;
    return -EPIPE;
}

int client_check(struct client *client)
{
    if (client->broken || __atomic_load_n(&client->table->dead, __ATOMIC_ACQUIRE))
        return -EPIPE;
    return 0;
}

int client_check_socket(struct client *client)
{
    char byte;
    int rc = client_check(client);
    if (rc)
        return rc;
    /* The host never speaks first: anything but silence is its end. */
    return recv(client->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN
               ? 0
               : client_break(client);
}

struct control_request client_request(enum control_type type, uint32_t domid, uint32_t value)
{
    struct control_request request = {
        .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = type, .domid = domid, .value = value};
    return request;
}

int client_ask(int fd, const struct control_request *request, struct control_reply *reply, int *fds,
               unsigned int *fd_count)
{
    size_t size = offsetof(struct control_request, refs) + request->count * sizeof(request->refs[0]);
    if (control_send(fd, request, size, NULL, 0))
        return -EPIPE;
    if (control_receive(fd, reply, sizeof(*reply), fds, fd_count, 0) != sizeof(*reply))
        return -EPIPE;
    return reply->rc;
}

int client_call(struct client *client, const struct control_request *request, struct control_reply *reply,
                int *fds, unsigned int *fd_count)
{
    int rc = client_check(client);
    if (rc)
        return rc;
    rc = client_ask(client->control, request, reply, fds, fd_count);
    if (rc == -EPIPE)
        return client_break(client);
    client_granters_gone(client, reply);
    return rc;
}

/* ---- the handle ---- */

static int client_fd(struct xen *xen)
{
    return ((struct client *)xen)->wait;
}

static int client_waiting(struct xen *xen)
{
    struct client *client = (struct client *)xen;
    struct epoll_event events[4]; /* as many as there are descriptors */
    int waits = 0;
    if (client->set)
        return client_joined_waiting(client);
    int rc = client_check(client);
    int n = rc ? 0 : epoll_wait(client->wait, events, 4, 0);
    for (int i = 0; !rc && i < n; i++) {
        if (events[i].data.fd == client->control)
            rc = client_check_socket(client);
        else
            waits |= events[i].data.fd == client->ports_wait ? XEN_WAITS_EVENT : XEN_WAITS_WATCH;
    }
    return rc ? rc : waits;
}

/* Frees a handle in any state of being made. */
static void client_free(struct client *client)
{
    client_ports_close(client);
    client_granters_close(client);
    client_copies_close(client);
    client_events_drop(client);
    grant_table_destroy(client->grants);
    arena_destroy(client->arena);
    if (client->table)
        munmap(client->table, sizeof(*client->table));
    if (client->set)
        client_leave(client);
    close_fd(&client->control);
    close_fd(&client->store);
    close_fd(&client->ports_wait);
    close_fd(&client->wake);
    close_fd(&client->wait);
    free(client->store_path);
    free(client);
}

/*
 * Neither the grant table nor the epoll sets may be touched, which are the other process's too: closing a
 * descriptor of a set takes nothing out of it while that process has the descriptor.
 */
void client_abandon(struct client *client)
{
    struct client_port *next_port;
    struct client_map *next_map;
    for (struct client_port *port = client->ports; port; port = next_port) {
        next_port = port->next;
        client_port_free(port);
    }
    client->ports = NULL;
    for (struct client_map *map = client->maps; map; map = next_map) {
        next_map = map->next;
        window_release(map->addr, map->count);
        free(map);
    }
    free(client->grants);
    client->grants = NULL;
    client->set = NULL;
    client_free(client);
}

static void client_close(struct xen *xen)
{
    struct client *client = (struct client *)xen;
    struct control_request bye = client_request(CONTROL_BYE, 0, 0);
    struct control_reply reply;
    client_unmap_all(client);
    /* So that the peers see the end when this returns. If the host is gone they know already. */
    if (!client_check(client))
        client_ask(client->control, &bye, &reply, NULL, NULL);
    client_free(client);
}

const struct xen_ops client_ops = {
    .name = "client",
    .close = client_close,
    .fd = client_fd,
    .waiting = client_waiting,
    .join = client_join,
    .pages_alloc = client_pages_alloc,
    .pages_free = client_pages_free,
    .grant = client_grant,
    .grant_end = client_grant_end,
    .grant_revoke = client_grant_revoke,
    .grant_map = client_grant_map,
    .grant_unmap = client_grant_unmap,
    .grant_copy = client_grant_copy,
    .grant_map_limit = client_grant_map_limit,
    .evtchn_alloc = client_evtchn_alloc,
    .evtchn_bind = client_evtchn_bind,
    .evtchn_notify = client_evtchn_notify,
    .evtchn_close = client_evtchn_close,
    .evtchn_pending = client_evtchn_pending,
    .evtchn_unmask = client_evtchn_unmask,
    .evtchn_status = client_evtchn_status,
    .xs_begin = client_xs_begin,
    .xs_end = client_xs_end,
    .xs_read = client_xs_read,
    .xs_write = client_xs_write,
    .xs_mkdir = client_xs_mkdir,
    .xs_rm = client_xs_rm,
    .xs_directory = client_xs_directory,
    .xs_get_perms = client_xs_get_perms,
    .xs_set_perms = client_xs_set_perms,
    .xs_watch = client_xs_watch,
    .xs_unwatch = client_xs_unwatch,
    .xs_watch_read = client_xs_watch_read,
};

/* ---- opening ---- */

static int connect_to(const struct client_machine *machine, int *out)
{
    struct sockaddr_un address;
    int rc = control_address(machine->dir, &address);
    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
        rc = -errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static int wait_for(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int wait_for_store(struct client *client, int fd)
{
    return client->set ? client_join_store(client, fd) : wait_for(client->wait, fd);
}

static int make_waits(struct client *client)
{
    client->wait = epoll_create1(EPOLL_CLOEXEC);
    client->ports_wait = epoll_create1(EPOLL_CLOEXEC);
    client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->wait < 0 || client->ports_wait < 0 || client->wake < 0)
        return -errno;
    int fds[] = {client->control, client->ports_wait, client->wake, client->store};
    size_t count = client->store < 0 ? 3 : 4;
    for (size_t i = 0; i < count; i++) {
        int rc = wait_for(client->wait, fds[i]);
        if (rc)
            return rc;
    }
    return 0;
}

int client_store_connect(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (client->store >= 0)
        return 0;
    size_t length = strlen(client->store_path);
    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, client->store_path, length + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) || wait_for_store(client, fd)) {
        close(fd);
        return client_break(client);
    }
    client->store = fd;
    return 0;
}

static int store_path(const struct client_machine *machine, struct client *client)
{
    static const char name[] = "/xenstored.socket";
    size_t size = strlen(machine->dir) + sizeof(name);
    client->store_path = malloc(size);
    if (!client->store_path)
        return -ENOMEM;
    snprintf(client->store_path, size, "%s%s", machine->dir, name);
    return 0;
}

/* Takes the descriptors of the answer to hello. */
static int adopt(struct client *client, const int fds[3], grant_ref_t base)
{
    void *table = mmap(NULL, sizeof(*client->table), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    int rc = table == MAP_FAILED ? -errno : 0;
    close(fds[0]);
    if (rc) {
        close(fds[1]);
        return rc;
    }
    client->table = table;
    rc = arena_adopt(fds[1], &client->arena);
    if (rc)
        return rc;
    rc = grant_table_create(client->table->entries, base, client->arena, &client->grants);
    return rc ? rc : make_waits(client);
}

static int hello(struct client *client)
{
    int fds[3];
    unsigned int count = 3;
    struct control_request request = client_request(CONTROL_HELLO, client->xen.domid, 0);
    struct control_reply reply;
    int rc = client_ask(client->control, &request, &reply, fds, &count);
    if (rc)
        return rc;
    client->store = count == 3 ? fds[2] : -1;
    /* The store may have a socket of its own for domain 0. */
    if (count == 3 || (count == 2 && !client->xen.domid))
        return adopt(client, fds, reply.value);
    /* Out of descriptors: the kernel dropped some. */
    while (count)
        close(fds[--count]);
    return -EMFILE;
}

static int client_open(struct xen_machine *machine, domid_t domid, struct xen **out)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->xen = (struct xen){.ops = &client_ops, .domid = domid};
    client->control = client->wait = client->ports_wait = client->store = client->wake = -1;
    client->map_limit = 1024;
    client->events_last = &client->events;
    int rc = connect_to((struct client_machine *)machine, &client->control);
    if (!rc)
        rc = hello(client);
    if (!rc && client->store < 0)
        rc = store_path((struct client_machine *)machine, client);
    if (rc) {
        client_free(client);
        return rc;
    }
    *out = &client->xen;
    return 0;
}

/* ---- the machine ---- */

/* One request over a connection of its own. */
static int ask_machine(struct xen_machine *machine, enum control_type type, domid_t domid,
                       struct control_reply *reply)
{
    struct control_request request = client_request(type, domid, 0);
    int fd;
    int rc = connect_to((struct client_machine *)machine, &fd);
    if (rc)
        return rc;
    rc = client_ask(fd, &request, reply, NULL, NULL);
    close(fd);
    return rc;
}

static int client_domain_create(struct xen_machine *machine, domid_t domid)
{
    struct control_reply reply;
    return ask_machine(machine, CONTROL_DOMAIN_CREATE, domid, &reply);
}

static int client_domain_destroy(struct xen_machine *machine, domid_t domid)
{
    struct control_reply reply;
    return ask_machine(machine, CONTROL_DOMAIN_DESTROY, domid, &reply);
}

int fakexen_client_machine_balance(struct xen_machine *machine, struct fakexen_balance *out)
{
    struct control_reply reply;
    int rc = ask_machine(machine, CONTROL_BALANCE, 0, &reply);
    if (!rc)
        *out = reply.balance;
    return rc;
}

/* Adds what an answer lists. True when there may be more, from *first on. */
static bool take_domains(const struct control_reply *reply, unsigned int max, domid_t out[], unsigned int *count,
                         domid_t *first)
{
    for (unsigned int i = 0; i < reply->value && i < CONTROL_DOMAINS_MAX && *count < max; i++)
        out[(*count)++] = (domid_t)reply->domains[i];
    if (reply->value < CONTROL_DOMAINS_MAX || *count == max)
        return false;
    *first = (domid_t)(out[*count - 1] + 1u);
    return true;
}

int fakexen_client_machine_domains(struct xen_machine *machine, domid_t first, unsigned int max, domid_t out[])
{
    struct control_reply reply;
    unsigned int count = 0;
    do {
        int rc = ask_machine(machine, CONTROL_DOMAINS, first, &reply);
        if (rc)
            return rc;
    } while (take_domains(&reply, max, out, &count, &first));
    return (int)count;
}

int client_domains(struct client *client, domid_t first, unsigned int max, domid_t out[])
{
    struct control_reply reply;
    unsigned int count = 0;
    do {
        struct control_request request = client_request(CONTROL_DOMAINS, first, 0);
        int rc = client_call(client, &request, &reply, NULL, NULL);
        if (rc)
            return rc;
    } while (take_domains(&reply, max, out, &count, &first));
    return (int)count;
}

static const struct xen_machine_ops client_machine_ops = {
    .open = client_open,
    .domain_create = client_domain_create,
    .domain_destroy = client_domain_destroy,
};

int fakexen_client_machine_create(const char *dir, struct xen_machine **out)
{
    struct client_machine *machine = calloc(1, sizeof(*machine));
    if (!machine)
        return -ENOMEM;
    machine->machine.ops = &client_machine_ops;
    machine->dir = strdup(dir);
    if (!machine->dir) {
        free(machine);
        return -ENOMEM;
    }
    *out = &machine->machine;
    return 0;
}

void fakexen_client_machine_destroy(struct xen_machine *machine)
{
    if (!machine)
        return;
    free(((struct client_machine *)machine)->dir);
    free(machine);
}
