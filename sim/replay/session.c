// SPDX-License-Identifier: MIT
#include "replay/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <fakexen/fakexen.h>

#include "replay/sides.h"

size_t replay_results_size(const struct trace *trace)
{
    return sizeof(struct replay_results) +
           (size_t)trace->nr_urbs * (sizeof(struct replay_difference) + sizeof(struct replay_mark));
}

struct replay_results *replay_results_at(void *memory, const struct trace *trace)
{
    struct replay_results *results = memory;
    results->difference = (struct replay_difference *)(results + 1);
    results->mark = (struct replay_mark *)(results->difference + trace->nr_urbs);
    return results;
}

struct replay_results *replay_results_create(const struct trace *trace)
{
    void *memory = mmap(NULL, replay_results_size(trace), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : replay_results_at(memory, trace);
}

void replay_results_destroy(struct replay_results *results, const struct trace *trace)
{
    if (results)
        munmap(results, replay_results_size(trace));
}

/* ---- one process: virtual time, which passes only when nobody has anything to do ---- */

struct world {
    struct fakexen_local *local;
    struct guest_side guest;
    struct device_side device;
    uint64_t now_ns;
};

/* One round of everybody; false when nothing can happen any more. */
static bool round_of_all(struct world *world, const struct replay_results *results, int *rc)
{
    uint32_t guest_step = results->guest_step;
    uint32_t device_step = results->device_step;
    *rc = guest_side_step(&world->guest, world->now_ns);
    if (!*rc)
        *rc = device_side_step(&world->device, world->now_ns);
    if (*rc)
        return false;
    if (fakexen_local_pending(world->local) || back_driver_busy(world->device.driver) ||
        guest_step != results->guest_step || device_step != results->device_step)
        return true;
    uint64_t due = guest_side_deadline(&world->guest);
    if (due == UINT64_MAX)
        return false;
    world->now_ns = due > world->now_ns ? due : world->now_ns + 1000000;
    return true;
}

static int play(struct world *world, struct replay_results *results)
{
    int rc = 0;
    unsigned int idle = 0;
    while (!guest_side_finished(&world->guest)) {
        if (round_of_all(world, results, &rc))
            idle = 0;
        else if (rc || ++idle > 2)
            break; /* at a stand: the results name what is missing */
    }
    guest_side_close(&world->guest);
    for (idle = 0; !rc && !guest_side_closed(&world->guest) && idle < 3;)
        idle = round_of_all(world, results, &rc) ? 0 : idle + 1;
    return rc;
}

int replay_check_balance(const struct fakexen_balance *left, char error[REPLAY_ERROR_MAX])
{
    static const struct fakexen_balance none = {0};
    if (memcmp(left, &none, sizeof(none)) == 0)
        return 0;
    snprintf(error, REPLAY_ERROR_MAX,
             "left open at the end: %u handles, %u pages, %u grants, %u maps, %u ports, %u watches", left->handles,
             left->pages, left->grants, left->maps, left->ports, left->watches);
    return -EBUSY;
}

static int run_one(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                   struct replay_totals *totals, char error[REPLAY_ERROR_MAX])
{
    struct world world = {0};
    struct xen *dom0 = NULL;
    int rc = fakexen_local_create(&world.local);
    if (rc)
        return rc;
    struct xen_machine *machine = fakexen_local_machine(world.local);
    rc = machine->ops->domain_create(machine, REPLAY_GUEST);
    if (!rc)
        rc = machine->ops->open(machine, 0, &dom0);
    if (!rc)
        rc = replay_write_nodes(dom0, plan);
    xen_close(dom0);
    if (!rc)
        rc = device_side_init(&world.device, machine, plan, options, results);
    if (!rc)
        rc = guest_side_init(&world.guest, machine, plan, options, results, error);
    if (!rc)
        rc = play(&world, results);
    if (world.guest.player)
        totals->front = guest_side_stats(&world.guest);
    device_side_dispose(&world.device);
    int closed = world.guest.plan ? guest_side_dispose(&world.guest, error) : 0;
    rc = rc ? rc : closed;
    struct fakexen_balance left = fakexen_local_balance(world.local);
    if (!rc)
        rc = replay_check_balance(&left, error);
    fakexen_local_destroy(world.local);
    return rc;
}

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int replay_run(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
               struct replay_totals *totals, char error[REPLAY_ERROR_MAX])
{
    uint64_t start = monotonic_ns();
    *totals = (struct replay_totals){0};
    error[0] = '\0';
    int rc;
    if (options->qemu)
        rc = replay_run_peer(plan, options, results, totals, error);
    else if (options->processes == 2)
        rc = replay_run_two(plan, options, results, totals, error);
    else
        rc = run_one(plan, options, results, totals, error);
    totals->elapsed_ns = monotonic_ns() - start;
    if (rc && !error[0])
        snprintf(error, REPLAY_ERROR_MAX, "%s", strerror(-rc));
    return rc;
}
