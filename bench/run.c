// SPDX-License-Identifier: MIT
#include "bench/run.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bench/devices.h"
#include "bench/process.h"
#include "bench/record.h"
#include "bench/work.h"

#define STATIONS_MAX 16u
#define FAILURES_MAX                                                                                         \
    2u /* of a path at a station; then it is left out, as each may take as long as patience does */
#define URB_BYTES 61440u /* 15 pages, the most that is page aligned and fits into one request */

const struct bench_profile_name bench_profiles[] = {
    {"bulk-bw", BENCH_BULK_BW, "sequential reads from a disk, and reads with the queue full"},
    {"ctrl-lat", BENCH_CTRL_LAT, "control round trips, one after the other"},
    {"int-lat", BENCH_INT_LAT, "how late an interrupt is heard (open loop)"},
    {"iso-loss", BENCH_ISO_LOSS, "full duplex sound: what is lost"},
    {"small-urb", BENCH_SMALL_URB, "URBs of 512 bytes, queue full"},
    {"idle-cpu", BENCH_IDLE_CPU, "wake-ups and CPU time of devices that nobody uses, up to 31"},
    {"scale", BENCH_SCALE, "1 to 31 devices, 1 to 16 guests, and one device among idle ones"},
    {NULL, 0, NULL},
};

/* ---- what is measured ---- */

struct thing;

struct run {
    const struct bench_plan *plan;
    struct bench_results *results;
    const struct bench_path *path;
    struct bench_setup setup;
    struct bench_sample sample;
    unsigned int round;
    uint64_t ns;
    const struct thing *next; /* that was not measured in this session */
    bool broken;              /* the session */
    unsigned int failures[STATIONS_MAX][BENCH_PATHS_MAX];
};

struct thing {
    enum bench_profile profile;
    const char *prefix; /* of its metrics */
    unsigned int quantities;
    int (*work)(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                struct bench_sample *out);
    uint32_t urb_bytes;
    bool full_queue;
    unsigned int targets; /* 0: all devices there are */
};

static int work_read(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                     struct bench_sample *out)
{
    const struct bench_read read = {
        .targets = thing->targets ? thing->targets : guests->nr_targets,
        .urb_bytes = thing->urb_bytes,
        .command_urbs = thing->full_queue ? 0 : 1,
        .queue = thing->full_queue ? guests->session->queue : 1,
    };
    return bench_work_read(guests, &read, ns, out);
}

static int work_control(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                        struct bench_sample *out)
{
    (void)thing;
    return bench_work_control(guests, ns, out);
}

static int work_interrupt(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                          struct bench_sample *out)
{
    (void)thing;
    return bench_work_interrupt(guests, ns, out);
}

static int work_iso(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                    struct bench_sample *out)
{
    (void)thing;
    return bench_work_iso(guests, ns, out);
}

static int work_idle(struct bench_guests *guests, const struct thing *thing, uint64_t ns,
                     struct bench_sample *out)
{
    (void)thing;
    return bench_work_idle(guests, ns, out);
}

enum {
    RATE = BENCH_Q_RATE,
    LATENCY = BENCH_Q_LATENCY,
    COST = BENCH_Q_COST,
    COUNTERS = BENCH_Q_COUNTERS,
    LOAD = BENCH_Q_LOAD,
    LOSS = BENCH_Q_LOSS,
};

static const struct thing one_disk[] = {
    {BENCH_BULK_BW, "seq-read", RATE | LATENCY | COST | COUNTERS, work_read, URB_BYTES, false, 1},
    {BENCH_BULK_BW, "full-queue-bulk", RATE | COST | COUNTERS, work_read, URB_BYTES, true, 1},
    {BENCH_SMALL_URB, "small-urb", RATE | COST | COUNTERS, work_read, 512, true, 1},
    {BENCH_CTRL_LAT, "ctrl-rtt", RATE | LATENCY | COST | COUNTERS, work_control, 0, false, 1},
    {0},
};
static const struct thing ticker[] = {
    {BENCH_INT_LAT, "int-lat", LATENCY | COST | LOAD, work_interrupt, 0, false, 1},
    {0},
};
static const struct thing sound_card[] = {
    {BENCH_ISO_LOSS, "iso-loss", RATE | LOAD | LOSS, work_iso, 0, false, 1},
    {0},
};
static const struct thing silence[] = {
    {BENCH_IDLE_CPU, "idle-cpu", LOAD, work_idle, 0, false, 1},
    {0},
};
static const struct thing parallel[] = {
    {BENCH_SCALE, "scale", RATE | COST, work_read, URB_BYTES, false, 0},
    {0},
};
static const struct thing parallel_and_alone[] = {
    {BENCH_SCALE, "scale", RATE | COST, work_read, URB_BYTES, false, 0},
    {BENCH_SCALE, "scale-idle", RATE | COST, work_read, URB_BYTES, false, 1},
    {0},
};

/* What shares a session. */
static const struct station {
    const struct thing *things;
    unsigned int profiles;
    enum bench_device device;
    unsigned int guests, devices;
    bool fewer; /* with fewer devices where there is no room for so many */
} stations[] = {
    {one_disk, BENCH_BULK_BW | BENCH_SMALL_URB | BENCH_CTRL_LAT, BENCH_DISK, 1, 1, false},
    {ticker, BENCH_INT_LAT, BENCH_TICKER, 1, 1, false},
    {sound_card, BENCH_ISO_LOSS, BENCH_AUDIO, 1, 1, false},
    {silence, BENCH_IDLE_CPU, BENCH_DISK, 1, 31, true},
    {parallel_and_alone, BENCH_SCALE, BENCH_DISK, 1, 1, false},
    {parallel, BENCH_SCALE, BENCH_DISK, 1, 4, false},
    {parallel, BENCH_SCALE, BENCH_DISK, 1, 16, false},
    {parallel_and_alone, BENCH_SCALE, BENCH_DISK, 1, 31, false},
    {parallel, BENCH_SCALE, BENCH_DISK, 4, 1, false},
    {parallel, BENCH_SCALE, BENCH_DISK, 16, 1, false},
};

#define NR_STATIONS (sizeof(stations) / sizeof(stations[0]))
static_assert(NR_STATIONS <= STATIONS_MAX, "each station has its failures");

/* ---- one path at one station ---- */

static void name_prefix(const struct run *run, const struct thing *thing, char *out)
{
    if (thing->profile == BENCH_SCALE)
        snprintf(out, BENCH_NAME_MAX, "%s-%ux%u", thing->prefix, run->setup.guests, run->setup.devices);
    else
        snprintf(out, BENCH_NAME_MAX, "%s", thing->prefix);
}

static int measure_thing(struct run *run, struct bench_guests *guests, const struct thing *thing)
{
    char prefix[BENCH_NAME_MAX], why[BENCH_WHY_MAX];
    name_prefix(run, thing, prefix);
    if (run->plan->progress)
        run->plan->progress(run->round, run->path->name, prefix);
    run->sample.error[0] = '\0';
    int rc = thing->work(guests, thing, run->ns, &run->sample);
    if (rc) {
        snprintf(why, sizeof(why), "%.150s", run->sample.error[0] ? run->sample.error : strerror(-rc));
        (void)bench_results_absent(run->results, run->path->name, prefix, why, true);
        return rc;
    }
    return bench_record(run->results, run->path->name, prefix, run->round, thing->quantities, &run->sample);
}

/* Half as many devices each time, until there is room. */
static int open_session(struct run *run, const struct station *station, struct bench_session **out, char *why)
{
    run->setup.device = station->device;
    run->setup.guests = station->guests;
    run->setup.devices = station->devices;
    for (;;) {
        why[0] = '\0';
        int rc = run->path->open(&run->setup, out, why);
        if (rc != -ENOTSUP || !station->fewer || run->setup.devices == 1)
            return rc;
        run->setup.devices /= 2;
    }
}

static int measure_session(struct run *run, const struct station *station, struct bench_session *session,
                           char *why)
{
    struct bench_guests guests;
    int rc = bench_guests_open(session, &run->setup, &guests, why);
    if (rc) {
        run->broken = guests.stuck;
        return rc;
    }
    for (; run->next->prefix; run->next++) {
        if (run->plan->profiles & run->next->profile)
            rc = measure_thing(run, &guests, run->next);
        if (rc)
            break;
    }
    if (!rc && station->fewer)
        rc = bench_results_add(run->results, run->path->name, "idle-cpu.devices", run->round,
                               run->setup.devices);
    run->broken = run->sample.stuck;
    if (run->broken)
        return rc;
    int closed = bench_guests_close(&guests);
    run->broken = run->broken || closed;
    return rc ? rc : closed;
}

/* A session that still has what is ours cannot be closed. Its processes go, and the rest stays until we end.
 */
static void abandon(const struct bench_session *session)
{
    for (unsigned int i = 0; i < session->nr_processes; i++)
        (void)kill(session->process[i], SIGKILL);
}

static void visit(struct run *run, const struct station *station, unsigned int *failures)
{
    struct bench_session *session;
    char why[BENCH_WHY_MAX] = "", prefix[BENCH_NAME_MAX];
    run->next = station->things;
    int rc = open_session(run, station, &session, why);
    if (!rc) {
        run->broken = false;
        run->sample.stuck = false;
        rc = measure_session(run, station, session, why);
        if (run->broken)
            abandon(session);
        else
            session->ops->close(session);
    }
    if (!rc)
        return;
    if (!why[0])
        snprintf(why, sizeof(why), "%s", strerror(-rc));
    bool failed = rc != -ENOTSUP && rc != -ENOPKG;
    *failures += failed;
    for (const struct thing *thing = run->next; thing->prefix; thing++) {
        if (!(run->plan->profiles & thing->profile))
            continue;
        name_prefix(run, thing, prefix);
        (void)bench_results_absent(run->results, run->path->name, prefix, why, failed);
    }
}

/* ---- what is no USB ---- */

static void measure_raw(struct run *run, enum bench_raw_profile profile)
{
    bool bulk = profile == BENCH_RAW_BULK;
    const char *prefix = bulk ? "full-queue-bulk" : "ctrl-rtt";
    struct bench_raw raw = {.latency_ns = run->sample.latency_ns, .latency_max = BENCH_LATENCIES_MAX};
    if (run->plan->progress)
        run->plan->progress(run->round, run->path->name, prefix);
    int rc = run->path->measure(profile, &run->setup, run->ns, &raw);
    if (rc == -ENOTSUP)
        return;
    if (rc) {
        (void)bench_results_absent(run->results, run->path->name, prefix, strerror(-rc), true);
        return;
    }
    struct bench_sample sample = {.urbs = raw.operations,
                                  .bytes = raw.bytes,
                                  .elapsed_ns = raw.elapsed_ns,
                                  .cpu_ns = raw.cpu_ns,
                                  .latency_ns = raw.latency_ns,
                                  .nr_latencies = raw.nr_latencies};
    (void)bench_record(run->results, run->path->name, prefix, run->round,
                       BENCH_Q_RATE | BENCH_Q_COST | (bulk ? 0 : BENCH_Q_LATENCY), &sample);
}

static void visit_raw(struct run *run)
{
    if (run->plan->profiles & BENCH_BULK_BW)
        measure_raw(run, BENCH_RAW_BULK);
    if (run->plan->profiles & BENCH_CTRL_LAT)
        measure_raw(run, BENCH_RAW_ROUND_TRIP);
}

/* ---- the rounds ---- */

static void visit_all_paths(struct run *run, const struct station *station)
{
    for (unsigned int p = 0; run->plan->paths[p]; p++) {
        unsigned int *failures = &run->failures[station - stations][p];
        run->path = run->plan->paths[p];
        bench_choose_cpus(&run->setup, run->plan->cpus, run->path->spins);
        if (run->path->measure && station == &stations[0])
            visit_raw(run);
        else if (run->path->open && *failures < FAILURES_MAX &&
                 (station->things[0].profile != BENCH_SCALE || run->path->scales))
            visit(run, station, failures);
    }
}

int bench_run(const struct bench_plan *plan, struct bench_results *results)
{
    struct run run = {
        .plan = plan,
        .results = results,
        .setup = {.guests = 1, .devices = 1, .wire = plan->wire},
        .ns = (uint64_t)plan->millis * 1000000,
    };
    *results = (struct bench_results){.rounds = plan->rounds};
    int rc = bench_environment(plan, results);
    if (!rc)
        rc = bench_sample_create(&run.sample);
    if (rc)
        return rc;
    bench_devices_prepare();
    bench_choose_cpus(&run.setup, plan->cpus, false);
    bench_become_guest_side(&run.setup); /* the same CPU for all paths */
    for (run.round = 0; run.round < plan->rounds; run.round++) {
        for (unsigned int s = 0; s < NR_STATIONS; s++) {
            if (stations[s].profiles & plan->profiles)
                visit_all_paths(&run, &stations[s]);
        }
    }
    bench_leave_cpu();
    bench_sample_destroy(&run.sample);
    return 0;
}
