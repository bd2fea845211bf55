/* SPDX-License-Identifier: MIT */
/*
 * The protocol of xen/io/xs_wire.h over a store: bytes in, bytes out. What comes in is
 * not trusted; a message that is too long ends the conversation.
 */
#ifndef FAKEXEN_XENSTORE_WIRE_H
#define FAKEXEN_XENSTORE_WIRE_H

#include "store.h"

#define WIRE_HEADER_SIZE  16u
#define WIRE_MESSAGE_SIZE (WIRE_HEADER_SIZE + XEN_XS_PAYLOAD_MAX)

/* Bytes to be sent. All zero is empty. */
struct wire_out {
    uint8_t *data;
    size_t length;
    size_t room;
};

/* -ENOMEM. Both parts are appended or none. */
int wire_out_add(struct wire_out *out, const void *data, size_t length, const void *more, size_t more_length);
/* Takes from the front. */
void wire_out_consume(struct wire_out *out, size_t length);
void wire_out_dispose(struct wire_out *out);

/* The receiving half of one connection. The store's connection is borrowed. */
struct wire {
    struct store_conn *conn;
    struct store *store;
    size_t have;
    uint8_t in[WIRE_MESSAGE_SIZE];
};

/* Where to put received bytes, and how many at most; never 0 after wire_step() has returned 0. */
size_t wire_room(struct wire *wire, void **at);
/* Whether wire_step() would not return 0. */
bool wire_ready(const struct wire *wire);
/*
 * Answers one message. 1 if there was one, 0 if more bytes are needed, -EPROTO, -ENOMEM or -EPIPE (events
 * were lost) if the connection has to end.
 */
int wire_step(struct wire *wire, struct wire_out *out);
/* Appends what the connection's watches have to tell. */
int wire_events(struct wire *wire, struct wire_out *out);

/* "r5" and so on; buf has WIRE_PERM_SIZE bytes. Returns the length without the NUL. */
#define WIRE_PERM_SIZE 8u
size_t wire_perm_format(const struct xen_xs_perm *perm, char *buf);
/* -EINVAL. */
int wire_perm_parse(const char *text, struct xen_xs_perm *perm);

#endif
