/* SPDX-License-Identifier: MIT */
/* Failures that are known of a peer: a file of "CASE # why" lines; empty lines and # comments are allowed. */
#ifndef CONFORMANCE_RUN_KNOWN_H
#define CONFORMANCE_RUN_KNOWN_H

#include "../kit/kit.h"

struct known {
    struct known_case {
        const struct conform_case *test;
        char *why;
    } *cases;
    size_t count;
};

/* False with one line in error: no such file, or a line whose case does not exist. Nothing to free then. */
bool known_read(const char *path, const struct conform_case *const groups[], struct known *out, char error[256]);
void known_free(struct known *known);
/* Why it fails, perhaps ""; NULL when the file does not name it. */
const char *known_why(const struct known *known, const struct conform_case *test);

#endif
