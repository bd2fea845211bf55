/* SPDX-License-Identifier: MIT */
/*
 * The plan of a replay: a recording turned into one list of steps that guest and
 * device follow, each doing its own and waiting for the other's. Order and overlap are causal as
 * recorded: an URB is submitted after the completions that came before it, and completes after
 * the submissions that came before that.
 *
 * A recorded bus becomes a virtual controller, a recorded device a device on one of its ports
 * with the address it had. Addresses that were given out of sight (xHCI never shows SET_ADDRESS)
 * are given by a step of the plan.
 *
 * A recording may hold more URBs at once than a ring has slots: what does not fit is submitted later, at
 * the latest before its recorded completion; receivers that wait longest are parked (unlinked
 * and submitted again) when nothing else makes room.
 */
#ifndef SIM_REPLAY_PLAN_H
#define SIM_REPLAY_PLAN_H

#include "trace/trace.h"

/* Why an URB is not compared, or not even sent. */
enum replay_reason {
    REPLAY_CHECKED = 0,
    REPLAY_ROOT_HUB,
    REPLAY_NO_SUBMISSION, /* not an URB of the file: only its completion is there */
    REPLAY_NO_SETUP,
    REPLAY_NEVER_COMPLETED,
    REPLAY_REFUSED,
    REPLAY_TOO_LONG,
    REPLAY_ISO_CUT,
    REPLAY_OUT_MISSING,
    REPLAY_IN_MISSING,
    REPLAY_STATUS_UNKNOWN,
    REPLAY_BEYOND_LENGTH,
    REPLAY_ADDRESS_ZERO,
    REPLAY_ADDRESS_FAILED,
    REPLAY_NO_PORT,
    REPLAY_CONTROL_LENGTH,
    REPLAY_REASONS
};
/* A short clause, such as "root hub". */
const char *replay_reason_text(enum replay_reason reason);

enum plan_what {
    PLAN_PLUG,     /* device side: the device appears on its port; guest: sees it */
    PLAN_UNPLUG,
    PLAN_ADDRESS,  /* guest: a SET_ADDRESS that is not in the recording */
    PLAN_SUBMIT,
    PLAN_UNLINK,   /* guest: asks for the URB back, as somebody did in the recording */
    PLAN_PARK,     /* guest: takes the URB back for a while */
    PLAN_COMPLETE,
};

struct plan_step {
    enum plan_what what;
    uint32_t index; /* of the URB, or of the device for the first three */
};

struct plan_device {
    uint16_t bus;
    uint8_t address;        /* 0: never got one */
    uint8_t port;           /* 1..31; 0: none was free */
    unsigned int controller; /* index of its bus */
    char busid[16];         /* "3-2" */
};

struct plan_urb {
    enum replay_reason reason;
    bool replayed;      /* goes over the ring */
    bool unseen;        /* answered above the device: SET_ADDRESS */
    bool left_open;     /* ends only because the recording does */
    bool short_not_ok;  /* to be sent with the request */
    uint32_t device;
    int32_t status;     /* what the guest must see */
    int32_t device_status; /* what the device must answer */
    uint32_t actual;
};

struct plan {
    const struct trace *trace;
    struct plan_urb *urb; /* one for each of the trace */
    struct plan_device *device;
    uint32_t nr_devices;
    uint16_t *bus; /* of each controller */
    unsigned int nr_controllers;
    struct plan_step *step;
    uint32_t nr_steps;
};

/* 0 or -ENOMEM. The trace must outlive the plan. */
int plan_create(const struct trace *trace, struct plan *out);
void plan_dispose(struct plan *plan);

#endif
