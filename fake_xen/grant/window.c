// SPDX-License-Identifier: MIT
#include "window.h"

#include <errno.h>
#include <sys/mman.h>

static size_t bytes(unsigned int pages)
{
    return (size_t)pages * XEN_PAGE_SIZE_BYTES;
}

int window_reserve(unsigned int count, void **out)
{
    void *window = mmap(NULL, bytes(count), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (window == MAP_FAILED)
        return -errno;
    *out = window;
    return 0;
}

int window_map(void *window, unsigned int at, int fd, uint32_t frame, unsigned int count, bool writable)
{
    uint8_t *addr = (uint8_t *)window + bytes(at);
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (mmap(addr, bytes(count), prot, MAP_SHARED | MAP_FIXED, fd, (off_t)bytes(frame)) == MAP_FAILED)
        return -errno;
    return 0;
}

void window_detach(void *window, unsigned int count)
{
    /* If even this fails the pages stay as they are until window_release(). */
    (void)!mmap(window, bytes(count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void window_release(void *window, unsigned int count)
{
    munmap(window, bytes(count));
}
