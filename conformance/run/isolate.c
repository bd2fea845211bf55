/* SPDX-License-Identifier: MIT */
/* One case, one process: what crashes or hangs there costs that case only. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../kit/log.h"
#include "run.h"

static void run_here(const struct conform_case *test, const struct peer_ops *ops, const struct peer_config *config,
                     uint64_t seed, struct outcome *out)
{
    static struct kit_log log;
    static struct conform t;
    char error[PEER_ERROR_MAX] = "";
    FILE *block;

    t = (struct conform){.test = test, .seed = seed, .log = &log, .verdict = KIT_ERROR};
    if (ops->open(config, &t.peer, error) < 0) {
        out->verdict = KIT_ERROR;
        snprintf(out->message, sizeof(out->message), "the peer never came: %s", error);
        return;
    }
    kit_run(&t);
    ops->close(t.peer);
    out->verdict = t.verdict;
    memcpy(out->message, t.message, sizeof(out->message));
    block = fmemopen(out->block, sizeof(out->block), "w");
    if (!block)
        return;
    kit_log_print(&log, block);
    fclose(block);
}

static _Noreturn void child(int fd, const struct conform_case *test, const struct peer_ops *ops,
                            const struct peer_config *config, uint64_t seed)
{
    static struct outcome out;
    const char *p = (const char *)&out;
    size_t left = sizeof(out);

    setpgid(0, 0);
    run_here(test, ops, config, seed, &out);
    while (left) {
        ssize_t n = write(fd, p, left);

        if (n < 0 && errno != EINTR)
            _exit(1);
        p += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    _exit(0);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns the bytes that came before the end or the limit; *late says that it was the limit. */
static size_t collect(int fd, unsigned int limit_s, struct outcome *out, bool *late)
{
    int64_t end = now_ms() + (int64_t)limit_s * 1000;
    size_t have = 0;

    *late = false;
    while (have < sizeof(*out)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        ssize_t n;

        if (left <= 0) {
            *late = true;
            break;
        }
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(fd, (char *)out + have, sizeof(*out) - have);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        have += n > 0 ? (size_t)n : 0;
    }
    return have;
}

static void say(struct outcome *out, enum kit_verdict verdict, const char *what, int n)
{
    *out = (struct outcome){.verdict = verdict};
    snprintf(out->message, sizeof(out->message), "%s%d", what, n);
}

void isolate_run(const struct conform_case *test, const struct peer_ops *ops, const struct peer_config *config,
                 uint64_t seed, unsigned int limit_s, struct outcome *out)
{
    int fds[2], status = 0;
    bool late;
    size_t have;
    pid_t pid;

    fflush(NULL);
    if (pipe(fds) < 0) {
        say(out, KIT_ERROR, "no pipe for the case: errno ", errno);
        return;
    }
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(fds[1], test, ops, config, seed);
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        say(out, KIT_ERROR, "no process for the case: errno ", errno);
        return;
    }
    setpgid(pid, pid);
    have = collect(fds[0], limit_s, out, &late);
    close(fds[0]);
    kill(-pid, SIGKILL); /* with what it started; a case that has told its verdict has nothing left to do */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (have == sizeof(*out) && (unsigned int)out->verdict > KIT_ERROR)
        say(out, KIT_DIED, "the case's process told no verdict but ", (int)out->verdict);
    else if (late)
        say(out, KIT_DIED, "no verdict within the limit in seconds of a case: ", (int)limit_s);
    else if (have < sizeof(*out) && WIFSIGNALED(status))
        say(out, KIT_DIED, "the case's process died: signal ", WTERMSIG(status));
    else if (have < sizeof(*out))
        say(out, KIT_DIED, "the case's process ended early: exit ", WEXITSTATUS(status));
}
