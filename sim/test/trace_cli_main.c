// SPDX-License-Identifier: MIT
/*
 * `pvusb trace` alone, for its test.
 */
#include "cli/trace_cli.h"

int main(int argc, char **argv)
{
    return trace_cli(argc, argv);
}
