// SPDX-License-Identifier: MIT
#include "usbfs/wire.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    WIRE_IOCTL = 1,
    WIRE_DONE = 3,
    WIRE_READ_MEMORY = 5,
    WIRE_WRITE_MEMORY = 6,
    WIRE_READ = 7,
    WIRE_WRITE = 8
};

struct message {
    unsigned long what;
    unsigned long a;
    unsigned long b;
};

void wire_init(int fd)
{
    const struct timeval patience = {.tv_sec = WIRE_PATIENCE_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* After half a message nothing more can be said. */
static int give_up(int fd, int rc)
{
    (void)shutdown(fd, SHUT_RDWR);
    return rc;
}

static int receive_all(int fd, void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = recv(fd, p, n, MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return give_up(fd, got < 0 ? -errno : -EPIPE);
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static int send_all(int fd, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return give_up(fd, -errno);
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

/* The library takes a message with one recv(), which must find all of it: so it goes by itself. */
static int send_message(int fd, unsigned long what, unsigned long a, unsigned long b)
{
    const struct message message = {what, a, b};
    return send_all(fd, &message, sizeof(message));
}

int wire_receive(int fd, struct wire_request *out)
{
    struct message message;
    int rc = receive_all(fd, &message, sizeof(message));
    if (rc)
        return rc;
    if (message.what != WIRE_IOCTL && message.what != WIRE_READ && message.what != WIRE_WRITE)
        return -EPROTO;
    *out = (struct wire_request){.number = message.what == WIRE_IOCTL ? message.a : 0, .argument = message.b};
    return 0;
}

int wire_read(int fd, unsigned long address, void *out, size_t n)
{
    int rc = n ? send_message(fd, WIRE_READ_MEMORY, address, n) : 0;
    return rc ? rc : receive_all(fd, out, n);
}

int wire_write(int fd, unsigned long address, const void *bytes, size_t n)
{
    int rc = n ? send_message(fd, WIRE_WRITE_MEMORY, address, n) : 0;
    return rc ? rc : send_all(fd, bytes, n);
}

int wire_answer(int fd, long result, int error)
{
    return send_message(fd, WIRE_DONE, (unsigned long)result, (unsigned long)error);
}
