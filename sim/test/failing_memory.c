// SPDX-License-Identifier: MIT
#include "failing_memory.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

static bool armed;
static uint64_t count;
static uint64_t fail_at;
static bool fail_on;
static int64_t live;

void failing_memory_arm(uint64_t n, bool forever)
{
    armed = true;
    count = 0;
    fail_at = n;
    fail_on = forever;
}

uint64_t failing_memory_disarm(void)
{
    armed = false;
    return count;
}

int64_t failing_memory_live(void)
{
    return live;
}

static void *counted(void *block)
{
    live += block != NULL;
    return block;
}

static bool fails(int error)
{
    if (!armed)
        return false;
    count++;
    if (fail_at == 0 || count < fail_at || (count > fail_at && !fail_on))
        return false;
    errno = error;
    return true;
}

/* The linker's names for the genuine ones. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__real_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
int __real_memfd_create(const char *name, unsigned int flags);
int __real_dup(int fd);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __wrap_dup(int fd);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    return fails(ENOMEM) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(ENOMEM) ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails(ENOMEM))
        return NULL;
    void *block = __real_realloc(old, size); /* never of size 0 here */
    return old ? block : counted(block);
}

char *__wrap_strdup(const char *text)
{
    return fails(ENOMEM) ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t length)
{
    return fails(ENOMEM) ? NULL : counted(__real_strndup(text, length));
}

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
    return fails(ENOMEM) ? MAP_FAILED : __real_mmap(addr, length, prot, flags, fd, offset);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
    return fails(ENFILE) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_dup(int fd)
{
    return fails(EMFILE) ? -1 : __real_dup(fd);
}

void __wrap_free(void *block)
{
    live -= block != NULL;
    __real_free(block);
}
