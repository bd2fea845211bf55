// SPDX-License-Identifier: MIT
/*
 * A file is read into memory whole, its format found by its first bytes, its events collected and then
 * paired.
 */
#include "trace/records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SHOWN_MAX 300

int trace_fail(char *error, const char *name, int rc, const char *format, ...)
{
    /* The reason matters more than the start of a very long path. */
    size_t length = strlen(name);
    const char *shown = length > NAME_SHOWN_MAX ? name + length - NAME_SHOWN_MAX : name;
    int used = snprintf(error, TRACE_ERROR_MAX, "%s: ", shown);
    va_list args;
    va_start(args, format);
    vsnprintf(error + used, TRACE_ERROR_MAX - (size_t)used, format, args);
    va_end(args);
    return rc;
}

void *trace_alloc(struct trace_records *records, size_t size)
{
    struct trace_memory *memory = malloc(sizeof(*memory) + size);
    if (!memory)
        return NULL;
    memory->next = records->memory;
    records->memory = memory;
    return memory->bytes;
}

static void trace_free_memory(struct trace_memory *memory)
{
    while (memory) {
        struct trace_memory *next = memory->next;
        free(memory);
        memory = next;
    }
}

int trace_add(struct trace_records *records, const struct trace_record *record)
{
    if (records->nr == records->allocated) {
        uint32_t allocated = records->allocated ? records->allocated * 2 : 64;
        struct trace_record *list = realloc(records->list, allocated * sizeof(*list));
        if (!list)
            return -ENOMEM;
        records->list = list;
        records->allocated = allocated;
    }
    records->list[records->nr++] = *record;
    return 0;
}

static const char *compression_name(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        uint8_t magic[4];
        size_t length;
    } known[] = {
        {"gzip", {0x1f, 0x8b}, 2},
        {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4},
        {"xz", {0xfd, '7', 'z', 'X'}, 4},
        {"bzip2", {'B', 'Z', 'h'}, 3},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (size >= known[i].length && !memcmp(data, known[i].magic, known[i].length))
            return known[i].name;
    }
    return NULL;
}

static int read_records(struct trace_records *records, const uint8_t *data, size_t size)
{
    if (!size)
        return trace_fail(records->error, records->name, -EINVAL, "is empty");
    if (size > TRACE_FILE_MAX)
        return trace_fail(records->error, records->name, -EFBIG, "is larger than %u bytes", TRACE_FILE_MAX);
    const char *compression = compression_name(data, size);
    if (compression)
        return trace_fail(records->error, records->name, -EINVAL, "is compressed with %s; unpack it first",
                          compression);
    if (trace_is_pcap(data, size))
        return trace_read_pcap(records, data, size);
    return trace_read_text(records, (const char *)data, size);
}

int trace_read_memory(const char *name, const void *data, size_t size, struct trace *out,
                      char error[TRACE_ERROR_MAX])
{
    struct trace_records records = {.name = name, .error = error};
    int rc;

    memset(out, 0, sizeof(*out));
    error[0] = '\0';
    rc = read_records(&records, data, size);
    if (rc)
        goto out;
    if (!records.nr) {
        rc = trace_fail(error, name, -EINVAL,
                        records.truncated ? "ends in the middle of its first event" : "holds no USB event");
        goto out;
    }
    rc = trace_pair(&records, out);
    if (rc)
        goto out;
    out->format = records.format;
    out->truncated = records.truncated;
    out->events = records.nr;
    out->other = records.other;
    out->memory = records.memory;
    records.memory = NULL;
out:
    if (rc && !error[0])
        trace_fail(error, name, rc, "%s", strerror(-rc));
    if (rc)
        trace_dispose(out);
    trace_free_memory(records.memory);
    free(records.list);
    return rc;
}

/* Until the end, as a pipe has no size. */
static int read_all(int fd, uint8_t **data, size_t *size)
{
    size_t allocated = 0;
    for (;;) {
        if (*size == allocated) {
            allocated = allocated ? allocated * 2 : 65536;
            uint8_t *more = realloc(*data, allocated);
            if (!more)
                return -ENOMEM;
            *data = more;
        }
        ssize_t got = read(fd, *data + *size, allocated - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (!got)
            return 0;
        *size += (size_t)got;
        if (*size > TRACE_FILE_MAX)
            return -EFBIG;
    }
}

int trace_read(const char *path, struct trace *out, char error[TRACE_ERROR_MAX])
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc;

    memset(out, 0, sizeof(*out));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    rc = fd < 0 ? -errno : read_all(fd, &data, &size);
    if (fd >= 0)
        close(fd);
    if (rc)
        trace_fail(error, path, rc, "%s", strerror(-rc));
    else
        rc = trace_read_memory(path, data, size, out, error);
    free(data);
    return rc;
}

void trace_dispose(struct trace *trace)
{
    trace_free_memory(trace->memory);
    free(trace->urbs);
    free(trace->order);
    memset(trace, 0, sizeof(*trace));
}
