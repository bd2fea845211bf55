// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/demo.h"
#include "cli/options.h"
#include "replay/report.h"

static const char help_text[] =
    "Usage: pvusb demo [OPTIONS]\n"
    "\n"
    "The whole story: a disk is plugged into a guest, enumerated, written and read back; a\n"
    "keyboard, a serial port and a sound card work all at once; the disk is pulled out in\n"
    "mid-read; then recorded USB traffic goes through frontend, rings and backend URB by\n"
    "URB. First in one process, then with frontend and backend as two.\n"
    "\n"
    "  --seed N      of the bytes that are written (default 1)\n"
    "  --traces DIR  recordings to replay instead of the bundled ones\n"
    "  --help        this text\n"
    "\n";

struct demo_options {
    uint64_t seed;
    const char *traces;
    bool help;
};

static int parse(int argc, char **argv, struct demo_options *options)
{
    static const struct option longs[] = {{"seed", required_argument, NULL, 's'},
                                          {"traces", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;
    *options = (struct demo_options){.seed = 1, .traces = PVUSB_TRACE_DIR};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 's' && parse_number(optarg, 0, UINT64_MAX, &options->seed))
            return usage_error("demo", "--seed takes a number, not '%s'", optarg);
        if (c == 't')
            options->traces = optarg;
        if (c == 'h') {
            options->help = true;
            return 0;
        }
        if (c == '?')
            return usage_error("demo", "'%s' is not an option or lacks its value; see 'pvusb demo --help'",
                               argv[optind - 1]);
    }
    return optind < argc ? usage_error("demo", "'%s' is not wanted; see 'pvusb demo --help'", argv[optind]) : 0;
}

/* ---- recordings ---- */

static int find_recordings(const char *dir, glob_t *found)
{
    static const char *const patterns[] = {"*.pcap", "*.pcapng"};
    int flags = 0;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char pattern[4096];
        snprintf(pattern, sizeof(pattern), "%s/%s", dir, patterns[i]);
        if (glob(pattern, flags, NULL, found) == GLOB_NOSPACE)
            return -ENOMEM;
        flags = GLOB_APPEND;
    }
    return found->gl_pathc > 0 ? 0 : -ENOENT;
}

static int replay_one(const char *path, unsigned int processes, struct replay_summary *summary)
{
    char error[REPLAY_ERROR_MAX];
    struct replay_options options = {.processes = processes, .match = REPLAY_STRICT};
    struct trace trace = {0};
    struct plan plan = {0};
    struct replay_totals totals;
    struct replay_results *results = NULL;
    static_assert(REPLAY_ERROR_MAX >= TRACE_ERROR_MAX, "one line serves both");
    int rc = trace_read(path, &trace, error);
    if (!rc)
        results = replay_results_create(&trace);
    if (!rc && results)
        rc = plan_create(&trace, &plan);
    if (!rc && results)
        rc = replay_run(&plan, &options, results, &totals, error);
    if (rc || !results)
        usage_error("demo", "%s: %s", path, rc ? error : "out of memory");
    else
        replay_summarise(&plan, results, summary);
    plan_dispose(&plan);
    replay_results_destroy(results, &trace);
    trace_dispose(&trace);
    return rc ? rc : results ? 0 : -ENOMEM;
}

static int replay_all(const glob_t *recordings, unsigned int processes, struct replay_summary *sum)
{
    printf("  %-24s %6s %9s %8s %10s %12s\n", "recording", "URBs", "replayed", "matched", "different", "not checked");
    for (size_t i = 0; i < recordings->gl_pathc; i++) {
        struct replay_summary one;
        const char *name = strrchr(recordings->gl_pathv[i], '/');
        int rc = replay_one(recordings->gl_pathv[i], processes, &one);
        if (rc)
            return rc;
        printf("  %-24s %6u %9u %8u %10u %12u\n", name ? name + 1 : recordings->gl_pathv[i], one.urbs, one.replayed,
               one.matched, one.mismatched + one.strays, one.not_checked);
        fflush(stdout);
        sum->urbs += one.urbs;
        sum->replayed += one.replayed;
        sum->matched += one.matched;
        sum->mismatched += one.mismatched + one.strays;
        sum->not_checked += one.not_checked;
        for (unsigned int r = 0; r < REPLAY_REASONS; r++)
            sum->reasons[r] += one.reasons[r];
    }
    return 0;
}

/* ---- the end ---- */

static const char *yes(bool good)
{
    return good ? "yes" : "NO";
}

static void print_sums(const struct story_result story[2], const struct replay_summary replay[2])
{
    printf("\n%-46s %12s %14s\n", "summary", "one process", "two processes");
    printf("%-46s %12s %14s\n", "frontend and backend connected", yes(story[0].connected), yes(story[1].connected));
    printf("%-46s %12s %14s\n", "disk plugged in and enumerated", yes(story[0].enumerated), yes(story[1].enumerated));
    printf("%-46s %12" PRIu64 " %14" PRIu64 "\n", "KiB written and read back the same", story[0].bytes_same >> 10,
           story[1].bytes_same >> 10);
    printf("%-46s %12s %14s\n", "keyboard, serial and sound at once, unchanged", yes(story[0].others_same),
           yes(story[1].others_same));
    printf("%-46s %12s %14s\n", "gadget zero, composite, super-speed, faulty", yes(story[0].more_good),
           yes(story[1].more_good));
    printf("%-46s %12s %14s\n", "unplugged in mid-read, guest told so", yes(story[0].pulled_cleanly),
           yes(story[1].pulled_cleanly));
    printf("%-46s %12s %14s\n", "closed, nothing left open", yes(story[0].closed), yes(story[1].closed));
    printf("%-46s %12u %14u\n", "recorded URBs", replay[0].urbs, replay[1].urbs);
    printf("%-46s %12u %14u\n", "  through the ring and back as recorded", replay[0].matched, replay[1].matched);
    printf("%-46s %12u %14u\n", "  different", replay[0].mismatched, replay[1].mismatched);
    printf("%-46s %12u %14u\n", "  not checked:", replay[0].not_checked, replay[1].not_checked);
    for (unsigned int r = 0; r < REPLAY_REASONS; r++) {
        if (replay[0].reasons[r] || replay[1].reasons[r])
            printf("    %-51s %5u %14u\n", replay_reason_text((enum replay_reason)r), replay[0].reasons[r],
                   replay[1].reasons[r]);
    }
}

static bool story_good(const struct story_result *story)
{
    return story->connected && story->enumerated && story->bytes_same == STORY_WRITE_BYTES && story->others_same && story->more_good &&
           story->pulled_cleanly &&           story->closed;
}

static int tell(const struct demo_options *options, const glob_t *recordings, struct story_result *story)
{
    static const char *const titles[2] = {
        "One process: frontend, backend, disk and guest on a local Xen, in virtual time",
        "Two processes: frontend and backend meet on a 'pvusb host', over memfds and eventfds"};
    struct replay_summary replay[2] = {0};
    for (unsigned int i = 0; i < 2; i++) {
        printf("%s%s\n", i ? "\n" : "", titles[i]);
        int rc = i == 0 ? demo_disk_one(options->seed, &story[i]) : demo_disk_two(options->seed, &story[i]);
        if (rc)
            return rc == -ECHILD || rc == -EPIPE ? EXIT_PEER : EXIT_CHECK_FAILED;
        putchar('\n');
        if (replay_all(recordings, i + 1, &replay[i]))
            return EXIT_CHECK_FAILED;
    }
    print_sums(story, replay);
    bool good = story_good(&story[0]) && story_good(&story[1]) && replay[0].mismatched + replay[1].mismatched == 0;
    printf("\n%s\n", good ? "Everything that could be compared came back byte for byte."
                          : "Something came back different: see above.");
    return good ? EXIT_AS_EXPECTED : EXIT_CHECK_FAILED;
}

int demo_cli(int argc, char **argv)
{
    struct demo_options options;
    glob_t recordings = {0};
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    if (find_recordings(options.traces, &recordings)) {
        globfree(&recordings);
        return usage_error("demo", "%s: no recordings (*.pcap, *.pcapng) here; --traces DIR names another folder",
                           options.traces);
    }
    size_t size = 2 * sizeof(struct story_result);
    struct story_result *story = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (story == MAP_FAILED) {
        code = usage_error("demo", "%s", strerror(errno));
    } else {
        code = tell(&options, &recordings, story);
        munmap(story, size);
    }
    globfree(&recordings);
    return code;
}
