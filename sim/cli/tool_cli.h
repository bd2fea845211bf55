/* SPDX-License-Identifier: MIT */
/*
 * What the administrator's verbs have in common: a machine named by --dir or PVUSB_DIR, positional arguments
 * that are counted as the originals count them, options, help.
 */
#ifndef SIM_CLI_TOOL_CLI_H
#define SIM_CLI_TOOL_CLI_H

#include <limits.h>

#include <fakexen/fakexen.h>

#include "cli/cli.h"

#define TOOL_ARGUMENTS_MAX 16u

/* Options that a verb may have beside --dir, --xen and --help. */
enum tool_option {
    TOOL_COMPAT = 1,
    TOOL_XL = 2,
    TOOL_TIMEOUT = 4,
    TOOL_BACKEND = 8,
    TOOL_NAME = 16,
    TOOL_GUEST = 32, /* --read, --traffic, --no-process */
    TOOL_TOP = 64,   /* --count, --interval */
};

struct tool_verb {
    const char *name;
    const char *arguments; /* "<Domain> <DevId>", "" for none */
    unsigned int min;      /* how many of them */
    unsigned int max;
    unsigned int options; /* of enum tool_option */
    const char *help;     /* what it does, in lines */
};

struct tool {
    const struct tool_verb *verb;
    const char *argument[TOOL_ARGUMENTS_MAX];
    unsigned int nr_arguments;
    const char *dir; /* NULL with --xen real */
    const char *xen; /* as connect_machine() takes it */
    char xen_text[PATH_MAX + 8];
    uint64_t timeout_ms; /* default 10 s */
    bool compat;
    bool xl;
    const char *backend; /* of --backend, NULL for domain 0 */
    const char *name;
    uint64_t read; /* bytes */
    bool traffic;
    bool no_process;
    uint64_t count;       /* 0: not said */
    uint64_t interval_ms; /* default 1 s */
    struct xen_machine *machine;
    struct xen *xen0;
};

/* Fills tool. Returns -1 to go on, or the exit code, after its line or the help. */
int tool_parse(const struct tool_verb *verb, int argc, char **argv, struct tool *tool);
/*
 * The machine's domain 0, after tool_parse(); tool_close() at the end in any case. Returns -1 to go on, or
 * the exit code after its line.
 */
int tool_connect(struct tool *tool);
void tool_close(struct tool *tool);
/* "pvusb VERB: " and the line on stderr; an exit code by rc: EXIT_USAGE for -EINVAL, else EXIT_CHECK_FAILED.
 */
int tool_failed(const struct tool *tool, int rc, const char *error);

#endif
