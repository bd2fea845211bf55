/* SPDX-License-Identifier: MIT */
/*
 * Results as CI systems read them: a testsuite for each group, a testcase for each case. What fails as known
 * and what only differs is "skipped" there, for JUnit has no word for it; a known failure that passes is a
 * failure.
 */
#ifndef CONFORMANCE_RUN_JUNIT_H
#define CONFORMANCE_RUN_JUNIT_H

#include "result.h"

bool junit_write(const struct run *run, FILE *out);

#endif
