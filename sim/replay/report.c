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
    const struct replay_result *result = &results->urb[u];
    uint32_t fields = result->guest.fields | result->device.fields;
    if (!urb->replayed)
        return 0;
    if (!result->returned && !urb->left_open && !(fields & FIELD_NOT_TAKEN))
        fields |= FIELD_NO_ANSWER;
    if (!result->seen && !urb->unseen && !urb->left_open)
        fields |= FIELD_NOT_SEEN;
    return fields;
}

void replay_summarise(const struct plan *plan, const struct replay_results *results, struct replay_summary *summary)
{
    *summary = (struct replay_summary){.strays = results->strays,
                                       .guest_step = results->guest_step,
                                       .nr_steps = plan->nr_steps};
    for (uint32_t u = 0; u < plan->trace->nr_urbs; u++) {
        if (plan->urb[u].reason == REPLAY_NO_SUBMISSION) {
            summary->unpaired++;
            continue;
        }
        summary->urbs++;
        summary->replayed += plan->urb[u].replayed;
        if (differences(plan, results, u)) {
            summary->mismatched++;
        } else if (plan->urb[u].reason == REPLAY_CHECKED) {
            summary->matched++;
        } else {
            summary->not_checked++;
            summary->reasons[plan->urb[u].reason]++;
        }
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

static void print_data(FILE *out, const struct replay_side *side, const uint8_t *recorded, uint32_t captured)
{
    uint32_t n = side->data_bytes;
    fprintf(out, " from byte %u on\n", side->data_offset);
    if (side->data_offset < captured)
        print_bytes(out, "recorded", recorded + side->data_offset,
                    n < captured - side->data_offset ? n : captured - side->data_offset);
    print_bytes(out, "got", side->data, n);
}

static void print_field(FILE *out, const struct plan *plan, const struct replay_results *results, uint32_t u,
                        unsigned int bit)
{
    const struct trace_urb *recorded = &plan->trace->urbs[u];
    const struct replay_result *result = &results->urb[u];
    fprintf(out, "    %s:", field_names[bit]);
    switch ((enum replay_field)(1u << bit)) {
    case FIELD_STATUS:
        fprintf(out, " expected %d, got %lld\n", plan->urb[u].status, (long long)result->guest.got[GOT_STATUS]);
        return;
    case FIELD_NOT_TAKEN:
        fprintf(out, " error %lld\n", (long long)result->guest.got[GOT_STATUS]);
        return;
    case FIELD_ACTUAL:
        fprintf(out, " expected %u, got %lld\n", plan->urb[u].actual, (long long)result->guest.got[GOT_ACTUAL]);
        return;
    case FIELD_LENGTH:
        fprintf(out, " expected %u, got %lld\n", recorded->length, (long long)result->device.got[GOT_LENGTH]);
        return;
    case FIELD_OUT_DATA:
        print_data(out, &result->device, recorded->out, recorded->out_captured);
        return;
    case FIELD_IN_DATA:
        print_data(out, &result->guest, recorded->in_data, recorded->in_captured);
        return;
    case FIELD_NO_ANSWER:
    case FIELD_NOT_SEEN:
    case FIELD_SETUP:
        fputc('\n', out);
        return;
    case FIELD_ISO_RESULTS:
    case FIELD_ERROR_COUNT:
    case FIELD_START_FRAME:
        fprintf(out, " got %lld\n", (long long)result->guest.got[GOT_OTHER]);
        return;
    case FIELD_TYPE:
    case FIELD_DIRECTION:
    case FIELD_SHORT_NOT_OK:
    case FIELD_INTERVAL:
    case FIELD_ISO_PACKETS:
        fprintf(out, " got %lld\n", (long long)result->device.got[GOT_OTHER]);
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

json_t *replay_json(const char *file, const struct replay_summary *summary, const struct replay_totals *totals)
{
    json_t *reasons = json_object();
    for (unsigned int r = 0; r < REPLAY_REASONS; r++) {
        if (summary->reasons[r] > 0)
            json_object_set_new(reasons, replay_reason_text((enum replay_reason)r),
                                json_integer((json_int_t)summary->reasons[r]));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "file", file, "urbs",
                     (json_int_t)summary->urbs, "replayed", (json_int_t)summary->replayed, "matched",
                     (json_int_t)summary->matched, "mismatched", (json_int_t)summary->mismatched, "not_checked",
                     (json_int_t)summary->not_checked, "reasons", reasons, "unpaired_completions", (json_int_t)summary->unpaired, "strays", (json_int_t)summary->strays,
                     "ring_requests", (json_int_t)totals->front.requests, "ring_unlinks",
                     (json_int_t)totals->front.unlinks, "notifications", (json_int_t)totals->front.notifications,
                     "elapsed_ns", (json_int_t)totals->elapsed_ns);
}
