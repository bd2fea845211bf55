// SPDX-License-Identifier: MIT
/*
 * What the tests of sim/trace share.
 */
#include "trace_support.h"

#include <endian.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t rotate(uint32_t value, unsigned int bits)
{
    return value << bits | value >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80];
    for (size_t i = 0; i < 16; i++) {
        uint32_t word;
        memcpy(&word, block + 4 * i, 4);
        w[i] = be32toh(word);
    }
    for (size_t i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (size_t i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) | (~b & d)
                     : i < 40 || i >= 60 ? b ^ c ^ d
                                         : (b & c) | (b & d) | (c & d);
        uint32_t k = i < 20 ? 0x5a827999u : i < 40 ? 0x6ed9eba1u : i < 60 ? 0x8f1bbcdcu : 0xca62c1d6u;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void trace_test_sha1(const void *data, size_t size, char hex[41])
{
    uint32_t state[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    const uint8_t *bytes = data;
    size_t whole = size / 64;
    for (size_t i = 0; i < whole; i++)
        sha1_block(state, bytes + 64 * i);
    uint8_t last[128] = {0};
    size_t rest = size % 64;
    size_t blocks = rest < 56 ? 1 : 2;
    uint64_t bits = htobe64((uint64_t)size * 8);
    if (rest)
        memcpy(last, bytes + 64 * whole, rest);
    last[rest] = 0x80;
    memcpy(last + blocks * 64 - 8, &bits, 8);
    for (size_t i = 0; i < blocks; i++)
        sha1_block(state, last + 64 * i);
    for (size_t i = 0; i < 5; i++)
        sprintf(hex + 8 * i, "%08x", state[i]);
}

static void put(struct trace_test_file *file, const void *data, size_t size)
{
    if (!size)
        return;
    if (file->size + size > file->allocated) {
        file->allocated = 2 * (file->size + size);
        file->data = realloc(file->data, file->allocated);
        if (!file->data)
            abort();
    }
    memcpy(file->data + file->size, data, size);
    file->size += size;
}

static void put8(struct trace_test_file *file, unsigned int value)
{
    uint8_t byte = (uint8_t)value;
    put(file, &byte, 1);
}

static void put16(struct trace_test_file *file, unsigned int value)
{
    uint16_t raw = (uint16_t)value;
    if (file->foreign)
        raw = __builtin_bswap16(raw);
    put(file, &raw, 2);
}

static void put32(struct trace_test_file *file, uint32_t value)
{
    if (file->foreign)
        value = __builtin_bswap32(value);
    put(file, &value, 4);
}

static void put64(struct trace_test_file *file, uint64_t value)
{
    if (file->foreign)
        value = __builtin_bswap64(value);
    put(file, &value, 8);
}

void trace_test_interface(struct trace_test_file *file, int link_type, uint8_t resolution)
{
    uint32_t size = resolution ? 32 : 20;
    put32(file, 1); /* Interface Description Block */
    put32(file, size);
    put16(file, (unsigned int)link_type);
    put16(file, 0);
    put32(file, 0);
    if (resolution) {
        put16(file, 9); /* if_tsresol */
        put16(file, 1);
        put8(file, resolution);
        put(file, "\0\0", 3);
        put32(file, 0); /* opt_endofopt */
    }
    put32(file, size);
}

void trace_test_begin(struct trace_test_file *file)
{
    file->size = 0;
    if (!file->pcapng) {
        put32(file, 0xa1b2c3d4u);
        put16(file, 2);
        put16(file, 4);
        put32(file, 0);
        put32(file, 0);
        put32(file, 262144);
        put32(file, (uint32_t)file->link_type);
        return;
    }
    put32(file, 0x0a0d0d0au); /* Section Header Block */
    put32(file, 28);
    put32(file, 0x1a2b3c4du);
    put16(file, 1);
    put16(file, 0);
    put64(file, UINT64_MAX);
    put32(file, 28);
    trace_test_interface(file, file->link_type, file->resolution);
}

static void put_record(struct trace_test_file *file, const struct trace_test_event *event)
{
    put64(file, event->id);
    put8(file, (uint8_t)event->what);
    put8(file, event->type);
    put8(file, event->endpoint);
    put8(file, event->device);
    put16(file, event->bus);
    put8(file, (uint8_t)event->setup_flag);
    put8(file, (uint8_t)event->data_flag);
    put64(file, 0);
    put32(file, 0);
    put32(file, (uint32_t)event->status);
    put32(file, event->length);
    put32(file, event->data_size - event->uncounted + event->ndesc * 16);
    if (event->type == USBIF_PIPE_TYPE_ISOC) {
        put32(file, (uint32_t)event->error_count);
        put32(file, (uint32_t)event->numdesc);
    } else {
        put(file, event->setup, 8);
    }
    if (file->link_type == 220) {
        put32(file, (uint32_t)event->interval);
        put32(file, (uint32_t)event->start_frame);
        put32(file, event->flags);
        put32(file, event->ndesc);
    }
    for (uint32_t i = 0; i < event->ndesc && event->iso; i++) {
        put32(file, (uint32_t)event->iso[i].status);
        put32(file, event->iso[i].offset);
        put32(file, event->iso[i].length);
        put32(file, 0);
    }
    put(file, event->data, event->data_size);
}

void trace_test_event(struct trace_test_file *file, const struct trace_test_event *event)
{
    struct trace_test_file record = {.foreign = file->foreign, .link_type = file->link_type};
    put_record(&record, event);
    uint32_t size = (uint32_t)record.size - event->cut;
    uint32_t padding = file->pcapng ? -size & 3 : 0;
    if (file->pcapng) {
        put32(file, 6); /* Enhanced Packet Block */
        put32(file, 32 + size + padding);
        put32(file, 0);
        put32(file, (uint32_t)(event->time >> 32));
        put32(file, (uint32_t)event->time);
    } else {
        put32(file, (uint32_t)(event->time / 1000000));
        put32(file, (uint32_t)(event->time % 1000000));
    }
    put32(file, size);
    put32(file, (uint32_t)record.size);
    put(file, record.data, size);
    put(file, "\0\0", padding);
    if (file->pcapng)
        put32(file, 32 + size + padding);
    free(record.data);
}

void trace_test_free(struct trace_test_file *file)
{
    free(file->data);
    file->data = NULL;
    file->size = file->allocated = 0;
}

static void give_up(const char *reason)
{
    fprintf(stderr, "%s\n", reason);
    abort();
}

int trace_test_write(const char *path, const struct trace *trace)
{
    char error[TRACE_ERROR_MAX];
    struct trace_writer *writer;
    if (trace_writer_create(path, &writer, error))
        give_up(error);
    for (uint32_t i = 0; i < trace->nr_order; i++) {
        const struct trace_urb *urb = &trace->urbs[trace->order[i].urb];
        char what = trace->order[i].what;
        bool carries = urb->in ? what == 'C' : what == 'S';
        int rc = trace_writer_event(writer, urb, what, what == 'S' ? urb->time_s_ns : urb->time_c_ns,
                                    !carries  ? NULL
                                    : urb->in ? urb->in_data
                                              : urb->out,
                                    !carries  ? 0
                                    : urb->in ? urb->in_captured
                                              : urb->out_captured);
        if (rc)
            break;
    }
    return trace_writer_destroy(writer);
}

void trace_test_read(const char *path, struct trace *trace)
{
    char error[TRACE_ERROR_MAX];
    if (trace_read(path, trace, error))
        give_up(error);
}

uint8_t *trace_test_load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        fprintf(stderr, "%s: not there\n", path);
        abort();
    }
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, file) != *size)
        abort();
    fclose(file);
    return data;
}

/* Returns how many files were found. */
static size_t each(const char *results, const char *const folders[], trace_test_one *one, void *context)
{
    char path[4096];
    glob_t list;
    size_t found = 0;
    snprintf(path, sizeof(path), "%s/*.urbs.jsonl", results);
    if (glob(path, 0, NULL, &list))
        return 0;
    for (size_t i = 0; i < list.gl_pathc; i++) {
        const char *base = strrchr(list.gl_pathv[i], '/') + 1;
        for (size_t j = 0; folders[j]; j++) {
            int length = (int)(strlen(base) - strlen(".urbs.jsonl"));
            snprintf(path, sizeof(path), "%s/%.*s", folders[j], length, base);
            if (access(path, R_OK))
                continue;
            one(path, list.gl_pathv[i], context);
            found++;
        }
    }
    globfree(&list);
    return found;
}

size_t trace_test_each_bundled(trace_test_one *one, void *context)
{
    const char *const folders[] = {PVUSB_TRACE_DIR, NULL};
    return each(PVUSB_TRACE_DIR "/expected", folders, one, context);
}

const char *trace_test_corpus(void)
{
    const char *given = getenv("PVUSB_TRACES");
    return given ? given : PVUSB_TRACE_CORPUS;
}

bool trace_test_each_fetched(trace_test_one *one, void *context, size_t *found)
{
    char results[4096];
    char qemu[4096];
    char fetched[4096];
    snprintf(results, sizeof(results), "%s/urbs", trace_test_corpus());
    snprintf(qemu, sizeof(qemu), "%s/qemu", trace_test_corpus());
    snprintf(fetched, sizeof(fetched), "%s/fetched", trace_test_corpus());
    if (access(results, R_OK))
        return false;
    const char *const folders[] = {qemu, fetched, NULL};
    *found = each(results, folders, one, context);
    return true;
}
