/* SPDX-License-Identifier: MIT */
/* Our own backend with simulated devices, for the same steps. Commands are those of bed_bus(). */
#ifndef KNOWN_REFERENCE_H
#define KNOWN_REFERENCE_H

#include "process/family.h"

struct reference {
    const char *const *devices; /* NULL ends them */
    int ends[2];                /* a pair of sockets: [0] is the caller's, [1] the backend's */
};

/* For family_start(): runs until the family ends. Says "ok" when it has begun, and to each command. */
int reference_run(struct family *family, void *context);

#endif
