/* SPDX-License-Identifier: MIT */
/*
 * Xenbus: reading and writing the nodes of a device's directory, as both halves do.
 * A path is a directory and a node below it. Numbers are read strictly: decimal
 * digits only, nothing before or after, within a bound (rules XS-06, XS-07, XS-12).
 */
#ifndef SIM_XENBUS_XENBUS_H
#define SIM_XENBUS_XENBUS_H

#include <fakexen/xen_ops.h>
#include <xen/io/xenbus.h>

#define XENBUS_PATH_MAX  256u
#define XENBUS_VALUE_MAX 256u

/* How often a transaction that meets a conflict is tried; beyond that whoever disturbs it is no accident. */
#define XENBUS_TRANSACTION_TRIES 64u

/* Reading and writing a node is tried again, a few times, when xenstored has no memory for it: that passes. */

/* Reads a node into value; a value longer than that is -ERANGE. Returns 0 or -errno. */
int xenbus_read(struct xen *xen, xen_transaction t, const char *dir, const char *node, char value[XENBUS_VALUE_MAX]);
/* -EINVAL when the value is not a number in min..max. */
int xenbus_read_number(struct xen *xen, xen_transaction t, const char *dir, const char *node, uint32_t min,
                       uint32_t max, uint32_t *out);
int xenbus_write(struct xen *xen, xen_transaction t, const char *dir, const char *node, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* XenbusStateUnknown when the node is missing or is not one of the nine states. */
enum xenbus_state xenbus_state_read(struct xen *xen, const char *dir);
int xenbus_state_write(struct xen *xen, const char *dir, enum xenbus_state state);
/*
 * The same for who may make nodes there, as a backend may: a directory that the toolstack removes at this moment does
 * not come back with a state in it (as in Linux; -ENOENT).
 */
int xenbus_state_change(struct xen *xen, const char *dir, enum xenbus_state state);
/* "Connected" and so on. */
const char *xenbus_state_name(enum xenbus_state state);

/*
 * Puts "<errno> <text>" where Linux puts it: error/<dir below the domain's home>/error (rule XS-19); nothing of a
 * directory that is gone, as nobody would remove it any more.
 */
void xenbus_error(struct xen *xen, const char *dir, int error, const char *text);

#endif
