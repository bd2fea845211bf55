// SPDX-License-Identifier: MIT
#include "arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int arena_memfd(const char *name, size_t size, int *out)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int arena_adopt(int fd, struct arena **out)
{
    struct arena *arena = calloc(1, sizeof(*arena));
    if (!arena) {
        close(fd);
        return -ENOMEM;
    }
    arena->fd = fd;
    void *base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        int rc = -errno;
        arena_destroy(arena);
        return rc;
    }
    arena->base = base;
    *out = arena;
    return 0;
}

int arena_create(struct arena **out)
{
    int fd;
    int rc = arena_memfd("fakexen-pages", ARENA_SIZE, &fd);
    return rc ? rc : arena_adopt(fd, out);
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    if (arena->base)
        munmap(arena->base, ARENA_SIZE);
    if (arena->fd >= 0)
        close(arena->fd);
    free(arena);
}

static bool find_room(const struct arena *arena, unsigned int count, unsigned int *out)
{
    unsigned int run = 0;
    for (unsigned int i = 0; i < ARENA_PAGES; i++) {
        run = arena->taken[i] ? 0 : run + 1;
        if (run == count) {
            *out = i + 1 - count;
            return true;
        }
    }
    return false;
}

int arena_alloc(struct arena *arena, unsigned int count, void **out)
{
    unsigned int first;
    if (!count)
        return -EINVAL;
    if (count > ARENA_PAGES - arena->used || !find_room(arena, count, &first))
        return -ENOMEM;
    uint8_t *addr = arena->base + (size_t)first * XEN_PAGE_SIZE_BYTES;
    memset(addr, 0, (size_t)count * XEN_PAGE_SIZE_BYTES);
    memset(&arena->taken[first], true, count);
    arena->length[first] = (uint16_t)count;
    arena->used += count;
    *out = addr;
    return 0;
}

int arena_frame(const struct arena *arena, const void *addr, uint32_t *out)
{
    uintptr_t offset = (uintptr_t)addr - (uintptr_t)arena->base;
    if (offset >= ARENA_SIZE || !arena->taken[offset / XEN_PAGE_SIZE_BYTES])
        return -EINVAL;
    *out = (uint32_t)(offset / XEN_PAGE_SIZE_BYTES);
    return 0;
}

void arena_free(struct arena *arena, void *addr, unsigned int count)
{
    uint32_t first;
    if (!addr)
        return;
    int rc = arena_frame(arena, addr, &first);
    assert(!rc && arena->length[first] == count);
    (void)rc;
    for (uint32_t i = first; i < first + count; i++)
        assert(!arena->grants[i]);
    memset(&arena->taken[first], false, count);
    arena->length[first] = 0;
    arena->used -= count;
}
