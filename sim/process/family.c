// SPDX-License-Identifier: MIT
#include "process/family.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"

#define MACHINE 0

struct shared {
    char error[FAMILY_ERROR_MAX];
    int rc;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the machine's process ---- */

struct machine {
    int ready[2];
};

static int serve(struct family *family, struct fakexen_host *host)
{
    struct loop loop;
    int rc = 0;
    while (!rc) {
        loop_clear(&loop);
        loop_add(&loop, family->machine_lifeline[0]);
        loop_add(&loop, fakexen_host_fd(host));
        rc = loop_wait(&loop, UINT64_MAX);
        if (!rc && loop_ready(&loop, family->machine_lifeline[0]))
            break;
        if (!rc)
            rc = fakexen_host_step(host);
    }
    return rc;
}

static int run_machine(struct family *family, void *context)
{
    struct machine *machine = context;
    struct fakexen_host *host;
    close(machine->ready[0]);
    int rc = fakexen_host_open(family->dir, &host);
    if (rc) {
        snprintf(family->error, FAMILY_ERROR_MAX, "%s: %s", family->dir, strerror(-rc));
        return 1;
    }
    if (write(machine->ready[1], "", 1) != 1)
        rc = -errno;
    close(machine->ready[1]);
    if (!rc)
        rc = serve(family, host);
    fakexen_host_close(host);
    rmdir(family->dir); /* the parent may have been killed */
    return rc ? 1 : 0;
}

static int start_machine(struct family *family)
{
    struct machine machine;
    char byte;
    if (pipe(machine.ready))
        return -errno;
    int child = family_start(family, "host", run_machine, &machine);
    close(machine.ready[1]);
    ssize_t n = child < 0 ? -1 : read(machine.ready[0], &byte, 1);
    close(machine.ready[0]);
    return child < 0 ? child : n == 1 ? 0 : -ECHILD;
}

/* ---- beginning ---- */

static int make_directory(struct family *family)
{
    const char *tmp = getenv("TMPDIR");
    if (!tmp || !*tmp)
        tmp = "/tmp";
    int n = snprintf(family->dir, sizeof(family->dir), "%s/pvusb-XXXXXX", tmp);
    if (n < 0 || (size_t)n >= sizeof(family->dir))
        return -ENAMETOOLONG;
    return mkdtemp(family->dir) ? 0 : -errno;
}

/* What a machine that was killed has left is cleared away by the next one. */
static void remove_directory(const struct family *family)
{
    struct fakexen_host *host;
    if (rmdir(family->dir) && errno == ENOTEMPTY && !fakexen_host_open(family->dir, &host)) {
        fakexen_host_close(host);
        rmdir(family->dir);
    }
}

int family_open(struct family *family, char *error)
{
    *family = (struct family){.lifeline = {-1, -1}, .machine_lifeline = {-1, -1}};
    int rc = make_directory(family);
    if (rc) {
        snprintf(error, FAMILY_ERROR_MAX, "%s: %s; TMPDIR names another folder", family->dir, strerror(-rc));
        return rc;
    }
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        rc = -errno;
        rmdir(family->dir);
        snprintf(error, FAMILY_ERROR_MAX, "%s", strerror(-rc));
        return rc;
    }
    family->error = shared->error;
    family->rc = &shared->rc;
    rc = pipe(family->lifeline) || pipe(family->machine_lifeline) ? -errno : start_machine(family);
    return rc ? family_close(family, rc, error) : 0;
}

int family_start(struct family *family, const char *name, int (*run)(struct family *family, void *context),
                 void *context)
{
    int alive[2];
    if (family->nr_children == FAMILY_CHILDREN)
        return -ENOSPC;
    if (pipe(alive))
        return -errno;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(alive[0]);
        close_fd(&family->lifeline[1]);
        close_fd(&family->machine_lifeline[1]);
        signal(SIGINT, SIG_IGN); /* the parent gets it too, and its end closes the lifelines */
        int code = run(family, context);
        fflush(NULL);
        _exit(code);
    }
    close(alive[1]);
    if (pid < 0) {
        close(alive[0]);
        return -EAGAIN;
    }
    family->child[family->nr_children] = (struct family_child){.pid = pid, .alive = alive[0], .name = name};
    return (int)family->nr_children++;
}

/* ---- ending ---- */

static bool ended_well(const struct family_child *child)
{
    return WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0;
}

static int reap(struct family *family, unsigned int which)
{
    struct family_child *child = &family->child[which];
    if (child->pid != 0) {
        while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
            ;
        child->pid = 0;
        close_fd(&child->alive);
    }
    return ended_well(child) ? 0 : -ECHILD;
}

/* Returns when any child has ended. */
static void wait_for_the_first(const struct family *family)
{
    struct pollfd fds[FAMILY_CHILDREN];
    for (unsigned int i = 0; i < family->nr_children; i++)
        fds[i] = (struct pollfd){.fd = family->child[i].alive, .events = POLLIN};
    while (poll(fds, family->nr_children, -1) < 0 && errno == EINTR)
        ;
}

int family_wait(struct family *family, int child)
{
    struct pollfd alive = {.fd = family->child[child].alive, .events = POLLIN};
    wait_for_the_first(family);
    if (poll(&alive, 1, 0) == 0)
        close_fd(&family->lifeline[1]); /* not this one: tell it to end */
    return reap(family, (unsigned int)child);
}

int family_end_children(struct family *family)
{
    int rc = 0;
    close_fd(&family->lifeline[1]);
    for (unsigned int i = family->nr_children; i-- > MACHINE + 1;)
        rc = reap(family, i) ? -ECHILD : rc;
    return rc;
}

/* A child that was killed is why the others failed, whatever they say. */
static void blame(const struct family *family)
{
    for (unsigned int i = 0; i < family->nr_children; i++) {
        if (WIFSIGNALED(family->child[i].status)) {
            snprintf(family->error, FAMILY_ERROR_MAX, "the %s process died: %s", family->child[i].name,
                     strsignal(WTERMSIG(family->child[i].status)));
            *family->rc = 0;
            return;
        }
    }
    for (unsigned int i = 0; i < family->nr_children && !family->error[0]; i++) {
        if (!ended_well(&family->child[i]))
            snprintf(family->error, FAMILY_ERROR_MAX, "the %s process failed", family->child[i].name);
    }
}

int family_close(struct family *family, int rc, char *error)
{
    int ended = family_end_children(family);
    close_fd(&family->machine_lifeline[1]);
    if (family->nr_children > 0 && reap(family, MACHINE))
        ended = -ECHILD;
    close_fd(&family->lifeline[0]);
    close_fd(&family->machine_lifeline[0]);
    if (ended) {
        blame(family);
        rc = *family->rc ? *family->rc : -ECHILD;
    }
    if (rc)
        snprintf(error, FAMILY_ERROR_MAX, "%s", family->error[0] ? family->error : strerror(-rc));
    munmap(family->error, sizeof(struct shared));
    remove_directory(family);
    return rc;
}
