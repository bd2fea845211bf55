// SPDX-License-Identifier: MIT
/*
 * Writes what usbmon would have recorded: classic pcap, link type 220, microseconds, the byte order of this
 * machine.
 */
#include "trace/trace.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pcap/usb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What tcpdump asks for; libpcap reads no more than that of a packet of most kinds. */
#define SNAPLEN 262144u

struct trace_writer {
    FILE *file; /* belongs to dump once that is there */
    pcap_t *pcap;
    pcap_dumper_t *dump;
    uint8_t *buffer; /* SNAPLEN bytes */
    int error;
};

int trace_writer_create(const char *path, struct trace_writer **out, char error[TRACE_ERROR_MAX])
{
    struct trace_writer *writer = calloc(1, sizeof(*writer));
    int rc = -ENOMEM;

    if (!writer)
        goto out;
    writer->buffer = malloc(SNAPLEN);
    writer->pcap = pcap_open_dead_with_tstamp_precision(DLT_USB_LINUX_MMAPPED, (int)SNAPLEN,
                                                        PCAP_TSTAMP_PRECISION_MICRO);
    if (!writer->buffer || !writer->pcap)
        goto out;
    writer->file = fopen(path, "wbe");
    if (!writer->file) {
        rc = -errno;
        goto out;
    }
    writer->dump = pcap_dump_fopen(writer->pcap, writer->file);
    rc = writer->dump ? 0 : -EIO;
out:
    if (!rc) {
        *out = writer;
        return 0;
    }
    snprintf(error, TRACE_ERROR_MAX, "%.300s: %s", path, strerror(-rc));
    trace_writer_destroy(writer);
    return rc;
}

/* Why an event has no payload, in usbmon's letters (mon_bin_event()). */
static char data_flag(const struct trace_urb *urb, char what, uint32_t data_length)
{
    if (what == 'E')
        return 'E';
    if (what == 'S' && urb->in)
        return '<';
    if (what == 'C' && !urb->in)
        return '>';
    if (data_length)
        return 0;
    return (what == 'S' ? urb->length : urb->actual) ? 'D' : 0;
}

static pcap_usb_header_mmapped make_header(const struct trace_urb *urb, char what, uint64_t time_ns)
{
    pcap_usb_header_mmapped header = {
        .id = urb->id,
        .event_type = (uint8_t)what,
        .transfer_type = urb->type,
        .endpoint_number = (uint8_t)(urb->endpoint | (urb->in ? 0x80 : 0)),
        .device_address = urb->device,
        .bus_id = urb->bus,
        .setup_flag = '-',
        .ts_sec = (int64_t)(time_ns / 1000000000u),
        .ts_usec = (int32_t)(time_ns % 1000000000u / 1000u),
        .status = what == 'S' ? TRACE_IN_PROGRESS : urb->status,
        .urb_len = what == 'S'   ? urb->length
                   : what == 'C' ? urb->actual
                                 : 0,
    };
    if (what == 'E')
        return header;
    header.interval = (int32_t)urb->interval;
    header.xfer_flags = urb->flags;
    if (urb->type == USBIF_PIPE_TYPE_ISOC) {
        header.start_frame = (int32_t)urb->start_frame;
        header.s.iso.error_count = what == 'C' ? (int32_t)urb->error_count : 0;
        header.s.iso.numdesc = (int32_t)urb->nr_packets;
        header.ndesc = what == 'S' ? urb->nr_iso_s : urb->nr_iso_c;
    } else if (what == 'S' && urb->has_setup) {
        header.setup_flag = 0;
        memcpy(&header.s.setup, urb->setup, sizeof(urb->setup));
    }
    return header;
}

/* Copies as much as the snaplen allows; the packet's full length counts on. */
static void append(struct trace_writer *writer, struct pcap_pkthdr *packet, const void *data, uint32_t size)
{
    uint32_t room = SNAPLEN - packet->caplen;
    uint32_t fits = size < room ? size : room;
    if (fits)
        memcpy(writer->buffer + packet->caplen, data, fits);
    packet->caplen += fits;
    packet->len += size;
}

int trace_writer_event(struct trace_writer *writer, const struct trace_urb *urb, char what, uint64_t time_ns,
                       const void *data, uint32_t data_length)
{
    struct pcap_pkthdr packet = {0};
    pcap_usb_header_mmapped header = make_header(urb, what, time_ns);
    const struct pvusb_iso_desc *iso = what == 'S' ? urb->iso_s : urb->iso_c;

    if (what != 'S' && what != 'C' && what != 'E')
        return -EINVAL;
    if (writer->error)
        return writer->error;
    header.data_flag = data_flag(urb, what, data_length);
    if (header.data_flag)
        data_length = 0;
    header.data_len = data_length + header.ndesc * (uint32_t)sizeof(usb_isodesc);
    packet.ts.tv_sec = (time_t)header.ts_sec;
    packet.ts.tv_usec = header.ts_usec;
    append(writer, &packet, &header, sizeof(header));
    for (uint32_t i = 0; i < header.ndesc; i++) {
        usb_isodesc raw = {
            .status = iso[i].status,
            .offset = iso[i].offset,
            .len = what == 'S' ? iso[i].length : iso[i].actual_length,
        };
        append(writer, &packet, &raw, sizeof(raw));
    }
    append(writer, &packet, data, data_length);
    pcap_dump((u_char *)writer->dump, &packet, writer->buffer);
    if (ferror(writer->file))
        writer->error = -EIO;
    return writer->error;
}

int trace_writer_destroy(struct trace_writer *writer)
{
    if (!writer)
        return 0;
    int rc = writer->error;
    if (!rc && writer->dump && pcap_dump_flush(writer->dump))
        rc = errno ? -errno : -EIO;
    if (writer->dump)
        pcap_dump_close(writer->dump);
    else if (writer->file)
        fclose(writer->file);
    if (writer->pcap)
        pcap_close(writer->pcap);
    free(writer->buffer);
    free(writer);
    return rc;
}
