/* SPDX-License-Identifier: MIT */
/*
 * Allocations that can be made to fail. The files under test are compiled with malloc() and
 * so on defined to be these, see CMakeLists.txt.
 */
#ifndef FAKEXEN_TEST_FAILING_ALLOC_H
#define FAKEXEN_TEST_FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, 1 the next one; 0 for none. */
void failing_alloc_arm(unsigned int n);
/* Whether it has. */
bool failing_alloc_fired(void);

void *failing_malloc(size_t size);
void *failing_calloc(size_t count, size_t size);
void *failing_realloc(void *old, size_t size);
char *failing_strdup(const char *text);
char *failing_strndup(const char *text, size_t length);

#endif
