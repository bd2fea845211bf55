/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of the demo: a disk is found, enumerated, written, read back, and pulled
 * out in the middle of a read, after a keyboard, a serial port and a sound card have worked all at once. Steps like everything else; the same in one process and in two.
 */
#ifndef SIM_CLI_STORY_H
#define SIM_CLI_STORY_H

#include "frontend/frontend.h"

#define STORY_DISK_BYTES  (UINT64_C(16) << 20)
#define STORY_WRITE_BYTES (UINT64_C(1) << 20)
#define STORY_READ_BYTES  (UINT64_C(8) << 20)

/* Plain data: may lie in memory shared between processes. */
struct story_result {
    bool real_time; /* set by the caller: time does not wait for us */
    bool connected;
    bool enumerated;
    uint64_t bytes_same;    /* written and read back the same */
    bool others_same;       /* keys, serial bytes and sound came through unchanged, all at once */
    bool more_good;         /* gadget zero, composite, super-speed and faulty devices did what they should */
    uint64_t bytes_before;  /* read when the disk was pulled */
    bool pulled_cleanly;    /* the read ended with ENODEV and the guest saw the port empty */
    bool closed;
    struct front_stats stats;
};

struct story;

/* What the story asks of whoever has the devices. */
enum story_cue {
    STORY_TYPE = 't', /* the keyboard types OTHERS_TEXT */
    STORY_TYPE_MORE = 'm', /* the one in the composite device types MORE_TEXT */
    STORY_PULL = 'p', /* the disk is unplugged */
};

/* Takes the guest's handle. cue() is called once for each. */
int story_create(struct xen *xen, uint64_t seed, void (*cue)(void *context, enum story_cue cue), void *context,
                 struct story_result *result, struct story **out);
/* -EPIPE when the machine is gone, -EIO when the story cannot go on. */
int story_step(struct story *story, uint64_t now_ns);
uint64_t story_deadline(const struct story *story);
bool story_finished(const struct story *story);
struct xen *story_xen(struct story *story);
/* At any time. */
void story_destroy(struct story *story);

#endif
