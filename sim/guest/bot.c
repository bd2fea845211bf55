// SPDX-License-Identifier: MIT
/* The bulk-only transport seen from the host. Section numbers are those of BOT 1.0. */
#include <errno.h>

#include "guest/storage_private.h"

#define CBW_LENGTH 31u
#define CSW_LENGTH 13u
#define CSW_AT     64u

static void on_xfer(struct guest_xfer *xfer);
static void start_csw(struct bot *bot);

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(uint8_t *p, uint32_t value)
{
    for (unsigned int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static void finish(struct bot *bot, int status, bool failed, uint32_t moved)
{
    bot->phase = BOT_IDLE;
    bot->done(bot, status, failed, moved);
}

/*
 * A transfer that could not be started: the controller or the device is gone, or we are wrong. The status
 * -ESHUTDOWN of a transfer says less, also that a backend could not map one buffer (rule SEG-08).
 */
static void check_started(struct bot *bot, int rc)
{
    if (rc)
        finish(bot, rc == -ENODEV || rc == -ESHUTDOWN ? -ENODEV : -EIO, false, 0);
}

static void control(struct bot *bot, enum bot_phase phase, uint8_t type, uint8_t request, uint16_t index)
{
    uint8_t setup[8];
    guest_setup(setup, type, request, 0, index, 0);
    bot->phase = phase;
    bot->xfer.done = on_xfer;
    bot->xfer.context = bot;
    check_started(bot, guest_control(&bot->xfer, bot->device, setup, NULL));
}

static void clear_halt(struct bot *bot, enum bot_phase phase, uint8_t address)
{
    bot->stats.stalls++;
    control(bot, phase, 0x02, 1, address);
}

/* Section 5.3.4: reset, then both halts. */
static void reset_recovery(struct bot *bot)
{
    bot->stats.recoveries++;
    control(bot, BOT_RESET, 0x21, 0xff, bot->interface);
}

static void bulk(struct bot *bot, enum bot_phase phase, uint8_t address, uint8_t *buffer, uint32_t length)
{
    bot->phase = phase;
    bot->xfer.done = on_xfer;
    bot->xfer.context = bot;
    check_started(bot, guest_transfer(&bot->xfer, bot->device, address, buffer, length, false));
}

void bot_start(struct bot *bot)
{
    const struct bot_command *command = &bot->command;
    uint8_t *cbw = bot->page;
    assert(bot->phase == BOT_IDLE && command->length <= STORAGE_COMMAND_BYTES);
    bot->tag++;
    bot->moved = 0;
    bot->csw_tries = 0;
    bot->stats.commands++;
    memset(cbw, 0, CBW_LENGTH);
    memcpy(cbw, "USBC", 4);
    put_le32(cbw + 4, bot->tag);
    put_le32(cbw + 8, command->length);
    cbw[12] = command->in && command->length ? 0x80 : 0;
    cbw[14] = command->cdb_length;
    memcpy(cbw + 15, command->cdb, command->cdb_length);
    bulk(bot, BOT_CBW, bot->ep_out, cbw, CBW_LENGTH);
}

static void end_data(struct bot *bot)
{
    int status = 0;
    /* In the order of the queue: what came after the first error never was on the bus. */
    for (unsigned int i = 0; i < bot->data_urbs && !status; i++) {
        status = bot->data[i].status;
        bot->moved += bot->data[i].actual;
    }
    if (status == -EPIPE)
        clear_halt(bot, BOT_CLEAR_DATA, bot->command.in ? bot->ep_in : bot->ep_out);
    else if (status == 0 || status == -EREMOTEIO)
        start_csw(bot);
    else if (status == -ENODEV)
        finish(bot, -ENODEV, false, 0);
    else
        reset_recovery(bot);
}

static void on_data(struct guest_xfer *xfer)
{
    struct bot *bot = xfer->context;
    bot->data_pending--;
    /* The others would take the status for data. */
    for (unsigned int i = 0; xfer->status && i < bot->data_urbs; i++)
        guest_unlink(&bot->data[i]);
    if (bot->data_pending == 0 && bot->phase == BOT_DATA)
        end_data(bot);
}

static void start_data(struct bot *bot)
{
    const struct bot_command *command = &bot->command;
    uint8_t address = command->in ? bot->ep_in : bot->ep_out;
    bot->phase = BOT_DATA;
    bot->data_urbs = 0;
    bot->data_pending = 0;
    for (uint32_t at = 0; at < command->length; at += STORAGE_URB_BYTES) {
        struct guest_xfer *xfer = &bot->data[bot->data_urbs];
        uint32_t rest = command->length - at;
        uint32_t n = rest < STORAGE_URB_BYTES ? rest : STORAGE_URB_BYTES;
        xfer->done = on_data;
        xfer->context = bot;
        int rc = guest_transfer(xfer, bot->device, address, command->data + at, n, command->in);
        xfer->status = rc;
        xfer->actual = 0;
        bot->data_urbs++;
        if (rc)
            break;
        bot->data_pending++;
    }
    if (bot->data_pending == 0)
        end_data(bot);
}

static void start_csw(struct bot *bot)
{
    bot->csw_tries++;
    bulk(bot, BOT_CSW, bot->ep_in, bot->page + CSW_AT, CSW_LENGTH);
}

/* Section 6.3: valid and meaningful, else reset recovery. */
static void end_csw(struct bot *bot, uint32_t actual)
{
    uint8_t csw[CSW_LENGTH];
    memcpy(csw, bot->page + CSW_AT, CSW_LENGTH);
    uint32_t residue = le32(csw + 8);
    if (actual != CSW_LENGTH || memcmp(csw, "USBS", 4) != 0 || le32(csw + 4) != bot->tag || csw[12] > 1 ||
        residue > bot->command.length) {
        reset_recovery(bot);
        return;
    }
    uint32_t meant = bot->command.length - residue;
    finish(bot, 0, csw[12] == 1, meant < bot->moved ? meant : bot->moved);
}

static void end_recovery_step(struct bot *bot, int status)
{
    switch (bot->phase) {
    case BOT_RESET:
        /* A device that stalls the reset may still clear its halts; one that does not answer will not. */
        if (status == -ETIMEDOUT)
            break;
        clear_halt(bot, BOT_RESET_IN, bot->ep_in);
        return;
    case BOT_RESET_IN:
        clear_halt(bot, BOT_RESET_OUT, bot->ep_out);
        return;
    case BOT_RESET_OUT:
    case BOT_IDLE:
    case BOT_CBW:
    case BOT_DATA:
    case BOT_CLEAR_DATA:
    case BOT_CSW:
    case BOT_CLEAR_CSW:
        break;
    }
    finish(bot, -EIO, false, 0);
}

static void on_xfer(struct guest_xfer *xfer)
{
    struct bot *bot = xfer->context;
    int status = xfer->status;
    if (status == -ENODEV) {
        finish(bot, -ENODEV, false, 0);
        return;
    }
    switch (bot->phase) {
    case BOT_CBW:
        if (status)
            reset_recovery(bot);
        else if (bot->command.length)
            start_data(bot);
        else
            start_csw(bot);
        break;
    case BOT_CSW:
        /* Figure 2: a stalled status is cleared and read once more. */
        if (status == -EPIPE && bot->csw_tries == 1)
            clear_halt(bot, BOT_CLEAR_CSW, bot->ep_in);
        else if (status)
            reset_recovery(bot);
        else
            end_csw(bot, xfer->actual);
        break;
    case BOT_CLEAR_DATA:
    case BOT_CLEAR_CSW:
        if (status)
            reset_recovery(bot);
        else
            start_csw(bot);
        break;
    case BOT_RESET:
    case BOT_RESET_IN:
    case BOT_RESET_OUT:
        end_recovery_step(bot, status);
        break;
    case BOT_IDLE:
    case BOT_DATA:
        break;
    }
}
