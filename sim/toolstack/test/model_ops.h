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
/* One at random. False: its answer was not the model's; wrong says which. */
bool play_operation(struct play *play);
/* Everything goes: guests, devices, the backend. */
void play_end(struct play *play);

#endif
