/* SPDX-License-Identifier: MIT */
/*
 * The stress test's common ground: what both sides, the guest above the frontend and the devices below the backend,
 * know of every byte without talking to each other.
 *
 * Bulk and interrupt IN endpoints are endless streams: byte n depends on seed, port, generation of the device and
 * endpoint, and so does the status of a transfer that ends there. A transfer that is taken back half done goes on
 * where it was, so nothing may be lost or come twice. All other transfers carry a number: control in the setup
 * packet, OUT in the first bytes, isochronous in the interval; data and result depend on the number.
 */
#ifndef SIM_TEST_STRESS_H
#define SIM_TEST_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "frontend/frontend.h"

#define STRESS_PORTS     31u
#define STRESS_ENDPOINTS 6u  /* data endpoints 1 to 6, each in both directions */
#define STRESS_ENDS      14u /* endpoints with direction: 0 is control, 2 * number + in the others */
#define STRESS_HEADER    8u  /* of OUT data: number and length, 4 bytes each; shorter data has none */
#define STRESS_GUEST     1u
#define STRESS_MS        UINT64_C(1000000)
#define STRESS_LOST_NS   (30000 * STRESS_MS) /* what has not come by then never does */

struct stress_options {
    uint64_t seed;
    uint64_t urbs;    /* 0: until the time is over */
    uint64_t seconds; /* 0: until the URBs are done */
    unsigned int processes; /* 1: a local machine and virtual time; 2: frontend and backend as processes of their own */
    bool flat;        /* memory that grows after the warm-up is an error */
};

struct stress_usage {
    uint64_t rss_kib;
    uint64_t rss_max_kib;
    unsigned int fds;
};

enum stress_process {
    STRESS_FRONTEND,
    STRESS_BACKEND,
    STRESS_HOST,
    STRESS_PROCESSES
};

enum stress_result {
    STRESS_OK,
    STRESS_SHORT,
    STRESS_UNLINKED,
    STRESS_STALL,
    STRESS_IOERROR,
    STRESS_BABBLE,
    STRESS_NODEV,
    STRESS_SHUTDOWN,
    STRESS_RESULTS
};

/* What came out; shared by the processes. Each field has one writer. */
struct stress_report {
    /* the guest */
    uint64_t urbs;
    uint64_t by_type[4];
    uint64_t by_result[STRESS_RESULTS];
    uint64_t guest_in;  /* bytes */
    uint64_t guest_out;
    uint64_t unlinks;   /* asked for */
    uint64_t unlinks_waiting; /* of those, never on the ring */
    uint64_t unlinks_refused; /* twice, or after the end */
    uint64_t refused;   /* malformed URBs that submit() did not take */
    uint64_t packet_errors;
    uint64_t enumerated;
    uint64_t plugs;     /* changes of connection that the guest saw */
    uint64_t elapsed_ns;
    struct front_stats front;
    struct stress_usage warm[STRESS_PROCESSES];
    struct stress_usage end[STRESS_PROCESSES];
    char front_error[256];
    /* the devices */
    uint64_t device_in;
    uint64_t device_out;
    uint64_t transfers;
    uint64_t cancels;
    uint64_t flushed;
    uint64_t unplugs;   /* by hand */
    uint64_t detaches;  /* by the toolstack */
    uint32_t gone[STRESS_PORTS + 1]; /* the newest generation at each port that was pulled or taken away */
    struct back_stats back;
    int32_t back_pid;
    char back_error[256];
};

/* Keeps the first line. error is one of the two of a report. */
void stress_fail(char error[256], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 0 to limit - 1. */
uint32_t stress_below(uint64_t *state, uint32_t limit);
uint64_t stress_hash(uint64_t a, uint64_t b);

/* What a transfer's data and result depend on; number is 0 for the streams. */
uint64_t stress_key(uint64_t seed, unsigned int port, unsigned int generation, unsigned int end, uint32_t number);
/* The bytes of a key from a position on. */
void stress_fill(uint64_t key, uint64_t position, uint8_t *out, uint32_t length);
/* The offset of the first wrong byte, or length. */
uint32_t stress_differs(uint64_t key, uint64_t position, const uint8_t *data, uint32_t length);
/* The data of an OUT transfer, with its header. */
void stress_fill_out(uint64_t key, uint32_t number, uint8_t *out, uint32_t length);
bool stress_check_out(uint64_t key, uint32_t number, const uint8_t *data, uint32_t length);

struct stress_end {
    int32_t status;
    uint32_t actual;
    bool never; /* stays at the device until it is cancelled */
};

/* How a control or OUT transfer ends. */
struct stress_end stress_judge(uint64_t key, bool in, uint32_t length);
/* How an IN transfer of a stream ends that ends at a position. */
int32_t stress_status_at(uint64_t key, uint64_t position);
/* How an isochronous packet ends. */
struct stress_end stress_packet(uint64_t key, unsigned int index, uint32_t length);

uint8_t stress_type(unsigned int endpoint);

/* Both forms return 0, or -errno with a line in error. */
int stress_run_one(const struct stress_options *options, struct stress_report *report, char *error);
int stress_run_two(const struct stress_options *options, struct stress_report *report, char *error);

#endif
