// SPDX-License-Identifier: MIT
/* Plugging in and out: files of DIR/bus come and go, under a lock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/hostbus.h"
#include "cli/kinds.h"
#include "cli/numbers.h"

#define BUSES_MAX    100u
#define ADDRESSES    128u
#define DISK_DEFAULT "16M"

/* What a writer knows while it has the lock. */
struct change {
    const char *dir;
    char *error;
    int lock;
    uint64_t serial;                /* of the next plug */
    unsigned int next[BUSES_MAX];   /* address of each bus; 0: none was ever given */
    struct hostbus_device *devices; /* as it was when the lock was taken */
    unsigned int nr_devices;
};

static int __attribute__((format(printf, 3, 4))) refuse(char *error, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, HOSTBUS_ERROR_MAX, format, args);
    va_end(args);
    for (char *p = error; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?'; /* of what somebody wrote: a refusal is one line */
    }
    return rc;
}

static void name_of(const struct change *change, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/bus/%s", change->dir, name);
}

/* ---- the lock, and what is counted ---- */

static void read_counts(struct change *change)
{
    char name[PATH_MAX];
    unsigned int bus, next;
    name_of(change, ".counts", name);
    FILE *file = fopen(name, "re");
    change->serial = 1;
    if (!file)
        return;
    if (fscanf(file, "%" SCNu64, &change->serial) != 1)
        change->serial = 1;
    while (fscanf(file, "%u %u", &bus, &next) == 2) {
        if (bus < BUSES_MAX && next < ADDRESSES)
            change->next[bus] = next;
    }
    fclose(file);
    /* A file that somebody made shorter must not give a number twice. */
    for (unsigned int i = 0; i < change->nr_devices; i++) {
        if (change->devices[i].serial >= change->serial)
            change->serial = change->devices[i].serial + 1;
    }
}

/* Under another name first: who reads sees all of it or nothing. */
static int put_file(const struct change *change, const char *name, const char *text)
{
    char to[PATH_MAX];
    char from[PATH_MAX];
    name_of(change, name, to);
    name_of(change, ".new", from);
    FILE *file = fopen(from, "we");
    if (!file)
        return -errno;
    bool written = fputs(text, file) >= 0;
    written = fclose(file) == 0 && written;
    if (written && rename(from, to) == 0)
        return 0;
    int rc = errno ? -errno : -EIO;
    unlink(from);
    return rc;
}

static int write_counts(const struct change *change)
{
    char text[32 + BUSES_MAX * 16];
    int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", change->serial);
    for (unsigned int i = 0; i < BUSES_MAX; i++) {
        if (change->next[i])
            n += snprintf(text + n, sizeof(text) - (size_t)n, "%u %u\n", i, change->next[i]);
    }
    return put_file(change, ".counts", text);
}

static int change_begin(struct change *change, const char *dir, char *error)
{
    char name[PATH_MAX];
    *change = (struct change){.dir = dir, .error = error, .lock = -1};
    error[0] = '\0';
    if (strlen(dir) + SIM_HOST_BUSID_SIZE + 16 > PATH_MAX)
        return refuse(error, -ENAMETOOLONG, "%.64s...: %s", dir, strerror(ENAMETOOLONG));
    name_of(change, "", name);
    if (mkdir(name, 0700) && errno != EEXIST)
        return refuse(error, -errno, "%s: %s", dir, strerror(errno));
    name_of(change, ".lock", name);
    change->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = change->lock < 0 ? -errno : 0;
    while (!rc && flock(change->lock, LOCK_EX)) {
        if (errno != EINTR)
            rc = -errno;
    }
    if (!rc)
        rc = hostbus_list(dir, &change->devices, &change->nr_devices);
    if (rc)
        return refuse(error, rc, "%s: %s", name, strerror(-rc));
    read_counts(change);
    return 0;
}

static int change_end(struct change *change, int rc)
{
    if (change->lock >= 0)
        close(change->lock);
    free(change->devices);
    if (rc && !change->error[0])
        refuse(change->error, rc, "%s/bus: %s", change->dir, strerror(-rc));
    return rc;
}

static const struct hostbus_device *there(const struct change *change, const char *path)
{
    for (unsigned int i = 0; i < change->nr_devices; i++) {
        if (strcmp(change->devices[i].path, path) == 0)
            return &change->devices[i];
    }
    return NULL;
}

/* ---- what a kind is ---- */

static void string_of(const struct usb_device *device, uint8_t index, char *out, size_t size)
{
    const char *text =
        index && index <= device->descriptors.nr_strings ? device->descriptors.strings[index - 1] : "";
    snprintf(out, size, "%s", text);
    for (char *p = out; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?'; /* a line of a file, and of a terminal */
    }
}

/* Makes the device, reads its descriptor, and throws it away. */
static int describe(const char *kind, struct hostbus_device *out, char *error)
{
    char text[HOSTBUS_KIND_MAX + 8];
    char made[KIND_ERROR_MAX];
    char manufacturer[HOSTBUS_STRING_MAX / 2];
    char product[HOSTBUS_STRING_MAX / 2];
    struct sim_host *sim;
    if (sim_host_create(&sim))
        return -ENOMEM;
    snprintf(text, sizeof(text), "1-1=%s", kind);
    int rc = kind_plug(sim, text, NULL, made);
    if (rc) {
        refuse(error, rc, "%s", made);
    } else {
        const struct usb_device *device = sim_host_device(sim, "1-1");
        const uint8_t *d = device->descriptors.device;
        out->speed = device->descriptors.speed;
        out->device_class = d[4];
        out->vendor = (uint16_t)(d[8] | d[9] << 8);
        out->product = (uint16_t)(d[10] | d[11] << 8);
        string_of(device, d[14], manufacturer, sizeof(manufacturer));
        string_of(device, d[15], product, sizeof(product));
        snprintf(out->name, sizeof(out->name), "%s%s%s", manufacturer, *manufacturer && *product ? " " : "",
                 product);
    }
    sim_host_destroy(sim);
    return rc;
}

static void describe_hub(struct hostbus_device *out)
{
    out->speed = USBIF_SPEED_HIGH;
    out->device_class = DEVICE_HUB_CLASS;
    out->vendor = 0x1209; /* pid.codes; 0x0900 is nobody's */
    out->product = 0x0900;
    snprintf(out->name, sizeof(out->name), "PVUSB Simulated hub");
}

/* "disk" has a size, and a disk's file is named from the root, as others read it from elsewhere. */
static int complete_kind(const char *kind, char out[HOSTBUS_KIND_MAX], char *error)
{
    char file[PATH_MAX];
    char real[PATH_MAX];
    const size_t name = strcspn(kind, ":!");
    const bool disk =
        (name == 4 && strncmp(kind, "disk", 4) == 0) || (name == 10 && strncmp(kind, "super-disk", 10) == 0);
    const char *what = kind + name + (kind[name] == ':');
    const size_t length = strcspn(what, "!");
    const char *script = what + length;
    int n = snprintf(out, HOSTBUS_KIND_MAX, "%s", kind);
    for (const char *p = kind; *p; p++) {
        if (*p < ' ' || *p > '~')
            return refuse(error, -EINVAL, "a kind has only printable characters of ASCII");
    }
    if (disk && kind[name] != ':') {
        n = snprintf(out, HOSTBUS_KIND_MAX, "%.*s:" DISK_DEFAULT "%s", (int)name, kind, script);
    } else if (disk && memchr(what, '/', length)) {
        snprintf(file, sizeof(file), "%.*s", (int)length, what);
        if (!realpath(file, real))
            return refuse(error, -errno, "%s: %s", file, strerror(errno));
        n = snprintf(out, HOSTBUS_KIND_MAX, "%.*s:%s%s", (int)name, kind, real, script);
    }
    return n < 0 || (unsigned int)n >= HOSTBUS_KIND_MAX
               ? refuse(error, -EINVAL, "a kind is shorter than %u characters", HOSTBUS_KIND_MAX)
               : 0;
}

/* The blocks of a disk that has a size and no file. */
static int make_blocks(struct change *change, struct hostbus_device *device)
{
    char name[PATH_MAX];
    char size[24];
    uint64_t bytes;
    const char *colon = strchr(device->kind, ':');
    if (strncmp(device->kind, "disk:", 5) != 0 && strncmp(device->kind, "super-disk:", 11) != 0)
        return 0;
    snprintf(size, sizeof(size), "%.*s", (int)strcspn(colon + 1, "!"), colon + 1);
    if (strchr(size, '/') || parse_size(size, &bytes))
        return 0;
    snprintf(device->file, sizeof(device->file), ".disk-%" PRIu64, device->serial);
    name_of(change, device->file, name);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 || ftruncate(fd, (off_t)bytes) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc ? refuse(change->error, rc, "%s: %s", name, strerror(-rc)) : 0;
}

/* ---- plugging ---- */

/* As Linux: behind the last one given, then from the beginning. */
static unsigned int free_address(const struct change *change, unsigned int bus)
{
    bool used[ADDRESSES] = {[0] = true, [1] = true};
    unsigned int at = change->next[bus] < 2 ? 2 : change->next[bus];
    for (unsigned int i = 0; i < change->nr_devices; i++) {
        if (change->devices[i].bus == bus)
            used[change->devices[i].address] = true;
    }
    for (unsigned int i = 0; i < ADDRESSES; i++, at = (at + 1) % ADDRESSES) {
        if (!used[at])
            return at;
    }
    return 0;
}

static int put_device(struct change *change, struct hostbus_device *device)
{
    char text[2048];
    struct hostbus_device *grown =
        realloc(change->devices, (change->nr_devices + 1) * sizeof(*change->devices));
    if (!grown)
        return -ENOMEM;
    change->devices = grown;
    device->bus = (unsigned int)strtoul(device->path, NULL, 10);
    device->address = free_address(change, device->bus);
    if (!device->address || change->nr_devices == HOSTBUS_DEVICES_MAX)
        return refuse(change->error, -ENOSPC, "bus %u is full", device->bus);
    change->next[device->bus] = (device->address + 1) % ADDRESSES;
    change->serial = device->serial + 1;
    snprintf(text, sizeof(text),
             "kind %s\nserial %" PRIu64
             "\naddress %u\nspeed %u\nclass %u\nvendor %04x\nproduct %04x\nname %s\n%s%s%s",
             device->kind, device->serial, device->address, device->speed, device->device_class,
             device->vendor, device->product, device->name, device->file[0] ? "file " : "", device->file,
             device->file[0] ? "\n" : "");
    int rc = write_counts(change); /* first: a number that is lost does no harm, one given twice does */
    if (!rc)
        rc = put_file(change, device->path, text);
    if (!rc)
        change->devices[change->nr_devices++] = *device;
    return rc;
}

/* The hubs that a place needs; each is made where nothing is. */
static int put_hubs(struct change *change, const char *path)
{
    int rc = 0;
    for (const char *dot = strchr(path, '.'); !rc && dot; dot = strchr(dot + 1, '.')) {
        struct hostbus_device hub = {.kind = "hub", .serial = change->serial};
        snprintf(hub.path, sizeof(hub.path), "%.*s", (int)(dot - path), path);
        const struct hostbus_device *old = there(change, hub.path);
        if (old && old->device_class != DEVICE_HUB_CLASS)
            return refuse(change->error, -ENOTDIR, "%s: there is a device at %s, which is no hub: %s", path,
                          hub.path, old->name);
        describe_hub(&hub);
        if (!old)
            rc = put_device(change, &hub);
    }
    return rc;
}

static int check_free(const struct change *change, const char *path)
{
    const struct hostbus_device *old = there(change, path);
    return old ? refuse(change->error, -EEXIST,
                        "%s: something is plugged in there: %s; 'pvusb bus unplug %s' pulls it", path,
                        old->name, path)
               : 0;
}

static int check_path(const char *path, char *error)
{
    return sim_host_busid_valid(path) && strtoul(path, NULL, 10) < BUSES_MAX
               ? 0
               : refuse(error, -EINVAL, "'%.64s' is not a place on a bus, such as 1-2 or 2-4.3.3", path);
}

int hostbus_plug(const char *dir, const char *path, const char *kind, struct hostbus_device *out, char *error)
{
    struct hostbus_device device = {0};
    struct change change;
    int rc = check_path(path, error);
    if (rc)
        return rc;
    snprintf(device.path, sizeof(device.path), "%s", path);
    rc = complete_kind(kind, device.kind, error);
    if (rc)
        return rc;
    error[0] = '\0';
    if (strcmp(kind, "hub") == 0)
        describe_hub(&device);
    else
        rc = describe(device.kind, &device, error);
    if (rc)
        return error[0] ? rc : refuse(error, rc, "%s", strerror(-rc));
    rc = change_begin(&change, dir, error);
    if (!rc)
        rc = check_free(&change, path);
    if (!rc)
        rc = put_hubs(&change, path);
    device.serial = change.serial;
    if (!rc)
        rc = make_blocks(&change, &device);
    if (!rc)
        rc = put_device(&change, &device);
    if (!rc && out)
        *out = device;
    return change_end(&change, rc);
}

/* Whether b is a, or plugged into it. */
static bool behind(const char *a, const char *b)
{
    const size_t length = strlen(a);
    return strncmp(a, b, length) == 0 && (b[length] == '\0' || b[length] == '.');
}

static int remove_one(const struct change *change, const struct hostbus_device *device, bool keep_file)
{
    char name[PATH_MAX];
    name_of(change, device->path, name);
    if (unlink(name))
        return -errno;
    name_of(change, device->file, name);
    if (device->file[0] && !keep_file)
        unlink(name);
    return 0;
}

static int nothing_there(const char *path, char *error)
{
    return refuse(error, -ENODEV, "%s: nothing is plugged in there; 'pvusb bus list' shows what is", path);
}

int hostbus_unplug(const char *dir, const char *path, char *error)
{
    struct change change;
    int rc = check_path(path, error);
    if (rc)
        return rc;
    rc = change_begin(&change, dir, error);
    if (!rc && !there(&change, path))
        rc = nothing_there(path, error);
    /* From behind: nothing is ever plugged into a hub that is not there. */
    for (unsigned int i = change.nr_devices; !rc && i-- > 0;) {
        if (behind(path, change.devices[i].path))
            rc = remove_one(&change, &change.devices[i], false);
    }
    return change_end(&change, rc);
}

int hostbus_move(const char *dir, const char *from, const char *to, char *error)
{
    struct change change;
    struct hostbus_device device;
    int rc = check_path(from, error);
    if (!rc)
        rc = check_path(to, error);
    if (rc)
        return rc;
    rc = change_begin(&change, dir, error);
    const struct hostbus_device *old = rc ? NULL : there(&change, from);
    if (!rc && !old)
        rc = nothing_there(from, error);
    if (!rc && old->device_class == DEVICE_HUB_CLASS)
        rc = refuse(error, -EISDIR, "%s: a hub is not moved; plug another one in", from);
    if (!rc && strcmp(from, to) != 0)
        rc = check_free(&change, to);
    if (rc)
        return change_end(&change, rc);
    device = *old;
    if (strcmp(from, to) != 0)
        rc = put_hubs(&change, to); /* before anything goes: this can be refused */
    if (!rc)
        rc = remove_one(&change, &device, true);
    if (!rc) {
        snprintf(device.path, sizeof(device.path), "%s", to);
        device.serial = change.serial;
        rc = put_device(&change, &device);
    }
    return change_end(&change, rc);
}
