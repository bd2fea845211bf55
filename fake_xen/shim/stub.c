// SPDX-License-Identifier: MIT
#include "stub.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct stub *called;

/* One write() to a file opened for appending: lines of several processes do not mix. */
static void log_line(const struct stub *stub, const char *what)
{
    char line[256];
    const char *path = getenv("FAKEXEN_LOG");
    if (!path || !*path)
        return;
    int length = snprintf(line, sizeof(line), "%ld %s: %s\n", (long)getpid(), stub->name, what);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    (void)!write(fd, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
    close(fd);
}

void stub_called(struct stub *stub)
{
    pthread_mutex_lock(&mutex);
    if (!stub->calls++) {
        stub->next = called;
        called = stub;
        log_line(stub, "first call, not there in the fake (ENOSYS)");
    }
    pthread_mutex_unlock(&mutex);
    errno = ENOSYS;
}

__attribute__((destructor)) static void log_counts(void)
{
    pthread_mutex_lock(&mutex);
    for (const struct stub *stub = called; stub; stub = stub->next) {
        char count[32];
        snprintf(count, sizeof(count), "%u calls in all", stub->calls);
        log_line(stub, count);
    }
    pthread_mutex_unlock(&mutex);
}
