// SPDX-License-Identifier: MIT
/* Goal: unmap notification: the byte and the event come when a page is unmapped, also by kill -9. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen_lab.h"

#define NONE UINT32_MAX
#define BOTH (PROT_READ | PROT_WRITE)

/* The near end maps or shares and is watched; the far end is told. */
struct bed {
    struct channel channel;
    xengntshr_handle *xgs; /* of domain 1 */
    xengnttab_handle *xgt; /* of domain 0 */
    uint32_t ref;
    uint8_t *page;
};

static int set_up(void **state)
{
    static struct bed bed;
    channel_open(&bed.channel);
    bed.xgs = shr_of(1);
    bed.xgt = tab_of(0);
    bed.page = xengntshr_share_pages(bed.xgs, 0, 1, &bed.ref, 1);
    assert_non_null(bed.page);
    memset(bed.page, 1, PAGE);
    *state = &bed;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *bed = *state;
    xengnttab_close(bed->xgt);
    xengntshr_close(bed->xgs);
    channel_close(&bed->channel);
    return 0;
}

/* Takes the event, if there is one. */
static bool told(struct bed *bed)
{
    xenevtchn_handle *far = bed->channel.far;
    if (!has_event(far))
        return false;
    assert_int_equal(xenevtchn_pending(far), (int)bed->channel.far_port);
    assert_int_equal(xenevtchn_unmask(far, bed->channel.far_port), 0);
    return true;
}

static void test_map_notify(void **state)
{
    struct bed *bed = *state;
    const struct {
        uint32_t offset;
        bool port;
        bool close; /* the handle instead of the map */
    } rows[] = {{0, true, false},    {4095, false, false}, {NONE, true, false},
                {4096, true, false}, {7, true, true},      {NONE, false, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        evtchn_port_t port = rows[i].port ? bed->channel.near_port : NONE;
        void *map = xengnttab_map_grant_ref_notify(bed->xgt, 1, bed->ref, BOTH, rows[i].offset, port);
        assert_non_null(map);
        assert_false(told(bed));
        if (rows[i].close) {
            xengnttab_close(bed->xgt);
            bed->xgt = tab_of(0);
        } else {
            assert_int_equal(xengnttab_unmap(bed->xgt, map, 1), 0);
        }
        assert_int_equal(told(bed), rows[i].port);
        for (uint32_t at = 0; at < PAGE; at++)
            assert_int_equal(bed->page[at], at != rows[i].offset);
        memset(bed->page, 1, PAGE);
    }
}

static void test_share_notify(void **state)
{
    struct bed *bed = *state;
    for (unsigned int closing = 0; closing < 2; closing++) {
        uint32_t ref;
        /* Domain 0 shares here, as it has the near end. */
        xengntshr_handle *xgs = shr_of(0);
        xengnttab_handle *xgt = tab_of(1);
        uint8_t *shared = xengntshr_share_page_notify(xgs, 1, &ref, 1, 9, bed->channel.near_port);
        assert_non_null(shared);
        memset(shared, 1, PAGE);
        const uint8_t *map = xengnttab_map_grant_ref(xgt, 0, ref, PROT_READ);
        assert_non_null(map);
        assert_false(told(bed));
        if (!closing)
            assert_int_equal(xengntshr_unshare(xgs, shared, 1), 0);
        xengntshr_close(xgs);
        assert_true(told(bed));
        assert_int_equal(map[9], 0);
        assert_int_equal(map[8], 1);
        xengnttab_close(xgt);
        assert_false(told(bed));
    }
}

/* A notification that cannot be had is no map at all. */
static void test_refused(void **state)
{
    struct bed *bed = *state;
    uint32_t ref;
    errno = 0;
    assert_null(xengnttab_map_grant_ref_notify(bed->xgt, 1, bed->ref, PROT_READ, 0, NONE));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(xengnttab_map_grant_ref_notify(bed->xgt, 1, bed->ref, BOTH, 0, 4000));
    assert_int_equal(errno, EINVAL);
    assert_null(xengntshr_share_page_notify(bed->xgs, 0, &ref, 1, 0, 4000));
    /* Without a byte a map for reading may have one. */
    void *map =
        xengnttab_map_grant_ref_notify(bed->xgt, 1, bed->ref, PROT_READ, NONE, bed->channel.near_port);
    assert_non_null(map);
    xengnttab_set_max_grants(bed->xgt, 1);
    assert_int_equal(xengnttab_unmap(bed->xgt, map, 1), 0);
    assert_true(told(bed));
    assert_int_equal(bed->page[0], 1);
    assert_non_null(xengnttab_map_grant_ref(bed->xgt, 1, bed->ref, BOTH));
}

/* ---- kill -9 ---- */

struct victim {
    int go[2];   /* the far end's port is known */
    int tell[2]; /* the reference, or nothing, when all is set up */
};

/* In the child, as domain 0: its own end of the channel, with the page of the parent or a page for it. */
static void be_victim(const struct victim *victim, uint32_t map_ref)
{
    evtchn_port_t far_port;
    uint32_t ref = map_ref;
    if (read(victim->go[0], &far_port, sizeof(far_port)) != sizeof(far_port))
        _exit(1);
    be_domain(0);
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    xengnttab_handle *xgt = xengnttab_open(NULL, 0);
    if (!xce || !xgt)
        _exit(2);
    int port = xenevtchn_bind_interdomain(xce, 1, far_port);
    uint8_t *page =
        map_ref ? xengnttab_map_grant_ref_notify(xgt, 1, map_ref, BOTH, 33, (evtchn_port_t)port)
                : xengntshr_share_page_notify((xengntshr_handle *)xgt, 1, &ref, 1, 33, (evtchn_port_t)port);
    if (port < 0 || !page)
        _exit(3);
    memset(page, 1, PAGE);
    if (write(victim->tell[1], &ref, sizeof(ref)) != sizeof(ref))
        _exit(4);
    for (;;)
        pause();
}

/*
 * The order does not matter in which the host sees the ends of the victim's handles: one event comes after
 * the byte was cleared, so who looks at each event sees it.
 */
static void kill_one(struct bed *bed, bool mapping)
{
    struct victim victim;
    uint32_t ref;
    assert_int_equal(pipe(victim.go), 0);
    assert_int_equal(pipe(victim.tell), 0);
    int pid = fork();
    if (!pid)
        be_victim(&victim, mapping ? bed->ref : 0);
    xenevtchn_handle *xce = evtchn_of(1);
    int port = xenevtchn_bind_unbound_port(xce, 0);
    assert_true(port > 0);
    assert_int_equal(write(victim.go[1], &port, sizeof(port)), sizeof(port));
    assert_int_equal(read(victim.tell[0], &ref, sizeof(ref)), sizeof(ref));
    xengnttab_handle *xgt = tab_of(1);
    const uint8_t *page = mapping ? bed->page : xengnttab_map_grant_ref(xgt, 0, ref, PROT_READ);
    assert_non_null(page);
    assert_int_equal(__atomic_load_n(&page[33], __ATOMIC_ACQUIRE), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(child_ended(pid), 128 + SIGKILL);
    do {
        assert_true(wait_event(xce));
        assert_int_equal(xenevtchn_pending(xce), port);
        assert_int_equal(xenevtchn_unmask(xce, (evtchn_port_t)port), 0);
    } while (__atomic_load_n(&page[33], __ATOMIC_ACQUIRE));
    assert_int_equal(page[32], 1);
    assert_int_equal(page[34], 1);
    xengnttab_close(xgt);
    xenevtchn_close(xce);
    for (unsigned int i = 0; i < 2; i++) {
        close(victim.go[i]);
        close(victim.tell[i]);
    }
}

static void test_killed_mapper(void **state)
{
    for (unsigned int i = 0; i < 20; i++)
        kill_one(*state, true);
}

static void test_killed_sharer(void **state)
{
    for (unsigned int i = 0; i < 20; i++)
        kill_one(*state, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map_notify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_notify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_mapper, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_sharer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
