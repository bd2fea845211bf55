/* SPDX-License-Identifier: MIT */
/* The cases against the requirements that they check. */
#ifndef CONFORMANCE_RUN_EXPLAIN_H
#define CONFORMANCE_RUN_EXPLAIN_H

#include <stdio.h>

#include "../kit/kit.h"
#include "requirements.h"

extern const char conform_requirements[]; /* the text of REQUIREMENTS.md */

/* The strongest level of what the case checks; LEVEL_MUST when no requirement of it is known. */
enum level case_level(const struct requirements *requirements, const struct conform_case *test);
/* Two lines for each requirement of the case: level, id and source, and the first sentence of its text. */
void explain_short(const struct requirements *requirements, const struct conform_case *test, FILE *out);
/* Prints a case or a requirement in full. False when there is none of that id. */
bool explain(const struct requirements *requirements, const struct conform_case *const groups[], const char *id);
/*
 * Prints each requirement with its cases. False when a requirement that can be observed has none, or a case
 * names one that does not exist.
 */
bool coverage(const struct requirements *requirements, const struct conform_case *const groups[]);

#endif
