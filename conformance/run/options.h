/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef CONFORMANCE_RUN_OPTIONS_H
#define CONFORMANCE_RUN_OPTIONS_H

#include <stdio.h>

#include "../kit/kit.h"

enum { EXIT_EXPECTED, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_NO_PEER, EXIT_SKIPPED = 77 };

enum format { FORMAT_TEXT, FORMAT_TAP, FORMAT_JSON };

/* Strings are those of argv. */
struct options {
    const char *program; /* its name without the folder */
    const struct peer_ops *peer; /* NULL: none is built in */
    struct peer_config config;   /* all but the role, which is the case's */
    unsigned int roles;          /* whose cases are run: bits 1 << enum conform_role */
    char **selectors;
    const char **excludes;
    unsigned int nr_selectors, nr_excludes;
    const char *explain, *known, *out, *json, *junit, *write_known, *matrix;
    enum format format;
    bool list, coverage, strict, fail_fast, keep, quiet;
    uint64_t seed;
    unsigned int limit_s; /* of a whole case */
    unsigned int repeat, jobs; /* at least 1 */
    struct {
        const char *name, *value; /* of an option that changes what a case comes to; value NULL without */
    } *again;
    unsigned int nr_again;
};

/*
 * -1: go on, and options_free() ends it; else the exit code, nothing to free: --help was printed, or one line
 * that says what is wrong. peers ends with NULL; the first is the default.
 */
int options_parse(struct options *o, int argc, char **argv, const struct peer_ops *const peers[]);
void options_free(struct options *o);
/* One line on stderr; returns EXIT_USAGE. */
int options_bad(const char *what, const char *text);
/* The command that runs a case again as it was run here, quoted for a shell, without an end of line. */
void options_print_again(const struct options *o, uint64_t seed, const char *id, FILE *out);

#endif
