// SPDX-License-Identifier: MIT
#include "usbip/list.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "usbip/client.h"

static const char *parse_device(int (*get)(void *from, void *to, size_t n), void *from, usbip_listed *listed,
                                void *context, int *error)
{
    uint8_t bytes[USBIP_DEVICE_SIZE], interface[USBIP_INTERFACE_SIZE];
    struct usbip_interface interfaces[256];
    struct usbip_device device;
    *error = get(from, bytes, sizeof(bytes));
    if (*error)
        return NULL;
    const char *wrong = usbip_get_device(bytes, &device);
    if (wrong)
        return wrong;
    for (unsigned int i = 0; i < device.nr_interfaces; i++) {
        *error = get(from, interface, sizeof(interface));
        if (*error)
            return NULL;
        interfaces[i] = (struct usbip_interface){interface[0], interface[1], interface[2]};
    }
    listed(context, &device, interfaces);
    return NULL;
}

const char *usbip_list_parse(int (*get)(void *from, void *to, size_t n), void *from, usbip_listed *listed,
                             void *context, int *error)
{
    uint8_t bytes[USBIP_OP_SIZE + 4];
    uint16_t code;
    uint32_t status;
    *error = get(from, bytes, sizeof(bytes));
    if (*error)
        return NULL;
    const char *wrong = usbip_get_op(bytes, &code, &status);
    if (wrong)
        return wrong;
    if (code != USBIP_REP_DEVLIST)
        return "no reply to a list";
    if (status)
        return "a refusal to list";
    uint32_t count = usbip_get32(bytes + USBIP_OP_SIZE);
    if (count > USBIP_DEVICES_MAX)
        return "a list of more than 256 devices";
    for (uint32_t i = 0; i < count && !wrong && !*error; i++)
        wrong = parse_device(get, from, listed, context, error);
    return wrong;
}

static int get_from_socket(void *from, void *to, size_t n)
{
    ssize_t got = recv(*(int *)from, to, n, MSG_WAITALL);
    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return (size_t)got == n ? 0 : -EPIPE;
}

static int set_timeout(int fd, unsigned int timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = (int)(timeout_ms % 1000) * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)))
        return -errno;
    return 0;
}

const char *usbip_list_ask(int fd, unsigned int timeout_ms, usbip_listed *listed, void *context, int *error)
{
    uint8_t request[USBIP_OP_SIZE];
    usbip_put_op(request, USBIP_REQ_DEVLIST, 0);
    *error = set_timeout(fd, timeout_ms);
    if (!*error && send(fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
        *error = errno == EAGAIN ? -ETIMEDOUT : -errno;
    return *error ? NULL : usbip_list_parse(get_from_socket, &fd, listed, context, error);
}

int usbip_connect(const char *host, uint16_t port, unsigned int timeout_ms, int *fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    int rc = -ENOENT;
    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found))
        return -ENOENT;
    for (struct addrinfo *a = found; a && rc; a = a->ai_next) {
        *fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        rc = *fd < 0 ? -errno : set_timeout(*fd, timeout_ms);
        if (!rc && connect(*fd, a->ai_addr, a->ai_addrlen))
            rc = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
        if (rc && *fd >= 0)
            close(*fd);
    }
    freeaddrinfo(found);
    return rc;
}
