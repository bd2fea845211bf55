// SPDX-License-Identifier: MIT
#include "protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static_assert(offsetof(struct control_table, entries) == XEN_PAGE_SIZE_BYTES, "the entries begin on a page");

union control_fds {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
};

int control_send(int fd, const void *data, size_t size, const int *fds, unsigned int fd_count)
{
    union control_fds control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

ssize_t control_receive(int fd, void *data, size_t size, int *fds, unsigned int *fd_count, int flags)
{
    union control_fds control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    unsigned int room = fd_count ? *fd_count : 0;
    if (room) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * room);
    }
    ssize_t length;
    do {
        length = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (!fd_count)
        return length;
    *fd_count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*fd_count < room)
                fds[(*fd_count)++] = received;
            else
                close(received);
        }
    }
    return length;
}

int control_address(const char *dir, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/" CONTROL_SOCKET, dir);
    return length < 0 || (size_t)length >= sizeof(address->sun_path) ? -ENAMETOOLONG : 0;
}
