/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out when told to: the linker has malloc(), calloc(), realloc(), strdup(), strndup(),
 * mmap(), memfd_create(), dup() and free() of our own objects come here first (--wrap, see CMakeLists.txt),
 * in every library of ours and in none of others. So it works under sanitizers and valgrind as well.
 */
#ifndef SIM_TEST_FAILING_MEMORY_H
#define SIM_TEST_FAILING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Counts from now on; the n-th fails, and all after it too with forever. 0: none fails. */
void failing_memory_arm(uint64_t n, bool forever);
/* Ends counting; how many there were. */
uint64_t failing_memory_disarm(void);
/* Blocks of memory that were not freed, since the program began. */
int64_t failing_memory_live(void);

#endif
