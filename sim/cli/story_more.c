// SPDX-License-Identifier: MIT
#include "cli/story_more.h"

#include <errno.h>
#include <string.h>

static const unsigned int zero_cases[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 24};

/* How many cases of usbtest more_step() runs. */
static unsigned int more_zero_cases(void)
{
    return sizeof(zero_cases) / sizeof(zero_cases[0]);
}

/* ---- gadget zero ---- */

static void run_case(struct more *more);

static void case_done(void *context, struct guest_zero *zero)
{
    struct more *more = context;
    struct guest_zero_result result = guest_zero_result(zero);
    if (result.status) {
        more->error = result.status;
        return;
    }
    more->zero_passed++;
    run_case(more);
}

static void run_case(struct more *more)
{
    if (more->zero_case == more_zero_cases())
        return;
    const struct guest_zero_params params = {.test = zero_cases[more->zero_case++], .iterations = 4};
    int rc = guest_zero_run(more->zero, &params, case_done, more);
    if (rc)
        more->error = rc;
}

/* ---- two in one ---- */

static void key(void *context, struct hid *hid, uint8_t usage, bool down)
{
    struct more *more = context;
    char c = down && usage < HID_MODIFIERS ? hid_ascii(usage, hid_modifiers(hid)) : 0;
    if (c && more->nr_typed + 1 < sizeof(more->typed))
        more->typed[more->nr_typed++] = c;
}

static void received(void *context, struct acm *acm, const uint8_t *bytes, uint32_t n)
{
    struct more *more = context;
    (void)acm;
    for (uint32_t i = 0; i < n; i++)
        more->wrong += bytes[i] != (uint8_t)(more->received + i);
    more->received += n;
}

static bool take_composite(struct more *more, struct guest_device *device)
{
    const struct hid_listener keys = {.key = key, .context = more};
    const struct acm_listener port = {.received = received, .context = more};
    int rc = hid_create(device, &keys, &more->keyboard);
    if (!rc)
        rc = acm_create(device, &port, &more->serial);
    if (rc)
        more->error = rc;
    more->composite_device = device;
    return true;
}

static void start_serial(struct more *more)
{
    uint8_t bytes[MORE_SERIAL_BYTES];
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    int rc = acm_open(more->serial);
    if (!rc && acm_write(more->serial, bytes, sizeof(bytes)) != sizeof(bytes))
        rc = -ENOSPC;
    if (rc)
        more->error = rc;
}

/* ---- disks ---- */

static void disk_started(void *context, struct storage *storage, int status)
{
    struct more *more = context;
    for (unsigned int i = 0; i < more->nr_disks; i++) {
        if (more->disk[i].storage == storage)
            more->disk[i].ready = status == 0;
    }
    if (status)
        more->error = status;
}

static void read_done(struct storage_request *request)
{
    struct more *more = request->context;
    for (unsigned int i = 0; i < more->nr_disks; i++) {
        if (&more->disk[i].request == request) {
            more->disk[i].read = request->status == 0;
            more->disk[i].stats = storage_stats(more->disk[i].storage);
        }
    }
    if (request->status)
        more->error = request->status;
}

static void start_disk(struct more *more, unsigned int i)
{
    struct more_disk *disk = &more->disk[i];
    disk->request = (struct storage_request){.blocks = MORE_DISK_BYTES / storage_info(disk->storage)->block_size,
                                             .buffer = more->buffer + (size_t)i * MORE_DISK_BYTES,
                                             .done = read_done,
                                             .context = more};
    int rc = storage_submit(disk->storage, &disk->request);
    if (rc)
        more->error = rc;
}

/* ---- devices ---- */

bool more_ready(struct more *more, struct guest_device *device, bool disks)
{
    if (!more->keyboard && hid_matches(device) && acm_matches(device))
        return take_composite(more, device);
    if (!more->zero && guest_zero_matches(device)) {
        more->zero_device = device;
        return guest_zero_create(device, &more->zero) == 0;
    }
    if (disks && more->nr_disks < MORE_DISKS && storage_matches(device)) {
        struct more_disk *disk = &more->disk[more->nr_disks++];
        disk->device = device;
        return storage_create(device, disk_started, more, &disk->storage) == 0;
    }
    return false;
}

void more_gone(struct more *more, struct guest_device *device)
{
    if (more->zero && device == more->zero_device) {
        guest_zero_destroy(more->zero);
        more->zero = NULL;
    }
    if (more->keyboard && device == more->composite_device) {
        hid_destroy(more->keyboard);
        acm_destroy(more->serial);
        more->keyboard = NULL;
        more->serial = NULL;
    }
    for (unsigned int i = 0; i < more->nr_disks; i++) {
        if (more->disk[i].storage && device == more->disk[i].device) {
            storage_destroy(more->disk[i].storage);
            more->disk[i].storage = NULL;
        }
    }
}

void more_event(struct more *more, struct guest_device *device, enum guest_event event)
{
    if (more->keyboard && device == more->composite_device) {
        hid_event(more->keyboard, event);
        acm_event(more->serial, event);
    }
}

/* ---- steps ---- */

void more_step(struct more *more)
{
    bool all = more->zero && more->keyboard && more->nr_disks == MORE_DISKS;
    for (unsigned int i = 0; all && i < MORE_DISKS; i++)
        all = more->disk[i].ready;
    if (more->started || !all)
        return;
    more->started = true;
    run_case(more);
    start_serial(more);
    for (unsigned int i = 0; i < MORE_DISKS; i++)
        start_disk(more, i);
}

bool more_done(const struct more *more)
{
    return more->error || (more->started && more->zero_passed == more_zero_cases() &&
                           more->received >= MORE_SERIAL_BYTES && more->nr_typed + 1 == sizeof(more->typed) &&
                           more->disk[0].read && more->disk[1].read);
}
