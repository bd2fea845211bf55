/* SPDX-License-Identifier: MIT */
/*
 * The guest side of a replay: submits the URBs of a plan to virtual controllers, unlinks
 * what was unlinked, and compares every result with the recording.
 */
#ifndef SIM_REPLAY_PLAYER_H
#define SIM_REPLAY_PLAYER_H

#include "guest/hcd.h"
#include "replay/plan.h"
#include "replay/replay_host.h"
#include "replay/result.h"

struct player;

/* controllers: one for each of the plan, running when the first step is made. All arguments outlive the player. */
int player_create(const struct plan *plan, enum replay_match match, struct hcd *const *controllers,
                  struct replay_results *results, struct player **out);
/* All URBs must have been returned: controllers are closed before. */
void player_destroy(struct player *player);
/* Does what can be done now. */
void player_step(struct player *player, uint64_t now_ns);
/* From now on what comes back is no answer any more. */
void player_stop(struct player *player);
bool player_finished(const struct player *player);

#endif
