/* SPDX-License-Identifier: MIT */
/*
 * The plan of a replay: a recording turned into one list of steps that guest and
 * device follow, each doing its own and waiting for the other's. Order and overlap are causal as
 * recorded: an URB is submitted after the completions that came before it, and completes after
 * the submissions that came before that.
 *
 * A recorded bus becomes a virtual controller, a recorded device a device on one of its ports
 * with the address it had. A bus with more devices at once than a controller has ports becomes
 * several; the port of a device that says nothing more may go to another. Addresses that were given
 * out of sight (xHCI never shows SET_ADDRESS) are given by a step of the plan.
 *
 * A recording may hold more URBs at once than a ring has slots: what does not fit is submitted later, at
 * the latest before its recorded completion; receivers that wait longest are parked (unlinked
 * and submitted again) when nothing else makes room.
 *
 * A file may contradict itself; whatever it says, the plan can be followed to its end.
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
    REPLAY_NUMBER,
    REPLAY_SHORT_TOLERATED,
    REPLAY_ISO_RESULT,
    REPLAY_ISO_BOUNDS,
    REPLAY_ADDRESS_RANGE,
    REPLAY_QEMU_ISO, /* these only with PLAN_QEMU */
    REPLAY_QEMU_HOST_REQUEST,
    REPLAY_QEMU_REQUEST_5,
    REPLAY_QEMU_CONTROL_LENGTH,
    REPLAY_QEMU_ZERO_SETUP,
    REPLAY_QEMU_WAKEUP,
    REPLAY_QEMU_GONE,
    REPLAY_QEMU_STATUS,
    REPLAY_QEMU_OUT_ACTUAL,
    REPLAY_QEMU_FAILED_DATA,
    REPLAY_QEMU_UNLINKED_DATA,
    REPLAY_QEMU_QUEUED,
    REPLAY_QEMU_BEHIND_ERROR,
    REPLAY_QEMU_BEHIND_UNLINK,
    REPLAY_REASONS
};
/* A short clause, such as "root hub". */
const char *replay_reason_text(enum replay_reason reason);

enum plan_what {
    PLAN_PLUG,     /* device side: the device appears on its port; guest: sees it */
    PLAN_UNPLUG,
    PLAN_ADDRESS,  /* guest: a SET_ADDRESS that is not in the recording (QEMU: and SET_CONFIGURATION) */
    PLAN_SUBMIT,
    PLAN_UNLINK,   /* guest: asks for the URB back, as somebody did in the recording */
    PLAN_PARK,     /* guest: takes the URB back for a while */
    PLAN_COMPLETE,
};

struct plan_step {
    enum plan_what what;
    uint32_t index; /* of the URB, or of the device for the first three */
};

#define PLAN_CONTROLLERS_MAX 32u

struct plan_controller {
    uint16_t bus;
    uint16_t nth;     /* of those of its bus, from 0 */
    uint8_t nr_ports; /* of which a device is ever on */
    uint16_t usbfs;   /* QEMU: its bus in usbfs, which has no more than 32; else 0 */
};
#define PLAN_BUSID_MAX 16
/* The name of the device behind a port, such as "3-2". */
void plan_busid(const struct plan_controller *controller, unsigned int port, char busid[PLAN_BUSID_MAX]);

struct plan_device {
    uint16_t bus;
    uint8_t address;         /* 0: never got one */
    uint8_t port;            /* 1..31; 0: none was free, or no URB is left for it */
    unsigned int controller; /* valid with a port */
};

struct plan_urb {
    enum replay_reason reason;
    bool replayed;      /* goes over the ring */
    bool unseen;        /* answered above the device: SET_ADDRESS, with QEMU more than that */
    bool left_open;     /* ends only because the recording does */
    bool short_not_ok;  /* to be sent with the request */
    bool packets_cut;   /* the frontend does not give back what is recorded of isochronous packets */
    uint32_t device;
    int32_t status;     /* what the guest must see */
    int32_t device_status; /* what the device must answer */
    uint32_t actual;
    uint32_t ignored; /* enum replay_field: what may differ */
};

/* Whose backend is between guest and device. */
enum plan_backend {
    PLAN_OURS,
    PLAN_QEMU, /* QEMU 7.2 with usbfs below: one transfer per endpoint at a time, and no port is used twice */
};

struct plan {
    const struct trace *trace;
    enum plan_backend backend;
    struct plan_urb *urb; /* one for each of the trace */
    struct plan_device *device;
    uint32_t nr_devices;
    struct plan_controller controller[PLAN_CONTROLLERS_MAX];
    unsigned int nr_controllers;
    struct plan_step *step;
    uint32_t nr_steps;
};

#define PLAN_CLASSES 4u

/* How the URBs of one controller share its ring; plan and guest count alike. */
struct plan_slots {
    unsigned int total;
    unsigned int held[PLAN_CLASSES]; /* of those, by class as the frontend has them */
};
bool plan_slots_room(const struct plan_slots *slots, const struct trace_urb *urb);
void plan_slots_take(struct plan_slots *slots, const struct trace_urb *urb);
void plan_slots_give(struct plan_slots *slots, const struct trace_urb *urb);

/* 0..31 for number and direction; all control transfers of a device are one endpoint. */
#define PLAN_ENDPOINTS 32u
unsigned int plan_endpoint(uint8_t type, uint8_t endpoint, bool in);

/* 0 or -ENOMEM. The trace must outlive the plan. */
int plan_create(const struct trace *trace, struct plan *out);
/* The same, for that backend. */
int plan_create_for(const struct trace *trace, enum plan_backend backend, struct plan *out);
void plan_dispose(struct plan *plan);

#endif
