// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
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
    "\n"
    "  --dir DIR  the machine's directory; one machine in each\n"
    "  --help     this text\n"
    "\n"
    "Then, in other terminals:\n"
    "  pvusb backend --xen fake:DIR --guest 1 --device 1-1=disk:16M\n"
    "  pvusb frontend --xen fake:DIR --domid 1 --read 1M\n"
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
    rc = serve(host, signals);
    fakexen_host_close(host);
    close(signals);
    if (!rc)
        return EXIT_AS_EXPECTED;
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
