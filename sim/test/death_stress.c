// SPDX-License-Identifier: MIT
/*
 * Goal: kill -9 of either half, or of the host, at a random moment under traffic. The other half notices within a
 * second and says so, nothing is left anywhere, and a fresh one works with it, byte for byte. The moment is chosen by
 * counting what the traffic does; times only bound a failure. The seed repeats the choices.
 */
#include "death_stress.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/loop.h"

#define NS_PER_S UINT64_C(1000000000)

/* Steps and URBs. A disk is enumerated after some 60; then it is traffic. */
#define MOMENT_MAX 400u
/* After so many it says how far it is. */
#define TELL_KILLS 50u

/* Where the two halves are, for who has to find out why. */
static void tell_states(const struct stress *s)
{
    static const char *const nodes[] = {"/local/domain/0/backend/qusb/1/0/state", "/local/domain/1/device/vusb/0/state"};
    struct xen *xen;
    char value[16];
    if (!s->machine || s->machine->ops->open(s->machine, 0, &xen))
        return;
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (xen->ops->xs_read(xen, XEN_XBT_NIL, nodes[i], value, sizeof(value)) < 0)
            value[0] = '\0';
        printf("%s = \"%s\"\n", nodes[i], value);
    }
    xen_close(xen);
}

void fail(const struct stress *s, const char *format, ...)
{
    va_list args;
    printf("FAILED (seed %" PRIu64 "): ", s->seed);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    tell_states(s);
    fflush(stdout);
    exit(1); /* the children go with their parent */
}

void note(const struct stress *s, const char *what)
{
    if (s->verbose)
        printf("%9.3f ms  %s\n", (double)(loop_now_ns() - s->since_ns) / 1e6, what);
}

static uint64_t pick(struct stress *s, uint64_t n)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (s->random * 2685821657736338717u >> 16) % n;
}

/* ---- what to wait for ---- */

static bool is_ready(const struct stress *s)
{
    return s->ready_ns != 0;
}

static bool has_moved(const struct stress *s)
{
    return s->nr_ops >= s->target_ops;
}

static bool is_good(const struct stress *s)
{
    return s->good_ns > s->since_ns;
}

static bool front_noticed(const struct stress *s)
{
    return s->lost_ns > s->since_ns;
}

static bool front_left(const struct stress *s)
{
    return s->left_ns > s->since_ns;
}

static bool back_noticed(const struct stress *s)
{
    return s->back_lost_ns > s->since_ns;
}

static bool both_ended(const struct stress *s)
{
    return s->report < 0 && s->back.out < 0;
}

static bool host_ended(const struct stress *s)
{
    return s->host.out < 0;
}

static bool back_ended(const struct stress *s)
{
    return s->back.out < 0;
}

static bool front_ended(const struct stress *s)
{
    return s->report < 0;
}

/* ---- starting ---- */

static void start_host(struct stress *s)
{
    char program[512];
    snprintf(program, sizeof(program), "%s/pvusb", s->bin);
    const char *const argv[] = {program, "host", "--dir", s->dir, NULL};
    s->ready_ns = 0;
    if (process_start(&s->host, "host", argv))
        fail(s, "%s cannot be started", program);
    await(s, is_ready, s->recover_ns, "the host is ready");
    s->host_fds = process_fds(s->host.pid);
}

static void start_back(struct stress *s)
{
    char program[512];
    char machine[96];
    snprintf(program, sizeof(program), "%s/pvusb", s->bin);
    snprintf(machine, sizeof(machine), "fake:%s", s->dir);
    const char *const argv[] = {program, "backend", "--xen",       machine, "--guest",
                                "1",     "--device", "1-1=disk:8M", s->verbose ? "--verbose" : NULL, NULL};
    s->started_ns = loop_now_ns();
    if (process_start(&s->back, "backend", argv))
        fail(s, "%s cannot be started", program);
}

static void start_front(struct stress *s)
{
    struct traffic traffic = {.dir = s->dir, .seed = pick(s, UINT64_MAX), .ops = s->ops};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        fail(s, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        fail(s, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        traffic.report = ends[1];
        int code = traffic_run(&traffic);
        fakexen_client_machine_destroy(s->machine);
        exit(code);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    s->report = ends[0];
    s->front = pid;
    s->started_ns = loop_now_ns();
}

/* The guest is made by the backend's program; before that there is nobody to be. */
static void start_both(struct stress *s)
{
    s->ready_ns = 0;
    start_back(s);
    await(s, is_ready, s->recover_ns, "the backend is ready");
    start_front(s);
}

/* ---- killing ---- */

static int end_of_front(struct stress *s)
{
    int status = 0;
    while (waitpid(s->front, &status, 0) < 0 && errno == EINTR)
        ;
    s->front = 0;
    take_in(s);
    if (s->report >= 0)
        close(s->report);
    s->report = -1;
    return status;
}

static void must_be_killed(const struct stress *s, const char *who, int status)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail(s, "the %s had ended by itself, status %#x", who, (unsigned int)status);
}

static void must_exit(const struct stress *s, const char *who, int status, int code)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        fail(s, "the %s ended with status %#x, not with exit code %d", who, (unsigned int)status, code);
}

static void wait_moment(struct stress *s)
{
    take_in(s);
    s->target_ops = s->nr_ops + pick(s, MOMENT_MAX);
    await(s, has_moved, s->recover_ns, "the traffic goes on");
    s->since_ns = loop_now_ns();
}

/* A connection of these two, and not merely what an earlier one had left on the ring. */
static bool both_work(const struct stress *s)
{
    return s->works_ns > s->started_ns && s->good_ns > s->works_ns;
}

static void kill_back(struct stress *s, bool at_once)
{
    bool working = both_work(s);
    s->kills++;
    note(s, working ? "kill the working backend" : "kill the backend");
    kill(s->back.pid, SIGKILL);
    must_be_killed(s, "backend", process_wait(&s->back));
    if (!at_once && working) {
        await(s, front_noticed, s->notice_ns, "the frontend says that its backend is gone");
        s->front_noticed[s->nr_front_noticed++] = s->lost_ns - s->since_ns;
        await(s, front_left, s->notice_ns, "the frontend has closed");
        await_balance(s, 1, "after the backend's death");
    } else if (!at_once) {
        await_no_maps(s, 1, "after the backend's death");
    }
    start_back(s);
}

static void kill_front(struct stress *s, bool at_once)
{
    bool working = both_work(s);
    s->kills++;
    note(s, working ? "kill the working frontend" : "kill the frontend");
    kill(s->front, SIGKILL);
    must_be_killed(s, "frontend", end_of_front(s));
    if (!at_once && working) {
        await(s, back_noticed, s->notice_ns, "the backend says that its frontend is gone");
        s->back_noticed[s->nr_back_noticed++] = s->back_lost_ns - s->since_ns;
        await_balance(s, 2, "after the frontend's death");
    }
    start_front(s);
}

static void kill_both(struct stress *s)
{
    s->kills += 2;
    note(s, "kill both");
    kill(s->back.pid, SIGKILL);
    kill(s->front, SIGKILL);
    must_be_killed(s, "backend", process_wait(&s->back));
    must_be_killed(s, "frontend", end_of_front(s));
    await_balance(s, 0, "after the death of both");
    if (pick(s, 2)) {
        start_front(s);
        start_back(s);
    } else {
        start_back(s);
        start_front(s);
    }
}

/* Everything ends with it. What its directory still has is cleared away by the next host. */
static void kill_host(struct stress *s)
{
    wait_moment(s);
    s->machine_ns = 0;
    s->back_machine_ns = 0;
    note(s, "kill the host");
    kill(s->host.pid, SIGKILL);
    must_be_killed(s, "host", process_wait(&s->host));
    await(s, both_ended, s->notice_ns, "both halves end with the machine");
    if (!s->machine_ns || !s->back_machine_ns)
        fail(s, "a half did not say that the machine is gone");
    s->front_noticed[s->nr_front_noticed++] = s->machine_ns - s->since_ns;
    s->back_noticed[s->nr_back_noticed++] = s->back_machine_ns - s->since_ns;
    must_exit(s, "frontend", end_of_front(s), 3);
    must_exit(s, "backend", process_wait(&s->back), 3);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        fail(s, "a process is left after the host's death");
    /* Two sockets, the lock, and the folder of the guests' sockets: cleared away by the next host. */
    if (directory_entries(s->dir) != 4 || directory_entries(s->parent) != 1)
        fail(s, "%s has more than the sockets and the lock of a dead host", s->dir);
    start_host(s);
    start_both(s);
}

static void one_kill(struct stress *s)
{
    wait_moment(s);
    bool at_once = pick(s, 4) == 0;
    switch (pick(s, 16)) {
    case 0:
        kill_both(s);
        break;
    case 1: /* twice in a row, the second before anything has settled */
        kill_back(s, true);
        kill_back(s, at_once);
        break;
    case 2:
        kill_front(s, true);
        kill_front(s, at_once);
        break;
    case 3: case 4: case 5: case 6: case 7: case 8: case 9:
        kill_back(s, at_once);
        break;
    default:
        kill_front(s, at_once);
        break;
    }
    if (pick(s, 4) > 0)
        await(s, is_good, s->recover_ns, "bytes come back the same from a fresh peer");
}

/* ---- the end ---- */

static void end_all(struct stress *s)
{
    await(s, is_good, s->recover_ns, "bytes come back the same in the end");
    kill(s->front, SIGTERM);
    await(s, front_ended, s->recover_ns, "the frontend ends");
    must_exit(s, "frontend", end_of_front(s), 0);
    kill(s->back.pid, SIGTERM);
    await(s, back_ended, s->recover_ns, "the backend ends");
    must_exit(s, "backend", process_wait(&s->back), 0);
    await_balance(s, 0, "in the end");
    kill(s->host.pid, SIGTERM);
    await(s, host_ended, s->recover_ns, "the host ends");
    must_exit(s, "host", process_wait(&s->host), 0);
    if (strcmp(s->balance, "balance: all zero") != 0)
        fail(s, "the host says %s", s->balance);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        fail(s, "a process is left");
    if (rmdir(s->dir) || rmdir(s->parent))
        fail(s, "a file is left in %s", s->parent);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *who, uint64_t *ns, unsigned int n)
{
    if (n == 0)
        return;
    qsort(ns, n, sizeof(ns[0]), compare);
    printf("the %s noticed %u deaths: median %.2f ms, longest %.2f ms\n", who, n, (double)ns[n / 2] / 1e6,
           (double)ns[n - 1] / 1e6);
}

/* ---- options ---- */

static void usage(FILE *out)
{
    fputs("Usage: death_stress [--seed N] [--kills N] [--host-kills N] [--verbose]\n", out);
}

static void set_up(struct stress *s)
{
    const char *tmp = getenv("TMPDIR");
    s->bin = getenv("PVUSB_BIN");
    if (!s->bin) {
        puts("skip: PVUSB_BIN names no folder with the programs");
        exit(77);
    }
    s->random = s->seed * 2685821657736338717u + 1;
    s->notice_ns = 30 * NS_PER_S;
    s->recover_ns = 60 * NS_PER_S;
    s->report = s->back.out = s->host.out = -1;
    s->ops = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(s->parent, sizeof(s->parent), "%s/pvusb-death-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (s->ops < 0 || !mkdtemp(s->parent) || setenv("TMPDIR", s->parent, 1))
        fail(s, "%s: %s", s->parent, strerror(errno));
    snprintf(s->dir, sizeof(s->dir), "%s/machine", s->parent);
    if (mkdir(s->dir, 0700)) /* ours: the first host that dies could not remove it, the next ones would not */
        fail(s, "%s: %s", s->dir, strerror(errno));
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* a grandchild that is left becomes ours */
    if (fakexen_client_machine_create(s->dir, &s->machine))
        fail(s, "out of memory");
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"seed", required_argument, NULL, 's'},
                                          {"kills", required_argument, NULL, 'k'},
                                          {"host-kills", required_argument, NULL, 'm'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static struct stress s = {.seed = 1};
    unsigned long kills = 20;
    unsigned long host_kills = 2;
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 's')
            s.seed = strtoull(optarg, NULL, 0);
        else if (c == 'k')
            kills = strtoul(optarg, NULL, 0);
        else if (c == 'm')
            host_kills = strtoul(optarg, NULL, 0);
        else if (c == 'v')
            s.verbose = true;
        else
            usage(c == 'h' ? stdout : stderr);
        if (c == 'h' || c == '?')
            return c == 'h' ? 0 : 2;
    }
    if (optind < argc || kills + host_kills > KILLS_MAX) {
        usage(stderr);
        return 2;
    }
    printf("seed %" PRIu64 "\n", s.seed);
    fflush(stdout);
    set_up(&s);
    start_host(&s);
    start_both(&s);
    unsigned long hosts = 0;
    while (s.kills < kills || hosts < host_kills) {
        /* The host's evenly between the others. */
        if (s.kills >= kills || hosts * kills < s.kills * host_kills) {
            hosts++;
            kill_host(&s);
        } else {
            one_kill(&s);
        }
        if ((s.kills + hosts) % TELL_KILLS == 0) {
            printf("%lu of %lu kills\n", s.kills + hosts, kills + host_kills);
            fflush(stdout);
        }
    }
    end_all(&s);
    printf("%u kills of a half, %lu of the host\n", s.kills, hosts);
    print_times("frontend", s.front_noticed, s.nr_front_noticed);
    print_times("backend", s.back_noticed, s.nr_back_noticed);
    puts("nothing is left");
    fakexen_client_machine_destroy(s.machine);
    close(s.ops);
    return 0;
}
