/* SPDX-License-Identifier: MIT */
/* Between faulty.c (what is done) and faulty_script.c (what is to be done). */
#ifndef SIM_DEVICES_FAULTY_PRIVATE_H
#define SIM_DEVICES_FAULTY_PRIVATE_H

#include "devices/faulty.h"

enum fault {
    FAULT_STALL,
    FAULT_NAK,
    FAULT_ERROR,
    FAULT_BABBLE,
    FAULT_SHORT,
    FAULT_LONG,
    FAULT_DISCONNECT,
    FAULT_TRUNCATED,
    FAULT_TOO_LONG,
    FAULT_TOTAL,
    FAULT_LENGTH,
    FAULT_BYTE,
};

struct fault_rule {
    uint8_t descriptor; /* type of the descriptor, 0 for an endpoint rule */
    uint8_t address;
    enum fault fault;
    uint32_t after, times; /* left to go; times UINT32_MAX for ever */
    uint32_t number[2];
};

/* -EINVAL when it is no script, -ENOSPC when it has too many rules. */
int faulty_parse(const char *script, struct fault_rule *rules, unsigned int *nr_rules);

#endif
