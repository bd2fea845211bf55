// SPDX-License-Identifier: MIT
/*
 * Every field of every URB of every recording against the results of another parser
 * (expected/NAME.urbs.jsonl). The bundled recordings always; the whole corpus too where it is: $PVUSB_TRACES
 * or ../shared/traces beside the sources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace_support.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    const char *file;
    int line;
    const json_t *expected;
};

#define MUST(place, condition)                                                                               \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            disagree(place, #condition);                                                                     \
    } while (0)

static void disagree(const struct place *place, const char *what)
{
    char *text = json_dumps(place->expected, JSON_COMPACT);
    print_error("%s:%d: not true: %s\nexpected %s\n", place->file, place->line, what, text ? text : "");
    free(text);
    fail();
}

static const json_t *get(const struct place *place, const char *key)
{
    const json_t *value = json_object_get(place->expected, key);
    if (!value)
        disagree(place, key);
    return value;
}

/* A number; null is what the URB has when there is no such event. */
static int64_t number(const struct place *place, const char *key, int64_t null)
{
    const json_t *value = get(place, key);
    return json_is_null(value) ? null : json_integer_value(value);
}

static bool same_text(const struct place *place, const char *key, const char *text)
{
    const json_t *value = get(place, key);
    return json_is_null(value) ? !text : text && !strcmp(text, json_string_value(value));
}

static bool same_payload(const struct place *place, const char *key, const uint8_t *data, uint32_t size)
{
    char hex[41];
    if (!size)
        return json_is_null(get(place, key));
    trace_test_sha1(data, size, hex);
    return same_text(place, key, hex);
}

static bool same_packets(const struct place *place, const char *key, const struct pvusb_iso_desc *packets,
                         uint32_t count, bool done)
{
    const json_t *list = get(place, key);
    if (json_is_null(list))
        return !count;
    if (json_array_size(list) != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const json_t *packet = json_array_get(list, i);
        uint32_t length = done ? packets[i].actual_length : packets[i].length;
        if (json_integer_value(json_array_get(packet, 0)) != packets[i].status ||
            json_integer_value(json_array_get(packet, 1)) != packets[i].offset ||
            json_integer_value(json_array_get(packet, 2)) != length)
            return false;
    }
    return true;
}

/* A word of the list, or a word before a colon. */
static bool has_class(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!strncmp(word, name, strlen(name)) && (word[strlen(name)] == '\0' || word[strlen(name)] == ':'))
            return true;
    }
    return false;
}

static void compare_classes(const struct place *place, const struct trace_urb *urb)
{
    uint32_t classes = trace_classify(urb);
    const json_t *list = get(place, "classes");
    for (unsigned int bit = 0; bit < 32; bit++) {
        const char *name = trace_class_name((enum trace_class)(1u << bit));
        bool ours = classes & 1u << bit;
        if (ours != has_class(list, name))
            disagree(place, name);
    }
}

static void compare_urb(const struct place *place, const struct trace_urb *urb)
{
    static const char types[] = "ZICB";
    char type[2] = {types[urb->type], 0};
    char setup[17] = "";
    for (size_t i = 0; urb->has_setup && i < 8; i++)
        sprintf(setup + 2 * i, "%02x", urb->setup[i]);
    MUST(place, number(place, "frame_s", TRACE_NONE) == urb->frame_s);
    MUST(place, number(place, "frame_c", TRACE_NONE) == urb->frame_c);
    MUST(place, number(place, "bus", -1) == urb->bus);
    MUST(place, number(place, "dev", -1) == urb->device);
    MUST(place, number(place, "ep", -1) == (urb->endpoint | (urb->in ? 0x80 : 0)));
    MUST(place, same_text(place, "type", type));
    /* The other parser takes the setup packet's word; for Linux no data stage is OUT, and "ep" says so. */
    bool in = urb->has_setup ? urb->setup[0] & 0x80 : urb->in;
    MUST(place, same_text(place, "dir", in ? "i" : "o"));
    MUST(place, same_text(place, "setup", setup));
    MUST(place, number(place, "len", -1) == urb->length);
    MUST(place, number(place, "flags", -1) == urb->flags);
    MUST(place, number(place, "interval", -1) == urb->interval);
    MUST(place, number(place, "status", TRACE_IN_PROGRESS) == urb->status);
    MUST(place, number(place, "actual", 0) == urb->actual);
    MUST(place, same_text(place, "ev", urb->frame_c != TRACE_NONE ? "C" : NULL));
    MUST(place, urb->frame_e == TRACE_NONE);
    MUST(place, same_payload(place, "out_sha1", urb->out, urb->out_captured));
    MUST(place, same_payload(place, "in_sha1", urb->in_data, urb->in_captured));
    MUST(place, same_packets(place, "iso_s", urb->iso_s, urb->nr_iso_s, false));
    MUST(place, same_packets(place, "iso_c", urb->iso_c, urb->nr_iso_c, true));
    compare_classes(place, urb);
}

/* The other parser has no line for a completion whose submission is not in the file (README 1). */
static const struct trace_urb *next_submitted(const struct trace *trace, uint32_t *index)
{
    while (*index < trace->nr_urbs && trace->urbs[*index].frame_s == TRACE_NONE)
        ++*index;
    return *index < trace->nr_urbs ? &trace->urbs[(*index)++] : NULL;
}

static void compare_file(const char *recording, const char *expected, void *context)
{
    (void)context;
    struct trace trace;
    char error[TRACE_ERROR_MAX];
    char line[65536];
    uint32_t index = 0;
    struct place place = {.file = expected};
    if (trace_read(recording, &trace, error))
        fail_msg("%s", error);
    FILE *file = fopen(expected, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        json_t *object = json_loads(line, 0, NULL);
        place.line++;
        place.expected = object;
        assert_non_null(object);
        const struct trace_urb *urb = next_submitted(&trace, &index);
        MUST(&place, urb);
        compare_urb(&place, urb);
        json_decref(object);
    }
    fclose(file);
    if (next_submitted(&trace, &index))
        fail_msg("%s has more URBs than %s", recording, expected);
    assert_int_equal(trace.nr_order, trace.events);
    trace_dispose(&trace);
}

/* README 1, 7, 8, 9, 11 and 12, as the other parser understood them. */
static void test_trace_expected_bundled(void **state)
{
    (void)state;
    assert_int_equal(trace_test_each_bundled(compare_file, NULL), 17);
}

static void test_trace_expected_corpus(void **state)
{
    (void)state;
    size_t compared;
    if (!trace_test_each_fetched(compare_file, NULL, &compared)) {
        print_message("%s is not there\n", trace_test_corpus());
        skip();
    }
    assert_int_equal(compared, 27);
}

/* README 12: a file of USBPcap has no such pairs; it must be refused by name. */
static void test_trace_expected_usbpcap_refused(void **state)
{
    (void)state;
    char path[4096];
    char error[TRACE_ERROR_MAX];
    struct trace trace;
    snprintf(path, sizeof(path), "%s/fetched/usbmon-tools-usbpcap1.pcap", trace_test_corpus());
    if (access(path, R_OK)) {
        print_message("%s is not there\n", path);
        skip();
    }
    assert_int_equal(trace_read(path, &trace, error), -EINVAL);
    assert_non_null(strstr(error, "link type 249 (USBPCAP) is not usbmon"));
    assert_null(strchr(error, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_expected_bundled),
        cmocka_unit_test(test_trace_expected_corpus),
        cmocka_unit_test(test_trace_expected_usbpcap_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
