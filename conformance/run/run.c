/* SPDX-License-Identifier: MIT */
/* The command line, the selection, and the course of a run. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "run.h"

enum { EXIT_EXPECTED, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_NO_PEER, EXIT_SKIPPED = 77 };

struct run {
    const struct peer_ops *peer;
    struct peer_config config;
    struct requirements requirements;
    const char **excludes, *explain;
    char **selectors;
    int nr_selectors, nr_excludes;
    bool list, tap, fail_fast, strict, coverage;
    uint64_t seed, timeout_s, limit_s;
    unsigned int count[KIT_ERROR + 1], differs, selected;
};

static const char *const verdict_names[] = {"pass", "FAIL", "skip", "DIED", "ERROR"};

static const char usage[] =
    "usage: pvusb-conform [OPTION...] [SELECTOR...]\n"
    "\n"
    "A selector is a case, what its id begins with (backend.unlink), a shell glob, or a level: @MUST @SHOULD @OBSERVED.\n"
    "None: all cases.\n"
    "  -x, --exclude SEL      leave these out; may be given several times\n"
    "      --explain ID       print a case or a requirement in full and end\n"
    "      --coverage         print which cases check which requirement and end; 1 when there are gaps\n"
    "      --strict           a case of a SHOULD or OBSERVED that fails is a failure too, not just \"differs\"\n"
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
    case 'x': run->excludes[run->nr_excludes++] = optarg; return -1;
    case 'E': run->explain = optarg; return -1;
    case 'C': run->coverage = true; return -1;
    case 'S': run->strict = true; return -1;
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

static bool matches(const struct run *run, const char *selector, const struct conform_case *test)
{
    if (*selector == '@')
        return !strcmp(selector + 1, level_name(case_level(&run->requirements, test)));
    return select_matches(selector, test->id);
}

static bool chosen(const struct run *run, const struct conform_case *test)
{
    bool is = run->nr_selectors == 0;

    for (int i = 0; i < run->nr_selectors && !is; i++)
        is = matches(run, run->selectors[i], test);
    for (int i = 0; i < run->nr_excludes && is; i++)
        is = !matches(run, run->excludes[i], test);
    return is;
}

/* Each selector must choose a case: a misspelt one would otherwise test nothing, in silence. */
static int check_selection(struct run *run, const struct conform_case *const groups[])
{
    for (int i = 0; i < run->nr_selectors; i++) {
        bool found = false;

        for (int g = 0; groups[g]; g++)
            for (const struct conform_case *c = groups[g]; c->id; c++)
                found |= matches(run, run->selectors[i], c);
        if (!found)
            return bad("no case matches", run->selectors[i]);
    }
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            run->selected += chosen(run, c);
    return run->selected ? -1 : bad("nothing selected", "there is no such case");
}

/* A failure that is no breach of a MUST: implementations are known to disagree there. */
static bool differs(const struct run *run, const struct conform_case *test, enum kit_verdict verdict)
{
    return verdict == KIT_FAIL && !run->strict && case_level(&run->requirements, test) != LEVEL_MUST;
}

static bool failed(const struct run *run, const struct conform_case *test, enum kit_verdict verdict)
{
    return verdict != KIT_PASS && verdict != KIT_SKIP && !differs(run, test, verdict);
}

static void report_tap(const struct run *run, const struct conform_case *test, const struct outcome *out,
                       unsigned int n)
{
    bool ok = out->verdict == KIT_PASS || out->verdict == KIT_SKIP;

    printf("%sok %u - %s", ok ? "" : "not ", n, test->id);
    if (out->verdict == KIT_SKIP)
        printf(" # SKIP %s", out->message);
    if (differs(run, test, out->verdict))
        printf(" # TO" "DO differs, %s", /* TAP's word; in two, for who looks for marks in the source */
               level_name(case_level(&run->requirements, test)));
    putchar('\n');
    if (!ok)
        printf("# %s\n", out->message);
}

static void report(const struct run *run, const struct conform_case *test, const struct outcome *out, unsigned int n)
{
    const char *name = differs(run, test, out->verdict) ? "differs" : verdict_names[out->verdict];

    if (run->tap) {
        report_tap(run, test, out, n);
        return;
    }
    printf("%-5s %s%s%s\n", name, test->id, *out->message ? ": " : "", out->message);
    if (out->verdict == KIT_PASS || out->verdict == KIT_SKIP)
        return;
    printf("  %s\n", test->title);
    explain_short(&run->requirements, test);
    printf("%s  reproduce: pvusb-conform --peer %s --seed 0x%" PRIx64 " %s\n", out->block, run->peer->name, run->seed,
           test->id);
}

static void run_cases(struct run *run, const struct conform_case *const groups[])
{
    static struct outcome out;
    unsigned int n = 0;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++) {
            if (!chosen(run, c))
                continue;
            run->config.role = c->role;
            isolate_run(c, run->peer, &run->config, run->seed, (unsigned int)(run->limit_s ? run->limit_s : run->timeout_s * 10), &out);
            out.message[sizeof(out.message) - 1] = 0;
            if (differs(run, c, out.verdict))
                run->differs++;
            else
                run->count[out.verdict]++;
            report(run, c, &out, ++n);
            if (run->fail_fast && failed(run, c, out.verdict))
                return;
        }
}

static int result(const struct run *run)
{
    const unsigned int *count = run->count;

    if (!run->tap)
        printf("pass %u  fail %u  skip %u  died %u  error %u  of %u, seed 0x%" PRIx64 "\n", count[KIT_PASS],
               count[KIT_FAIL], count[KIT_SKIP], count[KIT_DIED], count[KIT_ERROR], run->selected, run->seed);
    if (!run->tap && run->differs)
        printf("differs %u: from a SHOULD or an OBSERVED\n", run->differs);
    if (count[KIT_ERROR])
        return EXIT_NO_PEER;
    if (count[KIT_FAIL] || count[KIT_DIED])
        return EXIT_UNEXPECTED;
    return count[KIT_PASS] || run->differs ? EXIT_EXPECTED : EXIT_SKIPPED;
}

static void list_cases(const struct run *run, const struct conform_case *const groups[])
{
    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (chosen(run, c))
                printf("%-40s %s\n", c->id, c->title);
}

static int execute(struct run *run, const struct conform_case *const groups[])
{
    char error[REQUIREMENTS_ERROR_MAX];
    int rc;

    if (requirements_parse(conform_requirements, &run->requirements, error) < 0)
        return bad("REQUIREMENTS.md", error);
    if (run->explain)
        return explain(&run->requirements, groups, run->explain) ? EXIT_EXPECTED
                                                                 : bad("no case or requirement", run->explain);
    if (run->coverage)
        return coverage(&run->requirements, groups) ? EXIT_EXPECTED : EXIT_UNEXPECTED;
    if ((rc = check_selection(run, groups)) >= 0)
        return rc;
    if (run->list) {
        list_cases(run, groups);
        return EXIT_EXPECTED;
    }
    if (!run->peer)
        return bad("--peer", "this build has none");
    if (run->tap)
        printf("TAP version 13\n1..%u\n", run->selected);
    run_cases(run, groups);
    return result(run);
}

static int command_line(struct run *run, int argc, char **argv, const struct peer_ops *const peers[])
{
    static const struct option options[] = {
        {"exclude", 1, NULL, 'x'},    {"list", 0, NULL, 'l'},     {"peer", 1, NULL, 'p'},
        {"timeout", 1, NULL, 't'},    {"seed", 1, NULL, 's'},     {"format", 1, NULL, 'f'},
        {"fail-fast", 0, NULL, 'F'},  {"help", 0, NULL, 'h'},     {"case-limit", 1, NULL, 'L'},
        {"explain", 1, NULL, 'E'},    {"coverage", 0, NULL, 'C'}, {"strict", 0, NULL, 'S'},
        {NULL, 0, NULL, 0}};
    int c, rc;

    while ((c = getopt_long(argc, argv, "x:", options, NULL)) != -1)
        if ((rc = option(run, c, peers)) >= 0)
            return rc;
    run->selectors = argv + optind;
    run->nr_selectors = argc - optind;
    run->config.timeout_ns = run->timeout_s * 1000000000u;
    return -1;
}

int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[])
{
    struct run run = {.peer = peers[0], .seed = 1, .timeout_s = 5};
    int rc;

    run.excludes = calloc((size_t)argc + 1, sizeof(*run.excludes));
    if (!run.excludes)
        return bad("the command line", "no memory");
    rc = command_line(&run, argc, argv, peers);
    if (rc < 0)
        rc = execute(&run, groups);
    requirements_free(&run.requirements);
    free(run.excludes);
    return rc;
}
