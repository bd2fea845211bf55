// SPDX-License-Identifier: MIT
/* The process of a guest; 'pvusb guest-create' starts it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/waitset.h>

#include "cli/cli.h"
#include "cli/guest_files.h"
#include "cli/options.h"
#include "process/loop.h"
#include "vm/vm.h"

#define READY_FD   3
#define CLOSING_NS UINT64_C(5000000000)
#define PUBLISH_NS UINT64_C(200000000)

static const char help_text[] =
    "Usage: pvusb guest-process --dir DIR --domid N --name NAME [--read BYTES] [--traffic]\n"
    "\n"
    "Is the inside of a guest: what 'pvusb guest-create' starts, with its log in\n"
    "DIR/guest/NAME.log. Started by hand, it stays in the terminal. Ends with its domain.\n"
    "Of an HVM guest with usb = 1 it is the device model, too.\n"
    "\n"
    "  --dir DIR     the machine\n"
    "  --domid N     the domain\n"
    "  --name NAME   of its files in DIR/guest\n"
    "  --read BYTES  how much of each disk is read (0: none)\n"
    "  --traffic     again and again\n"
    "  --help        this text\n"
    "\n";

struct options {
    const char *dir;
    const char *name;
    uint64_t domid;
    uint64_t read;
    bool traffic;
    bool ready; /* guest-create waits for a byte on READY_FD */
    bool help;
};

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},  {"domid", required_argument, NULL, 'i'},
        {"name", required_argument, NULL, 'n'}, {"read", required_argument, NULL, 'r'},
        {"traffic", no_argument, NULL, 't'},    {"help", no_argument, NULL, 'h'},
        {"ready", no_argument, NULL, 'y'},      {NULL, 0, NULL, 0}};
    int c;
    *options = (struct options){0};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        int rc = 0;
        if (c == 'd')
            options->dir = optarg;
        else if (c == 'n')
            options->name = optarg;
        else if (c == 'i')
            rc = parse_number(optarg, 1, DOMID_FIRST_RESERVED - 1, &options->domid);
        else if (c == 'r')
            rc = strcmp(optarg, "0") == 0 ? 0 : parse_size(optarg, &options->read);
        else if (c == 't')
            options->traffic = true;
        else if (c == 'y')
            options->ready = true;
        else if (c == 'h')
            options->help = true;
        else
            return usage_error("guest-process", "'%s' is not an option or lacks its value", argv[optind - 1]);
        if (rc)
            return usage_error("guest-process", "'%s' is not a number that this option takes", optarg);
    }
    if (options->help)
        return 0;
    if (optind < argc)
        return usage_error("guest-process", "'%s' is not wanted", argv[optind]);
    if (!options->dir || !options->domid || !options->name || !*options->name || strchr(options->name, '/'))
        return usage_error("guest-process", "--dir DIR, --domid N and --name NAME are needed");
    return 0;
}

/* At most so often, and never without an URB: an idle guest does not wake up for it. */
struct publishing {
    const struct options *options;
    uint64_t urbs; /* as published */
    uint64_t last_ns;
};

/* Returns when the next is due. A file that cannot be written is missed by 'pvusb top' alone. */
static uint64_t publish(struct publishing *publishing, const struct vm *vm)
{
    struct guest_usage usage = {.time_ns = loop_now_ns()};
    const uint64_t urbs = vm_stats(vm).urbs;
    if (urbs == publishing->urbs)
        return UINT64_MAX;
    if (usage.time_ns < publishing->last_ns + PUBLISH_NS)
        return publishing->last_ns + PUBLISH_NS;
    usage.count = vm_usages(vm, usage.port, GUEST_USAGES_MAX);
    (void)guest_usage_write(publishing->options->dir, publishing->options->name, &usage);
    publishing->urbs = urbs;
    publishing->last_ns = usage.time_ns;
    return UINT64_MAX;
}

static int serve(const struct options *options, struct vm *vm, struct xen_waitset *set, int signals)
{
    struct publishing publishing = {.options = options};
    struct xen_waitset_fd end;
    uint64_t until_ns = UINT64_MAX;
    int rc = xen_waitset_add_fd(set, &end, signals);
    while (!rc && !(until_ns != UINT64_MAX && (vm_closed(vm) || loop_now_ns() >= until_ns))) {
        rc = vm_step(vm, loop_now_ns());
        if (rc)
            break;
        uint64_t due = vm_deadline(vm);
        const uint64_t publish_ns = publish(&publishing, vm);
        due = publish_ns < due ? publish_ns : due;
        rc = xen_waitset_until(set, due < until_ns ? due : until_ns);
        if (!rc && end.ready) {
            xen_waitset_remove_fd(set, &end); /* once is enough */
            until_ns = loop_now_ns() + CLOSING_NS;
            vm_close(vm);
        }
    }
    xen_waitset_remove_fd(set, &end);
    return rc;
}

static int take_lock(const struct options *options)
{
    int rc = guest_files_begin(options->dir);
    int lock = rc ? rc : guest_pid_take(options->dir, options->name);
    if (lock < 0)
        usage_error("guest-process", "%s/guest/%s.pid: %s", options->dir, options->name,
                    lock == -EBUSY ? "the guest has a process already" : strerror(-lock));
    return lock;
}

static int run(const struct options *options)
{
    char where[PATH_MAX + 8];
    struct xen_machine *machine;
    struct xen *xen;
    struct vm *vm;
    snprintf(where, sizeof(where), "fake:%s", options->dir);
    int code = connect_machine("guest-process", where, (domid_t)options->domid, &machine, &xen);
    if (code)
        return code;
    xen_close(xen);
    int lock = take_lock(options);
    if (lock < 0) {
        fakexen_client_machine_destroy(machine);
        return EXIT_USAGE;
    }
    struct vm_config config = {.machine = machine,
                               .domid = (domid_t)options->domid,
                               .dir = options->dir,
                               .read = options->read,
                               .traffic = options->traffic,
                               .log = print_line};
    int signals = loop_signal_fd();
    int rc = xen_waitset_create(&config.set);
    if (!rc)
        rc = vm_create(&config, &vm);
    if (!rc) {
        printf("guest %s, domain %u\n", options->name, (unsigned int)options->domid);
        fflush(stdout);
        if (options->ready && write(READY_FD, "", 1) == 1)
            close(READY_FD);
        rc = serve(options, vm, config.set, signals);
        vm_destroy(vm);
    }
    xen_waitset_destroy(config.set);
    fakexen_client_machine_destroy(machine);
    close(signals);
    if (rc)
        usage_error("guest-process", "%s",
                    rc == -EPIPE ? "the domain or the machine is gone" : strerror(-rc));
    /* The lock goes with the process, not before it: who finds it free takes the process for ended. */
    return rc ? EXIT_PEER : EXIT_AS_EXPECTED;
}

int guest_process_cli(int argc, char **argv)
{
    struct options options;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    return run(&options);
}
