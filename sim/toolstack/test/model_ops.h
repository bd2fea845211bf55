/* SPDX-License-Identifier: MIT */
/* What an administrator, a user and bad luck do: each to the world and, by its own rules, to the model. */
#ifndef SIM_TOOLSTACK_TEST_MODEL_OPS_H
#define SIM_TOOLSTACK_TEST_MODEL_OPS_H

#include "model.h"

struct play {
    struct model model;
    struct world *world;
    uint64_t random;
    bool settled; /* the guests have seen all that was done so far */
    char wrong[MODEL_TEXT_MAX];
};

/* splitmix64; below n. */
unsigned int play_random(struct play *play, unsigned int n);
/* Mostly one that is there. */
unsigned int play_some_guest(struct play *play);
/* Notes what was done. False: not the answer that was expected. */
bool play_expect(struct play *play, int rc, int expected, const char *operation);
/* One at random. False: its answer was not the model's; wrong says which. */
bool play_operation(struct play *play);
/* Everything goes: guests, devices, the backend. */
void play_end(struct play *play);

/* ---- model_older_ops.c ---- */

/* Of the guests every other one. */
#define MODEL_HVM(g) ((g) % 2 == 1)

bool play_usb_add(struct play *play);
bool play_usb_del(struct play *play);
/* pci-attach, or pci-detach of a bus that is somebody's. */
bool play_pci(struct play *play);
/* Its owner finds all on it anew, numbered from 1. */
void play_forget_bus(struct play *play, unsigned int bus);

#endif
