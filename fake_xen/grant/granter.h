/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's side of one handle's grants. The entries are the guest's, who may
 * scribble on them at any moment: every one is copied once and checked, and what is mapped is
 * remembered here, not there.
 */
#ifndef FAKEXEN_GRANT_GRANTER_H
#define FAKEXEN_GRANT_GRANTER_H

#include "grant_table.h"

/* Page i of a granter, mapped by somebody. */
struct grant_pin {
    uint32_t readers; /* all maps */
    uint32_t writers; /* those of them that may write */
    uint32_t frame;
    domid_t mapper;
};

struct granter {
    struct granter *next; /* for its owner's list */
    grant_entry_v1_t *entries;
    grant_ref_t base;
    int fd; /* the arena; owned by whom made the granter */
    domid_t domid;
    bool closed;         /* nothing new is mapped: the handle or its domain is gone */
    bool orphan;         /* the handle is gone: freed with the last map */
    bool reserved;       /* only the reserved entries, and not the guest's */
    unsigned int pinned; /* maps of any entry */
    struct grant_pin pins[GRANT_ENTRIES];
};

/*
 * Counts a map of ref by domain `mapper`: sets GTF_reading and GTF_writing and gives the
 * frame. Errors as for grant_map() in xen_ops.h.
 */
int granter_pin(struct granter *granter, grant_ref_t ref, domid_t mapper, bool writable, uint32_t *frame);
/* Takes one such map back; the flags go with the last. */
void granter_unpin(struct granter *granter, grant_ref_t ref, bool writable);
/* Entries that grant something or are mapped, as far as the guest is to be believed. */
unsigned int granter_count(const struct granter *granter);

#endif
