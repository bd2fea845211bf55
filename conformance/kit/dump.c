/* SPDX-License-Identifier: MIT */
/* xenstore as it stood when a case failed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "back_private.h"
#include "front_private.h"
#include "log.h"

#define DEPTH_MAX 6u

struct dump {
    struct xen *xen;
    char *text;
    size_t used;
};

static void print(struct dump *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(struct dump *d, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(d->text + d->used, KIT_STORE - d->used, format, args);
    va_end(args);
    if (n > 0)
        d->used = d->used + (size_t)n < KIT_STORE ? d->used + (size_t)n : KIT_STORE - 1;
}

/* What a peer wrote may be anything. */
static void print_value(struct dump *d, const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] >= ' ' && value[i] <= '~' && value[i] != '"' && value[i] != '\\')
            print(d, "%c", value[i]);
        else
            print(d, "\\x%02x", (unsigned char)value[i]);
}

static void print_node(struct dump *d, const char *path, const char *name, unsigned int depth);

/* By name: the order in xenstore is that of creation. */
static void print_children(struct dump *d, const char *path, unsigned int depth)
{
    char names[XEN_XS_PAYLOAD_MAX], child[XEN_XS_PATH_MAX + 1];
    ssize_t size = d->xen->ops->xs_directory(d->xen, XEN_XBT_NIL, path, names, sizeof(names));
    const char *last = "";

    while (size > 0 && depth < DEPTH_MAX) {
        const char *next = NULL;

        for (const char *p = names; p < names + size; p += strlen(p) + 1)
            if (strcmp(p, last) > 0 && (!next || strcmp(p, next) < 0))
                next = p;
        if (!next || (size_t)snprintf(child, sizeof(child), "%s/%s", path, next) >= sizeof(child))
            return;
        print_node(d, child, next, depth + 1);
        last = next;
    }
}

static void print_node(struct dump *d, const char *path, const char *name, unsigned int depth)
{
    char value[XEN_XS_PAYLOAD_MAX + 1];
    ssize_t n = d->xen->ops->xs_read(d->xen, XEN_XBT_NIL, path, value, sizeof(value));

    print(d, "%*s%s", (int)depth * 2, "", name);
    if (n < 0) {
        print(d, ": %s\n", strerror((int)-n));
        return;
    }
    print(d, " = \"");
    print_value(d, value, (size_t)n);
    print(d, "\"\n");
    print_children(d, path, depth);
}

static void print_end(struct dump *d, const char *dir)
{
    if (*dir)
        print_node(d, dir, dir, 0);
}

void kit_dump_store(struct conform *t)
{
    struct dump d = {.text = t->log->store};
    struct xen_machine *machine = t->peer->ops->machine ? t->peer->ops->machine(t->peer) : NULL;
    struct xen *opened = NULL;

    if (machine && machine->ops->open(machine, 0, &opened) != 0)
        opened = NULL;
    for (unsigned int i = 0; i < t->nr_fronts; i++) {
        d.xen = opened ? opened : t->front[i]->xen;
        if (!d.xen)
            continue;
        print_end(&d, t->front[i]->backend_dir);
        print_end(&d, t->front[i]->dir);
    }
    d.xen = opened ? opened : t->back ? t->back->xen : NULL;
    if (t->back && d.xen) {
        print_end(&d, t->back->dir);
        print_end(&d, t->back->frontend_dir);
    }
    xen_close(opened);
}
