// SPDX-License-Identifier: MIT
/* Finds connectors in xenstore and keeps a struct back for each. */
#include "backend/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fakexen/waitset.h>

#include "backend/private.h"

#define CONNECTORS_MAX 1024u
#define LOOKS_MAX      16u /* then the next watch is waited for */

static const char *const kinds[] = {"qusb", "vusb"};

struct connector {
    struct back *back;
    const char *kind;
    domid_t frontend;
    unsigned int devid;
};

struct back_driver {
    struct xen_machine *machine;
    struct xen *xen;
    struct back_config config;
    struct connector *connector;
    unsigned int nr_connectors;
    bool domains; /* to be looked at: something changed, or the last look did not see everything */
    bool devices;
    unsigned int looks; /* in a row that did not see everything */
};

static bool known(const struct back_driver *driver, const char *kind, domid_t frontend, unsigned int devid)
{
    for (unsigned int i = 0; i < driver->nr_connectors; i++) {
        const struct connector *c = &driver->connector[i];
        if (c->kind == kind && c->frontend == frontend && c->devid == devid)
            return true;
    }
    return false;
}

/* What may be better at the next look, without anybody writing a node. */
static bool passes(int rc)
{
    return rc == -ENOMEM || rc == -ENOSPC || rc == -EMFILE || rc == -ENFILE;
}

/* One connector that cannot be had must not take the others down (rule SEC-16). */
static int cannot_serve(struct back_driver *driver, const char *kind, domid_t frontend, unsigned int devid,
                        int rc)
{
    char line[128];
    if (rc == -EPIPE)
        return rc;
    driver->devices = driver->devices || passes(rc);
    if (driver->looks > 0)
        return 0; /* said before */
    snprintf(line, sizeof(line), "%s-%u-%u: cannot be served: %s", kind, frontend, devid, strerror(-rc));
    if (driver->config.log && !driver->config.quiet)
        driver->config.log(driver->config.log_context, line);
    return 0;
}

static int add_connector(struct back_driver *driver, const char *kind, domid_t frontend, unsigned int devid)
{
    struct back_config config = driver->config;
    struct xen *xen;
    struct back *back;
    if (known(driver, kind, frontend, devid))
        return 0;
    if (driver->nr_connectors == CONNECTORS_MAX)
        return cannot_serve(driver, kind, frontend, devid, -ENOSPC);
    struct connector *grown = realloc(driver->connector, (driver->nr_connectors + 1) * sizeof(*grown));
    if (!grown)
        return cannot_serve(driver, kind, frontend, devid, -ENOMEM);
    driver->connector = grown;
    int rc = xen_waitset_open(driver->config.set, driver->machine, driver->xen->domid, &xen);
    if (rc)
        return cannot_serve(driver, kind, frontend, devid, rc);
    config.kind = kind;
    config.frontend = frontend;
    config.devid = devid;
    rc = back_create(xen, &config, &back);
    if (rc) {
        xen_close(xen);
        /* -ENOENT: not written yet, and the watch comes again */
        return rc == -ENOENT ? 0 : cannot_serve(driver, kind, frontend, devid, rc);
    }
    grown[driver->nr_connectors++] =
        (struct connector){.back = back, .kind = kind, .frontend = frontend, .devid = devid};
    return 0;
}

static int parse_id(const char *name, unsigned int max, unsigned int *out)
{
    char *end;
    if (*name < '0' || *name > '9')
        return -EINVAL;
    unsigned long value = strtoul(name, &end, 10);
    if (*end || value > max)
        return -EINVAL;
    *out = (unsigned int)value;
    return 0;
}

/* Calls found() for every child of a directory that is a number. */
static int each_number(struct back_driver *driver, const char *dir, unsigned int max,
                       int (*found)(struct back_driver *driver, const char *dir, unsigned int number))
{
    char names[XEN_XS_PAYLOAD_MAX];
    ssize_t n = driver->xen->ops->xs_directory(driver->xen, XEN_XBT_NIL, dir, names, sizeof(names));
    int rc = 0;
    if (n < 0)
        return n == -EPIPE || n == -ENOMEM ? (int)n : 0; /* nobody there, or more than xenstore lets us read */
    for (const char *name = names; !rc && name < names + n; name += strlen(name) + 1) {
        unsigned int number;
        if (!parse_id(name, max, &number))
            rc = found(driver, dir, number);
    }
    return rc;
}

static int found_device(struct back_driver *driver, const char *dir, unsigned int devid)
{
    unsigned int frontend = (unsigned int)strtoul(strrchr(dir, '/') + 1, NULL, 10);
    for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(dir + strlen("backend/"), kinds[i], strlen(kinds[i])) == 0)
            return add_connector(driver, kinds[i], (domid_t)frontend, devid);
    }
    return 0;
}

static int found_frontend(struct back_driver *driver, const char *dir, unsigned int frontend)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%u", dir, frontend);
    return each_number(driver, path, 65535, found_device);
}

/* Tells the toolstack that this domain serves qusb (rule XS-16). */
static int announce(struct back_driver *driver, const char *dir, unsigned int domid)
{
    char path[64];
    (void)dir;
    if (domid == driver->xen->domid)
        return 0;
    snprintf(path, sizeof(path), "device-model/%u/backends/qusb", domid);
    int rc = driver->xen->ops->xs_mkdir(driver->xen, XEN_XBT_NIL, path);
    return rc == -EPIPE || rc == -ENOMEM ? rc : 0; /* a domain that went meanwhile */
}

static int look(struct back_driver *driver)
{
    bool domains = driver->domains;
    bool devices = driver->devices;
    char path[32];
    driver->domains = false;
    driver->devices = false;
    int rc = domains ? each_number(driver, "/local/domain", DOMID_FIRST_RESERVED - 1, announce) : 0;
    driver->domains = rc == -ENOMEM;
    for (unsigned int i = 0; devices && rc != -EPIPE && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(path, sizeof(path), "backend/%s", kinds[i]);
        rc = each_number(driver, path, DOMID_FIRST_RESERVED - 1, found_frontend);
        driver->devices = driver->devices || rc == -ENOMEM;
    }
    return rc == -EPIPE ? rc : 0;
}

static int take_watches(struct back_driver *driver)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    bool any = false;
    int rc;
    while (!(rc = driver->xen->ops->xs_watch_read(driver->xen, path, token))) {
        any = true;
        driver->domains = driver->domains || strcmp(token, "domains") == 0;
        driver->devices = driver->devices || strcmp(token, "devices") == 0;
    }
    if (rc == -EPIPE)
        return rc; /* anything else: what is waiting is for the next step */
    if (any)
        driver->looks = 0;
    if (driver->looks == LOOKS_MAX)
        return 0;
    rc = look(driver);
    driver->looks = driver->domains || driver->devices ? driver->looks + 1 : 0;
    return rc;
}

int back_driver_create(struct xen_machine *machine, domid_t domid, const struct back_config *config,
                       struct back_driver **out)
{
    int rc;
    struct back_driver *driver = calloc(1, sizeof(*driver));
    if (!driver)
        return -ENOMEM;
    driver->machine = machine;
    driver->config = *config;
    rc = xen_waitset_open(config->set, machine, domid, &driver->xen);
    if (rc)
        goto out;
    rc = driver->xen->ops->xs_watch(driver->xen, "@introduceDomain", "domains");
    for (unsigned int i = 0; !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char path[32];
        snprintf(path, sizeof(path), "backend/%s", kinds[i]);
        rc = driver->xen->ops->xs_watch(driver->xen, path, "devices");
    }
out:
    if (rc)
        back_driver_destroy(driver);
    else
        *out = driver;
    return rc;
}

void back_driver_destroy(struct back_driver *driver)
{
    if (!driver)
        return;
    for (unsigned int i = 0; i < driver->nr_connectors; i++)
        back_destroy(driver->connector[i].back);
    free(driver->connector);
    xen_close(driver->xen);
    free(driver);
}

/* A device that one connector gave up may be what another waits for, also one that was stepped before it. */
static void pass_devices_on(struct back_driver *driver, bool released)
{
    for (unsigned int i = 0; i < driver->nr_connectors; i++) {
        released = released || driver->connector[i].back->released;
        driver->connector[i].back->released = false;
    }
    for (unsigned int i = 0; released && i < driver->nr_connectors; i++) {
        enum xenbus_state state = back_state(driver->connector[i].back);
        if (state == XenbusStateInitWait || state == XenbusStateConnected)
            back_fill_ports(driver->connector[i].back);
    }
}

int back_driver_step(struct back_driver *driver, uint64_t now_ns)
{
    bool released = false;
    int waits = xen_waitset_has(driver->xen) ? xen_waiting(driver->xen) : 0;
    int rc = waits < 0 ? waits : 0;
    if (waits & XEN_WAITS_WATCH || driver->domains || driver->devices)
        rc = rc ? rc : take_watches(driver);
    for (unsigned int i = 0; !rc && i < driver->nr_connectors;) {
        struct back *back = driver->connector[i].back;
        if (!back->busy && !back->polled && !xen_waitset_has(back->xen)) {
            i++;
            continue;
        }
        rc = back_step(back, now_ns);
        if (rc != -ENOENT) {
            i++;
            continue;
        }
        rc = 0;
        back_destroy(back); /* the toolstack removed it */
        driver->connector[i] = driver->connector[--driver->nr_connectors];
        released = true;
    }
    if (!rc)
        pass_devices_on(driver, released);
    return rc;
}

bool back_driver_busy(const struct back_driver *driver)
{
    if ((driver->domains || driver->devices) && driver->looks < LOOKS_MAX)
        return true;
    for (unsigned int i = 0; i < driver->nr_connectors; i++) {
        if (back_busy(driver->connector[i].back))
            return true;
    }
    return false;
}

void back_driver_poll(struct back_driver *driver)
{
    for (unsigned int i = 0; i < driver->nr_connectors; i++) {
        if (back_pending(driver->connector[i].back))
            back_poll(driver->connector[i].back);
    }
}

bool back_driver_pending(const struct back_driver *driver)
{
    for (unsigned int i = 0; i < driver->nr_connectors; i++) {
        if (back_pending(driver->connector[i].back))
            return true;
    }
    return false;
}

struct back *back_driver_connector(struct back_driver *driver, unsigned int i)
{
    return i < driver->nr_connectors ? driver->connector[i].back : NULL;
}

unsigned int back_driver_fds(struct back_driver *driver, int *fds, unsigned int size)
{
    for (unsigned int i = 0; i <= driver->nr_connectors && i < size; i++) {
        struct xen *xen = i == 0 ? driver->xen : back_xen(driver->connector[i - 1].back);
        fds[i] = xen->ops->fd(xen);
    }
    return driver->nr_connectors + 1;
}
