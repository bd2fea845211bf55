/* SPDX-License-Identifier: MIT */
/* Between zero.c (runs rounds of transfers) and zero_tests.c (says what a round is). */
#ifndef SIM_GUEST_ZERO_PRIVATE_H
#define SIM_GUEST_ZERO_PRIVATE_H

#include "guest/zero.h"

#define ZERO_PACKETS 8u /* of an isochronous transfer, at most */

enum zero_kind { ZERO_CONTROL, ZERO_BULK, ZERO_ISO };

/* One transfer, and how it must end. */
struct zero_op {
    enum zero_kind kind;
    uint8_t setup[8];
    uint8_t address;
    uint32_t length;
    int status;
    bool may_stall;  /* -EPIPE will do too */
    bool unlink;     /* right after all of the round are submitted; -ECONNRESET will do too */
    bool expires;    /* the same after 1 ms, with -ETIMEDOUT */
    uint32_t actual; /* bytes expected with status 0 */
    uint8_t want[4]; /* the first of them */
    uint8_t nr_want;
    uint8_t seed; /* of the data of a vendor request, 0 for none */
};

struct zero_slot {
    struct guest_zero *zero;
    struct guest_xfer xfer;
    uint8_t *buffer; /* already at the odd address, if wanted */
    struct zero_op op;
    struct pvusb_iso_desc packets[ZERO_PACKETS];
};

struct zero_test;

struct guest_zero {
    struct guest_device *device;
    void *memory;
    uint8_t bulk_in, bulk_out, iso_in, iso_out; /* addresses, 0 for none */
    uint16_t packet;
    uint16_t iso_packet, iso_nr; /* bytes of a microframe; so many of an URB */
    uint16_t iso_pattern;        /* after so many bytes it begins anew: those of a transaction */
    uint8_t interface;
    struct guest_zero_params params;
    const struct zero_test *test;
    unsigned int round, pending;
    bool setting; /* the alternate setting is being set */
    uint32_t vary_length;
    struct zero_slot slots[GUEST_ZERO_DEPTH_MAX];
    struct guest_zero_result result;
    void (*done)(void *context, struct guest_zero *zero);
    void *context;
};

struct zero_test {
    unsigned int number;
    /* Fills the ops of the round and returns how many there are, 0 when the test is over. */
    unsigned int (*plan)(struct guest_zero *zero, unsigned int round, struct zero_op *ops);
    bool in, vary, queued, odd;
};

const struct zero_test *zero_find_test(unsigned int number);

#endif
