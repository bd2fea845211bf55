// SPDX-License-Identifier: MIT
/* What goes through the ports of all guests, again and again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/guest_files.h"
#include "cli/tool_cli.h"
#include "process/loop.h"
#include "toolstack/attach.h"
#include "toolstack/owner.h"

static const struct tool_verb verb = {
    .name = "top",
    .arguments = "",
    .options = TOOL_TOP,
    .help = "Guests, their ports and devices, and what goes through each: URBs and megabytes in a second,\n"
            "as the guests' processes count them. On a terminal until Ctrl-C, else once. A guest\n"
            "without a process of 'pvusb guest-create' is not counted and has '-', as have devices on\n"
            "emulated controllers and on those that a guest has as a whole ('bus N').\n",
};

struct snapshot {
    int nr_domains;
    struct tstore_domain domain[STORE_DOMAINS_MAX];
    struct guest_usage usage[STORE_DOMAINS_MAX]; /* time 0: does not count */
};

struct rate {
    bool known;
    double urbs;
    double megabytes;
};

static int take(const struct tool *tool, struct snapshot *out)
{
    out->nr_domains = tstore_domains(tool->xen0, XEN_XBT_NIL, out->domain);
    for (int i = 0; i < out->nr_domains; i++) {
        const struct tstore_domain *domain = &out->domain[i];
        out->usage[i] = (struct guest_usage){.time_ns = 0};
        if (domain->domid && guest_pid(tool->dir, domain->name) &&
            guest_usage_read(tool->dir, domain->name, &out->usage[i]) != 0)
            out->usage[i].time_ns = 1; /* it has had nothing to count yet */
    }
    return out->nr_domains < 0 ? out->nr_domains : 0;
}

static const struct guest_usage *usage_of(const struct snapshot *snapshot, unsigned int domid)
{
    for (int i = 0; i < snapshot->nr_domains; i++) {
        if (snapshot->domain[i].domid == domid)
            return snapshot->usage[i].time_ns ? &snapshot->usage[i] : NULL;
    }
    return NULL;
}

static struct vm_usage port_of(const struct guest_usage *usage, unsigned int devid, unsigned int port)
{
    for (unsigned int i = 0; usage && i < usage->count; i++) {
        if (usage->port[i].devid == devid && usage->port[i].port == port)
            return usage->port[i];
    }
    return (struct vm_usage){.urbs = 0};
}

/* A guest that counted nothing since is at rest; counters that went back are of another process. */
static struct rate rate_of(const struct guest_usage *old, const struct guest_usage *new, unsigned int devid,
                           unsigned int port)
{
    const struct vm_usage before = port_of(old, devid, port);
    const struct vm_usage now = port_of(new, devid, port);
    struct rate rate = {.known = old && new};
    if (!rate.known || new->time_ns <= old->time_ns || old->time_ns == 1 || now.urbs < before.urbs ||
        now.bytes < before.bytes)
        return rate;
    const double seconds = (double)(new->time_ns - old->time_ns) / 1e9;
    rate.urbs = (double)(now.urbs - before.urbs) / seconds;
    rate.megabytes = (double)(now.bytes - before.bytes) / seconds / 1e6;
    return rate;
}

static void print_rate(struct rate rate)
{
    if (rate.known)
        printf(" %9.0f %9.2f", rate.urbs, rate.megabytes);
    else
        printf(" %9s %9s", "-", "-");
}

static const char *name_of(const struct snapshot *snapshot, unsigned int domid)
{
    for (int i = 0; i < snapshot->nr_domains; i++) {
        if (snapshot->domain[i].domid == domid)
            return snapshot->domain[i].name;
    }
    return "?";
}

static struct rate print_controller(const struct tool *tool, const struct snapshot *old,
                                    const struct snapshot *new, const struct tstore_controller *c,
                                    unsigned int *devices)
{
    struct rate sum = {.known = true};
    for (unsigned int port = 1; port <= c->c.num_ports; port++) {
        struct hostbus_device device;
        if (!c->port[port][0])
            continue;
        const struct rate rate =
            rate_of(usage_of(old, c->c.frontend), usage_of(new, c->c.frontend), c->c.devid, port);
        const bool there = hostbus_find(tool->dir, c->port[port], &device) == 0;
        printf("%-16.16s %10u %4u %-10s", name_of(new, c->c.frontend), c->c.devid, port, c->port[port]);
        print_rate(rate);
        printf("  %s\n", there ? device.name : "not plugged in");
        sum.urbs += rate.urbs;
        sum.megabytes += rate.megabytes;
        *devices += there;
    }
    return sum;
}

struct sums {
    unsigned int controllers;
    unsigned int devices;
};

static void print_other(const char *guest, const char *controller, unsigned int port, const char *place,
                        const char *name)
{
    char number[16] = "-";
    if (port)
        snprintf(number, sizeof(number), "%u", port);
    printf("%-16.16s %10s %4s %-10s", guest, controller, number, place);
    print_rate((struct rate){.known = false});
    printf("  %s\n", name);
}

static int print_emulated(const struct tool *tool, const struct tstore_domain *guest, struct sums *sums)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    int rc = tstore_emulated(tool->xen0, XEN_XBT_NIL, guest->domid, devices);
    if (rc || !tstore_has_emulated(tool->xen0, guest->domid))
        return rc;
    sums->controllers++;
    for (unsigned int i = 1; i <= EMULATED_PORTS; i++) {
        const struct tstore_emulated *e = &devices[i];
        const bool own = strcmp(e->busid, "-") == 0;
        struct hostbus_device device;
        if (!e->busid[0])
            continue;
        const bool there = own || hostbus_find(tool->dir, e->busid, &device) == 0;
        print_other(guest->name, "emulated", i, e->busid,
                    own     ? e->spec
                    : there ? device.name
                            : "not plugged in");
        sums->devices += there;
    }
    return 0;
}

static int print_passed(const struct tool *tool, const struct tstore_domain *guest,
                        const struct hostbus_device *devices, unsigned int count, struct sums *sums)
{
    unsigned int buses[OWNER_BUS_MAX];
    char controller[16];
    int passed = tstore_buses_of(tool->xen0, XEN_XBT_NIL, guest->domid, buses);
    for (int i = 0; i < passed; i++) {
        sums->controllers++;
        snprintf(controller, sizeof(controller), "bus %u", buses[i]);
        for (unsigned int d = 0; d < count; d++) {
            if (devices[d].bus != buses[i] || devices[d].device_class == DEVICE_HUB_CLASS)
                continue;
            print_other(guest->name, controller, 0, devices[d].path, devices[d].name);
            sums->devices++;
        }
    }
    return passed < 0 ? passed : 0;
}

static int print_others(const struct tool *tool, const struct snapshot *new, struct sums *sums)
{
    struct hostbus_device *devices;
    unsigned int count;
    int rc = hostbus_list(tool->dir, &devices, &count);
    if (rc)
        return rc;
    for (int i = 0; !rc && i < new->nr_domains; i++) {
        rc = print_emulated(tool, &new->domain[i], sums);
        if (!rc)
            rc = print_passed(tool, &new->domain[i], devices, count, sums);
    }
    free(devices);
    return rc;
}

static int print(const struct tool *tool, const struct snapshot *old, const struct snapshot *new)
{
    struct tstore_controllers all;
    struct rate sum = {.known = true};
    struct sums sums = {0};
    int rc = tstore_controllers(tool->xen0, XEN_XBT_NIL, STORE_ANY, &all);
    if (rc)
        return rc;
    if (isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    printf("%-16s %10s %4s %-10s %9s %9s  %s\n", "Guest", "Controller", "Port", "Place", "URB/s", "MB/s",
           "Device");
    for (unsigned int i = 0; i < all.count; i++) {
        const struct rate rate = print_controller(tool, old, new, &all.list[i], &sums.devices);
        sum.urbs += rate.urbs;
        sum.megabytes += rate.megabytes;
    }
    sums.controllers += all.count;
    tstore_controllers_free(&all);
    rc = print_others(tool, new, &sums);
    printf("%d guests, %u controllers, %u devices, %.0f URB/s, %.2f MB/s\n", new->nr_domains - 1,
           sums.controllers, sums.devices, sum.urbs, sum.megabytes);
    fflush(stdout);
    return rc;
}

/* count 0: until a signal. */
static int watch(const struct tool *tool, struct snapshot *snapshots, int signals)
{
    struct snapshot *old = &snapshots[0];
    struct snapshot *new = &snapshots[1];
    const uint64_t count = tool->count || isatty(STDOUT_FILENO) ? tool->count : 1;
    uint64_t due_ns = loop_now_ns();
    int rc = take(tool, old);
    for (uint64_t i = 0; !rc && (!count || i < count); i++) {
        struct loop loop;
        loop_clear(&loop);
        loop_add(&loop, signals);
        due_ns += tool->interval_ms * 1000000;
        while (!rc && !loop_ready(&loop, signals) && loop_now_ns() < due_ns)
            rc = loop_wait(&loop, due_ns);
        if (rc || loop_ready(&loop, signals))
            return rc;
        rc = take(tool, new);
        if (!rc)
            rc = print(tool, old, new);
        struct snapshot *swap = old;
        old = new;
        new = swap;
    }
    return rc;
}

int top_cli(int argc, char **argv)
{
    struct tool tool;
    int code = tool_parse(&verb, argc, argv, &tool);
    if (code < 0 && !tool.dir)
        code = usage_error(verb.name, "guests of a real Xen do not count");
    if (code < 0)
        code = tool_connect(&tool);
    if (code < 0) {
        struct snapshot *snapshots = calloc(2, sizeof(*snapshots));
        int signals = loop_signal_fd();
        int rc = snapshots ? watch(&tool, snapshots, signals) : -ENOMEM;
        code = rc ? tool_failed(&tool, rc, strerror(-rc)) : EXIT_AS_EXPECTED;
        free(snapshots);
        if (signals >= 0)
            close(signals);
    }
    tool_close(&tool);
    return code;
}
