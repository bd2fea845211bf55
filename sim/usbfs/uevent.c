// SPDX-License-Identifier: MIT
#include "usbfs/uevent.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UDEV_MAGIC 0xfeedcafeu

/* As systemd's libudev sends it to its listeners. */
struct udev_header {
    char prefix[8]; /* "libudev" */
    uint32_t magic; /* big endian, as are the hashes */
    uint32_t header_size;
    uint32_t properties_off;
    uint32_t properties_len;
    uint32_t subsystem_hash;
    uint32_t devtype_hash;
    uint32_t tags[2];
};

/* MurmurHash2 with seed 0: listeners filter by it. */
static uint32_t hash(const char *text)
{
    const uint32_t m = 0x5bd1e995u;
    size_t n = strlen(text);
    uint32_t h = (uint32_t)n;
    uint32_t k;
    for (; n >= 4; n -= 4, text += 4) {
        memcpy(&k, text, sizeof(k));
        k *= m;
        k = (k ^ k >> 24) * m;
        h = h * m ^ k;
    }
    for (k = 0; n > 0; n--)
        k = k << 8 | (uint8_t)text[n - 1];
    if (k)
        h = (h ^ k) * m;
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

static void send_to_all(const char *dir, const void *message, size_t n)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    DIR *listing = opendir(dir);
    struct dirent *entry;
    while (fd >= 0 && listing && (entry = readdir(listing))) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        if (strncmp(entry->d_name, "event", 5) != 0)
            continue;
        int length = snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", dir, entry->d_name);
        if (length > 0 && (size_t)length < sizeof(to.sun_path))
            (void)sendto(fd, message, n, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
    }
    if (listing)
        closedir(listing);
    if (fd >= 0)
        close(fd);
}

void uevent_send(const char *dir, const char *devpath, const char *action, const char *node, unsigned int bus,
                 unsigned int number)
{
    static uint64_t sequence;
    char message[1024];
    struct udev_header header = {.prefix = "libudev",
                                 .magic = htonl(UDEV_MAGIC),
                                 .header_size = sizeof(header),
                                 .properties_off = sizeof(header),
                                 .subsystem_hash = htonl(hash("usb")),
                                 .devtype_hash = htonl(hash("usb_device"))};
    int n = snprintf(
        message + sizeof(header), sizeof(message) - sizeof(header),
        "ACTION=%s%cDEVPATH=%s%cSUBSYSTEM=usb%cSEQNUM=%llu%cDEVNAME=%s%cDEVTYPE=usb_device%cMAJOR=189%c"
        "MINOR=%u%cBUSNUM=%03u%cDEVNUM=%03u%c",
        action, 0, devpath, 0, 0, (unsigned long long)++sequence, 0, node, 0, 0, 0,
        (bus - 1) * 128 + number - 1, 0, bus, 0, number, 0);
    if (n < 0 || sizeof(header) + (size_t)n >= sizeof(message))
        return;
    header.properties_len = (uint32_t)n;
    memcpy(message, &header, sizeof(header));
    send_to_all(dir, message, sizeof(header) + (size_t)n);
}
