// SPDX-License-Identifier: MIT
/* What a guest does with a disk: it reads the beginning, once or for ever. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vm/private.h"

#define FNV_1A_BEGIN UINT64_C(14695981039346656037)
#define FNV_1A_PRIME UINT64_C(1099511628211)

static void read_next(struct vm_disk *disk);

static void read_done(struct storage_request *request)
{
    struct vm_disk *disk = request->context;
    struct vm *vm = disk->controller->vm;
    const uint64_t bytes = (uint64_t)request->blocks * storage_info(disk->storage)->block_size;
    if (request->status) {
        if (request->status != -ENODEV)
            vm_log(vm, "%s port %u: read: %s", disk->controller->name, disk->port,
                   strerror(-request->status));
        return;
    }
    for (uint64_t i = 0; i < bytes; i++)
        disk->sum = (disk->sum ^ disk->buffer[i]) * FNV_1A_PRIME;
    disk->done += bytes;
    vm->stats.bytes_read += bytes;
    read_next(disk);
}

/* The whole of it is read: said the first time, and when the bytes have changed since. */
static void finished(struct vm_disk *disk)
{
    if (!disk->said)
        vm_log(disk->controller->vm, "%s port %u: read %" PRIu64 " bytes, checksum %016" PRIx64,
               disk->controller->name, disk->port, disk->done, disk->sum);
    disk->said = true;
    disk->done = 0;
    disk->sum = FNV_1A_BEGIN;
}

static void read_next(struct vm_disk *disk)
{
    const struct storage_info *info = storage_info(disk->storage);
    uint64_t left = disk->end - disk->done;
    if (left < info->block_size) {
        finished(disk);
        if (!disk->controller->vm->config.traffic || disk->end < info->block_size)
            return;
        left = disk->end;
    }
    left = left < VM_CHUNK_BYTES ? left : VM_CHUNK_BYTES;
    disk->request = (struct storage_request){.lba = disk->done / info->block_size,
                                             .blocks = (uint32_t)(left / info->block_size),
                                             .buffer = disk->buffer,
                                             .done = read_done,
                                             .context = disk};
    int rc = storage_submit(disk->storage, &disk->request);
    if (rc && rc != -ENODEV)
        vm_log(disk->controller->vm, "%s port %u: read: %s", disk->controller->name, disk->port,
               strerror(-rc));
}

static void started(void *context, struct storage *storage, int status)
{
    struct vm_disk *disk = context;
    struct vm *vm = disk->controller->vm;
    if (status) {
        vm_log(vm, "%s port %u: the disk does not start: %s", disk->controller->name, disk->port,
               strerror(-status));
        return;
    }
    const struct storage_info *info = storage_info(storage);
    vm_log(vm, "%s port %u: disk %s %s, %" PRIu64 " blocks of %u bytes", disk->controller->name,
           disk->port, info->vendor, info->product, info->blocks, info->block_size);
    disk->end = info->blocks * info->block_size;
    if (vm->config.read < disk->end)
        disk->end = vm->config.read;
    if (vm->config.read)
        read_next(disk);
}

void vm_disk_create(struct vm_controller *controller, struct guest_device *device)
{
    struct vm_disk *disk = calloc(1, sizeof(*disk));
    void *buffer;
    if (!disk || guest_buffer_alloc(controller->guest, VM_CHUNK_BYTES, &buffer)) {
        vm_log(controller->vm, "%s port %u: no memory for a disk", controller->name,
               device->port);
        free(disk);
        return;
    }
    *disk = (struct vm_disk){
        .controller = controller, .port = device->port, .buffer = buffer, .sum = FNV_1A_BEGIN};
    device->driver = disk;
    int rc = storage_create(device, started, disk, &disk->storage);
    if (rc) {
        device->driver = NULL;
        vm_disk_destroy(disk);
    }
}

void vm_disk_destroy(struct vm_disk *disk)
{
    if (!disk)
        return;
    if (disk->storage)
        storage_destroy(disk->storage);
    guest_buffer_free(disk->controller->guest, disk->buffer, VM_CHUNK_BYTES);
    free(disk);
}
