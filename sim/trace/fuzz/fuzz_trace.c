// SPDX-License-Identifier: MIT
/*
 * The checks of fuzz_trace.h.
 */
#include "fuzz_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* So that a compiler cannot leave out the reading. */
static volatile uint8_t sink;

static void read_bytes(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    MUST(bytes || !size);
    for (size_t i = 0; i < size; i++)
        sink = (uint8_t)(sink + bytes[i]);
}

static void check_urb(const struct trace_urb *urb)
{
    bool done = urb->frame_c != TRACE_NONE || urb->frame_e != TRACE_NONE;
    MUST(urb->frame_s != TRACE_NONE || done);
    MUST(urb->frame_c == TRACE_NONE || urb->frame_e == TRACE_NONE);
    MUST(urb->frame_s == TRACE_NONE || urb->frame_c == TRACE_NONE || urb->frame_s < urb->frame_c);
    MUST(done || urb->status == TRACE_IN_PROGRESS);
    MUST(urb->endpoint <= 15);
    MUST(urb->type <= USBIF_PIPE_TYPE_BULK);
    MUST(!urb->has_setup || urb->type == USBIF_PIPE_TYPE_CTRL);
    MUST(!(urb->in && urb->out) && !(!urb->in && urb->in_data));
    MUST(urb->out_captured <= urb->length);
    MUST(urb->in || urb->frame_s == TRACE_NONE || urb->out_missing == (urb->out_captured < urb->length));
    MUST(urb->type == USBIF_PIPE_TYPE_ISOC || urb->in_captured <= urb->actual);
    MUST(urb->nr_iso_s <= urb->nr_packets && urb->nr_iso_c <= urb->nr_packets);
    MUST(urb->type == USBIF_PIPE_TYPE_ISOC || !urb->nr_packets);
    read_bytes(urb->out, urb->out_captured);
    read_bytes(urb->in_data, urb->in_captured);
    read_bytes(urb->iso_s, urb->nr_iso_s * sizeof(*urb->iso_s));
    read_bytes(urb->iso_c, urb->nr_iso_c * sizeof(*urb->iso_c));
    for (uint32_t i = 0; !urb->in_missing && urb->in_captured && i < urb->nr_iso_c; i++) {
        const struct pvusb_iso_desc *packet = &urb->iso_c[i];
        MUST(!packet->actual_length || (uint64_t)packet->offset + packet->actual_length <= urb->in_captured);
    }
    uint32_t classes = trace_classify(urb);
    MUST(!(classes & TRACE_NO_SUBMISSION) == (urb->frame_s != TRACE_NONE));
}

static uint32_t frame_of(const struct trace_urb *urb, char what)
{
    return what == 'S' ? urb->frame_s : what == 'C' ? urb->frame_c : urb->frame_e;
}

static void check_order(const struct trace *trace)
{
    uint32_t last = 0;
    uint32_t next_urb = 0;
    MUST(trace->nr_order == trace->events);
    for (uint32_t i = 0; i < trace->nr_order; i++) {
        MUST(trace->order[i].urb <= next_urb && next_urb <= trace->nr_urbs);
        if (trace->order[i].urb == next_urb)
            next_urb++;
        uint32_t frame = frame_of(&trace->urbs[trace->order[i].urb], trace->order[i].what);
        MUST(frame != TRACE_NONE && frame > last);
        last = frame;
    }
    MUST(next_urb == trace->nr_urbs);
}

uint32_t fuzz_trace(const uint8_t *data, size_t size)
{
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    memset(error, 1, sizeof(error));
    int rc = trace_read_memory("fuzz", data, size, &trace, error);
    MUST(rc <= 0);
    if (rc) {
        MUST(memchr(error, 0, sizeof(error)) && !strncmp(error, "fuzz: ", 6) && !strchr(error, '\n'));
        MUST(!trace.urbs && !trace.order && !trace.memory);
        return 0;
    }
    MUST(trace.events > 0);
    for (uint32_t i = 0; i < trace.nr_urbs; i++)
        check_urb(&trace.urbs[i]);
    check_order(&trace);
    uint32_t events = trace.events;
    trace_dispose(&trace);
    return events;
}
