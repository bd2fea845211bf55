/* SPDX-License-Identifier: MIT */
/* Cases and a peer that come to every verdict there is, for the tests of the program. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../front.h"
#include "../run/explain.h"
#include "../run/run.h"

const char conform_requirements[] = "### d.one\n*MUST* \xc2\xb7 both \xc2\xb7 DUM-01\n\nIt passes.\n\n"
                                    "### d.two\n*SHOULD* \xc2\xb7 both \xc2\xb7 DUM-02\n\nIt may pass.\n\n"
                                    "### d.gap\n*MUST* \xc2\xb7 both \xc2\xb7 DUM-03\n\nNobody looks.\n\n"
                                    "### d.inside\n*MUST* \xc2\xb7 both \xc2\xb7 DUM-04\n\nOnly inside.\n\n"
                                    "Not observable: it is inside\n";

static bool is_dead, finish_fails;

static int dummy_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    static struct peer peer;
    extern const struct peer_ops peer_dummy;

    (void)error;
    peer = (struct peer){&peer_dummy, *config};
    *out = &peer;
    return 0;
}

static int absent_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    (void)config;
    (void)out;
    snprintf(error, PEER_ERROR_MAX, "it is not there");
    return -ENOENT;
}

static void dummy_close(struct peer *peer)
{
    (void)peer;
}

static int dummy_start(struct peer *peer, char error[PEER_ERROR_MAX])
{
    (void)peer;
    (void)error;
    return 0;
}

static bool dummy_died(struct peer *peer, char line[PEER_ERROR_MAX])
{
    (void)peer;
    snprintf(line, PEER_ERROR_MAX, "signal 9, Killed");
    return is_dead;
}

/* Half a second more each time. */
static uint64_t dummy_now(struct peer *peer)
{
    static uint64_t now;

    (void)peer;
    return now += 500000000u;
}

extern const struct peer_ops peer_dummy;
const struct peer_ops peer_dummy = {.name = "dummy", .abilities = "inproc", .open = dummy_open, .now = dummy_now,
                                    .close = dummy_close, .start = dummy_start, .died = dummy_died};
/* A peer in another process, on a machine that is so busy that a look takes ten times as long. */
static unsigned int looks;

static bool busy_turn(struct peer *peer, int fd, uint64_t until_ns, bool advance)
{
    (void)peer;
    (void)fd;
    (void)until_ns;
    (void)advance;
    looks++;
    return true;
}

static uint64_t busy_now(struct peer *peer)
{
    (void)peer;
    return looks * UINT64_C(10000000);
}

static const struct peer_ops peer_busy;

static int busy_open(const struct peer_config *config, struct peer **out, char error[PEER_ERROR_MAX])
{
    int rc = dummy_open(config, out, error);

    (*out)->ops = &peer_busy;
    return rc;
}

static const struct peer_ops peer_busy = {.name = "busy", .abilities = "far", .open = busy_open, .now = busy_now,
                                          .turn = busy_turn, .close = dummy_close, .start = dummy_start,
                                          .died = dummy_died};

static const struct peer_ops peer_absent = {.name = "absent", .abilities = "", .open = absent_open};

static void passes(struct conform *t)
{
    conform_equal(t, "rsp.status", 0, 0);
}

static void fails(struct conform *t)
{
    conform_note(t, "before it fails");
    conform_equal(t, "rsp.status", 0, -32);
}

/* Bytes as a peer may send them. */
static void says_bytes(struct conform *t)
{
    conform_note(t, "\"<&>\" \x1b[2J \xc3\xa9 \xff \xed\xa0\x80");
    conform_fail(t, "value: expected \"<&>\", got \"\x1b[2J\xc3\xa9\xff]]>\"");
}

/* Fails with every third seed. */
static void fails_sometimes(struct conform *t)
{
    conform_true(t, t->seed % 3 != 0, "another seed");
}

/* Ends after those that were started later. */
static void is_slow(struct conform *t)
{
    struct timespec wait = {.tv_nsec = 50000000};

    (void)t;
    nanosleep(&wait, NULL);
}

/* 50 ms of quiet, of which a busy machine has 2 in a look of 10. */
static void settles(struct conform *t)
{
    conform_settle(t);
    conform_equal(t, "looks", 25, looks);
}

static void crashes(struct conform *t)
{
    conform_note(t, "before it crashes");
    raise(SIGKILL);
}

static void ends_early(struct conform *t)
{
    (void)t;
    _exit(5);
}

static void hangs(struct conform *t)
{
    (void)t;
    for (;;)
        pause();
}

static void peer_dies(struct conform *t)
{
    is_dead = true;
    conform_alive(t);
}

static void fails_twice(struct conform *t)
{
    finish_fails = true;
    conform_fail(t, "the case failed");
}

static void fails_at_its_end(struct conform *t)
{
    (void)t;
    finish_fails = true;
}

static void tells_nonsense(struct conform *t)
{
    kit_leave(t, (enum kit_verdict)77);
}

static const struct conform_case dummies[] = {
    {"dummy.pass", "d.one", "passes", passes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.fail", "d.one", "fails", fails, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.skip", "d.one", "skips", passes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, "inproc iso"},
    {"dummy.crash", "d.one", "crashes", crashes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.early", "d.one", "exits", ends_early, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.hang", "d.one", "hangs", hangs, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.peer-dies", "d.one", "loses its peer", peer_dies, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.twice", "d.one", "fails, and then again", fails_twice, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0,
     NULL},
    {"dummy.end", "d.one", "fails at its end", fails_at_its_end, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0,
     NULL},
    {"dummy.nonsense", "d.one", "is mad", tells_nonsense, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.should", "d.two", "differs", fails, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.both", "d.two d.one", "is a failure", fails, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.bytes", "d.one", "says \"<&>\"", says_bytes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.seed", "d.one", "likes most seeds", fails_sometimes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0,
     NULL},
    {"dummy.slow", "d.one", "takes its time", is_slow, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {"dummy.settle", "d.one", "waits for a busy machine", settles, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0,
     "far"},
    {"dummy.typo", "d.none", "is not known", passes, CONFORM_TOOLSTACK, CONFORM_NOTHING, 0, 0, NULL},
    {0}};

/* ---- no kit: these cases play no half ---- */

void kit_front_start(struct conform *t)
{
    (void)t;
}

void kit_front_check(struct conform *t)
{
    (void)t;
}

void kit_front_finish(struct conform *t)
{
    (void)t;
}

void kit_back_start(struct conform *t)
{
    (void)t;
}

void kit_back_check(struct conform *t)
{
    (void)t;
}

void kit_back_finish(struct conform *t)
{
    if (finish_fails)
        conform_fail(t, "the finish failed");
}

struct xen *front_handle(struct front *f)
{
    (void)f;
    return NULL;
}

struct xen *back_handle(struct conform *t)
{
    (void)t;
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct conform_case *const groups[] = {dummies, NULL};
    static const struct peer_ops *const peers[] = {&peer_dummy, &peer_absent, &peer_busy, NULL};

    return conform_main(argc, argv, groups, peers);
}
