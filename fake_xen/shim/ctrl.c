// SPDX-License-Identifier: MIT
/* The little of libxenctrl that has a meaning here: which domains there are. */
#include <errno.h>
#include <stdlib.h>

#include <xenctrl.h>

#include "handle.h"

struct xc_interface_core {
    struct handle handle;
};

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger,
                                unsigned open_flags)
{
    (void)logger;
    (void)dombuild_logger;
    (void)open_flags;
    xc_interface *xch = calloc(1, sizeof(*xch));
    if (!xch || !handle_open(&xch->handle, "libxenctrl"))
        return xch;
    free(xch);
    return NULL;
}

int xc_interface_close(xc_interface *xch)
{
    if (!xch)
        return 0;
    handle_close(&xch->handle);
    free(xch);
    return 0;
}
