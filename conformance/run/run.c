/* SPDX-License-Identifier: MIT */
/* The course of a run. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "json.h"
#include "junit.h"
#include "keep.h"
#include "matrix.h"
#include "result.h"
#include "schedule.h"
#include "select.h"

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
    if (run->options.format == FORMAT_JSON) {
        json_list(run, stdout);
        return;
    }
    for (unsigned int i = 0; i < run->selected; i++)
        printf("%-40s %s\n", run->results[i].test->id, run->results[i].test->title);
}

static void write_file(struct run *run, const char *option, const char *path,
                       bool (*write)(const struct run *, FILE *))
{
    FILE *out = path ? fopen(path, "we") : NULL;
    bool good = out && write(run, out) && !ferror(out);

    if (!path || ((!out || fclose(out) == 0) && good))
        return;
    fprintf(stderr, "%s: %s: %s: %s\n", run->options.program, option, path, strerror(errno));
    run->io_error = true;
}

/* All files, and the exit code. */
static int finish(struct run *run, const struct conform_case *const groups[])
{
    const struct options *o = &run->options;

    run->groups = groups;
    run->rc = exit_code(run);
    write_file(run, "--json", o->json, json_write);
    write_file(run, "--junit", o->junit, junit_write);
    write_file(run, "--write-known", o->write_known, known_write);
    if (o->format == FORMAT_JSON && !json_write(run, stdout))
        run->io_error = true;
    run->rc = exit_code(run);
    report_end(run, run->rc);
    return run->rc;
}

static int execute(struct run *run, const struct conform_case *const groups[])
{
    const struct options *o = &run->options;
    char error[256];
    int rc;

    if (o->matrix)
        return matrix_main(o->matrix, o->selectors, o->nr_selectors);
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
    if (!schedule(run))
        return options_bad("--jobs", "no memory for so many");
    return finish(run, groups);
}

int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[])
{
    struct run run = {0};
    int rc = options_parse(&run.options, argc, argv, peers);

    if (rc >= 0)
        return rc;
    rc = execute(&run, groups);
    for (unsigned int i = 0; i < run.selected; i++) {
        free(run.results[i].block);
        json_free(run.results[i].failure);
    }
    free(run.results);
    requirements_free(&run.requirements);
    known_free(&run.known);
    options_free(&run.options);
    return rc;
}
