/* SPDX-License-Identifier: MIT */
/* Which cases are run. */
#ifndef CONFORMANCE_RUN_SELECT_H
#define CONFORMANCE_RUN_SELECT_H

#include "options.h"
#include "requirements.h"

/* True when the selector means the case: a prefix of whole words of its id, a shell glob, or its level. */
bool select_matches(const char *selector, const struct requirements *requirements,
                    const struct conform_case *test);
/* Selected and not excluded. */
bool select_chosen(const struct options *o, const struct requirements *requirements,
                   const struct conform_case *test);

#endif
