/* SPDX-License-Identifier: MIT */
/*
 * How to add a path: a way from a guest's USB core to a device. Write bench/paths/NAME.c with a struct
 * bench_path, and name it in bench/paths/table.c and bench/CMakeLists.txt.
 *
 * One and the same workload drives every path through struct hcd (sim/guest/hcd.h): what differs between two
 * rows of the table is the path alone. The guest lives in the process of the benchmark; what is on the other
 * side (backend, QEMU, a server) is in processes that open() starts and close() ends. Simulated devices come
 * from bench/devices.h wherever they are, so that they are the same everywhere.
 *
 * A session is opened for each round anew, in turn with those of the other paths, and no two are open at
 * once: a controller that polls while nobody uses it would be paid for by the others.
 *
 * Threads: one. Only wait() blocks.
 */
#ifndef BENCH_PATH_H
#define BENCH_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/hcd.h"

#define BENCH_WHY_MAX       160u
#define BENCH_GUESTS_MAX    16u
#define BENCH_PROCESSES_MAX 24u
#define BENCH_UNKNOWN       UINT64_MAX /* a counter that this path does not have */

/* What the time on the bus is made of: --wire. */
enum bench_wire {
    BENCH_WIRE_NONE, /* a device answers as fast as it can */
    BENCH_WIRE_FULL, /* 12 Mbit/s */
    BENCH_WIRE_HIGH, /* 480 Mbit/s */
};

/* What is behind the path. */
enum bench_device {
    BENCH_DISK,   /* bulk-only storage of 16 MiB, see bench/devices.h for what is on it */
    BENCH_TICKER, /* an interrupt endpoint that speaks at times of its own (sim/devices/ticker.h) */
    BENCH_AUDIO,  /* a sound card: isochronous in both directions (sim/devices/audio.h) */
};

/* Where the two sides of a path run: --cpus. */
enum bench_cpus {
    BENCH_CPUS_BEST, /* what blocks on one CPU, what spins on two */
    BENCH_CPUS_ONE,
    BENCH_CPUS_TWO,
};

struct bench_setup {
    enum bench_device device;
    unsigned int guests;  /* 1..BENCH_GUESTS_MAX, each with a controller of its own */
    unsigned int devices; /* of each guest, on its ports 1, 2, ... */
    bool full_speed; /* devices of full speed; a path whose controller knows no other sets it in a copy */
    enum bench_wire wire;
    int guest_cpu;  /* where the benchmark itself runs; -1: anywhere */
    int device_cpu; /* where the other side's processes are to run; -1: anywhere */
};

/* Since the session was opened; all that either side did. BENCH_UNKNOWN where nobody counts. */
struct bench_counters {
    uint64_t notifications; /* events, signals or messages that one side sent to the other to be looked at */
    uint64_t copied; /* bytes of payload copied between the device's store and the guest's buffer; a byte that
                        is copied twice counts twice */
    uint64_t maps;   /* calls that map or unmap memory of the other side */
    uint64_t registers; /* register accesses of the guest's driver */
};

struct bench_session;

struct bench_session_ops {
    /* Does all that can be done at now_ns (CLOCK_MONOTONIC): URBs complete inside. -errno: the path broke. */
    int (*step)(struct bench_session *session, uint64_t now_ns);
    /*
     * Returns when step() has something to do, at the time `until_ns`, or earlier (0: at once). How it waits
     * is what the path is about: blocks, spins, or spins and then blocks. The path knows its own deadlines.
     * URBs may complete inside, too: who spins takes what he sees.
     */
    int (*wait)(struct bench_session *session, uint64_t until_ns);
    void (*counters)(struct bench_session *session, struct bench_counters *out);
    /* Ends the other side's processes, waits for them, and frees all. */
    void (*close)(struct bench_session *session);
};

/* Implementations embed this as their first member. */
struct bench_session {
    const struct bench_session_ops *ops;
    struct hcd
        *hcd[BENCH_GUESTS_MAX]; /* of each guest; its devices are plugged in, or come while it is stepped */
    /* The processes whose CPU time and wake-ups count, without that of the benchmark, which always does. */
    pid_t process[BENCH_PROCESSES_MAX];
    unsigned int nr_processes;
    unsigned int queue; /* how many bulk URBs keep it busy; more only wait in its driver. At most 64 */
    /*
     * Its root hubs have no clock but the time that hub_control() is told. An enumeration then need not sit
     * out the waits of USB 2.0 section 7.1.7, and is done in no time.
     */
    bool patient_hubs;
    /*
     * How often each byte of payload is copied where that is so by construction, as by the device's own copy;
     * what counters() says comes on top. 0: that is all.
     */
    unsigned int copies;
    unsigned int control_copies; /* by which those are more for the data of control transfers */
    bool foreign_disk; /* the disk is not of bench/devices.h: what is on it is not checked */
};

/* What a measurement of something that is no USB fills in, see bench_path.measure. */
struct bench_raw {
    uint64_t operations;
    uint64_t bytes;
    uint64_t elapsed_ns;
    uint64_t cpu_ns;      /* of all processes that took part */
    uint64_t *latency_ns; /* room for latency_max; one of each operation, as far as they fit */
    unsigned int latency_max, nr_latencies;
};

enum bench_raw_profile { BENCH_RAW_BULK, BENCH_RAW_ROUND_TRIP };

struct bench_path {
    const char *name; /* as in --paths and in JSON */
    const char *what; /* one line for --list */
    bool model;       /* a bound, not something that exists; every table says so */
    bool spins;       /* waits by looking, for which it wants a CPU for each side */
    bool scales;      /* takes up to 31 devices and 16 guests, and is to be measured with them */
    /*
     * Opens a session; returns when its processes run. -ENOTSUP: this path has no such device or setup;
     * -ENOPKG: something is not installed; other -errno: it failed. why (BENCH_WHY_MAX bytes) then has one
     * line without newline that says what is missing, such as "package qemu-system-x86 is not installed".
     */
    int (*open)(const struct bench_setup *setup, struct bench_session **out, char *why);
    /*
     * For what is no USB at all (memcpy, a ping-pong), instead of open(): works for about `ns` and tells what
     * it did. -ENOTSUP: it is nothing for this profile.
     */
    int (*measure)(enum bench_raw_profile profile, const struct bench_setup *setup, uint64_t ns,
                   struct bench_raw *out);
};

/* All paths, in the order of the tables; ends with NULL. bench/paths/table.c. */
extern const struct bench_path *const bench_paths[];

/* ---- for paths ---- */

/*
 * To be called first in every process of the other side: puts it on setup->device_cpu and gives it timers
 * without slack. For programs of others, between fork() and exec(); both are inherited.
 */
void bench_become_device_side(const struct bench_setup *setup);

#endif
