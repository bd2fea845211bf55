/* SPDX-License-Identifier: MIT */
/*
 * Two machines side by side, one with our store and one with the genuine xenstored, asked the same by the same clients.
 * What they answer, what their watches tell, and the trees that they end with have to be equal.
 */
#ifndef FAKEXEN_TEST_DIFFER_H
#define FAKEXEN_TEST_DIFFER_H

#include "machine_host.h"

#include <errno.h>

#include <xen/io/xs_wire.h>

#include "storm_message.h"

#define DIFFER_CLIENTS      6u
#define DIFFER_TRANSACTIONS 12u

enum differ_side { OURS, THEIRS, SIDES };

struct differ_message {
    uint32_t type;
    uint32_t length;
    char payload[XENSTORE_PAYLOAD_MAX + 1]; /* with a NUL behind */
};

/* What a client was told by watches since the last comparison: messages as they came. */
struct differ_events {
    char *data;
    size_t length;
    size_t room;
};

struct differ_connection {
    int fd;
    struct differ_events events;
};

struct differ_client {
    domid_t domid;
    struct differ_connection side[SIDES];
    /* Open on both sides; 0 in a free slot. */
    uint32_t transactions[DIFFER_TRANSACTIONS][SIDES];
    /* Something has changed since it began. Our transactions see the store as it was then, those of xenstored see
     * nodes that they had not looked at before as they are: so it is only ended. */
    bool stale[DIFFER_TRANSACTIONS];
};

struct differ_op {
    unsigned int client;
    int transaction; /* a slot; -1: none; -2: a number that is none's */
    struct differ_message ask;
    bool ours_only; /* theirs must not be asked this: the answer is an error */
};

struct differ_lab {
    struct host_form form[SIDES];
    struct xen_machine *machine[SIDES];
    struct differ_client clients[DIFFER_CLIENTS];
};

/* All of these end the program when the machines cannot be used. */
void differ_begin(struct differ_lab *lab, const struct fakexen_xenstored *genuine);
void differ_finish(struct differ_lab *lab);
/* The op's request on one side, and its answer. */
void differ_ask(struct differ_lab *lab, const struct differ_op *op, enum differ_side side,
                struct differ_message *answer);
/* Waits until all events that were made are there. */
void differ_fence(struct differ_lab *lab);
/* Makes the domain anew on both sides; its clients connect again. */
void differ_restart(struct differ_lab *lab, domid_t domid);
/* The next message of what a client was told, from *at on; false at the end. */
bool differ_event(const struct differ_events *events, size_t *at, const char **path, const char **token);
/* One line for each node, with its permissions and value; to be freed. */
char *differ_dump(struct differ_lab *lab, enum differ_side side);

/* differ_known.c: what is known to be different, and not compared. */
struct differ_known {
    const char *reason; /* NULL behind the last */
    bool (*matches)(const struct differ_message *ask, domid_t domid);
    bool ask_ours; /* else nobody is asked */
    unsigned int hits;
};

extern struct differ_known differ_known[];
/* The one without a function: what is counted by who makes the requests. */
#define DIFFER_STALE 4u

/* Counts it, too; NULL for none. */
struct differ_known *differ_find_known(const struct differ_message *ask, domid_t domid);

/* differ_ops.c */
struct differ_plan {
    struct storm_random random;
    unsigned int weights[32];
    unsigned int names;  /* how many different ones in a folder */
    unsigned int tokens; /* how many different watches */
    bool late;           /* also what cannot be taken back */
    /* A transaction that goes on without others between, for some requests, before they change what it has seen. */
    unsigned int busy_client;
    unsigned int busy_slot;
    unsigned int busy_left;
};

/* New weights, for some time: not everything happens all the time, but some things very often. */
void differ_replan(struct differ_plan *plan);
/* A transaction has begun. */
void differ_begun(struct differ_plan *plan, unsigned int client, unsigned int slot);
void differ_next(struct differ_plan *plan, const struct differ_lab *lab, struct differ_op *op);
const char *differ_type_name(uint32_t type);

#endif
