// SPDX-License-Identifier: MIT
/* Sets of handles and descriptors: what ends a wait, what each handle is told, and that nobody hides another. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <fakexen/waitset.h>

#include "../host/client.h"
#include "machine_host.h"

#define MS      UINT64_C(1000000)
#define LONG_MS 10000 /* nobody waits so long but for an error */

static struct xen_waitset *set;
static struct xen *xen;   /* of dom0, in the set */
static struct xen *again; /* another of dom0, in the set */
static struct xen *peer;  /* of the guest, outside */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static int setup(void **state)
{
    struct test_machine *test;
    machine_setup(state);
    test = *state;
    assert_int_equal(xen_waitset_create(&set), 0);
    xen = machine_open(test, 0);
    again = machine_open(test, 0);
    peer = test->guest;
    assert_int_equal(xen_waitset_add(set, xen), 0);
    assert_int_equal(xen_waitset_add(set, again), 0);
    (void)xen_waiting(xen);
    (void)xen_waiting(again);
    return 0;
}

static int teardown(void **state)
{
    xen_close(xen);
    xen_close(again);
    assert_int_equal(set->held, 0); /* else it would never wait again */
    xen_waitset_destroy(set);
    return machine_teardown(state);
}

/* A wait that does not end by itself in any time that a test has. */
static void wait_for_it(void)
{
    uint64_t limit = now_ns() + LONG_MS * MS;
    assert_int_equal(xen_waitset_until(set, limit), 0);
    assert_true(now_ns() < limit);
}

static void expect_silence(void)
{
    uint64_t until = now_ns() + 2 * MS;
    assert_int_equal(xen_waitset_until(set, until), 0);
    assert_true(now_ns() >= until);
}

struct channel {
    evtchn_port_t near; /* ours */
    evtchn_port_t far;
};

/* The event that is pending from the beginning is taken. */
static struct channel connected(struct xen *near)
{
    struct channel channel = {0};
    evtchn_port_t port = 0;
    assert_int_equal(CALL(peer, evtchn_alloc, 0, &channel.far), 0);
    assert_int_equal(CALL(near, evtchn_bind, GUEST, channel.far, &channel.near), 0);
    wait_for_it();
    assert_int_equal(xen_waiting(near), XEN_WAITS_EVENT);
    assert_int_equal(CALL(near, evtchn_pending, &port), 0);
    assert_int_equal(port, channel.near);
    assert_int_equal(CALL(near, evtchn_unmask, port), 0);
    return channel;
}

static void notify(struct channel channel)
{
    assert_int_equal(CALL(peer, evtchn_notify, channel.far), 0);
}

static void take(struct xen *near, evtchn_port_t expected)
{
    evtchn_port_t port = 0;
    assert_int_equal(CALL(near, evtchn_pending, &port), 0);
    assert_int_equal(port, expected);
}

static void read_watch(struct xen *near, const char *expected)
{
    char path[XEN_XS_PATH_MAX + 1], token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(CALL(near, xs_watch_read, path, token), 0);
    assert_string_equal(path, expected);
}

/* waitset.h xen_waitset_until: not before its time, whichever time was waited for before. */
static void test_waitset_times(void **state)
{
    (void)state;
    uint64_t now = now_ns();
    assert_int_equal(xen_waitset_until(set, 0), 0);
    assert_int_equal(xen_waitset_until(set, now), 0);
    const uint64_t soon[] = {5, 3, 8, 1, 2}; /* ms; earlier than what was asked for before, and later */
    for (unsigned int i = 0; i < sizeof(soon) / sizeof(soon[0]); i++) {
        struct channel channel = connected(xen);
        uint64_t until = now_ns() + soon[i] * MS;
        notify(channel);
        assert_int_equal(xen_waitset_until(set, until), 0); /* the event's; the timer is armed */
        assert_true(now_ns() < until);
        take(xen, channel.near);
        until = now_ns() + soon[(i + 1) % 5] * MS;
        assert_int_equal(xen_waitset_until(set, until), 0);
        assert_true(now_ns() >= until);
    }
}

/* A timer that was set for an earlier wait does not end one without an end. */
static void test_waitset_for_ever(void **state)
{
    struct channel channel = connected(xen);
    int pipes[2];
    struct xen_waitset_fd item;
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(xen_waitset_add_fd(set, &item, pipes[0]), 0);
    notify(channel);
    uint64_t armed = now_ns() + 20 * MS;
    assert_int_equal(xen_waitset_until(set, armed), 0);
    take(xen, channel.near);
    pid_t pid = fork();
    if (pid == 0) {
        const struct timespec later = {.tv_nsec = 40000000};
        nanosleep(&later, NULL);
        (void)!write(pipes[1], "x", 1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(xen_waitset_until(set, UINT64_MAX), 0);
    assert_true(item.ready);
    assert_true(now_ns() > armed);
    xen_waitset_remove_fd(set, &item);
    close(pipes[0]);
    close(pipes[1]);
}

/* waitset.h: the handle that something came for has it, the other has not. */
static void test_waitset_tells_whom(void **state)
{
    struct channel first = connected(xen), second = connected(again);
    (void)state;
    assert_false(xen_waitset_has(xen));
    assert_false(xen_waitset_has(again));
    expect_silence();
    notify(second);
    wait_for_it();
    assert_false(xen_waitset_has(xen));
    assert_true(xen_waitset_has(again));
    assert_int_equal(xen_waiting(again), XEN_WAITS_EVENT);
    assert_true(xen_waitset_has(again)); /* until it is taken */
    take(again, second.near);
    assert_int_equal(xen_waiting(xen), 0);
    notify(first);
    wait_for_it();
    assert_true(xen_waitset_has(xen));
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    take(xen, first.near);
    assert_int_equal(CALL(xen, evtchn_unmask, first.near), 0);
    assert_int_equal(xen_waitset_until(set, 0), 0);
    notify(first);
    assert_int_equal(xen_waiting(xen), 0); /* of the set's look, without one of its own */
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    take(xen, first.near);
    assert_int_equal(xen->ops->fd(xen), -1);
    assert_true(xen_waitset_has(peer)); /* in no set */
}

/* xen_ops.h evtchn_unmask: an event that came while the port was masked is pending at once, and ends the next wait. */
static void test_waitset_masked(void **state)
{
    struct channel channel = connected(xen);
    evtchn_port_t port;
    (void)state;
    notify(channel);
    wait_for_it();
    take(xen, channel.near);
    notify(channel); /* before a look */
    notify(channel);
    assert_int_equal(xen_waitset_until(set, now_ns() + MS), 0);
    assert_false(xen_waitset_has(xen));
    assert_int_equal(CALL(xen, evtchn_pending, &port), -EAGAIN);
    expect_silence(); /* what is masked is told once, then not again */
    assert_int_equal(CALL(xen, evtchn_unmask, channel.near), 0);
    assert_true(xen_waitset_has(xen));
    assert_int_equal(xen_waitset_until(set, UINT64_MAX), 0); /* does not wait */
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    take(xen, channel.near);
    assert_int_equal(CALL(xen, evtchn_unmask, channel.near), 0);
    expect_silence();
    notify(channel); /* and after that every one counts again */
    wait_for_it();
    take(xen, channel.near);
}

/* xen_ops.h evtchn_pending: ports take turns, however often one of them is notified. */
static void test_waitset_turns(void **state)
{
    enum { ROUNDS = 40 };
    struct channel storm = connected(xen), quiet = connected(xen);
    unsigned int served = 0;
    (void)state;
    for (unsigned int i = 0; i < ROUNDS; i++) {
        evtchn_port_t port = 0;
        notify(storm);
        if (i % 2 == 0)
            notify(quiet);
        wait_for_it();
        assert_int_equal(CALL(xen, evtchn_pending, &port), 0);
        served += port == quiet.near;
        notify(storm);
        assert_int_equal(CALL(xen, evtchn_unmask, port), 0);
    }
    assert_int_equal(served, ROUNDS / 2);
}

/* The same when both were found at once: who came first is first. */
static void test_waitset_order(void **state)
{
    struct channel storm = connected(xen), quiet = connected(xen);
    (void)state;
    notify(quiet);
    wait_for_it();
    notify(storm);
    wait_for_it();
    take(xen, quiet.near);
    take(xen, storm.near);
}

/* A storm on one port hides no watch, no other handle, no descriptor and no end of the wait. */
static void test_waitset_storm(void **state)
{
    struct channel storm = connected(xen), other = connected(again);
    struct xen_waitset_fd item;
    int pipes[2];
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(xen_waitset_add_fd(set, &item, pipes[0]), 0);
    assert_int_equal(CALL(xen, xs_watch, "/w", "t"), 0);
    read_watch(xen, "/w");
    assert_int_equal(CALL(again, xs_write, XEN_XBT_NIL, "/w", "1", 1), 0);
    notify(other);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    bool event = false, watch = false;
    for (unsigned int i = 0; i < 8; i++) {
        evtchn_port_t port;
        notify(storm);
        wait_for_it();
        int waits = xen_waiting(xen);
        assert_true(waits & XEN_WAITS_EVENT);
        if (waits & XEN_WAITS_WATCH && !watch) {
            read_watch(xen, "/w");
            watch = true;
        }
        assert_int_equal(CALL(xen, evtchn_pending, &port), 0);
        if (xen_waitset_has(again) && !event) {
            assert_int_equal(xen_waiting(again), XEN_WAITS_EVENT);
            take(again, other.near);
            event = true;
        }
        assert_int_equal(CALL(xen, evtchn_unmask, port), 0);
    }
    assert_true(event && watch && item.ready);
    xen_waitset_remove_fd(set, &item);
    close(pipes[0]);
    close(pipes[1]);
}

/* A peer that fills its counter is heard no more but for its end, which the machine tells. */
static void test_waitset_full_counter(void **state)
{
    struct channel channel = connected(xen);
    bool bound = true;
    (void)state;
    const struct client_port *far = ((const struct client *)(const void *)peer)->ports;
    assert_int_equal(eventfd_write(far->notify, UINT64_MAX - 2), 0);
    assert_int_equal(eventfd_write(far->notify, UINT64_MAX - 1), -1);
    wait_for_it();
    take(xen, channel.near);
    assert_int_equal(CALL(xen, evtchn_unmask, channel.near), 0);
    while (!eventfd_write(far->notify, 1)) /* full at last; how near it was is another matter */
        ;
    assert_int_equal(xen_waitset_until(set, 0), 0);
    if (xen_waiting(xen))
        take(xen, channel.near);
    assert_int_equal(CALL(xen, evtchn_unmask, channel.near), 0);
    notify(channel); /* no error, though nobody hears */
    expect_silence();
    assert_int_equal(CALL(peer, evtchn_close, channel.far), 0);
    wait_for_it();
    take(xen, channel.near);
    assert_int_equal(CALL(xen, evtchn_status, channel.near, &bound), 0);
    assert_false(bound);
}

/* A peer that has made a full counter block who writes does not stop the machine. */
static void test_waitset_blocking_counter(void **state)
{
    struct channel channel = connected(xen);
    bool bound = true;
    (void)state;
    int far = ((const struct client *)(const void *)peer)->ports->notify;
    assert_int_equal(eventfd_write(far, UINT64_MAX - 2), 0);
    assert_int_equal(fcntl(far, F_SETFL, 0), 0);
    assert_int_equal(CALL(peer, evtchn_close, channel.far), 0);
    wait_for_it();
    take(xen, channel.near);
    assert_int_equal(CALL(xen, evtchn_status, channel.near, &bound), 0);
    assert_false(bound);
}

/* xen_ops.h waiting: watch events in the socket, and such as came with an answer. */
static void test_waitset_watches(void **state)
{
    (void)state;
    assert_int_equal(CALL(xen, xs_watch, "/w", "t"), 0);
    wait_for_it();
    assert_true(xen_waitset_has(xen));
    assert_int_equal(xen_waiting(xen), XEN_WAITS_WATCH);
    assert_int_equal(xen_waiting(xen), XEN_WAITS_WATCH);
    read_watch(xen, "/w");
    assert_int_equal(xen_waiting(xen), 0);
    expect_silence();
    assert_int_equal(CALL(again, xs_write, XEN_XBT_NIL, "/w", "1", 1), 0);
    wait_for_it();
    assert_int_equal(xen_waiting(xen), XEN_WAITS_WATCH);
    wait_for_it(); /* it was not read: level triggered */
    assert_int_equal(xen_waiting(xen), XEN_WAITS_WATCH);
    read_watch(xen, "/w");
}

/* xen_ops.h join: -EBUSY with a port, and then nothing has changed. */
static void test_waitset_too_late(void **state)
{
    evtchn_port_t port;
    (void)state;
    assert_int_equal(CALL(peer, evtchn_alloc, 0, &port), 0);
    assert_int_equal(xen_waitset_add(set, peer), -EBUSY);
    assert_true(peer->ops->fd(peer) >= 0);
    assert_int_equal(xen_waitset_add(set, xen), -EBUSY);
    expect_silence();
}

/* What was found for a handle that closes, or for a port that does, keeps the set from nothing. */
static void test_waitset_close(void **state)
{
    struct test_machine *test = *state;
    struct channel first = connected(xen), second = connected(xen), third = connected(again);
    notify(first);
    notify(second);
    notify(third);
    wait_for_it();
    assert_int_equal(CALL(xen, evtchn_close, first.near), 0);
    take(xen, second.near);
    assert_int_equal(xen_waiting(xen), 0);
    xen_close(again);
    again = machine_open(test, 0);
    expect_silence();
    assert_int_equal(xen_waitset_add(set, again), 0);
}

/* waitset.h: a handle that cannot join is waited for by its descriptor. */
static void test_waitset_by_descriptor(void **state)
{
    struct xen_ops plain = client_ops;
    evtchn_port_t near, far;
    (void)state;
    plain.join = NULL;
    peer->ops = &plain;
    assert_int_equal(xen_waitset_add(set, peer), 0);
    (void)xen_waiting(peer);
    expect_silence();
    assert_false(xen_waitset_has(peer));
    assert_int_equal(CALL(xen, evtchn_alloc, GUEST, &far), 0);
    assert_int_equal(CALL(peer, evtchn_bind, 0, far, &near), 0);
    wait_for_it();
    assert_true(xen_waitset_has(peer));
    take(peer, near);
    (void)xen_waiting(peer);
    expect_silence();
    assert_false(xen_waitset_has(peer));
    peer->ops = &client_ops;
    peer->member.set = NULL;
    waitset_forget(set, peer->ops->fd(peer));
}

/* xen_ops.h -EPIPE: the end of the domain ends every wait. */
static void test_waitset_domain_ends(void **state)
{
    struct test_machine *test = *state;
    struct xen *guest = machine_open(test, OTHER);
    assert_int_equal(xen_waitset_add(set, guest), 0);
    (void)xen_waiting(guest);
    expect_silence();
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, OTHER), 0);
    for (int i = 0; i < 2; i++) {
        wait_for_it();
        assert_true(xen_waitset_has(guest));
        assert_int_equal(xen_waiting(guest), -EPIPE);
        assert_int_equal(xen_waiting(xen), 0);
    }
    xen_close(guest);
    expect_silence();
}

/* xen_ops.h -EPIPE: and so does the end of the machine. */
static void test_waitset_machine_ends(void **state)
{
    struct host_process process;
    struct xen_machine *machine = NULL;
    struct fakexen_host *host = NULL;
    char dir[] = "/tmp/fakexen-test-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    host_process_start(&process, dir, NULL);
    assert_int_equal(fakexen_client_machine_create(dir, &machine), 0);
    assert_int_equal(machine->ops->open(machine, 0, &xen), 0);
    assert_int_equal(xen_waitset_create(&set), 0);
    assert_int_equal(xen_waitset_add(set, xen), 0);
    assert_int_equal(xen_waiting(xen), 0);
    assert_int_equal(kill(process.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(host_process_stop(&process)));
    wait_for_it();
    assert_int_equal(xen_waiting(xen), -EPIPE);
    xen_close(xen);
    xen_waitset_destroy(set);
    fakexen_client_machine_destroy(machine);
    assert_int_equal(fakexen_host_open(dir, &host), 0);
    fakexen_host_close(host);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- counting ---- */

static struct fakexen_counts counts_of(const struct xen *handle)
{
    struct fakexen_counts counts = {0};
    assert_int_equal(fakexen_client_counts(handle, &counts), 0);
    return counts;
}

/* fakexen.h fakexen_counts: each event, also those that are found as one, and nobody misses one for being counted. */
static void test_waitset_counts_events(void **state)
{
    (void)state;
    struct channel one = connected(xen), two = connected(xen), other = connected(again);
    uint64_t before = counts_of(xen).events, others = counts_of(again).events;
    for (unsigned int i = 0; i < 5; i++)
        notify(one);
    notify(two);
    notify(other);
    assert_int_equal(counts_of(xen).events, before + 6);
    assert_int_equal(counts_of(again).events, others + 1);
    wait_for_it();
    take(xen, one.near);
    notify(one); /* masked */
    take(xen, two.near);
    assert_int_equal(CALL(xen, evtchn_unmask, one.near), 0);
    (void)xen_waiting(xen);
    take(xen, one.near);
    take(again, other.near);
    assert_int_equal(counts_of(xen).events, before + 7);
    assert_int_equal(CALL(xen, evtchn_close, two.near), 0);
    assert_int_equal(counts_of(xen).events, before + 7 - 2); /* its first and ours */
}

/* The same: of whose pages they are, each call once, and those that were refused not. */
static void test_waitset_counts_maps(void **state)
{
    (void)state;
    enum { PAGES = 3, MANY = 65 };
    void *pages, *others, *map = NULL, *more = NULL;
    grant_ref_t ref[MANY];
    assert_int_equal(CALL(xen, pages_alloc, PAGES, &pages), 0);
    assert_int_equal(CALL(again, pages_alloc, 1, &others), 0);
    for (unsigned int i = 0; i < MANY; i++)
        assert_int_equal(CALL(xen, grant, GUEST, (uint8_t *)pages + i % PAGES * XEN_PAGE_SIZE_BYTES, false, &ref[i]), 0);
    assert_int_equal(counts_of(xen).maps, 0);
    assert_int_equal(CALL(peer, grant_map, 0, PAGES, ref, true, &map), 0);
    assert_int_equal(counts_of(xen).maps, 1);
    assert_int_equal(CALL(peer, grant_map, 0, MANY, ref, true, &more), 0); /* asked for in two */
    assert_int_equal(counts_of(xen).maps, 3);
    assert_int_equal(CALL(peer, grant_unmap, map, PAGES), 0);
    assert_int_equal(CALL(peer, grant_unmap, more, MANY), 0);
    assert_int_equal(counts_of(xen).maps, 6);
    for (unsigned int i = 0; i < MANY; i++)
        assert_int_equal(CALL(xen, grant_end, ref[i]), 0);
    assert_int_not_equal(CALL(peer, grant_map, 0, 1, ref, true, &map), 0);
    assert_int_equal(counts_of(xen).maps, 6);
    assert_int_equal(counts_of(again).maps, 0);
    CALL(xen, pages_free, pages, PAGES);
    CALL(again, pages_free, others, 1);
}

/* A mapping process that ends unmaps, too. */
static void test_waitset_counts_ends(void **state)
{
    void *page, *map = NULL;
    grant_ref_t ref;
    struct xen *brief = machine_open(*state, GUEST);
    assert_int_equal(CALL(xen, pages_alloc, 1, &page), 0);
    assert_int_equal(CALL(xen, grant, GUEST, page, false, &ref), 0);
    assert_int_equal(CALL(brief, grant_map, 0, 1, &ref, true, &map), 0);
    xen_close(brief);
    assert_int_equal(counts_of(xen).maps, 2);
    assert_int_equal(CALL(xen, grant_end, ref), 0);
    CALL(xen, pages_free, page, 1);
}

/* Outside a set events are taken out of the counter. */
static void test_waitset_counts_not(void **state)
{
    (void)state;
    struct fakexen_counts counts;
    struct fakexen_local *local;
    struct xen *here;
    assert_int_equal(fakexen_client_counts(peer, &counts), -EINVAL);
    assert_int_equal(fakexen_local_create(&local), 0);
    struct xen_machine *machine = fakexen_local_machine(local);
    assert_int_equal(machine->ops->open(machine, 0, &here), 0);
    assert_int_equal(fakexen_client_counts(here, &counts), -EINVAL);
    xen_close(here);
    fakexen_local_destroy(local);
}

int main(void)
{
#define WAITSET_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WAITSET_TEST(test_waitset_times),
        WAITSET_TEST(test_waitset_for_ever),
        WAITSET_TEST(test_waitset_tells_whom),
        WAITSET_TEST(test_waitset_masked),
        WAITSET_TEST(test_waitset_turns),
        WAITSET_TEST(test_waitset_order),
        WAITSET_TEST(test_waitset_storm),
        WAITSET_TEST(test_waitset_full_counter),
        WAITSET_TEST(test_waitset_blocking_counter),
        WAITSET_TEST(test_waitset_watches),
        WAITSET_TEST(test_waitset_too_late),
        WAITSET_TEST(test_waitset_close),
        WAITSET_TEST(test_waitset_by_descriptor),
        WAITSET_TEST(test_waitset_domain_ends),
        WAITSET_TEST(test_waitset_counts_events),
        WAITSET_TEST(test_waitset_counts_maps),
        WAITSET_TEST(test_waitset_counts_ends),
        WAITSET_TEST(test_waitset_counts_not),
        cmocka_unit_test(test_waitset_machine_ends),
    };
    return cmocka_run_group_tests_name("waitset", tests, NULL, NULL);
}
