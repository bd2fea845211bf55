/* SPDX-License-Identifier: MIT */
#ifndef CONFORMANCE_RUN_SCHEDULE_H
#define CONFORMANCE_RUN_SCHEDULE_H

#include "result.h"

/*
 * Runs the selected cases, several at a time if so wished, and reports each on stdout, in their order
 * whatever the order in which they end. False without memory.
 */
bool schedule(struct run *run);

#endif
