/* SPDX-License-Identifier: MIT */
/*
 * The frontend between a test that is its guest and a raw backend: what every
 * test_front_* program starts from. Steps are explicit, so is time.
 */
#ifndef SIM_TEST_FRONT_RIG_H
#define SIM_TEST_FRONT_RIG_H

#include "raw_back.h"
#include "rig.h"

#define FRIG_DONE_MAX 256u
#define FRIG_BUFFER   (64u * RAW_PAGE)

struct frig {
    struct rig rig;
    struct raw_back back;
    struct hcd *hcd;
    uint8_t *buffer;                     /* FRIG_BUFFER bytes that transfers can use */
    struct hcd_urb *done[FRIG_DONE_MAX]; /* in order of completion; an URB twice if completed twice */
    unsigned int nr_done;
    void (*on_complete)(struct frig *frig, struct hcd_urb *urb); /* called inside complete(), if set */
};

/* The machine and both handles; nobody has stepped yet. */
void frig_init(struct frig *frig, unsigned int usb_ver, unsigned int num_ports);
/* The same, then connected: states 4 and 4, rings mapped, a buffer allocated. */
void frig_start(struct frig *frig, unsigned int usb_ver, unsigned int num_ports);
/* What follows backend state InitWait: the frontend's state 4, mapped rings, backend state 4. */
void frig_connect(struct frig *frig);
/* Lets the frontend do all it can, taking its notifications. */
void frig_run(struct frig *frig);
void frig_advance(struct frig *frig, uint64_t ns);
/* The backend's orderly part of a close: unmap, state 6. */
void frig_back_leaves(struct frig *frig);
/*
 * Closes if need be, and ends all. Asserts that the frontend gave everything back before its handle was
 * closed, which it can once the backend has unmapped.
 */
void frig_dispose(struct frig *frig);
/* Ends all at once, as after a crash of the backend. */
void frig_abandon(struct frig *frig);

/* URBs that record their completion in frig. Address 5 on port 1. */
struct hcd_urb frig_control(struct frig *frig, const uint8_t setup[8], void *buffer);
struct hcd_urb frig_data(struct frig *frig, uint8_t type, uint8_t endpoint, bool in, void *buffer,
                         uint32_t length);
int frig_submit(struct frig *frig, struct hcd_urb *urb);
int frig_unlink(struct frig *frig, struct hcd_urb *urb, int reason);
/* Times that an URB was completed. */
unsigned int frig_count_done(const struct frig *frig, const struct hcd_urb *urb);

/* The next request, which must be there. */
struct usbif_urb_request frig_take(struct frig *frig);
/* Nothing is on the ring. */
void frig_expect_no_request(struct frig *frig);
/* Answers a request, then runs. */
void frig_answer(struct frig *frig, uint16_t id, int32_t status, int32_t actual);

/* A request to the root hub; the value of hub_control(). */
int frig_hub(struct frig *frig, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *data,
             uint16_t length);
/* wPortStatus | wPortChange << 16. */
uint32_t frig_port_status(struct frig *frig, uint16_t port);

/*
 * Replaces some of the calls on a handle, the others stay. The spy lives as long as the handle
 * and begins with a copy of the calls.
 */
struct frig_spy {
    struct xen_ops ops;
    const struct xen_ops *real;
};
void frig_spy(struct frig_spy *spy, struct xen *xen);

#endif
