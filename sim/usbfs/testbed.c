// SPDX-License-Identifier: MIT
#include "usbfs/testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "process/tree.h"
#include "usbfs/uevent.h"

#define PIPE_BYTES  4096
#define USB_MAJOR   189u
#define HUBS_SOCKET "/ioctl/hubs"

struct testbed {
    char dir[96]; /* with a node's name it fits struct sockaddr_un */
    unsigned int next_number[TESTBED_BUSES + 1];
    char hub[TESTBED_HUBS][64]; /* names of those that are there, "usb1" or "1-4" */
    unsigned int nr_hubs;
    int hubs_listener;
};

/* USB 2.0 sections 11.23.1 and 11.23.2: a hub, with one interface and its status endpoint. */
static const uint8_t hub_descriptors[] = {
    18, 1, 0x00, 0x02, 9, 0,      1, 64, 0x6b, 0x1d, 0x02, 0x00, 0x00, 0x01, 0,      0, 0,    1, 9, 2, 25, 0,
    1,  1, 0,    0xe0, 0, /**/ 9, 4, 0,  0,    1,    9,    0,    0,    0,    /**/ 7, 5, 0x81, 3, 4, 0, 12,
};

/* ---- files ---- */

/* Makes the folders that a file below the testbed lies in. */
static int make_folders(const char *path)
{
    char part[TESTBED_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0700) && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int __attribute__((format(printf, 3, 4)))
path_of(const struct testbed *testbed, char path[TESTBED_PATH_MAX], const char *format, ...)
{
    va_list args;
    int start = snprintf(path, TESTBED_PATH_MAX, "%s", testbed->dir);
    va_start(args, format);
    int n = vsnprintf(path + start, TESTBED_PATH_MAX - (size_t)start, format, args);
    va_end(args);
    if (n < 0 || (size_t)(start + n) >= TESTBED_PATH_MAX)
        return -ENAMETOOLONG;
    return make_folders(path);
}

static int write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = write(fd, bytes, n) == (ssize_t)n ? 0 : -EIO;
    close(fd);
    return rc;
}

static int attribute(const struct testbed *testbed, const char *sysfs, const char *name, const void *bytes,
                     size_t n)
{
    char path[TESTBED_PATH_MAX];
    int rc = path_of(testbed, path, "%s/%s", sysfs, name);
    return rc ? rc : write_file(path, bytes, n);
}

static int __attribute__((format(printf, 4, 5)))
text_attribute(const struct testbed *testbed, const char *sysfs, const char *name, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return attribute(testbed, sysfs, name, text, (size_t)n);
}

static int link_to(const struct testbed *testbed, const char *target, const char *path_below)
{
    char path[TESTBED_PATH_MAX];
    int rc = path_of(testbed, path, "%s", path_below);
    return rc || !symlink(target, path) || errno == EEXIST ? rc : -errno;
}

static void unlink_below(const struct testbed *testbed, const char *path_below)
{
    char path[TESTBED_PATH_MAX];
    if (!path_of(testbed, path, "%s", path_below))
        unlink(path);
}

/* ---- the node ---- */

static int make_gate(struct testbed *testbed, struct testbed_device *device)
{
    char path[TESTBED_PATH_MAX];
    int rc = path_of(testbed, path, "%s", device->node);
    if (rc)
        return rc;
    if (mkfifo(path, 0600))
        return -errno;
    device->gate = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->gate < 0)
        return -errno;
    /* One page makes shutting it cheap. Where it cannot be had it works all the same. */
    (void)fcntl(device->gate, F_SETPIPE_SZ, PIPE_BYTES);
    device->open = true;
    testbed_gate(device, false);
    return 0;
}

void testbed_gate(struct testbed_device *device, bool open)
{
    static const uint8_t filling[PIPE_BYTES];
    uint8_t drained[PIPE_BYTES];
    if (device->open == open)
        return;
    device->open = open;
    if (open) {
        while (read(device->gate, drained, sizeof(drained)) > 0)
            ;
    } else {
        while (write(device->gate, filling, sizeof(filling)) > 0)
            ;
    }
}

static int make_listener(const struct testbed *testbed, const char *place, int *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[TESTBED_PATH_MAX];
    int rc = path_of(testbed, path, "%s", place);
    if (rc)
        return rc;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*listener < 0)
        return -errno;
    if (bind(*listener, (const struct sockaddr *)&address, sizeof(address)) || listen(*listener, 8))
        return -errno;
    return 0;
}

/* ---- sysfs ---- */

static int describe(struct testbed *testbed, const struct testbed_device *device,
                    const struct testbed_about *about)
{
    static const char *const names[] = {"manufacturer", "product", "serial"};
    const uint8_t *descriptors = about->descriptors;
    char link[TESTBED_PATH_MAX];
    const char *sysfs = device->sysfs;
    const char *name = strrchr(sysfs, '/') + 1;
    unsigned int minor = (device->bus - 1) * 128 + device->number - 1;
    const char *dash = strchr(name, '-');
    int rc = attribute(testbed, sysfs, "descriptors", descriptors, about->length);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "uevent",
                            "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=usb_device\nSUBSYSTEM=usb\nDRIVER=usb\n"
                            "BUSNUM=%03u\nDEVNUM=%03u\n",
                            USB_MAJOR, minor, device->node + strlen("/dev/"), device->bus, device->number);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "busnum", "%u\n", device->bus);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "devnum", "%u\n", device->number);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "devpath", "%s\n", dash ? dash + 1 : "0");
    if (!rc)
        rc = text_attribute(testbed, sysfs, "speed", "%s\n", about->megabits);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "idVendor", "%02x%02x\n", descriptors[9], descriptors[8]);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "idProduct", "%02x%02x\n", descriptors[11], descriptors[10]);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "dev", "%u:%u\n", USB_MAJOR, minor);
    if (!rc)
        rc = text_attribute(testbed, sysfs, "bConfigurationValue", "%u\n",
                            descriptors[17] ? descriptors[18 + 5] : 0u);
    for (unsigned int i = 0; !rc && i < 3; i++) {
        if (about->names[i])
            rc = text_attribute(testbed, sysfs, names[i], "%s\n", about->names[i]);
    }
    snprintf(link, sizeof(link), "../../..%.400s", sysfs + strlen("/sys"));
    char place[TESTBED_PATH_MAX];
    snprintf(place, sizeof(place), "/sys/bus/usb/devices/%s", name);
    return rc ? rc : link_to(testbed, link, place);
}

/* What libudev and the preload library find by number. */
static int make_numbers(struct testbed *testbed, const struct testbed_device *device)
{
    char path[TESTBED_PATH_MAX];
    char target[TESTBED_PATH_MAX];
    unsigned int minor = (device->bus - 1) * 128 + device->number - 1;
    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", USB_MAJOR, minor);
    snprintf(target, sizeof(target), "../..%.400s", device->sysfs + strlen("/sys"));
    int rc = link_to(testbed, target, path);
    snprintf(target, sizeof(target), "%u:%u", USB_MAJOR, minor);
    snprintf(path, sizeof(path), "/dev/.node/bus_usb_%03u_%03u", device->bus, device->number);
    if (!rc)
        rc = link_to(testbed, target, path);
    snprintf(path, sizeof(path), "%.400s/subsystem", device->sysfs);
    char up[64] = "";
    for (const char *p = device->sysfs + strlen("/sys/"); (p = strchr(p, '/')); p++)
        strncat(up, "../", sizeof(up) - strlen(up) - 1);
    snprintf(target, sizeof(target), "%s../bus/usb", up);
    return rc ? rc : link_to(testbed, target, path);
}

static int make(struct testbed *testbed, const char *sysfs, unsigned int bus,
                const struct testbed_about *about, struct testbed_device *out)
{
    unsigned int *number = &testbed->next_number[bus];
    *out = (struct testbed_device){.bus = bus, .listener = -1, .gate = -1};
    if (*number >= 127)
        return -ENOSPC;
    out->number = ++*number;
    snprintf(out->sysfs, sizeof(out->sysfs), "%s", sysfs);
    snprintf(out->node, sizeof(out->node), "/dev/bus/usb/%03u/%03u", bus, out->number);
    int rc = describe(testbed, out, about);
    return rc ? rc : make_numbers(testbed, out);
}

/*
 * A hub is there to be seen. Opening it must not lead to a real one, and the preload library wants a socket
 * for every node: one serves all hubs.
 */
static int make_hub_node(struct testbed *testbed, const struct testbed_device *hub)
{
    char path[TESTBED_PATH_MAX];
    int rc = path_of(testbed, path, "%s", hub->node);
    if (!rc)
        rc = write_file(path, "", 0);
    if (!rc)
        rc = path_of(testbed, path, "%s", HUBS_SOCKET);
    char place[TESTBED_PATH_MAX];
    snprintf(place, sizeof(place), "/ioctl%s", hub->node);
    return rc ? rc : link_to(testbed, path, place);
}

/* Once there it stays. */
static int make_hub(struct testbed *testbed, const char *sysfs, unsigned int bus)
{
    static const struct testbed_about about = {
        .megabits = "480", .descriptors = hub_descriptors, .length = sizeof(hub_descriptors)};
    struct testbed_device hub;
    const char *name = strrchr(sysfs, '/') + 1;
    for (unsigned int i = 0; i < testbed->nr_hubs; i++) {
        if (strcmp(testbed->hub[i], name) == 0)
            return 0;
    }
    if (testbed->nr_hubs == TESTBED_HUBS)
        return -ENOSPC;
    int rc = make(testbed, sysfs, bus, &about, &hub);
    if (!rc)
        rc = make_hub_node(testbed, &hub);
    if (!rc)
        snprintf(testbed->hub[testbed->nr_hubs++], sizeof(testbed->hub[0]), "%.63s", name);
    return rc;
}

/* "1-4.3" is below "usb1" and "1-4". */
static int make_way(struct testbed *testbed, const char *busid, unsigned int bus,
                    char sysfs[TESTBED_PATH_MAX])
{
    size_t n = (size_t)snprintf(sysfs, TESTBED_PATH_MAX, "/sys/devices/usb%u", bus);
    int rc = make_hub(testbed, sysfs, bus);
    for (const char *dot = strchr(busid, '.'); !rc && dot; dot = strchr(dot + 1, '.')) {
        n += (size_t)snprintf(sysfs + n, TESTBED_PATH_MAX - n, "/%.*s", (int)(dot - busid), busid);
        rc = make_hub(testbed, sysfs, bus);
    }
    snprintf(sysfs + n, TESTBED_PATH_MAX - n, "/%s", busid);
    return rc;
}

/* ---- all of it ---- */

int testbed_create(struct testbed **out)
{
    struct testbed *testbed = calloc(1, sizeof(*testbed));
    char path[TESTBED_PATH_MAX];
    int rc;
    if (!testbed)
        return -ENOMEM;
    testbed->hubs_listener = -1;
    /* The longest name below is a socket's, "/ioctl/dev/bus/usb/001/002"; the library puts in another '/'. */
    rc = tree_create(testbed->dir, sizeof(((struct sockaddr_un *)0)->sun_path) - 28, "usbfs");
    if (rc)
        goto out;
    /* libudev wants to see these even when they are empty. */
    rc = path_of(testbed, path, "/sys/bus/usb/devices/");
    if (!rc)
        rc = path_of(testbed, path, "/sys/class/");
    if (!rc)
        rc = make_listener(testbed, HUBS_SOCKET, &testbed->hubs_listener);
    if (rc) {
        testbed_destroy(testbed);
        return rc;
    }
    *out = testbed;
    return 0;
out:
    free(testbed);
    return rc;
}

void testbed_destroy(struct testbed *testbed)
{
    if (!testbed)
        return;
    if (testbed->hubs_listener >= 0)
        close(testbed->hubs_listener);
    tree_remove(testbed->dir);
    free(testbed);
}

const char *testbed_dir(const struct testbed *testbed)
{
    return testbed->dir;
}

int testbed_hubs_listener(const struct testbed *testbed)
{
    return testbed->hubs_listener;
}

int testbed_add(struct testbed *testbed, const char *busid, const struct testbed_about *about,
                struct testbed_device *out)
{
    char sysfs[TESTBED_PATH_MAX];
    unsigned long bus = strtoul(busid, NULL, 10);
    *out = (struct testbed_device){.listener = -1, .gate = -1};
    if (bus < 1 || bus > TESTBED_BUSES)
        return -ENOSPC;
    int rc = make_way(testbed, busid, (unsigned int)bus, sysfs);
    if (!rc)
        rc = make(testbed, sysfs, (unsigned int)bus, about, out);
    if (!rc)
        rc = make_gate(testbed, out);
    char place[TESTBED_PATH_MAX];
    snprintf(place, sizeof(place), "/ioctl%s", out->node);
    if (!rc)
        rc = make_listener(testbed, place, &out->listener);
    if (rc) {
        testbed_remove(testbed, out);
        testbed_release(out);
    }
    return rc;
}

void testbed_set_configuration(struct testbed *testbed, const struct testbed_device *device, uint8_t value)
{
    /* As in Linux, nothing but an end of line when there is none. */
    (void)text_attribute(testbed, device->sysfs, "bConfigurationValue", value ? "%u\n" : "\n", value);
}

void testbed_tell(struct testbed *testbed, const struct testbed_device *device, const char *action)
{
    uevent_send(testbed->dir, device->sysfs + strlen("/sys"), action, device->node, device->bus,
                device->number);
}

void testbed_remove(struct testbed *testbed, struct testbed_device *device)
{
    char path[TESTBED_PATH_MAX];
    if (!device->sysfs[0])
        return;
    snprintf(path, sizeof(path), "/ioctl%s", device->node);
    unlink_below(testbed, path);
    unlink_below(testbed, device->node);
    snprintf(path, sizeof(path), "/dev/.node/bus_usb_%03u_%03u", device->bus, device->number);
    unlink_below(testbed, path);
    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", USB_MAJOR,
             (device->bus - 1) * 128 + device->number - 1);
    unlink_below(testbed, path);
    snprintf(path, sizeof(path), "/sys/bus/usb/devices/%.64s", strrchr(device->sysfs, '/') + 1);
    unlink_below(testbed, path);
    if (!path_of(testbed, path, "%s", device->sysfs))
        tree_remove(path);
    if (device->listener >= 0)
        close(device->listener);
    device->listener = -1;
}

void testbed_release(struct testbed_device *device)
{
    if (device->gate >= 0)
        close(device->gate);
    device->gate = -1;
}
