// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"

enum {
    EXIT_NOT_RUNNABLE = 126,
    EXIT_NOT_FOUND = 127,
};

static const char help_text[] =
    "Usage: pvusb exec --dir DIR --domid N [--] COMMAND [ARGUMENT]...\n"
    "\n"
    "Runs an unmodified program as if it ran in domain N of the machine in DIR (see 'pvusb\n"
    "host'): one that uses libxengnttab, libxenevtchn or libxenstore, such as QEMU's PVUSB\n"
    "backend or Debian's xenstore-ls. The program becomes this process.\n"
    "\n"
    "  --dir DIR  the machine's directory\n"
    "  --domid N  the domain\n"
    "  --help     this text\n"
    "\n"
    "Environment of COMMAND:\n"
    "  LD_LIBRARY_PATH  begins with the folder of libraries with the names and symbols of\n"
    "                   libxengnttab.so.1, libxenevtchn.so.1, libxenctrl.so.4.17,\n"
    "                   libxenforeignmemory.so.1, libxendevicemodel.so.1 and libxencall.so.1,\n"
    "                   found at ../lib/xen of pvusb's own folder\n"
    "  FAKEXEN_DIR, FAKEXEN_DOMID  what these libraries connect to, and as whom\n"
    "  XENSTORED_PATH   the domain's xenstore, for the genuine libxenstore.so.4\n"
    "  FAKEXEN_LOG      taken over from yours if set: a file that gets a line for each\n"
    "                   function called that the fake does not have (they fail with ENOSYS)\n"
    "\n"
    "  pvusb exec --dir DIR --domid 0 -- xenstore-ls -fp\n"
    "  pvusb exec --dir DIR --domid 0 -- /usr/libexec/xen-qemu-system-i386 -M xenpv \\\n"
    "    -xen-attach -xen-domid 1 -nodefaults -no-user-config -nographic -monitor none\n"
    "\n"
    "Exit codes: that of COMMAND; 2 usage, or no such machine or domain; 126 COMMAND cannot be\n"
    "run; 127 COMMAND is not found.\n";

struct options {
    const char *dir;
    uint64_t domid;
    bool has_domid;
    bool help;
};

/* Options end at the first word that is none: what follows is the command's. */
static int parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"dir", required_argument, NULL, 'd'},
                                          {"domid", required_argument, NULL, 'n'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;
    *options = (struct options){0};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
        switch (c) {
        case 'd':
            options->dir = optarg;
            break;
        case 'n':
            if (parse_number(optarg, 0, DOMID_FIRST_RESERVED - 1, &options->domid))
                return usage_error("exec", "'%s' is not a number of a domain", optarg);
            options->has_domid = true;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return usage_error("exec", "'%s' is not an option or lacks its value; see 'pvusb exec --help'",
                               argv[optind - 1]);
        }
    }
    if (!options->dir || !*options->dir)
        return usage_error("exec", "--dir DIR is needed: the directory of a 'pvusb host'");
    if (!options->has_domid)
        return usage_error("exec", "--domid N is needed");
    return optind < argc ? 0 : usage_error("exec", "no command given");
}

/* Whether the machine and its domain are there, before a program finds out in its own words. */
static int check_machine(const struct options *options)
{
    char where[PATH_MAX + 8];
    struct xen_machine *machine;
    struct xen *xen;
    snprintf(where, sizeof(where), "fake:%s", options->dir);
    int code = connect_machine("exec", where, (domid_t)options->domid, &machine, &xen);
    if (code)
        return code;
    xen_close(xen);
    disconnect_machine(where, machine);
    return 0;
}

static int set_environment(const struct options *options)
{
    char libraries[PATH_MAX];
    char dir[PATH_MAX];
    char domid[16];
    char *text = NULL;
    const char *old = getenv("LD_LIBRARY_PATH");
    int code = find_xen_libraries("exec", libraries, sizeof(libraries));
    if (code)
        return code;
    /* COMMAND may change its folder. */
    if (!realpath(options->dir, dir))
        return usage_error("exec", "%s: %s", options->dir, strerror(errno));
    snprintf(domid, sizeof(domid), "%u", (unsigned int)options->domid);
    int rc = setenv("FAKEXEN_DIR", dir, 1) || setenv("FAKEXEN_DOMID", domid, 1);
    if (old && *old)
        rc = rc || asprintf(&text, "%s:%s", libraries, old) < 0 || setenv("LD_LIBRARY_PATH", text, 1);
    else
        rc = rc || setenv("LD_LIBRARY_PATH", libraries, 1);
    free(text);
    text = NULL;
    if (options->domid)
        rc = rc || asprintf(&text, "%s/domain/%s/xenstored.socket", dir, domid) < 0;
    else
        rc = rc || asprintf(&text, "%s/xenstored.socket", dir) < 0;
    rc = rc || setenv("XENSTORED_PATH", text, 1);
    free(text);
    return rc ? usage_error("exec", "out of memory") : 0;
}

int exec_cli(int argc, char **argv)
{
    struct options options;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        return EXIT_AS_EXPECTED;
    }
    code = check_machine(&options);
    if (!code)
        code = set_environment(&options);
    if (code)
        return code;
    execvp(argv[optind], argv + optind);
    code = errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    usage_error("exec", "%s: %s", argv[optind], strerror(errno));
    return code;
}
