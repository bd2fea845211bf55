// SPDX-License-Identifier: MIT
/*
 * Grant copy without a word to the host: it is asked once for the memory of a handle that grants to us, and for a look at
 * its table. From then on the entry of each page is read and checked as the hypervisor would, at each copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

/* A handle whose pages we copy from or, if writable, to. */
struct client_copy {
    struct client_copy *next;
    domid_t domid;
    bool writable;
    bool reserved;
    grant_ref_t base;
    const struct control_table *table;
    uint8_t *pages;
};

static void copy_free(struct client_copy *copy)
{
    if (copy->table)
        munmap((void *)(uintptr_t)copy->table, sizeof(*copy->table));
    if (copy->pages)
        munmap(copy->pages, ARENA_SIZE);
    free(copy);
}

void client_copies_close(struct client *client)
{
    while (client->copies) {
        struct client_copy *copy = client->copies;
        client->copies = copy->next;
        copy_free(copy);
    }
}

static bool gone(const struct client_copy *copy)
{
    return __atomic_load_n(&copy->table->dead, __ATOMIC_ACQUIRE);
}

/* The memory of who is gone is not to be held for ever. */
static void drop_gone(struct client *client)
{
    struct client_copy **at = &client->copies;
    while (*at) {
        struct client_copy *copy = *at;
        if (!gone(copy)) {
            at = &copy->next;
            continue;
        }
        *at = copy->next;
        copy_free(copy);
    }
}

/* Maps the two descriptors of an answer, which are taken. */
static int copy_adopt(struct client *client, struct client_copy *copy, const int fds[2])
{
    void *table = mmap(NULL, sizeof(*copy->table), PROT_READ, MAP_SHARED, fds[0], 0);
    void *pages = mmap(NULL, ARENA_SIZE, copy->writable ? PROT_READ | PROT_WRITE : PROT_READ,
                       MAP_SHARED | MAP_NORESERVE, fds[1], 0);
    int rc = table == MAP_FAILED || pages == MAP_FAILED ? -ENOMEM : 0;
    copy->table = table == MAP_FAILED ? NULL : table;
    copy->pages = pages == MAP_FAILED ? NULL : pages;
    close(fds[0]);
    close(fds[1]);
    if (rc)
        return rc;
    copy->next = client->copies;
    client->copies = copy;
    return 0;
}

/* Asks for the memory behind a reference; errors as of grant_map(). */
static int copy_open(struct client *client, domid_t domid, grant_ref_t ref, bool writable, struct client_copy **out)
{
    struct control_request request = client_request(CONTROL_COPY, domid, ref);
    struct control_reply reply;
    int fds[2];
    unsigned int count = 2;
    drop_gone(client);
    request.flag = writable;
    int rc = client_call(client, &request, &reply, fds, &count);
    if (rc)
        return rc;
    struct client_copy *copy = count == 2 ? calloc(1, sizeof(*copy)) : NULL;
    if (!copy) {
        while (count)
            close(fds[--count]);
        return -ENOMEM;
    }
    copy->domid = domid;
    copy->writable = writable;
    copy->reserved = ref < GRANT_RESERVED;
    copy->base = reply.value;
    rc = copy_adopt(client, copy, fds);
    if (rc)
        copy_free(copy);
    else
        *out = copy;
    return rc;
}

static int copy_find(struct client *client, domid_t domid, grant_ref_t ref, bool writable, struct client_copy **out)
{
    for (struct client_copy *copy = client->copies; copy; copy = copy->next) {
        if (copy->domid == domid && copy->writable == writable && copy->reserved == (ref < GRANT_RESERVED) &&
            ref >= copy->base && ref - copy->base < GRANT_ENTRIES && !gone(copy)) {
            *out = copy;
            return 0;
        }
    }
    return copy_open(client, domid, ref, writable, out);
}

/* After _set_status_v1() of xen/common/grant_table.c, as granter_pin() has it. The entry is the other domain's. */
static int check_entry(const struct client *client, const struct client_copy *copy, grant_ref_t ref, uint32_t *frame)
{
    const grant_entry_v1_t *entry = &copy->table->entries[ref - copy->base];
    uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE);
    domid_t to = __atomic_load_n(&entry->domid, __ATOMIC_RELAXED);
    *frame = __atomic_load_n(&entry->frame, __ATOMIC_RELAXED);
    if ((flags & GTF_type_mask) == GTF_invalid)
        return to == DOMID_INVALID ? -ENOENT : -EACCES;
    if ((flags & GTF_type_mask) != GTF_permit_access || (flags & GTF_sub_page) || to != client->xen.domid ||
        (copy->writable && (flags & GTF_readonly)) || *frame >= ARENA_PAGES)
        return -EACCES;
    return 0;
}

static int copy_one(struct client *client, domid_t with, bool to_grant, struct xen_copy *seg)
{
    struct client_copy *copy = NULL;
    uint32_t frame = 0;
    int rc = copy_find(client, with, seg->ref, to_grant, &copy);
    if (!rc)
        rc = check_entry(client, copy, seg->ref, &frame);
    if (rc == -ENOENT || rc == -EACCES) {
        seg->status = rc == -ENOENT ? GNTST_bad_gntref : GNTST_general_error;
        return 0;
    }
    if (rc)
        return rc;
    uint8_t *there = copy->pages + (size_t)frame * XEN_PAGE_SIZE_BYTES + seg->offset;
    memcpy(to_grant ? there : seg->local, to_grant ? seg->local : there, seg->length);
    seg->status = GNTST_okay;
    return 0;
}

int client_grant_copy(struct xen *xen, domid_t with, bool to_grant, unsigned int count, struct xen_copy seg[])
{
    struct client *client = (struct client *)xen;
    int rc = client_check(client);
    for (unsigned int i = 0; !rc && i < count; i++)
        rc = seg[i].offset + (unsigned int)seg[i].length > XEN_PAGE_SIZE_BYTES ? -EINVAL : 0;
    for (unsigned int i = 0; !rc && i < count; i++)
        rc = copy_one(client, with, to_grant, &seg[i]);
    return rc;
}
