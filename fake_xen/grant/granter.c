// SPDX-License-Identifier: MIT
#include "granter.h"

#include <assert.h>
#include <errno.h>

/* May the mapper map an entry with these flags? After _set_status_v1() of xen/common/grant_table.c. */
static int check_flags(uint16_t flags, domid_t granted_to, domid_t mapper, bool writable)
{
    if ((flags & GTF_type_mask) == GTF_invalid)
        return granted_to == DOMID_INVALID ? -ENOENT : -EACCES;
    if ((flags & GTF_type_mask) != GTF_permit_access || (flags & GTF_sub_page))
        return -EACCES;
    if (granted_to != mapper)
        return -EACCES;
    return writable && (flags & GTF_readonly) ? -EACCES : 0;
}

int granter_pin(struct granter *granter, grant_ref_t ref, domid_t mapper, bool writable, uint32_t *out)
{
    if (granter->closed || (ref < GRANT_RESERVED) != granter->reserved || ref < granter->base ||
        ref - granter->base >= GRANT_ENTRIES)
        return -ENOENT;
    grant_entry_v1_t *entry = &granter->entries[ref - granter->base];
    struct grant_pin *pin = &granter->pins[ref - granter->base];
    uint16_t status = writable ? GTF_reading | GTF_writing : GTF_reading;
    uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE);
    uint32_t frame;
    do {
        domid_t granted_to = __atomic_load_n(&entry->domid, __ATOMIC_RELAXED);
        frame = __atomic_load_n(&entry->frame, __ATOMIC_RELAXED);
        int rc = check_flags(flags, granted_to, mapper, writable);
        if (rc)
            return rc;
        if (frame >= ARENA_PAGES)
            return -EACCES;
        /* An entry that was rewritten while it is mapped would pin two pages at once. */
        if (pin->readers && (pin->frame != frame || pin->mapper != mapper))
            return -EACCES;
    } while (!__atomic_compare_exchange_n(&entry->flags, &flags, flags | status, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_ACQUIRE));
    pin->frame = frame;
    pin->mapper = mapper;
    pin->readers++;
    pin->writers += writable;
    granter->pinned++;
    *out = frame;
    return 0;
}

void granter_unpin(struct granter *granter, grant_ref_t ref, bool writable)
{
    grant_entry_v1_t *entry = &granter->entries[ref - granter->base];
    struct grant_pin *pin = &granter->pins[ref - granter->base];
    assert(pin->readers && (!writable || pin->writers));
    uint16_t gone = 0;
    pin->readers--;
    pin->writers -= writable;
    granter->pinned--;
    if (!pin->writers)
        gone |= GTF_writing;
    if (!pin->readers)
        gone |= GTF_reading;
    __atomic_fetch_and(&entry->flags, (uint16_t)~gone, __ATOMIC_SEQ_CST);
}

unsigned int granter_count(const struct granter *granter)
{
    unsigned int count = 0;
    for (unsigned int i = 0; i < GRANT_ENTRIES; i++) {
        domid_t domid = __atomic_load_n(&granter->entries[i].domid, __ATOMIC_RELAXED);
        bool live = !granter->closed && domid != DOMID_INVALID && granter->base + i >= GRANT_RESERVED;
        count += live || granter->pins[i].readers;
    }
    return count;
}
