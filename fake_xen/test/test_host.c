// SPDX-License-Identifier: MIT
/* The host as a process among others: who may be there, who may die, and what hostile clients get. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <xen/io/xs_wire.h>

#include "../host/client.h"
#include "../host/protocol.h"
#include "machine_host.h"

static const char *dir_of(struct test_machine *test)
{
    return ((struct host_form *)test->form)->dir;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Another's event is on its way when the call that caused it returns. */
static bool becomes_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 60000) == 1;
}

/* ---- beginning and end ---- */

/* fakexen.h fakexen_client_machine_create: -ENOENT without a host; xen_ops.h open: -ENXIO. */
static void test_no_host(void **state)
{
    (void)state;
    struct xen_machine *machine = NULL;
    struct xen *xen = NULL;
    assert_int_equal(fakexen_client_machine_create("/nonexistent/place", &machine), 0);
    assert_int_equal(machine->ops->open(machine, 0, &xen), -ENOENT);
    assert_int_equal(machine->ops->domain_create(machine, 3), -ENOENT);
    fakexen_client_machine_destroy(machine);
    fakexen_client_machine_destroy(NULL);
}

/* fakexen.h fakexen_host_open: one living host for each folder, which is 0700. */
static void test_second_host(void **state)
{
    struct test_machine *test = *state;
    struct fakexen_host *second = NULL;
    struct stat st;
    assert_int_equal(fakexen_host_open(dir_of(test), &second), -EADDRINUSE);
    assert_null(second);
    assert_int_equal(stat(dir_of(test), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    /* The attempt did not harm the first. */
    xen_close(machine_open(test, 0));
}

/* fakexen.h fakexen_host_open: what a dead host left is cleared away; the folder is removed by who made it.
 */
static void test_host_after_a_dead_one(void **state)
{
    (void)state;
    struct host_process process;
    struct fakexen_host *host = NULL;
    char dir[] = "/tmp/fakexen-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    host_process_start(&process, dir, NULL);
    assert_int_equal(kill(process.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(host_process_stop(&process)));
    assert_int_equal(fakexen_host_open(dir, &host), 0);
    fakexen_host_close(host);
    fakexen_host_close(NULL);
    assert_int_equal(rmdir(dir), 0);
}

/* Whether a whole message waits in the client's own buffer, where no descriptor tells of it. */
static bool hides_message(struct xen *xen)
{
    const struct client *client = (const struct client *)xen;
    struct xsd_sockmsg header;
    if (client->have < sizeof(header))
        return false;
    memcpy(&header, client->in, sizeof(header));
    return client->have >= sizeof(header) + header.len;
}

/*
 * xen_ops.h fd(): readable while a watch event waits, also one that came in the same packet as the answer to
 * something else. Another process writes while we read, so that answers and events meet in every way.
 */
static void test_events_between_answers(void **state)
{
    enum { WRITES = 3000 };
    struct test_machine *test = *state;
    char buf[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    struct xen *xen = machine_open(test, 0);
    int events = 0;
    assert_int_equal(CALL(xen, xs_write, 0, "/meet", "0", 1), 0);
    assert_int_equal(CALL(xen, xs_watch, "/meet", "token"), 0);
    pid_t writer = fork();
    if (writer == 0) {
        struct xen_machine *machine = NULL;
        struct xen *other = NULL;
        int rc = fakexen_client_machine_create(dir_of(test), &machine);
        rc = rc ? rc : machine->ops->open(machine, 0, &other);
        for (int i = 0; !rc && i < WRITES; i++)
            rc = CALL(other, xs_write, 0, "/meet", i + 1 < WRITES ? "0" : "1", 1);
        if (rc)
            _exit(1);
        kill(getpid(), SIGKILL); /* and no leak check of what the parent still has */
    }
    do {
        assert_int_equal(CALL(xen, xs_read, 0, "/meet", buf, sizeof(buf)), 1);
        assert_false(hides_message(xen));
        if (readable(xen->ops->fd(xen)) && !CALL(xen, xs_watch_read, buf + 1, token))
            events++;
    } while (buf[0] == '0');
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status));
    /* All events were sent before the last write was answered. */
    while (events < WRITES + 1) {
        assert_true(readable(xen->ops->fd(xen)));
        assert_int_equal(CALL(xen, xs_watch_read, buf, token), 0);
        events++;
    }
    assert_int_equal(CALL(xen, xs_watch_read, buf, token), -EAGAIN);
    xen_close(xen);
}

/* xen_ops.h -EPIPE: every call that needs the machine, after it died; the descriptor wakes the waiter. */
static void test_host_death(void **state)
{
    (void)state;
    struct host_process process;
    struct xen_machine *machine = NULL;
    struct xen *xen = NULL;
    char buf[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    char dir[] = "/tmp/fakexen-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    host_process_start(&process, dir, NULL);
    assert_int_equal(fakexen_client_machine_create(dir, &machine), 0);
    assert_int_equal(machine->ops->open(machine, 0, &xen), 0);
    evtchn_port_t port = 0;
    assert_int_equal(CALL(xen, evtchn_alloc, 0, &port), 0);
    assert_false(readable(xen->ops->fd(xen)));
    assert_int_equal(kill(process.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(host_process_stop(&process)));
    assert_true(readable(xen->ops->fd(xen)));
    assert_int_equal(xen_waiting(xen), -EPIPE);
    assert_int_equal(CALL(xen, evtchn_pending, &port), -EPIPE);
    assert_int_equal(CALL(xen, xs_read, 0, "domid", buf, sizeof(buf)), -EPIPE);
    assert_int_equal(CALL(xen, xs_watch_read, buf, token), -EPIPE);
    assert_int_equal(CALL(xen, evtchn_alloc, 0, &port), -EPIPE);
    xen_close(xen);
    xen = NULL;
    assert_int_equal(machine->ops->open(machine, 0, &xen), -ECONNREFUSED);
    fakexen_client_machine_destroy(machine);
    struct fakexen_host *host = NULL;
    assert_int_equal(fakexen_host_open(dir, &host), 0);
    fakexen_host_close(host);
    assert_int_equal(rmdir(dir), 0);
}

/* xen_ops.h waiting: each by its bit, while it waits, whatever of it was looked at before. */
static void test_waiting(void **state)
{
    struct test_machine *test = *state;
    struct xen *xen = test->dom0;
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    evtchn_port_t front = 0;
    evtchn_port_t back = 0;
    assert_int_equal(xen_waiting(xen), 0);
    assert_int_equal(CALL(test->guest, evtchn_alloc, 0, &front), 0);
    assert_int_equal(CALL(xen, evtchn_bind, GUEST, front, &back), 0);
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    assert_int_equal(CALL(xen, xs_watch, "/w", "t"), 0); /* its first event comes with an answer */
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT | XEN_WAITS_WATCH);
    assert_int_equal(CALL(xen, evtchn_pending, &back), 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    assert_int_equal(xen_waiting(xen), XEN_WAITS_WATCH);
    assert_int_equal(CALL(xen, xs_watch_read, path, token), 0);
    assert_int_equal(xen_waiting(xen), 0);
    assert_int_equal(CALL(xen, evtchn_unmask, back), 0);
    assert_int_equal(xen_waiting(xen), XEN_WAITS_EVENT);
    assert_int_equal(CALL(test->guest, xs_watch, "/local/domain/5", "g"), 0);
    assert_int_equal(CALL(test->guest, xs_watch_read, path, token), 0);
    assert_int_equal(xen_waiting(test->guest), 0);
    assert_int_equal(CALL(xen, xs_write, XEN_XBT_NIL, "/local/domain/5/x", "1", 1), 0);
    assert_true(becomes_readable(test->guest->ops->fd(test->guest)));
    assert_int_equal(xen_waiting(test->guest), XEN_WAITS_WATCH);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(xen_waiting(test->guest), -EPIPE);
}

/* xen_ops.h fd: readable exactly while an event or a watch event waits. */
static void test_descriptor(void **state)
{
    struct test_machine *test = *state;
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    int fd = test->dom0->ops->fd(test->dom0);
    evtchn_port_t front = 0;
    evtchn_port_t back = 0;
    assert_false(readable(fd));
    assert_int_equal(CALL(test->guest, evtchn_alloc, 0, &front), 0);
    assert_int_equal(CALL(test->dom0, evtchn_bind, GUEST, front, &back), 0);
    assert_true(readable(fd));
    assert_int_equal(CALL(test->dom0, evtchn_pending, &back), 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    assert_false(readable(fd));
    assert_int_equal(CALL(test->dom0, evtchn_unmask, back), 0);
    assert_true(readable(fd));
    assert_int_equal(CALL(test->dom0, evtchn_pending, &back), 0);
    assert_false(readable(fd));
    /* A watch event that came with an answer waits in the handle, not in the socket. */
    assert_int_equal(CALL(test->dom0, xs_watch, "/w", "t"), 0);
    assert_true(readable(fd));
    assert_int_equal(CALL(test->dom0, xs_watch_read, path, token), 0);
    assert_false(readable(fd));
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/x", "1", 1), 0);
    assert_false(readable(fd));
    assert_int_equal(CALL(test->dom0, xs_watch, "/local/domain/5/data", "d"), 0);
    assert_int_equal(CALL(test->dom0, xs_unwatch, "/local/domain/5/data", "d"), 0);
    assert_false(readable(fd));
}

/* ---- clients that die ---- */

/* A guest that maps, binds, watches and grants, tells that it has, and waits to be killed. */
static void doomed(const char *dir, grant_ref_t ref, evtchn_port_t port, int ready)
{
    struct xen_machine *machine;
    struct xen *xen;
    void *map;
    void *page;
    evtchn_port_t bound;
    grant_ref_t granted;
    xen_transaction t;
    if (fakexen_client_machine_create(dir, &machine) || machine->ops->open(machine, OTHER, &xen) ||
        CALL(xen, grant_map, 0, 1, &ref, true, &map) || CALL(xen, evtchn_bind, 0, port, &bound) ||
        CALL(xen, pages_alloc, 1, &page) || CALL(xen, grant, 0, page, false, &granted) ||
        CALL(xen, xs_watch, "data", "t") || CALL(xen, xs_write, 0, "data/left", "x", 1) || CALL(xen, xs_begin, &t) ||
        CALL(xen, xs_write, t, "data/open", "x", 1))
        _exit(1);
    *(uint8_t *)page = 99;
    if (write(ready, &granted, sizeof(granted)) != sizeof(granted))
        _exit(1);
    pause();
    _exit(0);
}

/* fakexen.h fakexen_host_step: a client that dies is cleaned up after; what a peer maps of it stays. */
static void test_client_killed(void **state)
{
    struct test_machine *test = *state;
    int ready[2];
    int status;
    void *page = NULL;
    void *map = NULL;
    grant_ref_t ref = 0;
    grant_ref_t theirs = 0;
    evtchn_port_t port = 0;
    assert_int_equal(CALL(test->dom0, pages_alloc, 1, &page), 0);
    assert_int_equal(CALL(test->dom0, grant, OTHER, page, false, &ref), 0);
    assert_int_equal(CALL(test->dom0, evtchn_alloc, OTHER, &port), 0);
    struct fakexen_balance before = machine_balance(test);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        doomed(dir_of(test), ref, port, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &theirs, sizeof(theirs)), sizeof(theirs));
    close(ready[0]);
    assert_int_equal(CALL(test->dom0, grant_map, OTHER, 1, &theirs, true, &map), 0);
    struct fakexen_balance during = machine_balance(test);
    assert_int_equal(during.handles, before.handles + 1);
    assert_int_equal(during.ports, before.ports + 1);
    assert_int_equal(during.maps, before.maps + 2);
    assert_int_equal(CALL(test->dom0, grant_end, ref), -EBUSY);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* The other end of its port sees it. */
    struct pollfd end = {.fd = test->dom0->ops->fd(test->dom0), .events = POLLIN};
    evtchn_port_t pending = 0;
    bool bound = true;
    assert_int_equal(poll(&end, 1, 60000), 1);
    assert_int_equal(CALL(test->dom0, evtchn_pending, &pending), 0);
    assert_int_equal(pending, port);
    assert_int_equal(CALL(test->dom0, evtchn_status, port, &bound), 0);
    assert_false(bound);
    /* The host hears of the end on a socket of its own: ask until it has. */
    struct fakexen_balance after;
    do {
        after = machine_balance(test);
    } while (after.handles != before.handles);
    assert_int_equal(after.ports, before.ports);
    assert_int_equal(after.watches, before.watches);
    assert_int_equal(after.transactions, before.transactions);
    assert_int_equal(after.pages, before.pages);
    assert_int_equal(after.maps, before.maps + 1);
    assert_int_equal(CALL(test->dom0, evtchn_notify, port), 0);
    assert_int_equal(CALL(test->dom0, grant_end, ref), 0);
    assert_int_equal(*(uint8_t *)map, 99);
    /* Its domain lives on, so its nodes stay; what it had begun has never been. */
    char value[8];
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/local/domain/7/data/left", value, sizeof(value)), 1);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/local/domain/7/data/open", value, sizeof(value)), -ENOENT);
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    assert_int_equal(machine_balance(test).grants, 0);
    CALL(test->dom0, pages_free, page, 1);
}

/* ---- hostile clients ---- */

static int connected(struct test_machine *test)
{
    struct sockaddr_un address;
    assert_int_equal(control_address(dir_of(test), &address), 0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static struct control_request request_of(uint32_t type)
{
    return (struct control_request){.magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = type};
}

#define REQUEST_SIZE offsetof(struct control_request, refs)

static int answered(int fd, const struct control_request *request, size_t size, struct control_reply *reply)
{
    assert_int_equal(control_send(fd, request, size, NULL, 0), 0);
    assert_int_equal(control_receive(fd, reply, sizeof(*reply), NULL, NULL, 0), sizeof(*reply));
    return reply->rc;
}

/* A handle of OTHER by hand. */
struct raw {
    int control;
    int fds[3]; /* table, pages, xenstore */
    grant_ref_t base;
};

static struct raw raw_open(struct test_machine *test)
{
    struct raw raw = {.control = connected(test)};
    struct control_request request = request_of(CONTROL_HELLO);
    struct control_reply reply;
    unsigned int count = 3;
    request.domid = OTHER;
    assert_int_equal(control_send(raw.control, &request, REQUEST_SIZE, NULL, 0), 0);
    assert_int_equal(control_receive(raw.control, &reply, sizeof(reply), raw.fds, &count, 0), sizeof(reply));
    assert_int_equal(reply.rc, 0);
    assert_int_equal(count, 3);
    raw.base = reply.value;
    return raw;
}

/* Returns when the host has noticed. */
static void raw_close(struct test_machine *test, struct raw *raw)
{
    for (int i = 0; i < 3; i++)
        close(raw->fds[i]);
    close(raw->control);
    while (machine_balance(test).handles != 3)
        continue;
}

/* A packet that is no request ends the connection, and only that. */
static void test_malformed_packets(void **state)
{
    struct test_machine *test = *state;
    struct control_request full = request_of(CONTROL_MAP);
    struct control_reply reply;
    uint8_t large[2 * sizeof(full)] = {0};
    memcpy(large, &full, sizeof(full));
    const struct {
        uint32_t magic, version, count;
        size_t size;
    } bad[] = {
        {CONTROL_MAGIC, CONTROL_VERSION, 0, 1},
        {CONTROL_MAGIC, CONTROL_VERSION, 0, REQUEST_SIZE - 1},
        {CONTROL_MAGIC, CONTROL_VERSION, 0, REQUEST_SIZE + 4},
        {CONTROL_MAGIC, CONTROL_VERSION, 1, REQUEST_SIZE},
        {CONTROL_MAGIC, CONTROL_VERSION, CONTROL_REFS_MAX, sizeof(large)},
        {CONTROL_MAGIC, CONTROL_VERSION, CONTROL_REFS_MAX + 1, sizeof(full) + 4},
        {CONTROL_MAGIC, CONTROL_VERSION, UINT32_MAX, REQUEST_SIZE - 4},
        {CONTROL_MAGIC ^ 1, CONTROL_VERSION, 0, REQUEST_SIZE},
        {CONTROL_MAGIC, CONTROL_VERSION + 1, 0, REQUEST_SIZE},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct control_request *request = (struct control_request *)(void *)large;
        int fd = connected(test);
        request->magic = bad[i].magic;
        request->version = bad[i].version;
        request->count = bad[i].count;
        assert_int_equal(control_send(fd, large, bad[i].size, NULL, 0), 0);
        assert_int_equal(control_receive(fd, &reply, sizeof(reply), NULL, NULL, 0), 0);
        close(fd);
    }
    assert_int_equal(machine_balance(test).handles, 3);
}

/* Every request with every field at its worst is answered with an error and changes nothing. */
static void test_hostile_fields(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t foreign = 0;
    assert_int_equal(CALL(test->other, evtchn_alloc, 0, &foreign), 0);
    assert_int_equal(foreign, 1); /* another handle's: among the worst values, too */
    struct fakexen_balance before = machine_balance(test);
    const uint32_t worst[] = {0, 1, 99, 0x7ff0, 0x10005, 0x80000000u, UINT32_MAX};
    struct control_reply reply;
    int fd = connected(test);
    struct control_request request = request_of(CONTROL_MAP);
    /* Without hello nothing can be mapped. */
    request.count = 1;
    assert_int_equal(answered(fd, &request, REQUEST_SIZE + 4, &reply), -EPERM);
    request = request_of(CONTROL_HELLO);
    for (size_t i = 2; i < sizeof(worst) / sizeof(worst[0]); i++) {
        request.domid = worst[i];
        assert_int_equal(answered(fd, &request, REQUEST_SIZE, &reply), -ENXIO);
    }
    close(fd);
    struct raw raw = raw_open(test);
    request.domid = OTHER;
    assert_int_equal(answered(raw.control, &request, REQUEST_SIZE, &reply), -EINVAL);
    for (uint32_t type = CONTROL_MAP; type < CONTROL_MAP + 40; type++) {
        for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
            request = request_of(type);
            if (type == CONTROL_BYE || type == CONTROL_DOMAINS ||
                (type == CONTROL_EVTCHN_ALLOC && worst[i] < DOMID_FIRST_RESERVED) ||
                (type == CONTROL_EVTCHN_VIRQ && worst[i] < NR_VIRQS))
                continue;
            request.domid = request.value = request.flag = request.refs[0] = worst[i];
            request.count = type == CONTROL_MAP;
            assert_true(answered(raw.control, &request, REQUEST_SIZE + 4 * request.count, &reply) < 0);
        }
    }
    raw_close(test, &raw);
    struct fakexen_balance after = machine_balance(test);
    assert_memory_equal(&before, &after, sizeof(before));
}

/* A guest scribbles on its own entries: frames out of bounds, and flags that are Xen's. */
static void test_scribbled_entries(void **state)
{
    struct test_machine *test = *state;
    struct raw raw = raw_open(test);
    struct control_table *table =
        mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, raw.fds[0], 0);
    assert_true(table != MAP_FAILED);
    /* Nobody can pull the memory from under the others. */
    assert_int_not_equal(ftruncate(raw.fds[0], 0), 0);
    assert_int_not_equal(ftruncate(raw.fds[1], 0), 0);
    void *map = NULL;
    grant_ref_t ref = raw.base + 9;
    grant_entry_v1_t *entry = &table->entries[9];
    const uint32_t frames[] = {16384, 0x00100000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        *entry = (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 0, .frame = frames[i]};
        assert_int_equal(CALL(test->dom0, grant_map, OTHER, 1, &ref, true, &map), -EACCES);
    }
    const uint16_t flags[] = {GTF_accept_transfer, GTF_transitive, GTF_permit_access | GTF_sub_page};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        *entry = (grant_entry_v1_t){.flags = flags[i], .domid = 0, .frame = 0};
        assert_int_equal(CALL(test->dom0, grant_map, OTHER, 1, &ref, true, &map), -EACCES);
    }
    *entry = (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 0, .frame = 3};
    assert_int_equal(CALL(test->dom0, grant_map, OTHER, 1, &ref, true, &map), 0);
    /* Rewritten while mapped: the second map would be of another page. */
    void *more = NULL;
    entry->flags = GTF_permit_access;
    entry->frame = 4;
    assert_int_equal(CALL(test->dom0, grant_map, OTHER, 1, &ref, true, &more), -EACCES);
    memset(table, 0xff, sizeof(*table));
    assert_int_equal(CALL(test->dom0, grant_unmap, map, 1), 0);
    munmap(table, sizeof(*table));
    raw_close(test, &raw);
}

/* xen_ops.h grant_map: the descriptor that comes with a read-only map cannot be mapped writable. */
static void test_readonly_descriptor(void **state)
{
    struct test_machine *test = *state;
    struct control_reply reply;
    void *page = NULL;
    grant_ref_t ref = 0;
    assert_int_equal(CALL(test->guest, pages_alloc, 1, &page), 0);
    assert_int_equal(CALL(test->guest, grant, OTHER, page, true, &ref), 0);
    struct raw raw = raw_open(test);
    struct control_request request = request_of(CONTROL_MAP);
    request.domid = GUEST;
    request.count = 1;
    request.refs[0] = ref;
    int pages = -1;
    unsigned int count = 1;
    assert_int_equal(control_send(raw.control, &request, REQUEST_SIZE + 4, NULL, 0), 0);
    assert_int_equal(control_receive(raw.control, &reply, sizeof(reply), &pages, &count, 0), sizeof(reply));
    assert_int_equal(reply.rc, 0);
    assert_int_equal(count, 1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, pages, 0), MAP_FAILED);
    assert_int_equal(errno, EACCES);
    close(pages);
    raw_close(test, &raw);
    assert_int_equal(CALL(test->guest, grant_end, ref), 0);
    CALL(test->guest, pages_free, page, 1);
}

/* A client that asks on and on without reading is dropped; the others do not notice. */
static void test_client_that_does_not_read(void **state)
{
    struct test_machine *test = *state;
    struct raw raw = raw_open(test);
    struct xsd_sockmsg header = {.type = XS_WATCH, .len = 7};
    assert_int_equal(send(raw.fds[2], &header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
    assert_int_equal(send(raw.fds[2], "data\0t", 7, MSG_NOSIGNAL), 7);
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), 0);
    char path[64];
    unsigned int i = 0;
    /* Long names make large events. */
    for (; i < 2000000 && machine_balance(test).handles == 4; i++) {
        snprintf(path, sizeof(path), "/local/domain/7/data/%040u", i % 10);
        assert_int_equal(CALL(test->dom0, xs_write, 0, path, "x", 1), 0);
    }
    assert_int_equal(machine_balance(test).handles, 3);
    raw_close(test, &raw);
}

/* xs_wire.h: a message longer than XENSTORE_PAYLOAD_MAX ends the handle. */
static void test_oversized_xenstore_message(void **state)
{
    struct test_machine *test = *state;
    struct control_reply reply;
    struct raw raw = raw_open(test);
    struct xsd_sockmsg header = {.type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1};
    assert_int_equal(send(raw.fds[2], &header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
    char byte;
    assert_int_equal(recv(raw.fds[2], &byte, 1, 0), 0);
    assert_int_equal(control_receive(raw.control, &reply, sizeof(reply), NULL, NULL, 0), 0);
    raw_close(test, &raw);
}

int main(void)
{
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_host),
        HOST_TEST(test_second_host),
        HOST_TEST(test_events_between_answers),
        cmocka_unit_test(test_host_after_a_dead_one),
        cmocka_unit_test(test_host_death),
        HOST_TEST(test_waiting),
        HOST_TEST(test_descriptor),
        HOST_TEST(test_client_killed),
        HOST_TEST(test_malformed_packets),
        HOST_TEST(test_hostile_fields),
        HOST_TEST(test_scribbled_entries),
        HOST_TEST(test_readonly_descriptor),
        HOST_TEST(test_client_that_does_not_read),
        HOST_TEST(test_oversized_xenstore_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
