// SPDX-License-Identifier: MIT
/* The little of libxenctrl that has a meaning here: which domains there are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- domains ---- */

/* The most that one call gives: xenstored asks for one, the tools for some hundreds. */
#define LIST_MAX 1024u

/* As on Xen, only domain 0 is told. */
static int list_domains(xc_interface *xch, uint32_t first, unsigned int max, domid_t found[LIST_MAX])
{
    if (xch->handle.client->xen.domid)
        return -EPERM;
    if (first >= DOMID_FIRST_RESERVED)
        return 0;
    handle_lock(&xch->handle);
    int count = client_domains(xch->handle.client, (domid_t)first, max < LIST_MAX ? max : LIST_MAX, found);
    handle_unlock(&xch->handle);
    return count;
}

/* Of a domain there is nothing to tell but that it lives. */
int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms, xc_dominfo_t *info)
{
    domid_t found[LIST_MAX];
    int count = list_domains(xch, first_domid, max_doms, found);
    for (int i = 0; i < count; i++) {
        memset(&info[i], 0, sizeof(info[i]));
        info[i].domid = found[i];
        info[i].running = 1;
    }
    return handle_result(count || !max_doms ? count : -ESRCH);
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
                          xc_domaininfo_t *info)
{
    domid_t found[LIST_MAX];
    int count = list_domains(xch, first_domain, max_domains, found);
    for (int i = 0; i < count; i++) {
        memset(&info[i], 0, sizeof(info[i]));
        info[i].domain = found[i];
        info[i].flags = XEN_DOMINF_running;
    }
    return handle_result(count);
}
