// SPDX-License-Identifier: MIT
/*
 * pcap and pcapng with usbmon's binary records. libpcap knows the files and gives the headers in the byte
 * order of this machine; the layout of a record is struct mon_bin_hdr of Linux's drivers/usb/mon/mon_bin.c.
 */
#include "trace/records.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pcap/usb.h>
#include <stdio.h>
#include <string.h>

/* mon_bin.c ISODESC_MAX */
#define ISO_DESC_MAX 128u
/* Bits of the endpoint's address. */
#define ENDPOINT_NUMBER 0x0fu
#define ENDPOINT_IN     0x80u

static_assert(sizeof(pcap_usb_header) == 48, "struct mon_bin_hdr without the fields of MON_IOCX_GETX");
static_assert(sizeof(pcap_usb_header_mmapped) == 64, "struct mon_bin_hdr");
static_assert(sizeof(usb_isodesc) == 16, "struct mon_bin_isodesc");
static_assert(offsetof(pcap_usb_header_mmapped, s) == 40, "struct mon_bin_hdr");
static_assert(URB_ISOCHRONOUS == USBIF_PIPE_TYPE_ISOC && URB_INTERRUPT == USBIF_PIPE_TYPE_INT &&
                  URB_CONTROL == USBIF_PIPE_TYPE_CTRL && URB_BULK == USBIF_PIPE_TYPE_BULK,
              "usbmon's types are usbif's");

struct reader {
    struct trace_records *records;
    pcap_t *pcap;
    uint32_t header_size;
    bool swapped;
};

/* What is left of a packet. */
struct bytes {
    const uint8_t *data;
    uint32_t size;
};

bool trace_is_pcap(const uint8_t *data, size_t size)
{
    /* Microseconds, nanoseconds and Kuznetzov's variant in both byte orders; pcapng. */
    static const uint8_t magics[][4] = {
        {0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d},
        {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0xcd, 0x34}, {0x34, 0xcd, 0xb2, 0xa1},
        {0x0a, 0x0d, 0x0d, 0x0a},
    };
    if (size < 4)
        return false;
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (!memcmp(data, magics[i], 4))
            return true;
    }
    return false;
}

static const char *link_type_advice(int type)
{
    switch (type) {
    case DLT_USBPCAP:
        return "Windows' USBPcap keeps no URB flags and no intervals; record on Linux with tcpdump -i "
               "usbmonN";
    case DLT_USB_DARWIN:
        return "macOS keeps no Linux URBs; record on Linux with tcpdump -i usbmonN";
    case DLT_USB_2_0:
        return "it holds the packets of the bus, not URBs; record on Linux with tcpdump -i usbmonN";
    default:
        return "it must be 189 or 220; record on Linux with tcpdump -i usbmonN";
    }
}

static int check_link_type(struct reader *reader)
{
    int type = pcap_datalink(reader->pcap);
    if (type == DLT_USB_LINUX) {
        reader->header_size = sizeof(pcap_usb_header);
        reader->records->format = TRACE_PCAP_189;
        return 0;
    }
    if (type == DLT_USB_LINUX_MMAPPED) {
        reader->header_size = sizeof(pcap_usb_header_mmapped);
        reader->records->format = TRACE_PCAP_220;
        return 0;
    }
    const char *name = pcap_datalink_val_to_name(type);
    return trace_fail(reader->records->error, reader->records->name, -EINVAL,
                      "link type %d (%s) is not usbmon; %s", type, name ? name : "unknown",
                      link_type_advice(type));
}

static uint32_t swap32(bool swapped, uint32_t value)
{
    return swapped ? __builtin_bswap32(value) : value;
}

/*
 * libpcap (1.10.3, swap_linux_usb_header()) turns the descriptors behind a 64-byte header, but holds that
 * there are none behind a 48-byte one. Linux puts them there as well.
 */
static int read_iso(struct reader *reader, struct trace_record *record, struct bytes *rest, uint32_t count)
{
    bool swapped = reader->swapped && reader->header_size == sizeof(pcap_usb_header);
    uint32_t complete = rest->size / (uint32_t)sizeof(usb_isodesc);
    record->nr_iso = count < complete ? count : complete;
    if (record->nr_iso > record->nr_packets)
        record->nr_iso = record->nr_packets;
    if (record->nr_iso) {
        record->iso = trace_alloc(reader->records, record->nr_iso * sizeof(*record->iso));
        if (!record->iso)
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < record->nr_iso; i++) {
        usb_isodesc raw;
        memcpy(&raw, rest->data + i * sizeof(raw), sizeof(raw));
        record->iso[i] = (struct pvusb_iso_desc){
            .offset = swap32(swapped, raw.offset),
            .length = swap32(swapped, raw.len),
            .status = (int32_t)swap32(swapped, (uint32_t)raw.status),
        };
    }
    if (count > complete) {
        rest->size = 0; /* what is left is a piece of a descriptor, not payload */
        return 0;
    }
    rest->data += count * sizeof(usb_isodesc);
    rest->size -= count * (uint32_t)sizeof(usb_isodesc);
    return 0;
}

/* The payload: as much of it as the event should carry and the file has. */
static int read_data(struct reader *reader, struct trace_record *record, const struct bytes *rest)
{
    bool carries = record->what == 'S' ? !record->in : record->in;
    /* Isochronous IN data lies where the packets' offsets say, and may end behind what length counts. */
    bool sparse = record->type == URB_ISOCHRONOUS && record->in;
    uint32_t size = rest->size;

    if (record->what == 'E' || !carries)
        return 0;
    if (!sparse && size > record->length)
        size = record->length;
    if (!size)
        return 0;
    uint8_t *copy = trace_alloc(reader->records, size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, rest->data, size);
    record->data = copy;
    record->captured = size;
    return 0;
}

static void read_header(const pcap_usb_header_mmapped *raw, struct trace_record *record)
{
    record->id = raw->id;
    record->what = (char)raw->event_type;
    record->device = raw->device_address;
    record->endpoint = raw->endpoint_number & ENDPOINT_NUMBER;
    record->in = raw->endpoint_number & ENDPOINT_IN;
    record->type = raw->transfer_type;
    record->bus = raw->bus_id;
    record->status = raw->status;
    record->length = raw->urb_len;
    record->interval = (uint32_t)raw->interval;
    record->start_frame = (uint32_t)raw->start_frame;
    record->flags = raw->xfer_flags;
    if (raw->transfer_type == URB_CONTROL && raw->event_type == URB_SUBMIT && !raw->setup_flag) {
        record->has_setup = true;
        memcpy(record->setup, &raw->s.setup, sizeof(record->setup));
    }
    if (raw->transfer_type == URB_ISOCHRONOUS && raw->event_type != URB_ERROR) {
        record->error_count = (uint32_t)raw->s.iso.error_count;
        record->nr_packets = raw->s.iso.numdesc > 0 ? (uint32_t)raw->s.iso.numdesc : 0;
    }
}

/* How many descriptors stand before the payload: a field of the long header, a rule of the short one. */
static uint32_t iso_count(const struct reader *reader, const pcap_usb_header_mmapped *raw,
                          const struct trace_record *record)
{
    if (record->type != URB_ISOCHRONOUS || record->what == 'E')
        return 0;
    if (reader->header_size == sizeof(*raw))
        return raw->ndesc;
    return record->nr_packets < ISO_DESC_MAX ? record->nr_packets : ISO_DESC_MAX;
}

static int read_packet(struct reader *reader, const struct pcap_pkthdr *packet, const uint8_t *data,
                       uint32_t frame)
{
    struct trace_records *records = reader->records;
    pcap_usb_header_mmapped raw = {0};
    struct trace_record record = {.frame = frame};
    struct bytes rest = {data + reader->header_size, packet->caplen - reader->header_size};
    int rc;

    if (packet->caplen < reader->header_size)
        return trace_fail(
            records->error, records->name, -EINVAL,
            "frame %u has %u bytes, less than its header of %u: recorded with too small a snaplen", frame,
            packet->caplen, reader->header_size);
    memcpy(&raw, data, reader->header_size);
    if ((raw.event_type != URB_SUBMIT && raw.event_type != URB_COMPLETE && raw.event_type != URB_ERROR) ||
        raw.transfer_type > URB_BULK) {
        records->other++;
        return 0;
    }
    read_header(&raw, &record);
    /* With NANO libpcap gives nanoseconds in tv_usec, whatever the file counts in. */
    record.time_ns = (uint64_t)packet->ts.tv_sec * 1000000000u + (uint64_t)packet->ts.tv_usec;
    /* data_len counts descriptors and payload; a snaplen may have cut both. */
    if (rest.size > raw.data_len)
        rest.size = raw.data_len;
    rc = read_iso(reader, &record, &rest, iso_count(reader, &raw, &record));
    if (!rc && !raw.data_flag)
        rc = read_data(reader, &record, &rest);
    return rc ? rc : trace_add(records, &record);
}

/* What libpcap stopped at. */
static int damaged(const struct reader *reader, uint32_t frames)
{
    const char *reason = pcap_geterr(reader->pcap);
    /* No damage: this is libpcap's word for a second interface that is unlike the first. */
    bool interface = strstr(reason, "of the first interface");
    return trace_fail(
        reader->records->error, reader->records->name, -EINVAL, "after %u frames: %s%s", frames, reason,
        interface ? "; all must be usbmon's and alike, record them into files of their own" : "");
}

static int read_packets(struct reader *reader)
{
    struct trace_records *records = reader->records;
    for (uint32_t frame = 1;; frame++) {
        struct pcap_pkthdr *packet;
        const u_char *data;
        int got = pcap_next_ex(reader->pcap, &packet, &data);
        if (got == PCAP_ERROR_BREAK)
            return 0;
        /* An error at the end of the file is a record that was cut; any other is damage, and what follows a
         * guess. */
        if (got < 0 && feof(pcap_file(reader->pcap))) {
            records->truncated = true;
            return 0;
        }
        if (got < 0)
            return damaged(reader, frame - 1);
        int rc = read_packet(reader, packet, data, frame);
        if (rc)
            return rc;
    }
}

int trace_read_pcap(struct trace_records *records, const uint8_t *data, size_t size)
{
    struct reader reader = {.records = records};
    char reason[PCAP_ERRBUF_SIZE] = "";
    int rc;

    /* Opened for reading only: fmemopen() does not write through the pointer. */
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
    if (!file)
        return -errno;
    reader.pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, reason);
    if (!reader.pcap) {
        fclose(file);
        return trace_fail(records->error, records->name, -EINVAL, "%s", reason);
    }
    reader.swapped = pcap_is_swapped(reader.pcap);
    rc = check_link_type(&reader);
    if (!rc)
        rc = read_packets(&reader);
    pcap_close(reader.pcap);
    return rc;
}
