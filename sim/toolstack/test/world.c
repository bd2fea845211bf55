// SPDX-License-Identifier: MIT
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/tree.h"
#include "vm/private.h"

void world_check(bool good, const char *what, int rc)
{
    if (good)
        return;
    printf("FAILED: %s: %s\n", what, strerror(rc < 0 ? -rc : 0));
    fflush(stdout);
    abort();
}

static void keep_line(struct world *world, const char *who, const char *line)
{
    snprintf(world->line[world->nr_lines++ % WORLD_LINES], WORLD_LINE_SIZE, "%10.3f %.16s: %.96s",
             (double)world->now_ns / 1e9, who, line);
}

static void log_backend(void *context, const char *line)
{
    keep_line(context, "backend", line);
}

static void log_guest(void *context, const char *line)
{
    const struct world_guest *guest = context;
    keep_line(guest->world, guest->domain.name, line);
}

void world_note(struct world *world, const char *format, ...)
{
    char line[97];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    keep_line(world, "--", line);
}

void world_print_log(const struct world *world, unsigned int lines)
{
    unsigned int at = world->nr_lines > lines ? world->nr_lines - lines : 0;
    if (world->nr_lines - at > WORLD_LINES)
        at = world->nr_lines - WORLD_LINES;
    for (; at < world->nr_lines; at++)
        printf("  %s\n", world->line[at % WORLD_LINES]);
}

struct world *world_create(uint64_t read)
{
    struct world *world = calloc(1, sizeof(*world));
    world_check(world != NULL, "memory", 0);
    world->read = read;
    world_check(tree_create(world->dir, sizeof(world->dir), "world") == 0, "a folder", 0);
    int rc = fakexen_local_create(&world->local);
    world_check(rc == 0, "a machine", rc);
    world->machine = fakexen_local_machine(world->local);
    rc = world->machine->ops->open(world->machine, 0, &world->dom0);
    world_check(rc == 0, "domain 0", rc);
    return world;
}

void world_destroy(struct world *world)
{
    const struct fakexen_balance none = {0};
    for (unsigned int i = 0; i < WORLD_GUESTS; i++)
        world_destroy_guest(world, i);
    world_run(world, 3);
    world_end_backend(world, false);
    xen_close(world->dom0);
    const struct fakexen_balance left = fakexen_local_balance(world->local);
    if (memcmp(&left, &none, sizeof(none)) != 0)
        printf("left: %u handles, %u pages, %u grants, %u maps, %u ports, %u watches, %u transactions\n",
               left.handles, left.pages, left.grants, left.maps, left.ports, left.watches, left.transactions);
    world_check(memcmp(&left, &none, sizeof(none)) == 0, "something of the machine is left open", 0);
    fakexen_local_destroy(world->local);
    tree_remove(world->dir);
    free(world);
}

/* ---- the backend ---- */

void world_start_backend(struct world *world)
{
    int rc = sim_host_create(&world->sim);
    world_check(rc == 0, "the host of devices", rc);
    const struct hostbus_follow_config follow = {
        .dir = world->dir, .host = world->sim, .log = log_backend, .context = world};
    const struct back_config config = {
        .host = sim_host_host(world->sim), .log = log_backend, .log_context = world};
    rc = hostbus_follow_create(&follow, &world->follow);
    world_check(rc == 0, "the physical bus", rc);
    rc = back_driver_create(world->machine, 0, &config, &world->driver);
    world_check(rc == 0, "the backend", rc);
}

void world_end_backend(struct world *world, bool killed)
{
    struct back *back;
    if (!world->driver)
        return;
    for (unsigned int i = 0; killed && (back = back_driver_connector(world->driver, i)); i++)
        fakexen_local_kill(back_xen(back));
    back_driver_destroy(world->driver);
    hostbus_follow_destroy(world->follow);
    sim_host_destroy(world->sim);
    world->driver = NULL;
    world->follow = NULL;
    world->sim = NULL;
}

static void step_backend(struct world *world)
{
    if (!world->driver)
        return;
    struct usb_host *usb = sim_host_host(world->sim);
    int rc = back_driver_step(world->driver, world->now_ns);
    world_check(rc == 0, "the backend", rc);
    rc = hostbus_follow_step(world->follow);
    world_check(rc == 0, "the bus", rc);
    usb->ops->step(usb, world->now_ns);
}

/* ---- guests ---- */

void world_start_process(struct world *world, unsigned int i)
{
    struct world_guest *guest = &world->guest[i];
    const struct vm_config config = {.machine = world->machine,
                                     .domid = guest->domain.domid,
                                     .dir = guest->older ? world->dir : NULL,
                                     .read = world->read,
                                     .traffic = true,
                                     .log = log_guest,
                                     .context = guest};
    int rc = vm_create(&config, &guest->vm);
    world_check(rc == 0, "a guest's process", rc);
}

static void make_guest(struct world *world, unsigned int i, bool older, bool hvm)
{
    struct world_guest *guest = &world->guest[i];
    char error[TOOL_ERROR_MAX];
    char dir[64];
    *guest = (struct world_guest){.world = world, .older = older};
    guest->domain.domid = ++world->last_domid;
    snprintf(guest->domain.name, sizeof(guest->domain.name), "guest_%u", i);
    int rc = world->machine->ops->domain_create(world->machine, guest->domain.domid);
    world_check(rc == 0, "a domain", rc);
    rc = tstore_name_domain(world->dom0, &guest->domain, hvm, error);
    world_check(rc == 0, error, rc);
    snprintf(dir, sizeof(dir), "/libxl/%u/hvm", guest->domain.domid);
    rc = hvm ? xenbus_write(world->dom0, XEN_XBT_NIL, dir, "usb", "1") : 0;
    world_check(rc == 0, dir, rc);
    world_start_process(world, i);
}

void world_create_guest(struct world *world, unsigned int i)
{
    make_guest(world, i, false, false);
}

void world_create_older_guest(struct world *world, unsigned int i, bool hvm)
{
    make_guest(world, i, true, hvm);
}

void world_kill_process(struct world *world, unsigned int i)
{
    struct vm *vm = world->guest[i].vm;
    for (struct vm_controller *c = vm->controllers; c; c = c->next)
        fakexen_local_kill(front_xen(c->front));
    fakexen_local_kill(vm->xen);
    if (vm->xen0)
        fakexen_local_kill(vm->xen0);
    vm_destroy(vm);
    world->guest[i].vm = NULL;
}

/* As 'pvusb guest-destroy' does. */
void world_destroy_guest(struct world *world, unsigned int i)
{
    struct world_guest *guest = &world->guest[i];
    if (!guest->domain.domid)
        return;
    int rc = tstore_forget_domain(world->dom0, guest->domain.domid);
    world_check(rc == 0, "forgetting a guest", rc);
    rc = world->machine->ops->domain_destroy(world->machine, guest->domain.domid);
    world_check(rc == 0, "the end of a domain", rc);
    vm_destroy(guest->vm);
    guest->vm = NULL;
    guest->domain.domid = 0;
}

static void step_guest(struct world *world, unsigned int i)
{
    if (!world->guest[i].vm)
        return;
    int rc = vm_step(world->guest[i].vm, world->now_ns);
    world_check(rc == 0, "a guest", rc);
}

void world_run(struct world *world, unsigned int rounds)
{
    while (rounds-- > 0) {
        const unsigned int first = world->round++ % (WORLD_GUESTS + 1);
        for (unsigned int i = 0; i <= WORLD_GUESTS; i++) {
            const unsigned int who = (first + i) % (WORLD_GUESTS + 1);
            if (who == WORLD_GUESTS)
                step_backend(world);
            else
                step_guest(world, who);
        }
        world->now_ns += WORLD_ROUND_NS;
    }
}

/* ---- xenstore as a whole ---- */

struct nodes {
    char *text;
    size_t size;
};

static void add_nodes(struct world *world, FILE *out, const char *path)
{
    char names[XEN_XS_PAYLOAD_MAX + 1];
    char value[XEN_XS_PAYLOAD_MAX + 1];
    const struct xen_ops *ops = world->dom0->ops;
    if (ops->xs_read(world->dom0, XEN_XBT_NIL, path, value, sizeof(value)) >= 0)
        fprintf(out, "%s = \"%s\"\n", path, value);
    ssize_t n = ops->xs_directory(world->dom0, XEN_XBT_NIL, path, names, sizeof(names) - 1);
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
        char child[XENBUS_PATH_MAX];
        snprintf(child, sizeof(child), "%s/%s", strcmp(path, "/") == 0 ? "" : path, names + at);
        add_nodes(world, out, child);
    }
}

char *world_nodes(struct world *world)
{
    struct nodes nodes = {NULL, 0};
    FILE *out = open_memstream(&nodes.text, &nodes.size);
    world_check(out != NULL, "memory", 0);
    add_nodes(world, out, "/");
    fclose(out);
    return nodes.text;
}
