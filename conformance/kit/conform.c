/* SPDX-License-Identifier: MIT */
/* Verdicts, waits, and the course of one case. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../back.h"
#include "../front.h"
#include "kit.h"

#define NS_PER_S UINT64_C(1000000000)
#define QUIET_NS 50000000u /* real time in which a peer in another process has done what it will do */
#define SLICE_NS 2000000u  /* a look of such a peer takes 1 ms when nothing happens */

_Noreturn void kit_leave(struct conform *t, enum kit_verdict verdict)
{
    t->verdict = verdict;
    longjmp(t->leave, 1);
}

_Noreturn void conform_fail(struct conform *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
    kit_leave(t, KIT_FAIL);
}

_Noreturn void conform_skip(struct conform *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
    kit_leave(t, KIT_SKIP);
}

/* Of a number that fits its field of 32 bits no more than those. */
static uint64_t bits(int64_t value)
{
    return value < 0 && value >= INT32_MIN ? (uint32_t)value : (uint64_t)value;
}

void conform_equal(struct conform *t, const char *field, int64_t expected, int64_t actual)
{
    if (expected != actual)
        conform_fail(t, "%s: expected %" PRId64 " (0x%" PRIx64 "), actual %" PRId64 " (0x%" PRIx64 ")", field,
                     expected, bits(expected), actual, bits(actual));
}

void conform_bytes(struct conform *t, const char *what, const void *expected, const void *actual, size_t n)
{
    const uint8_t *e = expected, *a = actual;

    for (size_t i = 0; i < n; i++)
        if (e[i] != a[i])
            conform_fail(t, "%s: byte %zu of %zu: expected 0x%02x, actual 0x%02x", what, i, n, e[i], a[i]);
}

void conform_true(struct conform *t, bool holds, const char *what)
{
    if (!holds)
        conform_fail(t, "expected %s, it is not so", what);
}

void conform_say(struct conform *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->message, sizeof(t->message), format, args);
    va_end(args);
    kit_log_line(t, "case", "%s", t->message);
}

void conform_note(struct conform *t, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kit_log_line(t, "case", "%s", text);
}

void conform_alive(struct conform *t)
{
    char line[PEER_ERROR_MAX] = "";

    if (!t->peer->ops->died(t->peer, line))
        return;
    snprintf(t->message, sizeof(t->message), "the peer died: %s", line);
    kit_leave(t, KIT_DIED);
}

static int own_fd(struct conform *t)
{
    struct xen *xen = NULL;

    if (!conform_has(t, "inproc") && t->nr_fronts)
        xen = front_handle(t->front[0]);
    else if (!conform_has(t, "inproc") && t->back)
        xen = back_handle(t);
    return xen ? xen->ops->fd(xen) : -1;
}

/* Until holds(), or the time is over, or in one process nothing will change any more. */
static bool turn_until(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context,
                       uint64_t end_ns, bool advance)
{
    const struct peer_ops *ops = t->peer->ops;

    for (;;) {
        if (holds && holds(t, context))
            return true;
        conform_alive(t);
        if (ops->now(t->peer) >= end_ns)
            return false;
        if (!ops->turn(t->peer, own_fd(t), end_ns, advance) && (!advance || conform_has(t, "inproc")))
            return holds && holds(t, context);
    }
}

bool kit_try(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context, uint64_t ns)
{
    if (turn_until(t, holds, context, t->peer->ops->now(t->peer) + ns, true))
        return true;
    if (!t->peer->ops->rest)
        return false;
    t->peer->ops->rest(t->peer);
    return turn_until(t, holds, context, 0, true);
}

bool conform_try(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context)
{
    return kit_try(t, holds, context, t->peer->config.timeout_ns);
}

void conform_wait(struct conform *t, bool (*holds)(struct conform *t, void *context), void *context,
                  const char *what)
{
    if (!conform_try(t, holds, context))
        conform_fail(t, "waited for %s", what);
}

/* What the case did is done: the machine has seen all that came before an answer of its store. */
static void round_trip(struct conform *t)
{
    struct xen *xen = t->nr_fronts ? front_handle(t->front[0]) : t->back ? back_handle(t) : NULL;
    char value[16];

    if (xen)
        (void)xen->ops->xs_read(xen, XEN_XBT_NIL, "domid", value, sizeof(value));
}

/*
 * Looks until there was nothing to see for QUIET_NS. Of a look that took long no more than SLICE_NS counts:
 * the machine is busy, and the peer waits for it as this process does.
 */
static void be_quiet(struct conform *t)
{
    const struct peer_ops *ops = t->peer->ops;
    uint64_t quiet = 0, now = ops->now(t->peer), end = now + t->peer->config.timeout_ns;

    while (quiet < QUIET_NS && now < end) {
        uint64_t before = now;

        conform_alive(t);
        ops->turn(t->peer, own_fd(t), now + (QUIET_NS - quiet), true);
        now = ops->now(t->peer);
        quiet += now - before < SLICE_NS ? now - before : SLICE_NS;
    }
}

void conform_settle(struct conform *t)
{
    if (t->peer->ops->settle) {
        round_trip(t);
        conform_alive(t);
        t->peer->ops->settle(t->peer);
        conform_alive(t);
        return;
    }
    if (conform_has(t, "inproc"))
        turn_until(t, NULL, NULL, t->peer->ops->now(t->peer) + t->peer->config.timeout_ns, false);
    else
        be_quiet(t);
}

void conform_pass(struct conform *t, uint64_t ns)
{
    uint64_t end = t->peer->ops->now(t->peer) + ns;

    if (!conform_has(t, "inproc") && ns > t->peer->config.timeout_ns)
        conform_skip(t, "needs %" PRIu64 " s of real time: --timeout %" PRIu64, ns / NS_PER_S, ns / NS_PER_S);
    turn_until(t, NULL, NULL, end, true);
}

void conform_kill_peer(struct conform *t)
{
    t->peer->ops->kill(t->peer);
}

void conform_start_peer(struct conform *t)
{
    char error[PEER_ERROR_MAX] = "";

    int rc = t->peer->ops->start(t->peer, error);

    if (rc == 0)
        return;
    if (rc == -ENOPKG)
        conform_skip(t, "%s", error);
    snprintf(t->message, sizeof(t->message), "the peer never came: %s", error);
    kit_leave(t, KIT_ERROR);
}

static bool has_word(const char *list, const char *word, size_t length)
{
    for (const char *p = list; p && *p;) {
        size_t n = strcspn(p, " ");

        if (n == length && !memcmp(p, word, n))
            return true;
        p += n + strspn(p + n, " ");
    }
    return false;
}

static const char *abilities(const struct conform *t)
{
    const struct peer_ops *ops = t->peer->ops;

    return ops->abilities_for ? ops->abilities_for(&t->peer->config) : ops->abilities;
}

static bool has_ability(const struct conform *t, const char *ability, size_t length)
{
    return has_word(abilities(t), ability, length) && !has_word(t->peer->config.without, ability, length);
}

bool conform_has(const struct conform *t, const char *ability)
{
    return has_ability(t, ability, strlen(ability));
}

domid_t conform_guest(const struct conform *t)
{
    return t->peer->config.guest;
}

uint64_t conform_random(struct conform *t)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The case's own stream: the seed and the id, so that the selection does not matter. */
static void seed_random(struct conform *t)
{
    t->random = t->seed ^ 0xcbf29ce484222325u;
    for (const char *p = t->test->id; *p; p++)
        t->random = (t->random ^ (uint8_t)*p) * 0x100000001b3u;
}

/* What the peer cannot be asked at all is no more passed than skipped for now. */
static void check_applicable(struct conform *t)
{
    const char *peer = t->peer->ops->name;

    t->applicable = false;
    if (!abilities(t))
        conform_skip(t, "peer %s does not play this role", peer);
    for (const char *p = t->test->needs; p && *p;) {
        size_t n = strcspn(p, " ");

        if (!has_ability(t, p, n))
            conform_skip(t, "peer %s has no \"%.*s\"", peer, (int)n, p);
        p += n + strspn(p + n, " ");
    }
    if (t->test->role == CONFORM_BACKEND && t->test->start == CONFORM_READY && !conform_has(t, "device"))
        conform_skip(t, "peer %s has no \"device\"", peer);
    t->applicable = true;
}

static void run_test(struct conform *t)
{
    bool backend = t->test->role == CONFORM_BACKEND;

    check_applicable(t);
    conform_start_peer(t);
    if (backend)
        kit_front_start(t);
    else
        kit_back_start(t);
    t->test->run(t);
    if (backend)
        kit_front_check(t);
    else
        kit_back_check(t);
    conform_alive(t);
    t->verdict = KIT_PASS;
}

/* False when the end found something wrong too. */
static bool finish(struct conform *t)
{
    if (setjmp(t->leave))
        return false;
    if (t->test->role == CONFORM_BACKEND)
        kit_front_finish(t);
    else
        kit_back_finish(t);
    return true;
}

static void run_until_left(struct conform *t)
{
    if (setjmp(t->leave) == 0)
        run_test(t);
}

void kit_run(struct conform *t)
{
    char message[sizeof(t->message)];
    enum kit_verdict verdict;

    seed_random(t);
    run_until_left(t);
    verdict = t->verdict;
    if (verdict != KIT_PASS && verdict != KIT_SKIP && t->failed)
        t->failed(t);
    memcpy(message, t->message, sizeof(message));
    if (finish(t) || verdict == KIT_PASS)
        return;
    t->verdict = verdict; /* what was wrong first is the reason for the rest */
    memcpy(t->message, message, sizeof(message));
}
