// SPDX-License-Identifier: MIT
#include "death_stress.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "process/loop.h"

static void take_report(struct stress *s, const struct traffic_report *r)
{
    static const char *const names[] = {"frontend: works", "frontend: good", "frontend: lost its backend",
                                        "frontend: left", "frontend: lost the machine", "frontend: bad"};
    note(s, names[r->event]);
    switch (r->event) {
    case TRAFFIC_WORKS:
        s->works_ns = r->ns;
        break;
    case TRAFFIC_GOOD:
        s->good_ns = r->ns;
        break;
    case TRAFFIC_LOST:
        s->lost_ns = r->ns;
        break;
    case TRAFFIC_LEFT:
        s->left_ns = r->ns;
        s->works_ns = 0;
        break;
    case TRAFFIC_MACHINE:
        s->machine_ns = r->ns;
        break;
    case TRAFFIC_BAD:
        fail(s, "the frontend: %s", r->what);
    }
}

static void take_reports(struct stress *s)
{
    struct traffic_report r;
    ssize_t n = -1;
    while (s->report >= 0 && (n = read(s->report, &r, sizeof(r))) == (ssize_t)sizeof(r))
        take_report(s, &r);
    if (s->report >= 0 && n == 0) {
        close(s->report);
        s->report = -1;
    }
}

static void take_lines(struct stress *s, struct process *process)
{
    char line[PROCESS_LINE_MAX];
    while (process_line(process, line)) {
        uint64_t now = loop_now_ns();
        note(s, line);
        if (strstr(line, "ready in"))
            s->ready_ns = now;
        else if (strstr(line, "the frontend is gone without closing"))
            s->back_lost_ns = now;
        else if (strstr(line, "the machine is gone"))
            s->back_machine_ns = now;
        else if (strncmp(line, "balance:", 8) == 0)
            memcpy(s->balance, line, sizeof(s->balance));
        else if (!strstr(line, "the frontend started again") && !s->verbose)
            fail(s, "the %s says: %s", process->name, line);
    }
}

void take_in(struct stress *s)
{
    eventfd_t n;
    take_reports(s);
    take_lines(s, &s->back);
    take_lines(s, &s->host);
    if (eventfd_read(s->ops, &n) == 0)
        s->nr_ops += n;
}

void await(struct stress *s, bool (*done)(const struct stress *s), uint64_t bound_ns, const char *what)
{
    uint64_t limit = loop_now_ns() + bound_ns;
    for (;;) {
        struct loop loop;
        take_in(s);
        if (done(s))
            return;
        if (loop_now_ns() >= limit)
            fail(s, "%s: not within %" PRIu64 " ms", what, bound_ns / 1000000);
        loop_clear(&loop);
        loop_add(&loop, s->report);
        loop_add(&loop, s->back.out);
        loop_add(&loop, s->host.out);
        loop_add(&loop, s->ops);
        int rc = loop_wait(&loop, limit);
        if (rc)
            fail(s, "poll: %s", strerror(-rc));
    }
}

/* ---- the balance ---- */

/* A handle's descriptors at the host: two sockets, two memories, one of them twice. */
#define FDS_PER_HANDLE 5

static bool balanced(struct stress *s, unsigned int handles, bool all, struct fakexen_balance *b, int *fds)
{
    int rc = fakexen_client_machine_balance(s->machine, b);
    if (rc)
        fail(s, "asking for the balance: %s", strerror(-rc));
    *fds = process_fds(s->host.pid) - s->host_fds - 1; /* the guest's own xenstore socket */
    if (b->handles != handles || b->maps != 0 || b->transactions != 0)
        return false;
    return !all || (b->ports == 0 && b->grants == 0 && b->pages == 0 && *fds == FDS_PER_HANDLE * (int)handles);
}

/* Each question lets the host do what is waiting; it may hear of a death after others did. */
static void await_balanced(struct stress *s, unsigned int handles, bool all, const char *when)
{
    uint64_t limit = loop_now_ns() + s->notice_ns;
    struct fakexen_balance b;
    int fds;
    while (!balanced(s, handles, all, &b, &fds)) {
        take_in(s);
        if (loop_now_ns() >= limit)
            fail(s, "%s: left: %u handles of %u, %u pages, %u grants, %u maps, %u ports, %u transactions, %d fds", when,
                 b.handles, handles, b.pages, b.grants, b.maps, b.ports, b.transactions, fds);
    }
}

void await_balance(struct stress *s, unsigned int handles, const char *when)
{
    await_balanced(s, handles, true, when);
}

void await_no_maps(struct stress *s, unsigned int handles, const char *when)
{
    await_balanced(s, handles, false, when);
}
