// SPDX-License-Identifier: MIT
/* Connections of a server, and what is asked before a device is imported. */
#include "usbip/server_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256u
#define REQUEST_NS      UINT64_C(5000000000)
#define NS_PER_S        UINT64_C(1000000000)

void server_log(struct usbip_server *server, const char *busid, const char *what)
{
    char line[256];
    if (!server->config.log)
        return;
    snprintf(line, sizeof(line), "usbip: %s: %s", busid, what);
    server->config.log(server->config.log_context, line);
}

void connection_touch(struct connection *connection)
{
    struct usbip_server *server = connection->server;
    if (connection->touched)
        return;
    connection->touched = true;
    connection->next_touched = server->touched;
    server->touched = connection;
}

static void end(struct connection *connection)
{
    if (connection->state == DEAD)
        return;
    connection->state = DEAD;
    stream_close(&connection->stream);
    if (connection->session)
        session_destroy(connection->session);
    connection_touch(connection);
}

static void connection_violation(struct connection *connection, const char *what)
{
    char line[192];
    snprintf(line, sizeof(line), "the client sent %s; connection closed", what);
    connection->server->stats.violations++;
    server_log(connection->server, connection->session ? session_busid(connection->session) : "request",
               line);
    end(connection);
}

/* ---- requests ---- */

static void send_answer(struct connection *connection, uint8_t *bytes, size_t size)
{
    connection->answer_bytes = bytes;
    connection->answer = (struct stream_message){.piece = {{bytes, size}}, .nr_pieces = 1};
    stream_queue(&connection->stream, &connection->answer);
    connection_touch(connection);
}

static size_t put_listed(const struct export *export, uint8_t *out)
{
    const struct guest_configuration *config = &export->described.configurations[0];
    uint8_t *at = out + USBIP_DEVICE_SIZE;
    usbip_put_device(out, &export->shown);
    for (unsigned int i = 0; export->described.nr_configurations && i < config->nr_interfaces; i++) {
        const struct guest_interface *interface = &config->interfaces[i];
        if (interface->alternate)
            continue;
        const uint8_t bytes[USBIP_INTERFACE_SIZE] = {interface->interface_class, interface->subclass,
                                                     interface->protocol, 0};
        memcpy(at, bytes, sizeof(bytes));
        at += sizeof(bytes);
    }
    return (size_t)(at - out);
}

static void answer_list(struct connection *connection)
{
    struct usbip_server *server = connection->server;
    size_t each = USBIP_DEVICE_SIZE + GUEST_INTERFACES_MAX * USBIP_INTERFACE_SIZE;
    uint8_t *bytes = malloc(USBIP_OP_SIZE + 4 + server->nr_exports * each);
    size_t size = USBIP_OP_SIZE + 4;
    uint32_t count = 0;
    if (!bytes) {
        end(connection);
        return;
    }
    for (struct export *export = server->exports; export; export = export->next) {
        if (!export->ready || export->session)
            continue; /* as usbipd: what is imported is not offered */
        size += put_listed(export, bytes + size);
        count++;
    }
    usbip_put_op(bytes, USBIP_REP_DEVLIST, USBIP_OK);
    for (unsigned int i = 0; i < 4; i++)
        bytes[USBIP_OP_SIZE + i] = (uint8_t)(count >> (24 - 8 * i));
    connection->state = ENDING;
    send_answer(connection, bytes, size);
}

static uint32_t try_import(struct connection *connection, struct export *export)
{
    if (!export || !export->ready)
        return USBIP_NO_DEVICE;
    if (export->session)
        return USBIP_BUSY;
    return session_create(connection, export) ? USBIP_FAILED : USBIP_OK;
}

static void answer_import(struct connection *connection, const uint8_t *bytes)
{
    char busid[USBIP_BUSID_SIZE];
    const char *wrong = usbip_get_busid(bytes, busid);
    if (wrong) {
        connection_violation(connection, wrong);
        return;
    }
    struct export *export = export_find(connection->server, busid);
    uint8_t *out = malloc(USBIP_OP_SIZE + USBIP_DEVICE_SIZE);
    if (!out) {
        end(connection);
        return;
    }
    uint32_t status = try_import(connection, export);
    usbip_put_op(out, USBIP_REP_IMPORT, status);
    connection->state = status ? ENDING : IMPORTED;
    if (status == USBIP_OK) {
        usbip_put_device(out + USBIP_OP_SIZE, &export->shown);
        connection->limit_ns = UINT64_MAX;
        connection->server->stats.imports++;
        server_log(connection->server, busid, "imported");
    }
    send_answer(connection, out, USBIP_OP_SIZE + (status ? 0 : USBIP_DEVICE_SIZE));
}

/* False when it has to wait for more. */
static bool run_request(struct connection *connection)
{
    const uint8_t *bytes;
    uint32_t status;
    if (connection->request == 0) {
        bytes = stream_take(&connection->stream, USBIP_OP_SIZE);
        if (!bytes)
            return false;
        const char *wrong = usbip_get_op(bytes, &connection->request, &status);
        if (!wrong && connection->request != USBIP_REQ_DEVLIST && connection->request != USBIP_REQ_IMPORT)
            wrong = "a request that is neither to list nor to import";
        if (wrong) {
            connection_violation(connection, wrong);
            return true;
        }
    }
    if (connection->request == USBIP_REQ_DEVLIST) {
        answer_list(connection);
        return true;
    }
    bytes = stream_take(&connection->stream, USBIP_BUSID_SIZE);
    if (bytes)
        answer_import(connection, bytes);
    return bytes != NULL;
}

/* ---- connections ---- */

static void run(struct connection *connection)
{
    const char *wrong = NULL;
    if (connection->state == REQUESTING && !run_request(connection))
        return;
    if (connection->state == IMPORTED)
        wrong = session_run(connection->session);
    else if (connection->state == ENDING)
        (void)stream_take(&connection->stream, connection->stream.end - connection->stream.begin);
    if (wrong)
        connection_violation(connection, wrong);
}

static bool reads(const struct connection *connection)
{
    return connection->state != IMPORTED || session_reads(connection->session);
}

static void input(struct connection *connection)
{
    int rc = 1;
    while (rc == 1 && connection->state != DEAD && reads(connection)) {
        rc = stream_fill(&connection->stream);
        if (rc < 0)
            end(connection);
        else
            run(connection);
        if (!connection->stream.more)
            return;
    }
}

static void watch(struct connection *connection)
{
    struct stream *stream = &connection->stream;
    uint32_t interest = (reads(connection) ? EPOLLIN : 0u) | (stream_blocked(stream) ? EPOLLOUT : 0u);
    if (interest == connection->interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    connection->interest = interest;
    if (epoll_ctl(connection->server->poll_fd, EPOLL_CTL_MOD, stream->fd, &event))
        end(connection);
}

static void flush(struct connection *connection)
{
    struct stream *stream = &connection->stream;
    bool waited = !reads(connection);
    if (stream_flush(stream)) {
        end(connection);
        return;
    }
    if (waited && reads(connection))
        run(connection); /* what was left in the buffer */
    if (connection->state == DEAD)
        return;
    if (!stream_blocked(stream) && connection->state == ENDING)
        (void)shutdown(stream->fd, SHUT_WR);
    if (!stream_blocked(stream) && connection->state == IMPORTED &&
        !session_has_device(connection->session)) {
        end(connection);
        return;
    }
    watch(connection);
}

static void unlink_connection(struct connection *connection)
{
    struct usbip_server *server = connection->server;
    struct connection **link = &server->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    server->nr_connections--;
    /* What epoll still has for it in this round means nobody. */
    for (int i = 0; i < server->nr_events; i++) {
        if (server->events[i].data.ptr == connection)
            server->events[i].data.ptr = NULL;
    }
    free(connection->answer_bytes);
    free(connection);
}

static void settle(struct usbip_server *server)
{
    while (server->touched) {
        struct connection *connection = server->touched;
        server->touched = connection->next_touched;
        connection->touched = false;
        if (connection->state != DEAD)
            flush(connection);
        if (connection->state == DEAD && !connection->touched)
            unlink_connection(connection);
    }
}

int usbip_server_adopt(struct usbip_server *server, int fd)
{
    if (server->nr_connections == CONNECTIONS_MAX) {
        close(fd);
        return -EMFILE;
    }
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        close(fd);
        return -ENOMEM;
    }
    int rc = stream_open(&connection->stream, fd);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (!rc && epoll_ctl(server->poll_fd, EPOLL_CTL_ADD, fd, &event)) {
        rc = -errno;
        close(fd);
    }
    if (rc) {
        free(connection);
        return rc;
    }
    connection->server = server;
    connection->interest = EPOLLIN;
    connection->limit_ns = server->now_ns + REQUEST_NS;
    connection->next = server->connections;
    server->connections = connection;
    server->nr_connections++;
    return 0;
}

static void accept_all(struct usbip_server *server)
{
    while (server->nr_connections < CONNECTIONS_MAX) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        (void)usbip_server_adopt(server, fd);
    }
}

static uint64_t first_limit(const struct usbip_server *server)
{
    uint64_t first = UINT64_MAX;
    for (const struct connection *c = server->connections; c; c = c->next)
        first = c->limit_ns < first ? c->limit_ns : first;
    return first;
}

static void end_late(struct usbip_server *server)
{
    for (struct connection *c = server->connections; c; c = c->next) {
        if (c->limit_ns <= server->now_ns)
            end(c);
    }
}

int usbip_server_step(struct usbip_server *server, uint64_t now_ns)
{
    server->now_ns = now_ns;
    if (!server->waited)
        server->nr_events = epoll_wait(server->poll_fd, server->events, EVENTS_MAX, 0);
    server->waited = false;
    if (server->nr_events < 0 && errno != EINTR)
        return -errno;
    for (int i = 0; i < server->nr_events; i++) {
        struct connection *connection = server->events[i].data.ptr;
        if (server->events[i].data.ptr == server)
            accept_all(server);
        else if (connection && connection->state != DEAD) {
            connection_touch(connection);
            input(connection);
        }
    }
    server->config.host->ops->step(server->config.host, now_ns);
    if (first_limit(server) <= now_ns)
        end_late(server);
    settle(server);
    server->nr_events = 0;
    return 0;
}

uint64_t usbip_server_deadline(const struct usbip_server *server)
{
    struct usb_host *host = server->config.host;
    uint64_t due = host->ops->deadline(host), limit = first_limit(server);
    return server->touched ? 0 : due < limit ? due : limit;
}

int usbip_server_fd(const struct usbip_server *server)
{
    return server->poll_fd;
}

void usbip_server_wait(struct usbip_server *server, uint64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                               .tv_nsec = (long)(timeout_ns % NS_PER_S)};
    if (server->touched)
        return;
    server->nr_events = epoll_pwait2(server->poll_fd, server->events, EVENTS_MAX,
                                     timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
    server->waited = server->nr_events >= 0;
}

/* ---- the server ---- */

int usbip_server_listen(struct usbip_server *server, const char *address, uint16_t port, uint16_t *bound)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof(in);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = server};
    int on = 1;
    if (server->listen_fd >= 0)
        return -EALREADY;
    if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
        return -EINVAL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || bind(fd, (struct sockaddr *)&in, size) ||
        listen(fd, 64) || getsockname(fd, (struct sockaddr *)&in, &size) ||
        epoll_ctl(server->poll_fd, EPOLL_CTL_ADD, fd, &event)) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    server->listen_fd = fd;
    if (bound)
        *bound = ntohs(in.sin_port);
    return 0;
}

int usbip_server_export(struct usbip_server *server, const char *busid)
{
    size_t n = strnlen(busid, USBIP_BUSID_SIZE);
    if (n == 0 || n == USBIP_BUSID_SIZE)
        return -EINVAL;
    if (server->nr_exports == USBIP_DEVICES_MAX)
        return -ENOSPC;
    if (export_find(server, busid))
        return -EEXIST;
    struct export *export = calloc(1, sizeof(*export));
    if (!export)
        return -ENOMEM;
    export->server = server;
    export->number = server->last_number + 1;
    memcpy(export->busid, busid, n);
    int rc = export_open(export);
    if (rc) {
        free(export);
        return rc;
    }
    server->last_number++;
    server->nr_exports++;
    struct export **link = &server->exports;
    while (*link)
        link = &(*link)->next;
    *link = export;
    return 0;
}

bool usbip_server_ready(const struct usbip_server *server)
{
    const struct export *export = server->exports;
    while (export && export->ready)
        export = export->next;
    return !export;
}

int usbip_server_create(const struct usbip_server_config *config, struct usbip_server **out)
{
    struct usbip_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->config = *config;
    server->listen_fd = -1;
    server->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->poll_fd < 0) {
        int rc = -errno;
        free(server);
        return rc;
    }
    export_listen(server);
    int rc = config->host->ops->listen(config->host, &server->listener);
    if (rc) {
        close(server->poll_fd);
        free(server);
        return rc;
    }
    *out = server;
    return 0;
}

void usbip_server_destroy(struct usbip_server *server)
{
    if (!server)
        return;
    for (struct connection *c = server->connections; c; c = c->next)
        end(c);
    settle(server);
    while (server->exports) {
        struct export *export = server->exports;
        server->exports = export->next;
        export_close(export);
        free(export);
    }
    server->config.host->ops->unlisten(server->config.host, &server->listener);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    close(server->poll_fd);
    free(server);
}

struct usbip_server_stats usbip_server_stats(const struct usbip_server *server)
{
    struct usbip_server_stats stats = server->stats;
    stats.connections = server->nr_connections;
    stats.bytes_in = stats.bytes_out = 0;
    for (const struct connection *c = server->connections; c; c = c->next) {
        stats.bytes_in += c->stream.bytes_in;
        stats.bytes_out += c->stream.bytes_out;
    }
    return stats;
}
