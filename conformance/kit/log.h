/* SPDX-License-Identifier: MIT */
/* What the failure block prints of a case. */
#ifndef CONFORMANCE_KIT_LOG_H
#define CONFORMANCE_KIT_LOG_H

#include <stdio.h>

#include "kit.h"

#define KIT_LOG_LINES 16u
#define KIT_LOG_LINE  160u

struct kit_log {
    uint32_t count; /* of all lines ever; the newest KIT_LOG_LINES are kept */
    char line[KIT_LOG_LINES][KIT_LOG_LINE];
    bool has_request, has_response;
    uint32_t request_index, response_index;
    uint8_t request[148], response[16];
};

void kit_log_print(const struct kit_log *log, FILE *out);

#endif
