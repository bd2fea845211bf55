/* SPDX-License-Identifier: MIT */
/* The inside of host_mux.c and host_mux_answer.c. */
#ifndef FAKEXEN_HOST_MUX_PRIVATE_H
#define FAKEXEN_HOST_MUX_PRIVATE_H

#include "genuine.h"

#define MUX_REQUESTS_MAX 16u
/* Messages taken from the ring in one step: then the others have their turn. */
#define MUX_ANSWERS_MAX 64u
/* "ffffffff:" in front of a token. */
#define MUX_PREFIX_SIZE 10u

struct mux_watch {
    struct mux_watch *next;
    char *path; /* absolute or special */
    char *token; /* with its prefix; both behind this struct */
};

struct mux_transaction {
    struct mux_transaction *next;
    xen_transaction id;
};

/* One socket, until xenstored has nothing of it any more. */
struct mux_client {
    struct mux_client *next;
    struct host_mux *mux;
    struct host_xenstore *xenstore; /* NULL when the socket is gone */
    uint32_t id;
    unsigned int outstanding;
    bool ended;     /* it sends no more */
    bool resetting; /* `reset` is to be answered when all is taken back */
    struct xsd_sockmsg reset;
    struct mux_watch *watches;
    struct mux_transaction *transactions;
};

struct mux_request {
    struct mux_request *next;
    struct mux_client *client;
    uint32_t id;
    bool own; /* not the client's: it takes something back */
    struct xsd_sockmsg asked;
    struct mux_watch *watch; /* of XS_WATCH and XS_UNWATCH */
};

struct host_mux {
    struct host_ring *ring;
    struct mux_client *clients; /* whose turn is next is first */
    struct mux_request *requests;
    unsigned int request_count;
    uint32_t next_client;
    uint32_t next_request;
    bool broken; /* ring or xenstored talk nonsense */
    bool dirty;  /* a socket has gone */
    size_t out_length;
    size_t out_sent;
    uint8_t out[WIRE_MESSAGE_SIZE];
    size_t have;
    uint8_t in[WIRE_MESSAGE_SIZE];
};

/* An answer to what the client has asked, or with 0 for it a message by itself. -ENOMEM. */
int mux_answer(struct mux_client *client, const struct xsd_sockmsg *asked, uint32_t type, const void *payload,
               size_t length);
/* Where the client's transaction is, or would be. */
struct mux_transaction **mux_transaction_find(struct mux_client *client, xen_transaction id);
void mux_request_free(struct mux_request *request);

/* host_mux_answer.c */
/* Takes one message of xenstored: 1, 0 if there is no whole one, or what is wrong with it. */
int mux_hear(struct host_mux *mux);

#endif
