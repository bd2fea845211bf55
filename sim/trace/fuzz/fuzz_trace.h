// SPDX-License-Identifier: MIT
/*
 * Reads bytes as a trace and checks it against the contract. Shared by the fuzz targets and the tests with
 * damaged files.
 */
#ifndef SIM_TRACE_FUZZ_TRACE_H
#define SIM_TRACE_FUZZ_TRACE_H

#include "trace/trace.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process where the trace breaks its contract; otherwise the number of events, 0 if it was refused.
 */
uint32_t fuzz_trace(const uint8_t *data, size_t size);

#endif
