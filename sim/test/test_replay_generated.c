// SPDX-License-Identifier: MIT
/*
 * Recordings that nobody made, but somebody may: whatever a seed thinks of can be played to its end
 * without a difference, and every URB that needs no decision is matched. Argument: a seed to repeat.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "replay_support.h"
#include "trace_gen.h"

#define FIRST_SEED 1u
#define SEEDS      400u
#define EVERY_TWO  20u /* of these one in two processes */

static uint64_t only_seed;
static unsigned int steps[PLAN_COMPLETE + 1];
static unsigned int reasons[REPLAY_REASONS];
static unsigned int crowded;

/* So that a generator that no longer makes some kind of trouble is noticed. */
static void count(const struct replay_run *run)
{
    for (uint32_t i = 0; i < run->plan.nr_steps; i++)
        steps[run->plan.step[i].what]++;
    for (uint32_t u = 0; u < run->plan.trace->nr_urbs; u++)
        reasons[run->plan.urb[u].reason]++;
    for (unsigned int i = 0; i < run->plan.nr_controllers; i++)
        crowded += run->plan.controller[i].nth > 0;
}

static void check_plain(const struct replay_run *run, const struct trace_gen *gen, const char *name)
{
    for (uint32_t u = 0; u < gen->trace.nr_urbs; u++) {
        if (trace_classify(&gen->trace.urbs[u]) == 0 && !gen->odd[u] &&
            replay_verdict(&run->plan, run->results, u) != VERDICT_MATCHED)
            fail_msg("%s: URB %u needs no decision, but is not matched: %s", name, u,
                     replay_reason_text(run->plan.urb[u].reason));
    }
}

static void play(const struct trace_gen *gen, uint64_t seed, unsigned int processes, enum replay_match match)
{
    char name[64];
    struct replay_run run;
    snprintf(name, sizeof(name), "seed %llu, %s, %u process(es)", (unsigned long long)seed,
             match == REPLAY_STRICT ? "strict" : "endpoint", processes);
    if (replay_test_run(&gen->trace, processes, match, &run) || !replay_test_clean(&run, name))
        fail_msg("%s", name);
    check_plain(&run, gen, name);
    count(&run);
    replay_test_dispose(&run, &gen->trace);
}

static void play_seed(uint64_t seed, bool two)
{
    struct trace_gen gen;
    struct trace_gen_limits limits = trace_gen_limits(seed);
    trace_gen(seed, &limits, &gen);
    play(&gen, seed, 1, REPLAY_STRICT);
    play(&gen, seed, 1, REPLAY_ENDPOINT);
    if (two) {
        play(&gen, seed, 2, REPLAY_STRICT);
        play(&gen, seed, 2, REPLAY_ENDPOINT);
    }
    trace_gen_dispose(&gen);
}

static void test_replay_generated_seeds(void **state)
{
    (void)state;
    if (only_seed)
        play_seed(only_seed, true);
    for (uint64_t seed = FIRST_SEED; !only_seed && seed < FIRST_SEED + SEEDS; seed++)
        play_seed(seed, seed % EVERY_TWO == 0);
}

static void test_replay_generated_everything_met(void **state)
{
    (void)state;
    if (only_seed)
        skip();
    for (unsigned int what = 0; what <= PLAN_COMPLETE; what++) {
        print_message("step %u: %u times\n", what, steps[what]);
        assert_true(steps[what] > 0);
    }
    for (unsigned int r = 0; r < REPLAY_REASONS; r++) {
        print_message("%s: %u times\n", replay_reason_text((enum replay_reason)r), reasons[r]);
        /* Four buses are not enough for the first, and the others are QEMU's. */
        if (r != REPLAY_NO_PORT && r < REPLAY_QEMU_ISO)
            assert_true(reasons[r] > 0);
    }
    print_message("controllers beside the first of their bus: %u\n", crowded);
    assert_true(crowded > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_generated_seeds),
        cmocka_unit_test(test_replay_generated_everything_met),
    };
    only_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    printf("seeds %u to %u\n", FIRST_SEED, FIRST_SEED + SEEDS - 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
