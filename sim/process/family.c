// SPDX-License-Identifier: MIT
#include "process/family.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"

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
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, fakexen_host_fd(host));
        rc = loop_wait(&loop, UINT64_MAX);
        if (!rc && loop_ready(&loop, family->lifeline[0]))
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

/* ---- the parent ---- */

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

int family_open(struct family *family, char *error)
{
    *family = (struct family){.lifeline = {-1, -1}};
    int rc = make_directory(family);
    if (rc) {
        snprintf(error, FAMILY_ERROR_MAX, "%s: %s; TMPDIR names another folder", family->dir, strerror(-rc));
        return rc;
    }
    family->error =
        mmap(NULL, FAMILY_ERROR_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (family->error == MAP_FAILED) {
        rc = -errno;
        rmdir(family->dir);
        snprintf(error, FAMILY_ERROR_MAX, "%s", strerror(-rc));
        return rc;
    }
    rc = pipe(family->lifeline) ? -errno : start_machine(family);
    return rc ? family_close(family, rc, error) : 0;
}

int family_start(struct family *family, const char *name, int (*run)(struct family *family, void *context),
                 void *context)
{
    if (family->nr_children == FAMILY_CHILDREN)
        return -ENOSPC;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(family->lifeline[1]);
        signal(SIGINT, SIG_IGN); /* the parent gets it too, and its end closes the lifeline */
        int code = run(family, context);
        fflush(NULL);
        _exit(code);
    }
    family->child[family->nr_children].pid = pid;
    family->child[family->nr_children].name = name;
    return (int)family->nr_children++;
}

static int judge(struct family *family, int child, int status)
{
    const char *name = family->child[child].name;
    family->child[child].pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (!family->error[0] && WIFSIGNALED(status))
        snprintf(family->error, FAMILY_ERROR_MAX, "the %s process died: %s", name, strsignal(WTERMSIG(status)));
    else if (!family->error[0])
        snprintf(family->error, FAMILY_ERROR_MAX, "the %s process failed", name);
    return -ECHILD;
}

int family_wait(struct family *family, int child)
{
    int status;
    if (family->child[child].pid == 0)
        return 0;
    while (waitpid(family->child[child].pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return judge(family, child, status);
}

/* Whoever ended already was not told to. */
static int check_alive(struct family *family)
{
    int rc = 0;
    for (unsigned int i = 0; i < family->nr_children; i++) {
        int status;
        if (family->child[i].pid == 0 || waitpid(family->child[i].pid, &status, WNOHANG) != family->child[i].pid)
            continue;
        if (judge(family, (int)i, status) == 0 && !family->error[0])
            snprintf(family->error, FAMILY_ERROR_MAX, "the %s process ended early", family->child[i].name);
        rc = -ECHILD;
    }
    return rc;
}

int family_close(struct family *family, int rc, char *error)
{
    int early = check_alive(family);
    rc = rc ? rc : early;
    if (family->lifeline[1] >= 0)
        close(family->lifeline[1]);
    for (unsigned int i = family->nr_children; i-- > 0;) {
        int ended = family_wait(family, (int)i);
        rc = rc ? rc : ended;
    }
    if (family->lifeline[0] >= 0)
        close(family->lifeline[0]);
    if (rc)
        snprintf(error, FAMILY_ERROR_MAX, "%s", family->error[0] ? family->error : strerror(-rc));
    munmap(family->error, FAMILY_ERROR_MAX);
    rmdir(family->dir); /* the machine has removed what it put there; what somebody else did stays */
    return rc;
}
