// SPDX-License-Identifier: MIT
/* The host is a child process; it ends when it is told to or when the test's process ends. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fakexen/waitset.h>

#include "machine_host.h"

/* The same tests with the genuine xenstored. */
#ifdef MACHINE_GENUINE
#define GENUINE       machine_xenstored()
#define GENUINE_STORE true
#else
#define GENUINE       NULL
#define GENUINE_STORE false
#endif
/* The same tests with all handles in one set. */
#ifdef MACHINE_JOINED
#define JOINED true
#else
#define JOINED false
#endif

static void require(bool condition)
{
    if (!condition)
        abort();
}

static int open_host(const char *dir, const struct fakexen_xenstored *genuine, struct fakexen_host **out)
{
    if (!genuine)
        return fakexen_host_open(dir, out);
    int rc = fakexen_host_open_genuine(dir, genuine, out);
    while (!rc && !(rc = fakexen_host_ready(*out))) {
        struct pollfd fd = {.fd = fakexen_host_fd(*out), .events = POLLIN};
        (void)!poll(&fd, 1, -1);
        rc = fakexen_host_step(*out);
    }
    return rc == 1 ? 0 : rc;
}

static int host_failed(const struct fakexen_host *host)
{
    fprintf(stderr, "the host cannot go on; xenstored's status: %d\n", fakexen_host_xenstored_status(host));
    return 5;
}

/* Serves until stop is readable or at its end. */
static int serve(const char *dir, const struct fakexen_xenstored *genuine, int ready, int stop)
{
    struct fakexen_host *host;
    if (open_host(dir, genuine, &host))
        return 2;
    if (write(ready, "r", 1) != 1)
        return 3;
    close(ready);
    struct pollfd fds[] = {{.fd = stop, .events = POLLIN}, {.fd = fakexen_host_fd(host), .events = POLLIN}};
    int rc = 0;
    while (!rc) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            rc = 4;
        else if (fds[0].revents)
            break;
        else if (fakexen_host_step(host))
            rc = host_failed(host);
    }
    fakexen_host_close(host);
    return rc;
}

void host_process_start(struct host_process *process, const char *dir, const char *parent)
{
    host_process_start_with(process, dir, parent, NULL);
}

void host_process_start_with(struct host_process *process, const char *dir, const char *parent,
                             const struct fakexen_xenstored *genuine)
{
    int ready[2];
    int stop[2];
    char byte;
    require(!pipe(ready) && !pipe(stop));
    fflush(NULL);
    process->pid = fork();
    require(process->pid >= 0);
    if (!process->pid) {
        close(ready[0]);
        close(stop[1]);
        /* Check kills the process group of a test that crashed. */
        setpgid(0, 0);
        int rc = serve(dir, genuine, ready[1], stop[0]);
        /* A test that is meant to crash cannot do this. Fails unless the host removed all that it made. */
        exit(parent && rmdir(parent) && !rc ? 6 : rc);
    }
    close(ready[1]);
    close(stop[0]);
    process->stop = stop[1];
    require(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
}

int host_process_stop(struct host_process *process)
{
    int status;
    close(process->stop);
    require(waitpid(process->pid, &status, 0) == process->pid);
    return status;
}

bool (*const machine_waiting)(const struct xen *xen) = NULL;
const bool machine_own_store = !GENUINE_STORE;

static void join(struct test_machine *test, struct xen *xen)
{
    require(!xen_waitset_add(((struct host_form *)test->form)->set, xen));
}

void machine_begin(struct test_machine *test)
{
    struct host_form *form = calloc(1, sizeof(*form));
    require(form);
    strcpy(form->parent, "/tmp/fakexen-test-XXXXXX");
    require(mkdtemp(form->parent));
    snprintf(form->dir, sizeof(form->dir), "%s/machine", form->parent);
    host_process_start_with(&form->process, form->dir, form->parent, GENUINE);
    require(!fakexen_client_machine_create(form->dir, &test->machine));
    require(!JOINED || !xen_waitset_create(&form->set));
    test->opened = JOINED ? join : NULL;
    test->form = form;
}

struct fakexen_balance machine_balance(struct test_machine *test)
{
    struct fakexen_balance balance;
    require(!fakexen_client_machine_balance(test->machine, &balance));
    return balance;
}

void machine_finish(struct test_machine *test)
{
    struct host_form *form = test->form;
    fakexen_client_machine_destroy(test->machine);
    xen_waitset_destroy(form->set);
    require(!host_process_stop(&form->process));
    free(form);
}
