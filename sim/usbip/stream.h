/* SPDX-License-Identifier: MIT */
/*
 * A connected socket that never blocks: messages out, each in pieces that stay where they are until they
 * are sent, and bytes in, of which large ones go straight where they belong.
 *
 * One system call sends all that is queued, one reads the rest of a payload and what follows it. Memory: the
 * struct, nothing else.
 */
#ifndef SIM_USBIP_STREAM_H
#define SIM_USBIP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define STREAM_BUFFER 4096u
#define STREAM_PIECES 3u

/* A message to send. It belongs to the stream, with what it points at, until sent() is called (may be NULL).
 */
struct stream_message {
    struct iovec piece[STREAM_PIECES];
    unsigned int nr_pieces;
    void (*sent)(struct stream_message *message);
    struct stream_message *next;
};

struct stream {
    int fd;
    struct stream_message *first, *last;
    size_t sent_of_first;
    bool stalled; /* the socket took less than there is; poll() tells when it takes more */
    uint64_t bytes_out, bytes_in;
    uint64_t calls; /* system calls that moved bytes */
    bool more;      /* the last read got all that it asked for */
    /* Bytes that have come and are not taken. */
    size_t begin, end;
    uint8_t *payload; /* NULL: to be thrown away */
    size_t payload_left;
    uint8_t buffer[STREAM_BUFFER];
};

/* Takes the descriptor and makes it one that does not block. 0 or -errno; it is then closed. */
int stream_open(struct stream *stream, int fd);
/* Messages not sent are forgotten, sent() is not called. */
void stream_close(struct stream *stream);

void stream_queue(struct stream *stream, struct stream_message *message);
/* Takes a message back of which nothing is sent yet; false when it is too late. */
bool stream_unqueue(struct stream *stream, struct stream_message *message);
/* Sends as much as the socket takes. 0 or -errno. */
int stream_flush(struct stream *stream);
bool stream_blocked(const struct stream *stream); /* something is left to send */
bool stream_fresh(const struct stream *stream);   /* and stream_flush() has not tried to */

/* Reads once what there is. 1: something came; 0: nothing is there; -EPIPE the end; another -errno. */
int stream_fill(struct stream *stream);
/* The next n (at most STREAM_BUFFER) bytes, or NULL; valid until the next call of stream_fill(). */
const uint8_t *stream_take(struct stream *stream, size_t n);
/*
 * The n bytes that come next go to `to`, or nowhere when that is NULL. Until stream_payload_done(), take
 * nothing.
 */
void stream_payload(struct stream *stream, void *to, size_t n);
bool stream_payload_done(const struct stream *stream);

#endif
