// SPDX-License-Identifier: MIT
/* A handle and nothing to do with it: no domain here has an emulated machine. */
#include <stdlib.h>

#include <xendevicemodel.h>

#include "handle.h"

struct xendevicemodel_handle {
    struct handle handle;
};

xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    xendevicemodel_handle *dmod = calloc(1, sizeof(*dmod));
    if (!dmod || !handle_open(&dmod->handle, "libxendevicemodel"))
        return dmod;
    free(dmod);
    return NULL;
}

int xendevicemodel_close(xendevicemodel_handle *dmod)
{
    if (!dmod)
        return 0;
    handle_close(&dmod->handle);
    free(dmod);
    return 0;
}
