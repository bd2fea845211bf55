// SPDX-License-Identifier: MIT
/* A host of simulated devices that has what DIR/bus has. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/hostbus.h"
#include "cli/kinds.h"

struct hostbus_follow {
    struct hostbus_follow_config config;
    char dir[PATH_MAX];
    int fd;
    struct hostbus_device *devices; /* as it was at the last look, also what could not be made */
    unsigned int nr_devices;
};

static void say(const struct hostbus_follow *follow, const struct hostbus_device *device, const char *what)
{
    char line[HOSTBUS_ERROR_MAX];
    if (!follow->config.log)
        return;
    snprintf(line, sizeof(line), "bus: %s: %s", device->path, what);
    follow->config.log(follow->config.context, line);
}

static bool wanted(const struct hostbus_follow *follow, const struct hostbus_device *device)
{
    return !follow->config.mine || follow->config.mine(follow->config.context, device);
}

static const struct hostbus_device *same_plug(const struct hostbus_device *list, unsigned int count,
                                              const struct hostbus_device *device)
{
    for (unsigned int i = 0; i < count; i++) {
        if (list[i].serial == device->serial && strcmp(list[i].path, device->path) == 0)
            return &list[i];
    }
    return NULL;
}

/* A disk of a size is one of the file that has its blocks. */
static int plug(struct hostbus_follow *follow, const struct hostbus_device *device)
{
    char text[PATH_MAX + HOSTBUS_KIND_MAX];
    char error[KIND_ERROR_MAX];
    const char *script = strchr(device->kind, '!');
    if (device->device_class == DEVICE_HUB_CLASS)
        return 0; /* nobody may open one, so it need not be there */
    if (device->file[0])
        snprintf(text, sizeof(text), "%s=%.*s:%s/bus/%s%s", device->path, (int)strcspn(device->kind, ":"),
                 device->kind, follow->dir, device->file, script ? script : "");
    else
        snprintf(text, sizeof(text), "%s=%s", device->path, device->kind);
    int rc = kind_plug(follow->config.host, text, NULL, error);
    say(follow, device, rc ? error : device->name);
    return rc == -ENOMEM ? rc : 0;
}

/* What is no longer wanted leaves the list, so that it is new when it is wanted again. */
static unsigned int only_wanted(const struct hostbus_follow *follow, struct hostbus_device *list,
                                unsigned int count)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < count; i++) {
        if (wanted(follow, &list[i]))
            list[n++] = list[i];
    }
    return n;
}

int hostbus_follow_look(struct hostbus_follow *follow)
{
    struct hostbus_device *list;
    unsigned int count;
    int rc = hostbus_list(follow->dir, &list, &count);
    if (rc)
        return rc;
    count = only_wanted(follow, list, count);
    for (unsigned int i = 0; i < follow->nr_devices; i++) {
        const struct hostbus_device *device = &follow->devices[i];
        if (same_plug(list, count, device))
            continue;
        /* -ENODEV: one that could not be made, or that took itself off the bus */
        if (sim_host_unplug(follow->config.host, device->path) == 0)
            say(follow, device, "unplugged");
    }
    for (unsigned int i = 0; !rc && i < count; i++) {
        if (!same_plug(follow->devices, follow->nr_devices, &list[i]))
            rc = plug(follow, &list[i]);
    }
    free(follow->devices);
    follow->devices = list;
    follow->nr_devices = count;
    return rc;
}

int hostbus_follow_step(struct hostbus_follow *follow)
{
    char events[4096];
    bool any = false;
    while (read(follow->fd, events, sizeof(events)) > 0)
        any = true; /* what they say does not matter: the directory is looked at as it is */
    return any ? hostbus_follow_look(follow) : 0;
}

int hostbus_follow_create(const struct hostbus_follow_config *config, struct hostbus_follow **out)
{
    char name[PATH_MAX];
    struct hostbus_follow *follow = calloc(1, sizeof(*follow));
    if (!follow)
        return -ENOMEM;
    follow->config = *config;
    follow->fd = -1;
    int rc = realpath(config->dir, follow->dir) ? 0 : -errno;
    int n = rc ? 0 : snprintf(name, sizeof(name), "%s/bus", follow->dir);
    if (!rc && (size_t)n >= sizeof(name))
        rc = -ENAMETOOLONG;
    if (!rc && mkdir(name, 0700) && errno != EEXIST)
        rc = -errno;
    if (!rc)
        follow->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    /* The watch before the look: what comes in between is seen twice, not never. */
    if (!rc &&
        (follow->fd < 0 || inotify_add_watch(follow->fd, name, IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0))
        rc = -errno;
    if (!rc)
        rc = hostbus_follow_look(follow);
    if (rc) {
        hostbus_follow_destroy(follow);
        return rc;
    }
    *out = follow;
    return 0;
}

void hostbus_follow_destroy(struct hostbus_follow *follow)
{
    if (!follow)
        return;
    if (follow->fd >= 0)
        close(follow->fd);
    free(follow->devices);
    free(follow);
}

int hostbus_follow_fd(const struct hostbus_follow *follow)
{
    return follow->fd;
}
