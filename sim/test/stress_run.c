// SPDX-License-Identifier: MIT
/* One run: in one process and virtual time, or with machine, backend and frontend as processes. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/family.h"
#include "process/loop.h"
#include "stress_side.h"

static int check_balance(const struct fakexen_balance *left, unsigned int handles, char *error)
{
    struct fakexen_balance none = {.handles = handles};
    if (memcmp(left, &none, sizeof(none)) == 0)
        return 0;
    snprintf(error, FAMILY_ERROR_MAX,
             "left open: %u handles, %u pages, %u grants, %u maps, %u ports, %u watches, %u transactions",
             left->handles - handles, left->pages, left->grants, left->maps, left->ports, left->watches,
             left->transactions);
    return -EBUSY;
}

/* The line of a side tells more than what followed from it. */
static int explain(const struct stress_report *report, int rc, char *error)
{
    const char *line = report->back_error[0] ? report->back_error : report->front_error;
    if (!line[0])
        return rc;
    snprintf(error, FAMILY_ERROR_MAX, "%s", line);
    return rc ? rc : -EPROTO;
}

/* ---- one process ---- */

#define STEP_NS 20000u /* work takes time, or a run would be over before anything is late */

/* When nobody has an event to look at, nothing may lie on the ring: its owner would sleep beside it. */
static void check_rest(const struct stress_front_side *front, const struct stress_back_side *back)
{
    struct front_stats ours = front_stats(front->front);
    const struct back_stats *theirs = &back->report->back;
    if (front->phase == SIDE_RUNNING && (ours.requests != theirs->requests || ours.responses != theirs->responses))
        stress_fail(front->report->front_error,
                    "a wakeup is missing: %" PRIu64 " of %" PRIu64 " requests and %" PRIu64 " of %" PRIu64
                    " responses were taken",
                    theirs->requests, ours.requests, ours.responses, theirs->responses);
}

static int play(struct fakexen_local *local, struct stress_front_side *front, struct stress_back_side *back)
{
    uint64_t now_ns = 1;
    while (front->phase != SIDE_CLOSED) {
        int rc = stress_front_side_step(front, now_ns);
        if (!rc)
            rc = stress_back_side_step(back, now_ns);
        if (rc)
            return rc;
        if (fakexen_local_pending(local)) {
            now_ns += STEP_NS;
            continue;
        }
        check_rest(front, back);
        uint64_t due = stress_front_side_deadline(front);
        uint64_t device = stress_back_side_deadline(back);
        due = device < due ? device : due;
        now_ns = due > now_ns && due != UINT64_MAX ? due : now_ns + STEP_NS;
    }
    return 0;
}

int stress_run_one(const struct stress_options *options, struct stress_report *report, char *error)
{
    struct fakexen_local *local = NULL;
    struct stress_front_side front = {.options = options, .report = report};
    struct stress_back_side back = {0};
    struct xen *xen;
    int rc = fakexen_local_create(&local);
    if (rc)
        return rc;
    struct xen_machine *machine = fakexen_local_machine(local);
    rc = stress_make_machine(machine);
    if (!rc)
        rc = stress_back_side_init(&back, machine, options, report);
    if (!rc)
        rc = machine->ops->open(machine, STRESS_GUEST, &xen);
    if (!rc)
        rc = stress_front_side_init(&front, xen);
    if (!rc)
        rc = play(local, &front, &back);
    if (rc)
        snprintf(error, FAMILY_ERROR_MAX, "%s", strerror(-rc));
    rc = explain(report, rc, error);
    stress_back_side_dispose(&back);
    stress_front_side_dispose(&front);
    struct fakexen_balance left = fakexen_local_balance(local);
    fakexen_local_destroy(local);
    return rc ? rc : check_balance(&left, 0, error);
}

/* ---- two processes ---- */

struct two {
    const struct stress_options *options;
    struct stress_report *report;
    struct family *family;
    int stop[2]; /* the backend ends when nobody writes here any more */
};

static uint64_t status_kib(const char *text, const char *field)
{
    uint64_t value = 0;
    const char *at = strstr(text, field);
    if (at)
        sscanf(at + strlen(field), "%" SCNu64, &value);
    return value;
}

static void measure_one(pid_t pid, struct stress_usage *usage)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    usage->rss_kib = status_kib(text, "VmRSS:");
    usage->rss_max_kib = status_kib(text, "VmHWM:");
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    usage->fds = 0;
    while (dir && readdir(dir))
        usage->fds++;
    if (dir)
        closedir(dir);
}

static void measure(void *context, struct stress_usage usage[STRESS_PROCESSES])
{
    const struct two *two = context;
    measure_one(getpid(), &usage[STRESS_FRONTEND]);
    usage[STRESS_FRONTEND].fds--; /* the one that looks */
    measure_one(two->report->back_pid, &usage[STRESS_BACKEND]);
    measure_one(two->family->child[0].pid, &usage[STRESS_HOST]);
}

static int back_loop(struct family *family, const struct two *two, struct stress_back_side *side)
{
    for (;;) {
        struct loop loop;
        int fds[LOOP_FDS_MAX];
        int rc = stress_back_side_step(side, loop_now_ns());
        if (rc)
            return rc;
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, two->stop[0]);
        unsigned int n = back_driver_fds(side->driver, fds, LOOP_FDS_MAX);
        for (unsigned int i = 0; i < n && i < LOOP_FDS_MAX; i++)
            loop_add(&loop, fds[i]);
        loop_add(&loop, side->toolstack->ops->fd(side->toolstack));
        rc = loop_wait(&loop, stress_back_side_deadline(side));
        if (rc || loop_ready(&loop, family->lifeline[0]) || loop_ready(&loop, two->stop[0]))
            return rc;
    }
}

static int back_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct stress_back_side side = {0};
    two->report->back_pid = getpid();
    close(two->stop[1]);
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = stress_back_side_init(&side, machine, two->options, two->report);
    if (!rc)
        rc = back_loop(family, two, &side);
    stress_back_side_dispose(&side);
    fakexen_client_machine_destroy(machine);
    if (rc)
        stress_fail(two->report->back_error, "backend: %s", strerror(-rc));
    return rc ? 1 : 0;
}

static int front_loop(struct family *family, struct stress_front_side *side)
{
    for (;;) {
        struct loop loop;
        struct xen *xen = front_xen(side->front);
        int rc = stress_front_side_step(side, loop_now_ns());
        if (rc || side->phase == SIDE_CLOSED)
            return rc;
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, xen->ops->fd(xen));
        rc = loop_wait(&loop, stress_front_side_deadline(side));
        if (rc || loop_ready(&loop, family->lifeline[0]))
            return rc ? rc : -EPIPE;
    }
}

static int front_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct xen *xen;
    struct stress_front_side side = {
        .options = two->options, .report = two->report, .measure = measure, .context = two};
    close(two->stop[1]);
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = machine->ops->open(machine, STRESS_GUEST, &xen);
    if (!rc)
        rc = stress_front_side_init(&side, xen);
    if (!rc)
        rc = front_loop(family, &side);
    stress_front_side_dispose(&side);
    fakexen_client_machine_destroy(machine);
    if (rc)
        stress_fail(two->report->front_error, "frontend: %s", strerror(-rc));
    return rc ? 1 : 0;
}

static int play_two(struct two *two, struct fakexen_balance *left)
{
    struct family *family = two->family;
    struct xen_machine *machine = NULL;
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = stress_make_machine(machine);
    int back = rc ? rc : family_start(family, "backend", back_main, two);
    int front = back < 0 ? back : family_start(family, "frontend", front_main, two);
    close(two->stop[0]);
    rc = front < 0 ? front : family_wait(family, front);
    close(two->stop[1]);
    int ended = back < 0 ? 0 : family_wait(family, back);
    rc = rc ? rc : ended;
    if (!rc)
        rc = fakexen_client_machine_balance(machine, left);
    fakexen_client_machine_destroy(machine);
    return rc;
}

static int check_flat(const struct stress_options *options, const struct stress_report *report, char *error)
{
    static const char *const names[STRESS_PROCESSES] = {"frontend", "backend", "host"};
    for (unsigned int i = 0; i < STRESS_PROCESSES; i++) {
        const struct stress_usage *warm = &report->warm[i];
        const struct stress_usage *end = &report->end[i];
        if (warm->fds == end->fds && (!options->flat || end->rss_kib <= warm->rss_kib + 512))
            continue;
        snprintf(error, FAMILY_ERROR_MAX, "%s: from %" PRIu64 " KiB and %u descriptors to %" PRIu64 " KiB and %u",
                 names[i], warm->rss_kib, warm->fds, end->rss_kib, end->fds);
        return -ENOMEM;
    }
    return 0;
}

static int check_nothing_left(const char *dir, unsigned int fds, char *error)
{
    struct stat st;
    struct stress_usage now;
    measure_one(getpid(), &now);
    if (stat(dir, &st) == 0)
        snprintf(error, FAMILY_ERROR_MAX, "%s is left", dir);
    else if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        snprintf(error, FAMILY_ERROR_MAX, "a process is left");
    else if (now.fds != fds)
        snprintf(error, FAMILY_ERROR_MAX, "%u descriptors before, %u after", fds, now.fds);
    else
        return 0;
    return -EBUSY;
}

int stress_run_two(const struct stress_options *options, struct stress_report *report, char *error)
{
    struct family family;
    struct fakexen_balance left = {0};
    struct stress_usage before;
    struct two two = {.options = options, .report = report, .family = &family};
    measure_one(getpid(), &before);
    int rc = family_open(&family, error);
    if (rc)
        return rc;
    if (pipe(two.stop))
        return family_close(&family, -errno, error);
    rc = play_two(&two, &left);
    rc = family_close(&family, rc, error);
    rc = explain(report, rc, error);
    if (!rc)
        rc = check_balance(&left, 0, error);
    if (!rc)
        rc = check_flat(options, report, error);
    return rc ? rc : check_nothing_left(family.dir, before.fds, error);
}
