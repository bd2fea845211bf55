/* SPDX-License-Identifier: MIT */
/*
 * The memory of one handle that can be granted: a sparse memfd, mapped once. A page is used only
 * when touched, so the arena has its full size from the beginning, and is sealed at it: a peer that
 * holds the descriptor cannot make our accesses fault.
 */
#ifndef FAKEXEN_GRANT_ARENA_H
#define FAKEXEN_GRANT_ARENA_H

#include <fakexen/xen_ops.h>

#define ARENA_PAGES 16384u
#define ARENA_SIZE  ((size_t)ARENA_PAGES * XEN_PAGE_SIZE_BYTES)

struct arena {
    int fd;
    uint8_t *base;
    unsigned int used;
    bool taken[ARENA_PAGES];
    uint16_t length[ARENA_PAGES]; /* of the allocation that begins here, 0 if none does */
    uint16_t grants[ARENA_PAGES];
};

/* A sealed memfd of this size. */
int arena_memfd(const char *name, size_t size, int *out);

int arena_create(struct arena **out);
/* With a descriptor made by arena_memfd() of ARENA_SIZE bytes, which is taken even on failure. */
int arena_adopt(int fd, struct arena **out);
/* NULL is allowed. Maps that others have of the pages stay. */
void arena_destroy(struct arena *arena);
int arena_alloc(struct arena *arena, unsigned int count, void **out);
void arena_free(struct arena *arena, void *addr, unsigned int count);
/* The allocated page that holds addr. -EINVAL. */
int arena_frame(const struct arena *arena, const void *addr, uint32_t *out);

#endif
