// SPDX-License-Identifier: MIT
/* A host whose store is the genuine xenstored: what its guests share of one ring, and who may end. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <xen/io/xs_wire.h>

#include "machine_host.h"

static int raw_open(struct test_machine *test, domid_t domid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct host_form *form = test->form;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/domain/%u/xenstored.socket", form->dir,
             (unsigned int)domid);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool say(int fd, uint32_t type, uint32_t id, const void *payload, size_t length)
{
    char whole[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {.type = type, .req_id = id, .len = (uint32_t)length};
    memcpy(whole, &header, sizeof(header));
    memcpy(whole + sizeof(header), payload, length);
    ssize_t size = (ssize_t)(sizeof(header) + length);
    return send(fd, whole, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) == size;
}

/* The next message; its payload has a NUL behind it. False at the end of the connection. */
static bool hear(int fd, struct xsd_sockmsg *header, char payload[XENSTORE_PAYLOAD_MAX + 1])
{
    if (recv(fd, header, sizeof(*header), MSG_WAITALL) != sizeof(*header))
        return false;
    assert_true(header->len <= XENSTORE_PAYLOAD_MAX);
    payload[header->len] = '\0';
    return !header->len || recv(fd, payload, header->len, MSG_WAITALL) == (ssize_t)header->len;
}

static void expect(int fd, uint32_t type, uint32_t id, const char *text)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    assert_true(hear(fd, &header, payload));
    assert_int_equal(header.type, type);
    assert_int_equal(header.req_id, id);
    assert_string_equal(payload, text);
}

/* Numbers of requests, tokens of watches and transactions are each socket's own, as of /dev/xen/xenbus. */
static void test_two_sockets(void **state)
{
    struct test_machine *test = *state;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    struct xsd_sockmsg header;
    int one = raw_open(test, GUEST);
    int two = raw_open(test, GUEST);
    assert_true(say(one, XS_WATCH, 7, "data\0t", 7) && say(two, XS_WATCH, 7, "data\0t", 7));
    expect(one, XS_WATCH, 7, "OK");
    expect(one, XS_WATCH_EVENT, 0, "data");
    expect(two, XS_WATCH, 7, "OK");
    expect(two, XS_WATCH_EVENT, 0, "data");
    assert_true(say(one, XS_WATCH, 8, "/local/domain/5/data\0t", 23));
    expect(one, XS_ERROR, 8, "EEXIST");
    assert_true(say(one, XS_UNWATCH, 9, "data\0t", 7));
    expect(one, XS_UNWATCH, 9, "OK");
    assert_true(say(one, XS_WRITE, 10, "data/x\0y", 8));
    expect(one, XS_WRITE, 10, "OK");
    assert_true(hear(two, &header, payload));
    assert_int_equal(header.type, XS_WATCH_EVENT);
    assert_int_equal(header.len, 9);
    assert_memory_equal(payload, "data/x\0t", 9);
    assert_true(say(one, XS_TRANSACTION_START, 11, "", 1));
    assert_true(hear(one, &header, payload));
    uint32_t t = (uint32_t)strtoul(payload, NULL, 10);
    struct xsd_sockmsg foreign = {.type = XS_READ, .req_id = 3, .tx_id = t, .len = 6};
    assert_int_equal(send(two, &foreign, sizeof(foreign), 0), sizeof(foreign));
    assert_int_equal(send(two, "domid", 6, 0), 6);
    expect(two, XS_ERROR, 3, "ENOENT");
    struct fakexen_balance balance = machine_balance(test);
    assert_int_equal(balance.watches, 1);
    assert_int_equal(balance.transactions, 1);
    assert_true(say(two, XS_RESET_WATCHES, 12, "", 1));
    expect(two, XS_RESET_WATCHES, 12, "OK");
    balance = machine_balance(test);
    assert_int_equal(balance.watches, 0);
    assert_int_equal(balance.transactions, 1);
    close(one);
    close(two);
}

/* What a socket leaves is taken back, or the quota of its domain would be used up for ever. */
static void test_sockets_that_go(void **state)
{
    struct test_machine *test = *state;
    char token[16];
    for (unsigned int round = 0; round < 12; round++) {
        int fd = raw_open(test, GUEST);
        for (unsigned int i = 0; i < 60; i++) {
            int length = snprintf(token, sizeof(token), "data%c%u", '\0', i);
            assert_true(say(fd, XS_WATCH, i, token, (size_t)length + 1));
        }
        for (unsigned int i = 0; i < 5; i++)
            assert_true(say(fd, XS_TRANSACTION_START, 100 + i, "", 1));
        struct xsd_sockmsg header;
        char payload[XENSTORE_PAYLOAD_MAX + 1];
        unsigned int refused = 0;
        /* Every second one does not wait for its answers. */
        for (unsigned int left = round % 2 ? 65 : 0; left;) {
            assert_true(hear(fd, &header, payload));
            left -= header.type != XS_WATCH_EVENT;
            refused += header.type == XS_ERROR;
        }
        assert_int_equal(refused, 0);
        close(fd);
        /* Behind it in the same ring, when it has been cleaned up after. */
        for (unsigned int i = 0; i < 10000; i++) {
            struct fakexen_balance balance = machine_balance(test);
            if (!balance.watches && !balance.transactions)
                break;
            assert_int_not_equal(i, 9999);
        }
    }
}

/* Bytes that are no messages end their socket, and a client that does not read waits for itself alone. */
static void test_hostile_sockets(void **state)
{
    struct test_machine *test = *state;
    char value[XEN_XS_PAYLOAD_MAX + 1];
    struct xsd_sockmsg huge = {.type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1};
    char byte;
    int fd = raw_open(test, GUEST);
    assert_int_equal(send(fd, &huge, sizeof(huge), 0), sizeof(huge));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    int deaf = raw_open(test, GUEST);
    int half = raw_open(test, GUEST);
    assert_int_equal(send(half, &huge, 7, 0), 7);
    unsigned int asked = 0;
    while (asked < 100000 && say(deaf, XS_DIRECTORY, asked, "/local/domain/5", 16))
        asked++;
    assert_true(asked > 100);
    for (unsigned int i = 0; i < 200; i++)
        assert_int_equal(CALL(test->guest, xs_read, 0, "domid", value, sizeof(value)), 1);
    assert_int_equal(CALL(test->other, xs_read, 0, "domid", value, sizeof(value)), 1);
    /* When it reads at last it has all its answers, in order. */
    struct xsd_sockmsg header;
    for (unsigned int i = 0; i < asked; i++) {
        assert_true(hear(deaf, &header, value));
        assert_int_equal(header.req_id, i);
        assert_int_equal(header.type, XS_DIRECTORY);
    }
    close(deaf);
    close(half);
}

/* Permissions are xenstored's: the guest is one. And the next domain of its number has nothing of it. */
static void test_permissions(void **state)
{
    struct test_machine *test = *state;
    char value[16];
    assert_int_equal(CALL(test->guest, xs_write, 0, "name", "x", 1), -EACCES);
    assert_int_equal(CALL(test->guest, xs_read, 0, "/local/domain/7/name", value, sizeof(value)), -EACCES);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/x", "1", 1), 0);
    const struct xen_xs_perm guest = {9, XEN_XS_NONE};
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), 0);
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), -EEXIST);
    assert_int_equal(CALL(test->dom0, xs_write, 0, "/elsewhere/deep", "1", 1), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/elsewhere/deep", &guest, 1), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 9), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 9), -ENXIO);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/elsewhere/deep", value, sizeof(value)), -ENOENT);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/local/domain/9", value, sizeof(value)), -ENOENT);
}

/* The death of xenstored is the machine's. */
static void test_xenstored_killed(void **state)
{
    struct test_machine *test = *state;
    const struct host_form *form = test->form;
    char command[64];
    char value[16];
    snprintf(command, sizeof(command), "ps -o pid= --ppid %d", (int)form->process.pid);
    FILE *children = popen(command, "r");
    int pid = 0;
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%d", &pid), 1);
    pclose(children);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(form->process.pid, &status, 0), form->process.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
    assert_int_equal(CALL(test->guest, xs_read, 0, "domid", value, sizeof(value)), -EPIPE);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "domid", value, sizeof(value)), -EPIPE);
    xen_close(test->dom0);
    xen_close(test->guest);
    xen_close(test->other);
    fakexen_client_machine_destroy(test->machine);
    close(form->process.stop);
    free(test->form);
    free(test);
}

int main(void)
{
#define GENUINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        GENUINE_TEST(test_two_sockets),
        GENUINE_TEST(test_sockets_that_go),
        GENUINE_TEST(test_hostile_sockets),
        GENUINE_TEST(test_permissions),
        cmocka_unit_test_setup(test_xenstored_killed, machine_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
