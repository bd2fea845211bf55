/* SPDX-License-Identifier: MIT */
/*
 * The broken halves: our two drivers with every fault of the *.faults files in them, one of which may be switched
 * on. For test builds only; nothing in the drivers' own sources knows of it.
 *
 * The environment variable PVUSB_BROKEN switches on before main(); a name that is not there ends the program with
 * one line and exit code 2. Threads: switch on before the drivers run.
 */
#ifndef CONFORMANCE_BROKEN_BROKEN_H
#define CONFORMANCE_BROKEN_BROKEN_H

#include <stdbool.h>

struct broken_fault {
    const char *name; /* "backend.unlink-no-response" */
    const char *what; /* what is wrong, one line */
};

/* Ends with an entry without name. */
extern const struct broken_fault broken_faults[];

/* Number of the fault that is on, counted from 1; 0 for none. */
extern unsigned int broken_on;

/* Only this one from now on; NULL for none. False when there is no fault of that name. */
bool broken_switch_on(const char *name);

/* In the new text of a fault its name stands between the brackets, as a string. */
#define BROKEN(number) (broken_on == (number))

#endif
