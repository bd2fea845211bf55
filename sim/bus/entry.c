// SPDX-License-Identifier: MIT
/* The files of DIR/bus: reading one, and all of them. change.c writes them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/hostbus.h"

#define ENTRY_MAX 2048u

/* A whole small file with a zero behind; -EINVAL when it is longer or has zeros. */
static int read_text(const char *name, char text[ENTRY_MAX])
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    size_t n = 0;
    ssize_t got = 1;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        got = -1;
    while (got > 0 && n < ENTRY_MAX) {
        got = read(fd, text + n, ENTRY_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (got < 0 || n == ENTRY_MAX)
        return -EINVAL;
    text[n] = '\0';
    return strlen(text) == n ? 0 : -EINVAL;
}

/* Copies the value of a line "KEY VALUE". */
static int get_text(const char *text, const char *key, char *out, size_t size)
{
    const size_t length = strlen(key);
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        if (n > length && strncmp(line, key, length) == 0 && line[length] == ' ') {
            const size_t value = n - length - 1;
            if (value >= size)
                return -EINVAL;
            memcpy(out, line + length + 1, value);
            out[value] = '\0';
            return 0;
        }
        line += n + (line[n] == '\n');
    }
    return -EINVAL;
}

static int get_number(const char *text, const char *key, int base, uint64_t max, uint64_t *out)
{
    char value[24];
    char *end;
    int rc = get_text(text, key, value, sizeof(value));
    if (rc || value[0] == '-' || value[0] == '+' || value[0] == ' ')
        return -EINVAL;
    errno = 0;
    *out = strtoull(value, &end, base);
    return errno || *end || end == value || *out > max ? -EINVAL : 0;
}

static int parse(const char *text, struct hostbus_device *out)
{
    uint64_t n[7];
    int rc = get_text(text, "kind", out->kind, sizeof(out->kind));
    if (!rc)
        rc = get_text(text, "name", out->name, sizeof(out->name));
    if (get_text(text, "file", out->file, sizeof(out->file)))
        out->file[0] = '\0';
    if (!rc)
        rc = get_number(text, "serial", 10, UINT64_MAX, &n[0]) ||
             get_number(text, "address", 10, 127, &n[1]) ||
             get_number(text, "speed", 10, DEVICE_SPEED_SUPER, &n[2]) ||
             get_number(text, "class", 10, 255, &n[3]) || get_number(text, "vendor", 16, 0xffff, &n[4]) ||
             get_number(text, "product", 16, 0xffff, &n[5]);
    if (rc || strchr(out->file, '/') || n[1] < 2 || n[2] == USBIF_SPEED_NONE)
        return -EINVAL;
    out->serial = n[0];
    out->address = (unsigned int)n[1];
    out->speed = (uint8_t)n[2];
    out->device_class = (uint8_t)n[3];
    out->vendor = (uint16_t)n[4];
    out->product = (uint16_t)n[5];
    return 0;
}

int hostbus_read(const char *dir, const char *path, struct hostbus_device *out)
{
    char name[PATH_MAX];
    char text[ENTRY_MAX];
    if (!sim_host_busid_valid(path))
        return -EINVAL;
    int n = snprintf(name, sizeof(name), "%s/bus/%s", dir, path);
    if (n < 0 || (size_t)n >= sizeof(name))
        return -ENAMETOOLONG;
    int rc = read_text(name, text);
    if (rc)
        return rc;
    *out = (struct hostbus_device){0};
    snprintf(out->path, sizeof(out->path), "%s", path);
    out->bus = (unsigned int)strtoul(path, NULL, 10);
    return parse(text, out);
}

int hostbus_find(const char *dir, const char *path, struct hostbus_device *out)
{
    int rc = hostbus_read(dir, path, out);
    return rc == -ENOENT || rc == -EINVAL || rc == -ENOTDIR ? -ENODEV : rc;
}

int hostbus_compare(const char *a, const char *b)
{
    for (;;) {
        char *a_end, *b_end;
        const unsigned long x = strtoul(a, &a_end, 10), y = strtoul(b, &b_end, 10);
        if (x != y)
            return x < y ? -1 : 1;
        if (!*a_end || !*b_end)
            return (*a_end != '\0') - (*b_end != '\0');
        a = a_end + 1;
        b = b_end + 1;
    }
}

static int by_path(const void *a, const void *b)
{
    return hostbus_compare(((const struct hostbus_device *)a)->path,
                           ((const struct hostbus_device *)b)->path);
}

int hostbus_list(const char *dir, struct hostbus_device **out, unsigned int *count)
{
    char name[PATH_MAX];
    struct hostbus_device *list = NULL;
    unsigned int n = 0, size = 0;
    int rc = 0;
    snprintf(name, sizeof(name), "%s/bus", dir);
    *out = NULL;
    *count = 0;
    DIR *stream = opendir(name);
    if (!stream)
        return errno == ENOENT ? 0 : -errno;
    for (struct dirent *entry; !rc && (entry = readdir(stream)) && n < HOSTBUS_DEVICES_MAX;) {
        if (!sim_host_busid_valid(entry->d_name))
            continue;
        if (n == size) {
            size = size ? 2 * size : 16;
            struct hostbus_device *grown = realloc(list, size * sizeof(*list));
            rc = grown ? 0 : -ENOMEM;
            list = grown ? grown : list;
        }
        if (!rc && hostbus_read(dir, entry->d_name, &list[n]) == 0)
            n++; /* one that went meanwhile, or is no device, is not there */
    }
    closedir(stream);
    if (rc) {
        free(list);
        return rc;
    }
    if (n)
        qsort(list, n, sizeof(*list), by_path);
    *out = list;
    *count = n;
    return 0;
}

int hostbus_find_address(const char *dir, unsigned int bus, unsigned int address, struct hostbus_device *out)
{
    struct hostbus_device *list;
    unsigned int count;
    int rc = hostbus_list(dir, &list, &count);
    if (rc)
        return rc;
    rc = -ENODEV;
    for (unsigned int i = 0; rc && i < count; i++) {
        if (list[i].bus == bus && list[i].address == address) {
            *out = list[i];
            rc = 0;
        }
    }
    free(list);
    return rc;
}
