/* SPDX-License-Identifier: MIT */
/* What is printed of a case that failed. */
#ifndef CONFORMANCE_RUN_BLOCK_H
#define CONFORMANCE_RUN_BLOCK_H

#include <stdio.h>

#include "isolate.h"

/* A message cut into its parts; empty where it has none. */
struct block_parts {
    char field[128], expected[256], actual[256];
};

/* "FIELD: expected E, it is A" (or "actual A", "got A"), "waited for E"; false when the message has no such
 * form. */
bool block_split(const char *message, struct block_parts *out);
/* Expected and actual, the slots, xenstore, and the last events. */
void block_print(const struct outcome *outcome, FILE *out);
/* The events that are kept, oldest first, at most `most` of them. */
void block_print_events(const struct kit_log *log, uint32_t most, const char *indent, FILE *out);

/* The slots that a failure is about; NULL where there is none. */
struct block_slots {
    const struct kit_slot *request, *response, *plug;
    const struct kit_slot *answered; /* the request of the response, when that is another one */
};
void block_find_slots(const struct outcome *outcome, struct block_slots *out);

#endif
