// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/compare.h"
#include "bench/output.h"
#include "bench/run.h"
#include "cli/cli.h"
#include "cli/numbers.h"

static const char help_text[] =
    "Usage: pvusb-bench [run] [PROFILE...] [OPTION...]\n"
    "       pvusb-bench show FILE [--ratios] [--markdown] [--report DIR]\n"
    "       pvusb-bench compare FILE FILE [--strict] [--seed N]\n"
    "\n"
    "Measures PVUSB and the other ways from a guest to a USB device side by side: rounds, in each of\n"
    "which every path has its turn with the same device behind it. Without PROFILE all of them.\n"
    "\n"
    "  --paths LIST    these paths only, separated by commas (--list names them)\n"
    "  --rounds N      1 to 1000 (default 7)\n"
    "  --millis M      how long each thing is measured in a round, 1 to 60000 (default 150)\n"
    "  --seconds S     the same in seconds\n"
    "  --wire W        the time on the bus: none (default), fs (12 Mbit/s) or hs (480 Mbit/s)\n"
    "  --cpus C        where the two sides run: one (CPU), two, or best (default): what spins on two, the "
    "others on one\n"
    "  --json FILE     all values of all rounds\n"
    "  --report DIR    DIR/index.html, a page with plots that needs nothing else\n"
    "  --ratios        print the ratios only\n"
    "  --markdown      the main tables only, as Markdown\n"
    "  --list          paths and profiles\n"
    "  --strict        compare: exit code 1 when something is worse\n"
    "  --seed N        compare: of its random numbers (default 1)\n"
    "  --help          this text\n"
    "\n"
    "show prints what --json wrote. compare says which differences of two such files are more than chance.\n"
    "bench/METHOD.md says what is measured, and whom it flatters.\n"
    "\n";

enum verb { RUN, SHOW, COMPARE };

struct options {
    enum verb verb;
    struct bench_plan plan;
    const char *json, *report;
    const char *files[2];
    unsigned int nr_files;
    bool ratios, markdown, strict, list, help;
    uint64_t seed;
};

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list args;
    fputs("pvusb-bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* ---- the command line ---- */

static int add_path(struct bench_plan *plan, const char *name, size_t length)
{
    unsigned int n = 0;
    while (plan->paths[n])
        n++;
    for (unsigned int i = 0; bench_paths[i]; i++) {
        if (strlen(bench_paths[i]->name) != length || strncmp(bench_paths[i]->name, name, length) != 0)
            continue;
        for (unsigned int j = 0; j < n; j++) {
            if (plan->paths[j] == bench_paths[i])
                return wrong("--paths: '%.*s' is there twice", (int)length, name);
        }
        plan->paths[n] = bench_paths[i];
        return 0;
    }
    return wrong("--paths: there is no path '%.*s'; --list names them", (int)length, name);
}

static int parse_paths(struct bench_plan *plan, const char *list)
{
    int rc = 0;
    while (!rc) {
        size_t length = strcspn(list, ",");
        rc = add_path(plan, list, length);
        if (!list[length])
            break;
        list += length + 1;
    }
    return rc;
}

/* Its place in the list, or -1. */
static int place_of(const char *const names[3], const char *text)
{
    int i = 2;
    while (i >= 0 && strcmp(text, names[i]) != 0)
        i--;
    return i;
}

static int parse_wire(struct bench_plan *plan, const char *text)
{
    int wire = place_of((const char *const[3]){"none", "fs", "hs"}, text);
    if (wire < 0)
        return wrong("--wire takes none, fs or hs, not '%s'", text);
    plan->wire = (enum bench_wire)wire;
    return 0;
}

static int parse_cpus(struct bench_plan *plan, const char *text)
{
    int cpus = place_of((const char *const[3]){"best", "one", "two"}, text);
    if (cpus < 0)
        return wrong("--cpus takes one, two or best, not '%s'", text);
    plan->cpus = (enum bench_cpus)cpus;
    return 0;
}

static int parse_profile(struct bench_plan *plan, const char *text)
{
    for (unsigned int i = 0; bench_profiles[i].name; i++) {
        if (strcmp(text, bench_profiles[i].name) == 0) {
            plan->profiles |= bench_profiles[i].profile;
            return 0;
        }
    }
    return wrong("there is no profile '%s'; --list names them", text);
}

static int parse_limited(const char *text, uint64_t max, unsigned int scale, unsigned int *out)
{
    uint64_t value;
    if (parse_number(text, 1, max, &value))
        return wrong("'%s' is not a number from 1 to %u", text, (unsigned int)max);
    *out = (unsigned int)value * scale;
    return 0;
}

static int parse_option(struct options *options, int c)
{
    switch (c) {
    case 'p':
        return parse_paths(&options->plan, optarg);
    case 'r':
        return parse_limited(optarg, BENCH_ROUNDS_MAX, 1, &options->plan.rounds);
    case 'm':
        return parse_limited(optarg, 60000, 1, &options->plan.millis);
    case 's':
        return parse_limited(optarg, 60, 1000, &options->plan.millis);
    case 'w':
        return parse_wire(&options->plan, optarg);
    case 'c':
        return parse_cpus(&options->plan, optarg);
    case 'j':
        options->json = optarg;
        return 0;
    case 'd':
        options->report = optarg;
        return 0;
    case 'k':
        options->markdown = true;
        return 0;
    case 'a':
        options->ratios = true;
        return 0;
    case 't':
        options->strict = true;
        return 0;
    case 'e':
        return parse_number(optarg, 0, UINT64_MAX, &options->seed) ? wrong("'%s' is not a number", optarg)
                                                                   : 0;
    case 'l':
        options->list = true;
        return 0;
    case 'h':
        options->help = true;
        return 0;
    default:
        return -1;
    }
}

static int parse_operand(struct options *options, const char *text)
{
    if (options->verb == RUN)
        return parse_profile(&options->plan, text);
    if (options->nr_files == (options->verb == SHOW ? 1u : 2u))
        return wrong("'%s' is one file too many", text);
    options->files[options->nr_files++] = text;
    return 0;
}

static const struct option longs[] = {
    {"paths", required_argument, NULL, 'p'},
    {"rounds", required_argument, NULL, 'r'},
    {"millis", required_argument, NULL, 'm'},
    {"seconds", required_argument, NULL, 's'},
    {"wire", required_argument, NULL, 'w'},
    {"cpus", required_argument, NULL, 'c'},
    {"json", required_argument, NULL, 'j'},
    {"report", required_argument, NULL, 'd'},
    {"ratios", no_argument, NULL, 'a'},
    {"markdown", no_argument, NULL, 'k'},
    {"strict", no_argument, NULL, 't'},
    {"seed", required_argument, NULL, 'e'},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int parse(int argc, char **argv, struct options *options)
{
    static const char *const verbs[] = {"run", "show", "compare"};
    int c;
    *options = (struct options){.plan = {.rounds = 7, .millis = 150}, .seed = 1};
    for (unsigned int i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i]) == 0) {
            options->verb = (enum verb)i;
            argc--, argv++;
            break;
        }
    }
    opterr = 0;
    while ((c = getopt_long(argc, argv, "-", longs, NULL)) != -1) {
        int rc = c == 1 ? parse_operand(options, optarg) : parse_option(options, c);
        if (rc < 0)
            return wrong("'%s' is not an option or lacks its value; see --help", argv[optind - 1]);
        if (rc)
            return rc;
    }
    for (; optind < argc; optind++) {
        int rc = parse_operand(options, argv[optind]);
        if (rc)
            return rc;
    }
    if (!options->help && !options->list && options->verb != RUN &&
        options->nr_files < (options->verb == SHOW ? 1u : 2u))
        return wrong("%s needs %s", verbs[options->verb], options->verb == SHOW ? "a FILE" : "two FILEs");
    return 0;
}

/* ---- the verbs ---- */

static int list(void)
{
    puts("Paths:");
    for (unsigned int i = 0; bench_paths[i]; i++)
        printf("  %-16s %s%s\n", bench_paths[i]->name, bench_paths[i]->what,
               bench_paths[i]->model ? " (a model)" : "");
    puts("Profiles:");
    for (unsigned int i = 0; bench_profiles[i].name; i++)
        printf("  %-16s %s\n", bench_profiles[i].name, bench_profiles[i].what);
    return EXIT_AS_EXPECTED;
}

static void progress(unsigned int round, const char *path, const char *what)
{
    fprintf(stderr, "\rround %u: %-16s %-24s", round + 1, path, what);
}

/* Everything that is asked for; a file that cannot be written is the last thing that is found out. */
static int publish(const struct options *options, const struct bench_results *results)
{
    char error[BENCH_ERROR_MAX];
    if (options->markdown)
        bench_print_markdown(stdout, results, options->ratios);
    else
        bench_print(stdout, results, options->ratios);
    fflush(stdout);
    if (options->json && bench_json_write(options->json, results, error))
        return wrong("%s", error);
    if (options->report && bench_report_write(options->report, results, error))
        return wrong("%s", error);
    return EXIT_AS_EXPECTED;
}

static int run(struct options *options)
{
    struct bench_results results;
    struct bench_plan *plan = &options->plan;
    bool all_paths = !plan->paths[0], all_profiles = !plan->profiles;
    for (unsigned int i = 0; all_profiles && bench_profiles[i].name; i++)
        plan->profiles |= bench_profiles[i].profile;
    for (unsigned int i = 0; all_paths && bench_paths[i]; i++)
        plan->paths[i] = bench_paths[i];
    plan->progress = isatty(STDERR_FILENO) ? progress : NULL;
    if (bench_run(plan, &results))
        return wrong("out of memory");
    if (plan->progress)
        fprintf(stderr, "\r%60s\r", "");
    int code = publish(options, &results);
    if (!code && results.nr_series == 0)
        code = EXIT_SKIPPED;
    for (unsigned int i = 0; !code && i < results.nr_absences; i++)
        code = results.absences[i].failed ? EXIT_CHECK_FAILED : EXIT_AS_EXPECTED;
    bench_results_free(&results);
    return code;
}

static int show(const struct options *options)
{
    struct bench_results results;
    char error[BENCH_ERROR_MAX];
    if (bench_json_read(options->files[0], &results, error))
        return wrong("%s", error);
    int code = publish(options, &results);
    bench_results_free(&results);
    return code;
}

static int compare(const struct options *options)
{
    struct bench_results results[2];
    char error[BENCH_ERROR_MAX];
    if (bench_json_read(options->files[0], &results[0], error))
        return wrong("%s", error);
    if (bench_json_read(options->files[1], &results[1], error)) {
        bench_results_free(&results[0]);
        return wrong("%s", error);
    }
    unsigned int worse = bench_compare(stdout, &results[0], &results[1], options->seed);
    for (unsigned int i = 0; i < 2; i++)
        bench_results_free(&results[i]);
    return worse && options->strict ? EXIT_CHECK_FAILED : EXIT_AS_EXPECTED;
}

int main(int argc, char **argv)
{
    static int (*const verbs[])(const struct options *options) = {NULL, show, compare};
    struct options options;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs("Exit codes:\n"
              "  0  measured, or printed\n"
              "  1  a path failed that is here; with --strict: something is worse\n"
              "  2  usage, unreadable input, or a file that cannot be written\n"
              " 77  nothing of what was asked for is here\n",
              stdout);
        return EXIT_AS_EXPECTED;
    }
    if (options.list)
        return list();
    return options.verb == RUN ? run(&options) : verbs[options.verb](&options);
}
