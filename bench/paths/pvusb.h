/* SPDX-License-Identifier: MIT */
/* Our two halves as paths: how they wait, and how payload gets from one to the other. */
#ifndef BENCH_PATHS_PVUSB_H
#define BENCH_PATHS_PVUSB_H

#include "backend/backend.h"
#include "bench/devices.h"
#include "bench/paths/paths.h"
#include "frontend/frontend.h"

#define PVUSB_BENCH_GUEST 1u  /* the domain of the first guest */
#define PVUSB_BENCH_QUEUE 64u /* bulk URBs that keep it busy; the ring of our halves holds as many reads, and more */

struct pvusb_way {
    uint64_t spin_ns; /* each side looks at its ring for so long before it blocks; 0: blocks at once */
    enum back_buffers buffers;
};

/* Writes the nodes of all guests' controllers, with their ports. */
int pvusb_bench_nodes(const struct bench_setup *setup, struct xen_machine *machine);
/* The frontends of all guests. fronts has room for BENCH_GUESTS_MAX and is zeroed. */
int pvusb_bench_fronts(const struct bench_setup *setup, struct xen_machine *machine, struct front **fronts);
bool pvusb_bench_connected(const struct bench_setup *setup, struct front *const *fronts);
/* Adds what a backend's connectors have counted. */
void pvusb_bench_count_back(struct back_driver *driver, struct bench_counters *out);
void pvusb_bench_count_front(struct front *const *fronts, struct bench_counters *out);

/* Two processes and the machine's; why as in path.h. */
int pvusb_two_open(const struct pvusb_way *way, const struct bench_setup *setup, struct bench_session **out,
                   char *why);

#endif
