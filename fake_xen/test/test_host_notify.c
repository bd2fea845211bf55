// SPDX-License-Identifier: MIT
/* Goal: unmap notification as the host sees it: what it refuses, what it forgets, and that it loses no
 * descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../host/client.h"
#include "machine_host.h"

/* Asks twice before it looks: a connection that ended before goes in the step of the first question. */
static unsigned int host_descriptors(const struct test_machine *test)
{
    char path[32];
    unsigned int count = 0;
    const struct control_request question = client_request(CONTROL_EVTCHN_STATUS, 0, 0);
    struct control_reply reply;
    for (unsigned int i = 0; i < 2; i++)
        assert_int_equal(client_call((struct client *)test->dom0, &question, &reply, NULL, NULL), -EINVAL);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)((const struct host_form *)test->form)->process.pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static bool told(struct xen *xen, evtchn_port_t port)
{
    evtchn_port_t pending = 0;
    int rc = CALL(xen, evtchn_pending, &pending);
    if (rc == -EAGAIN)
        return false;
    assert_int_equal(rc, 0);
    assert_int_equal(pending, port);
    assert_int_equal(CALL(xen, evtchn_unmask, port), 0);
    return true;
}

/* A port of `near`, and the other end of `far`, with no event waiting. */
static void connect_ports(struct xen *near, struct xen *far, evtchn_port_t *near_port,
                          evtchn_port_t *far_port)
{
    assert_int_equal(CALL(far, evtchn_alloc, near->domid, far_port), 0);
    assert_int_equal(CALL(near, evtchn_bind, far->domid, *far_port, near_port), 0);
    assert_true(told(near, *near_port));
}

/* Requests that no client of ours would make are refused and change nothing. */
static void test_refused(void **state)
{
    struct test_machine *test = *state;
    struct client *client = (struct client *)test->guest;
    void *pages = NULL;
    void *map = NULL;
    grant_ref_t refs[2];
    evtchn_port_t foreign = 0;
    assert_int_equal(CALL(test->other, pages_alloc, 2, &pages), 0);
    for (unsigned int i = 0; i < 2; i++)
        assert_int_equal(CALL(test->other, grant, GUEST, (uint8_t *)pages + i * 4096, i > 0, &refs[i]), 0);
    assert_int_equal(CALL(test->other, evtchn_alloc, 0, &foreign), 0);
    assert_int_equal(CALL(test->guest, grant_map, OTHER, 1, refs, true, &map), 0);
    uint32_t one = client->maps->ids[0];
    assert_int_equal(CALL(test->guest, grant_map, OTHER, 1, refs + 1, false, &map), 0);
    uint32_t readonly = client->maps->ids[0];
    assert_int_equal(CALL(test->guest, grant_map, OTHER, 2, refs, false, &map), 0);
    uint32_t two = client->maps->ids[0];
    unsigned int before = host_descriptors(test);
    struct fakexen_balance balance = machine_balance(test);
    const struct {
        uint32_t value;
        uint32_t flag;
        uint32_t count;
        uint32_t refs[3];
    } rows[] = {
        {one, 0, 0, {0}},
        {one, 0, 1, {0}},
        {one, 0, 3, {0, CONTROL_NONE}},
        {one, 2, 2, {0, CONTROL_NONE}},
        {one, 0, 2, {4096, CONTROL_NONE}},
        {one, 0, 2, {0x80000000u, CONTROL_NONE}},
        {one, 0, 2, {0, 0}},
        {one, 0, 2, {0, 99}},
        {one, 0, 2, {0, foreign}},
        {0, 0, 2, {0, CONTROL_NONE}},
        {two + 1, 0, 2, {0, CONTROL_NONE}},
        {two, 0, 2, {CONTROL_NONE, CONTROL_NONE}},
        {readonly, 0, 2, {0, CONTROL_NONE}},
        {ARENA_PAGES, 1, 2, {0, CONTROL_NONE}},
        {UINT32_MAX, 1, 2, {0, CONTROL_NONE}},
        {3, 1, 2, {0, 99}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct control_reply reply;
        struct control_request request = client_request(CONTROL_NOTIFY, 0, rows[i].value);
        request.flag = rows[i].flag;
        request.count = rows[i].count;
        memcpy(request.refs, rows[i].refs, sizeof(rows[i].refs));
        assert_int_equal(client_call(client, &request, &reply, NULL, NULL), -EINVAL);
        request = client_request(CONTROL_SHARE_END, 0, rows[i].value);
        assert_int_equal(client_call(client, &request, &reply, NULL, NULL), -EINVAL);
    }
    struct fakexen_balance after = machine_balance(test);
    assert_memory_equal(&balance, &after, sizeof(balance));
    assert_int_equal(host_descriptors(test), before);
    memset(pages, 1, 4096);
    client_unmap_all(client);
    assert_int_equal(*(uint8_t *)pages, 1);
}

/* What was asked for last is done, and once. */
static void test_replaced(void **state)
{
    struct test_machine *test = *state;
    struct client *client = (struct client *)test->guest;
    evtchn_port_t near[2];
    evtchn_port_t far[2];
    void *page = NULL;
    connect_ports(test->guest, test->dom0, &near[0], &far[0]);
    connect_ports(test->guest, test->other, &near[1], &far[1]);
    assert_int_equal(CALL(test->guest, pages_alloc, 1, &page), 0);
    memset(page, 1, 4096);
    unsigned int before = host_descriptors(test);
    assert_int_equal(client_share_notify(client, page, 5, near[0]), 0);
    assert_int_equal(client_share_notify(client, page, 6, near[1]), 0);
    assert_int_equal(host_descriptors(test), before + 1);
    assert_int_equal(client_share_end(client, page), 0);
    assert_false(told(test->dom0, far[0]));
    assert_true(told(test->other, far[1]));
    assert_int_equal(((uint8_t *)page)[5], 1);
    assert_int_equal(((uint8_t *)page)[6], 0);
    assert_int_equal(client_share_end(client, page), -EINVAL);
    assert_false(told(test->other, far[1]));
    assert_int_equal(host_descriptors(test), before);
}

/* The event comes though the port that was named is closed by then, and another port of that end is not told.
 */
static void test_port_closed_before(void **state)
{
    struct test_machine *test = *state;
    struct client *client = (struct client *)test->guest;
    evtchn_port_t near = 0;
    evtchn_port_t far = 0;
    void *page = NULL;
    connect_ports(test->guest, test->other, &near, &far);
    assert_int_equal(CALL(test->guest, pages_alloc, 1, &page), 0);
    assert_int_equal(client_share_notify(client, page, CONTROL_NONE, near), 0);
    assert_int_equal(CALL(test->guest, evtchn_close, near), 0);
    assert_true(told(test->other, far)); /* fakexen.h, 11 */
    assert_int_equal(client_share_end(client, page), 0);
    assert_true(told(test->other, far));
    /* The other end closed as well: nobody to tell. */
    connect_ports(test->guest, test->other, &near, &far);
    assert_int_equal(client_share_notify(client, page, CONTROL_NONE, near), 0);
    assert_int_equal(CALL(test->other, evtchn_close, far), 0);
    assert_int_equal(client_share_end(client, page), 0);
}

/* Hundreds of them, all of which end with the handle. */
static void test_descriptors_given_back(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t near = 0;
    evtchn_port_t far = 0;
    void *pages = NULL;
    unsigned int before = host_descriptors(test);
    for (unsigned int round = 0; round < 3; round++) {
        struct xen *xen = machine_open(test, GUEST);
        connect_ports(xen, test->other, &near, &far);
        assert_int_equal(CALL(xen, pages_alloc, 300, &pages), 0);
        for (unsigned int i = 0; i < 300; i++)
            assert_int_equal(client_share_notify((struct client *)xen, (uint8_t *)pages + i * 4096, 0, near),
                             0);
        assert_true(host_descriptors(test) > before + 300);
        xen_close(xen);
        assert_true(told(test->other, far));
        assert_int_equal(CALL(test->other, evtchn_close, far), 0);
        assert_int_equal(host_descriptors(test), before);
    }
}

int main(void)
{
#define NOTIFY_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        NOTIFY_TEST(test_refused),
        NOTIFY_TEST(test_replaced),
        NOTIFY_TEST(test_port_closed_before),
        NOTIFY_TEST(test_descriptors_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
