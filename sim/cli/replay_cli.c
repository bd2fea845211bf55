// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/replay_cli.h"

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
    "  --peer qemu              QEMU's backend in the place of ours, unmodified (packages\n"
    "                           qemu-system-xen and umockdev); implies --match endpoint. What\n"
    "                           it cannot carry is not checked, with the rule as reason\n"
    "  --json FILE              write the results as JSON (schema pvusb-replay/1)\n"
    "  --pcap FILE              write what went over the ring as pcap (link type 220);\n"
    "                           with one TRACE only\n"
    "  --verbose                say what the drivers do\n"
    "  --help                   this text\n"
    "\n"
    "Verdicts: matched; mismatched (the difference is shown); not checked (with the\n"
    "reason). The three add up to the URBs in the file. A file that ends in the middle\n"
    "of a record is played up to there, and is an error all the same. When QEMU dies,\n"
    "that is the result of this recording, and the next one gets another QEMU.\n"
    "\n";

struct options {
    struct replay_options replay;
    const char *json;
    bool ours; /* asked for what only our backend does */
    bool help;
};

/* What is gathered over all files. */
struct report {
    struct replay_summary total;
    unsigned int played;
    json_t *files;
    json_t *errors;
    FILE *json; /* NULL: not asked for */
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
        {"peer", required_argument, NULL, 'q'},
        {"verbose", no_argument, NULL, 'v'},         {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    *options = (struct options){.replay = {.processes = 1, .match = REPLAY_STRICT}};
    opterr = 0;
    optind = 0; /* starts over: getopt keeps more than that */
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'p':
            if (strcmp(optarg, "1") != 0 && strcmp(optarg, "2") != 0)
                return usage_error("replay", "--processes takes 1 or 2, not '%s'", optarg);
            options->replay.processes = (unsigned int)(optarg[0] - '0');
            options->ours = true;
            break;
        case 'm':
            if (strcmp(optarg, "strict") != 0 && strcmp(optarg, "endpoint") != 0)
                return usage_error("replay", "--match takes strict or endpoint, not '%s'", optarg);
            options->replay.match = optarg[0] == 's' ? REPLAY_STRICT : REPLAY_ENDPOINT;
            options->ours = options->ours || optarg[0] == 's';
            break;
        case 'q':
            if (strcmp(optarg, "qemu") != 0)
                return usage_error("replay", "--peer takes qemu, not '%s'", optarg);
            options->replay.qemu = true;
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
    if (options->replay.qemu && options->ours)
        return usage_error("replay", "--peer qemu goes without --processes and --match strict");
    if (options->replay.qemu)
        options->replay.match = REPLAY_ENDPOINT;
    if (options->replay.pcap && argc - optind > 1)
        return usage_error("replay", "--pcap takes one recording, not %d", argc - optind);
    return 0;
}

/* The head of the table appears with its first line: files that cannot be played have none. */
static void print_summary(struct report *report, const char *file, const struct replay_summary *s)
{
    const char *name = strrchr(file, '/');
    if (report->played == 0)
        printf("%-36s %6s %9s %8s %11s %12s\n", "recording", "URBs", "replayed", "matched", "mismatched",
               "not checked");
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

/* Names of files are bytes, JSON is text. */
static json_t *json_name(const char *name)
{
    char text[4 * 4096 + 1];
    size_t n = 0;
    json_t *whole = json_string(name);
    if (whole)
        return whole;
    for (; *name && n + 5 < sizeof(text); name++)
        n += (size_t)snprintf(text + n, 5, (unsigned char)*name < 0x80 ? "%c" : "\\x%02x", (unsigned char)*name);
    return json_string(text);
}

/* One line on stderr, and an entry in the report. */
static int file_error(struct report *report, const char *file, const char *line, int code)
{
    json_t *entry = json_object();
    usage_error("replay", "%s", line);
    json_object_set_new(entry, "file", json_name(file));
    json_object_set_new(entry, "error", json_name(line));
    json_array_append_new(report->errors, entry);
    return code;
}

static int report_file(struct report *report, const char *file, const struct plan *plan,
                       const struct replay_results *results, const struct replay_totals *totals)
{
    struct replay_summary summary;
    replay_summarise(plan, results, &summary);
    print_summary(report, file, &summary);
    report->played++;
    add(&report->total, &summary);
    json_t *entry = replay_json(&summary, totals);
    json_object_set_new(entry, "file", json_name(file));
    if (json_array_append_new(report->files, entry))
        return usage_error("replay", "%s: out of memory for the report", file);
    return judge(plan, results, &summary);
}

static int code_of(int rc)
{
    return rc == -ENOPKG ? EXIT_SKIPPED : rc == -ECHILD || rc == -ETIMEDOUT ? EXIT_PEER : EXIT_USAGE;
}

static int play_trace(struct report *report, const char *file, const struct trace *trace,
                      const struct options *options, replay_runner *run)
{
    char error[REPLAY_ERROR_MAX];
    char line[REPLAY_ERROR_MAX + 4096];
    struct plan plan = {0};
    struct replay_totals totals;
    struct replay_options replay = options->replay;
    struct replay_results *results = replay_results_create(trace);
    int code;
    replay.trace = file;
    if (!results || plan_create_for(trace, replay.qemu ? PLAN_QEMU : PLAN_OURS, &plan)) {
        snprintf(line, sizeof(line), "%.4000s: out of memory", file);
        code = file_error(report, file, line, EXIT_USAGE);
    } else {
        int rc = run(&plan, &replay, results, &totals, error);
        snprintf(line, sizeof(line), "%.4000s: %s", file, error);
        code = rc ? file_error(report, file, line, code_of(rc))
                  : report_file(report, file, &plan, results, &totals);
    }
    plan_dispose(&plan);
    replay_results_destroy(results, trace);
    return code;
}

static bool holds_submission(const struct trace *trace)
{
    for (uint32_t i = 0; i < trace->nr_order; i++) {
        if (trace->order[i].what == 'S')
            return true;
    }
    return false;
}

static int play_file(struct report *report, const char *file, const struct options *options, replay_runner *run)
{
    char line[4096 + 128];
    struct trace trace = {0};
    int code;
    if (trace_read(file, &trace, line))
        return file_error(report, file, line, EXIT_USAGE);
    if (!holds_submission(&trace)) {
        snprintf(line, sizeof(line), "%.4000s: holds no URB, only %u completions of earlier ones", file, trace.events);
        code = file_error(report, file, line, EXIT_USAGE);
    } else {
        code = play_trace(report, file, &trace, options, run);
    }
    if (trace.truncated && code < EXIT_USAGE) {
        snprintf(line, sizeof(line), "%.4000s: ends in the middle of a record; the %u events before it were played",
                 file, trace.events);
        code = file_error(report, file, line, EXIT_USAGE);
    }
    trace_dispose(&trace);
    return code;
}

static int write_json(struct report *report, const struct options *options)
{
    json_t *all = json_pack("{s:s, s:O, s:O}", "schema", "pvusb-replay/1", "files", report->files, "errors",
                            report->errors);
    if (all && options->replay.qemu)
        json_object_set_new(all, "peer", json_string("qemu"));
    int rc = all ? json_dumpf(all, report->json, JSON_INDENT(2)) : -1;
    json_decref(all);
    fputc('\n', report->json);
    if (fclose(report->json))
        rc = -1;
    return rc ? usage_error("replay", "%s: cannot be written", options->json) : 0;
}

static void play_all(struct report *report, int n, char **files, const struct options *options, replay_runner *run,
                     int *code)
{
    bool progress = isatty(STDERR_FILENO) && n > 1;
    for (int i = 0; i < n; i++) {
        if (progress)
            fprintf(stderr, "\r%d of %d ", i + 1, n);
        int one = play_file(report, files[i], options, run);
        *code = one > *code ? one : *code;
        if (one == EXIT_SKIPPED)
            break; /* and so would all the others */
    }
    if (progress)
        fputs("\r             \r", stderr);
    if (report->played > 1)
        print_summary(report, "all", &report->total);
    print_reasons(&report->total);
    print_unpaired(&report->total);
}

static bool same_file(const char *a, const char *b)
{
    struct stat first;
    struct stat second;
    return a && !stat(a, &first) && !stat(b, &second) && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino && S_ISREG(first.st_mode);
}

/* Before anything is played: what is written must not be what is read, and can be written. */
static int open_output(struct report *report, int n, char **files, const struct options *options)
{
    for (int i = 0; i < n; i++) {
        if (same_file(options->json, files[i]) || same_file(options->replay.pcap, files[i]))
            return usage_error("replay", "%s would be overwritten", files[i]);
    }
    if (!options->json)
        return 0;
    report->json = fopen(options->json, "we");
    return report->json ? 0 : usage_error("replay", "%s: %s", options->json, strerror(errno));
}

int replay_cli_with(int argc, char **argv, replay_runner *run)
{
    struct options options;
    struct report report = {0};
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    int first = optind;
    code = open_output(&report, argc - first, argv + first, &options);
    if (code)
        return code;
    report.files = json_array();
    report.errors = json_array();
    play_all(&report, argc - first, argv + first, &options, run, &code);
    if (report.json && write_json(&report, &options))
        code = code > EXIT_USAGE ? code : EXIT_USAGE;
    json_decref(report.files);
    json_decref(report.errors);
    if (fflush(stdout) || ferror(stdout))
        return usage_error("replay", "standard output: %s", strerror(errno));
    return code;
}

int replay_cli(int argc, char **argv)
{
    return replay_cli_with(argc, argv, replay_run);
}
