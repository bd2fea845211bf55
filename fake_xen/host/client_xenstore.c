// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* Behind errno.h, as its table of errors is there only then. */
#include <xen/io/xs_wire.h>

#include "../xenstore/path.h"
#include "client.h"

/* ---- watch events that came while something else was waited for ---- */

static int event_keep(struct client *client, const char *payload, size_t length)
{
    const char *end = memchr(payload, '\0', length);
    size_t path_size = end ? (size_t)(end - payload) + 1 : 0;
    if (!end || length - path_size < 1 || payload[length - 1] || path_size > XEN_XS_PATH_MAX + 1 ||
        length - path_size > XEN_XS_TOKEN_MAX + 1)
        return client_break(client);
    struct client_event *event = malloc(sizeof(*event) + length);
    /* An event that is lost would never be missed; a handle that ends is. */
    if (!event)
        return client_break(client);
    event->next = NULL;
    event->path = (char *)(event + 1);
    event->token = event->path + path_size;
    memcpy(event->path, payload, length);
    if (!client->events)
        (void)!eventfd_write(client->wake, 1);
    *client->events_last = event;
    client->events_last = &event->next;
    return 0;
}

/* Takes the event *at out of the list. */
static void event_remove(struct client *client, struct client_event **at)
{
    struct client_event *event = *at;
    eventfd_t value;
    *at = event->next;
    if (!*at)
        client->events_last = at;
    free(event);
    if (!client->events)
        (void)!eventfd_read(client->wake, &value);
}

void client_events_drop(struct client *client)
{
    while (client->events)
        event_remove(client, &client->events);
}

/* ---- messages ---- */

/* Whether a whole message is in the buffer: 0, -EAGAIN, or the end of a machine that talks nonsense. */
static int buffered(struct client *client, struct xsd_sockmsg *header)
{
    if (client->have < sizeof(*header))
        return -EAGAIN;
    memcpy(header, client->in, sizeof(*header));
    if (header->len > XENSTORE_PAYLOAD_MAX)
        return client_break(client);
    return client->have >= sizeof(*header) + header->len ? 0 : -EAGAIN;
}

/*
 * Receives until one whole message is in the buffer. -EAGAIN, if not told to wait.
 */
static int receive(struct client *client, bool wait, struct xsd_sockmsg *header)
{
    for (;;) {
        int rc = buffered(client, header);
        if (rc != -EAGAIN)
            return rc;
        ssize_t got = recv(client->store, client->in + client->have, sizeof(client->in) - client->have,
                           wait ? 0 : MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return -EAGAIN;
        if (got <= 0)
            return client_break(client);
        client->have += (size_t)got;
    }
}

static void consume(struct client *client, const struct xsd_sockmsg *header)
{
    size_t whole = sizeof(*header) + header->len;
    memmove(client->in, client->in + whole, client->have - whole);
    client->have -= whole;
}

/*
 * What came along with an answer must not stay in the buffer: the socket is empty then, and nobody would be woken
 * for it. Of half a message the rest is still to come.
 */
static int keep_buffered(struct client *client)
{
    struct xsd_sockmsg header;
    int rc;
    while (!(rc = buffered(client, &header))) {
        if (header.type != XS_WATCH_EVENT)
            return client_break(client);
        rc = event_keep(client, (const char *)client->in + sizeof(header), header.len);
        consume(client, &header);
        if (rc)
            return rc;
    }
    return rc == -EAGAIN ? 0 : rc;
}

static int send_all(struct client *client, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t sent = send(client->store, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return client_break(client);
        at += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int error_number(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        const char *known = xsd_errors[i].errstring;
        if (strlen(known) + 1 == length && memcmp(known, name, length) == 0)
            return -xsd_errors[i].errnum;
    }
    return -EINVAL;
}

/* A question: the path, its NUL, then more. */
struct question {
    uint32_t type;
    xen_transaction t;
    const char *path;
    const void *more;
    size_t more_length;
};

/* Asks; returns the length of the answer, of which at most size bytes are copied to buf: -ERANGE beyond. */
static ssize_t ask(struct client *client, const struct question *q, char *buf, size_t size)
{
    uint8_t message[WIRE_MESSAGE_SIZE];
    int rc = client_check(client);
    if (!rc)
        rc = client_store_connect(client);
    if (rc)
        return rc;
    size_t path_size = strlen(q->path) + 1;
    if (path_size > XEN_XS_PATH_MAX + 1)
        return -EINVAL;
    if (q->more_length > XEN_XS_PAYLOAD_MAX || path_size + q->more_length > XEN_XS_PAYLOAD_MAX)
        return -E2BIG;
    struct xsd_sockmsg header = {.type = q->type,
                                 .req_id = ++client->next_request,
                                 .tx_id = q->t,
                                 .len = (uint32_t)(path_size + q->more_length)};
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), q->path, path_size);
    if (q->more_length)
        memcpy(message + sizeof(header) + path_size, q->more, q->more_length);
    rc = send_all(client, message, sizeof(header) + header.len);
    if (rc)
        return rc;
    for (;;) {
        rc = receive(client, true, &header);
        if (rc)
            return rc;
        const char *payload = (const char *)client->in + sizeof(header);
        if (header.type != XS_WATCH_EVENT)
            break;
        rc = event_keep(client, payload, header.len);
        consume(client, &header);
        if (rc)
            return rc;
    }
    ssize_t length = header.len;
    const char *payload = (const char *)client->in + sizeof(header);
    if (header.type == XS_ERROR)
        length = error_number(payload, header.len);
    else if (header.len > size)
        length = -ERANGE;
    else
        memcpy(buf, payload, header.len);
    consume(client, &header);
    rc = keep_buffered(client);
    return rc ? rc : length;
}

/* A question whose answer is "OK". */
static int order(struct xen *xen, const struct question *q)
{
    char answer[XEN_XS_PAYLOAD_MAX];
    ssize_t rc = ask((struct client *)xen, q, answer, sizeof(answer));
    return rc < 0 ? (int)rc : 0;
}

/* ---- calls ---- */

int client_xs_begin(struct xen *xen, xen_transaction *out)
{
    char answer[16];
    struct question q = {.type = XS_TRANSACTION_START, .path = ""};
    ssize_t length = ask((struct client *)xen, &q, answer, sizeof(answer) - 1);
    if (length < 0)
        return (int)length;
    answer[length] = '\0';
    *out = (xen_transaction)strtoul(answer, NULL, 10);
    return 0;
}

int client_xs_end(struct xen *xen, xen_transaction t, bool abort)
{
    struct question q = {.type = XS_TRANSACTION_END, .t = t, .path = abort ? "F" : "T"};
    return order(xen, &q);
}

ssize_t client_xs_read(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    struct question q = {.type = XS_READ, .t = t, .path = path};
    ssize_t length = ask((struct client *)xen, &q, buf, size ? size - 1 : 0);
    if (length >= 0 && !size)
        return -ERANGE;
    if (length >= 0)
        buf[length] = '\0';
    return length;
}

int client_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value, size_t length)
{
    struct question q = {.type = XS_WRITE, .t = t, .path = path, .more = value, .more_length = length};
    return order(xen, &q);
}

int client_xs_mkdir(struct xen *xen, xen_transaction t, const char *path)
{
    struct question q = {.type = XS_MKDIR, .t = t, .path = path};
    return order(xen, &q);
}

int client_xs_rm(struct xen *xen, xen_transaction t, const char *path)
{
    struct question q = {.type = XS_RM, .t = t, .path = path};
    return order(xen, &q);
}

ssize_t client_xs_directory(struct xen *xen, xen_transaction t, const char *path, char *buf, size_t size)
{
    struct question q = {.type = XS_DIRECTORY, .t = t, .path = path};
    return ask((struct client *)xen, &q, buf, size);
}

int client_xs_get_perms(struct xen *xen, xen_transaction t, const char *path, struct xen_xs_perm *perms,
                        unsigned int count)
{
    struct xen_xs_perm all[XEN_XS_PERMS_MAX];
    char answer[XEN_XS_PERMS_MAX * WIRE_PERM_SIZE];
    unsigned int found = 0;
    struct question q = {.type = XS_GET_PERMS, .t = t, .path = path};
    ssize_t length = ask((struct client *)xen, &q, answer, sizeof(answer));
    if (length < 0)
        return (int)length;
    if (!length || answer[length - 1])
        return client_break((struct client *)xen);
    for (const char *at = answer; at < answer + length && found < XEN_XS_PERMS_MAX; at += strlen(at) + 1) {
        if (wire_perm_parse(at, &all[found++]))
            return client_break((struct client *)xen);
    }
    if (found > count)
        return -ERANGE;
    memcpy(perms, all, found * sizeof(*perms));
    return (int)found;
}

int client_xs_set_perms(struct xen *xen, xen_transaction t, const char *path, const struct xen_xs_perm *perms,
                        unsigned int count)
{
    char text[XEN_XS_PERMS_MAX * WIRE_PERM_SIZE];
    size_t used = 0;
    if (!count || count > XEN_XS_PERMS_MAX)
        return count ? -ENOSPC : -EINVAL;
    for (unsigned int i = 0; i < count; i++) {
        if ((unsigned int)perms[i].access > XEN_XS_BOTH)
            return -EINVAL;
        used += wire_perm_format(&perms[i], text + used) + 1;
    }
    struct question q = {.type = XS_SET_PERMS, .t = t, .path = path, .more = text, .more_length = used};
    return order(xen, &q);
}

int client_xs_watch(struct xen *xen, const char *path, const char *token)
{
    struct question q = {.type = XS_WATCH, .path = path, .more = token, .more_length = strlen(token) + 1};
    return order(xen, &q);
}

int client_xs_unwatch(struct xen *xen, const char *path, const char *token)
{
    struct client *client = (struct client *)xen;
    struct question q = {.type = XS_UNWATCH, .path = path, .more = token, .more_length = strlen(token) + 1};
    int rc = order(xen, &q);
    if (rc)
        return rc;
    for (struct client_event **at = &client->events; *at;) {
        if (strcmp((*at)->token, token) == 0 && xs_path_within((*at)->path, path))
            event_remove(client, at);
        else
            at = &(*at)->next;
    }
    return 0;
}

int client_xs_watch_read(struct xen *xen, char *path, char *token)
{
    struct client *client = (struct client *)xen;
    struct xsd_sockmsg header;
    int rc = client_check(client);
    if (rc)
        return rc;
    if (client->store < 0)
        return -EAGAIN;
    if (!client->events) {
        rc = receive(client, false, &header);
        if (rc)
            return rc;
        rc = keep_buffered(client);
        if (rc)
            return rc;
    }
    strcpy(path, client->events->path);
    strcpy(token, client->events->token);
    event_remove(client, &client->events);
    return 0;
}
