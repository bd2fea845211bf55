/* SPDX-License-Identifier: MIT */
/* Failures that are known of a peer: a file of "CASE why" lines; empty lines and # comments are allowed. */
#ifndef CONFORMANCE_RUN_KNOWN_H
#define CONFORMANCE_RUN_KNOWN_H

#include "../kit/kit.h"

struct known {
    const struct conform_case **tests;
    size_t count;
};

/* False with one line in error: no such file, or a line whose case does not exist. Nothing to free then. */
bool known_read(const char *path, const struct conform_case *const groups[], struct known *out, char error[256]);
void known_free(struct known *known);
bool known_has(const struct known *known, const struct conform_case *test);

#endif
