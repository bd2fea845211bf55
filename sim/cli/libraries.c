// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

int find_xen_libraries(const char *verb, char *out, size_t size)
{
    char self[PATH_MAX];
    char path[PATH_MAX + sizeof("/../lib/xen/libxengnttab.so.1")];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return usage_error(verb, "/proc/self/exe: %s", strerror(errno));
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    snprintf(path, sizeof(path), "%s/../lib/xen/libxengnttab.so.1", self);
    char *found = realpath(path, NULL);
    if (!found || strlen(found) >= size) {
        free(found);
        return usage_error(verb, "%s: the libraries are not there; build or install all of pvusb", path);
    }
    memcpy(out, found, strlen(found) + 1);
    *strrchr(out, '/') = '\0';
    free(found);
    return 0;
}
