/* SPDX-License-Identifier: MIT */
/* The course of a run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "known.h"
#include "options.h"
#include "run.h"
#include "select.h"

/* What a verdict is for the run. */
enum standing {
    AS_WANTED,
    DIFFERS, /* from no MUST: implementations are known to disagree there */
    KNOWN,   /* failed, as the file of known failures says */
    XPASS,   /* passed, and nobody would see the next failure if it stayed in that file */
    WRONG,
};

struct run {
    struct options options;
    struct requirements requirements;
    struct known known;
    unsigned int count[KIT_ERROR + 1], standing[WRONG + 1], selected;
    char skipped[512]; /* why the last one was */
};

static const char *const verdict_names[] = {"pass", "FAIL", "skip", "DIED", "ERROR"};

/* Each selector must choose a case: a misspelt one would otherwise test nothing, in silence. */
static int check_selection(struct run *run, const struct conform_case *const groups[])
{
    const struct options *o = &run->options;

    for (unsigned int i = 0; i < o->nr_selectors; i++) {
        bool found = false;

        for (int g = 0; groups[g]; g++)
            for (const struct conform_case *c = groups[g]; c->id; c++)
                found |= select_matches(o->selectors[i], &run->requirements, c);
        if (!found)
            return options_bad("no case matches", o->selectors[i]);
    }
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            run->selected += select_chosen(&run->options, &run->requirements, c);
    return run->selected ? -1 : options_bad("nothing selected", "there is no such case");
}

static enum standing judge(const struct run *run, const struct conform_case *test, enum kit_verdict verdict)
{
    bool known = known_has(&run->known, test);

    if (verdict == KIT_PASS || verdict == KIT_SKIP)
        return known && verdict == KIT_PASS ? XPASS : AS_WANTED;
    if (known && verdict != KIT_ERROR)
        return KNOWN;
    if (verdict == KIT_FAIL && !run->options.strict && case_level(&run->requirements, test) != LEVEL_MUST)
        return DIFFERS;
    return WRONG;
}

static void report_tap(const struct run *run, const struct conform_case *test, const struct outcome *out,
                       enum standing standing, unsigned int n)
{
    printf("%sok %u - %s", standing == AS_WANTED ? "" : "not ", n, test->id);
    if (out->verdict == KIT_SKIP)
        printf(" # SKIP %s", out->message);
    if (standing == DIFFERS || standing == KNOWN) /* TAP's word; in two, for who looks for marks in the source */
        printf(" # TO" "DO %s, %s", standing == KNOWN ? "known" : "differs",
               level_name(case_level(&run->requirements, test)));
    putchar('\n');
    if (standing != AS_WANTED)
        printf("# %s\n", out->message);
}

static void report(const struct run *run, const struct conform_case *test, const struct outcome *out,
                   enum standing standing, unsigned int n)
{
    static const char *const names[] = {[DIFFERS] = "differs", [KNOWN] = "known", [XPASS] = "XPASS", [WRONG] = NULL};
    const char *name = names[standing] ? names[standing] : verdict_names[out->verdict];

    if (run->options.format == FORMAT_TAP) {
        report_tap(run, test, out, standing, n);
        return;
    }
    printf("%-5s %s%s%s\n", name, test->id, *out->message ? ": " : "", out->message);
    if (standing != DIFFERS && standing != WRONG)
        return;
    printf("  %s\n", test->title);
    explain_short(&run->requirements, test);
    printf("%s  reproduce: ", out->block);
    options_print_again(&run->options, run->options.seed, test->id, stdout);
    putchar('\n');
}

/* Returns false when the run ends here. */
static bool run_one(struct run *run, const struct conform_case *test, unsigned int n)
{
    static struct outcome out;
    enum standing standing;

    run->options.config.role = test->role;
    isolate_run(test, run->options.peer, &run->options.config, run->options.seed, run->options.limit_s, &out);
    out.message[sizeof(out.message) - 1] = 0;
    standing = judge(run, test, out.verdict);
    if (standing == XPASS)
        snprintf(out.message, sizeof(out.message), "passes, but is listed in %.300s", run->options.known);
    if (out.verdict == KIT_SKIP)
        memcpy(run->skipped, out.message, sizeof(run->skipped));
    if (standing == AS_WANTED || standing == WRONG)
        run->count[out.verdict]++;
    run->standing[standing]++;
    report(run, test, &out, standing, n);
    return !(run->options.fail_fast && (standing == WRONG || standing == XPASS));
}

static void run_cases(struct run *run, const struct conform_case *const groups[])
{
    unsigned int n = 0;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (select_chosen(&run->options, &run->requirements, c) && !run_one(run, c, ++n))
                return;
}

static int result(const struct run *run)
{
    const unsigned int *count = run->count;

    if (run->options.format == FORMAT_TEXT)
        printf("pass %u  fail %u  skip %u  died %u  error %u  of %u, seed 0x%" PRIx64 "\n", count[KIT_PASS],
               count[KIT_FAIL], count[KIT_SKIP], count[KIT_DIED], count[KIT_ERROR], run->selected, run->options.seed);
    if (run->options.format == FORMAT_TEXT && run->standing[DIFFERS])
        printf("differs %u: from a SHOULD or an OBSERVED\n", run->standing[DIFFERS]);
    if (run->options.format == FORMAT_TEXT && run->options.known)
        printf("known %u  XPASS %u: by %s\n", run->standing[KNOWN], run->standing[XPASS], run->options.known);
    if (count[KIT_ERROR])
        return EXIT_NO_PEER;
    if (run->standing[WRONG] || run->standing[XPASS])
        return EXIT_UNEXPECTED;
    if (count[KIT_PASS] || run->standing[DIFFERS] || run->standing[KNOWN])
        return EXIT_EXPECTED;
    if (run->options.format == FORMAT_TEXT)
        printf("skip: %s\n", run->skipped);
    return EXIT_SKIPPED;
}

static void list_cases(const struct run *run, const struct conform_case *const groups[])
{
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (select_chosen(&run->options, &run->requirements, c))
                printf("%-40s %s\n", c->id, c->title);
}

static int execute(struct run *run, const struct conform_case *const groups[])
{
    char error[256];
    int rc;

    if (requirements_parse(conform_requirements, &run->requirements, error) < 0)
        return options_bad("REQUIREMENTS.md", error);
    if (run->options.explain)
        return explain(&run->requirements, groups, run->options.explain) ? EXIT_EXPECTED
                                                                 : options_bad("no case or requirement", run->options.explain);
    if (run->options.coverage)
        return coverage(&run->requirements, groups) ? EXIT_EXPECTED : EXIT_UNEXPECTED;
    if ((rc = check_selection(run, groups)) >= 0)
        return rc;
    if (run->options.list) {
        list_cases(run, groups);
        return EXIT_EXPECTED;
    }
    if (run->options.known && !known_read(run->options.known, groups, &run->known, error))
        return options_bad("--known", error);
    if (!run->options.peer)
        return options_bad("--peer", "this build has none");
    if (run->options.format == FORMAT_TAP)
        printf("TAP version 13\n1..%u\n", run->selected);
    run_cases(run, groups);
    return result(run);
}

int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[])
{
    struct run run = {0};
    int rc = options_parse(&run.options, argc, argv, peers);

    if (rc >= 0)
        return rc;
    rc = execute(&run, groups);
    requirements_free(&run.requirements);
    known_free(&run.known);
    options_free(&run.options);
    return rc;
}
