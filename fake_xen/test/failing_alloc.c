// SPDX-License-Identifier: MIT
#include "failing_alloc.h"

#include <stdlib.h>
#include <string.h>

static unsigned int left;
static bool fired;

void failing_alloc_arm(unsigned int n)
{
    left = n;
    fired = false;
}

bool failing_alloc_fired(void)
{
    return fired;
}

static bool fails(void)
{
    if (!left || --left)
        return false;
    fired = true;
    return true;
}

void *failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *failing_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *failing_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

char *failing_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

char *failing_strndup(const char *text, size_t length)
{
    return fails() ? NULL : strndup(text, length);
}
