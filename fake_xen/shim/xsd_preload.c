// SPDX-License-Identifier: MIT
/*
 * For a genuine xenstored: the two files by which Linux hands it domain 0's part of xenstore are those named in the
 * environment. And it ends with the host that has started it. For LD_PRELOAD.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>

/* A host that has gone before this is missed when xenstored connects to it. */
__attribute__((constructor)) static void end_with_host(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* The name to be opened in place of this one. */
static const char *instead(const char *path)
{
    const char *other = NULL;
    if (strcmp(path, "/proc/xen/xsd_port") == 0)
        other = getenv("FAKEXEN_XSD_PORT");
    else if (strcmp(path, "/proc/xen/xsd_kva") == 0)
        other = getenv("FAKEXEN_XSD_KVA");
    return other ? other : path;
}

int open(const char *path, int flags, ...)
{
    int (*genuine)(const char *path, int flags, ...);
    mode_t mode = 0;
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    *(void **)&genuine = dlsym(RTLD_NEXT, "open");
    return genuine(instead(path), flags, mode);
}
