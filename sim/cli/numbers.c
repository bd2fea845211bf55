// SPDX-License-Identifier: MIT
#include "cli/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return -EINVAL;
    *out = value;
    return 0;
}

int parse_ring_pages(const char *text, uint64_t *out)
{
    uint64_t pages;
    if (parse_number(text, 1, 16, &pages) || (pages & (pages - 1)))
        return -EINVAL;
    *out = pages;
    return 0;
}

int parse_size(const char *text, uint64_t *out)
{
    static const struct {
        char letter;
        unsigned int shift;
    } units[] = {{'K', 10}, {'M', 20}, {'G', 30}};
    char digits[24];
    size_t length = strlen(text);
    unsigned int shift = 0;
    if (length == 0 || length >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, length + 1);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (digits[length - 1] == units[i].letter) {
            shift = units[i].shift;
            digits[length - 1] = '\0';
            break;
        }
    }
    int rc = parse_number(digits, 1, UINT64_MAX >> 31, out);
    *out <<= rc ? 0 : shift;
    return rc;
}
