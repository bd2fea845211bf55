// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "cli/cli.h"
#include "process/loop.h"

static const char help_text[] =
    "Usage: pvusb host --dir DIR\n"
    "\n"
    "Is a fake Xen machine until it is told to end (Ctrl-C): grant tables, event channels\n"
    "and xenstore for the processes that join it. Needs no root, no Xen and no kernel\n"
    "module. DIR is made if it is missing and holds the machine's socket meanwhile.\n"
    "When it ends it says what clients have left open on it: all zero, or the names.\n"
    "\n"
    "  --dir DIR  the machine's directory; one machine in each\n"
    "  --help     this text\n"
    "\n"
    "Then, in other terminals:\n"
    "  pvusb backend --xen fake:DIR --guest 1 --device 1-1=disk:16M\n"
    "  pvusb frontend --xen fake:DIR --domid 1 --read 1M\n"
    "  XENSTORED_PATH=DIR/xenstored.socket xenstore-ls -fp\n"
    "When it ends it prints what is still open: its balance.\n"
    "\n";

static int serve(struct fakexen_host *host, int signals)
{
    struct loop loop;
    int rc = 0;
    while (!rc) {
        loop_clear(&loop);
        loop_add(&loop, signals);
        loop_add(&loop, fakexen_host_fd(host));
        rc = loop_wait(&loop, UINT64_MAX);
        if (!rc && loop_ready(&loop, signals))
            break;
        if (!rc)
            rc = fakexen_host_step(host);
    }
    return rc;
}

/* ---- the balance ---- */

#define SETTLE_STEPS 1000u

/* What clients did before the signal, their ends most of all; bounded, as some may go on and on. */
static void settle(struct fakexen_host *host)
{
    struct pollfd waiting = {.fd = fakexen_host_fd(host), .events = POLLIN};
    for (unsigned int i = 0; i < SETTLE_STEPS && poll(&waiting, 1, 0) == 1; i++)
        fakexen_host_step(host);
}

/* As the kernel counts, so that what the host lost sight of counts too. */
static unsigned int open_descriptors(void)
{
    unsigned int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* One line. False when something is left although nobody is there who could still need it. */
static bool tell_balance(const struct fakexen_host *host, unsigned int fds)
{
    struct fakexen_balance left = fakexen_host_balance(host);
    const struct {
        unsigned int n;
        const char *what;
    } counts[] = {
        {left.handles, "handles"}, {left.pages, "pages"},     {left.grants, "grants"},
        {left.maps, "maps"},       {left.ports, "ports"},     {left.watches, "watches"},
        {left.transactions, "transactions"},                  {fds, "fds"},
    };
    bool any = false;
    fputs("balance:", stdout);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i].n > 0)
            printf("%s %u %s", any ? "," : "", counts[i].n, counts[i].what);
        any = any || counts[i].n > 0;
    }
    puts(any ? " left open" : " all zero");
    fflush(stdout);
    return !any || left.handles > 0;
}

static int run(const char *dir)
{
    struct fakexen_host *host;
    int signals = loop_signal_fd();
    int rc = signals < 0 ? signals : fakexen_host_open(dir, &host);
    if (rc) {
        usage_error("host", "%s: %s", dir, rc == -EADDRINUSE ? "another host is running here" : strerror(-rc));
        if (signals >= 0)
            close(signals);
        return EXIT_USAGE;
    }
    printf("machine ready in %s\n", dir);
    fflush(stdout);
    /* A domain that lives on is nothing left open, and neither is its socket. */
    unsigned int fds = open_descriptors() - fakexen_host_domains(host);
    rc = serve(host, signals);
    settle(host);
    bool balanced = tell_balance(host, open_descriptors() - fakexen_host_domains(host) - fds);
    fakexen_host_close(host);
    close(signals);
    if (!rc)
        return balanced ? EXIT_AS_EXPECTED : EXIT_CHECK_FAILED;
    usage_error("host", "%s", strerror(-rc));
    return EXIT_PEER;
}

int host_cli(int argc, char **argv)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *dir = NULL;
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            fputs(help_text, stdout);
            fputs(exit_codes_help, stdout);
            return EXIT_AS_EXPECTED;
        }
        if (c != 'd')
            return usage_error("host", "'%s' is not an option or lacks its value; see 'pvusb host --help'",
                               argv[optind - 1]);
        dir = optarg;
    }
    if (optind < argc)
        return usage_error("host", "'%s' is not wanted; see 'pvusb host --help'", argv[optind]);
    if (!dir || !*dir)
        return usage_error("host", "--dir DIR is needed");
    return run(dir);
}
