// SPDX-License-Identifier: MIT
#include "path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HOMES "/local/domain/"

size_t xs_path_home(domid_t domid, char home[XS_HOME_SIZE])
{
    return (size_t)snprintf(home, XS_HOME_SIZE, HOMES "%u", (unsigned int)domid);
}

/* Xen measures XENSTORE_REL_PATH_MAX from behind a domain's home, whoever's it is. */
static size_t home_prefix(const char *path)
{
    size_t length = strlen(HOMES);
    if (strncmp(path, HOMES, length) != 0)
        return 0;
    size_t digits = strspn(path + length, "0123456789");
    if (digits < 1 || digits > 5 || path[length + digits] != '/')
        return 0;
    return length + digits + 1;
}

static bool path_is_valid(const char *path)
{
    size_t length = strlen(path);
    if (length > XEN_XS_PATH_MAX || length > home_prefix(path) + XEN_XS_REL_MAX)
        return false;
    if (length > 1 && path[length - 1] == '/')
        return false;
    if (strstr(path, "//"))
        return false;
    return strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@") == length;
}

int xs_path_resolve(domid_t domid, const char *path, bool special, char out[XEN_XS_PATH_MAX + 1])
{
    size_t used = 0;
    size_t length = strlen(path);
    if (path[0] == '@') {
        if (!special || length > XEN_XS_REL_MAX)
            return -EINVAL;
        memcpy(out, path, length + 1);
        return 0;
    }
    if (path[0] != '/') {
        char home[XS_HOME_SIZE];
        used = xs_path_home(domid, home);
        memcpy(out, home, used);
        out[used++] = '/';
    }
    if (!length || used + length > XEN_XS_PATH_MAX)
        return -EINVAL;
    memcpy(out + used, path, length + 1);
    return path_is_valid(out) ? 0 : -EINVAL;
}

bool xs_path_within(const char *path, const char *base)
{
    size_t length = strlen(base);
    if (strcmp(base, "/") == 0)
        return path[0] == '/';
    return strncmp(path, base, length) == 0 && (path[length] == '\0' || path[length] == '/');
}
