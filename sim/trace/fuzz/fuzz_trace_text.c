// SPDX-License-Identifier: MIT
/*
 * Any lines as usbmon text. A good line is put in front, as otherwise most inputs end at their first line.
 */
#include "fuzz_trace.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char first[] = "1 1 S Bi:1:002:1 -115 4 <\n";
    size_t used = sizeof(first) - 1;
    uint8_t *text = malloc(used + size);
    if (!text)
        return 0;
    memcpy(text, first, used);
    if (size)
        memcpy(text + used, data, size);
    fuzz_trace(data, size);
    fuzz_trace(text, used + size);
    free(text);
    return 0;
}
