// SPDX-License-Identifier: MIT
#include "grant_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static_assert(ARENA_PAGES <= UINT16_MAX + 1u, "a frame fits the table");

int grant_table_create(grant_entry_v1_t *entries, grant_ref_t base, struct arena *arena,
                       struct grant_table **out)
{
    struct grant_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    table->entries = entries;
    table->arena = arena;
    table->base = base;
    for (unsigned int i = 0; i < GRANT_ENTRIES; i++)
        entries[i] = (grant_entry_v1_t){.flags = GTF_invalid, .domid = DOMID_INVALID};
    for (unsigned int i = 0; base + i < GRANT_RESERVED; i++)
        table->taken[i] = true;
    *out = table;
    return 0;
}

static bool end_entry(grant_entry_v1_t *entry)
{
    uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
    do {
        if (flags & (GTF_reading | GTF_writing))
            return false;
    } while (!__atomic_compare_exchange_n(&entry->flags, &flags, GTF_invalid, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    __atomic_store_n(&entry->domid, DOMID_INVALID, __ATOMIC_RELAXED);
    return true;
}

void grant_table_destroy(struct grant_table *table)
{
    if (!table)
        return;
    for (unsigned int i = 0; i < GRANT_ENTRIES; i++) {
        if (table->taken[i])
            end_entry(&table->entries[i]);
    }
    free(table);
}

/* Goes round, so that a reference that has just ended is not at once another page's. */
static bool find_free(const struct grant_table *table, unsigned int *out)
{
    for (unsigned int i = 0; i < GRANT_ENTRIES; i++) {
        unsigned int index = (table->hint + i) % GRANT_ENTRIES;
        if (!table->taken[index]) {
            *out = index;
            return true;
        }
    }
    return false;
}

int grant_table_grant(struct grant_table *table, domid_t to, const void *addr, bool readonly,
                      grant_ref_t *out)
{
    uint32_t frame;
    unsigned int index;
    int rc = arena_frame(table->arena, addr, &frame);
    if (rc)
        return rc;
    if (to >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    if (!find_free(table, &index))
        return -ENOSPC;
    grant_entry_v1_t *entry = &table->entries[index];
    uint16_t flags = readonly ? GTF_permit_access | GTF_readonly : GTF_permit_access;
    __atomic_store_n(&entry->frame, frame, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->domid, to, __ATOMIC_RELAXED);
    /* The entry is valid from here on. */
    __atomic_store_n(&entry->flags, flags, __ATOMIC_RELEASE);
    table->taken[index] = true;
    table->frame[index] = (uint16_t)frame;
    table->arena->grants[frame]++;
    table->used++;
    table->hint = index + 1;
    *out = table->base + index;
    return 0;
}

/* The index of a reference that is in use. */
static int lookup(const struct grant_table *table, grant_ref_t ref, unsigned int *out)
{
    if (ref < GRANT_RESERVED || ref < table->base || ref - table->base >= GRANT_ENTRIES)
        return -EINVAL;
    *out = ref - table->base;
    return table->taken[*out] ? 0 : -EINVAL;
}

int grant_table_end(struct grant_table *table, grant_ref_t ref)
{
    unsigned int index;
    int rc = lookup(table, ref, &index);
    if (rc)
        return rc;
    if (!end_entry(&table->entries[index]))
        return -EBUSY;
    table->taken[index] = false;
    table->arena->grants[table->frame[index]]--;
    table->used--;
    return 0;
}

int grant_table_revoke(struct grant_table *table, grant_ref_t ref)
{
    unsigned int index;
    int rc = lookup(table, ref, &index);
    if (rc)
        return rc;
    __atomic_fetch_and(&table->entries[index].flags, (uint16_t)~GTF_permit_access, __ATOMIC_SEQ_CST);
    return 0;
}
