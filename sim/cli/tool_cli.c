// SPDX-License-Identifier: MIT
#include "cli/tool_cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"
#include "cli/options.h"

static const struct {
    enum tool_option option;
    const char *help;
} option_helps[] = {
    {TOOL_NAME, "  --name NAME        of the guest, instead of the file's, or without a file\n"},
    {TOOL_GUEST, "  --read BYTES       the guest reads so much of each disk that it gets and writes the\n"
                 "                     checksum into its log (default 1M)\n"
                 "  --traffic          the guest reads its disks again and again\n"
                 "  --no-process       make the domain only; its frontends are yours to run\n"},
    {TOOL_BACKEND, "  --backend DOMAIN   the driver domain (default 0)\n"},
    {TOOL_TIMEOUT,
     "  --timeout SECONDS  how long to wait for backend and guest (default 10; 0: not at all)\n"},
    {TOOL_TOP, "  --count N          so often (default: on a terminal without end, else once)\n"
               "  --interval SECONDS between two looks (default 1)\n"},
    {TOOL_COMPAT, "  --compat           the originals' quirks that scripts may rely on\n"},
    {TOOL_XL, "  --xl               print as xl does (without: as xm)\n"},
};

static const char common_help[] =
    "  --dir DIR          the machine, of 'pvusb host --dir DIR' (default: PVUSB_DIR of the environment)\n"
    "  --xen WHERE        fake:DIR, the same; or real, the Xen that this domain is on\n"
    "  --help             this text\n"
    "\n";

static void help(const struct tool_verb *verb)
{
    printf("Usage: pvusb %s [OPTIONS]%s%s\n\n%s\n", verb->name, *verb->arguments ? " " : "", verb->arguments,
           verb->help);
    for (size_t i = 0; i < sizeof(option_helps) / sizeof(option_helps[0]); i++) {
        if (verb->options & option_helps[i].option)
            fputs(option_helps[i].help, stdout);
    }
    fputs(common_help, stdout);
    fputs("Exit codes:\n"
          "  0  done\n"
          "  1  refused, as the machine is; nothing has changed\n"
          "  2  usage: the arguments are wrong, or there is no machine\n",
          stdout);
}

static int take_timeout(struct tool *tool, const char *text)
{
    uint64_t seconds;
    if (parse_number(text, 0, 86400, &seconds))
        return usage_error(tool->verb->name, "--timeout '%s' is not a number of seconds from 0 to 86400",
                           text);
    tool->timeout_ms = seconds * 1000;
    return -1;
}

static int take_interval(struct tool *tool, const char *text)
{
    uint64_t seconds;
    if (parse_number(text, 1, 86400, &seconds))
        return usage_error(tool->verb->name, "--interval '%s' is not a number of seconds from 1 to 86400",
                           text);
    tool->interval_ms = seconds * 1000;
    return -1;
}

static int take_option(struct tool *tool, int c, char **argv)
{
    switch (c) {
    case 'd':
        tool->dir = optarg;
        return -1;
    case 'x':
        tool->xen = optarg;
        return -1;
    case 'h':
        help(tool->verb);
        return EXIT_AS_EXPECTED;
    case 't':
        return take_timeout(tool, optarg);
    case 'c':
        tool->compat = true;
        return -1;
    case 'l':
        tool->xl = true;
        return -1;
    case 'b':
        tool->backend = optarg;
        return -1;
    case 'n':
        tool->name = optarg;
        return -1;
    case 'r':
        return parse_size(optarg, &tool->read) && (strcmp(optarg, "0") != 0 || (tool->read = 0))
                   ? usage_error(tool->verb->name, "--read '%s' is not a size, such as 1M", optarg)
                   : -1;
    case 'f':
        tool->traffic = true;
        return -1;
    case 'p':
        tool->no_process = true;
        return -1;
    case 'o':
        return parse_number(optarg, 1, 1000000, &tool->count)
                   ? usage_error(tool->verb->name, "--count '%s' is not a number from 1 to 1000000", optarg)
                   : -1;
    case 'i':
        return take_interval(tool, optarg);
    default:
        return usage_error(tool->verb->name,
                           "option `%s' not supported, or lacks its value; see 'pvusb %s --help'",
                           argv[optind - 1], tool->verb->name);
    }
}

/* Only those that the verb has. */
static void list_options(const struct tool_verb *verb, struct option longs[16])
{
    static const struct {
        unsigned int needs;
        struct option option;
    } all[] = {
        {0, {"dir", required_argument, NULL, 'd'}},
        {0, {"xen", required_argument, NULL, 'x'}},
        {0, {"help", no_argument, NULL, 'h'}},
        {TOOL_TIMEOUT, {"timeout", required_argument, NULL, 't'}},
        {TOOL_COMPAT, {"compat", no_argument, NULL, 'c'}},
        {TOOL_XL, {"xl", no_argument, NULL, 'l'}},
        {TOOL_BACKEND, {"backend", required_argument, NULL, 'b'}},
        {TOOL_NAME, {"name", required_argument, NULL, 'n'}},
        {TOOL_GUEST, {"read", required_argument, NULL, 'r'}},
        {TOOL_GUEST, {"traffic", no_argument, NULL, 'f'}},
        {TOOL_GUEST, {"no-process", no_argument, NULL, 'p'}},
        {TOOL_TOP, {"count", required_argument, NULL, 'o'}},
        {TOOL_TOP, {"interval", required_argument, NULL, 'i'}},
    };
    unsigned int n = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i].needs || (verb->options & all[i].needs))
            longs[n++] = all[i].option;
    }
    longs[n] = (struct option){0};
}

/* The words of xl and xm, and what the arguments are. */
static int wrong_count(const struct tool_verb *verb, unsigned int count)
{
    if (verb->max == 0)
        return usage_error(verb->name, "'pvusb %s' requires 0 argument(s).", verb->name);
    if (count > verb->max)
        return usage_error(verb->name, "Invalid arguments. 'pvusb %s' takes no more than %u: %s", verb->name,
                           verb->max, verb->arguments);
    return usage_error(verb->name, "'pvusb %s' requires %s%u argument(s). They are: %s", verb->name,
                       verb->min == verb->max ? "" : "at least ", verb->min, verb->arguments);
}

static int find_machine(struct tool *tool)
{
    const char *name = tool->verb->name;
    if (tool->xen && tool->dir)
        return usage_error(name, "--xen and --dir both name the machine: one of them is enough");
    if (tool->xen) {
        tool->dir = strncmp(tool->xen, "fake:", 5) == 0 ? tool->xen + 5 : NULL;
        return -1;
    }
    if (!tool->dir)
        tool->dir = getenv("PVUSB_DIR");
    if (!tool->dir || !*tool->dir)
        return usage_error(name,
                           "which machine? --dir DIR or PVUSB_DIR names the directory of a 'pvusb host'");
    if (strlen(tool->dir) >= PATH_MAX)
        return usage_error(name, "--dir: %s", strerror(ENAMETOOLONG));
    snprintf(tool->xen_text, sizeof(tool->xen_text), "fake:%s", tool->dir);
    tool->xen = tool->xen_text;
    return -1;
}

int tool_parse(const struct tool_verb *verb, int argc, char **argv, struct tool *tool)
{
    struct option longs[16];
    int c;
    *tool = (struct tool){.verb = verb, .timeout_ms = 10000, .interval_ms = 1000, .read = UINT64_C(1) << 20};
    list_options(verb, longs);
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        int code = take_option(tool, c, argv);
        if (code >= 0)
            return code;
    }
    const unsigned int count = (unsigned int)(argc - optind);
    if (count < verb->min || count > verb->max)
        return wrong_count(verb, count);
    for (unsigned int i = 0; i < count && i < TOOL_ARGUMENTS_MAX; i++)
        tool->argument[tool->nr_arguments++] = argv[optind + (int)i];
    return find_machine(tool);
}

int tool_connect(struct tool *tool)
{
    int code = connect_machine(tool->verb->name, tool->xen, 0, &tool->machine, &tool->xen0);
    return code ? code : -1;
}

void tool_close(struct tool *tool)
{
    xen_close(tool->xen0);
    if (tool->machine)
        disconnect_machine(tool->xen, tool->machine);
    tool->xen0 = NULL;
    tool->machine = NULL;
}

int tool_failed(const struct tool *tool, int rc, const char *error)
{
    (void)usage_error(tool->verb->name, "%s", error);
    return rc == -EINVAL ? EXIT_USAGE : EXIT_CHECK_FAILED;
}
