// SPDX-License-Identifier: MIT
/*
 * Goal: URBs of random type, size and alignment, with unlinks and unplugs at random moments, on 31 ports: each is
 * answered exactly once, with the right bytes and an end that the model allows, and at the end nothing is left open.
 *
 * The seed is printed. In one process it repeats the run; with more the decisions are the same, their order in
 * time is not.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "process/family.h"
#include "stress.h"

static void print_usage(const char *name, const struct stress_usage *warm, const struct stress_usage *end)
{
    printf("  %-10s RSS %" PRIu64 " KiB when warm, %" PRIu64 " at the end, maximum %" PRIu64
           "; descriptors %u, %u\n",
           name, warm->rss_kib, end->rss_kib, end->rss_max_kib, warm->fds, end->fds);
}

static void print_report(const struct stress_report *r, const struct stress_options *options)
{
    double seconds = (double)r->elapsed_ns / 1e9;
    printf("  URBs       %" PRIu64 ": %" PRIu64 " control, %" PRIu64 " bulk, %" PRIu64 " interrupt, %" PRIu64
           " isochronous; %.1f MiB in, %.1f MiB out\n",
           r->urbs, r->by_type[USBIF_PIPE_TYPE_CTRL], r->by_type[USBIF_PIPE_TYPE_BULK],
           r->by_type[USBIF_PIPE_TYPE_INT], r->by_type[USBIF_PIPE_TYPE_ISOC], (double)r->guest_in / 1048576,
           (double)r->guest_out / 1048576);
    printf("  ends       %" PRIu64 " ok, %" PRIu64 " short, %" PRIu64 " unlinked, %" PRIu64 " stall, %" PRIu64
           " I/O error, %" PRIu64 " babble, %" PRIu64 " no device, %" PRIu64 " shutdown; %" PRIu64
           " packets with errors\n",
           r->by_result[STRESS_OK], r->by_result[STRESS_SHORT], r->by_result[STRESS_UNLINKED],
           r->by_result[STRESS_STALL], r->by_result[STRESS_IOERROR], r->by_result[STRESS_BABBLE],
           r->by_result[STRESS_NODEV], r->by_result[STRESS_SHUTDOWN], r->packet_errors);
    printf("  unlinks    %" PRIu64 ", of those %" PRIu64 " before the ring; %" PRIu64 " too late or twice; %" PRIu64
           " requests on the ring, %" PRIu64 " cancelled at a device, %" PRIu64 " ended by one before them\n",
           r->unlinks, r->unlinks_waiting, r->unlinks_refused, r->front.unlinks, r->cancels, r->flushed);
    printf("  plugs      %" PRIu64 " pulled, %" PRIu64 " taken away; %" PRIu64 " changes seen, %" PRIu64
           " devices enumerated\n",
           r->unplugs, r->detaches, r->plugs, r->enumerated);
    printf("  ring       %" PRIu64 " requests, %" PRIu64 " responses, %.3f notifications per URB (%" PRIu64
           " + %" PRIu64 ")\n",
           r->front.requests, r->front.responses,
           (double)(r->front.notifications + r->back.notifications) / (double)r->front.urbs, r->front.notifications,
           r->back.notifications);
    printf("  time       %.1f s%s, %.0f URB/s\n", seconds, options->processes == 1 ? " of virtual time" : "",
           (double)r->urbs / seconds);
    if (options->processes == 1)
        return;
    print_usage("frontend", &r->warm[STRESS_FRONTEND], &r->end[STRESS_FRONTEND]);
    print_usage("backend", &r->warm[STRESS_BACKEND], &r->end[STRESS_BACKEND]);
    print_usage("host", &r->warm[STRESS_HOST], &r->end[STRESS_HOST]);
}

/* A run in which something never happened has not tested it. */
static int check_variety(const struct stress_report *r, char *error)
{
    bool all = r->urbs < 10000 || (r->unlinks_waiting > 0 && r->unlinks_refused > 0 && r->cancels > 0 &&
                                   r->unplugs > 0 && r->detaches > 0 && r->refused > 0 && r->packet_errors > 0);
    for (unsigned int i = 0; i < STRESS_SHUTDOWN && r->urbs >= 10000; i++)
        all = all && r->by_result[i] > 0;
    if (!all)
        snprintf(error, FAMILY_ERROR_MAX, "some kind of end or event never happened");
    return all ? 0 : -EPROTO;
}

static int run(const struct stress_options *options)
{
    char error[FAMILY_ERROR_MAX] = "";
    struct stress_report *report =
        mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    printf("seed %" PRIu64 ", %" PRIu64 " URBs, %" PRIu64 " s, processes: %u\n", options->seed, options->urbs,
           options->seconds, options->processes);
    fflush(stdout);
    int rc = (options->processes == 1 ? stress_run_one : stress_run_two)(options, report, error);
    if (report->elapsed_ns > 0)
        print_report(report, options);
    if (!rc)
        rc = check_variety(report, error);
    if (rc)
        printf("seed %" PRIu64 " FAILED after %" PRIu64 " URBs: %s\n", options->seed, report->urbs, error);
    munmap(report, sizeof(*report));
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"urbs", required_argument, NULL, 'u'},      {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},      {"seeds", required_argument, NULL, 'n'},
        {"processes", required_argument, NULL, 'p'}, {"flat", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0}};
    struct stress_options options = {.seed = 1, .processes = 2};
    uint64_t seeds = 1;
    int failed = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        uint64_t value = optarg ? strtoull(optarg, NULL, 0) : 0;
        switch (c) {
        case 'u': options.urbs = value; break;
        case 't': options.seconds = value; break;
        case 's': options.seed = value; break;
        case 'n': seeds = value; break;
        case 'p': options.processes = (unsigned int)value; break;
        case 'f': options.flat = true; break;
        default: return 2;
        }
    }
    if (options.urbs == 0 && options.seconds == 0)
        options.urbs = 30000;
    for (; seeds > 0; seeds--, options.seed++)
        failed |= run(&options);
    return failed;
}
