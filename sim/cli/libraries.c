// SPDX-License-Identifier: MIT
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "process/self.h"

int find_xen_libraries(const char *verb, char *out, size_t size)
{
    char self[PATH_MAX];
    char path[PATH_MAX + sizeof("/../lib/xen/libxengnttab.so.1")];
    self_folder(self, sizeof(self));
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
