// SPDX-License-Identifier: MIT
#include "fault_check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_memory.h"

/* A session without faults takes some 40 steps; three tries of everything, and a step a second of waiting. */
#define STEPS_SANE 5000u

/* A session has far fewer at once. */
static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void check_balance(const struct fakexen_balance *left, const char *what)
{
    const struct fakexen_balance none = {0};
    if (memcmp(left, &none, sizeof(none)) != 0)
        fail_msg("%s: left: %u handles %u pages %u grants %u maps %u ports %u watches %u transactions", what,
                 left->handles, left->pages, left->grants, left->maps, left->ports, left->watches,
                 left->transactions);
}

static void check_end(const struct fault_result *result, const char *what, enum fault_mercy mercy)
{
    if (result->plan_refused)
        fail_msg("%s: refused: %s", what, result->failure);
    if (result->steps > STEPS_SANE || (result->endless && !result->late))
        fail_msg("%s: %u steps: %s", what, result->steps, result->failure);
    if (mercy == FAULT_UNHURT && result->failure[0])
        fail_msg("%s: %s", what, result->failure);
    if (mercy == FAULT_NAMED && result->late)
        fail_msg("%s: %s", what, result->failure);
    if (result->wrong_data)
        fail_msg("%s: wrong data was reported good", what);
}

void fault_run(const struct fault_session_config *config, const char *what, enum fault_mercy mercy,
               uint64_t memory, bool for_ever, struct fault_result *result, struct fault_tally *tally)
{
    int64_t live = failing_memory_live();
    int fds = open_fds();
    if (memory)
        failing_memory_arm(memory, for_ever);
    fault_session_run(config, result);
    if (memory)
        failing_memory_disarm();
    tally->runs++;
    tally->unhurt += !result->failure[0];
    tally->late += result->late;
    if (getenv("FAULTS_VERBOSE") && result->failure[0])
        printf("%s: %s (%u steps, %" PRIu64 " ms)\n", what, result->failure, result->steps,
               result->ended_ns / 1000000);
    check_end(result, what, mercy);
    check_balance(&result->left, what);
    if (failing_memory_live() != live)
        fail_msg("%s: %d blocks of memory were not freed", what, (int)(failing_memory_live() - live));
    if (open_fds() != fds)
        fail_msg("%s: %d descriptors were not closed", what, open_fds() - fds);
}

struct fault_result fault_run_plain(void)
{
    struct fault_result result;
    struct fault_tally tally = {0};
    fault_run(&(struct fault_session_config){0}, "no fault", FAULT_UNHURT, 0, false, &result, &tally);
    return result;
}

uint64_t fault_count_allocations(void)
{
    failing_memory_arm(0, false);
    fault_run_plain();
    return failing_memory_disarm();
}

unsigned int fault_stride(int argc, char **argv)
{
    unsigned int stride = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 1;
    if (stride == 0)
        stride = 1;
    if (stride > 1)
        printf("slow machine: only every %uth run of each loop\n", stride);
    return stride;
}
