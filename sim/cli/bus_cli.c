// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/hostbus.h"
#include "cli/kinds.h"
#include "cli/tool_cli.h"

static const struct tool_verb verb = {
    .name = "bus",
    .arguments = "plug PATH KIND | unplug PATH | move FROM TO | list",
    .min = 1,
    .max = 3,
    .help = "The physical USB of a machine: plugs simulated devices in and out, as a hand does. What is\n"
            "plugged in stays so until it is unplugged, whoever serves it or ends.\n"
            "\n"
            "  plug PATH KIND  at a place such as 1-2 or 2-4.3.3: bus 2, root port 4, ports 3 and 3 of\n"
            "                  hubs. Hubs on the way that are missing are plugged in with it.\n"
            "  unplug PATH     and with a hub all that is behind it\n"
            "  move FROM TO    pulls it out and plugs it in there, the same place included\n"
            "  list            place, bus, address, ids and strings of each\n"
            "\n"
            "KIND is 'hub', or one of those that 'pvusb backend --help' lists; a plain 'disk' has 16M.\n",
};

static int list(const struct tool *tool)
{
    struct hostbus_device *devices;
    unsigned int count;
    int rc = hostbus_list(tool->dir, &devices, &count);
    if (rc) {
        (void)usage_error("bus", "%s/bus: %s", tool->dir, strerror(-rc));
        return EXIT_CHECK_FAILED;
    }
    for (unsigned int i = 0; i < count; i++) {
        const struct hostbus_device *d = &devices[i];
        printf("%-13s: Bus %03u Device %03u: ID %04x:%04x %s\n", d->path, d->bus, d->address, d->vendor,
               d->product, d->name);
    }
    free(devices);
    return EXIT_AS_EXPECTED;
}

static int run(const struct tool *tool)
{
    const char *const *argument = tool->argument;
    char error[HOSTBUS_ERROR_MAX];
    int rc;
    if (strcmp(argument[0], "list") == 0 && tool->nr_arguments == 1)
        return list(tool);
    if (strcmp(argument[0], "plug") == 0 && tool->nr_arguments == 3)
        rc = hostbus_plug(tool->dir, argument[1], argument[2], NULL, error);
    else if (strcmp(argument[0], "unplug") == 0 && tool->nr_arguments == 2)
        rc = hostbus_unplug(tool->dir, argument[1], error);
    else if (strcmp(argument[0], "move") == 0 && tool->nr_arguments == 3)
        rc = hostbus_move(tool->dir, argument[1], argument[2], error);
    else
        return usage_error("bus", "'pvusb bus %s' with %u argument(s) is none of: %s", argument[0],
                           tool->nr_arguments - 1, verb.arguments);
    return rc ? tool_failed(tool, rc, error) : EXIT_AS_EXPECTED;
}

int bus_cli(int argc, char **argv)
{
    struct tool tool;
    int code = tool_parse(&verb, argc, argv, &tool);
    if (code >= 0)
        return code;
    if (!tool.dir)
        return usage_error("bus", "a real host has a real bus: lsusb shows it");
    if (access(tool.dir, X_OK))
        return usage_error("bus", "%s: no fake Xen machine here; start one with 'pvusb host --dir %s'", tool.dir,
                           tool.dir);
    return run(&tool);
}
