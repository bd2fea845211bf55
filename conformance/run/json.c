/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "explain.h"
#include "text.h"

static const char *const verdicts[] = {"pass", "fail", "skip", "died", "error"};
static const char *const standings[] = {[AS_WANTED] = "expected", [DIFFERS] = "differs", [KNOWN] = "known",
                                        [XPASS] = "xpass", [WRONG] = "unexpected"};

/* NULL becomes null; bytes that no UTF-8 has become '?'. */
static json_t *string(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    json_t *json;

    if (!copy)
        return json_null();
    text_clean(copy);
    json = json_string(copy);
    free(copy);
    return json;
}

static json_t *slot(const struct kit_slot *slot, size_t size)
{
    char hex[2 * sizeof(slot->u) + 1];

    if (!slot)
        return json_null();
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)&slot->u)[i]);
    return json_pack("{s:I, s:s}", "index", (json_int_t)slot->index, "hex", hex);
}

static json_t *events(const struct kit_log *log)
{
    uint32_t kept = log->events < KIT_EVENTS ? log->events : KIT_EVENTS;
    json_t *list = json_array();

    for (uint32_t i = log->events - kept; i != log->events; i++) {
        const struct kit_event *event = &log->event[i % KIT_EVENTS];

        json_array_append_new(list,
                              json_pack("{s:I, s:o, s:o}", "ns", (json_int_t)(event->ns - log->start_ns),
                                        "what", string(event->what), "text", string(event->text)));
    }
    return list;
}

json_t *json_failure(const struct outcome *outcome)
{
    struct block_slots slots;
    struct block_parts parts;
    bool split = block_split(outcome->message, &parts);

    block_find_slots(outcome, &slots);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "field", string(split && *parts.field ? parts.field : NULL),
                     "expected", string(split ? parts.expected : NULL),
                     "actual", string(split ? parts.actual : NULL),
                     "request", slot(slots.request, sizeof(struct usbif_urb_request)),
                     "answered", slot(slots.answered, sizeof(struct usbif_urb_request)),
                     "response", slot(slots.response, sizeof(struct usbif_urb_response)),
                     "plug_event", slot(slots.plug, sizeof(struct usbif_conn_response)),
                     "xenstore", string(outcome->log.store),
                     "events", events(&outcome->log));
}

void json_free(json_t *json)
{
    json_decref(json);
}

static json_t *requirements(const struct run *run, const struct conform_case *test)
{
    json_t *list = json_array();

    for (const char *p = test->requirements + strspn(test->requirements, " "); *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        const struct requirement *r = requirements_find(&run->requirements, p, n);

        json_array_append_new(list, json_pack("{s:s%, s:o, s:o}", "id", p, n, "level",
                                              string(r ? level_name(r->level) : NULL), "sources",
                                              string(r ? r->sources : NULL)));
        p += n;
    }
    return list;
}

static json_t *describe(const struct run *run, const struct conform_case *test)
{
    static const char *const roles[] = {[CONFORM_BACKEND] = "backend", [CONFORM_FRONTEND] = "frontend",
                                        [CONFORM_TOOLSTACK] = "toolstack"};

    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", test->id, "title", test->title, "role", roles[test->role],
                     "level", level_name(case_level(&run->requirements, test)), "requirements",
                     requirements(run, test));
}

/* The command that shows it again. */
static json_t *again(const struct run *run, const struct result *r)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_t *json;

    if (!out)
        return json_null();
    options_print_again(&run->options, r->seed, r->test->id, out);
    fclose(out);
    json = string(text);
    free(text);
    return json;
}

static json_t *one_case(const struct run *run, const struct result *r)
{
    json_t *json = describe(run, r->test);

    json_object_set_new(json, "verdict", string(verdicts[r->verdict]));
    json_object_set_new(json, "applicable", json_boolean(!r->inapplicable));
    json_object_set_new(json, "standing", string(standings[r->standing]));
    json_object_set_new(json, "message", string(r->message));
    json_object_set_new(json, "seconds", json_real((double)r->took_ms / 1000));
    json_object_set_new(json, "rounds", json_integer(r->rounds));
    json_object_set_new(json, "reproduce", again(run, r));
    json_object_set_new(json, "known", string(r->known));
    json_object_set(json, "failure", r->failure ? r->failure : json_null());
    return json;
}

static bool dump(json_t *json, FILE *out)
{
    bool good = json && json_dumpf(json, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;

    json_decref(json);
    return good;
}

static json_t *summary(const struct run *run)
{
    const struct {
        const char *name;
        unsigned int n;
    } sums[] = {{"selected", run->selected},
                {"pass", run->count[KIT_PASS]},
                {"fail", run->count[KIT_FAIL]},
                {"skip", run->count[KIT_SKIP]},
                {"not-applicable", run->inapplicable},
                {"died", run->count[KIT_DIED]},
                {"error", run->count[KIT_ERROR]},
                {"differs", run->standing[DIFFERS]},
                {"known", run->standing[KNOWN]},
                {"xpass", run->standing[XPASS]}};
    json_t *json = json_object();

    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        json_object_set_new(json, sums[i].name, json_integer(sums[i].n));
    return json;
}

bool json_write(const struct run *run, FILE *out)
{
    char seed[24];
    json_t *cases = json_array();

    snprintf(seed, sizeof(seed), "0x%" PRIx64, run->options.seed);
    for (unsigned int i = 0; i < run->reported; i++)
        json_array_append_new(cases, one_case(run, &run->results[i]));
    return dump(json_pack("{s:s, s:s, s:s, s:b, s:i, s:o, s:o}", "schema", "pvusb-conform/1",
                          "peer", run->options.peer->name, "seed", seed, "strict", run->options.strict,
                          "exit", run->rc, "summary", summary(run), "cases", cases),
                out);
}

bool json_list(const struct run *run, FILE *out)
{
    json_t *cases = json_array();

    for (unsigned int i = 0; i < run->selected; i++)
        json_array_append_new(cases, describe(run, run->results[i].test));
    return dump(json_pack("{s:s, s:o}", "schema", "pvusb-conform-list/1", "cases", cases), out);
}
