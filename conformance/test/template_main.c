/* SPDX-License-Identifier: MIT */
/* The case of template.c as a program. */
#include "../run/run.h"

extern const struct conform_case template_cases[];

int main(int argc, char **argv)
{
    static const struct conform_case *const groups[] = {template_cases, NULL};
    static const struct peer_ops *const peers[] = {&peer_inproc, NULL};

    return conform_main(argc, argv, groups, peers);
}
