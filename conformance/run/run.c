/* SPDX-License-Identifier: MIT */
/* The command line, the selection, and the course of a run. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "known.h"
#include "run.h"

enum { EXIT_EXPECTED, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_NO_PEER, EXIT_SKIPPED = 77 };

/* What a verdict is for the run. */
enum standing {
    AS_WANTED,
    DIFFERS, /* from no MUST: implementations are known to disagree there */
    KNOWN,   /* failed, as the file of known failures says */
    XPASS,   /* passed, and nobody would see the next failure if it stayed in that file */
    WRONG,
};

struct run {
    const struct peer_ops *peer;
    struct peer_config config;
    struct requirements requirements;
    struct known known;
    const char **excludes, *explain, *known_path;
    char **selectors;
    int nr_selectors, nr_excludes;
    bool list, tap, fail_fast, strict, coverage;
    uint64_t seed, timeout_s, limit_s;
    unsigned int count[KIT_ERROR + 1], standing[WRONG + 1], selected;
    char skipped[512]; /* why the last one was */
};

static const char *const verdict_names[] = {"pass", "FAIL", "skip", "DIED", "ERROR"};

static const char usage[] =
    "usage: pvusb-conform [OPTION...] [SELECTOR...]\n"
    "\n"
    "A selector is a case, what its id begins with (backend.unlink), a shell glob, or a level: @MUST @SHOULD @OBSERVED.\n"
    "None: all cases.\n"
    "  -x, --exclude SEL      leave these out; may be given several times\n"
    "      --explain ID       print a case or a requirement in full and end\n"
    "      --known FILE       of cases that are known to fail, one on a line; one that passes is a failure then\n"
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
    case 'K': run->known_path = optarg; return -1;
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

static enum standing judge(const struct run *run, const struct conform_case *test, enum kit_verdict verdict)
{
    bool known = known_has(&run->known, test);

    if (verdict == KIT_PASS || verdict == KIT_SKIP)
        return known && verdict == KIT_PASS ? XPASS : AS_WANTED;
    if (known && verdict != KIT_ERROR)
        return KNOWN;
    if (verdict == KIT_FAIL && !run->strict && case_level(&run->requirements, test) != LEVEL_MUST)
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

    if (run->tap) {
        report_tap(run, test, out, standing, n);
        return;
    }
    printf("%-5s %s%s%s\n", name, test->id, *out->message ? ": " : "", out->message);
    if (standing != DIFFERS && standing != WRONG)
        return;
    printf("  %s\n", test->title);
    explain_short(&run->requirements, test);
    printf("%s  reproduce: pvusb-conform --peer %s --seed 0x%" PRIx64 " %s\n", out->block, run->peer->name, run->seed,
           test->id);
}

/* Returns false when the run ends here. */
static bool run_one(struct run *run, const struct conform_case *test, unsigned int n)
{
    static struct outcome out;
    enum standing standing;

    run->config.role = test->role;
    isolate_run(test, run->peer, &run->config, run->seed,
                (unsigned int)(run->limit_s ? run->limit_s : run->timeout_s * 10), &out);
    out.message[sizeof(out.message) - 1] = 0;
    standing = judge(run, test, out.verdict);
    if (standing == XPASS)
        snprintf(out.message, sizeof(out.message), "passes, but is listed in %.300s", run->known_path);
    if (out.verdict == KIT_SKIP)
        memcpy(run->skipped, out.message, sizeof(run->skipped));
    if (standing == AS_WANTED || standing == WRONG)
        run->count[out.verdict]++;
    run->standing[standing]++;
    report(run, test, &out, standing, n);
    return !(run->fail_fast && (standing == WRONG || standing == XPASS));
}

static void run_cases(struct run *run, const struct conform_case *const groups[])
{
    unsigned int n = 0;

    for (int g = 0; groups[g]; g++)
        for (const struct conform_case *c = groups[g]; c->id; c++)
            if (chosen(run, c) && !run_one(run, c, ++n))
                return;
}

static int result(const struct run *run)
{
    const unsigned int *count = run->count;

    if (!run->tap)
        printf("pass %u  fail %u  skip %u  died %u  error %u  of %u, seed 0x%" PRIx64 "\n", count[KIT_PASS],
               count[KIT_FAIL], count[KIT_SKIP], count[KIT_DIED], count[KIT_ERROR], run->selected, run->seed);
    if (!run->tap && run->standing[DIFFERS])
        printf("differs %u: from a SHOULD or an OBSERVED\n", run->standing[DIFFERS]);
    if (!run->tap && run->known_path)
        printf("known %u  XPASS %u: by %s\n", run->standing[KNOWN], run->standing[XPASS], run->known_path);
    if (count[KIT_ERROR])
        return EXIT_NO_PEER;
    if (run->standing[WRONG] || run->standing[XPASS])
        return EXIT_UNEXPECTED;
    if (count[KIT_PASS] || run->standing[DIFFERS] || run->standing[KNOWN])
        return EXIT_EXPECTED;
    if (!run->tap)
        printf("skip: %s\n", run->skipped);
    return EXIT_SKIPPED;
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
    char error[256];
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
    if (run->known_path && !known_read(run->known_path, groups, &run->known, error))
        return bad("--known", error);
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
        {"known", 1, NULL, 'K'},      {NULL, 0, NULL, 0}};
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
    known_free(&run.known);
    free(run.excludes);
    return rc;
}
