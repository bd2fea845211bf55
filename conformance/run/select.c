/* SPDX-License-Identifier: MIT */
#include "select.h"

#include <fnmatch.h>
#include <string.h>

#include "explain.h"

bool select_matches(const char *selector, const struct requirements *requirements, const struct conform_case *test)
{
    size_t n = strlen(selector);

    if (*selector == '@')
        return !strcmp(selector + 1, level_name(case_level(requirements, test)));
    if (strpbrk(selector, "*?["))
        return fnmatch(selector, test->id, 0) == 0;
    return n > 0 && !strncmp(selector, test->id, n) && (test->id[n] == '.' || !test->id[n]);
}

bool select_chosen(const struct options *o, const struct requirements *requirements,
                   const struct conform_case *test)
{
    bool is = o->nr_selectors == 0;

    if (!(o->roles & 1u << test->role))
        return false;
    for (unsigned int i = 0; i < o->nr_selectors && !is; i++)
        is = select_matches(o->selectors[i], requirements, test);
    for (unsigned int i = 0; i < o->nr_excludes && is; i++)
        is = !select_matches(o->excludes[i], requirements, test);
    return is;
}
