// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cli.h"
#include "replay/report.h"

#define MISMATCHES_SHOWN 5u

static const char help_text[] =
    "Usage: pvusb replay [OPTIONS] TRACE...\n"
    "\n"
    "Plays recordings of USB traffic (usbmon as pcap, pcapng or text) through usbfront,\n"
    "shared rings and usbback. A recorded device answers below the backend; every URB\n"
    "that comes back is compared with the recording, byte for byte.\n"
    "\n"
    "  --processes 1|2          frontend and backend in one process, or in two that meet\n"
    "                           on a fake Xen machine (default 1)\n"
    "  --match strict|endpoint  order and overlap over all endpoints as recorded, or\n"
    "                           only within each endpoint (default strict)\n"
    "  --json FILE              write the results as JSON (schema pvusb-replay/1)\n"
    "  --pcap FILE              write what went over the ring as pcap (link type 220);\n"
    "                           with one TRACE only\n"
    "  --verbose                say what the drivers do\n"
    "  --help                   this text\n"
    "\n"
    "Verdicts: matched; mismatched (the difference is shown); not checked (with the\n"
    "reason). The three add up to the URBs in the file.\n"
    "\n";

struct options {
    struct replay_options replay;
    const char *json;
    bool help;
};

static void print_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"processes", required_argument, NULL, 'p'}, {"match", required_argument, NULL, 'm'},
        {"json", required_argument, NULL, 'j'},      {"pcap", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},         {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    *options = (struct options){.replay = {.processes = 1, .match = REPLAY_STRICT}};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'p':
            if (strcmp(optarg, "1") != 0 && strcmp(optarg, "2") != 0)
                return usage_error("replay", "--processes takes 1 or 2, not '%s'", optarg);
            options->replay.processes = (unsigned int)(optarg[0] - '0');
            break;
        case 'm':
            if (strcmp(optarg, "strict") != 0 && strcmp(optarg, "endpoint") != 0)
                return usage_error("replay", "--match takes strict or endpoint, not '%s'", optarg);
            options->replay.match = optarg[0] == 's' ? REPLAY_STRICT : REPLAY_ENDPOINT;
            break;
        case 'j':
            options->json = optarg;
            break;
        case 'c':
            options->replay.pcap = optarg;
            break;
        case 'v':
            options->replay.log = print_line;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return usage_error("replay", "'%s' is not an option or lacks its value; see 'pvusb replay --help'",
                               argv[optind - 1]);
        }
    }
    if (optind == argc)
        return usage_error("replay", "no recording given; see 'pvusb replay --help'");
    if (options->replay.pcap && argc - optind > 1)
        return usage_error("replay", "--pcap takes one recording, not %d", argc - optind);
    return 0;
}

static void print_summary(const char *file, const struct replay_summary *s)
{
    const char *name = strrchr(file, '/');
    printf("%-36s %6u %9u %8u %11u %12u\n", name ? name + 1 : file, s->urbs, s->replayed, s->matched, s->mismatched,
           s->not_checked);
}

static void print_reasons(const struct replay_summary *total)
{
    for (unsigned int r = 0; r < REPLAY_REASONS; r++) {
        if (total->reasons[r] > 0)
            printf("  %6u not checked: %s\n", total->reasons[r], replay_reason_text((enum replay_reason)r));
    }
}

static void print_unpaired(const struct replay_summary *total)
{
    if (total->unpaired > 0)
        printf("  %6u completions besides, whose submissions are not in the files\n", total->unpaired);
}

static void add(struct replay_summary *total, const struct replay_summary *one)
{
    total->urbs += one->urbs;
    total->unpaired += one->unpaired;
    total->replayed += one->replayed;
    total->matched += one->matched;
    total->mismatched += one->mismatched;
    total->not_checked += one->not_checked;
    for (unsigned int r = 0; r < REPLAY_REASONS; r++)
        total->reasons[r] += one->reasons[r];
}

static int judge(const struct plan *plan, const struct replay_results *results, const struct replay_summary *summary)
{
    replay_print_mismatches(stdout, plan, results, MISMATCHES_SHOWN);
    if (summary->strays > 0)
        printf("  %u transfers reached the device that are not in the recording\n", summary->strays);
    if (summary->guest_step < summary->nr_steps)
        printf("  came to a stand at step %u of %u\n", summary->guest_step, summary->nr_steps);
    return summary->mismatched > 0 || summary->strays > 0 || summary->guest_step < summary->nr_steps
               ? EXIT_CHECK_FAILED
               : EXIT_AS_EXPECTED;
}

static int play_file(const char *file, const struct options *options, struct replay_summary *total, json_t *files)
{
    char error[TRACE_ERROR_MAX > REPLAY_ERROR_MAX ? TRACE_ERROR_MAX : REPLAY_ERROR_MAX];
    struct trace trace = {0};
    struct plan plan = {0};
    struct replay_results *results = NULL;
    struct replay_totals totals;
    struct replay_summary summary;
    int code = EXIT_USAGE;
    if (trace_read(file, &trace, error)) {
        usage_error("replay", "%s", error);
        goto out;
    }
    results = replay_results_create(&trace);
    if (!results || plan_create(&trace, &plan)) {
        usage_error("replay", "%s: out of memory", file);
        goto out;
    }
    int rc = replay_run(&plan, &options->replay, results, &totals, error);
    if (rc) {
        usage_error("replay", "%s: %s", file, error);
        code = rc == -ECHILD ? EXIT_PEER : EXIT_USAGE;
        goto out;
    }
    replay_summarise(&plan, results, &summary);
    print_summary(file, &summary);
    code = judge(&plan, results, &summary);
    if (trace.truncated) /* what is there has been played, but nobody shall take it for the whole */
        code = usage_error("replay", "%s: ends in the middle of a record; played up to there", file);
    add(total, &summary);
    if (json_array_append_new(files, replay_json(file, &summary, &totals)))
        code = usage_error("replay", "%s: out of memory for the report", file);
out:
    plan_dispose(&plan);
    replay_results_destroy(results, &trace);
    trace_dispose(&trace);
    return code;
}

static int write_json(const char *path, json_t *files)
{
    json_t *report = json_pack("{s:s, s:O}", "schema", "pvusb-replay/1", "files", files);
    int rc = report ? json_dump_file(report, path, JSON_INDENT(2)) : -1;
    json_decref(report);
    return rc ? usage_error("replay", "%s: cannot be written: %s", path, strerror(errno)) : 0;
}

int replay_cli(int argc, char **argv)
{
    struct options options;
    struct replay_summary total = {0};
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    json_t *files = json_array();
    bool progress = isatty(STDERR_FILENO) && argc - optind > 1;
    int first = optind;
    printf("%-36s %6s %9s %8s %11s %12s\n", "recording", "URBs", "replayed", "matched", "mismatched", "not checked");
    for (int i = first; i < argc; i++) {
        if (progress)
            fprintf(stderr, "\r%d of %d ", i - first + 1, argc - first);
        int one = play_file(argv[i], &options, &total, files);
        code = one > code ? one : code;
    }
    if (progress)
        fputs("\r             \r", stderr);
    if (argc - first > 1)
        print_summary("all", &total);
    print_reasons(&total);
    print_unpaired(&total);
    if (options.json && write_json(options.json, files))
        code = EXIT_USAGE;
    json_decref(files);
    return code;
}
