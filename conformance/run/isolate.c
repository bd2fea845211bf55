/* SPDX-License-Identifier: MIT */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 20 /* a process that died may have left its end of the pipe to others */

static struct outcome *child_out;

static void tell(const struct conform *t)
{
    child_out->verdict = t->verdict;
    child_out->applicable = t->applicable;
    memcpy(child_out->message, t->message, sizeof(child_out->message));
    child_out->told = true;
}

/* The reason is safe before anything is asked of a peer that may not answer. */
static void failed(struct conform *t)
{
    tell(t);
    kit_dump_store(t);
}

static void run_here(const struct conform_case *test, const struct isolate_config *config)
{
    static struct conform t;
    char error[PEER_ERROR_MAX] = "";

    t = (struct conform){.test = test, .seed = config->seed, .log = &child_out->log, .failed = failed,
                         .verdict = KIT_ERROR};
    if (config->ops->open(&config->config, &t.peer, error) < 0) {
        snprintf(t.message, sizeof(t.message), "the peer never came: %s", error);
    } else {
        kit_run(&t);
        config->ops->close(t.peer);
    }
    tell(&t);
}

static _Noreturn void child(int fd, const struct conform_case *test, const struct isolate_config *config)
{
    setpgid(0, 0);
    run_here(test, config);
    while (write(fd, "", 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(struct outcome *out, enum kit_verdict verdict, const char *what, int n)
{
    out->verdict = verdict;
    snprintf(out->message, sizeof(out->message), "%s%d", what, n);
}

/* Nothing was started: over at once. */
static void never(struct isolated *i, const char *what)
{
    say(i->out, KIT_ERROR, what, errno);
    i->pid = 0;
    i->end_ms = i->start_ms;
}

void isolate_start(struct isolated *i, const struct conform_case *test, const struct isolate_config *config)
{
    int fds[2];

    *i = (struct isolated){.fd = -1, .start_ms = now_ms()};
    i->out = mmap(NULL, sizeof(*i->out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (i->out == MAP_FAILED) {
        i->out = NULL;
        return;
    }
    fflush(NULL);
    if (pipe2(fds, O_CLOEXEC) < 0) {
        never(i, "no pipe for the case: errno ");
        return;
    }
    i->end_ms = i->start_ms + (int64_t)config->limit_s * 1000;
    i->pid = fork();
    if (i->pid == 0) {
        close(fds[0]);
        child_out = i->out;
        child(fds[1], test, config);
    }
    close(fds[1]);
    i->fd = fds[0];
    if (i->pid > 0) {
        setpgid(i->pid, i->pid);
        return;
    }
    close(fds[0]);
    i->fd = -1;
    never(i, "no process for the case: errno ");
}

/* A process that ended is waited for here; late: it came to its limit. */
static void end(struct isolated *i, bool done, bool late)
{
    struct outcome *out = i->out;
    int status = 0, limit_s = (int)((i->end_ms - i->start_ms) / 1000);

    close(i->fd);
    i->fd = -1;
    i->end_ms = now_ms();
    kill(-i->pid, SIGKILL); /* with what it started; a case that has told its verdict has nothing left to do */
    while (waitpid(i->pid, &status, 0) < 0 && errno == EINTR)
        ;
    i->pid = 0;
    out->message[sizeof(out->message) - 1] = 0;
    out->log.store[sizeof(out->log.store) - 1] = 0;
    if (out->told && (unsigned int)out->verdict > KIT_ERROR)
        say(out, KIT_DIED, "the case's process told no verdict but ", (int)out->verdict);
    else if (!done && !out->told && late)
        say(out, KIT_DIED, "no verdict within the limit in seconds of a case: ", limit_s);
    else if (!done && !out->told && WIFSIGNALED(status))
        say(out, KIT_DIED, "the case's process died: signal ", WTERMSIG(status));
    else if (!done && !out->told)
        say(out, KIT_DIED, "the case's process ended early: exit ", WEXITSTATUS(status));
}

/* True when it is over now. */
static bool look(struct isolated *i)
{
    struct pollfd p = {.fd = i->fd, .events = POLLIN};
    siginfo_t info = {0};
    char byte;

    if (i->fd < 0)
        return true;
    if (poll(&p, 1, 0) > 0) {
        end(i, read(i->fd, &byte, 1) == 1, false);
        return true;
    }
    if (waitid(P_PID, (id_t)i->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == i->pid) {
        end(i, poll(&p, 1, 0) > 0 && read(i->fd, &byte, 1) == 1, false);
        return true;
    }
    if (now_ms() < i->end_ms)
        return false;
    end(i, false, true);
    return true;
}

int isolate_wait(struct isolated *list, unsigned int n, int wait_ms)
{
    int64_t until = now_ms() + wait_ms;
    struct pollfd *fds = calloc(n, sizeof(*fds));

    for (;;) {
        int64_t left = until - now_ms();

        for (unsigned int i = 0; i < n; i++) {
            if (list[i].out && look(&list[i])) {
                free(fds);
                return (int)i;
            }
            if (fds)
                fds[i] = (struct pollfd){.fd = list[i].out ? list[i].fd : -1, .events = POLLIN};
        }
        if (left <= 0)
            break;
        poll(fds, fds ? n : 0, left < LOOK_MS ? (int)left : LOOK_MS);
    }
    free(fds);
    return -1;
}

int64_t isolate_took(const struct isolated *i)
{
    return i->end_ms - i->start_ms;
}

void isolate_free(struct isolated *i)
{
    if (!i->out)
        return;
    if (i->fd >= 0)
        end(i, true, false);
    munmap(i->out, sizeof(*i->out));
    i->out = NULL;
}
