/* SPDX-License-Identifier: MIT */
/* The workloads: what a guest does to the devices of a session for some time, and what that took. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "bench/guests.h"

#define BENCH_LATENCIES_MAX (1u << 19)
#define BENCH_TAKE_BACK_NS  UINT64_C(2000000000)

/* What was measured. Operations are what a latency is of: a command, a request, a report. */
struct bench_sample {
    uint64_t urbs;
    uint64_t bytes; /* of payload: without CBW, CSW and setup */
    uint64_t operations;
    uint64_t elapsed_ns;
    uint64_t cpu_ns; /* of all processes together */
    uint64_t sleeps;
    struct bench_counters counters; /* of this time; BENCH_UNKNOWN as in path.h */
    uint64_t *latency_ns;           /* BENCH_LATENCIES_MAX of them; the first ones, should there be more */
    unsigned int nr_latencies;
    uint64_t lost, expected; /* isochronous: samples */
    bool stuck; /* URBs did not come back even when they were asked for: the session cannot be closed */
    char error[BENCH_WHY_MAX];
};

/* Bulk-only storage: one READ(10) after the other on each of the first `targets` devices, all at once. */
struct bench_read {
    unsigned int targets;
    uint32_t urb_bytes;    /* of each data URB, a multiple of 512, at most 60 KiB */
    uint32_t command_urbs; /* data URBs of a command; 0: as many as take some time, but not too long */
    unsigned int queue;    /* data URBs under way at a time */
};

/*
 * All work for about `ns` after a warm-up of a tenth of that, and end with no URB under way. -EBADMSG: what
 * was read is not what is on the disk, or a status says that it failed; -ETIMEDOUT; or what the path said.
 * error then has a line.
 */
int bench_work_read(struct bench_guests *guests, const struct bench_read *read, uint64_t ns,
                    struct bench_sample *out);
/* GET_DESCRIPTOR(device) of the first device, 18 bytes, one after the other. */
int bench_work_control(struct bench_guests *guests, uint64_t ns, struct bench_sample *out);

/*
 * Reports of the first device, a ticker: each latency is from the time it was due. Open loop: a report that
 * is not fetched in time makes the next ones late, too, and is not left out. No warm-up.
 */
int bench_work_interrupt(struct bench_guests *guests, uint64_t ns, struct bench_sample *out);
/* Full duplex sound on the first device; lost and expected are samples of what was recorded. */
int bench_work_iso(struct bench_guests *guests, uint64_t ns, struct bench_sample *out);
/* Nobody does anything. */
int bench_work_idle(struct bench_guests *guests, uint64_t ns, struct bench_sample *out);

/* Zeroed, but for the memory for latencies. -ENOMEM. */
int bench_sample_create(struct bench_sample *out);
void bench_sample_destroy(struct bench_sample *sample);

/* ---- for workloads ---- */

struct bench_meter {
    struct bench_guests *guests;
    struct bench_sample *sample;
    struct bench_counters before;
    uint64_t begin_ns, begin_cpu_ns, begin_sleeps;
    bool control; /* all its URBs are control transfers */
    bool on;
};

/* From here on counts; the other way round for end(). */
void bench_meter_begin(struct bench_meter *meter);
void bench_meter_end(struct bench_meter *meter);
/* One operation that took that long; nothing while the meter is off. */
void bench_meter_latency(struct bench_meter *meter, uint64_t ns);
/* One URB that came back with payload. */
void bench_meter_urb(struct bench_meter *meter, uint32_t bytes);
/* Turns the session until *held is 0, for BENCH_TAKE_BACK_NS at most; then says in the sample that it is
 * stuck. */
void bench_meter_drain(struct bench_meter *meter, const unsigned int *held);
/* Puts a line into sample->error unless there is one. Returns rc. */
int bench_fail(struct bench_sample *sample, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
