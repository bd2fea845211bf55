// SPDX-License-Identifier: MIT
#include "xenbus/xenbus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TRIES 4u

static int join(char path[XENBUS_PATH_MAX], const char *dir, const char *node)
{
    int n = snprintf(path, XENBUS_PATH_MAX, "%s/%s", dir, node);
    return n < 0 || (unsigned int)n >= XENBUS_PATH_MAX ? -E2BIG : 0;
}

int xenbus_read(struct xen *xen, xen_transaction t, const char *dir, const char *node, char value[XENBUS_VALUE_MAX])
{
    char path[XENBUS_PATH_MAX];
    int rc = join(path, dir, node);
    if (rc)
        return rc;
    ssize_t n = -ENOMEM;
    for (unsigned int i = 0; i < TRIES && n == -ENOMEM; i++)
        n = xen->ops->xs_read(xen, t, path, value, XENBUS_VALUE_MAX);
    if (n < 0)
        return (int)n;
    return strlen(value) == (size_t)n ? 0 : -EINVAL; /* a NUL inside */
}

static int parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    if (!*text)
        return -EINVAL;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > max)
            return -EINVAL;
    }
    if (value < min)
        return -EINVAL;
    *out = (uint32_t)value;
    return 0;
}

int xenbus_read_number(struct xen *xen, xen_transaction t, const char *dir, const char *node, uint32_t min,
                       uint32_t max, uint32_t *out)
{
    char value[XENBUS_VALUE_MAX];
    int rc = xenbus_read(xen, t, dir, node, value);
    return rc ? rc : parse_number(value, min, max, out);
}

int xenbus_write(struct xen *xen, xen_transaction t, const char *dir, const char *node, const char *format, ...)
{
    char path[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    va_list args;
    int rc = join(path, dir, node);
    if (rc)
        return rc;
    va_start(args, format);
    int n = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(value))
        return -E2BIG;
    rc = -ENOMEM;
    for (unsigned int i = 0; i < TRIES && rc == -ENOMEM; i++)
        rc = xen->ops->xs_write(xen, t, path, value, (size_t)n);
    return rc;
}

enum xenbus_state xenbus_state_read(struct xen *xen, const char *dir)
{
    uint32_t state;
    if (xenbus_read_number(xen, XEN_XBT_NIL, dir, "state", 0, XenbusStateReconfigured, &state))
        return XenbusStateUnknown;
    return (enum xenbus_state)state;
}

int xenbus_state_write(struct xen *xen, const char *dir, enum xenbus_state state)
{
    return xenbus_write(xen, XEN_XBT_NIL, dir, "state", "%d", (int)state);
}

/* The look and the write as one. -ENOENT is an answer, any other error only says that it could not be done so. */
static int write_while_there(struct xen *xen, const char *dir, const char *where, const char *node, const char *text)
{
    char value[XENBUS_VALUE_MAX];
    unsigned int tries = 0;
    int rc;
    do {
        xen_transaction t;
        rc = xen->ops->xs_begin(xen, &t);
        if (rc)
            return rc;
        ssize_t n = xen->ops->xs_read(xen, t, dir, value, sizeof(value));
        rc = n < 0 && n != -ERANGE ? (int)n : xenbus_write(xen, t, where, node, "%s", text);
        int end = xen->ops->xs_end(xen, t, rc != 0);
        rc = rc ? rc : end;
    } while (rc == -EAGAIN && ++tries < TRIES);
    return rc;
}

int xenbus_state_change(struct xen *xen, const char *dir, enum xenbus_state state)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", (int)state);
    int rc = write_while_there(xen, dir, dir, "state", text);
    return rc == 0 || rc == -ENOENT || rc == -EPIPE ? rc : xenbus_state_write(xen, dir, state);
}

const char *xenbus_state_name(enum xenbus_state state)
{
    static const char *const names[] = {"Unknown", "Initialising", "InitWait",      "Initialised",  "Connected",
                                        "Closing", "Closed",       "Reconfiguring", "Reconfigured"};
    return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "Unknown";
}

void xenbus_error(struct xen *xen, const char *dir, int error, const char *text)
{
    char home[64];
    char where[XENBUS_PATH_MAX];
    char value[XENBUS_VALUE_MAX];
    int n = snprintf(home, sizeof(home), "/local/domain/%u/", xen->domid);
    const char *tail = n > 0 && strncmp(dir, home, (size_t)n) == 0 ? dir + n : dir;
    n = snprintf(where, sizeof(where), "error/%s", tail);
    if (n < 0 || (size_t)n >= sizeof(where))
        return;
    snprintf(value, sizeof(value), "%d %s", error < 0 ? -error : error, text);
    /* Nobody depends on the node: failing to write it changes nothing. */
    int rc = write_while_there(xen, dir, where, "error", value);
    if (rc && rc != -ENOENT && rc != -EPIPE)
        (void)xenbus_write(xen, XEN_XBT_NIL, where, "error", "%s", value);
}
