/* SPDX-License-Identifier: MIT */
/*
 * Recorded USB traffic: what usbmon saw, as a list of URBs.
 *
 * Reads classic pcap and pcapng (libpcap) with link type 220 (LINKTYPE_USB_LINUX_MMAPPED) and 189
 * (LINKTYPE_USB_LINUX), both byte orders, any time resolution, and usbmon text ("1u",
 * Documentation/usb/usbmon.rst). Everything else is refused with one line that names it.
 *
 * A file is hostile: every length is checked, memory is bounded by the file's size. A file that ends in the
 * middle of an event is refused or kept up to there (trace.truncated), never misread.
 */
#ifndef SIM_TRACE_TRACE_H
#define SIM_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvusb/abi.h>

/* status of an URB that was submitted: usbmon's -EINPROGRESS. */
#define TRACE_IN_PROGRESS (-115)
#define TRACE_NONE        UINT32_MAX

enum trace_format {
    TRACE_PCAP_220,
    TRACE_PCAP_189,
    TRACE_TEXT,
};

/*
 * One URB: a submission (S), its completion (C), or what there is of it. Pointers
 * point into memory of the trace. Frames are numbered from 1 in file order, as
 * Wireshark numbers them; for text they are line numbers of the file.
 */
struct trace_urb {
    uint64_t id;
    uint32_t frame_s; /* TRACE_NONE: the file begins after the submission */
    uint32_t frame_c; /* TRACE_NONE: never completed in the file, or refused (E) */
    uint32_t frame_e; /* TRACE_NONE, or the frame of an E record: the submission failed with status */
    uint64_t time_s_ns;
    uint64_t time_c_ns; /* of the completion or of E */
    uint16_t bus;
    uint8_t device;
    uint8_t endpoint; /* 0..15 */
    uint8_t type;     /* USBIF_PIPE_TYPE_* */
    bool in; /* as Linux has it: a control request without a data stage is OUT, whatever its setup says */
    bool has_setup;
    uint8_t setup[8];
    uint32_t length; /* asked for; 0 without a submission */
    uint32_t flags;  /* Linux URB flags of the submission: 1 SHORT_NOT_OK, 0x40 ZERO_PACKET; 0 in 189, text */
    uint32_t interval; /* 189: 0 */
    uint32_t start_frame;
    int32_t status;  /* of the completion or of E; TRACE_IN_PROGRESS without one */
    uint32_t actual; /* isochronous in text: the sum of the packets shown, a part of it with TRACE_ISO_CUT */
    uint32_t error_count;

    const uint8_t *out; /* OUT payload, out_captured bytes of `length` */
    uint32_t out_captured;
    const uint8_t *in_data; /* IN payload; for isochronous the area that the packets' offsets point into */
    uint32_t in_captured;
    bool out_missing; /* flagged absent or cut: out_captured < length */
    bool in_missing;  /* likewise for IN data that should be there */

    uint32_t nr_packets;                /* isochronous: as submitted */
    const struct pvusb_iso_desc *iso_s; /* nr_iso_s of them recorded; binary shows at most 128, text 5 */
    const struct pvusb_iso_desc *iso_c; /* length is that of iso_s, 0 if it is not recorded */
    uint32_t nr_iso_s;
    uint32_t nr_iso_c;
};

struct trace {
    enum trace_format format;
    bool truncated;         /* the file ends in the middle of a record */
    uint32_t events;        /* S, C and E records read */
    uint32_t other;         /* records of another kind, skipped and counted */
    struct trace_urb *urbs; /* in order of submission; URBs without one stand where their completion is */
    uint32_t nr_urbs;
    /*
     * The events of the file in order: index of the URB, and what happened to it. Lost submissions and
     * completions are simply not there.
     */
    struct trace_event {
        uint32_t urb;
        char what; /* 'S', 'C' or 'E' */
    } *order;
    uint32_t nr_order;
    void *memory; /* private */
};

#define TRACE_ERROR_MAX 512

/*
 * Reads a file. On failure a negative errno and one line in error that names the file and the reason, without
 * newline. -EINVAL: not a trace, a link type not supported (named), or not a single event in it.
 */
int trace_read(const char *path, struct trace *out, char error[TRACE_ERROR_MAX]);
/* The same from memory; name is for messages. */
int trace_read_memory(const char *name, const void *data, size_t size, struct trace *out,
                      char error[TRACE_ERROR_MAX]);
/* Frees what trace_read() made; idempotent, and safe on a zeroed struct. */
void trace_dispose(struct trace *trace);

/*
 * What of an URB fits PVUSB. The classes are the words of the expected results in the recorded corpus;
 * an URB may have several.
 */
enum trace_class {
    TRACE_ROOTHUB = 1u << 0,       /* device 1 of its bus: answered by the root hub, never on a ring */
    TRACE_NO_SUBMISSION = 1u << 1, /* the file begins after it */
    TRACE_NEVER_COMPLETED = 1u << 2,
    TRACE_ADDR0 = 1u << 3,
    TRACE_SET_ADDRESS = 1u << 4, /* standard request, to any address: intercepted, never reaches the device */
    TRACE_TOO_LONG = 1u << 5,       /* more than 65536 bytes or 16 pages */
    TRACE_UNLINKED = 1u << 6,       /* ended with -ENOENT or -ECONNRESET */
    TRACE_STATUS_UNKNOWN = 1u << 7, /* a status that has no usbif code (EREMOTEIO, EILSEQ, ...) */
    TRACE_OUT_MISSING = 1u << 8,    /* payload not in the file */
    TRACE_IN_MISSING = 1u << 9,
    TRACE_SHORT_NOT_OK = 1u << 10,
    TRACE_ZERO_PACKET = 1u << 11,
    TRACE_ERROR_WITH_DATA = 1u << 12, /* but not unlinked, where it is common */
    TRACE_ACTUAL_BEYOND_LENGTH = 1u << 13,
    TRACE_REFUSED = 1u << 14, /* E record: the host controller did not take it */
    TRACE_ISO_CUT = 1u << 15, /* descriptors not all in the file */
    TRACE_SHORT = 1u << 16,   /* IN, not isochronous, status 0 and actual < length */
};
uint32_t trace_classify(const struct trace_urb *urb);
/* "roothub", ... for one bit. */
const char *trace_class_name(enum trace_class bit);

/* Writes classic pcap with link type 220, as usbmon would have recorded it. */
struct trace_writer;
int trace_writer_create(const char *path, struct trace_writer **out, char error[TRACE_ERROR_MAX]);
/*
 * One event: what is 'S', 'C' or 'E'. Of urb the fields of that event are used; data is the payload that it
 * carries (NULL if none), data_length its length. A packet of more than 262144 bytes is cut.
 */
int trace_writer_event(struct trace_writer *writer, const struct trace_urb *urb, char what, uint64_t time_ns,
                       const void *data, uint32_t data_length);
/* Flushes and closes; an error of any earlier write is returned here. NULL is allowed. */
int trace_writer_destroy(struct trace_writer *writer);

#endif
