/* SPDX-License-Identifier: MIT */
/* The command line, the selection, and the course of a run. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

enum { EXIT_EXPECTED, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_NO_PEER, EXIT_SKIPPED = 77 };

struct run {
    const struct peer_ops *peer;
    struct peer_config config;
    const char *exclude;
    char **selectors;
    int nr_selectors;
    bool list, tap, fail_fast;
    uint64_t seed, timeout_s, limit_s;
    unsigned int count[KIT_ERROR + 1], selected;
};

static const char *const verdict_names[] = {"pass", "FAIL", "skip", "DIED", "ERROR"};

static const char usage[] =
    "usage: pvusb-conform [OPTION...] [SELECTOR...]\n"
    "\n"
    "A selector is a case, what its id begins with (backend.unlink), or a shell glob. None: all cases.\n"
    "  -x, --exclude SEL      leave these out\n"
    "      --list             print the selected cases and end\n"
    "      --peer NAME        what is under test\n"
    "      --timeout S        bound of one wait (5); a whole case gets ten times that\n"
    "      --case-limit S     bound of a whole case\n"
    "      --seed N           of random numbers (1); printed\n"
    "      --format text|tap  of the results on stdout\n"
    "      --fail-fast        end at the first case that fails\n"
    "      --help             print this\n"
    "\n"
    "Exit codes: 0 as expected, 1 a case failed or died, 2 usage or nothing selected, 3 the peer never came,\n"
    "77 everything skipped.\n";

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;

    *out = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && !*end && *out <= max;
}

static int bad(const char *what, const char *text)
{
    fprintf(stderr, "pvusb-conform: %s: %s\n", what, text);
    return EXIT_USAGE;
}

static int set_peer(struct run *run, const struct peer_ops *const peers[], const char *name)
{
    for (; *peers; peers++)
        if (!strcmp((*peers)->name, name)) {
            run->peer = *peers;
            return -1;
        }
    return bad("--peer: not built in", name);
}

/* -1: go on; else the exit code. */
static int option(struct run *run, int c, const struct peer_ops *const peers[])
{
    switch (c) {
    case 'x': run->exclude = optarg; return -1;
    case 'l': run->list = true; return -1;
    case 'p': return set_peer(run, peers, optarg);
    case 't': return number(optarg, 3600, &run->timeout_s) && run->timeout_s ? -1 : bad("--timeout", optarg);
    case 'L': return number(optarg, 36000, &run->limit_s) && run->limit_s ? -1 : bad("--case-limit", optarg);
    case 's': return number(optarg, UINT64_MAX, &run->seed) ? -1 : bad("--seed", optarg);
    case 'f':
        run->tap = !strcmp(optarg, "tap");
        return run->tap || !strcmp(optarg, "text") ? -1 : bad("--format: not text or tap", optarg);
    case 'F': run->fail_fast = true; return -1;
    case 'h': fputs(usage, stdout); return EXIT_EXPECTED;
    default: return EXIT_USAGE;
    }
}

static bool chosen(const struct run *run, const char *id)
{
    bool is = run->nr_selectors == 0;

    for (int i = 0; i < run->nr_selectors && !is; i++)
        is = select_matches(run->selectors[i], id);
    return is && !(run->exclude && select_matches(run->exclude, id));
}

/* Each selector must choose a case: a misspelt one would otherwise test nothing, in silence. */
static int check_selection(struct run *run, const struct conform_case *const groups[])
{
    for (int i = 0; i < run->nr_selectors; i++) {
        bool found = false;

        for (int g = 0; groups[g]; g++)
            for (const struct conform_case *c = groups[g]; c->id; c++)
                found |= select_matches(run->selectors[i], c->id);
        if (!found)
            return bad("no case matches", run->selectors[i]);
    }
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            run->selected += chosen(run, c->id);
    return run->selected ? -1 : bad("nothing selected", "there is no such case");
}

static void report(struct run *run, const struct conform_case *test, const struct outcome *out, unsigned int n)
{
    bool failed = out->verdict != KIT_PASS && out->verdict != KIT_SKIP;

    if (run->tap)
        printf("%sok %u - %s%s%s\n", failed ? "not " : "", n, test->id, out->verdict == KIT_SKIP ? " # SKIP " : "",
               out->verdict == KIT_SKIP ? out->message : "");
    else
        printf("%-5s %s%s%s\n", verdict_names[out->verdict], test->id, *out->message ? ": " : "", out->message);
    if (!failed)
        return;
    if (run->tap) {
        printf("# %s\n", out->message);
        return;
    }
    printf("  %s\n  requirements: %s\n%s  reproduce: pvusb-conform --peer %s --seed 0x%" PRIx64 " %s\n", test->title,
           test->requirements, out->block, run->peer->name, run->seed, test->id);
}

static void run_cases(struct run *run, const struct conform_case *const groups[])
{
    static struct outcome out;
    unsigned int n = 0;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++) {
            if (!chosen(run, c->id))
                continue;
            run->config.role = c->role;
            isolate_run(c, run->peer, &run->config, run->seed, (unsigned int)(run->limit_s ? run->limit_s : run->timeout_s * 10), &out);
            out.message[sizeof(out.message) - 1] = 0;
            run->count[out.verdict]++;
            report(run, c, &out, ++n);
            if (run->fail_fast && out.verdict != KIT_PASS && out.verdict != KIT_SKIP)
                return;
        }
}

static int result(const struct run *run)
{
    const unsigned int *count = run->count;

    if (!run->tap)
        printf("pass %u  fail %u  skip %u  died %u  error %u  of %u, seed 0x%" PRIx64 "\n", count[KIT_PASS],
               count[KIT_FAIL], count[KIT_SKIP], count[KIT_DIED], count[KIT_ERROR], run->selected, run->seed);
    if (count[KIT_ERROR])
        return EXIT_NO_PEER;
    if (count[KIT_FAIL] || count[KIT_DIED])
        return EXIT_UNEXPECTED;
    return count[KIT_PASS] ? EXIT_EXPECTED : EXIT_SKIPPED;
}

int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[])
{
    static const struct option options[] = {
        {"exclude", 1, NULL, 'x'}, {"list", 0, NULL, 'l'},   {"peer", 1, NULL, 'p'},      {"timeout", 1, NULL, 't'},
        {"seed", 1, NULL, 's'},    {"format", 1, NULL, 'f'}, {"fail-fast", 0, NULL, 'F'}, {"help", 0, NULL, 'h'},
        {"case-limit", 1, NULL, 'L'}, {NULL, 0, NULL, 0}};
    struct run run = {.peer = peers[0], .seed = 1, .timeout_s = 5};
    int c, rc;

    while ((c = getopt_long(argc, argv, "x:", options, NULL)) != -1)
        if ((rc = option(&run, c, peers)) >= 0)
            return rc;
    run.selectors = argv + optind;
    run.nr_selectors = argc - optind;
    run.config.timeout_ns = run.timeout_s * 1000000000u;
    if ((rc = check_selection(&run, groups)) >= 0)
        return rc;
    if (run.list) {
        for (int g = 0; groups[g]; g++)
            for (const struct conform_case *k = groups[g]; k->id; k++)
                if (chosen(&run, k->id))
                    printf("%-40s %s\n", k->id, k->title);
        return EXIT_EXPECTED;
    }
    if (!run.peer)
        return bad("--peer", "this build has none");
    if (run.tap)
        printf("TAP version 13\n1..%u\n", run.selected);
    run_cases(&run, groups);
    return result(&run);
}
