// SPDX-License-Identifier: MIT
/*
 * Private to sim/trace: the events of a file as its format has them, before they are paired to URBs. A reader
 * (pcap.c, text.c) adds records; trace_pair() makes the trace of them.
 */
#ifndef SIM_TRACE_RECORDS_H
#define SIM_TRACE_RECORDS_H

#include "trace/trace.h"

/* Bigger files are refused; the largest recording known is far from it. */
#define TRACE_FILE_MAX (1u << 30)

/* Every payload is an allocation of its own, so that a sanitizer sees one byte too far. */
struct trace_memory {
    struct trace_memory *next;
    max_align_t bytes[];
};

struct trace_record {
    uint64_t id;
    uint64_t time_ns;
    uint32_t frame;
    char what; /* 'S', 'C' or 'E' */
    uint8_t device;
    uint8_t endpoint;
    uint8_t type;
    uint16_t bus;
    bool in;
    bool has_setup;
    uint8_t setup[8];
    int32_t status;
    uint32_t length; /* asked for in S, done in C */
    uint32_t flags;
    uint32_t interval;
    uint32_t start_frame;
    uint32_t error_count;
    uint32_t captured;
    uint32_t nr_packets;
    uint32_t nr_iso; /* never more than nr_packets */
    const uint8_t *data;
    struct pvusb_iso_desc *iso; /* what the event shows of length: asked for in S, done in C */
};

struct trace_records {
    const char *name;
    char *error;
    struct trace_record *list;
    uint32_t nr;
    uint32_t allocated;
    struct trace_memory *memory;
    bool truncated;
    uint32_t other;
    enum trace_format format;
};

/* Writes the line "name: ..." and returns rc. */
__attribute__((format(printf, 4, 5))) int trace_fail(char *error, const char *name, int rc,
                                                     const char *format, ...);
/* Memory that lives as long as the trace, or NULL. */
void *trace_alloc(struct trace_records *records, size_t size);
/* Copies the record; what it points to must come from trace_alloc(). */
int trace_add(struct trace_records *records, const struct trace_record *record);

bool trace_is_pcap(const uint8_t *data, size_t size);
int trace_read_pcap(struct trace_records *records, const uint8_t *data, size_t size);
int trace_read_text(struct trace_records *records, const char *data, size_t size);

/* Fills urbs and order of out; the memory of the records stays where it is. */
int trace_pair(const struct trace_records *records, struct trace *out);

#endif
