/* SPDX-License-Identifier: MIT */
/*
 * Recordings made from a seed: what usbmon might have seen on several buses, with everything that
 * makes a replay hard. The same seed makes the same recording.
 */
#ifndef SIM_TEST_TRACE_GEN_H
#define SIM_TEST_TRACE_GEN_H

#include "trace/trace.h"

struct trace_gen {
    struct trace trace;
    bool *odd; /* of each URB: contradicts itself or the bus, so that it need not pass though it has no class */
    void *memory;
};

struct trace_gen_limits {
    uint32_t urbs;
    unsigned int in_flight;
    unsigned int devices;
    bool plain; /* nothing but URBs that must match, all completed */
    uint32_t length_max; /* of transfers; from 65536 on, some are too long */
};

/* Limits that the seed chooses. */
struct trace_gen_limits trace_gen_limits(uint64_t seed);
/* Ends the test when out of memory. */
void trace_gen(uint64_t seed, const struct trace_gen_limits *limits, struct trace_gen *out);
void trace_gen_dispose(struct trace_gen *gen);

#endif
