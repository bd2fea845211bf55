/* SPDX-License-Identifier: MIT */
/* Between the two halves of the wire protocol: messages (wire.c) and what they ask for (wire_requests.c). */
#ifndef FAKEXEN_XENSTORE_WIRE_PRIVATE_H
#define FAKEXEN_XENSTORE_WIRE_PRIVATE_H

#include "wire.h"

/* One request and the payload of its answer. */
struct wire_request {
    struct store *store;
    struct store_conn *conn;
    uint32_t type;
    xen_transaction t;
    const char *payload;
    size_t length;
    char *answer; /* XENSTORE_PAYLOAD_MAX + 1 bytes */
    size_t answer_length;
};

/* 0, or what XS_ERROR is to say. */
int wire_serve(struct wire_request *r);

#endif
