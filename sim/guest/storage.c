// SPDX-License-Identifier: MIT
/* What a disk is asked, and what its answers mean; see storage.h. */
#include <errno.h>
#include <stdlib.h>

#include "guest/storage_private.h"

#define PAGE_BYTES  4096u
#define REPLY_AT    128u
#define TRIES       3u
#define READY_TRIES 10u

/* What the command under way is for. */
enum purpose {
    FOR_INQUIRY,
    FOR_READY,
    FOR_CAPACITY,
    FOR_CAPACITY16,
    FOR_SENSE, /* of the command of `purpose_failed` */
    FOR_REQUEST,
    FOR_NOTHING,
};

struct storage {
    struct bot bot; /* first, so that bot_done() finds us */
    struct storage_info info;
    void (*started)(void *context, struct storage *storage, int status);
    void *context;
    bool usable;
    enum purpose purpose, purpose_failed;
    unsigned int tries;
    uint32_t command_blocks; /* of the command under way */
    struct storage_request *head, *tail;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t value)
{
    for (unsigned int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static const struct guest_interface *find_interface(const struct guest_device *device)
{
    return guest_find_interface(device, 0x08, 0x06, 0x50);
}

/* The address of the first bulk endpoint of that direction, 0 for none. */
static uint8_t find_bulk(const struct guest_interface *interface, uint8_t direction)
{
    const struct guest_endpoint *ep = guest_endpoint_of(interface, USBIF_PIPE_TYPE_BULK, direction);
    return ep ? ep->address : 0;
}

bool storage_matches(const struct guest_device *device)
{
    const struct guest_interface *interface = find_interface(device);
    return find_bulk(interface, 0x80) && find_bulk(interface, 0);
}

/* ---- commands ---- */

static void set_command(struct storage *storage, const uint8_t *cdb, uint8_t cdb_length, bool in,
                        uint32_t length)
{
    struct bot_command *c = &storage->bot.command;
    *c = (struct bot_command){.cdb_length = cdb_length, .in = in, .length = length};
    memcpy(c->cdb, cdb, cdb_length);
    c->data = storage->bot.page + REPLY_AT;
    memset(c->data, 0, length);
}

static void set_request(struct storage *storage)
{
    const struct storage_request *r = storage->head;
    struct bot_command *c = &storage->bot.command;
    uint32_t left = r->blocks - r->blocks_done, most = STORAGE_COMMAND_BYTES / storage->info.block_size;
    uint64_t lba = r->lba + r->blocks_done;
    uint32_t n = left < most ? left : most;
    storage->command_blocks = n;
    *c = (struct bot_command){.in = !r->write, .length = n * storage->info.block_size};
    c->data = (uint8_t *)r->buffer + (size_t)r->blocks_done * storage->info.block_size;
    if (lba + n <= UINT32_MAX) {
        c->cdb_length = 10;
        c->cdb[0] = r->write ? 0x2a : 0x28;
        put_be32(c->cdb + 2, (uint32_t)lba);
        c->cdb[7] = (uint8_t)(n >> 8);
        c->cdb[8] = (uint8_t)n;
        return;
    }
    c->cdb_length = 16;
    c->cdb[0] = r->write ? 0x8a : 0x88;
    put_be32(c->cdb + 2, (uint32_t)(lba >> 32));
    put_be32(c->cdb + 6, (uint32_t)lba);
    put_be32(c->cdb + 10, n);
}

static void start(struct storage *storage, enum purpose purpose)
{
    storage->purpose = purpose;
    switch (purpose) {
    case FOR_INQUIRY:
        set_command(storage, (uint8_t[6]){0x12, 0, 0, 0, 36, 0}, 6, true, 36);
        break;
    case FOR_READY:
        set_command(storage, (uint8_t[6]){0}, 6, false, 0);
        break;
    case FOR_CAPACITY:
        set_command(storage, (uint8_t[10]){0x25}, 10, true, 8);
        break;
    case FOR_CAPACITY16:
        set_command(storage, (uint8_t[16]){0x9e, 0x10, [13] = 32}, 16, true, 32);
        break;
    case FOR_SENSE:
        set_command(storage, (uint8_t[6]){0x03, 0, 0, 0, 18, 0}, 6, true, 18);
        break;
    case FOR_REQUEST:
        set_request(storage);
        break;
    case FOR_NOTHING:
        return;
    }
    bot_start(&storage->bot);
}

static void next_request(struct storage *storage)
{
    storage->purpose = FOR_NOTHING;
    storage->tries = 0;
    if (storage->usable && storage->head)
        start(storage, FOR_REQUEST);
}

static void end_request(struct storage *storage, int status)
{
    struct storage_request *r = storage->head;
    storage->head = r->next;
    r->status = status;
    /* The next one first: what done() submits is behind it. */
    next_request(storage);
    r->done(r);
}

static void end_start(struct storage *storage, int status)
{
    storage->purpose = FOR_NOTHING;
    storage->usable = status == 0;
    storage->started(storage->context, storage, status);
}

/* The command of `purpose` has failed for good. */
static void give_up(struct storage *storage, enum purpose purpose, int status)
{
    if (status == -ENODEV)
        storage->usable = false;
    if (purpose == FOR_REQUEST)
        end_request(storage, status);
    else
        end_start(storage, status);
}

static void retry(struct storage *storage, enum purpose purpose, int status)
{
    unsigned int most = purpose == FOR_READY ? READY_TRIES : TRIES;
    if (++storage->tries < most)
        start(storage, purpose);
    else
        give_up(storage, purpose, status);
}

static int capacity(struct storage *storage, uint64_t last, uint32_t block_size)
{
    if (block_size < 512 || block_size > 4096 || block_size & (block_size - 1) ||
        last >= UINT64_MAX / 4096 - 1)
        return -EPROTO;
    storage->info.blocks = last + 1;
    storage->info.block_size = block_size;
    return 0;
}

static void copy_text(char *out, const uint8_t *src, unsigned int n)
{
    unsigned int used = 0;
    for (unsigned int i = 0; i < n; i++) {
        out[i] = src[i] >= 0x20 && src[i] < 0x7f ? (char)src[i] : ' ';
        if (out[i] != ' ')
            used = i + 1;
    }
    out[used] = '\0';
}

/* A command of the start succeeded with n bytes of reply. */
static void go_on(struct storage *storage, uint32_t n)
{
    const uint8_t *reply = storage->bot.page + REPLY_AT;
    int rc = -EPROTO;
    storage->tries = 0;
    switch (storage->purpose) {
    case FOR_INQUIRY:
        if (n < 36 || (reply[0] & 0x1fu) != 0)
            break;
        copy_text(storage->info.vendor, reply + 8, 8);
        copy_text(storage->info.product, reply + 16, 16);
        start(storage, FOR_READY);
        return;
    case FOR_READY:
        start(storage, FOR_CAPACITY);
        return;
    case FOR_CAPACITY:
        if (n < 8)
            break;
        if (be32(reply) == UINT32_MAX) {
            start(storage, FOR_CAPACITY16);
            return;
        }
        rc = capacity(storage, be32(reply), be32(reply + 4));
        break;
    case FOR_CAPACITY16:
        if (n >= 12)
            rc = capacity(storage, (uint64_t)be32(reply) << 32 | be32(reply + 4), be32(reply + 8));
        break;
    case FOR_SENSE:
    case FOR_REQUEST:
    case FOR_NOTHING:
        break;
    }
    end_start(storage, rc);
}

static void end_sense(struct storage *storage, uint32_t n)
{
    const uint8_t *sense = storage->bot.page + REPLY_AT;
    uint8_t key = n >= 3 ? sense[2] & 0x0fu : 0;
    enum purpose purpose = storage->purpose_failed;
    switch (key) {
    case 0x02: /* not ready: it may become so */
        if (purpose == FOR_READY)
            retry(storage, purpose, -ENOMEDIUM);
        else
            give_up(storage, purpose, -ENOMEDIUM);
        break;
    case 0x03:
        give_up(storage, purpose, -ENODATA);
        break;
    case 0x06: /* unit attention: told once */
        retry(storage, purpose, -EIO);
        break;
    case 0x07:
        give_up(storage, purpose, -EROFS);
        break;
    default:
        give_up(storage, purpose, -EIO);
        break;
    }
}

static void bot_done(struct bot *bot, int status, bool failed, uint32_t moved)
{
    struct storage *storage = (struct storage *)bot;
    enum purpose purpose = storage->purpose;
    if (status) {
        /* Without sense nothing is known of the command that failed: again, from there. */
        enum purpose what = purpose == FOR_SENSE ? storage->purpose_failed : purpose;
        if (status == -ENODEV)
            give_up(storage, what, status);
        else
            retry(storage, what, status);
    } else if (failed && purpose == FOR_SENSE) {
        give_up(storage, storage->purpose_failed, -EIO);
    } else if (failed) {
        storage->purpose_failed = purpose;
        start(storage, FOR_SENSE);
    } else if (purpose == FOR_SENSE) {
        end_sense(storage, moved);
    } else if (purpose != FOR_REQUEST) {
        go_on(storage, moved);
    } else if (moved != bot->command.length) {
        retry(storage, purpose, -EIO); /* a success that moved too little is none */
    } else {
        storage->head->blocks_done += storage->command_blocks;
        storage->tries = 0;
        if (storage->head->blocks_done == storage->head->blocks)
            end_request(storage, 0);
        else
            start(storage, FOR_REQUEST);
    }
}

int storage_create(struct guest_device *device,
                   void (*started)(void *context, struct storage *storage, int status), void *context,
                   struct storage **out)
{
    const struct guest_interface *interface = find_interface(device);
    struct storage *storage = NULL;
    void *page = NULL;
    int rc;

    if (!storage_matches(device))
        return -ENODEV;
    storage = calloc(1, sizeof(*storage));
    if (!storage)
        return -ENOMEM;
    rc = guest_buffer_alloc(device->guest, PAGE_BYTES, &page);
    if (!rc)
        rc = guest_claim(device, interface->number, storage);
    if (rc) {
        if (page)
            guest_buffer_free(device->guest, page, PAGE_BYTES);
        free(storage);
        return rc;
    }
    storage->bot.device = device;
    storage->bot.interface = interface->number;
    storage->bot.ep_in = find_bulk(interface, 0x80);
    storage->bot.ep_out = find_bulk(interface, 0);
    storage->bot.page = page;
    storage->bot.done = bot_done;
    storage->started = started;
    storage->context = context;
    *out = storage;
    start(storage, FOR_INQUIRY);
    return 0;
}

bool storage_busy(const struct storage *storage)
{
    return storage->bot.phase != BOT_IDLE;
}

void storage_destroy(struct storage *storage)
{
    if (!storage)
        return;
    assert(!storage_busy(storage));
    storage->usable = false;
    while (storage->head) {
        struct storage_request *r = storage->head;
        storage->head = r->next;
        r->status = -ENODEV;
        r->done(r);
    }
    guest_release(storage->bot.device, storage);
    guest_buffer_free(storage->bot.device->guest, storage->bot.page, PAGE_BYTES);
    free(storage);
}

const struct storage_info *storage_info(const struct storage *storage)
{
    return &storage->info;
}

struct storage_stats storage_stats(const struct storage *storage)
{
    return storage->bot.stats;
}

int storage_submit(struct storage *storage, struct storage_request *request)
{
    if (!storage->usable || storage->bot.device->gone)
        return -ENODEV;
    if (request->blocks == 0 || request->lba >= storage->info.blocks ||
        request->blocks > storage->info.blocks - request->lba)
        return -EINVAL;
    request->next = NULL;
    request->blocks_done = 0;
    if (storage->head)
        storage->tail->next = request;
    else
        storage->head = request;
    storage->tail = request;
    if (storage->purpose == FOR_NOTHING)
        next_request(storage);
    return 0;
}
