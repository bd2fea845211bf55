/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <string.h>

#include "run.h"

bool select_matches(const char *selector, const char *id)
{
    size_t n = strlen(selector);

    if (strpbrk(selector, "*?["))
        return fnmatch(selector, id, 0) == 0;
    return n > 0 && !strncmp(selector, id, n) && (id[n] == '.' || !id[n]);
}
