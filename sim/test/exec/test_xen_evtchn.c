// SPDX-License-Identifier: MIT
/* Goal: libxenevtchn as its header has it: what the descriptor tells, what waits, and that no event is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen_lab.h"

static void make_nonblocking(xenevtchn_handle *xce)
{
    int fd = xenevtchn_fd(xce);
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* The new port has one event at once (BUS-10); later each end is told by the other, and masked until
 * unmasked. */
static void test_masking(void **state)
{
    (void)state;
    struct channel c = {.near = evtchn_of(0), .far = evtchn_of(1)};
    make_nonblocking(c.near);
    assert_int_equal(xenevtchn_pending(c.near), -1);
    assert_int_equal(errno, EAGAIN);
    int port = xenevtchn_bind_unbound_port(c.far, 0);
    assert_true(port > 0);
    c.far_port = (evtchn_port_t)port;
    assert_int_equal(xenevtchn_notify(c.far, c.far_port), 0); /* to nobody */
    port = xenevtchn_bind_interdomain(c.near, 1, c.far_port);
    assert_true(port > 0);
    c.near_port = (evtchn_port_t)port;
    assert_true(has_event(c.near));
    assert_false(has_event(c.far));
    assert_int_equal(xenevtchn_pending(c.near), port);
    assert_false(has_event(c.near));
    /* Masked now: an event is kept. */
    assert_int_equal(xenevtchn_notify(c.far, c.far_port), 0);
    assert_false(has_event(c.near));
    assert_int_equal(xenevtchn_pending(c.near), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(xenevtchn_unmask(c.near, c.near_port), 0);
    assert_true(has_event(c.near));
    assert_int_equal(xenevtchn_pending(c.near), port);
    assert_int_equal(xenevtchn_unmask(c.near, c.near_port), 0);
    assert_false(has_event(c.near));
    /* The other way, and many events are one. */
    for (unsigned int i = 0; i < 5; i++)
        assert_int_equal(xenevtchn_notify(c.near, c.near_port), 0);
    assert_int_equal(xenevtchn_pending(c.far), (int)c.far_port);
    assert_int_equal(xenevtchn_unmask(c.far, c.far_port), 0);
    assert_false(has_event(c.far));
    channel_close(&c);
}

static void test_errors(void **state)
{
    (void)state;
    struct channel c;
    channel_open(&c);
    xenevtchn_handle *other = evtchn_of(0);
    /* A port is its handle's alone. */
    assert_int_equal(xenevtchn_notify(other, c.near_port), -1);
    assert_int_equal(errno, ENOTCONN);
    errno = 0;
    assert_int_equal(xenevtchn_unbind(other, c.near_port), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(xenevtchn_unmask(other, c.near_port), 0);
    /* Bound already, no such port, no such domain, not for us. */
    int for_two = xenevtchn_bind_unbound_port(c.far, 2);
    assert_true(for_two > 0);
    const struct {
        uint32_t domid;
        evtchn_port_t port;
        int error;
    } rows[] = {
        {1, c.far_port, EINVAL}, {1, 4000, EINVAL},       {1, (evtchn_port_t)for_two, EINVAL},
        {77, 1, EINVAL},         {DOMID_XEN, 1, ESRCH},   {UINT32_MAX, 1, ESRCH},
        {1, UINT32_MAX, EINVAL}, {2, c.far_port, EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        errno = 0;
        assert_int_equal(xenevtchn_bind_interdomain(c.near, rows[i].domid, rows[i].port), -1);
        assert_int_equal(errno, rows[i].error);
    }
    assert_int_equal(xenevtchn_bind_unbound_port(c.near, DOMID_XEN), -1);
    assert_int_equal(xenevtchn_unbind(c.near, c.near_port), 0);
    assert_int_equal(xenevtchn_unbind(c.near, c.near_port), -1);
    assert_int_equal(errno, ENOTCONN);
    /* The end that is left may go on notifying, and be bound again. */
    assert_int_equal(xenevtchn_notify(c.far, c.far_port), 0);
    assert_true(xenevtchn_bind_interdomain(other, 1, c.far_port) > 0);
    xenevtchn_close(other);
    channel_close(&c);
}

static void test_open_and_restrict(void **state)
{
    (void)state;
    be_domain(0);
    assert_null(xenevtchn_open(NULL, 2));
    assert_int_equal(errno, EINVAL);
    assert_null(xenevtchn_fdopen(NULL, 0, XENEVTCHN_NO_CLOEXEC));
    assert_int_equal(errno, EINVAL);
    assert_null(xenevtchn_fdopen(NULL, -1, 0));
    assert_int_equal(errno, EBADF);
    xenevtchn_handle *xce = xenevtchn_open(NULL, XENEVTCHN_NO_CLOEXEC);
    assert_non_null(xce);
    assert_false(fcntl(xenevtchn_fd(xce), F_GETFD) & FD_CLOEXEC);
    assert_int_equal(xenevtchn_close(xce), 0);
    xce = evtchn_of(0);
    assert_true(fcntl(xenevtchn_fd(xce), F_GETFD) & FD_CLOEXEC);
    assert_int_equal(xenevtchn_restrict(xce, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xenevtchn_restrict(xce, DOMID_XEN), -1);
    assert_int_equal(xenevtchn_restrict(xce, 1), 0);
    errno = 0;
    assert_int_equal(xenevtchn_restrict(xce, 2), -1);
    assert_int_equal(errno, EACCES);
    errno = 0;
    assert_int_equal(xenevtchn_bind_unbound_port(xce, 2), -1);
    assert_int_equal(errno, EACCES);
    errno = 0;
    assert_int_equal(xenevtchn_bind_virq(xce, VIRQ_DOM_EXC), -1);
    assert_int_equal(errno, EACCES);
    assert_true(xenevtchn_bind_unbound_port(xce, 1) > 0);
    assert_int_equal(xenevtchn_close(xce), 0);
    assert_int_equal(xenevtchn_close(NULL), 0);
}

/* VIRQ_DOM_EXC is an event when a domain dies; each VIRQ is bound once. */
static void test_virq(void **state)
{
    (void)state;
    xenevtchn_handle *xce = evtchn_of(0);
    int port = xenevtchn_bind_virq(xce, VIRQ_DOM_EXC);
    assert_true(port > 0);
    assert_false(has_event(xce));
    assert_int_equal(xenevtchn_bind_virq(xce, VIRQ_DOM_EXC), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(xenevtchn_bind_virq(xce, 1000), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(system("\"$DOMAINS\" \"$FAKEXEN_DIR\" 3 -3"), 0);
    assert_true(wait_event(xce));
    assert_int_equal(xenevtchn_pending(xce), port);
    assert_int_equal(xenevtchn_unmask(xce, (evtchn_port_t)port), 0);
    assert_int_equal(xenevtchn_unbind(xce, (evtchn_port_t)port), 0);
    assert_int_equal(xenevtchn_bind_virq(xce, VIRQ_DOM_EXC), port + 1);
    assert_int_equal(xenevtchn_close(xce), 0);
}

/* A child that closes what it inherited takes nothing from the parent. */
static void test_closed_in_child(void **state)
{
    (void)state;
    struct channel c;
    channel_open(&c);
    int pid = fork();
    if (!pid)
        _exit(xenevtchn_close(c.near) || xenevtchn_close(c.far));
    assert_int_equal(child_ended(pid), 0);
    assert_false(has_event(c.near));
    assert_int_equal(xenevtchn_notify(c.far, c.far_port), 0);
    assert_true(has_event(c.near));
    assert_int_equal(xenevtchn_pending(c.near), (int)c.near_port);
    channel_close(&c);
}

/* ---- waiting ---- */

struct waiter {
    xenevtchn_handle *xce;
    int port;
    int error;
    pid_t tid; /* of the thread, once it runs */
    pthread_t thread;
};

static void *wait_in_pending(void *context)
{
    struct waiter *waiter = context;
    __atomic_store_n(&waiter->tid, gettid(), __ATOMIC_RELEASE);
    waiter->port = xenevtchn_pending(waiter->xce);
    waiter->error = errno;
    return NULL;
}

/* Returns when the thread sleeps, which it does nowhere but in the wait for an event. */
static void start_waiting(struct waiter *waiter)
{
    char path[64];
    char state = 'R';
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_in_pending, waiter), 0);
    while (!__atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE))
        sched_yield();
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)waiter->tid);
    while (state != 'S') {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
        sched_yield();
    }
}

/* While one thread waits, others use the same handle: the event that ends the wait is for a port bound
 * meanwhile. */
static void test_pending_waits(void **state)
{
    (void)state;
    struct waiter waiter = {.xce = evtchn_of(0)};
    xenevtchn_handle *far = evtchn_of(1);
    start_waiting(&waiter);
    int near_port = xenevtchn_bind_unbound_port(waiter.xce, 1);
    assert_true(near_port > 0);
    int far_port = xenevtchn_bind_interdomain(far, 0, (evtchn_port_t)near_port);
    assert_true(far_port > 0);
    assert_int_equal(xenevtchn_notify(far, (evtchn_port_t)far_port), 0);
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.port, near_port);
    xenevtchn_close(far);
    xenevtchn_close(waiter.xce);
}

static void on_signal(int number)
{
    (void)number;
}

static void test_pending_interrupted(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal};
    struct waiter waiter = {.xce = evtchn_of(0)};
    sigaction(SIGUSR1, &action, NULL);
    start_waiting(&waiter);
    /* Until it hits the thread while that waits. */
    while (pthread_tryjoin_np(waiter.thread, NULL) == EBUSY) {
        pthread_kill(waiter.thread, SIGUSR1);
        poll(NULL, 0, 1);
    }
    assert_int_equal(waiter.port, -1);
    assert_int_equal(waiter.error, EINTR);
    xenevtchn_close(waiter.xce);
}

/* ---- no event is lost ---- */

#define PING_PONGS 100000u

/* Waits until the other side has moved the ball; an event too many is allowed, one too few hangs. */
static bool wait_for_ball(xenevtchn_handle *xce, const uint32_t *ball, uint32_t wanted, bool poll_first)
{
    while (__atomic_load_n(ball, __ATOMIC_ACQUIRE) != wanted) {
        if (poll_first && !wait_event(xce))
            return false;
        int port = xenevtchn_pending(xce);
        if (port < 0 || xenevtchn_unmask(xce, (evtchn_port_t)port))
            return false;
    }
    return true;
}

static int return_balls(evtchn_port_t remote, uint32_t ref, uint32_t count)
{
    be_domain(1);
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    xengnttab_handle *xgt = xengnttab_open(NULL, 0);
    if (!xce || !xgt)
        return 1;
    uint32_t *ball = xengnttab_map_grant_ref(xgt, 0, ref, PROT_READ | PROT_WRITE);
    int port = xenevtchn_bind_interdomain(xce, 0, remote);
    if (!ball || port < 0)
        return 2;
    for (uint32_t i = 0; i < count; i++) {
        if (!wait_for_ball(xce, ball, 2 * i + 1, i % 2))
            return 3;
        __atomic_store_n(ball, 2 * i + 2, __ATOMIC_RELEASE);
        if (xenevtchn_notify(xce, (evtchn_port_t)port))
            return 4;
    }
    xenevtchn_close(xce);
    xengnttab_close(xgt);
    return 0;
}

static void test_ping_pong(void **state)
{
    (void)state;
    const char *count_text = getenv("PING_PONGS");
    uint32_t count = count_text ? (uint32_t)strtoul(count_text, NULL, 10) : PING_PONGS;
    uint32_t ref;
    xenevtchn_handle *xce = evtchn_of(0);
    xengntshr_handle *xgs = shr_of(0);
    uint32_t *ball = xengntshr_share_pages(xgs, 1, 1, &ref, 1);
    assert_non_null(ball);
    int port = xenevtchn_bind_unbound_port(xce, 1);
    assert_true(port > 0);
    int pid = fork();
    if (!pid) {
        alarm(250);
        xenevtchn_close(xce);
        xengntshr_close(xgs);
        _exit(return_balls((evtchn_port_t)port, ref, count));
    }
    for (uint32_t i = 0; i < count; i++) {
        __atomic_store_n(ball, 2 * i + 1, __ATOMIC_RELEASE);
        assert_int_equal(xenevtchn_notify(xce, (evtchn_port_t)port), 0);
        assert_true(wait_for_ball(xce, ball, 2 * i + 2, i % 3 == 0));
    }
    assert_int_equal(child_ended(pid), 0);
    xenevtchn_close(xce);
    xengntshr_close(xgs);
}

/* ---- without pvusb exec ---- */

/* What a child says on stderr that opens these handles twice, and the errno that all of them get. */
static size_t said_by_child(int expected, char *said, size_t size)
{
    int fds[2];
    size_t length = 0;
    ssize_t some;
    assert_int_equal(pipe(fds), 0);
    int pid = fork();
    if (!pid) {
        int bad = dup2(fds[1], 2) < 0;
        close(fds[0]);
        close(fds[1]);
        for (unsigned int i = 0; i < 2; i++) {
            bad = bad || xenevtchn_open(NULL, 0) || errno != expected;
            bad = bad || xengnttab_open(NULL, 0) || errno != expected;
            bad = bad || xengntshr_open(NULL, 0) || errno != expected;
        }
        _exit(bad);
    }
    close(fds[1]);
    while (length < size - 1 && (some = read(fds[0], said + length, size - 1 - length)) > 0)
        length += (size_t)some;
    said[length] = '\0';
    close(fds[0]);
    assert_int_equal(child_ended(pid), 0);
    size_t lines = 0;
    for (size_t i = 0; i < length; i++)
        lines += said[i] == '\n';
    return lines;
}

static void test_no_machine(void **state)
{
    (void)state;
    char said[2048];
    char *dir = strdup(getenv("FAKEXEN_DIR"));
    assert_non_null(dir);
    /* One line of each of the two libraries, however often and by which call. */
    unsetenv("FAKEXEN_DIR");
    assert_in_range(said_by_child(ENOENT, said, sizeof(said)), 1, 2);
    assert_non_null(strstr(said, "FAKEXEN_DIR is not set; start this program with 'pvusb exec'"));
    setenv("FAKEXEN_DIR", "/nonexistent/machine", 1);
    assert_in_range(said_by_child(ENODEV, said, sizeof(said)), 1, 2);
    assert_non_null(strstr(said, "/nonexistent/machine"));
    setenv("FAKEXEN_DIR", dir, 1);
    setenv("FAKEXEN_DOMID", "7", 1);
    assert_in_range(said_by_child(ENODEV, said, sizeof(said)), 1, 2);
    assert_non_null(strstr(said, "domain 7"));
    setenv("FAKEXEN_DOMID", "1x", 1);
    assert_in_range(said_by_child(ENOENT, said, sizeof(said)), 1, 2);
    assert_non_null(strstr(said, "FAKEXEN_DOMID"));
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_machine),
        cmocka_unit_test(test_masking),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_virq),
        cmocka_unit_test(test_open_and_restrict),
        cmocka_unit_test(test_closed_in_child),
        cmocka_unit_test(test_pending_waits),
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_pending_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
