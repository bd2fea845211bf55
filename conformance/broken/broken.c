// SPDX-License-Identifier: MIT
#include "broken.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned int broken_on;

bool broken_switch_on(const char *name)
{
    broken_on = 0;
    if (!name)
        return true;
    for (unsigned int i = 0; broken_faults[i].name; i++) {
        if (strcmp(broken_faults[i].name, name) == 0) {
            broken_on = i + 1;
            return true;
        }
    }
    return false;
}

__attribute__((constructor)) static void from_environment(void)
{
    const char *name = getenv("PVUSB_BROKEN");
    if (!name || broken_switch_on(name))
        return;
    fprintf(stderr, "PVUSB_BROKEN=%s: there is no such fault\n", name);
    exit(2);
}
