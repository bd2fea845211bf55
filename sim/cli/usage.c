// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

const char exit_codes_help[] = "Exit codes:\n"
                               "  0  as expected\n"
                               "  1  a check failed\n"
                               "  2  usage, unreadable input or nothing selected\n"
                               "  3  the peer never came or died\n";

int usage_error(const char *verb, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "pvusb %s: ", verb);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
