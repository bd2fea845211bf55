// SPDX-License-Identifier: MIT
/*
 * Every recording that another parser has judged, replayed in one process and in two: an URB that it gave no
 * class is matched, none is mismatched, and every other one is replayed or has a reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "replay_support.h"
#include "trace_support.h"

struct sums {
    uint32_t urbs;
    uint32_t matched;
};

/* The other parser has no line for a completion whose submission is not in the file. */
static uint32_t next_submitted(const struct trace *trace, uint32_t u)
{
    while (u < trace->nr_urbs && trace->urbs[u].frame_s == TRACE_NONE)
        u++;
    return u;
}

static void check_urb(const struct replay_run *run, const char *recording, uint32_t u, const json_t *expected)
{
    enum replay_verdict verdict = replay_verdict(&run->plan, run->results, u);
    const struct plan_urb *urb = &run->plan.urb[u];
    size_t classes = json_array_size(json_object_get(expected, "classes"));
    if (classes == 0 && verdict != VERDICT_MATCHED)
        fail_msg("%s: URB %u has no class, but is not matched: %s", recording, u, replay_reason_text(urb->reason));
    if (verdict != VERDICT_MATCHED && verdict != VERDICT_NOT_CHECKED)
        fail_msg("%s: URB %u is neither matched nor has a reason", recording, u);
}

static void check_urbs(const struct replay_run *run, const char *recording, const char *expected)
{
    char line[65536];
    uint32_t u = 0;
    FILE *file = fopen(expected, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        u = next_submitted(run->plan.trace, u);
        assert_true(u < run->plan.trace->nr_urbs);
        check_urb(run, recording, u++, object);
        json_decref(object);
    }
    fclose(file);
    assert_int_equal(next_submitted(run->plan.trace, u), run->plan.trace->nr_urbs);
}

static void play(const char *recording, const char *expected, void *context)
{
    static const struct {
        unsigned int processes;
        enum replay_match match;
        const char *name;
    } ways[] = {
        {1, REPLAY_STRICT, "one process"},
        {2, REPLAY_STRICT, "two processes"},
        {1, REPLAY_ENDPOINT, "endpoint match"},
    };
    struct sums *sums = context;
    struct trace trace;
    struct replay_run runs[3];
    trace_test_read(recording, &trace);
    for (size_t i = 0; i < 3; i++) {
        char name[4200];
        snprintf(name, sizeof(name), "%s, %s", recording, ways[i].name);
        assert_int_equal(replay_test_run(&trace, ways[i].processes, ways[i].match, &runs[i]), 0);
        assert_true(replay_test_clean(&runs[i], name));
        check_urbs(&runs[i], recording, expected);
        assert_true(replay_test_same(&runs[i], &runs[0]));
    }
    sums->urbs += runs[0].summary.urbs;
    sums->matched += runs[0].summary.matched;
    for (size_t i = 0; i < 3; i++)
        replay_test_dispose(&runs[i], &trace);
    trace_dispose(&trace);
}

/* The sums are those of the files; a plan that leaves more out than it must is noticed. */
static void test_replay_corpus_bundled(void **state)
{
    (void)state;
    struct sums sums = {0};
    assert_int_equal(trace_test_each_bundled(play, &sums), 17);
    assert_int_equal(sums.urbs, 2290);
    assert_int_equal(sums.matched, 1867);
}

static void test_replay_corpus_fetched(void **state)
{
    (void)state;
    struct sums sums = {0};
    size_t found;
    if (!trace_test_each_fetched(play, &sums, &found)) {
        print_message("%s is not there\n", trace_test_corpus());
        skip();
    }
    assert_int_equal(found, 27);
    assert_int_equal(sums.urbs, 4189);
    assert_int_equal(sums.matched, 3668);
}

/* Text has cut payloads and no flags; what it does have is matched. */
static void test_replay_corpus_text(void **state)
{
    (void)state;
    static const char *const names[] = {"dummy-test-enum", "hs-enum", "xhci-hid", "xhci-unlink", "uhci-audio-odd"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        struct trace trace;
        struct replay_run run;
        snprintf(path, sizeof(path), "%s/%s.mon.txt", PVUSB_TRACE_DIR, names[i]);
        trace_test_read(path, &trace);
        assert_int_equal(replay_test_run(&trace, 1, REPLAY_STRICT, &run), 0);
        assert_true(replay_test_clean(&run, path));
        assert_true(run.summary.matched > 0);
        replay_test_dispose(&run, &trace);
        trace_dispose(&trace);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_corpus_bundled),
        cmocka_unit_test(test_replay_corpus_fetched),
        cmocka_unit_test(test_replay_corpus_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
