// SPDX-License-Identifier: MIT
#include "replay/report.h"

#include <string.h>

static const char *const field_names[REPLAY_FIELDS] = {
    "type",          "direction",   "setup packet",  "length",         "SHORT_NOT_OK", "interval",
    "iso packets",   "OUT data",    "status",        "actual length",  "IN data",      "iso packet results",
    "error count",   "start frame", "no answer",     "never reached the device", "refused by the frontend",
};

static uint32_t differences(const struct plan *plan, const struct replay_results *results, uint32_t u)
{
    const struct plan_urb *urb = &plan->urb[u];
    uint32_t fields = results->difference[u].guest.fields | results->difference[u].device.fields;
    if (!urb->replayed)
        return 0;
    if (!results->mark[u].returned && !urb->left_open && !(fields & FIELD_NOT_TAKEN))
        fields |= FIELD_NO_ANSWER;
    if (!results->mark[u].seen && !urb->unseen && !urb->left_open)
        fields |= FIELD_NOT_SEEN;
    return fields & ~urb->ignored;
}

enum replay_verdict replay_verdict(const struct plan *plan, const struct replay_results *results, uint32_t u)
{
    if (plan->urb[u].reason == REPLAY_NO_SUBMISSION)
        return VERDICT_NO_URB;
    if (differences(plan, results, u))
        return VERDICT_MISMATCHED;
    return plan->urb[u].reason == REPLAY_CHECKED ? VERDICT_MATCHED : VERDICT_NOT_CHECKED;
}

void replay_summarise(const struct plan *plan, const struct replay_results *results, struct replay_summary *summary)
{
    *summary = (struct replay_summary){.strays = results->strays,
                                       .guest_step = results->guest_step,
                                       .nr_steps = plan->nr_steps};
    for (uint32_t u = 0; u < plan->trace->nr_urbs; u++) {
        enum replay_verdict verdict = replay_verdict(plan, results, u);
        summary->urbs += verdict != VERDICT_NO_URB;
        summary->unpaired += verdict == VERDICT_NO_URB;
        summary->replayed += plan->urb[u].replayed;
        summary->matched += verdict == VERDICT_MATCHED;
        summary->mismatched += verdict == VERDICT_MISMATCHED;
        summary->not_checked += verdict == VERDICT_NOT_CHECKED;
        if (verdict == VERDICT_NOT_CHECKED)
            summary->reasons[plan->urb[u].reason]++;
    }
}

/* ---- text ---- */

static void print_bytes(FILE *out, const char *label, const uint8_t *bytes, uint32_t n)
{
    fprintf(out, "      %-9s", label);
    for (uint32_t i = 0; i < n; i++)
        fprintf(out, " %02x", bytes[i]);
    fputc('\n', out);
}

/* Two lines of hex and one that points at the bytes that differ. */
static void print_data(FILE *out, const struct replay_side *side, const uint8_t *recorded, uint32_t captured)
{
    uint32_t n = side->data_bytes;
    if (n > captured - side->data_offset)
        n = captured - side->data_offset;
    const uint8_t *expected = recorded + side->data_offset;
    fprintf(out, " from byte %u on\n", side->data_offset);
    print_bytes(out, "expected", expected, n);
    print_bytes(out, "got", side->data, n);
    fprintf(out, "      %-9s", "");
    uint32_t last = n;
    while (last > 0 && expected[last - 1] == side->data[last - 1])
        last--;
    for (uint32_t i = 0; i < last; i++)
        fputs(expected[i] == side->data[i] ? "   " : " ^^", out);
    fputc('\n', out);
}

static void print_packet(FILE *out, const struct replay_side *side, const struct pvusb_iso_desc *recorded,
                         uint32_t nr_packets, bool done)
{
    const struct pvusb_iso_desc *got = &side->packet_got;
    if (side->packet >= nr_packets) {
        fprintf(out, " expected %u, got %u\n", nr_packets, side->packet);
        return;
    }
    const struct pvusb_iso_desc *expected = &recorded[side->packet];
    if (done)
        fprintf(out, " packet %u: expected %u bytes, status %d; got %u bytes, status %d\n", side->packet,
                expected->actual_length, expected->status, got->actual_length, got->status);
    else
        fprintf(out, " packet %u: expected %u bytes at %u, got %u at %u\n", side->packet, expected->length,
                expected->offset, got->length, got->offset);
}

/* The recorded value of a field that is a number. */
static int64_t expected_number(const struct plan *plan, uint32_t u, enum replay_field field)
{
    const struct trace_urb *recorded = &plan->trace->urbs[u];
    const struct plan_urb *urb = &plan->urb[u];
    if (field == FIELD_STATUS)
        return urb->status;
    return field == FIELD_TYPE           ? recorded->type
           : field == FIELD_DIRECTION    ? recorded->in
           : field == FIELD_LENGTH       ? recorded->length
           : field == FIELD_SHORT_NOT_OK ? urb->short_not_ok
           : field == FIELD_INTERVAL     ? (uint16_t)recorded->interval
           : field == FIELD_ACTUAL       ? urb->actual
           : field == FIELD_ERROR_COUNT  ? recorded->error_count
                                         : (uint16_t)recorded->start_frame;
}

static void print_field(FILE *out, const struct plan *plan, const struct replay_results *results, uint32_t u,
                        unsigned int bit)
{
    const struct trace_urb *recorded = &plan->trace->urbs[u];
    const struct replay_difference *result = &results->difference[u];
    enum replay_field field = (enum replay_field)(1u << bit);
    fprintf(out, "    %s", field_names[bit]);
    switch (field) {
    case FIELD_NO_ANSWER:
    case FIELD_NOT_SEEN:
        fputc('\n', out);
        return;
    case FIELD_NOT_TAKEN:
        fprintf(out, ": error %lld\n", (long long)result->guest.got[bit]);
        return;
    case FIELD_SETUP:
        fputs(":\n", out);
        print_bytes(out, "expected", recorded->setup, 8);
        print_bytes(out, "got", result->device.setup, 8);
        return;
    case FIELD_OUT_DATA:
        fputc(':', out);
        print_data(out, &result->device, recorded->out, recorded->out_captured);
        return;
    case FIELD_IN_DATA:
        fputc(':', out);
        print_data(out, &result->guest, recorded->in_data, recorded->in_captured);
        return;
    case FIELD_ISO_PACKETS:
        fputc(':', out);
        print_packet(out, &result->device, recorded->iso_s, recorded->nr_packets, false);
        return;
    case FIELD_ISO_RESULTS:
        fputc(':', out);
        print_packet(out, &result->guest, recorded->iso_c, recorded->nr_iso_c, true);
        return;
    case FIELD_TYPE:
    case FIELD_DIRECTION:
    case FIELD_LENGTH:
    case FIELD_SHORT_NOT_OK:
    case FIELD_INTERVAL:
    case FIELD_STATUS:
    case FIELD_ACTUAL:
    case FIELD_ERROR_COUNT:
    case FIELD_START_FRAME:
        fprintf(out, ": expected %lld, got %lld\n", (long long)expected_number(plan, u, field),
                (long long)(field < FIELD_STATUS ? result->device : result->guest).got[bit]);
        return;
    }
}

void replay_print_mismatches(FILE *out, const struct plan *plan, const struct replay_results *results, uint32_t most)
{
    static const char types[] = "ZICB";
    uint32_t shown = 0;
    uint32_t all = 0;
    for (uint32_t u = 0; u < plan->trace->nr_urbs; u++) {
        const struct trace_urb *urb = &plan->trace->urbs[u];
        uint32_t fields = differences(plan, results, u);
        if (!fields)
            continue;
        all++;
        if (shown++ >= most)
            continue;
        fprintf(out, "  mismatch: URB %u, frame %u, %c%c:%u:%03u:%u\n", u, urb->frame_s, types[urb->type & 3],
                urb->in ? 'i' : 'o', urb->bus, urb->device, urb->endpoint);
        for (unsigned int bit = 0; bit < REPLAY_FIELDS; bit++) {
            if (fields & 1u << bit)
                print_field(out, plan, results, u, bit);
        }
    }
    if (all > most)
        fprintf(out, "  and %u more\n", all - most);
}

/* ---- JSON ---- */

json_t *replay_json(const struct replay_summary *summary, const struct replay_totals *totals)
{
    json_t *reasons = json_object();
    for (unsigned int r = 0; r < REPLAY_REASONS; r++) {
        if (summary->reasons[r] > 0)
            json_object_set_new(reasons, replay_reason_text((enum replay_reason)r),
                                json_integer((json_int_t)summary->reasons[r]));
    }
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"urbs", summary->urbs},
        {"replayed", summary->replayed},
        {"matched", summary->matched},
        {"mismatched", summary->mismatched},
        {"not_checked", summary->not_checked},
        {"unpaired_completions", summary->unpaired},
        {"strays", summary->strays},
        {"ring_urbs", totals->front.urbs},
        {"ring_requests", totals->front.requests},
        {"ring_unlinks", totals->front.unlinks},
        {"notifications", totals->front.notifications},
        {"elapsed_ns", totals->elapsed_ns},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_object_set_new(object, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    json_object_set_new(object, "reasons", reasons);
    return object;
}
