// SPDX-License-Identifier: MIT
/*
 * xengnttab_grant_copy() after gntdev_ioctl_grant_copy() of Linux: a segment that can be no copy ends the
 * call, what the hypervisor refuses is the segment's status.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gntdev.h"

/* One end of a copy. */
struct end {
    bool foreign;
    void *page; /* while it is mapped */
    void *addr;
};

static int check_segment(const xengnttab_grant_copy_segment_t *seg)
{
    if (!(seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref)))
        return -EINVAL;
    if ((seg->flags & GNTCOPY_source_gref) &&
        seg->source.foreign.offset + seg->len > (int)XEN_PAGE_SIZE_BYTES)
        return -EINVAL;
    if ((seg->flags & GNTCOPY_dest_gref) && seg->dest.foreign.offset + seg->len > (int)XEN_PAGE_SIZE_BYTES)
        return -EINVAL;
    return 0;
}

/* What the hypervisor would refuse goes to *status, after acquire_grant_for_copy() of
 * xen/common/grant_table.c. */
static int end_open(struct client *client, const union xengnttab_copy_ptr *ptr, bool foreign, bool writable,
                    struct end *end, int16_t *status)
{
    *end = (struct end){.foreign = foreign, .addr = ptr->virt};
    if (!foreign)
        return 0;
    domid_t domid = ptr->foreign.domid == DOMID_SELF ? client->xen.domid : ptr->foreign.domid;
    if (domid >= DOMID_FIRST_RESERVED) {
        *status = GNTST_bad_domain;
        return 0;
    }
    int rc = client_grant_map(&client->xen, domid, 1, &ptr->foreign.ref, writable, &end->page);
    if (!rc) {
        end->addr = (uint8_t *)end->page + ptr->foreign.offset;
        return 0;
    }
    if (rc != -EACCES && rc != -ENOENT)
        return rc;
    *status = rc == -EACCES ? GNTST_general_error : GNTST_bad_gntref;
    return 0;
}

static void end_close(struct client *client, struct end *end)
{
    if (end->page)
        client_grant_unmap(&client->xen, end->page, 1);
}

/* The kernel copies, so that an address of the program's that is wrong is an error and not its death. */
static int copy(const struct end *dest, const struct end *source, size_t size)
{
    struct iovec here = {.iov_base = dest->addr, .iov_len = size};
    struct iovec there = {.iov_base = source->addr, .iov_len = size};
    ssize_t done = dest->foreign ? process_vm_readv(getpid(), &here, 1, &there, 1, 0)
                                 : process_vm_writev(getpid(), &there, 1, &here, 1, 0);
    if (done < 0)
        return -errno;
    return (size_t)done == size ? 0 : -EFAULT;
}

static int copy_one(struct client *client, xengnttab_grant_copy_segment_t *seg)
{
    struct end source = {0};
    struct end dest = {0};
    int rc = check_segment(seg);
    if (rc)
        return rc;
    seg->status = GNTST_okay;
    if (!seg->len)
        return 0;
    rc = end_open(client, &seg->source, seg->flags & GNTCOPY_source_gref, false, &source, &seg->status);
    if (!rc && seg->status == GNTST_okay)
        rc = end_open(client, &seg->dest, seg->flags & GNTCOPY_dest_gref, true, &dest, &seg->status);
    if (!rc && seg->status == GNTST_okay)
        rc = copy(&dest, &source, seg->len);
    end_close(client, &dest);
    end_close(client, &source);
    return rc;
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
    int rc = 0;
    handle_lock(&xgt->handle);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = copy_one(xgt->handle.client, &segs[i]);
    handle_unlock(&xgt->handle);
    return handle_result(rc);
}
