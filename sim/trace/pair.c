// SPDX-License-Identifier: MIT
/*
 * Pairs events to URBs. The id is a kernel address and comes back hundreds of times in a file, so a
 * completion belongs to the latest submission of its id that is still open. Sorting instead of hashing: no
 * input is slow.
 */
#include "trace/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct key {
    uint64_t id;
    uint16_t bus;
    uint32_t record;
};

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left;
    const struct key *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->bus != b->bus)
        return a->bus < b->bus ? -1 : 1;
    return a->record < b->record ? -1 : a->record > b->record;
}

static bool same_pipe(const struct trace_record *a, const struct trace_record *b)
{
    return a->device == b->device && a->endpoint == b->endpoint && a->type == b->type && a->in == b->in;
}

/* submission[i]: the record that record i completes, or TRACE_NONE. */
static void find_submissions(const struct trace_records *records, struct key *keys, uint32_t *submission)
{
    for (uint32_t i = 0; i < records->nr; i++)
        keys[i] = (struct key){records->list[i].id, records->list[i].bus, i};
    qsort(keys, records->nr, sizeof(*keys), compare_keys);

    uint32_t open = TRACE_NONE;
    for (uint32_t i = 0; i < records->nr; i++) {
        const struct trace_record *record = &records->list[keys[i].record];
        if (i && (keys[i].id != keys[i - 1].id || keys[i].bus != keys[i - 1].bus))
            open = TRACE_NONE;
        submission[keys[i].record] = TRACE_NONE;
        if (record->what == 'S') {
            open = keys[i].record;
            continue;
        }
        /* On another pipe the id was reused, and the end of the one and the start of the other were lost. */
        if (open != TRACE_NONE && same_pipe(&records->list[open], record))
            submission[keys[i].record] = open;
        open = TRACE_NONE;
    }
}

static void begin(struct trace_urb *urb, const struct trace_record *record)
{
    *urb = (struct trace_urb){
        .id = record->id,
        .frame_s = TRACE_NONE,
        .frame_c = TRACE_NONE,
        .frame_e = TRACE_NONE,
        .bus = record->bus,
        .device = record->device,
        .endpoint = record->endpoint,
        .type = record->type,
        .in = record->in,
        .flags = record->flags,
        .interval = record->interval,
        .status = TRACE_IN_PROGRESS,
        .nr_packets = record->nr_packets,
    };
}

static void apply_submission(struct trace_urb *urb, const struct trace_record *record)
{
    urb->frame_s = record->frame;
    urb->time_s_ns = record->time_ns;
    urb->has_setup = record->has_setup;
    memcpy(urb->setup, record->setup, sizeof(urb->setup));
    urb->length = record->length;
    urb->start_frame = record->start_frame;
    urb->iso_s = record->iso;
    urb->nr_iso_s = record->nr_iso;
    if (urb->in)
        return;
    urb->out = record->data;
    urb->out_captured = record->captured;
    urb->out_missing = record->captured < record->length;
}

/* The area that the packets have written in; usbmon records up to the end of the last one. */
static uint64_t iso_area(const struct trace_urb *urb)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < urb->nr_iso_c; i++) {
        uint64_t packet = (uint64_t)urb->iso_c[i].offset + urb->iso_c[i].actual_length;
        if (urb->iso_c[i].actual_length && packet > end)
            end = packet;
    }
    return end;
}

static void apply_completion(struct trace_urb *urb, const struct trace_record *record)
{
    urb->frame_c = record->frame;
    urb->time_c_ns = record->time_ns;
    urb->status = record->status;
    urb->actual = record->length;
    urb->error_count = record->error_count;
    if (urb->type == USBIF_PIPE_TYPE_ISOC && urb->frame_s == TRACE_NONE)
        urb->start_frame = record->start_frame;
    urb->iso_c = record->iso;
    urb->nr_iso_c = record->nr_iso < urb->nr_packets ? record->nr_iso : urb->nr_packets;
    for (uint32_t i = 0; i < urb->nr_iso_c; i++) {
        /* A completion shows one length, the actual one; the other is known from the submission only. */
        record->iso[i].actual_length = record->iso[i].length;
        record->iso[i].length = i < urb->nr_iso_s ? urb->iso_s[i].length : 0;
    }
    if (!urb->in)
        return;
    urb->in_data = record->data;
    urb->in_captured = record->captured;
    urb->in_missing = record->captured < (urb->nr_iso_c ? iso_area(urb) : urb->actual);
}

static void apply(struct trace_urb *urb, const struct trace_record *record)
{
    if (record->what == 'S') {
        apply_submission(urb, record);
    } else if (record->what == 'C') {
        apply_completion(urb, record);
    } else {
        urb->frame_e = record->frame;
        urb->time_c_ns = record->time_ns;
        urb->status = record->status;
    }
}

static void build(const struct trace_records *records, const uint32_t *submission, uint32_t *urb_of,
                  struct trace *out)
{
    for (uint32_t i = 0; i < records->nr; i++) {
        const struct trace_record *record = &records->list[i];
        if (submission[i] == TRACE_NONE) {
            urb_of[i] = out->nr_urbs++;
            begin(&out->urbs[urb_of[i]], record);
        } else {
            urb_of[i] = urb_of[submission[i]];
        }
        apply(&out->urbs[urb_of[i]], record);
        out->order[out->nr_order++] = (struct trace_event){urb_of[i], record->what};
    }
}

int trace_pair(const struct trace_records *records, struct trace *out)
{
    size_t nr = records->nr;
    struct key *keys = calloc(nr, sizeof(*keys));
    uint32_t *submission = calloc(nr, sizeof(*submission));
    uint32_t *urb_of = calloc(nr, sizeof(*urb_of));
    int rc = -ENOMEM;

    out->urbs = calloc(nr, sizeof(*out->urbs));
    out->order = calloc(nr, sizeof(*out->order));
    if (!keys || !submission || !urb_of || !out->urbs || !out->order)
        goto out;
    find_submissions(records, keys, submission);
    build(records, submission, urb_of, out);
    rc = 0;
out:
    free(keys);
    free(submission);
    free(urb_of);
    return rc;
}
