/* SPDX-License-Identifier: MIT */
/* Runs sessions with faults and asserts what must hold after every one of them. */
#ifndef SIM_TEST_FAULT_CHECK_H
#define SIM_TEST_FAULT_CHECK_H

#include "fault_session.h"

struct fault_tally {
    unsigned int runs;
    unsigned int unhurt; /* as without the fault */
    unsigned int late;   /* given up by the patience of the session */
};

/* What a session may end like. */
enum fault_mercy {
    FAULT_UNHURT, /* as without the fault */
    FAULT_NAMED,  /* or with a failure that somebody noticed */
    FAULT_LATE,   /* or with one that only patience noticed: somebody waits for what never comes */
};

/*
 * Runs one session; what names it when it fails. With memory not 0 that allocation of it fails, and with
 * for_ever all later ones. Asserts that it ends within bounds, that no byte reported good is wrong, and that
 * nothing is left: not on the machine, not of memory, no descriptor.
 */
void fault_run(const struct fault_session_config *config, const char *what, enum fault_mercy mercy,
               uint64_t memory, bool for_ever, struct fault_result *result, struct fault_tally *tally);
/* The session without a fault. Asserts that it is whole. */
struct fault_result fault_run_plain(void);
/* How many allocations it makes. */
uint64_t fault_count_allocations(void);

/*
 * From the program's arguments: every how manyth of the runs of a loop to make, for slow machines (valgrind).
 * Prints that it does so. 1 without arguments.
 */
unsigned int fault_stride(int argc, char **argv);

#endif
