// SPDX-License-Identifier: MIT
/*
 * Runs the cases of the frontend and toolstack roles against our own frontend and toolstack: the smallest
 * machine and kit that can, in virtual time. With an argument: the cases whose id begins with it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cases/frontend_groups.h"
#include "../kit/kit.h"
#include "../peers/inproc_frontend.h"
#include "toolstack/vusb.h"

struct self {
    struct peer peer;
    struct fakexen_local *local;
    struct inproc_frontend *front;
    uint64_t now_ns;
};

#define TIMEOUT UINT64_C(30000000000)

/* ---- the peer ---- */

static struct self *self_of(struct peer *peer)
{
    return (struct self *)(void *)peer;
}

static bool turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    struct self *s = self_of(peer);
    (void)fd;
    if (!s->front)
        return false;
    if (inproc_frontend_pending(s->front)) {
        inproc_frontend_step(s->front, s->now_ns);
        return true;
    }
    uint64_t due = inproc_frontend_deadline(s->front);
    if (due > s->now_ns && (!advance || due > until_ns)) {
        if (advance && until_ns > s->now_ns)
            s->now_ns = until_ns;
        return false;
    }
    s->now_ns = due > s->now_ns ? due : s->now_ns;
    inproc_frontend_step(s->front, s->now_ns);
    return true;
}

static uint64_t now(struct peer *peer)
{
    return self_of(peer)->now_ns;
}

static struct xen_machine *machine(struct peer *peer)
{
    return fakexen_local_machine(self_of(peer)->local);
}

static struct fakexen_balance balance(struct peer *peer)
{
    return fakexen_local_balance(self_of(peer)->local);
}

static void kill_peer(struct peer *peer)
{
    if (self_of(peer)->front)
        inproc_frontend_kill(self_of(peer)->front);
    self_of(peer)->front = NULL;
}

static int start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    struct self *s = self_of(peer);
    int rc = inproc_frontend_start(machine(peer), 1, NULL, NULL, &s->front);
    if (rc)
        snprintf(error, PEER_ERROR_MAX, "front_create: %s", strerror(-rc));
    else
        inproc_frontend_step(s->front, s->now_ns);
    return rc;
}

static int submit(struct peer *peer, const struct guest_urb *urb)
{
    return inproc_guest_submit(self_of(peer)->front, urb);
}

static int unlink_urb(struct peer *peer, int urb, int reason)
{
    return inproc_guest_unlink(self_of(peer)->front, urb, reason);
}

static struct guest_result result(struct peer *peer, int urb)
{
    return inproc_guest_result(self_of(peer)->front, urb);
}

static int write_buffer(struct peer *peer, uint32_t offset, const void *data, uint32_t size)
{
    return inproc_guest_write(self_of(peer)->front, offset, data, size);
}

static int read_buffer(struct peer *peer, uint32_t offset, void *data, uint32_t size)
{
    return inproc_guest_read(self_of(peer)->front, offset, data, size);
}

static int hub(struct peer *peer, const uint8_t setup[8], void *data, uint16_t size)
{
    return inproc_guest_hub(self_of(peer)->front, setup, data, size);
}

static void close_front(struct peer *peer)
{
    inproc_guest_close(self_of(peer)->front);
    inproc_frontend_step(self_of(peer)->front, self_of(peer)->now_ns);
}

static int reconnect(struct peer *peer)
{
    int rc = inproc_guest_reconnect(self_of(peer)->front);
    inproc_frontend_step(self_of(peer)->front, self_of(peer)->now_ns);
    return rc;
}

static const struct peer_guest_ops guest_ops = {
    submit, unlink_urb, result, write_buffer, read_buffer, hub, close_front, reconnect,
};

static const struct peer_ops self_ops = {
    .name = "self",
    .abilities = "inproc guest iso speeds toolstack restart",
    .start = start,
    .kill = kill_peer,
    .turn = turn,
    .now = now,
    .machine = machine,
    .balance = balance,
    .guest = &guest_ops,
};

/* ---- the kit ---- */

void kit_leave(struct conform *t, enum kit_verdict verdict)
{
    t->verdict = verdict;
    longjmp(t->leave, 1);
}

void conform_fail(struct conform *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
    kit_leave(t, KIT_FAIL);
}

void conform_skip(struct conform *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
    kit_leave(t, KIT_SKIP);
}

void conform_equal(struct conform *t, const char *field, int64_t expected, int64_t actual)
{
    if (expected != actual)
        conform_fail(t, "%s: expected %lld, got %lld", field, (long long)expected, (long long)actual);
}

void conform_bytes(struct conform *t, const char *what, const void *expected, const void *actual, size_t n)
{
    const uint8_t *e = expected;
    const uint8_t *a = actual;
    for (size_t i = 0; i < n; i++)
        if (e[i] != a[i])
            conform_fail(t, "%s: byte %zu: expected 0x%02x, got 0x%02x", what, i, e[i], a[i]);
}

void conform_true(struct conform *t, bool holds, const char *what)
{
    if (!holds)
        conform_fail(t, "expected: %s", what);
}

void conform_note(struct conform *t, const char *format, ...)
{
    (void)t;
    (void)format;
}

bool conform_try(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context)
{
    const uint64_t until = t->peer->ops->now(t->peer) + TIMEOUT;
    while (!holds(t, context))
        if (!t->peer->ops->turn(t->peer, -1, until, true))
            return holds(t, context);
    return true;
}

void conform_wait(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context,
                  const char *what)
{
    if (!conform_try(t, holds, context))
        conform_fail(t, "waited for %s", what);
}

void conform_settle(struct conform *t)
{
    for (unsigned int i = 0; t->peer->ops->turn(t->peer, -1, t->peer->ops->now(t->peer), false); i++)
        if (i > 100000)
            conform_fail(t, "the peer never rests");
}

void conform_pass(struct conform *t, uint64_t ns)
{
    const uint64_t until = t->peer->ops->now(t->peer) + ns;
    while (t->peer->ops->turn(t->peer, -1, until, true))
        ;
}

void conform_alive(struct conform *t)
{
    (void)t;
}

void conform_kill_peer(struct conform *t)
{
    t->peer->ops->kill(t->peer);
}

void conform_start_peer(struct conform *t)
{
    char error[PEER_ERROR_MAX];
    if (t->peer->ops->start(t->peer, error))
        conform_fail(t, "%s", error);
}

bool conform_has(const struct conform *t, const char *ability)
{
    return strstr(t->peer->ops->abilities, ability) != NULL;
}

uint64_t conform_random(struct conform *t)
{
    t->random = t->random * UINT64_C(6364136223846793005) + 1;
    return t->random >> 16;
}

void kit_log_line(struct conform *t, const char *what, const char *format, ...)
{
    if (!getenv("SELF_LOG"))
        return;
    va_list args;
    (void)t;
    printf("    %s: ", what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void kit_log_request(struct conform *t, uint32_t index, const void *slot148)
{
    const struct usbif_urb_request *r = slot148;
    kit_log_line(t, "ring", "request %u: id %u pipe 0x%08x length %u", index, r->id, r->pipe,
                 r->buffer_length);
}

void kit_log_response(struct conform *t, uint32_t index, const void *response16)
{
    const struct usbif_urb_response *r = response16;
    kit_log_line(t, "ring", "response %u: id %u status %d", index, r->id, r->status);
}

/* ---- xenstore ---- */

struct xen *store_toolstack(struct conform *t)
{
    return t->dom0;
}

struct xen *store_own(struct conform *t)
{
    return back_xen(t);
}

bool store_read(struct conform *t, struct xen *xen, const char *path, char value[STORE_VALUE_MAX])
{
    ssize_t n = xen->ops->xs_read(xen, XEN_XBT_NIL, path, value, STORE_VALUE_MAX);
    if (n < 0 && n != -ENOENT)
        conform_fail(t, "%s: cannot be read: %s", path, strerror((int)-n));
    return n >= 0;
}

int store_try_write(struct conform *t, struct xen *xen, const char *path, const char *value)
{
    (void)t;
    return xen->ops->xs_write(xen, XEN_XBT_NIL, path, value, strlen(value));
}

void store_write(struct conform *t, struct xen *xen, const char *path, const char *value)
{
    int rc = store_try_write(t, xen, path, value);
    if (rc)
        conform_fail(t, "%s: cannot be written: %s", path, strerror(-rc));
}

void store_remove(struct conform *t, struct xen *xen, const char *path)
{
    int rc = xen->ops->xs_rm(xen, XEN_XBT_NIL, path);
    if (rc && rc != -ENOENT)
        conform_fail(t, "%s: cannot be removed: %s", path, strerror(-rc));
}

void store_create_controller(struct conform *t, const struct store_controller *c)
{
    const struct vusb_controller controller = {
        .kind = c->kind, .frontend = c->frontend, .usb_ver = c->usb_ver, .num_ports = c->num_ports};
    int rc = vusb_create(t->dom0, &controller);
    if (rc)
        conform_fail(t, "vusb_create: %s", strerror(-rc));
}

/* ---- the run ---- */

static void setup(struct self *s, struct conform *t)
{
    char error[PEER_ERROR_MAX];
    if (fakexen_local_create(&s->local))
        abort();
    struct xen_machine *m = machine(&s->peer);
    if (m->ops->domain_create(m, 1) || m->ops->open(m, 0, &t->dom0))
        abort();
    if (t->test->role == CONFORM_FRONTEND && start(&s->peer, error))
        abort();
    if (t->test->role == CONFORM_TOOLSTACK) {
        const struct vusb_controller c = {.kind = "qusb", .frontend = 1, .usb_ver = 2, .num_ports = 4};
        if (vusb_create(t->dom0, &c))
            abort();
    }
}

static enum kit_verdict run_one(const struct conform_case *test)
{
    static struct conform t;
    static struct self s;
    memset(&t, 0, sizeof(t));
    memset(&s, 0, sizeof(s));
    s.peer.ops = &self_ops;
    s.peer.config.role = test->role;
    t.test = test;
    t.peer = &s.peer;
    setup(&s, &t);
    if (setjmp(t.leave) == 0) {
        kit_back_start(&t);
        test->run(&t);
        kit_back_check(&t);
    }
    kit_back_finish(&t);
    inproc_frontend_stop(s.front);
    xen_close(t.dom0);
    fakexen_local_destroy(s.local);
    if (t.verdict != KIT_PASS)
        printf("%s: %s: %s\n", t.verdict == KIT_SKIP ? "skip" : "FAIL", test->id, t.message);
    return t.verdict;
}

int main(int argc, char **argv)
{
    unsigned int count[KIT_ERROR + 1] = {0};
    for (size_t g = 0; frontend_groups[g]; g++)
        for (const struct conform_case *test = frontend_groups[g]; test->id; test++)
            if (argc < 2 || strncmp(test->id, argv[1], strlen(argv[1])) == 0)
                count[run_one(test)]++;
    printf("%u passed, %u failed, %u skipped\n", count[KIT_PASS], count[KIT_FAIL] + count[KIT_ERROR],
           count[KIT_SKIP]);
    return count[KIT_FAIL] + count[KIT_ERROR] > 0 || count[KIT_PASS] == 0;
}
