// SPDX-License-Identifier: MIT
/* Where a disk keeps its blocks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/disk_private.h"

int disk_store_open(struct disk *disk, const struct disk_config *config)
{
    uint64_t bytes = config->bytes;
    struct stat st;
    disk->fd = -1;
    disk->read_only = config->read_only;
    if (config->path) {
        disk->fd = open(config->path, (config->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (disk->fd < 0)
            return -errno;
        if (fstat(disk->fd, &st) < 0)
            return -errno;
        if (bytes == 0)
            bytes = (uint64_t)st.st_size;
    }
    if (bytes == 0 || bytes % DISK_BLOCK_SIZE || bytes > INT64_MAX)
        return -EINVAL;
    disk->blocks = bytes / DISK_BLOCK_SIZE;
    if (config->path)
        return 0;
    disk->borrowed = config->memory != NULL;
    disk->memory = disk->borrowed ? config->memory : calloc(1, bytes);
    return disk->memory ? 0 : -ENOMEM;
}

void disk_store_close(struct disk *disk)
{
    if (!disk->borrowed)
        free(disk->memory);
    if (disk->fd >= 0)
        close(disk->fd);
}

/* One system call for all segments, as long as the file plays along. */
static int move_file(int fd, off_t at, const struct host_urb *urb, uint32_t offset, uint32_t n, bool read)
{
    struct iovec iov[PVUSB_SEGMENTS_MAX];
    while (n) {
        int count = 0;
        uint32_t skip = offset, left = n;
        for (unsigned int i = 0; i < urb->nr_segs && left; i++) {
            const struct host_seg *seg = &urb->seg[i];
            if (skip >= seg->length) {
                skip -= seg->length;
                continue;
            }
            uint32_t part = seg->length - skip < left ? seg->length - skip : left;
            iov[count++] = (struct iovec){seg->base + skip, part};
            left -= part;
            skip = 0;
        }
        ssize_t r = read ? preadv(fd, iov, count, at) : pwritev(fd, iov, count, at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -EIO; /* 0: the file is shorter than the disk it was */
        at += r;
        offset += (uint32_t)r;
        n -= (uint32_t)r;
    }
    return 0;
}

int disk_store_move(struct disk *disk, uint64_t at, struct host_urb *urb, uint32_t offset, uint32_t n,
                    bool read)
{
    assert(at + n <= disk->blocks * DISK_BLOCK_SIZE);
    if (!disk->memory)
        return move_file(disk->fd, (off_t)at, urb, offset, n, read);
    uint32_t moved = read ? host_urb_write(urb, offset, disk->memory + at, n)
                          : host_urb_read(urb, offset, disk->memory + at, n);
    return moved == n ? 0 : -EIO;
}

uint64_t disk_store_good(const struct disk *disk, uint64_t at, uint64_t n)
{
    uint64_t bad = disk->bad_lba * DISK_BLOCK_SIZE;
    if (disk->bad_blocks == 0 || at >= bad + disk->bad_blocks * DISK_BLOCK_SIZE || at + n <= bad)
        return n;
    return bad > at ? bad - at : 0;
}

int disk_store_flush(struct disk *disk)
{
    return disk->fd >= 0 && !disk->read_only && fdatasync(disk->fd) < 0 ? -EIO : 0;
}
