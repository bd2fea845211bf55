// SPDX-License-Identifier: MIT
/* See pages.h. */
#include "uhci/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

static size_t pages_of(size_t size)
{
    return (size + PAGE - 1) / PAGE;
}

int hc_pages_open(struct hc_pages *pages, const struct hc_bus *bus)
{
    *pages = (struct hc_pages){.memory = bus->memory, .n = bus->size / PAGE};
    pages->used = calloc(pages->n ? pages->n : 1, 1);
    return pages->used ? 0 : -ENOMEM;
}

void hc_pages_close(struct hc_pages *pages)
{
    free(pages->used);
    *pages = (struct hc_pages){.n = 0};
}

void *hc_pages_alloc(struct hc_pages *pages, size_t size)
{
    size_t want = pages_of(size), run = 0;
    for (size_t i = 0; i < pages->n && want > 0; i++) {
        run = pages->used[i] ? 0 : run + 1;
        if (run < want)
            continue;
        size_t first = i + 1 - want;
        memset(pages->used + first, 1, want);
        return memset(pages->memory + first * PAGE, 0, want * PAGE);
    }
    return NULL;
}

void hc_pages_free(struct hc_pages *pages, void *memory, size_t size)
{
    size_t first = (size_t)((uint8_t *)memory - pages->memory) / PAGE;
    assert(hc_pages_hold(pages, memory, size));
    memset(pages->used + first, 0, pages_of(size));
}

bool hc_pages_hold(const struct hc_pages *pages, const void *memory, size_t size)
{
    uintptr_t base = (uintptr_t)pages->memory, at = (uintptr_t)memory;
    if (size == 0)
        return true;
    if (at < base || at - base >= pages->n * PAGE || size > pages->n * PAGE - (at - base))
        return false;
    for (size_t i = (at - base) / PAGE; i <= (at - base + size - 1) / PAGE; i++) {
        if (!pages->used[i])
            return false;
    }
    return true;
}

size_t hc_pages_used(const struct hc_pages *pages)
{
    size_t n = 0;
    for (size_t i = 0; i < pages->n; i++)
        n += pages->used[i];
    return n;
}
