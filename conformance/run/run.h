/* SPDX-License-Identifier: MIT */
/* The program pvusb-conform, as a function of its tables. */
#ifndef CONFORMANCE_RUN_RUN_H
#define CONFORMANCE_RUN_RUN_H

#include "../kit/kit.h"

/* groups and peers end with NULL; the first peer is the default. Returns the exit code. */
int conform_main(int argc, char **argv, const struct conform_case *const groups[],
                 const struct peer_ops *const peers[]);

#endif
