// SPDX-License-Identifier: MIT
/* A handle and no hypercalls. */
#include <stdlib.h>

#include <xencall.h>

#include "handle.h"

struct xencall_handle {
    struct handle handle;
};

xencall_handle *xencall_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    xencall_handle *xcall = calloc(1, sizeof(*xcall));
    if (!xcall || !handle_open(&xcall->handle, "libxencall"))
        return xcall;
    free(xcall);
    return NULL;
}

int xencall_close(xencall_handle *xcall)
{
    if (!xcall)
        return 0;
    handle_close(&xcall->handle);
    free(xcall);
    return 0;
}
