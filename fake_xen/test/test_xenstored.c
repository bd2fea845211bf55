// SPDX-License-Identifier: MIT
/*
 * The xenstore sockets of the host (fakexen.h): who is who, who gets a turn, and what becomes of
 * clients that ask too much, read too little or come in too great a number.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../host/host.h"
#include "stepped_host.h"

#define GUEST 5
#define OTHER 7

#define TEXT(text) text, sizeof(text)

static int setup(void **state)
{
    struct stepped_host *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    stepped_host_begin(h);
    assert_int_equal(stepped_host_create(h, GUEST), 0);
    assert_int_equal(stepped_host_create(h, OTHER), 0);
    *state = h;
    return 0;
}

/* Whatever a test left open, the host is told of its end and gives all back. */
static int teardown(void **state)
{
    struct stepped_host *h = *state;
    stepped_host_settle(h);
    struct fakexen_balance balance = fakexen_host_balance(h->host);
    stepped_host_finish(h);
    free(h);
    assert_int_equal(balance.watches, 0);
    assert_int_equal(balance.transactions, 0);
    return 0;
}

static void opened(struct stepped_host *h, struct raw_store *raw, domid_t domid)
{
    assert_int_equal(raw_store_connect(raw, h, domid), 0);
    stepped_host_settle(h);
}

/* Takes an answer that must be there. */
static void expect(struct raw_store *raw, uint32_t type, const char *text)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    assert_int_equal(raw_store_take(raw, &header, payload), 1);
    assert_int_equal(header.type, type);
    assert_string_equal(payload, text);
}

static void expect_end(struct raw_store *raw)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    assert_int_equal(raw_store_take(raw, &header, payload), -1);
    raw_store_close(raw);
}

/* Asks and takes the answer. */
static void exchange(struct stepped_host *h, struct raw_store *raw, uint32_t type, const char *payload,
                     size_t length, uint32_t answer, const char *text)
{
    assert_true(raw_store_ask(raw, type, 0, payload, length));
    stepped_host_settle(h);
    expect(raw, answer, text);
}

static unsigned int mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (unsigned int)status.st_mode & 0777;
}

/* fakexen.h: which sockets there are, for whom, and how long. */
static void test_sockets(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store raw;
    char path[128];
    store_socket(h, 0, path, sizeof(path));
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(h->dir), 0700);
    snprintf(path, sizeof(path), "%s/domain", h->dir);
    assert_int_equal(mode_of(path), 0700);
    store_socket(h, GUEST, path, sizeof(path));
    assert_int_equal(mode_of(path), 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(raw_store_connect(&raw, h, 9), -ENOENT);
    assert_int_equal(stepped_host_create(h, 9), 0);
    opened(h, &raw, 9);
    exchange(h, &raw, XS_READ, TEXT("domid"), XS_READ, "9");
    assert_int_equal(stepped_host_destroy(h, 9), 0);
    expect_end(&raw);
    assert_int_equal(raw_store_connect(&raw, h, 9), -ENOENT);
    /* The next domain 9 is another one. */
    assert_int_equal(stepped_host_create(h, 9), 0);
    opened(h, &raw, 9);
    exchange(h, &raw, XS_READ, TEXT("domid"), XS_READ, "9");
    raw_store_close(&raw);
    assert_int_equal(stepped_host_destroy(h, GUEST), 0);
    assert_int_equal(stepped_host_destroy(h, OTHER), 0);
    assert_int_equal(stepped_host_destroy(h, 9), 0);
    snprintf(path, sizeof(path), "%s/domain", h->dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* fakexen.h: what a dead host left is cleared away. */
static void test_sockets_of_a_dead_host(void **state)
{
    (void)state;
    struct stepped_host h;
    struct raw_store raw;
    char path[128];
    char *dir;
    stepped_host_begin(&h);
    dir = strdup(h.dir);
    assert_non_null(dir);
    stepped_host_finish(&h);
    assert_int_equal(mkdir(h.parent, 0700), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/domain", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/domain/12", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    const domid_t left[] = {0, 12};
    for (int i = 0; i < 2; i++) {
        store_socket(&h, left[i], path, sizeof(path));
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
    }
    assert_int_equal(fakexen_host_open(dir, &h.host), 0);
    assert_int_equal(access(path, F_OK), -1);
    opened(&h, &raw, 0);
    exchange(&h, &raw, XS_READ, TEXT("domid"), XS_READ, "0");
    raw_store_close(&raw);
    fakexen_host_close(h.host);
    /* The folder was there before. */
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(h.parent), 0);
    free(dir);
}

/* fakexen.h: no DIR in which a socket could not be reached. */
static void test_long_folder(void **state)
{
    struct stepped_host *h = *state;
    struct fakexen_host *host = NULL;
    char dir[79];
    memset(dir, 'x', sizeof(dir));
    memcpy(dir, h->parent, strlen(h->parent));
    dir[strlen(h->parent)] = '/';
    dir[78] = '\0';
    assert_int_equal(fakexen_host_open(dir, &host), -ENAMETOOLONG);
    assert_int_equal(access(dir, F_OK), -1);
    dir[77] = '\0';
    assert_int_equal(fakexen_host_open(dir, &host), 0);
    fakexen_host_close(host);
    assert_int_equal(access(dir, F_OK), -1);
}

/* The socket is the identity. */
static void test_identity(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store dom0;
    struct raw_store guest;
    struct raw_store other;
    opened(h, &dom0, 0);
    opened(h, &guest, GUEST);
    opened(h, &other, OTHER);
    exchange(h, &dom0, XS_WRITE, "/local/domain/5/name\0x", 22, XS_WRITE, "OK");
    exchange(h, &guest, XS_READ, TEXT("name"), XS_READ, "x");
    exchange(h, &guest, XS_WRITE, "name\0y", 6, XS_ERROR, "EACCES");
    exchange(h, &guest, XS_WRITE, "data/k\0y", 8, XS_WRITE, "OK");
    exchange(h, &other, XS_READ, TEXT("/local/domain/5/name"), XS_ERROR, "EACCES");
    exchange(h, &other, XS_READ, TEXT("/local/domain/5/data/k"), XS_ERROR, "EACCES");
    exchange(h, &dom0, XS_READ, TEXT("/local/domain/5/data/k"), XS_READ, "y");
    raw_store_close(&dom0);
    raw_store_close(&guest);
    raw_store_close(&other);
}

/* Answers of one client that can be taken now. */
static unsigned int answered(struct raw_store *raw)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    unsigned int count = 0;
    while (raw_store_take(raw, &header, payload) == 1)
        count++;
    return count;
}

/* host.h HOST_REQUESTS_MAX: two clients have sent all they can, a third asks once. */
static void test_turns(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store greedy[2];
    struct raw_store modest;
    unsigned int asked[2] = {0, 0};
    unsigned int got[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        opened(h, &greedy[i], i ? OTHER : GUEST);
    opened(h, &modest, 0);
    for (int i = 0; i < 2; i++) {
        while (asked[i] < 4000 && raw_store_ask(&greedy[i], XS_READ, 0, TEXT("domid")))
            asked[i]++;
        assert_true(asked[i] > 100);
    }
    assert_true(raw_store_ask(&modest, XS_READ, 0, TEXT("name")));
    unsigned int steps = 0;
    for (unsigned int waiting = 1; waiting || stepped_host_busy(h); steps++) {
        assert_int_equal(fakexen_host_step(h->host), 0);
        for (int i = 0; i < 2; i++) {
            unsigned int now = answered(&greedy[i]);
            assert_true(now <= HOST_REQUESTS_MAX);
            got[i] += now;
            /* Nobody has been left behind. */
            assert_true(got[i] == asked[i] || got[i] >= steps * (HOST_REQUESTS_MAX - 1));
        }
        if (waiting)
            waiting -= answered(&modest);
        /* In the first step it has had its turn, too. */
        assert_int_equal(waiting, 0);
    }
    assert_int_equal(got[0], asked[0]);
    assert_int_equal(got[1], asked[1]);
    for (int i = 0; i < 2; i++)
        raw_store_close(&greedy[i]);
    raw_store_close(&modest);
}

/* Who asks without reading is not read from, costs no step, and gets all when it reads at last. */
static void test_client_that_reads_late(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store late;
    struct raw_store other;
    unsigned int asked = 0;
    unsigned int got = 0;
    opened(h, &late, GUEST);
    opened(h, &other, OTHER);
    for (unsigned int before = 1; before != asked;) {
        before = asked;
        while (raw_store_ask(&late, XS_DIRECTORY, 0, TEXT("/local/domain")))
            asked++;
        stepped_host_settle(h);
    }
    assert_true(asked > 500);
    assert_false(stepped_host_busy(h));
    exchange(h, &other, XS_READ, TEXT("domid"), XS_READ, "7");
    for (unsigned int now = 1; now; got += now) {
        now = answered(&late);
        stepped_host_settle(h);
    }
    assert_int_equal(got, asked);
    exchange(h, &late, XS_READ, TEXT("domid"), XS_READ, "5");
    raw_store_close(&late);
    raw_store_close(&other);
}

/* fakexen.h: a connection with 1 MiB unread is dropped. Its watches end, and nobody else is disturbed. */
static void test_client_that_never_reads(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store deaf;
    struct raw_store dom0;
    char payload[256];
    unsigned int i = 0;
    opened(h, &deaf, GUEST);
    opened(h, &dom0, 0);
    assert_true(raw_store_ask(&deaf, XS_WATCH, 0, TEXT("data\0token")));
    stepped_host_settle(h);
    assert_int_equal(fakexen_host_balance(h->host).watches, 1);
    for (; i < 100000 && fakexen_host_balance(h->host).watches; i++) {
        int length = snprintf(payload, sizeof(payload), "/local/domain/5/data/%0150u%cx", i % 4, '\0');
        exchange(h, &dom0, XS_WRITE, payload, (size_t)length, XS_WRITE, "OK");
    }
    assert_int_equal(fakexen_host_balance(h->host).watches, 0);
    /* 190 bytes each: not before the queue and the socket were full, and not long after. */
    assert_true(i > HOST_QUEUE_MAX / 200 && i < HOST_QUEUE_MAX / 100);
    exchange(h, &dom0, XS_READ, TEXT("domid"), XS_READ, "0");
    raw_store_close(&deaf);
    raw_store_close(&dom0);
}

/* One change may have more events than a connection may have waiting (store.h STORE_EVENTS_MAX). */
static void test_too_many_events_at_once(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store guest;
    struct raw_store busy;
    char payload[XENSTORE_PAYLOAD_MAX];
    opened(h, &guest, GUEST);
    opened(h, &busy, GUEST);
    for (unsigned int i = 0; i < 120; i++) {
        memset(payload, 't', sizeof(payload));
        int length = snprintf(payload, sizeof(payload), "data%c%03u", '\0', i);
        payload[length] = 't';
        payload[3000] = '\0';
        exchange(h, &guest, XS_WATCH, payload, 3001, XS_WATCH_EVENT, "data");
        expect(&guest, XS_WATCH, "OK");
    }
    exchange(h, &busy, XS_TRANSACTION_START, "", 1, XS_TRANSACTION_START, "1");
    for (unsigned int i = 0; i < 100; i++) {
        int length = snprintf(payload, sizeof(payload), "data/%u%cx", i, '\0');
        assert_true(raw_store_ask(&busy, XS_WRITE, 1, payload, (size_t)length));
        stepped_host_settle(h);
        expect(&busy, XS_WRITE, "OK");
    }
    assert_true(raw_store_ask(&busy, XS_TRANSACTION_END, 1, "T", 2));
    stepped_host_settle(h);
    expect(&busy, XS_TRANSACTION_END, "OK");
    answered(&guest);
    expect_end(&guest);
    raw_store_close(&busy);
}

/* Many requests in one packet, one request in many. */
static void test_packets(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store raw;
    struct xsd_sockmsg header = {.type = XS_READ, .req_id = 3, .len = 6};
    uint8_t message[sizeof(header) + 6];
    uint8_t many[100 * sizeof(message)];
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), "domid", 6);
    opened(h, &raw, GUEST);
    for (size_t i = 0; i < sizeof(many); i += sizeof(message))
        memcpy(many + i, message, sizeof(message));
    assert_true(raw_store_send(&raw, many, sizeof(many)));
    stepped_host_settle(h);
    assert_int_equal(answered(&raw), 100);
    for (size_t i = 0; i < sizeof(many); i++) {
        assert_true(raw_store_send(&raw, many + i, 1));
        stepped_host_settle(h);
        assert_int_equal(answered(&raw), (i + 1) % sizeof(message) == 0);
    }
    raw_store_close(&raw);
}

/* Whoever says that it will send no more, or sends what it must not, has the answers to what it asked before.
 */
static void test_last_answers(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store raw;
    struct xsd_sockmsg huge = {.type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1};
    opened(h, &raw, GUEST);
    assert_true(raw_store_ask(&raw, XS_READ, 0, TEXT("domid")));
    assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
    stepped_host_settle(h);
    expect(&raw, XS_READ, "5");
    expect_end(&raw);
    opened(h, &raw, GUEST);
    assert_true(raw_store_ask(&raw, XS_READ, 0, TEXT("domid")));
    assert_true(raw_store_send(&raw, &huge, sizeof(huge)));
    stepped_host_settle(h);
    expect(&raw, XS_READ, "5");
    expect_end(&raw);
    /* Half a message is no message. */
    opened(h, &raw, GUEST);
    assert_true(raw_store_send(&raw, &huge, sizeof(huge) - 1));
    assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
    stepped_host_settle(h);
    expect_end(&raw);
}

/* host.h HOST_XENSTORES_GUEST_MAX; the others can still come. */
static void test_too_many_clients(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store *raw = calloc(HOST_XENSTORES_GUEST_MAX + 1, sizeof(*raw));
    struct raw_store other;
    assert_non_null(raw);
    for (unsigned int i = 0; i <= HOST_XENSTORES_GUEST_MAX; i++)
        opened(h, &raw[i], GUEST);
    expect_end(&raw[HOST_XENSTORES_GUEST_MAX]);
    opened(h, &other, OTHER);
    exchange(h, &other, XS_READ, TEXT("domid"), XS_READ, "7");
    exchange(h, &raw[0], XS_READ, TEXT("domid"), XS_READ, "5");
    raw_store_close(&raw[1]);
    opened(h, &raw[HOST_XENSTORES_GUEST_MAX], GUEST);
    exchange(h, &raw[HOST_XENSTORES_GUEST_MAX], XS_READ, TEXT("domid"), XS_READ, "5");
    for (unsigned int i = 0; i <= HOST_XENSTORES_GUEST_MAX; i++)
        raw_store_close(&raw[i]);
    raw_store_close(&other);
    free(raw);
}

/* A host that has no descriptor left refuses, and is not woken for ever. */
static void test_no_descriptors(void **state)
{
    struct stepped_host *h = *state;
    struct raw_store raw;
    struct raw_store refused;
    struct rlimit limit;
    opened(h, &raw, GUEST);
    assert_int_equal(raw_store_connect(&refused, h, GUEST), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(free_fd >= 0);
    close(free_fd);
    struct rlimit none = {.rlim_cur = (rlim_t)free_fd, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    exchange(h, &raw, XS_READ, TEXT("domid"), XS_READ, "5");
    assert_false(stepped_host_busy(h));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    raw_store_close(&refused);
    opened(h, &refused, GUEST);
    exchange(h, &refused, XS_READ, TEXT("domid"), XS_READ, "5");
    raw_store_close(&refused);
    raw_store_close(&raw);
}

int main(void)
{
#define STORED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORED_TEST(test_sockets),
        cmocka_unit_test(test_sockets_of_a_dead_host),
        STORED_TEST(test_long_folder),
        STORED_TEST(test_identity),
        STORED_TEST(test_turns),
        STORED_TEST(test_client_that_reads_late),
        STORED_TEST(test_client_that_never_reads),
        STORED_TEST(test_too_many_events_at_once),
        STORED_TEST(test_packets),
        STORED_TEST(test_last_answers),
        STORED_TEST(test_too_many_clients),
        STORED_TEST(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
