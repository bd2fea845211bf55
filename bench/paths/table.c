// SPDX-License-Identifier: MIT
#include "bench/paths/paths.h"

#include <stddef.h>

const struct bench_path *const bench_paths[] = {
    &bench_direct,
    NULL,
};
