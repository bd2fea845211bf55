/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of its grant table: finds free references and writes version 1
 * entries in the order xen/grant_table.h asks for. A handle has GRANT_ENTRIES
 * references of its own: those from base on. Entries nobody uses name DOMID_INVALID.
 */
#ifndef FAKEXEN_GRANT_TABLE_H
#define FAKEXEN_GRANT_TABLE_H

#include "arena.h"

#define GRANT_ENTRIES 8192u
/* GNTTAB_NR_RESERVED_ENTRIES of xen/grant_table.h: never given out. */
#define GRANT_RESERVED GNTTAB_NR_RESERVED_ENTRIES

struct grant_table {
    grant_entry_v1_t *entries; /* the hypervisor sees these */
    struct arena *arena;
    grant_ref_t base;
    unsigned int used;
    unsigned int hint;
    bool taken[GRANT_ENTRIES];
    uint16_t frame[GRANT_ENTRIES]; /* what we granted, whatever became of the entry */
};

/* entries: GRANT_ENTRIES of them, borrowed, like the arena, until grant_table_destroy(). */
int grant_table_create(grant_entry_v1_t *entries, grant_ref_t base, struct arena *arena,
                       struct grant_table **out);
/* Ends what it can. NULL is allowed. */
void grant_table_destroy(struct grant_table *table);
int grant_table_grant(struct grant_table *table, domid_t to, const void *addr, bool readonly,
                      grant_ref_t *out);
int grant_table_end(struct grant_table *table, grant_ref_t ref);
int grant_table_revoke(struct grant_table *table, grant_ref_t ref);

#endif
