/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at p, 0 when there is none. Surrogates and what Unicode has no place for are none. */
static size_t character(const uint8_t *p)
{
    uint32_t value;
    size_t n;

    if (p[0] < 0x80)
        return p[0] == '\n' || (p[0] >= 0x20 && p[0] < 0x7f);
    n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
    value = n ? p[0] & (0xffu >> (n + 1)) : 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3f);
    }
    if ((n == 2 && value < 0xa0) ||
        (n == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000) || value >= 0xfffe)) ||
        (n == 4 && (value < 0x10000 || value > 0x10ffff)))
        return 0;
    return n;
}

void text_clean(char *text)
{
    for (uint8_t *p = (uint8_t *)text; *p;) {
        size_t n = character(p);

        if (!n) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

void text_print_escaped(const char *text, FILE *out)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc(*text, out);
        }
}
