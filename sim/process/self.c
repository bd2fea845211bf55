// SPDX-License-Identifier: MIT
#include "process/self.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void self_folder(char *out, size_t size)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    if (!slash || snprintf(out, size, "%s", path) >= (int)size)
        snprintf(out, size, ".");
}

void self_bin(char *out, size_t size)
{
    const char *bin = getenv("PVUSB_BIN");
    if (!bin || snprintf(out, size, "%s", bin) >= (int)size)
        self_folder(out, size);
}
