// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "cli/cli.h"
#include "process/loop.h"

static const char help_text[] =
    "Usage: pvusb host --dir DIR [--xenstored own|genuine|PROGRAM]\n"
    "\n"
    "Is a fake Xen machine until it is told to end (Ctrl-C): grant tables, event channels\n"
    "and xenstore for the processes that join it. Needs no root, no Xen and no kernel\n"
    "module. DIR is made if it is missing and holds the machine's socket meanwhile.\n"
    "When it ends it says what clients have left open on it: all zero, or the names.\n"
    "\n"
    "  --dir DIR            the machine's directory; one machine in each\n"
    "  --xenstored own      its xenstore is a part of this program, the default\n"
    "  --xenstored genuine  it is the C xenstored of Debian's package xen-utils-4.17, which runs\n"
    "                       as a child process and serves each guest over its ring;\n"
    "                       when it ends, the machine does\n"
    "  --xenstored PROGRAM  the same with the xenstored at this path, with a '/' in it\n"
    "  --help               this text\n"
    "\n"
    "Then, in other terminals:\n"
    "  pvusb backend --xen fake:DIR --guest 1 --device 1-1=disk:16M\n"
    "  pvusb frontend --xen fake:DIR --domid 1 --read 1M\n"
    "  XENSTORED_PATH=DIR/xenstored.socket xenstore-ls -fp\n"
    "When it ends it prints what is still open: its balance.\n"
    "\n";

#define GENUINE "/usr/lib/xen-4.17/bin/xenstored"

static bool has_come(struct fakexen_host *host)
{
    return fakexen_host_ready(host) == 1;
}

/* Until the signal, or until the host is ready, if that is what is waited for; or -errno. */
static int serve(struct fakexen_host *host, int signals, bool (*until)(struct fakexen_host *host))
{
    struct loop loop;
    int rc = 0;
    while (!rc && !(until && until(host))) {
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

static int refused(const char *dir, int rc)
{
    return usage_error("host", "%s: %s", dir, rc == -EADDRINUSE ? "another host is running here" : strerror(-rc));
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

/* One line; the exit code. */
static int tell_end(const struct fakexen_host *host, int rc)
{
    int status = fakexen_host_xenstored_status(host);
    if (rc != -ECHILD)
        usage_error("host", "%s", strerror(-rc));
    else if (WIFSIGNALED(status))
        usage_error("host", "xenstored was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        usage_error("host", "xenstored has ended with exit code %d", WEXITSTATUS(status));
    return EXIT_PEER;
}

static int serve_to_end(struct fakexen_host *host, const char *dir, int signals)
{
    int rc = serve(host, signals, has_come);
    if (rc)
        return tell_end(host, rc);
    if (!has_come(host))
        return EXIT_AS_EXPECTED;
    printf("machine ready in %s\n", dir);
    fflush(stdout);
    /* A domain that lives on is nothing left open, and neither are its sockets. */
    unsigned int fds = open_descriptors() - fakexen_host_descriptors(host);
    rc = serve(host, signals, NULL);
    if (rc)
        return tell_end(host, rc);
    settle(host);
    bool balanced = tell_balance(host, open_descriptors() - fakexen_host_descriptors(host) - fds);
    return balanced ? EXIT_AS_EXPECTED : EXIT_CHECK_FAILED;
}

/* The paths are the caller's until the host is open. */
static int open_genuine(const char *dir, const char *program, struct fakexen_host **out)
{
    char libraries[PATH_MAX];
    char preload[PATH_MAX + sizeof("/libfakexen-xsd.so")];
    int code = find_xen_libraries("host", libraries, sizeof(libraries));
    if (code)
        return code;
    if (access(program, X_OK))
        return usage_error("host", "xenstored: %s: %s%s", program, strerror(errno),
                           strcmp(program, GENUINE) == 0 ? "; it is in Debian's package xen-utils-4.17" : "");
    snprintf(preload, sizeof(preload), "%s/libfakexen-xsd.so", libraries);
    const struct fakexen_xenstored xenstored = {.program = program, .libraries = libraries, .preload = preload};
    int rc = fakexen_host_open_genuine(dir, &xenstored, out);
    return rc ? refused(dir, rc) : 0;
}

static int run(const char *dir, const char *xenstored)
{
    struct fakexen_host *host;
    int signals = loop_signal_fd();
    if (signals < 0)
        return refused(dir, signals);
    int code;
    if (xenstored) {
        code = open_genuine(dir, xenstored, &host);
    } else {
        int rc = fakexen_host_open(dir, &host);
        code = rc ? refused(dir, rc) : 0;
    }
    if (!code) {
        code = serve_to_end(host, dir, signals);
        fakexen_host_close(host);
    }
    close(signals);
    return code;
}

/* NULL for our own. */
static int parse_xenstored(const char *text, const char **out)
{
    if (strcmp(text, "own") == 0)
        *out = NULL;
    else if (strcmp(text, "genuine") == 0)
        *out = GENUINE;
    else if (strchr(text, '/'))
        *out = text;
    else
        return usage_error("host", "--xenstored '%s' is neither own nor genuine nor a path", text);
    return 0;
}

int host_cli(int argc, char **argv)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},
        {"xenstored", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    const char *dir = NULL;
    const char *xenstored = NULL;
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            fputs(help_text, stdout);
            fputs(exit_codes_help, stdout);
            return EXIT_AS_EXPECTED;
        }
        if (c == 'x') {
            int code = parse_xenstored(optarg, &xenstored);
            if (code)
                return code;
            continue;
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
    return run(dir, xenstored);
}
