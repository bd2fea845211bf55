/* SPDX-License-Identifier: MIT */
/*
 * The device side of a replay: a usb_host whose devices answer as recorded. It checks every
 * transfer that arrives against the recording (field by field, OUT data byte by byte).
 */
#ifndef SIM_REPLAY_REPLAY_HOST_H
#define SIM_REPLAY_REPLAY_HOST_H

#include "hosts/usb_host.h"
#include "replay/plan.h"
#include "replay/result.h"

struct replay_host;

enum replay_match {
    REPLAY_STRICT,   /* order and overlap over all endpoints as recorded */
    REPLAY_ENDPOINT, /* order within each endpoint only */
};

/* Plan and results must outlive it. */
int replay_host_create(const struct plan *plan, enum replay_match match, struct replay_results *results,
                       struct replay_host **out);
void replay_host_destroy(struct replay_host *host);
struct usb_host *replay_host_usb(struct replay_host *host);

#endif
