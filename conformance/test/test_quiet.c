// SPDX-License-Identifier: MIT
/*
 * Goal: the suite judges a peer after it has done what it had to do, however slow it or the machine is: while
 * it runs it is not quiet, nor while a process that it has started does, and its timers are waited for.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../peers/quiet.h"

#define WORK_NS 100000000 /* of CPU time; more than any time that could be meant to be enough */

struct play { /* shared with the peer */
    atomic_bool begun, done;
};

static struct play *play;
static pid_t pid;

static void work(int64_t ns)
{
    struct timespec t;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000000000 + t.tv_nsec < ns);
}

static void doze(void)
{
    for (;;)
        pause();
}

static void works(void)
{
    play->begun = true;
    work(WORK_NS);
    play->done = true;
    doze();
}

static void has_work_done(void)
{
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        works();
    }
    doze();
}

/* Short timers with a little work between them. */
static void has_timers(void)
{
    play->begun = true;
    for (unsigned int i = 0; i < 3; i++) {
        const struct timespec t = {.tv_nsec = 10000000};
        nanosleep(&t, NULL);
    }
    play->done = true;
    doze();
}

static void never_sleeps(void)
{
    play->begun = play->done = true;
    work(INT64_MAX);
}

static int start(void **state)
{
    (void)state;
    play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return play == MAP_FAILED;
}

static int stop(void **state)
{
    (void)state;
    return munmap(play, sizeof(*play));
}

static void begin(void (*peer)(void))
{
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        peer();
        _exit(EXIT_FAILURE);
    }
    while (!play->begun)
        ;
}

static void end(void)
{
    assert_true(play->done);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_quiet_waits_for_work(void **state)
{
    (void)state;
    begin(works);
    quiet_wait(&pid, 1);
    end();
}

static void test_quiet_family_waits_for_work(void **state)
{
    (void)state;
    begin(works);
    quiet_wait_family(pid, 0);
    end();
}

static void test_quiet_family_waits_for_children(void **state)
{
    (void)state;
    begin(has_work_done);
    quiet_wait_family(pid, 0);
    end();
}

static void test_quiet_family_waits_for_the_machine(void **state)
{
    (void)state;
    begin(works);
    pid_t idle = fork();
    if (idle == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        doze();
    }
    quiet_wait_family(idle, pid);
    kill(idle, SIGKILL);
    assert_int_equal(waitpid(idle, NULL, 0), idle);
    end();
}

static void test_quiet_family_waits_for_timers(void **state)
{
    (void)state;
    begin(has_timers);
    quiet_wait_family(pid, 0);
    end();
}

/* A test that hangs fails. */
static void test_quiet_gives_up(void **state)
{
    (void)state;
    begin(never_sleeps);
    quiet_wait_family(pid, 0);
    end();
}

static void test_quiet_of_one_that_has_ended(void **state)
{
    (void)state;
    pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    quiet_wait(&pid, 1);
    quiet_wait_family(pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_quiet_waits_for_work, start, stop),
        cmocka_unit_test_setup_teardown(test_quiet_family_waits_for_work, start, stop),
        cmocka_unit_test_setup_teardown(test_quiet_family_waits_for_children, start, stop),
        cmocka_unit_test_setup_teardown(test_quiet_family_waits_for_the_machine, start, stop),
        cmocka_unit_test_setup_teardown(test_quiet_family_waits_for_timers, start, stop),
        cmocka_unit_test_setup_teardown(test_quiet_gives_up, start, stop),
        cmocka_unit_test(test_quiet_of_one_that_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
