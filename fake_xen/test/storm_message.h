/* SPDX-License-Identifier: MIT */
/*
 * Random messages for xenstore, from sensible to hostile: what sixteen clients send in
 * test_xenstore_storm.c. The same seed makes the same messages.
 */
#ifndef FAKEXEN_TEST_STORM_MESSAGE_H
#define FAKEXEN_TEST_STORM_MESSAGE_H

#include <errno.h>

#include <fakexen/fakexen.h>
#include <xen/io/xs_wire.h>

struct storm_random {
    uint64_t state;
};

/* Below n, which is not 0. */
uint32_t storm_random(struct storm_random *random, uint32_t n);

struct storm_sender {
    struct storm_random *random;
    domid_t domid;
    uint32_t transaction; /* the newest that it has begun */
    unsigned int token;   /* length of its watches' tokens, which begin with 't' */
};

enum storm_kind {
    STORM_WHOLE,     /* a message that has one answer */
    STORM_OVERSIZED, /* one that ends the connection */
    STORM_CUT,       /* less than its header promises: the sender should hang up */
};

#define STORM_MESSAGE_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* Fills the header but for req_id, and the payload; *size is how much of both is to be sent. */
enum storm_kind storm_message(const struct storm_sender *sender, struct xsd_sockmsg *header,
                              char payload[XENSTORE_PAYLOAD_MAX], size_t *size);

#endif
