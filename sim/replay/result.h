/* SPDX-License-Identifier: MIT */
/*
 * What came of each URB. Guest and device side each write their own fields, from one
 * process or two (the memory may be shared); whoever started them reads when both have ended.
 */
#ifndef SIM_REPLAY_RESULT_H
#define SIM_REPLAY_RESULT_H

#include "replay/plan.h"

/* What differed. */
enum replay_field {
    FIELD_TYPE = 1u << 0, /* at the device: */
    FIELD_DIRECTION = 1u << 1,
    FIELD_SETUP = 1u << 2,
    FIELD_LENGTH = 1u << 3,
    FIELD_SHORT_NOT_OK = 1u << 4,
    FIELD_INTERVAL = 1u << 5,
    FIELD_ISO_PACKETS = 1u << 6,
    FIELD_OUT_DATA = 1u << 7,
    FIELD_STATUS = 1u << 8, /* at the guest: */
    FIELD_ACTUAL = 1u << 9,
    FIELD_IN_DATA = 1u << 10,
    FIELD_ISO_RESULTS = 1u << 11,
    FIELD_ERROR_COUNT = 1u << 12,
    FIELD_START_FRAME = 1u << 13,
    FIELD_NO_ANSWER = 1u << 14,  /* never came back to the guest */
    FIELD_NOT_SEEN = 1u << 15,   /* never reached the device */
    FIELD_NOT_TAKEN = 1u << 16,  /* the frontend refused it */
};
#define REPLAY_FIELDS 17

#define REPLAY_WINDOW 16u

struct replay_side {
    uint32_t fields;             /* enum replay_field */
    int64_t got[REPLAY_FIELDS];  /* what came instead, for those that are a number */
    uint8_t setup[8];
    uint32_t packet;             /* the first isochronous packet that differs, and what it was */
    struct pvusb_iso_desc packet_got;
    uint32_t data_offset;        /* of the first byte that differs */
    uint8_t data[REPLAY_WINDOW]; /* what was there instead */
    uint32_t data_bytes;
};

struct replay_mark {
    bool returned; /* to the guest */
    bool seen;     /* by the device */
};

/* Untouched memory unless something differs. */
struct replay_difference {
    struct replay_side guest;
    struct replay_side device;
};

struct replay_results {
    uint32_t strays;       /* transfers at the device that the recording does not have */
    uint32_t guest_step;   /* how far each side came */
    uint32_t device_step;
    struct replay_mark *mark;             /* of each URB */
    struct replay_difference *difference; /* of each URB */
};

/* Bytes for the results of a recording, and the same as results: their own pointers set, nothing else touched. */
size_t replay_results_size(const struct trace *trace);
struct replay_results *replay_results_at(void *memory, const struct trace *trace);

/* Notes a number that differs. */
void replay_differ(struct replay_side *side, enum replay_field field, int64_t got);
void replay_differ_packet(struct replay_side *side, enum replay_field field, uint32_t packet,
                          const struct pvusb_iso_desc *got);
/* Compares captured bytes with what was recorded; notes the first difference under `field`. */
void replay_compare_data(struct replay_side *side, enum replay_field field, const uint8_t *got, const uint8_t *recorded,
                         uint32_t offset, uint32_t length);

#endif
