// SPDX-License-Identifier: MIT
/*
 * The pages that the frontend may grant: rings, descriptors, the guest's buffers. A backend that does not let
 * go of a page keeps it from being used again, by us or by the guest, until it does (rule SEC-09). Where grants stay
 * until the connection ends, memory that the guest frees stays too and is its next buffer.
 */
#include "frontend/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct front_memory {
    struct front_memory *next;
    uint8_t *addr;
    unsigned int pages;
    unsigned int stuck; /* grants that the backend did not give back */
    unsigned int kept;  /* grants that stay until the connection ends */
    bool released;      /* nobody wants it any more */
    grant_ref_t ref[];  /* of each page while its grant is kept, else 0, which is no reference of ours */
};

struct front_stuck {
    struct front_stuck *next;
    grant_ref_t ref;
    struct front_memory *memory;
};

/* ---- finding ---- */

static size_t bytes_of(const struct front_memory *memory)
{
    return (size_t)memory->pages * PVUSB_PAGE_SIZE;
}

static bool holds(const struct front_memory *memory, const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)memory->addr < bytes_of(memory);
}

/* The list is walked once for a page, not for each of its URBs: a guest with many devices has many buffers. */
static struct front_memory *find(struct front *front, const void *addr)
{
    struct front_memory **recent = &front->recent[(uintptr_t)addr / PVUSB_PAGE_SIZE % FRONT_RECENT];
    if (*recent && holds(*recent, addr))
        return *recent;
    struct front_memory *memory = front->memory;
    while (memory && !holds(memory, addr))
        memory = memory->next;
    *recent = memory;
    return memory;
}

static void forget_recent(struct front *front, const struct front_memory *memory)
{
    for (unsigned int i = 0; i < FRONT_RECENT; i++) {
        if (front->recent[i] == memory)
            front->recent[i] = NULL;
    }
}

/* ---- taking and giving back ---- */

static void settle(struct front *front, struct front_memory *memory)
{
    if (!memory->released || memory->stuck > 0 || memory->kept > 0)
        return;
    struct front_memory **at = &front->memory;
    while (*at != memory)
        at = &(*at)->next;
    *at = memory->next;
    forget_recent(front, memory);
    front->xen->ops->pages_free(front->xen, memory->addr, memory->pages);
    free(memory);
}

/* The smallest of what was freed and is still granted. */
static struct front_memory *take_released(struct front *front, unsigned int pages)
{
    struct front_memory *best = NULL;
    for (struct front_memory *memory = front->memory; memory; memory = memory->next) {
        if (memory->released && memory->kept > 0 && memory->stuck == 0 && memory->pages >= pages &&
            (!best || memory->pages < best->pages))
            best = memory;
    }
    if (best) {
        best->released = false;
        memset(best->addr, 0, (size_t)pages * PVUSB_PAGE_SIZE);
    }
    return best;
}

int front_memory_alloc(struct front *front, unsigned int pages, void **out)
{
    void *addr;
    struct front_memory *memory = take_released(front, pages);
    if (memory) {
        *out = memory->addr;
        return 0;
    }
    memory = calloc(1, sizeof(*memory) + pages * sizeof(memory->ref[0]));
    if (!memory)
        return -ENOMEM;
    int rc = front->xen->ops->pages_alloc(front->xen, pages, &addr);
    if (rc) {
        free(memory);
        return rc;
    }
    memory->addr = addr;
    memory->pages = pages;
    memory->next = front->memory;
    front->memory = memory;
    *out = addr;
    return 0;
}

void front_memory_free(struct front *front, void *addr)
{
    struct front_memory *memory = addr ? find(front, addr) : NULL;
    if (!memory)
        return;
    memory->released = true;
    settle(front, memory);
}

bool front_memory_holds(struct front *front, const void *addr, uint32_t length)
{
    const struct front_memory *memory = find(front, addr);
    return memory && !memory->released &&
           length <= bytes_of(memory) - ((uintptr_t)addr - (uintptr_t)memory->addr);
}

/* ---- grants that stay ---- */

static bool in_use(const struct front *front, const struct front_memory *memory)
{
    for (unsigned int i = 0; i < front->nr_slots; i++) {
        for (unsigned int n = 0; n < front->slot[i].nr_grants; n++) {
            if (holds(memory, front->slot[i].grant[n].addr))
                return true;
        }
    }
    return false;
}

/* Ends the kept grants of one memory; false when the backend maps some of it. */
static bool end_kept(struct front *front, struct front_memory *memory, bool late)
{
    for (unsigned int i = 0; i < memory->pages && memory->kept > 0; i++) {
        if (!memory->ref[i])
            continue;
        int rc = front->xen->ops->grant_end(front->xen, memory->ref[i]);
        if (rc && rc != -EPIPE) { /* without a machine nobody maps anything */
            if (!late)
                continue;
            front_memory_abandon(front, memory->ref[i], memory->addr);
        }
        memory->ref[i] = 0;
        memory->kept--;
    }
    return memory->kept == 0;
}

/* References are few: what the backend does not map and no request names can be granted again when it is needed. */
static void make_room(struct front *front)
{
    struct front_memory *next;
    for (struct front_memory *memory = front->memory; memory; memory = next) {
        next = memory->next;
        if (memory->kept > 0 && !in_use(front, memory) && end_kept(front, memory, false))
            settle(front, memory);
    }
}

int front_memory_keep(struct front *front, const void *addr, grant_ref_t *out)
{
    struct front_memory *memory = find(front, addr);
    size_t page = ((uintptr_t)addr - (uintptr_t)memory->addr) / PVUSB_PAGE_SIZE;
    if (memory->ref[page]) {
        *out = memory->ref[page];
        front->stats.kept_grants++;
        return 0;
    }
    int rc = front->xen->ops->grant(front->xen, front->backend_domid, addr, false, out);
    if (rc == -ENOSPC) {
        make_room(front);
        rc = front->xen->ops->grant(front->xen, front->backend_domid, addr, false, out);
    }
    if (rc)
        return rc;
    memory->ref[page] = *out;
    memory->kept++;
    front->stats.grants++;
    return 0;
}

bool front_memory_end_kept(struct front *front, bool late)
{
    bool all = true;
    struct front_memory *next;
    for (struct front_memory *memory = front->memory; memory; memory = next) {
        next = memory->next;
        if (memory->kept == 0)
            continue;
        if (end_kept(front, memory, late))
            settle(front, memory);
        else
            all = false;
    }
    return all;
}

/* ---- grants that cannot be ended ---- */

void front_memory_abandon(struct front *front, grant_ref_t ref, const void *addr)
{
    struct front_memory *memory = find(front, addr);
    struct front_stuck *stuck = calloc(1, sizeof(*stuck));
    memory->stuck++;
    if (!stuck)
        return; /* then the memory is lost until the handle is closed */
    *stuck = (struct front_stuck){.next = front->stuck, .ref = ref, .memory = memory};
    front->stuck = stuck;
}

void front_memory_reap(struct front *front)
{
    struct front_stuck **at = &front->stuck;
    while (*at) {
        struct front_stuck *stuck = *at;
        if (front->xen->ops->grant_end(front->xen, stuck->ref)) {
            at = &stuck->next;
            continue;
        }
        *at = stuck->next;
        stuck->memory->stuck--;
        settle(front, stuck->memory);
        free(stuck);
    }
}

void front_memory_forget(struct front *front)
{
    while (front->stuck) {
        struct front_stuck *stuck = front->stuck;
        front->stuck = stuck->next;
        free(stuck);
    }
    while (front->memory) {
        struct front_memory *memory = front->memory;
        front->memory = memory->next;
        free(memory);
    }
}
