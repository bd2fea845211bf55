// SPDX-License-Identifier: MIT
/* loop.h loop_spin(): it works while there is work, and ends without, whatever the other side does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "process/loop.h"

struct ring {
    unsigned int left; /* pieces of work; UINT_MAX: without end */
    unsigned int polls;
    unsigned int looks;
    unsigned int late; /* looks that find nothing before each piece of work */
    unsigned int wait;
};

static bool pending(void *context)
{
    struct ring *ring = context;
    ring->looks++;
    if (ring->left == 0)
        return false;
    if (ring->wait > 0) {
        ring->wait--;
        return false;
    }
    return true;
}

static void work(void *context, uint64_t now_ns)
{
    struct ring *ring = context;
    assert_true(now_ns > 0);
    ring->polls++;
    ring->wait = ring->late;
    if (ring->left != ~0u)
        ring->left--;
}

static struct ring run(struct ring ring, uint64_t ns, uint64_t until_ns)
{
    loop_spin(&(struct loop_spin){.ns = ns, .pending = pending, .poll = work, .context = &ring}, until_ns);
    return ring;
}

/*
 * Work that is there or comes within a few looks is done, then it ends. Who is not run for a while does it in
 * another turn.
 */
static void test_loop_spin_works(void **state)
{
    (void)state;
    for (unsigned int late = 0; late < 100; late += 33) {
        struct ring ring = {.left = 5, .late = late};
        for (unsigned int turns = 0; ring.left > 0 && turns < 1000; turns++)
            ring = run(ring, 500000, UINT64_MAX);
        assert_int_equal(ring.polls, 5);
    }
    struct ring idle = {.left = 0};
    const struct loop_spin spin = {.ns = 100000, .pending = pending, .poll = work, .context = &idle};
    assert_false(loop_spin(&spin, UINT64_MAX));
    assert_true(idle.looks > 0);
}

/* Without a time to spin, or when something is due, it does not even look. */
static void test_loop_spin_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(run((struct ring){.left = 5}, 0, UINT64_MAX).looks, 0);
    assert_int_equal(run((struct ring){.left = 5}, 100000, 0).looks, 0);
}

/* A peer that always has something to do for us does not keep us for ever: descriptors get their turn. */
static void test_loop_spin_bounded(void **state)
{
    (void)state;
    uint64_t before = loop_now_ns();
    struct ring ring = {.left = ~0u};
    const struct loop_spin spin = {.ns = UINT64_C(1000000000), .pending = pending, .poll = work, .context = &ring};
    assert_true(loop_spin(&spin, UINT64_MAX)); /* and is told that there is more */
    assert_true(ring.polls > 0);
    assert_true(loop_now_ns() - before >= LOOP_SPIN_TURN_NS); /* its whole turn; the end is what this test waits for */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_spin_works),
        cmocka_unit_test(test_loop_spin_not_at_all),
        cmocka_unit_test(test_loop_spin_bounded),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
