// SPDX-License-Identifier: MIT
/* The bulk-only transport of a disk: CBW, data, CSW. Section numbers are those of BOT 1.0. */
#include <errno.h>
#include <stdlib.h>

#include "devices/disk_private.h"

#define CBW_LENGTH 31u
#define CSW_LENGTH 13u

enum { KEY_MEDIUM = 3, ASC_WRITE_ERROR = 0x0c, ASC_READ_ERROR = 0x11 };

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Section 6.6.1: the device stays like this until reset recovery. */
static void die(struct disk *disk)
{
    disk->phase = DISK_DEAD;
    device_wedge(&disk->device, DISK_EP_IN, true);
    device_wedge(&disk->device, DISK_EP_OUT, true);
}

/* The data phase is over, or there is none. What the host expected beyond it is refused with a halt. */
static void end_data(struct disk *disk)
{
    disk->phase = DISK_CSW;
    if (disk->residue)
        device_halt(&disk->device, disk->asked_direction == DISK_IN ? DISK_EP_IN : DISK_EP_OUT);
    device_kick(&disk->device, DISK_EP_IN);
}

static void start_command(struct disk *disk, const uint8_t *cbw)
{
    struct disk_data *data = &disk->data;
    disk->residue = le32(cbw + 8);
    disk->asked_direction = disk->residue == 0 ? DISK_NONE : cbw[12] & 0x80u ? DISK_IN : DISK_OUT;
    disk->status = disk_scsi_start(disk, cbw + 15, cbw[14]);
    /* Section 6.7, cases 2, 3, 7, 8, 10 and 13. */
    if (data->direction != DISK_NONE &&
        (data->direction != disk->asked_direction || data->length > disk->residue)) {
        disk->status = DISK_PHASE_ERROR;
        data->direction = DISK_NONE;
    }
    switch (data->direction) {
    case DISK_NONE:
        end_data(disk);
        break;
    case DISK_IN:
        disk->phase = DISK_DATA_IN;
        device_kick(&disk->device, DISK_EP_IN);
        break;
    case DISK_OUT:
        disk->phase = DISK_DATA_OUT;
        break;
    }
}

static int out_cbw(struct disk *disk, struct device_endpoint *ep)
{
    uint8_t cbw[CBW_LENGTH];
    uint32_t n = device_out_packet(ep);
    bool whole = n == CBW_LENGTH && host_urb_read(ep->head, ep->moved, cbw, CBW_LENGTH) == CBW_LENGTH;
    device_out_take(ep, n);
    /* Section 6.2.1: valid. */
    if (!whole || memcmp(cbw, "USBC", 4) != 0) {
        die(disk);
        return DEVICE_DONE;
    }
    memcpy(disk->tag, cbw + 4, 4);
    /* Section 6.2.2: meaningful. The answer to one that is not is ours to choose; a halt can be cleared. */
    if (cbw[12] & 0x7fu || cbw[13] != 0 || cbw[14] == 0 || cbw[14] > 16) {
        device_halt(&disk->device, DISK_EP_IN);
        device_halt(&disk->device, DISK_EP_OUT);
        return DEVICE_DONE;
    }
    start_command(disk, cbw);
    return DEVICE_DONE;
}

static int medium_error(struct disk *disk, uint8_t asc)
{
    disk->status = disk_scsi_fail(disk, KEY_MEDIUM, asc);
    end_data(disk);
    return -EPIPE;
}

static int out_data(struct disk *disk, struct device_endpoint *ep)
{
    struct disk_data *data = &disk->data;
    uint32_t rest = ep->head->length - ep->moved;
    uint32_t n = rest < data->length ? rest : (uint32_t)data->length;
    /* A last packet that is not full ends what the host has to send. */
    bool early = (n % ep->packet || n == 0) && n < data->length;
    if (disk_store_good(disk, data->at, n) < n ||
        disk_store_move(disk, data->at, ep->head, ep->moved, n, false))
        return medium_error(disk, ASC_WRITE_ERROR);
    device_out_take(ep, n);
    data->at += n;
    data->length -= n;
    disk->residue -= n;
    if (early)
        disk->status = DISK_PHASE_ERROR;
    if (early || data->length == 0)
        end_data(disk);
    return DEVICE_DONE;
}

static int disk_out(struct usb_device *device, struct device_endpoint *ep)
{
    struct disk *disk = (struct disk *)device;
    switch (disk->phase) {
    case DISK_CBW:
        return out_cbw(disk, ep);
    case DISK_DATA_OUT:
        return out_data(disk, ep);
    case DISK_DATA_IN:
    case DISK_CSW:
        return DEVICE_WAIT;
    case DISK_DEAD:
        break;
    }
    return -EPIPE;
}

static int in_data(struct disk *disk, struct device_endpoint *ep)
{
    struct disk_data *data = &disk->data;
    uint64_t left = data->length;
    if (data->medium) {
        left = disk_store_good(disk, data->at, left);
        if (left == 0)
            return medium_error(disk, ASC_READ_ERROR);
    }
    struct device_run run = device_in(ep, (uint32_t)left); /* start_command() has compared it with 32 bits */
    if (!data->medium) {
        host_urb_write(ep->head, run.offset, disk->reply + disk->reply_at, run.store);
    } else if (disk_store_move(disk, data->at, ep->head, run.offset, run.store, true)) {
        ep->moved = run.offset; /* nothing of this went over the bus */
        return medium_error(disk, ASC_READ_ERROR);
    }
    data->at += run.used;
    data->length -= run.used;
    disk->reply_at += run.used;
    disk->residue -= run.used;
    if (data->length == 0)
        end_data(disk);
    return DEVICE_DONE;
}

static int in_csw(struct disk *disk, struct device_endpoint *ep)
{
    uint8_t csw[CSW_LENGTH] = {'U', 'S', 'B', 'S'};
    memcpy(csw + 4, disk->tag, 4);
    for (unsigned int i = 0; i < 4; i++)
        csw[8 + i] = (uint8_t)(disk->residue >> (8 * i));
    csw[12] = (uint8_t)disk->status;
    if (device_in_copy(ep, csw, CSW_LENGTH) == CSW_LENGTH) {
        disk->phase = DISK_CBW;
        device_kick(&disk->device, DISK_EP_OUT);
    }
    return DEVICE_DONE;
}

static int disk_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct disk *disk = (struct disk *)device;
    switch (disk->phase) {
    case DISK_DATA_IN:
        return in_data(disk, ep);
    case DISK_CSW:
        return in_csw(disk, ep);
    case DISK_CBW:
    case DISK_DATA_OUT:
        return DEVICE_WAIT;
    case DISK_DEAD:
        break;
    }
    return -EPIPE;
}

/* Section 3.1: keeps the halts; they are the host's to clear. */
static void bulk_only_reset(struct disk *disk)
{
    if (disk->phase == DISK_DEAD) {
        device_wedge(&disk->device, DISK_EP_IN, false);
        device_wedge(&disk->device, DISK_EP_OUT, false);
    }
    disk->phase = DISK_CBW;
    device_kick(&disk->device, DISK_EP_OUT);
}

static int disk_control(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    static const uint8_t max_lun = 0;
    if (setup->value || setup->index)
        return -EPIPE;
    if (setup->type == 0x21 && setup->request == 0xff && setup->length == 0) {
        bulk_only_reset((struct disk *)device);
        return DEVICE_DONE;
    }
    if (setup->type == 0xa1 && setup->request == 0xfe && setup->length == 1)
        return device_control_in(ep, setup, &max_lun, 1);
    return -EPIPE;
}

static void disk_start_over(struct usb_device *device)
{
    struct disk *disk = (struct disk *)device;
    disk->phase = DISK_CBW;
}

static void disk_destroy(struct usb_device *device)
{
    struct disk *disk = (struct disk *)device;
    disk_store_close(disk);
    free(disk);
}

static const struct usb_device_ops disk_ops = {
    .control = disk_control,
    .in = disk_in,
    .out = disk_out,
    .reset = disk_start_over,
    .configured = disk_start_over,
    .destroy = disk_destroy,
};

/* clang-format off */
#define DISK_INTERFACE       9, 4, 0, 0, 2, 0x08, 0x06, 0x50, 0
#define DISK_ENDPOINTS(size) 7, 5, DISK_EP_IN, 2, (size) & 0xff, (size) >> 8, 0, \
                             7, 5, DISK_EP_OUT, 2, (size) & 0xff, (size) >> 8, 0
#define DISK_CONFIG(type, size) {9, type, 32, 0, 1, 1, 0, 0x80, 50, DISK_INTERFACE, DISK_ENDPOINTS(size)}
#define DISK_COMPANION 6, 0x30, 0, 0, 0, 0
#define DISK_CONFIG_SUPER {9, 2, 44, 0, 1, 1, 0, 0x80, 18, DISK_INTERFACE, \
                           7, 5, DISK_EP_IN, 2, 0, 4, 0, DISK_COMPANION, \
                           7, 5, DISK_EP_OUT, 2, 0, 4, 0, DISK_COMPANION}
/* clang-format on */

static const uint8_t device_super[18] = {18,   1,    0x00, 3, 0, 0, 0, 9, 0x09,
                                         0x12, 0x01, 0x00, 0, 1, 1, 2, 3, 1};
static const uint8_t config_super[44] = DISK_CONFIG_SUPER;
static const uint8_t *const configs_super[] = {config_super};
static const uint8_t device_desc[18] = {18,   1,    0x00, 2, 0, 0, 0, 64, 0x09,
                                        0x12, 0x01, 0x00, 0, 1, 1, 2, 3,  1};
static const uint8_t qualifier[10] = {10, 6, 0x00, 2, 0, 0, 0, 64, 1, 0};
static const uint8_t config_full[32] = DISK_CONFIG(2, 64);
static const uint8_t config_high[32] = DISK_CONFIG(2, 512);
static const uint8_t other_full[32] = DISK_CONFIG(7, 64);
static const uint8_t *const configs_full[] = {config_full};
static const uint8_t *const configs_high[] = {config_high};
static const uint8_t *const others_full[] = {other_full};

int disk_create(const struct disk_config *config, struct usb_device **out)
{
    struct disk *disk = NULL;
    const char *serial = config->serial ? config->serial : "000000000001";
    bool full = config->speed == USBIF_SPEED_FULL;
    int rc;

    bool super = config->speed == DEVICE_SPEED_SUPER;
    if (!full && !super && config->speed != 0 && config->speed != USBIF_SPEED_HIGH)
        return -EINVAL;
    if (strlen(serial) < 12 || strlen(serial) >= sizeof(disk->serial))
        return -EINVAL;
    disk = calloc(1, sizeof(*disk));
    if (!disk)
        return -ENOMEM;
    memcpy(disk->serial, serial, strlen(serial));
    disk->strings[0] = "PVUSB";
    disk->strings[1] = "Simulated disk";
    disk->strings[2] = disk->serial;
    struct usb_descriptors descriptors = {
        .device = device_desc,
        .configurations = full ? configs_full : configs_high,
        .strings = disk->strings,
        .nr_strings = 3,
        .qualifier = full ? NULL : qualifier,
        .other_speed = full ? NULL : others_full,
        .speed = full ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH,
    };
    if (super) {
        descriptors.device = device_super;
        descriptors.configurations = configs_super;
        descriptors.qualifier = NULL;
        descriptors.other_speed = NULL;
        descriptors.speed = DEVICE_SPEED_SUPER;
    }
    rc = disk_store_open(disk, config);
    if (rc)
        goto out;
    rc = device_init(&disk->device, &disk_ops, &descriptors);
    if (rc)
        goto out;
    *out = &disk->device;
    return 0;
out:
    disk_store_close(disk);
    free(disk);
    return rc;
}

uint8_t *disk_memory(struct usb_device *device, uint64_t *bytes)
{
    struct disk *disk = (struct disk *)device;
    *bytes = disk->blocks * DISK_BLOCK_SIZE;
    return disk->memory;
}

void disk_set_bad(struct usb_device *device, uint64_t lba, uint64_t blocks)
{
    struct disk *disk = (struct disk *)device;
    disk->bad_lba = lba;
    disk->bad_blocks = blocks;
}
