// SPDX-License-Identifier: MIT
/*
 * usbmon's text, format "1u" (Documentation/usb/usbmon.rst and drivers/usb/mon/mon_text.c):
 *
 *   id time S Ci:1:002:0 s 80 06 0100 0000 0012 18 <
 *   id time C Zi:1:002:1 0:1:30330:0 2 0:0:192 0:192:192 384 = 01020304 ...
 *
 * It has no URB flags, 32 bytes of payload and 5 packets at most.
 */
#include "trace/records.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000u
/* The time counts microseconds of 4096 seconds (mon_get_timestamp()) and then begins again. */
#define TIME_WRAP_US (UINT64_C(4096) * 1000000)

struct word {
    const char *text;
    size_t length;
};

struct line {
    const char *next;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct word next_word(struct line *line)
{
    while (line->next < line->end && is_blank(*line->next))
        line->next++;
    struct word word = {line->next, 0};
    while (line->next < line->end && !is_blank(*line->next))
        line->next++;
    word.length = (size_t)(line->next - word.text);
    return word;
}

/* Splits off what is before the next colon. */
static struct word next_field(struct word *word)
{
    const char *colon = memchr(word->text, ':', word->length);
    struct word field = {word->text, colon ? (size_t)(colon - word->text) : word->length};
    size_t used = field.length + (colon ? 1 : 0);
    word->text += used;
    word->length -= used;
    return field;
}

static unsigned int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned int)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned int)(c - 'a') + 10;
    return UINT_MAX;
}

static bool parse_unsigned(struct word word, unsigned int base, uint64_t max, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < word.length; i++) {
        unsigned int digit = digit_value(word.text[i]);
        if (digit >= base || *value > (max - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return word.length > 0;
}

/* usbmon prints 32-bit fields with %d and %u alike; the bits are what counts. */
static bool parse_bits(struct word word, uint32_t *value)
{
    bool negative = word.length && word.text[0] == '-';
    if (negative) {
        word.text++;
        word.length--;
    }
    uint64_t magnitude;
    if (!parse_unsigned(word, 10, negative ? UINT64_C(0x80000000) : UINT32_MAX, &magnitude))
        return false;
    *value = negative ? (uint32_t)(0 - magnitude) : (uint32_t)magnitude;
    return true;
}

static bool parse_address(struct word word, struct trace_record *record)
{
    static const char types[] = "ZICB"; /* in the order of USBIF_PIPE_TYPE_* */
    struct word pipe = next_field(&word);
    const char *type = pipe.length == 2 ? memchr(types, pipe.text[0], 4) : NULL;
    uint64_t bus;
    uint64_t device;
    uint64_t endpoint;
    if (!type || (pipe.text[1] != 'i' && pipe.text[1] != 'o'))
        return false;
    if (!parse_unsigned(next_field(&word), 10, UINT16_MAX, &bus) ||
        !parse_unsigned(next_field(&word), 10, PVUSB_ADDRESS_MAX, &device) ||
        !parse_unsigned(next_field(&word), 10, 15, &endpoint) || word.length)
        return false;
    record->type = (uint8_t)(type - types);
    record->in = pipe.text[1] == 'i';
    record->bus = (uint16_t)bus;
    record->device = (uint8_t)device;
    record->endpoint = (uint8_t)endpoint;
    return true;
}

/* Five words follow the flag; if it is not 's' they are underscores. */
static bool parse_setup(struct line *line, struct word flag, struct trace_record *record)
{
    static const size_t sizes[] = {1, 1, 2, 2, 2};
    size_t used = 0;
    record->has_setup = flag.text[0] == 's';
    for (size_t i = 0; i < 5; i++) {
        struct word word = next_word(line);
        uint64_t value = 0;
        if (word.length != 2 * sizes[i] ||
            (record->has_setup && !parse_unsigned(word, 16, UINT16_MAX, &value)))
            return false;
        record->setup[used++] = (uint8_t)value;
        if (sizes[i] == 2)
            record->setup[used++] = (uint8_t)(value >> 8);
    }
    return true;
}

/* status, interval, start frame and error count; how many of them depends on type and event. */
static bool parse_status(struct word word, struct trace_record *record)
{
    uint32_t fields[4] = {0};
    size_t count = 0;
    do {
        if (count == 4 || !parse_bits(next_field(&word), &fields[count++]))
            return false;
    } while (word.length);
    record->status = (int32_t)fields[0];
    record->interval = fields[1];
    record->start_frame = fields[2];
    record->error_count = fields[3];
    return true;
}

static int parse_iso(struct trace_records *records, struct line *line, struct trace_record *record)
{
    struct pvusb_iso_desc shown[5] = {0};
    uint64_t count;
    if (!parse_unsigned(next_word(line), 10, INT32_MAX, &count))
        return -EINVAL;
    record->nr_packets = (uint32_t)count;
    record->nr_iso = count < 5 ? (uint32_t)count : 5;
    for (uint32_t i = 0; i < record->nr_iso; i++) {
        struct word word = next_word(line);
        uint32_t status;
        if (!parse_bits(next_field(&word), &status) || !parse_bits(next_field(&word), &shown[i].offset) ||
            !parse_bits(next_field(&word), &shown[i].length) || word.length)
            return -EINVAL;
        shown[i].status = (int32_t)status;
    }
    record->iso = record->nr_iso ? trace_alloc(records, record->nr_iso * sizeof(*shown)) : NULL;
    if (record->nr_iso && !record->iso)
        return -ENOMEM;
    if (record->nr_iso)
        memcpy(record->iso, shown, record->nr_iso * sizeof(*shown));
    return 0;
}

/* "= 01020304 05" or the flag that says why there is none. */
static int parse_data(struct trace_records *records, struct line *line, struct trace_record *record)
{
    uint8_t shown[32];
    uint32_t size = 0;
    struct word word = next_word(line);
    if (!word.length)
        return 0;
    if (word.length != 1)
        return -EINVAL;
    if (word.text[0] != '=')
        return next_word(line).length ? -EINVAL : 0;
    for (word = next_word(line); word.length; word = next_word(line)) {
        for (size_t i = 0; i < word.length; i += 2) {
            uint64_t byte;
            if (word.length - i < 2 || size == sizeof(shown) ||
                !parse_unsigned((struct word){word.text + i, 2}, 16, UINT8_MAX, &byte))
                return -EINVAL;
            shown[size++] = (uint8_t)byte;
        }
    }
    if (!size || (record->what == 'S') == record->in)
        return -EINVAL; /* IN data comes with C, OUT data with S */
    uint8_t *copy = trace_alloc(records, size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, shown, size);
    record->data = copy;
    record->captured = size;
    return size <= record->length ? 0 : -EINVAL;
}

/*
 * The length behind the packets of a completion is that of the buffer ("ISO 'C' is sparse",
 * mon_text_event()). What was done is the sum of the packets, as far as they are shown.
 */
static uint32_t iso_actual(const struct trace_record *record)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < record->nr_iso; i++)
        sum += record->iso[i].length;
    return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static int parse_line(struct trace_records *records, struct line line, struct trace_record *record)
{
    uint64_t time_us;
    uint64_t length;
    if (!parse_unsigned(next_word(&line), 16, UINT64_MAX, &record->id) ||
        !parse_unsigned(next_word(&line), 10, UINT64_MAX / NS_PER_US / 2, &time_us))
        return -EINVAL;
    struct word what = next_word(&line);
    if (what.length != 1 || !memchr("SCE", what.text[0], 3) || !parse_address(next_word(&line), record))
        return -EINVAL;
    record->what = what.text[0];
    record->time_ns = time_us * NS_PER_US;

    struct word word = next_word(&line);
    bool setup = word.length == 1 && digit_value(word.text[0]) > 9;
    if (setup && (record->what != 'S' || record->type != USBIF_PIPE_TYPE_CTRL))
        return -EINVAL;
    if (setup ? !parse_setup(&line, word, record) : !parse_status(word, record))
        return -EINVAL;
    if (record->type == USBIF_PIPE_TYPE_ISOC && record->what != 'E') {
        int failed = parse_iso(records, &line, record);
        if (failed)
            return failed;
    }
    if (!parse_unsigned(next_word(&line), 10, INT32_MAX, &length))
        return -EINVAL;
    record->length = (uint32_t)length;
    int rc = parse_data(records, &line, record);
    if (!rc && record->type == USBIF_PIPE_TYPE_ISOC && record->what == 'C')
        record->length = iso_actual(record);
    return rc;
}

static int bad_line(struct trace_records *records, uint32_t number, uint32_t events)
{
    if (!events)
        return trace_fail(records->error, records->name, -EINVAL,
                          "is neither pcap, pcapng nor usbmon text (1u)");
    return trace_fail(records->error, records->name, -EINVAL, "line %u is not an event of usbmon text (1u)",
                      number);
}

int trace_read_text(struct trace_records *records, const char *data, size_t size)
{
    const char *end = data + size;
    uint64_t turns_us = 0;
    uint64_t last_us = 0;
    uint32_t number = 0;

    records->format = TRACE_TEXT;
    for (const char *start = data; start < end;) {
        const char *newline = memchr(start, '\n', (size_t)(end - start));
        struct line line = {start, newline ? newline : end};
        struct trace_record record = {.frame = ++number};
        struct line probe = line;
        start = newline ? newline + 1 : end;
        if (!next_word(&probe).length)
            continue;
        int rc = parse_line(records, line, &record);
        /* A number that lost its last digits still looks like a number. */
        if (!newline && rc != -ENOMEM && (!rc || records->nr)) {
            records->truncated = true;
            return 0;
        }
        if (rc == -EINVAL)
            return bad_line(records, number, records->nr);
        if (!rc) {
            uint64_t us = record.time_ns / NS_PER_US;
            if (us < last_us && last_us - us > TIME_WRAP_US / 2)
                turns_us += TIME_WRAP_US;
            last_us = us;
            record.time_ns += turns_us * NS_PER_US;
            rc = trace_add(records, &record);
        }
        if (rc)
            return rc;
    }
    return 0;
}
