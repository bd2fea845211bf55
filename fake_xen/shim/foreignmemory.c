// SPDX-License-Identifier: MIT
/* A handle and no memory: pages of other domains are reached through grants only. */
#include <stdlib.h>

#include <xenforeignmemory.h>

#include "handle.h"

struct xenforeignmemory_handle {
    struct handle handle;
};

xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    xenforeignmemory_handle *fmem = calloc(1, sizeof(*fmem));
    if (!fmem || !handle_open(&fmem->handle, "libxenforeignmemory"))
        return fmem;
    free(fmem);
    return NULL;
}

int xenforeignmemory_close(xenforeignmemory_handle *fmem)
{
    if (!fmem)
        return 0;
    handle_close(&fmem->handle);
    free(fmem);
    return 0;
}
