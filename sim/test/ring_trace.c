// SPDX-License-Identifier: MIT
#include "ring_trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvusb/urb.h>

/* What is left of a line. Every step fails for good once one has failed. */
struct cursor {
    const char *at;
    bool failed;
};

static void literal(struct cursor *c, const char *text)
{
    size_t n = strlen(text);
    if (c->failed || strncmp(c->at, text, n) != 0)
        c->failed = true;
    else
        c->at += n;
}

static bool try_literal(struct cursor *c, const char *text)
{
    if (c->failed || strncmp(c->at, text, strlen(text)) != 0)
        return false;
    c->at += strlen(text);
    return true;
}

/* Digits only: no sign, no space, no leading zero that would make two spellings of one number. */
static uint32_t decimal(struct cursor *c, uint32_t max)
{
    uint64_t value = 0;
    const char *from = c->at;
    while (!c->failed && *c->at >= '0' && *c->at <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*c->at++ - '0');
    if (c->at == from || value > max || (*from == '0' && c->at - from > 1))
        c->failed = true;
    return c->failed ? 0 : (uint32_t)value;
}

static int32_t signed_decimal(struct cursor *c)
{
    bool minus = try_literal(c, "-");
    int32_t value = (int32_t)decimal(c, INT32_MAX);
    if (minus && value == 0)
        c->failed = true;
    return minus ? -value : value;
}

static uint32_t hex(struct cursor *c, unsigned int digits)
{
    static const char alphabet[] = "0123456789abcdef";
    uint32_t value = 0;
    for (unsigned int i = 0; i < digits && !c->failed; i++) {
        const char *digit = *c->at ? strchr(alphabet, *c->at) : NULL;
        if (digit) {
            value = value << 4 | (uint32_t)(digit - alphabet);
            c->at++;
        } else {
            c->failed = true;
        }
    }
    return value;
}

/* Seconds with six decimals. */
static uint64_t timestamp(struct cursor *c)
{
    uint64_t seconds = decimal(c, UINT32_MAX);
    uint64_t us = 0;
    literal(c, ".");
    for (unsigned int i = 0; i < 6 && !c->failed; i++) {
        if (*c->at >= '0' && *c->at <= '9')
            us = us * 10 + (uint64_t)(*c->at++ - '0');
        else
            c->failed = true;
    }
    return seconds * 1000000 + us;
}

/* The recorder decoded the pipe word itself; that both agree tells that we read the words as it did. */
static void request_pipe(struct cursor *c, struct ring_trace_record *r)
{
    literal(c, " pipe=");
    r->pipe = hex(c, 8);
    literal(c, "(port=");
    r->port = (uint8_t)decimal(c, PVUSB_PORTS_MAX);
    literal(c, " dev=");
    r->device = (uint8_t)decimal(c, PVUSB_ADDRESS_MAX);
    literal(c, " ep=");
    r->endpoint = (uint8_t)decimal(c, 15);
    literal(c, " dir=");
    r->in = try_literal(c, "in");
    if (!r->in)
        literal(c, "out");
    literal(c, " type=");
    r->type = (uint8_t)decimal(c, USBIF_PIPE_TYPE_BULK);
    literal(c, ")");
    struct pvusb_pipe pipe = {
        .port = r->port, .device = r->device, .endpoint = r->endpoint, .type = r->type, .in = r->in};
    if (r->pipe != pvusb_pipe_encode(pipe))
        c->failed = true;
}

static void request(struct cursor *c, struct ring_trace_record *r)
{
    uint32_t sum = 0;
    r->kind = RING_TRACE_REQ;
    literal(c, " slot=");
    r->slot = (uint16_t)decimal(c, PVUSB_URB_RING_SLOTS - 1);
    literal(c, " id=");
    r->id = (uint16_t)decimal(c, PVUSB_URB_RING_SLOTS - 1);
    request_pipe(c, r);
    literal(c, " flags=");
    r->flags = (uint16_t)decimal(c, UINT16_MAX);
    literal(c, " buflen=");
    r->buffer_length = (uint16_t)decimal(c, UINT16_MAX);
    literal(c, " nseg=");
    r->nr_segs = (uint16_t)decimal(c, PVUSB_SEGMENTS_MAX);
    literal(c, " u=");
    for (unsigned int i = 0; i < sizeof(r->u); i++)
        r->u[i] = (uint8_t)hex(c, 2);
    literal(c, " urblen=");
    r->urb_length = decimal(c, PVUSB_URB_LENGTH_MAX);
    literal(c, " segs");
    for (unsigned int i = 0; i < r->nr_segs && !c->failed; i++) {
        literal(c, " ");
        r->seg[i].gref = decimal(c, UINT32_MAX);
        literal(c, ":");
        r->seg[i].offset = (uint16_t)decimal(c, PVUSB_PAGE_SIZE - 1);
        literal(c, "+");
        r->seg[i].length = (uint16_t)decimal(c, PVUSB_PAGE_SIZE);
        sum += r->seg[i].length;
    }
    if (sum != r->urb_length)
        c->failed = true;
}

static void response(struct cursor *c, struct ring_trace_record *r)
{
    r->kind = RING_TRACE_RSP;
    literal(c, " slot=");
    r->slot = (uint16_t)decimal(c, PVUSB_URB_RING_SLOTS - 1);
    literal(c, " id=");
    r->id = (uint16_t)decimal(c, UINT16_MAX);
    literal(c, " start_frame=");
    r->start_frame = (uint16_t)decimal(c, UINT16_MAX);
    literal(c, " status=");
    r->status = signed_decimal(c);
    literal(c, " actual=");
    r->actual = signed_decimal(c);
    literal(c, " errors=");
    r->errors = signed_decimal(c);
    literal(c, " (req pipe ");
    r->pipe = hex(c, 8);
    literal(c, ")");
}

static void connect_event(struct cursor *c, struct ring_trace_record *r)
{
    r->kind = RING_TRACE_CONN;
    literal(c, " id=");
    r->id = (uint16_t)decimal(c, UINT16_MAX);
    literal(c, " port=");
    r->port = (uint8_t)decimal(c, UINT8_MAX);
    literal(c, " speed=");
    r->speed = (uint8_t)decimal(c, UINT8_MAX);
}

static bool parse_line(const char *line, struct ring_trace_record *r)
{
    struct cursor c = {.at = line};
    r->time_us = timestamp(&c);
    if (try_literal(&c, ": xenhcd_do_request: REQ")) {
        request(&c, r);
    } else if (try_literal(&c, ": xenhcd_do_request: PUSH notify=")) {
        r->kind = RING_TRACE_PUSH;
        r->notify = decimal(&c, 1);
    } else if (try_literal(&c, ": xenhcd_int: RSP")) {
        response(&c, r);
    } else {
        literal(&c, ": xenhcd_int: CONN");
        connect_event(&c, r);
    }
    return !c.failed && *c.at == '\0';
}

int ring_trace_parse(const char *name, const char *text, struct ring_trace *out,
                     char error[RING_TRACE_ERROR_MAX])
{
    struct ring_trace trace = {0};
    uint32_t number = 0;
    int rc = 0;
    size_t lines = 1;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    trace.records = calloc(lines, sizeof(*trace.records));
    if (!trace.records)
        return -ENOMEM;
    while (*text && !rc) {
        char line[1024];
        size_t length = strcspn(text, "\n");
        number++;
        if (length < sizeof(line)) {
            memcpy(line, text, length);
            line[length] = '\0';
        }
        trace.records[trace.count].line = number;
        if (length >= sizeof(line) || text[length] != '\n' ||
            !parse_line(line, &trace.records[trace.count])) {
            snprintf(error, RING_TRACE_ERROR_MAX, "%s:%u: not a line of a ring recording", name, number);
            rc = -EINVAL;
        } else {
            trace.count++;
            text += length + 1;
        }
    }
    if (!rc && trace.count == 0) {
        snprintf(error, RING_TRACE_ERROR_MAX, "%s: empty", name);
        rc = -EINVAL;
    }
    if (rc)
        free(trace.records);
    else
        *out = trace;
    return rc;
}

int ring_trace_read(const char *path, struct ring_trace *out, char error[RING_TRACE_ERROR_MAX])
{
    const size_t max = 1u << 20;
    FILE *file = fopen(path, "rb");
    if (!file) {
        int rc = -errno;
        snprintf(error, RING_TRACE_ERROR_MAX, "%s: %s", path, strerror(-rc));
        return rc;
    }
    int rc = -ENOMEM;
    char *text = malloc(max + 1);
    if (text) {
        size_t size = fread(text, 1, max + 1, file);
        rc = ferror(file) ? -EIO : size > max || memchr(text, '\0', size) ? -EINVAL : 0;
        if (rc) {
            snprintf(error, RING_TRACE_ERROR_MAX, "%s: not the text of a ring recording", path);
        } else {
            text[size] = '\0';
            rc = ring_trace_parse(path, text, out, error);
        }
    }
    free(text);
    fclose(file);
    return rc;
}

void ring_trace_dispose(struct ring_trace *trace)
{
    free(trace->records);
    *trace = (struct ring_trace){0};
}

struct ring_trace_record *ring_trace_nth(const struct ring_trace *trace, enum ring_trace_kind kind, size_t n)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (trace->records[i].kind == kind && n-- == 0)
            return &trace->records[i];
    }
    return NULL;
}

size_t ring_trace_total(const struct ring_trace *trace, enum ring_trace_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < trace->count; i++)
        n += trace->records[i].kind == kind;
    return n;
}

bool ring_trace_from_start(const struct ring_trace *trace)
{
    const struct ring_trace_record *first = ring_trace_nth(trace, RING_TRACE_REQ, 0);
    return trace->records[0].kind == RING_TRACE_CONN && first && first->slot == 0;
}

bool ring_trace_is_set_address(const struct ring_trace_record *request)
{
    return request->type == USBIF_PIPE_TYPE_CTRL && request->u[0] == 0 && request->u[1] == 5;
}

uint8_t ring_trace_byte(const struct ring_trace_record *request, uint32_t i)
{
    return (uint8_t)(request->line * 31 + i * 7 + i / 251);
}

void ring_trace_flip(struct ring_trace *trace, const struct ring_trace_flip *flip)
{
    struct ring_trace_record *record = ring_trace_nth(trace, flip->kind, flip->nth);
    assert(record);
    ((uint8_t *)record)[flip->offset] ^= 1; /* little endian, as usbif is */
}

void ring_trace_differ(struct ring_trace_report *report, const struct ring_trace_record *record,
                       const char *format, ...)
{
    va_list args;
    if (report->differences++ > 0)
        return;
    int n = record ? snprintf(report->first, sizeof(report->first), "line %u: ", record->line) : 0;
    va_start(args, format);
    vsnprintf(report->first + n, sizeof(report->first) - (size_t)n, format, args);
    va_end(args);
}

bool ring_trace_expect(struct ring_trace_report *report, const struct ring_trace_record *record,
                       const char *what, int64_t recorded, int64_t ours)
{
    if (recorded != ours)
        ring_trace_differ(report, record, "%s: recorded %lld, ours %lld", what, (long long)recorded,
                          (long long)ours);
    return recorded == ours;
}
