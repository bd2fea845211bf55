// SPDX-License-Identifier: MIT
#include "stepped_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../host/protocol.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* ---- the host ---- */

void stepped_host_begin(struct stepped_host *h)
{
    struct sockaddr_un address;
    strcpy(h->parent, "/tmp/fakexen-test-XXXXXX");
    require(mkdtemp(h->parent));
    snprintf(h->dir, sizeof(h->dir), "%s/machine", h->parent);
    require(!fakexen_host_open(h->dir, &h->host));
    require(!control_address(h->dir, &address));
    h->control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    require(h->control >= 0);
    require(!connect(h->control, (const struct sockaddr *)&address, sizeof(address)));
}

void stepped_host_finish(struct stepped_host *h)
{
    close(h->control);
    fakexen_host_close(h->host);
    /* Fails unless the host removed all that it made. */
    require(!rmdir(h->parent));
}

static int ask(struct stepped_host *h, uint32_t type, domid_t domid)
{
    struct control_request request = {
        .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = type, .domid = domid};
    struct control_reply reply;
    require(!control_send(h->control, &request, offsetof(struct control_request, refs), NULL, 0));
    for (int i = 0; i < 1000; i++) {
        require(!fakexen_host_step(h->host));
        ssize_t got = control_receive(h->control, &reply, sizeof(reply), NULL, NULL, MSG_DONTWAIT);
        if (got == -EAGAIN)
            continue;
        require(got == sizeof(reply));
        return reply.rc;
    }
    abort();
}

int stepped_host_create(struct stepped_host *h, domid_t domid)
{
    return ask(h, CONTROL_DOMAIN_CREATE, domid);
}

int stepped_host_destroy(struct stepped_host *h, domid_t domid)
{
    return ask(h, CONTROL_DOMAIN_DESTROY, domid);
}

bool stepped_host_busy(struct stepped_host *h)
{
    struct pollfd fd = {.fd = fakexen_host_fd(h->host), .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

unsigned int stepped_host_settle(struct stepped_host *h)
{
    unsigned int steps = 0;
    for (; stepped_host_busy(h); steps++) {
        /* It would be busy for ever. */
        require(steps < 1000000);
        require(!fakexen_host_step(h->host));
    }
    return steps;
}

void store_socket(const struct stepped_host *h, domid_t domid, char *path, size_t size)
{
    if (domid)
        snprintf(path, size, "%s/domain/%u/xenstored.socket", h->dir, (unsigned int)domid);
    else
        snprintf(path, size, "%s/xenstored.socket", h->dir);
}

/* ---- clients ---- */

int raw_store_connect(struct raw_store *raw, const struct stepped_host *h, domid_t domid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    store_socket(h, domid, address.sun_path, sizeof(address.sun_path));
    raw->have = 0;
    raw->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (raw->fd < 0)
        return -errno;
    if (connect(raw->fd, (const struct sockaddr *)&address, sizeof(address))) {
        int rc = -errno;
        raw_store_close(raw);
        return rc;
    }
    return 0;
}

void raw_store_close(struct raw_store *raw)
{
    if (raw->fd >= 0)
        close(raw->fd);
    raw->fd = -1;
}

bool raw_store_send(struct raw_store *raw, const void *data, size_t size)
{
    return send(raw->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

bool raw_store_ask(struct raw_store *raw, uint32_t type, uint32_t tx, const void *payload, size_t length)
{
    uint8_t message[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {.type = type, .req_id = type, .tx_id = tx, .len = (uint32_t)length};
    require(length <= XENSTORE_PAYLOAD_MAX);
    memcpy(message, &header, sizeof(header));
    if (length)
        memcpy(message + sizeof(header), payload, length);
    return raw_store_send(raw, message, sizeof(header) + length);
}

int raw_store_take(struct raw_store *raw, struct xsd_sockmsg *header, char *payload)
{
    for (;;) {
        if (raw->have >= sizeof(*header)) {
            memcpy(header, raw->in, sizeof(*header));
            require(header->len <= XENSTORE_PAYLOAD_MAX);
            if (raw->have >= sizeof(*header) + header->len)
                break;
        }
        ssize_t got = recv(raw->fd, raw->in + raw->have, sizeof(raw->in) - raw->have, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (got <= 0)
            return -1;
        raw->have += (size_t)got;
    }
    size_t whole = sizeof(*header) + header->len;
    memcpy(payload, raw->in + sizeof(*header), header->len);
    payload[header->len] = '\0';
    memmove(raw->in, raw->in + whole, raw->have - whole);
    raw->have -= whole;
    return 1;
}
