// SPDX-License-Identifier: MIT
#include "process/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

void loop_clear(struct loop *loop)
{
    loop->nr = 0;
    loop->overfull = false;
}

void loop_add(struct loop *loop, int fd)
{
    loop_add_for(loop, fd, POLLIN);
}

void loop_add_for(struct loop *loop, int fd, short events)
{
    if (fd < 0)
        return;
    if (loop->nr == LOOP_FDS_MAX)
        loop->overfull = true;
    else
        loop->fds[loop->nr++] = (struct pollfd){.fd = fd, .events = events};
}

int loop_wait(struct loop *loop, uint64_t until_ns)
{
    uint64_t now = loop_now_ns();
    uint64_t left = loop->overfull || until_ns <= now ? 0 : until_ns - now;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
    bool for_ever = until_ns == UINT64_MAX && !loop->overfull;
    if (ppoll(loop->fds, loop->nr, for_ever ? NULL : &timeout, NULL) >= 0)
        return 0;
    for (unsigned int i = 0; i < loop->nr; i++)
        loop->fds[i].revents = 0;
    return errno == EINTR ? 0 : -errno;
}

bool loop_ready(const struct loop *loop, int fd)
{
    for (unsigned int i = 0; i < loop->nr; i++) {
        if (loop->fds[i].fd == fd)
            return loop->fds[i].revents != 0;
    }
    return false;
}

/* Between two looks at a line that another processor writes: what keeps ours from running ahead, and its sibling fed. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

#define LOOKS_PER_TIME 16u /* the clock costs as much as some looks */

bool loop_spin(const struct loop_spin *spin, uint64_t until_ns)
{
    if (spin->ns == 0)
        return false;
    uint64_t now = loop_now_ns();
    uint64_t end = now + LOOP_SPIN_TURN_NS < until_ns ? now + LOOP_SPIN_TURN_NS : until_ns;
    uint64_t start = now, active = now;
    while (now < end && now - active < spin->ns) {
        unsigned int looks = 0;
        while (looks < LOOKS_PER_TIME && !spin->pending(spin->context)) {
            relax();
            looks++;
        }
        if (looks < LOOKS_PER_TIME)
            spin->poll(spin->context, now);
        now = loop_now_ns();
        if (looks < LOOKS_PER_TIME)
            active = now;
    }
    return now - active < spin->ns && active > start;
}

uint64_t loop_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int loop_signal_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}
