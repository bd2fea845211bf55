// SPDX-License-Identifier: MIT
#include "usbip/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 48u /* pieces given to the kernel at once */

int stream_open(struct stream *stream, int fd)
{
    int flags = fcntl(fd, F_GETFL), on = 1;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    /* Requests must not wait for each other; what is not TCP does not know the option and does not need it.
     */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *stream = (struct stream){.fd = fd};
    return 0;
}

void stream_close(struct stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream->first = stream->last = NULL;
    stream->begin = stream->end = stream->payload_left = 0;
}

/* ---- out ---- */

void stream_queue(struct stream *stream, struct stream_message *message)
{
    message->next = NULL;
    if (stream->first)
        stream->last->next = message;
    else
        stream->first = message;
    stream->last = message;
}

bool stream_unqueue(struct stream *stream, struct stream_message *message)
{
    struct stream_message *before = NULL;
    struct stream_message *m = stream->first;
    for (; m && m != message; m = m->next)
        before = m;
    if (!m || (!before && stream->sent_of_first))
        return false;
    if (before)
        before->next = m->next;
    else
        stream->first = m->next;
    if (stream->last == m)
        stream->last = before;
    return true;
}

/* What is queued, from where the last call stopped. */
static unsigned int gather(const struct stream *stream, struct iovec *out)
{
    unsigned int n = 0;
    size_t skip = stream->sent_of_first;
    for (const struct stream_message *m = stream->first; m && n < BATCH; m = m->next) {
        for (unsigned int i = 0; i < m->nr_pieces && n < BATCH; i++) {
            size_t gone = skip < m->piece[i].iov_len ? skip : m->piece[i].iov_len;
            skip -= gone;
            if (gone < m->piece[i].iov_len)
                out[n++] = (struct iovec){(uint8_t *)m->piece[i].iov_base + gone, m->piece[i].iov_len - gone};
        }
    }
    return n;
}

static void advance(struct stream *stream, size_t bytes)
{
    stream->bytes_out += bytes;
    stream->sent_of_first += bytes;
    while (stream->first) {
        struct stream_message *m = stream->first;
        size_t size = 0;
        for (unsigned int i = 0; i < m->nr_pieces; i++)
            size += m->piece[i].iov_len;
        if (stream->sent_of_first < size)
            return;
        stream->sent_of_first -= size;
        stream->first = m->next;
        if (m->sent)
            m->sent(m);
    }
}

int stream_flush(struct stream *stream)
{
    stream->stalled = false;
    while (stream->first) {
        struct iovec pieces[BATCH];
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = gather(stream, pieces)};
        ssize_t n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
        stream->stalled = n < 0 && errno == EAGAIN;
        if (n < 0)
            return stream->stalled ? 0 : -errno;
        stream->calls++;
        advance(stream, (size_t)n);
    }
    return 0;
}

bool stream_blocked(const struct stream *stream)
{
    return stream->first != NULL;
}

bool stream_fresh(const struct stream *stream)
{
    return stream->first && !stream->stalled;
}

/* ---- in ---- */

int stream_fill(struct stream *stream)
{
    struct iovec pieces[2];
    int nr = 0;
    bool direct = stream->payload_left && stream->payload;
    memmove(stream->buffer, stream->buffer + stream->begin, stream->end - stream->begin);
    stream->end -= stream->begin;
    stream->begin = 0;
    if (direct)
        pieces[nr++] = (struct iovec){stream->payload, stream->payload_left};
    stream->more = false;
    if (stream->end == STREAM_BUFFER)
        return 0; /* the owner has not taken what is there */
    pieces[nr++] = (struct iovec){stream->buffer + stream->end, STREAM_BUFFER - stream->end};
    ssize_t got = readv(stream->fd, pieces, nr);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (got == 0)
        return -EPIPE;
    stream->calls++;
    stream->bytes_in += (size_t)got;
    size_t n = (size_t)got;
    stream->more = n == (direct ? stream->payload_left : 0) + STREAM_BUFFER - stream->end;
    if (direct) {
        size_t part = n < stream->payload_left ? n : stream->payload_left;
        stream->payload += part;
        stream->payload_left -= part;
        n -= part;
    }
    stream->end += n;
    if (stream->payload_left && !stream->payload)
        stream_payload(stream, NULL, stream->payload_left);
    return 1;
}

const uint8_t *stream_take(struct stream *stream, size_t n)
{
    if (stream->end - stream->begin < n)
        return NULL;
    const uint8_t *bytes = stream->buffer + stream->begin;
    stream->begin += n;
    return bytes;
}

void stream_payload(struct stream *stream, void *to, size_t n)
{
    size_t have = stream->end - stream->begin;
    size_t part = n < have ? n : have;
    if (to)
        memcpy(to, stream->buffer + stream->begin, part);
    stream->begin += part;
    stream->payload = to ? (uint8_t *)to + part : NULL;
    stream->payload_left = n - part;
}

bool stream_payload_done(const struct stream *stream)
{
    return stream->payload_left == 0;
}
