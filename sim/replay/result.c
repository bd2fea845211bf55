// SPDX-License-Identifier: MIT
#include "replay/result.h"

#include <string.h>

void replay_differ(struct replay_side *side, enum replay_field field, int64_t got)
{
    side->fields |= field;
    side->got[__builtin_ctz(field)] = got;
}

void replay_differ_packet(struct replay_side *side, enum replay_field field, uint32_t packet,
                          const struct pvusb_iso_desc *got)
{
    if (side->fields & field)
        return; /* the first one is the one to show */
    side->fields |= field;
    side->packet = packet;
    side->packet_got = *got;
}

void replay_compare_data(struct replay_side *side, enum replay_field field, const uint8_t *got, const uint8_t *recorded,
                         uint32_t offset, uint32_t length)
{
    if (memcmp(got, recorded, length) == 0)
        return;
    uint32_t at = 0;
    while (got[at] == recorded[at])
        at++;
    if (side->fields & field)
        return; /* the first difference is the one to show */
    side->fields |= field;
    side->data_offset = offset + at;
    side->data_bytes = length - at < REPLAY_WINDOW ? length - at : REPLAY_WINDOW;
    memcpy(side->data, got + at, side->data_bytes);
}
