// SPDX-License-Identifier: MIT
/* Goal: events and watches come late, merged or not at all as fakexen/faults.h says, and nobody else is
 * disturbed. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "faults_lab.h"

static void test_faults_delay(void **state)
{
    struct lab *lab = *state;
    faults_plan(lab, "event-delay:2@3");
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), lab->gport); /* the first is not meant */
    faults_unmask(lab->guest, lab->gport);
    faults_notify(lab);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(faults_poll(lab->guest), 0);
        assert_true(faults_pending(lab));
    }
    faults_notify(lab); /* merged */
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    assert_int_equal(faults_poll(lab->guest), 0);
    faults_unmask(lab->guest, lab->gport); /* the third came while the second was masked: Xen keeps one */
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    faults_unmask(lab->guest, lab->gport);
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_false(faults_pending(lab));
    assert_int_equal(fakexen_faults_stats(lab->faults).withheld, 1);
}

/* The next event of the port brings the one that was dropped; both are one. */
static void test_faults_drop(void **state)
{
    struct lab *lab = *state;
    faults_plan(lab, "event-drop:every");
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_int_equal(faults_poll(lab->guest), 0);
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    faults_unmask(lab->guest, lab->gport);
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_false(faults_pending(lab));
}

/* Without a next one it comes nevertheless; then it is masked like any other. */
static void test_faults_drop_ends(void **state)
{
    struct lab *lab = *state;
    faults_plan(lab, "event-drop:1");
    faults_notify(lab);
    for (unsigned int i = 0; i < FAKEXEN_FAULTS_DROP_POLLS; i++) {
        assert_true(faults_pending(lab));
        assert_int_equal(faults_poll(lab->guest), 0);
    }
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    assert_false(faults_pending(lab));
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), 0); /* masked */
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_false(faults_pending(lab));
    faults_unmask(lab->guest, lab->gport);
    assert_true(faults_pending(lab));
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), 0);
    faults_unmask(lab->guest, lab->gport);
    assert_int_equal(faults_poll(lab->guest), lab->gport);
}

static void test_faults_lose(void **state)
{
    struct lab *lab = *state;
    faults_plan(lab, "event-lose:1");
    faults_notify(lab);
    for (unsigned int i = 0; i < 2 * FAKEXEN_FAULTS_DROP_POLLS; i++)
        assert_int_equal(faults_poll(lab->guest), 0);
    assert_false(faults_pending(lab));
    assert_int_equal(fakexen_faults_stats(lab->faults).lost, 1);
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), lab->gport);
}

/* What is withheld of one port keeps back no other, and goes when the port is closed. */
static void test_faults_other_port(void **state)
{
    struct lab *lab = *state;
    evtchn_port_t gport = lab->gport, bport = lab->bport;
    faults_connect(lab); /* a second channel */
    faults_plan(lab, "event-delay:1@9");
    assert_int_equal(CALL(lab->back, evtchn_notify, bport), 0);
    assert_int_equal(faults_poll(lab->guest), 0);
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    faults_unmask(lab->guest, lab->gport);
    assert_true(faults_pending(lab));
    assert_int_equal(CALL(lab->guest, evtchn_close, gport), 0);
    assert_int_equal(faults_poll(lab->back), bport); /* the end that closed raised an event at the other */
    assert_false(faults_pending(lab));
    for (unsigned int i = 0; i < 20; i++)
        assert_int_equal(faults_poll(lab->guest), 0);
    assert_int_equal(CALL(lab->guest, evtchn_unmask, gport), -EINVAL);
    assert_int_equal(CALL(lab->guest, evtchn_close, gport), -EINVAL);
}

static bool read_watch(struct xen *xen)
{
    char path[XEN_XS_PATH_MAX + 1], token[XEN_XS_TOKEN_MAX + 1];
    int rc = CALL(xen, xs_watch_read, path, token);
    assert_true(rc == 0 || rc == -EAGAIN);
    return rc == 0;
}

static void test_faults_watch_delay(void **state)
{
    struct lab *lab = *state;
    faults_plan(lab, "watch-delay:every@2");
    assert_int_equal(CALL(lab->guest, xs_watch, "data", "w"), 0);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(CALL(lab->guest, xs_write, 0, "data/x", "1", 1), 0);
        assert_true(faults_pending(lab));
        assert_false(read_watch(lab->guest));
        assert_false(read_watch(lab->guest));
        assert_true(read_watch(lab->guest));
    }
    assert_int_equal(fakexen_faults_stats(lab->faults).withheld, 2);
    assert_false(read_watch(lab->back));
    fakexen_faults_clear(lab->faults);
    while (read_watch(lab->guest))
        continue;
    assert_false(faults_pending(lab));
}

/* ---- freezing ---- */

static bool fd_readable(struct xen *xen)
{
    struct pollfd p = {.fd = xen->ops->fd(xen), .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) == 1;
}

static void test_faults_freeze(void **state)
{
    struct lab *lab = *state;
    bool has_fd = lab->guest->ops->fd(lab->guest) >= 0;
    assert_int_equal(CALL(lab->guest, xs_watch, "data", "w"), 0);
    assert_true(read_watch(lab->guest));
    assert_false(fd_readable(lab->guest));
    assert_int_equal(fakexen_faults_freeze(lab->faults, GUEST), 0);
    assert_int_equal(fakexen_faults_freeze(lab->faults, GUEST), 0); /* once is enough */
    assert_true(fakexen_faults_frozen(lab->faults, GUEST));
    assert_false(fakexen_faults_frozen(lab->faults, 0));
    faults_notify(lab);
    assert_int_equal(CALL(lab->back, xs_write, 0, "/local/domain/5/data/x", "1", 1), 0);
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_false(read_watch(lab->guest));
    assert_false(fd_readable(lab->guest));
    assert_false(faults_pending(lab));
    /* What it asks for is answered, and others are told. */
    assert_int_equal(CALL(lab->guest, evtchn_notify, lab->gport), 0);
    assert_true(faults_pending(lab));
    assert_int_equal(faults_poll(lab->back), lab->bport);

    fakexen_faults_thaw(lab->faults, GUEST);
    assert_false(fakexen_faults_frozen(lab->faults, GUEST));
    assert_true(faults_pending(lab));
    assert_int_equal(fd_readable(lab->guest), has_fd);
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    while (!read_watch(lab->guest)) /* the host form passes it on when it comes to it */
        continue;
    assert_false(faults_pending(lab));
}

static void test_faults_freeze_by_plan(void **state)
{
    struct lab *lab = *state;
    struct xen *second;
    char text[64];
    uint64_t calls = fakexen_faults_stats(lab->faults).calls;
    snprintf(text, sizeof(text), "freeze:domid=%d@%d,thaw:domid=%d@%d", GUEST, (int)calls + 2, GUEST,
             (int)calls + 5);
    faults_plan(lab, text);
    faults_notify(lab); /* +1 */
    assert_false(fakexen_faults_frozen(lab->faults, GUEST));
    assert_int_equal(faults_poll(lab->guest), 0); /* +2 */
    assert_true(fakexen_faults_frozen(lab->faults, GUEST));
    assert_int_equal(lab->faults->ops->open(lab->faults, GUEST, &second), 0); /* +3 */
    assert_int_equal(faults_poll(lab->guest), 0);                             /* +4 */
    assert_int_equal(faults_poll(lab->guest), lab->gport);                    /* +5 */
    xen_close(second);
    for (domid_t i = 0; i < FAKEXEN_FAULTS_FROZEN_MAX; i++)
        assert_int_equal(fakexen_faults_freeze(lab->faults, (domid_t)(100 + i)), 0);
    assert_int_equal(fakexen_faults_freeze(lab->faults, GUEST), -ENOSPC);
    fakexen_faults_thaw(lab->faults, 107);
    assert_true(fakexen_faults_frozen(lab->faults, 115));
    assert_int_equal(fakexen_faults_freeze(lab->faults, GUEST), 0);
}

/* Who waits on the fd is woken while something is withheld, as only polling makes it come. */
static void test_faults_fd(void **state)
{
    struct lab *lab = *state;
    if (lab->guest->ops->fd(lab->guest) < 0)
        return; /* the local form is stepped */
    faults_plan(lab, "event-delay:every@2");
    faults_notify(lab);
    for (unsigned int i = 0; i < 2; i++) {
        assert_true(fd_readable(lab->guest));
        assert_int_equal(faults_poll(lab->guest), 0);
    }
    assert_true(fd_readable(lab->guest));
    assert_int_equal(faults_poll(lab->guest), lab->gport);
    assert_false(fd_readable(lab->guest));
    faults_unmask(lab->guest, lab->gport);
    faults_notify(lab);
    assert_int_equal(faults_poll(lab->guest), 0);
    assert_int_equal(fakexen_faults_freeze(lab->faults, GUEST), 0);
    assert_false(fd_readable(lab->guest));
    fakexen_faults_thaw(lab->faults, GUEST);
    assert_true(fd_readable(lab->guest));
    faults_plan(lab, "grant_map_limit:1=EPIPE");
    assert_int_equal(CALL(lab->back, grant_map_limit, 1), -EPIPE);
    assert_true(fd_readable(lab->back)); /* the end of the machine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTS_TEST(test_faults_delay),      FAULTS_TEST(test_faults_drop),
        FAULTS_TEST(test_faults_drop_ends),  FAULTS_TEST(test_faults_lose),
        FAULTS_TEST(test_faults_other_port), FAULTS_TEST(test_faults_watch_delay),
        FAULTS_TEST(test_faults_freeze),     FAULTS_TEST(test_faults_freeze_by_plan),
        FAULTS_TEST(test_faults_fd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
