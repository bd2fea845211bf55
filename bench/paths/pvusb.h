/* SPDX-License-Identifier: MIT */
/* What paths with our two halves have in common. */
#ifndef BENCH_PATHS_PVUSB_H
#define BENCH_PATHS_PVUSB_H

#include "backend/backend.h"
#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "frontend/frontend.h"

#define PVUSB_BENCH_GUEST 1u  /* the domain of the first guest */
#define PVUSB_BENCH_QUEUE 64u /* bulk URBs that keep it busy; the ring of our halves holds as many reads, and more */

/* Writes the nodes of all guests' controllers, with their ports. */
int pvusb_bench_nodes(const struct bench_setup *setup, struct xen_machine *machine);
/* The frontends of all guests. fronts has room for BENCH_GUESTS_MAX and is zeroed. */
int pvusb_bench_fronts(const struct bench_setup *setup, struct xen_machine *machine, struct front **fronts);
bool pvusb_bench_connected(const struct bench_setup *setup, struct front *const *fronts);
/* Adds what a backend's connectors have counted. */
void pvusb_bench_count_back(struct back_driver *driver, struct bench_counters *out);
void pvusb_bench_count_front(struct front *const *fronts, struct bench_counters *out);

#endif
