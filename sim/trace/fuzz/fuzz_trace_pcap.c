// SPDX-License-Identifier: MIT
/*
 * Any bytes as a recording, pcap and pcapng: everything that the trace points to must be there, and what the
 * contract says of the numbers must hold.
 */
#include "fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_trace(data, size);
    return 0;
}
