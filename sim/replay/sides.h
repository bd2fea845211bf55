/* SPDX-License-Identifier: MIT */
/* The two sides of a session, each of which may be a process of its own. */
#ifndef SIM_REPLAY_SIDES_H
#define SIM_REPLAY_SIDES_H

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "replay/player.h"
#include "replay/session.h"

#define REPLAY_GUEST 1u

/* Writes the nodes of all controllers, every port named after the recorded device that will be there. */
int replay_write_nodes(struct xen *dom0, const struct plan *plan);

struct recorder;
int recorder_create(const char *path, unsigned int controllers, struct recorder **out, char error[REPLAY_ERROR_MAX]);
/* The tap for the controller of a bus; valid until recorder_destroy(). */
const struct front_tap *recorder_tap(struct recorder *recorder, unsigned int controller, uint16_t bus);
int recorder_destroy(struct recorder *recorder);

struct guest_side {
    const struct plan *plan;
    const struct replay_options *options;
    struct replay_results *results;
    struct front **front; /* one for each controller */
    struct hcd **hcd;
    struct player *player;
    struct recorder *recorder;
};
int guest_side_init(struct guest_side *guest, struct xen_machine *machine, const struct plan *plan,
                    const struct replay_options *options, struct replay_results *results, char error[REPLAY_ERROR_MAX]);
int guest_side_step(struct guest_side *guest, uint64_t now_ns);
uint64_t guest_side_deadline(const struct guest_side *guest);
bool guest_side_finished(const struct guest_side *guest);
/* Begins to close all controllers; guest_side_closed() tells when they are. */
void guest_side_close(struct guest_side *guest);
bool guest_side_closed(const struct guest_side *guest);
struct front_stats guest_side_stats(const struct guest_side *guest);
/* Returns an error of writing the recording, with a line in error unless there is one. */
int guest_side_dispose(struct guest_side *guest, char error[REPLAY_ERROR_MAX]);

struct device_side {
    struct replay_host *host;
    struct back_driver *driver;
};
int device_side_init(struct device_side *device, struct xen_machine *machine, const struct plan *plan,
                     const struct replay_options *options, struct replay_results *results);
int device_side_step(struct device_side *device, uint64_t now_ns);
void device_side_dispose(struct device_side *device);

/* 0 when nothing is left open on a machine; else -EBUSY with a line in error that names it. */
int replay_check_balance(const struct fakexen_balance *left, char error[REPLAY_ERROR_MAX]);

/* The same for the machine in that directory, when nobody else is on it any more. */
int replay_check_machine(const char *dir, char error[REPLAY_ERROR_MAX]);

/* two.c, peer.c */
int replay_run_two(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                   struct replay_totals *totals, char error[REPLAY_ERROR_MAX]);
int replay_run_peer(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                    struct replay_totals *totals, char error[REPLAY_ERROR_MAX]);

#endif
