/* SPDX-License-Identifier: MIT */
/* Between storage.c (commands and requests) and bot.c (the transport). */
#ifndef SIM_GUEST_STORAGE_PRIVATE_H
#define SIM_GUEST_STORAGE_PRIVATE_H

#include "guest/storage.h"

#define BOT_DATA_URBS (STORAGE_COMMAND_BYTES / STORAGE_URB_BYTES)

enum bot_phase {
    BOT_IDLE,
    BOT_CBW,
    BOT_DATA,
    BOT_CLEAR_DATA,
    BOT_CSW,
    BOT_CLEAR_CSW,
    BOT_RESET,
    BOT_RESET_IN,
    BOT_RESET_OUT,
};

struct bot_command {
    uint8_t cdb[16];
    uint8_t cdb_length;
    bool in;
    uint32_t length;
    uint8_t *data;
};

struct bot {
    struct guest_device *device;
    uint8_t interface;
    uint8_t ep_in, ep_out;
    uint8_t *page; /* CBW at 0, CSW at 64 */
    enum bot_phase phase;
    struct bot_command command;
    uint32_t tag;
    uint32_t moved;
    unsigned int csw_tries;
    struct guest_xfer xfer;
    struct guest_xfer data[BOT_DATA_URBS];
    unsigned int data_urbs, data_pending;
    struct storage_stats stats;
    /*
     * The end of a command. 0: a valid CSW came, `failed` is its status 1 and `moved` what it says was moved.
     * -EIO: there was none, and reset recovery has been done. -ENODEV: the device does not talk any more.
     */
    void (*done)(struct bot *bot, int status, bool failed, uint32_t moved);
};

/*
 * Starts the command in bot->command, when idle. done() comes later, but may come from inside if the device
 * is gone.
 */
void bot_start(struct bot *bot);

#endif
