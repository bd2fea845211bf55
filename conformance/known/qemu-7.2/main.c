// SPDX-License-Identifier: MIT
/* Bugs of QEMU 7.2's PVUSB backend, each shown on a machine, in a process and with a QEMU of its own. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bed.h"
#include "process/tree.h"

#define PATIENCE_MS 30000
enum { EXIT_SHOWN = 0, EXIT_NOT_SHOWN = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

/* clang-format off */
#define ALL(X) X(adr_03) X(adr_06) X(bus_15) X(conn_05) X(conn_11) X(conn_18) X(conn_18_cold) \
               X(conn_19) X(conn_20) X(ctl_06) X(ctl_06_far) X(ctl_08) X(ctl_14) X(ctl_14_in) \
               X(ctl_19) X(ctl_19_unplug) X(lif_04) X(mal_30) X(mal_34) X(mal_36) X(mal_43) \
               X(mal_44) X(mal_45) X(pipe_07) X(ring_09) X(ring_10) X(unl_06) X(unl_12) X(xfr_08) \
               X(xfr_08_short) X(xfr_08_unplug) X(xfr_09)
/* clang-format on */

#define DECLARE(name) extern const struct known known_##name;
#define ADDRESS(name) &known_##name,
ALL(DECLARE)
static const struct known *const all[] = {ALL(ADDRESS)};
#define COUNT (sizeof(all) / sizeof(all[0]))

static const char help_text[] =
    "Usage: known-qemu-7.2 [--peer qemu|reference] [--list] [BUG]...\n"
    "\n"
    "Reproduces bugs of the PVUSB backend of QEMU 7.2, all or those named.\n"
    "\n"
    "  --list             what there is: name (the rule's id), the rule, what happens\n"
    "  --peer qemu        Debian's qemu-system-xen (the default); PVUSB_QEMU of the environment\n"
    "                     names another one\n"
    "  --peer reference   our own backend, at which no bug may show\n"
    "  --verbose          all that was sent and came, also where nothing is amiss\n"
    "  --help             this text\n"
    "\n"
    "Exit code: 0 every bug shows as recorded (with --peer reference: none does), 1 one does not,\n"
    "2 usage, 77 a package is missing\n";

static const char *program;

/* What the process of one reproducer found out, in memory that it shares with us. */
struct report {
    bool done;
    int code; /* of bed_open() */
    char error[PEER_ERROR_MAX];
    enum outcome outcome;
    struct peer_death death;
    char story[BED_STORY_MAX];
};

/* ---- in the process of one ---- */

static void reproduce(const struct known *known, bool reference, struct report *report)
{
    static struct bed bed;
    report->code = bed_open(&bed, known, reference, report->error);
    if (!report->code) {
        report->outcome = known->unconnected || bed_connect(&bed) ? known->steps(&bed) : OTHER;
        if (bed.died) {
            report->outcome = DIED;
            report->death = bed.death;
        }
        memcpy(report->story, bed.story, sizeof(report->story));
    }
    report->done = true;
    bed_close(&bed);
}

/* ---- in ours ---- */

static void run(const struct known *known, bool reference, struct report *report)
{
    int ends[2];
    int status;
    if (pipe(ends)) {
        snprintf(report->error, sizeof(report->error), "a pipe: %s", strerror(errno));
        return;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        reproduce(known, reference, report);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    struct pollfd fd = {.fd = ends[0], .events = POLLIN};
    if (pid > 0 && poll(&fd, 1, PATIENCE_MS) <= 0) {
        kill(pid, SIGKILL);
        report->done = false;
        snprintf(report->error, sizeof(report->error), "not done within %d s", PATIENCE_MS / 1000);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    close(ends[0]);
    if (!report->done && !report->error[0])
        snprintf(report->error, sizeof(report->error), "the frontend broke off");
}

static const char *judge(const struct known *known, bool reference, const struct report *report)
{
    bool shows = known->signal ? report->outcome == DIED && report->death.signal == known->signal
                               : report->outcome == WRONG;
    if (!report->done || report->code)
        return report->error;
    if (reference)
        return report->outcome == RIGHT ? NULL : "our backend is not right";
    return shows ? NULL : report->outcome == RIGHT ? "does not show: fixed?" : "does not show as recorded";
}

static void tell(const struct known *known, bool reference, bool verbose, const struct report *report)
{
    const char *wrong = judge(known, reference, report);
    printf("%-13s %s\n", known->id, wrong ? wrong : reference ? "does not show" : "shows");
    if (!wrong && !verbose) {
        if (report->outcome == DIED)
            printf("    %s\n", report->death.text);
        else if (!reference)
            printf("    %s\n", known->observed);
        return;
    }
    printf("    rule:     %s\n    expected: %s\n    QEMU 7.2: %s\n    what came:\n", known->rule,
           known->expected, known->observed);
    for (const char *line = report->story; *line;) {
        int n = (int)strcspn(line, "\n");
        printf("      %.*s\n", n, line);
        line += n + (line[n] == '\n');
    }
    if (report->outcome == DIED)
        printf("      %s\n", report->death.text);
    printf("    again:    %s%s %s\n", program, reference ? " --peer reference" : "", known->id);
}

static bool is_chosen(const struct known *known, int n, char **names)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], known->id) == 0)
            return true;
    }
    return n == 0;
}

static int check_names(int n, char **names)
{
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT; k++)
            found = found || strcmp(names[i], all[k]->id) == 0;
        if (!found) {
            fprintf(stderr, "known-qemu-7.2: '%s' is not a bug known here; see --list\n", names[i]);
            return EXIT_USAGE;
        }
    }
    return 0;
}

static int run_all(int n, char **names, bool reference, bool verbose)
{
    struct report *report =
        mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int code = EXIT_SHOWN;
    unsigned int ran = 0;
    unsigned int good = 0;
    if (report == MAP_FAILED) {
        fprintf(stderr, "known-qemu-7.2: memory: %s\n", strerror(errno));
        return EXIT_NOT_SHOWN;
    }
    for (size_t i = 0; i < COUNT && code != EXIT_SKIPPED; i++) {
        if (!is_chosen(all[i], n, names))
            continue;
        *report = (struct report){0};
        run(all[i], reference, report);
        ran++;
        if (report->done && report->code == EXIT_SKIPPED) {
            printf("skip: %s\n", report->error);
            code = EXIT_SKIPPED;
            break;
        }
        tell(all[i], reference, verbose || n > 0, report);
        if (judge(all[i], reference, report))
            code = EXIT_NOT_SHOWN;
        else
            good++;
    }
    if (code != EXIT_SKIPPED)
        printf("%u of %u %s\n", good, ran, reference ? "do not show at our backend" : "show");
    munmap(report, sizeof(*report));
    return code;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"list", no_argument, NULL, 'l'},
        {"peer", required_argument, NULL, 'p'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool reference = false;
    bool verbose = false;
    char dir[64];
    int c;
    program = argv[0];
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'l') {
            for (size_t i = 0; i < COUNT; i++)
                printf("%-13s %s\n              QEMU 7.2: %s\n", all[i]->id, all[i]->rule, all[i]->observed);
            return 0;
        }
        if (c == 'h') {
            fputs(help_text, stdout);
            return 0;
        }
        if (c == 'v')
            verbose = true;
        else if (c == 'p' && (!strcmp(optarg, "qemu") || !strcmp(optarg, "reference")))
            reference = strcmp(optarg, "reference") == 0;
        else
            return fputs(help_text, stderr), EXIT_USAGE;
    }
    if (check_names(argc - optind, argv + optind))
        return EXIT_USAGE;
    if (tree_create(dir, sizeof(dir), "known")) {
        fprintf(stderr, "known-qemu-7.2: a folder for temporary files: %s\n", strerror(errno));
        return EXIT_NOT_SHOWN;
    }
    setenv("TMPDIR", dir, 1);
    int code = run_all(argc - optind, argv + optind, reference, verbose);
    tree_remove(dir);
    return code;
}
