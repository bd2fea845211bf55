// SPDX-License-Identifier: MIT
/*
 * For the tests of sim/trace: SHA-1 of payloads, and recordings made from nothing in either byte order and
 * both link types, pcap and pcapng; and where the recorded ones are.
 */
#ifndef SIM_TEST_TRACE_SUPPORT_H
#define SIM_TEST_TRACE_SUPPORT_H

#include "trace/trace.h"

/* Hexadecimal, as the expected results have it. */
void trace_test_sha1(const void *data, size_t size, char hex[41]);

struct trace_test_file {
    uint8_t *data;
    size_t size;
    size_t allocated;
    bool foreign; /* the byte order that this machine does not have */
    bool pcapng;
    int link_type;
    uint8_t resolution; /* pcapng if_tsresol; 0: not given, microseconds */
};

/* One binary record of usbmon, and what the file says of it. */
struct trace_test_event {
    uint64_t id;
    char what;
    uint8_t type;
    uint8_t endpoint; /* with the direction bit */
    uint8_t device;
    uint16_t bus;
    char setup_flag;
    char data_flag;
    int32_t status;
    uint32_t length;
    uint8_t setup[8];
    int32_t error_count;
    int32_t numdesc;
    int32_t interval;
    int32_t start_frame;
    uint32_t flags;
    uint32_t ndesc;
    const struct pvusb_iso_desc *iso; /* ndesc of them; length is shown */
    const void *data;
    uint32_t data_size;
    uint32_t uncounted; /* of data_size, not in data_len */
    uint64_t time;      /* in units of the file */
    uint32_t cut;       /* bytes that a snaplen took from the end */
};

void trace_test_begin(struct trace_test_file *file);
/* pcapng: one more interface. */
void trace_test_interface(struct trace_test_file *file, int link_type, uint8_t resolution);
void trace_test_event(struct trace_test_file *file, const struct trace_test_event *event);
void trace_test_free(struct trace_test_file *file);

/* Reads a trace; the test ends when it cannot be read. */
void trace_test_read(const char *path, struct trace *trace);
/* Writes a trace again; returns what trace_writer_destroy() says. */
int trace_test_write(const char *path, const struct trace *trace);

/*
 * Calls one() for every recording that has expected results. The bundled ones; or the whole corpus where it is:
 * $PVUSB_TRACES or ../shared/traces beside the sources (false when it is not there).
 */
typedef void trace_test_one(const char *recording, const char *expected, void *context);
size_t trace_test_each_bundled(trace_test_one *one, void *context);
bool trace_test_each_fetched(trace_test_one *one, void *context, size_t *found);
const char *trace_test_corpus(void);

/* Reads a file whole; the test ends when it is not there. */
uint8_t *trace_test_load(const char *path, size_t *size);

#endif
