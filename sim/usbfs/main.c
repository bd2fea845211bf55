// SPDX-License-Identifier: MIT
/* pvusb-usbfs: simulated devices for programs that use libusb. */
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/kinds.h"
#include "usbfs/control.h"

#define PRELOAD     "libumockdev-preload.so.0"
#define DEVICES_MAX 64u

static const char help_text[] =
    "Usage: pvusb-usbfs [OPTIONS] [--device BUSID=KIND]... -- CMD [ARG]...\n"
    "       pvusb-usbfs [OPTIONS] --trace FILE -- CMD [ARG]...\n"
    "\n"
    "Runs CMD with simulated USB devices: what it does through libusb-1.0 (Linux's usbfs) goes\n"
    "to them, and it sees no others. CMD needs no change; package umockdev is needed.\n"
    "\n"
    "  --device BUSID=KIND  a device, for example 1-1=disk:16M\n"
    "  --trace FILE         the devices of a recording (pvusb replay), which answer as they\n"
    "                       did then\n"
    "  --notes FILE         with --trace: note there what they see, for pvusb replay\n"
    "  --control WHERE      take commands while CMD runs: a path for a Unix socket to be\n"
    "                       made, or the number of a connected socket that was inherited\n"
    "  --help               this text\n"
    "\n"
    "A device can be pulled out and plugged in while CMD runs; libusb's hotplug events follow.\n"
    "CMD ends with pvusb-usbfs, which ends with CMD and as CMD does: same exit code, or same\n"
    "signal, after a line that says so.\n"
    "\n";

static const char own_exit_codes[] = "Exit codes, besides those of CMD:\n"
                                     "  2   usage, or a device that cannot be made\n"
                                     "  77  package umockdev is missing\n"
                                     "  126, 127  CMD cannot be run, or is not there\n";

struct options {
    const char *device[DEVICES_MAX];
    unsigned int nr_devices;
    const char *control;
    const char *trace;
    const char *notes;
    char **command;
    bool help;
};

static int __attribute__((format(printf, 2, 3))) complain(int code, const char *format, ...)
{
    va_list args;
    fputs("pvusb-usbfs: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"device", required_argument, NULL, 'e'}, {"control", required_argument, NULL, 'c'},
        {"trace", required_argument, NULL, 't'},  {"notes", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int c;
    *options = (struct options){0};
    opterr = 0;
    while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
        switch (c) {
        case 'e':
            if (options->nr_devices == DEVICES_MAX)
                return complain(EXIT_USAGE, "more than %u devices", DEVICES_MAX);
            options->device[options->nr_devices++] = optarg;
            break;
        case 'c':
            options->control = optarg;
            break;
        case 't':
            options->trace = optarg;
            break;
        case 'n':
            options->notes = optarg;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return complain(EXIT_USAGE, "'%s' is not an option or lacks its value; see 'pvusb-usbfs --help'",
                            argv[optind - 1]);
        }
    }
    if (optind == argc)
        return complain(EXIT_USAGE, "no command given; see 'pvusb-usbfs --help'");
    if (options->trace ? options->nr_devices > 0 : options->notes != NULL)
        return complain(EXIT_USAGE, "--trace goes without --device, and --notes not without --trace");
    options->command = argv + optind;
    return 0;
}

/* Linux's loader would only warn. */
static int check_preload(void)
{
    void *library = dlopen(PRELOAD, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return complain(EXIT_SKIPPED, PRELOAD " cannot be loaded; install package umockdev");
    dlclose(library);
    return 0;
}

/* ---- the command ---- */

static void run_command(char **command, const char *dir, pid_t parent)
{
    char preload[4096];
    const char *others = getenv("LD_PRELOAD");
    sigset_t none;
    snprintf(preload, sizeof(preload), PRELOAD "%s%s", others && *others ? ":" : "", others ? others : "");
    setenv("LD_PRELOAD", preload, 1);
    setenv("UMOCKDEV_DIR", dir, 1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_PEER);
    execvp(command[0], command);
    int code = errno == ENOENT ? 127 : 126;
    complain(code, "%s: %s", command[0], strerror(errno));
    _exit(code);
}

/* Blocks what main() wants to hear of, so that none is lost before it listens. */
static int signal_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Passes signals on. True when the command has ended. */
static bool handle_signals(int fd, pid_t pid, int *status)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            kill(pid, (int)info.ssi_signo);
    }
    return waitpid(pid, status, WNOHANG) == pid;
}

static int serve(struct bus *bus, struct control *control, int signals, pid_t pid)
{
    int status = 0;
    bool stopping = false;
    control->pid = pid;
    for (;;) {
        struct loop loop;
        loop_clear(&loop);
        loop_add(&loop, signals);
        control_wait(control, &loop);
        bus_wait(bus, &loop);
        (void)loop_wait(&loop, bus_deadline(bus));
        bus_step(bus, &loop, loop_now_ns());
        control_step(control, &loop);
        if (control->stop && !stopping) {
            stopping = true;
            kill(pid, SIGTERM);
        }
        if (loop_ready(&loop, signals) && handle_signals(signals, pid, &status))
            return status;
    }
}

/* Ends as the command did. */
static int end_like(const char *command, int status)
{
    const struct rlimit no_core = {0, 0};
    sigset_t none;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int number = WTERMSIG(status);
    complain(0, "%s was ended by signal %d (%s)", command, number, strsignal(number));
    setrlimit(RLIMIT_CORE, &no_core);
    signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    raise(number);
    return 128 + number;
}

static int run(const struct options *options, struct testbed *testbed, struct bus *bus, int *status)
{
    char error[KIND_ERROR_MAX];
    struct control control;
    for (unsigned int i = 0; i < options->nr_devices; i++) {
        if (bus_plug(bus, options->device[i], error))
            return complain(EXIT_USAGE, "%s", error);
    }
    int rc = control_open(&control, bus, options->control);
    if (rc)
        return complain(EXIT_USAGE, "--control %s: %s", options->control, strerror(-rc));
    int signals = signal_fd();
    pid_t parent = getpid();
    pid_t pid = signals < 0 ? -1 : fork();
    if (pid == 0)
        run_command(options->command, testbed_dir(testbed), parent);
    if (pid < 0)
        rc = complain(EXIT_USAGE, "cannot start a process: %s", strerror(errno));
    else
        *status = serve(bus, &control, signals, pid);
    control_close(&control);
    if (signals >= 0)
        close(signals);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options;
    struct testbed *testbed = NULL;
    struct bus *bus = NULL;
    struct recorded *recorded = NULL;
    char error[TRACE_ERROR_MAX];
    int status = 0;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(kinds_help, stdout);
        fputs(control_help, stdout);
        fputs(own_exit_codes, stdout);
        return EXIT_AS_EXPECTED;
    }
    code = check_preload();
    if (code)
        return code;
    if (options.trace && recorded_create(options.trace, options.notes, &recorded, error))
        return complain(EXIT_USAGE, "%s", error);
    int rc = testbed_create(&testbed);
    if (!rc)
        rc = bus_create(testbed, recorded, &bus);
    code = rc ? complain(EXIT_USAGE, "%s; TMPDIR names another folder", strerror(-rc))
              : run(&options, testbed, bus, &status);
    bus_destroy(bus);
    recorded_destroy(recorded);
    testbed_destroy(testbed);
    return code ? code : end_like(options.command[0], status);
}
