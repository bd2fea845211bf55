/* SPDX-License-Identifier: MIT */
/* The course of a run. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "keep.h"
#include "result.h"
#include "select.h"

#define TURN_MS 200

/* Each selector must choose a case: a misspelt one would otherwise test nothing, in silence. */
static int check_selection(const struct run *run, const struct conform_case *const groups[])
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
    return -1;
}

/* -1: there is something to run. */
static int select_cases(struct run *run, const struct conform_case *const groups[])
{
    unsigned int all = 0;
    int rc = check_selection(run, groups);

    if (rc >= 0)
        return rc;
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            all++;
    run->results = calloc(all + 1, sizeof(*run->results));
    if (!run->results)
        return options_bad("the results", "no memory");
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (select_chosen(&run->options, &run->requirements, c))
                run->results[run->selected++].test = c;
    return run->selected ? -1 : options_bad("nothing selected", "there is no such case");
}

static enum standing judge(const struct run *run, const struct result *r)
{
    if (r->verdict == KIT_PASS || r->verdict == KIT_SKIP)
        return r->known && r->verdict == KIT_PASS ? XPASS : AS_WANTED;
    if (r->known && r->verdict != KIT_ERROR)
        return KNOWN;
    if (r->verdict == KIT_FAIL && !run->options.strict && case_level(&run->requirements, r->test) != LEVEL_MUST)
        return DIFFERS;
    return WRONG;
}

static void start(const struct run *run, struct result *r, struct isolated *process)
{
    struct isolate_config config = {.ops = run->options.peer, .config = run->options.config,
                                    .seed = run->options.seed, .limit_s = run->options.limit_s};

    config.config.role = r->test->role;
    r->seed = config.seed;
    r->rounds++;
    isolate_start(process, r->test, &config);
}

static void keep(struct run *run, const struct result *r, const struct outcome *outcome)
{
    bool wanted = run->options.keep || (r->verdict != KIT_PASS && r->verdict != KIT_SKIP);
    char error[256];

    if (keep_case(run->options.out, r, wanted ? outcome : NULL, error))
        return;
    fprintf(stderr, "pvusb-conform: --out: %s\n", error);
    run->io_error = true;
}

static void conclude(struct run *run, struct result *r, const struct isolated *process)
{
    const struct outcome *outcome = process->out;

    r->over = true;
    r->verdict = outcome ? outcome->verdict : KIT_ERROR;
    snprintf(r->message, sizeof(r->message), "%s", outcome ? outcome->message : "no memory for the case");
    r->known = known_why(&run->known, r->test);
    r->standing = judge(run, r);
    if (outcome)
        r->took_ms += isolate_took(process);
    if (outcome && r->verdict != KIT_PASS && r->verdict != KIT_SKIP)
        r->block = report_block(run, r, outcome);
    if (run->options.out)
        keep(run, r, outcome);
    if (r->standing == XPASS)
        snprintf(r->message, sizeof(r->message), "passes, but is listed in %.300s", run->options.known);
}

static void count(struct run *run, const struct result *r)
{
    if (r->standing == AS_WANTED || r->standing == WRONG)
        run->count[r->verdict]++;
    run->standing[r->standing]++;
}

static void run_cases(struct run *run)
{
    while (run->reported < run->selected) {
        struct result *r = &run->results[run->reported];
        struct isolated process;

        start(run, r, &process);
        while (process.out && isolate_wait(&process, 1, TURN_MS) < 0)
            ;
        conclude(run, r, &process);
        isolate_free(&process);
        count(run, r);
        report_case(run, r, ++run->reported);
        if (run->options.fail_fast && result_bad(r))
            return;
    }
}

static int exit_code(const struct run *run)
{
    if (run->io_error)
        return EXIT_USAGE;
    if (run->count[KIT_ERROR])
        return EXIT_NO_PEER;
    if (run->standing[WRONG] || run->standing[XPASS])
        return EXIT_UNEXPECTED;
    if (run->count[KIT_PASS] || run->standing[DIFFERS] || run->standing[KNOWN])
        return EXIT_EXPECTED;
    return EXIT_SKIPPED;
}

static void list_cases(const struct run *run)
{
    for (unsigned int i = 0; i < run->selected; i++)
        printf("%-40s %s\n", run->results[i].test->id, run->results[i].test->title);
}

static int execute(struct run *run, const struct conform_case *const groups[])
{
    const struct options *o = &run->options;
    char error[256];
    int rc;

    if (requirements_parse(conform_requirements, &run->requirements, error) < 0)
        return options_bad("REQUIREMENTS.md", error);
    if (o->explain)
        return explain(&run->requirements, groups, o->explain) ? EXIT_EXPECTED
                                                               : options_bad("no case or requirement", o->explain);
    if (o->coverage)
        return coverage(&run->requirements, groups) ? EXIT_EXPECTED : EXIT_UNEXPECTED;
    if ((rc = select_cases(run, groups)) >= 0)
        return rc;
    if (o->list) {
        list_cases(run);
        return EXIT_EXPECTED;
    }
    if (o->known && !known_read(o->known, groups, &run->known, error))
        return options_bad("--known", error);
    if (!o->peer)
        return options_bad("--peer", "this build has none");
    if (o->out && !keep_open(o->out, error))
        return options_bad("--out", error);
    report_begin(run);
    run_cases(run);
    rc = exit_code(run);
    report_end(run, rc);
    return rc;
}

int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[])
{
    struct run run = {0};
    int rc = options_parse(&run.options, argc, argv, peers);

    if (rc >= 0)
        return rc;
    rc = execute(&run, groups);
    for (unsigned int i = 0; i < run.selected; i++)
        free(run.results[i].block);
    free(run.results);
    requirements_free(&run.requirements);
    known_free(&run.known);
    options_free(&run.options);
    return rc;
}
