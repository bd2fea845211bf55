// SPDX-License-Identifier: MIT
#include "bench/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/audio.h"
#include "devices/disk.h"
#include "devices/sim_host.h"
#include "devices/ticker.h"
#include "hosts/wire.h"

struct bench_devices {
    struct sim_host *sim;
    struct wire *wire; /* NULL: none */
};

uint64_t bench_disk_word(uint64_t offset)
{
    return (offset + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(uint8_t *bytes, uint64_t offset, size_t n)
{
    for (size_t at = 0; at < n; at += 8) {
        uint64_t word = bench_disk_word(offset + at);
        memcpy(bytes + at, &word, 8);
    }
}

/* One for all disks and sessions of a process and its children: filling it takes longer than a session may.
 */
static void *disk_blocks(void)
{
    static uint8_t *blocks;
    if (!blocks) {
        blocks = malloc(BENCH_DISK_BYTES);
        if (blocks)
            fill(blocks, 0, BENCH_DISK_BYTES);
    }
    return blocks;
}

static int make_disk(uint8_t speed, struct usb_device **out)
{
    void *blocks = disk_blocks();
    const struct disk_config config = {.bytes = BENCH_DISK_BYTES, .memory = blocks, .speed = speed};
    return blocks ? disk_create(&config, out) : -ENOMEM;
}

static int make(const struct bench_setup *setup, struct usb_device **out)
{
    bool full = setup->full_speed || setup->wire == BENCH_WIRE_FULL;
    uint8_t speed = full ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH;
    switch (setup->device) {
    case BENCH_TICKER:
        return ticker_create(&(struct ticker_config){.period_us = BENCH_TICK_US, .speed = speed}, out);
    case BENCH_AUDIO:
        return audio_create(&(struct audio_config){.speed = speed}, out);
    case BENCH_DISK:
        break;
    }
    return make_disk(speed, out);
}

void bench_devices_prepare(void)
{
    (void)disk_blocks();
}

int bench_devices_create(const struct bench_setup *setup, struct bench_devices **out)
{
    struct bench_devices *devices = calloc(1, sizeof(*devices));
    if (!devices)
        return -ENOMEM;
    int rc = sim_host_create(&devices->sim);
    if (!rc && setup->wire != BENCH_WIRE_NONE)
        rc = wire_create(sim_host_host(devices->sim), setup->wire == BENCH_WIRE_FULL ? WIRE_FULL : WIRE_HIGH,
                         &devices->wire);
    for (unsigned int i = 0; !rc && i < setup->guests * setup->devices; i++) {
        struct usb_device *device;
        char busid[SIM_HOST_BUSID_SIZE];
        bench_busid(i / setup->devices, i % setup->devices, busid, sizeof(busid));
        rc = make(setup, &device);
        if (!rc)
            rc = sim_host_plug(devices->sim, busid, device);
    }
    if (rc) {
        bench_devices_destroy(devices);
        return rc;
    }
    *out = devices;
    return 0;
}

void bench_devices_destroy(struct bench_devices *devices)
{
    if (!devices)
        return;
    wire_destroy(devices->wire);
    if (devices->sim)
        sim_host_destroy(devices->sim);
    free(devices);
}

struct usb_host *bench_devices_host(struct bench_devices *devices)
{
    return devices->wire ? wire_host(devices->wire) : sim_host_host(devices->sim);
}

void bench_busid(unsigned int guest, unsigned int device, char *out, size_t size)
{
    snprintf(out, size, "%u-%u", guest + 1, device + 1);
}

void bench_device_option(const struct bench_setup *setup, unsigned int guest, unsigned int device,
                         const char *disk_file, char out[BENCH_KIND_MAX])
{
    char busid[SIM_HOST_BUSID_SIZE];
    bench_busid(guest, device, busid, sizeof(busid));
    if (setup->device == BENCH_TICKER)
        snprintf(out, BENCH_KIND_MAX, "%s=ticker:%u", busid, BENCH_TICK_US);
    else if (setup->device == BENCH_AUDIO)
        snprintf(out, BENCH_KIND_MAX, "%s=audio", busid);
    else
        snprintf(out, BENCH_KIND_MAX, "%s=disk:%s", busid, disk_file);
}

int bench_disk_file(const char *path)
{
    uint8_t bytes[4096];
    int rc = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (uint64_t at = 0; !rc && at < BENCH_DISK_BYTES; at += sizeof(bytes)) {
        fill(bytes, at, sizeof(bytes));
        ssize_t n = write(fd, bytes, sizeof(bytes));
        rc = n < 0 ? -errno : n != (ssize_t)sizeof(bytes) ? -EIO : 0;
    }
    close(fd);
    return rc;
}
