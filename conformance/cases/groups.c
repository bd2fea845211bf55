/* SPDX-License-Identifier: MIT */
/* Every group of cases, in the order in which they are listed and run. */
#include "../conform.h"

const struct conform_case *const conform_groups[] = {NULL};
