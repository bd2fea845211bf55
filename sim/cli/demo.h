/* SPDX-License-Identifier: MIT */
/* The disk's part of the demo in its two forms. Both print as they go; 0 or -errno with a line on stderr. */
#ifndef SIM_CLI_DEMO_H
#define SIM_CLI_DEMO_H

#include "cli/story.h"

#define DEMO_GUEST 1u
#define DEMO_BUSID "1-1"
#define DEMO_KEYBOARD "1-2"
#define DEMO_SERIAL "1-3"
#define DEMO_SOUND "1-4"
#define DEMO_ZERO "1-5"
#define DEMO_COMPOSITE "1-6"
#define DEMO_SUPER "1-7"
#define DEMO_FAULTY "1-8"

int demo_disk_one(uint64_t seed, struct story_result *result);
/* result lies in shared memory. */
int demo_disk_two(uint64_t seed, struct story_result *result);

#endif
