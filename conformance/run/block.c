/* SPDX-License-Identifier: MIT */
#include "block.h"

#include <inttypes.h>
#include <string.h>

#include "slot.h"

#define LAST_EVENTS 24u

static void copy(char *to, size_t size, const char *from, size_t n)
{
    n = n < size - 1 ? n : size - 1;
    memcpy(to, from, n);
    to[n] = 0;
}

bool block_split(const char *message, struct block_parts *out)
{
    static const char waited[] = "waited for ", expected[] = "expected ";
    static const char *const leads[] = {"it is ", "actual ", "got ", "but "};
    const char *e = strstr(message, expected), *comma;

    *out = (struct block_parts){{0}, {0}, {0}};
    if (!strncmp(message, waited, strlen(waited))) {
        copy(out->expected, sizeof(out->expected), message + strlen(waited), strlen(message));
        copy(out->actual, sizeof(out->actual), "it did not come", 15);
        return true;
    }
    comma = strrchr(message, ',');
    if (!e || (e != message && (e < message + 2 || memcmp(e - 2, ": ", 2) != 0)) || !comma || comma < e)
        return false;
    if (e != message)
        copy(out->field, sizeof(out->field), message, (size_t)(e - 2 - message));
    e += strlen(expected);
    copy(out->expected, sizeof(out->expected), e, (size_t)(comma - e));
    comma += 1 + strspn(comma + 1, " ");
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
        if (!strncmp(comma, leads[i], strlen(leads[i]))) {
            comma += strlen(leads[i]);
            break;
        }
    copy(out->actual, sizeof(out->actual), comma, strlen(comma));
    return true;
}

static const struct kit_slot *newest(const struct kit_slot *list, uint32_t count)
{
    return count ? &list[(count - 1) % KIT_SLOTS] : NULL;
}

void block_find_slots(const struct outcome *outcome, struct block_slots *out)
{
    const struct kit_log *log = &outcome->log;

    *out = (struct block_slots){.request = newest(log->request, log->requests),
                                .plug = newest(log->plug, log->plugs)};
    out->response = newest(log->response, log->checked ? log->checked : log->responses);
    if (!out->response || !out->request || out->request->u.request.id == out->response->u.response.id)
        return;
    for (uint32_t n = 1; n < KIT_SLOTS && n < log->requests && !out->answered; n++) {
        const struct kit_slot *slot = &log->request[(log->requests - 1 - n) % KIT_SLOTS];

        if (slot->u.request.id == out->response->u.response.id)
            out->answered = slot;
    }
}

void block_print_events(const struct kit_log *log, uint32_t most, const char *indent, FILE *out)
{
    uint32_t kept = log->events < KIT_EVENTS ? log->events : KIT_EVENTS;
    uint32_t first = log->events - (kept < most ? kept : most);

    for (uint32_t i = first; i != log->events; i++) {
        const struct kit_event *event = &log->event[i % KIT_EVENTS];
        uint64_t us = (event->ns - log->start_ns) / 1000;

        fprintf(out, "%s%3" PRIu64 ".%06" PRIu64 " %-6.7s %.*s\n", indent, us / 1000000, us % 1000000, event->what,
                (int)sizeof(event->text), event->text);
    }
}

static void block_print_indented(const char *text, const char *indent, FILE *out)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        fprintf(out, "%s%.*s\n", indent, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_slots(const struct outcome *outcome, const char *field, FILE *out)
{
    struct block_slots slots;

    block_find_slots(outcome, &slots);
    if (slots.answered)
        slot_print_request(slots.answered, out);
    if (slots.request)
        slot_print_request(slots.request, out);
    if (slots.response)
        slot_print_response(slots.response, out);
    if (slots.plug && (!slots.request || strstr(field, "event")))
        slot_print_plug(slots.plug, out);
}

void block_print(const struct outcome *outcome, FILE *out)
{
    const struct kit_log *log = &outcome->log;
    struct block_parts parts;

    if (block_split(outcome->message, &parts)) {
        const char *dot = *parts.field ? " " : "";

        fprintf(out, "  expected: %s%s%s\n  actual:   %s%s%s\n", parts.field, dot, parts.expected,
                parts.field, dot, parts.actual);
    }
    print_slots(outcome, outcome->message, out);
    if (*log->store) {
        fputs("  xenstore:\n", out);
        block_print_indented(log->store, "    ", out);
    }
    if (log->events > LAST_EVENTS)
        fprintf(out, "  last %u of %u events, with seconds since the first:\n", LAST_EVENTS, log->events);
    else if (log->events)
        fputs("  events, with seconds since the first:\n", out);
    block_print_events(log, LAST_EVENTS, "    ", out);
}
