/* SPDX-License-Identifier: MIT */
/* Slots of the rings as people read them: each field of usbif.h with its offset, its bytes and its meaning. */
#ifndef CONFORMANCE_RUN_SLOT_H
#define CONFORMANCE_RUN_SLOT_H

#include <stdio.h>

#include "../kit/log.h"

void slot_print_request(const struct kit_slot *slot, FILE *out);
void slot_print_response(const struct kit_slot *slot, FILE *out);
void slot_print_plug(const struct kit_slot *slot, FILE *out);

#endif
