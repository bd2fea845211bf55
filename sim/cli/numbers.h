/* SPDX-License-Identifier: MIT */
/* Numbers as they are given on a command line. */
#ifndef SIM_CLI_NUMBERS_H
#define SIM_CLI_NUMBERS_H

#include <stdint.h>

/* A decimal number in min..max; -EINVAL. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Pages of a ring: 1, 2, 4, 8 or 16. 0 or -EINVAL. */
int parse_ring_pages(const char *text, uint64_t *out);
/* "64M", "512K", "1G" or bytes. */
int parse_size(const char *text, uint64_t *out);

#endif
