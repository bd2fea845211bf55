// SPDX-License-Identifier: MIT
/*
 * The pages that the frontend may grant: rings, descriptors, the guest's buffers. A backend that does not let
 * go of a page keeps it from being used again, by us or by the guest, until it does (rule SEC-09).
 */
#include "frontend/private.h"

#include <errno.h>
#include <stdlib.h>

struct front_memory {
    struct front_memory *next;
    uint8_t *addr;
    unsigned int pages;
    unsigned int stuck; /* grants that the backend did not give back */
    bool released;      /* nobody wants it any more */
};

struct front_stuck {
    struct front_stuck *next;
    grant_ref_t ref;
    struct front_memory *memory;
};

static size_t bytes_of(const struct front_memory *memory)
{
    return (size_t)memory->pages * PVUSB_PAGE_SIZE;
}

static struct front_memory *find(const struct front *front, const void *addr)
{
    struct front_memory *memory = front->memory;
    while (memory && (uintptr_t)addr - (uintptr_t)memory->addr >= bytes_of(memory))
        memory = memory->next;
    return memory;
}

int front_memory_alloc(struct front *front, unsigned int pages, void **out)
{
    void *addr;
    struct front_memory *memory = calloc(1, sizeof(*memory));
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

static void settle(struct front *front, struct front_memory *memory)
{
    if (!memory->released || memory->stuck > 0)
        return;
    struct front_memory **at = &front->memory;
    while (*at != memory)
        at = &(*at)->next;
    *at = memory->next;
    front->xen->ops->pages_free(front->xen, memory->addr, memory->pages);
    free(memory);
}

void front_memory_free(struct front *front, void *addr)
{
    struct front_memory *memory = addr ? find(front, addr) : NULL;
    if (!memory)
        return;
    memory->released = true;
    settle(front, memory);
}

bool front_memory_holds(const struct front *front, const void *addr, uint32_t length)
{
    const struct front_memory *memory = find(front, addr);
    return memory && !memory->released &&
           length <= bytes_of(memory) - ((uintptr_t)addr - (uintptr_t)memory->addr);
}

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
