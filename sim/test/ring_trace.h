/* SPDX-License-Identifier: MIT */
/*
 * Recordings of a PVUSB ring: what Linux xen-hcd and QEMU's qusb said to each other on real Xen, one line per
 * request, push, response and connect event, in the order in which the frontend saw them.
 *
 * The reader is strict: a line that is not exactly of one of the four forms, or whose decoded fields
 * contradict its pipe word, is an error that names file and line. What several lines must agree on (slots,
 * ids) is left to the replays, which check it.
 */
#ifndef SIM_TEST_RING_TRACE_H
#define SIM_TEST_RING_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvusb/abi.h>

enum ring_trace_kind {
    RING_TRACE_REQ,
    RING_TRACE_PUSH,
    RING_TRACE_RSP,
    RING_TRACE_CONN,
};

/* One line. Which fields mean something depends on the kind. */
struct ring_trace_record {
    enum ring_trace_kind kind;
    uint32_t line;
    uint64_t time_us;

    uint16_t slot;  /* REQ, RSP */
    uint16_t id;    /* REQ, RSP, CONN */
    uint32_t pipe;  /* REQ; RSP: of its request */
    uint8_t port;   /* REQ: as the recorder took it out of the pipe word; CONN */
    uint8_t device; /* REQ, as are the next three */
    uint8_t endpoint;
    uint8_t type;
    bool in;
    uint16_t flags;
    uint16_t buffer_length;
    uint16_t nr_segs;
    uint8_t u[8];        /* setup packet, or what an earlier request left in the slot */
    uint32_t urb_length; /* what the guest's driver asked for */
    struct usbif_request_segment seg[PVUSB_SEGMENTS_MAX]; /* gref as recorded */

    bool notify; /* PUSH */

    uint16_t start_frame; /* RSP, as are the next three */
    int32_t status;
    int32_t actual;
    int32_t errors;

    uint8_t speed; /* CONN */
};

struct ring_trace {
    struct ring_trace_record *records;
    size_t count;
};

#define RING_TRACE_ERROR_MAX 256

/* 0, or -errno and one line that names the place: "file:line: what is wrong". */
int ring_trace_read(const char *path, struct ring_trace *out, char error[RING_TRACE_ERROR_MAX]);
/* The same from memory; name is for messages. */
int ring_trace_parse(const char *name, const char *text, struct ring_trace *out,
                     char error[RING_TRACE_ERROR_MAX]);
/* Idempotent, and safe on a zeroed struct. */
void ring_trace_dispose(struct ring_trace *trace);

/* The n-th record of a kind, counted from 0; NULL past the last. */
struct ring_trace_record *ring_trace_nth(const struct ring_trace *trace, enum ring_trace_kind kind, size_t n);
size_t ring_trace_total(const struct ring_trace *trace, enum ring_trace_kind kind);

/* True when the recording begins with its session: first slot, first event. */
bool ring_trace_from_start(const struct ring_trace *trace);
/* A request that no device ever sees (rule CTL-04). */
bool ring_trace_is_set_address(const struct ring_trace_record *request);
/* The recordings have no payload. Byte i of the one that we give to a request's transfer. */
uint8_t ring_trace_byte(const struct ring_trace_record *request, uint32_t i);

/* ---- damage, to see that a comparison notices ---- */

/* One bit of one field of one record. */
struct ring_trace_flip {
    const char *what;
    enum ring_trace_kind kind;
    size_t nth;
    size_t offset; /* of the field in struct ring_trace_record; its lowest bit is flipped */
};

#define RING_TRACE_BIT(KIND, NTH, FIELD)                                                                     \
    {                                                                                                        \
#KIND " " #FIELD, RING_TRACE_##KIND, NTH, offsetof(struct ring_trace_record, FIELD)                  \
    }

void ring_trace_flip(struct ring_trace *trace, const struct ring_trace_flip *flip);

/* ---- the outcome of a replay ---- */

/* Counts what differs and keeps words for the first difference. */
struct ring_trace_report {
    unsigned int differences;
    char first[RING_TRACE_ERROR_MAX];
};

void ring_trace_differ(struct ring_trace_report *report, const struct ring_trace_record *record,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));
/* True when equal; otherwise a difference by name with both values. */
bool ring_trace_expect(struct ring_trace_report *report, const struct ring_trace_record *record,
                       const char *what, int64_t recorded, int64_t ours);

#endif
