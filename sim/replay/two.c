// SPDX-License-Identifier: MIT
/*
 * The same replay with the machine, the backend (domain 0) and the frontend (domain 1) as
 * processes of their own. The parent only starts them and waits. A pipe that nobody writes to
 * ties the children to it: when it closes they end.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "replay/sides.h"

#define STALL_NS (10 * UINT64_C(1000000000)) /* without a step by either side: something is lost */
#define FDS_MAX  256u

struct two {
    const struct plan *plan;
    const struct replay_options *options;
    struct replay_results *results;
    struct replay_totals *totals; /* shared */
    char *error;                  /* shared, REPLAY_ERROR_MAX bytes */
    char dir[64];
    int lifeline[2]; /* parent keeps [1] */
    pid_t host, back, front;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Waits for any of the descriptors, the first of which is the lifeline; false when that has closed. */
static bool wait_for(struct pollfd *fds, unsigned int n, uint64_t until_ns)
{
    struct timespec timeout = {0};
    uint64_t now = now_ns();
    if (until_ns != UINT64_MAX && until_ns > now) {
        timeout.tv_sec = (time_t)((until_ns - now) / 1000000000u);
        timeout.tv_nsec = (long)((until_ns - now) % 1000000000u);
    }
    if (ppoll(fds, n, until_ns == UINT64_MAX ? NULL : &timeout, NULL) < 0)
        return errno == EINTR;
    return fds[0].revents == 0;
}

/* ---- the three children; each returns its exit code ---- */

static int host_main(struct two *two, int ready)
{
    struct fakexen_host *host;
    int rc = fakexen_host_open(two->dir, &host);
    if (rc) {
        snprintf(two->error, REPLAY_ERROR_MAX, "%s: %s", two->dir, strerror(-rc));
        return 3;
    }
    struct pollfd fds[2] = {{.fd = two->lifeline[0], .events = POLLIN},
                            {.fd = fakexen_host_fd(host), .events = POLLIN}};
    if (write(ready, "", 1) != 1)
        rc = -errno;
    close(ready);
    while (!rc && wait_for(fds, 2, UINT64_MAX))
        rc = fakexen_host_step(host);
    fakexen_host_close(host);
    return rc ? 3 : 0;
}

static int back_main(struct two *two)
{
    struct xen_machine *machine = NULL;
    struct device_side device = {0};
    int rc = fakexen_client_machine_create(two->dir, &machine);
    if (!rc)
        rc = device_side_init(&device, machine, two->plan, two->options, two->results);
    while (!rc) {
        struct pollfd fds[FDS_MAX] = {{.fd = two->lifeline[0], .events = POLLIN}};
        int xen_fds[FDS_MAX - 1];
        rc = device_side_step(&device, now_ns());
        if (rc)
            break;
        unsigned int n = back_driver_fds(device.driver, xen_fds, FDS_MAX - 1);
        for (unsigned int i = 0; i < n && i < FDS_MAX - 1; i++)
            fds[i + 1] = (struct pollfd){.fd = xen_fds[i], .events = POLLIN};
        if (!wait_for(fds, n + 1 < FDS_MAX ? n + 1 : FDS_MAX,
                      n >= FDS_MAX || back_driver_busy(device.driver) ? now_ns() : UINT64_MAX))
            break;
    }
    if (device.driver)
        device_side_dispose(&device);
    fakexen_client_machine_destroy(machine);
    return rc == 0 || rc == -EPIPE ? 0 : 3;
}

static bool front_wait(struct two *two, struct guest_side *guest, uint64_t until_ns)
{
    struct pollfd fds[FDS_MAX] = {{.fd = two->lifeline[0], .events = POLLIN}};
    unsigned int n = 1;
    for (unsigned int i = 0; i < two->plan->nr_controllers && n < FDS_MAX; i++) {
        struct xen *xen = front_xen(guest->front[i]);
        fds[n++] = (struct pollfd){.fd = xen->ops->fd(xen), .events = POLLIN};
    }
    return wait_for(fds, n, until_ns);
}

/* Until the plan is done, or nobody has made a step for long. */
static int front_play(struct two *two, struct guest_side *guest)
{
    uint64_t moved_ns = now_ns();
    uint32_t seen[2] = {0};
    bool closing = false;
    for (;;) {
        uint64_t now = now_ns();
        int rc = guest_side_step(guest, now);
        if (rc || (closing && guest_side_closed(guest)))
            return rc;
        if (seen[0] != two->results->guest_step || seen[1] != two->results->device_step) {
            seen[0] = two->results->guest_step;
            seen[1] = two->results->device_step;
            moved_ns = now;
        }
        if (!closing && (guest_side_finished(guest) || now - moved_ns >= STALL_NS)) {
            closing = true;
            guest_side_close(guest);
            continue;
        }
        uint64_t until = guest_side_deadline(guest);
        if (!closing && moved_ns + STALL_NS < until)
            until = moved_ns + STALL_NS;
        if (!front_wait(two, guest, until))
            return -EPIPE;
    }
}

static int front_main(struct two *two)
{
    struct xen_machine *machine = NULL;
    struct guest_side guest = {0};
    int rc = fakexen_client_machine_create(two->dir, &machine);
    if (!rc)
        rc = guest_side_init(&guest, machine, two->plan, two->options, two->results, two->error);
    if (!rc)
        rc = front_play(two, &guest);
    if (guest.player)
        two->totals->front = guest_side_stats(&guest);
    int closed = guest.plan ? guest_side_dispose(&guest) : 0;
    rc = rc ? rc : closed;
    fakexen_client_machine_destroy(machine);
    if (rc && !two->error[0])
        snprintf(two->error, REPLAY_ERROR_MAX, "frontend: %s", strerror(-rc));
    return rc ? 3 : 0;
}

/* ---- the parent ---- */

/* A child runs main and ends without running what its parent has at exit. */
static pid_t start(struct two *two, int (*run)(struct two *two))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    close(two->lifeline[1]);
    signal(SIGINT, SIG_IGN); /* the parent gets it and closes the lifeline */
    _exit(run(two));
}

static int start_host(struct two *two)
{
    int ready[2];
    char byte;
    if (pipe(ready))
        return -errno;
    fflush(NULL);
    two->host = fork();
    if (two->host == 0) {
        close(two->lifeline[1]);
        close(ready[0]);
        signal(SIGINT, SIG_IGN);
        _exit(host_main(two, ready[1]));
    }
    close(ready[1]);
    int rc = two->host < 0 ? -errno : read(ready[0], &byte, 1) == 1 ? 0 : -ECONNREFUSED;
    close(ready[0]);
    return rc;
}

static int prepare_machine(struct two *two)
{
    struct xen_machine *machine = NULL;
    struct xen *dom0 = NULL;
    int rc = fakexen_client_machine_create(two->dir, &machine);
    if (!rc)
        rc = machine->ops->domain_create(machine, REPLAY_GUEST);
    if (!rc)
        rc = machine->ops->open(machine, 0, &dom0);
    if (!rc)
        rc = replay_write_nodes(dom0, two->plan);
    xen_close(dom0);
    fakexen_client_machine_destroy(machine);
    return rc;
}

/* What a child that ended says about itself, if it is bad. */
static int reap(struct two *two, pid_t pid, const char *name)
{
    int status;
    if (pid <= 0)
        return 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (!two->error[0] && WIFSIGNALED(status))
        snprintf(two->error, REPLAY_ERROR_MAX, "the %s process died: %s", name, strsignal(WTERMSIG(status)));
    else if (!two->error[0])
        snprintf(two->error, REPLAY_ERROR_MAX, "the %s process failed", name);
    return -ECHILD;
}

/* The frontend ends first, or the replay has failed; then the lifeline ends the others. */
static int wait_all(struct two *two)
{
    int rc = reap(two, two->front, "frontend");
    if (two->back > 0 && waitpid(two->back, NULL, WNOHANG) == two->back) {
        two->back = 0;
        if (!two->error[0])
            snprintf(two->error, REPLAY_ERROR_MAX, "the backend process died");
        rc = -ECHILD;
    }
    close(two->lifeline[1]);
    two->lifeline[1] = -1;
    int back = reap(two, two->back, "backend");
    int host = reap(two, two->host, "host");
    return rc ? rc : back ? back : host;
}

static int run_children(struct two *two)
{
    int rc = start_host(two);
    if (!rc)
        rc = prepare_machine(two);
    if (!rc) {
        two->back = start(two, back_main);
        rc = two->back < 0 ? -errno : 0;
    }
    if (!rc) {
        two->front = start(two, front_main);
        rc = two->front < 0 ? -errno : 0;
    }
    int waited = wait_all(two);
    return rc ? rc : waited;
}

int replay_run_two(const struct plan *plan, const struct replay_options *options, struct replay_results *results,
                   struct replay_totals *totals, char error[REPLAY_ERROR_MAX])
{
    struct shared {
        struct replay_totals totals;
        char error[REPLAY_ERROR_MAX];
    } *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct two two = {.plan = plan, .options = options, .results = results, .lifeline = {-1, -1}};
    const char *tmp = getenv("TMPDIR");
    int rc;
    if (shared == MAP_FAILED)
        return -errno;
    two.totals = &shared->totals;
    two.error = shared->error;
    snprintf(two.dir, sizeof(two.dir), "%s/pvusb-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(two.dir)) {
        rc = -errno;
        snprintf(error, REPLAY_ERROR_MAX, "%s: %s", two.dir, strerror(errno));
        goto out;
    }
    if (pipe(two.lifeline)) {
        rc = -errno;
        rmdir(two.dir);
        goto out;
    }
    rc = run_children(&two);
    close(two.lifeline[0]);
    if (two.lifeline[1] >= 0)
        close(two.lifeline[1]);
    rmdir(two.dir);
    *totals = shared->totals;
    memcpy(error, shared->error, REPLAY_ERROR_MAX);
out:
    munmap(shared, sizeof(*shared));
    return rc;
}
