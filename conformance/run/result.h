/* SPDX-License-Identifier: MIT */
/* What came of a run, case by case, for all reports. */
#ifndef CONFORMANCE_RUN_RESULT_H
#define CONFORMANCE_RUN_RESULT_H

#include "isolate.h"
#include "known.h"
#include "options.h"
#include "requirements.h"

/* What a verdict is for the run. */
enum standing {
    AS_WANTED,
    DIFFERS, /* from no MUST: implementations are known to disagree there */
    KNOWN,   /* failed, as the file of known failures says */
    XPASS,   /* passed, and nobody would see the next failure if it stayed in that file */
    WRONG,
};

struct result {
    const struct conform_case *test;
    enum kit_verdict verdict;
    enum standing standing;
    char message[512];
    const char *known; /* why it is known to fail, NULL: it is not */
    uint64_t seed;     /* of the round that this is about */
    unsigned int rounds; /* run */
    int64_t took_ms;
    char *block; /* of a failure, whatever its standing: requirements, slots, events, how to run it again */
    struct json_t *failure; /* the parts of that, where JSON is wanted */
    bool inapplicable; /* a skip because of what the peer is */
    bool over;
};

struct run {
    struct options options;
    struct requirements requirements;
    struct known known;
    struct result *results; /* of the selected cases, in their order */
    unsigned int selected;
    unsigned int reported; /* of those, from the first: with --fail-fast not all */
    unsigned int count[KIT_ERROR + 1], standing[WRONG + 1], inapplicable; /* no skips */
    bool io_error; /* something could not be written; it was said */
    const struct conform_case *const *groups; /* all there are, and the exit code: when the files are written */
    int rc;
};

/* True when it is a failure for the exit code. */
static inline bool result_bad(const struct result *r)
{
    return r->standing == WRONG || r->standing == XPASS;
}

/* Writes a file of known failures: those of this run with their reasons, and those listed of cases that were
 * not run. */
bool known_write(const struct run *run, FILE *out);

/* ---- report.c: text and TAP on stdout ---- */

/* The failure block of a case; NULL without memory. The caller frees it. */
char *report_block(const struct run *run, const struct result *r, const struct outcome *outcome);
void report_begin(const struct run *run);
void report_case(const struct run *run, const struct result *r, unsigned int n);
void report_end(const struct run *run, int rc);

#endif
