// SPDX-License-Identifier: MIT
#include "cli/guest_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READY_FD 3

int guest_file_name(const char *dir, const char *name, enum guest_file which, char out[PATH_MAX])
{
    static const char *const ends[] = {[GUEST_PID] = ".pid", [GUEST_LOG] = ".log", [GUEST_USAGE] = ".usb"};
    int n = snprintf(out, PATH_MAX, "%s/guest/%s%s", dir, name, ends[which]);
    return n < 0 || n >= PATH_MAX || strchr(name, '/') ? -ENAMETOOLONG : 0;
}

int guest_files_begin(const char *dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/guest", dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int guest_pid_take(const char *dir, const char *name)
{
    char path[PATH_MAX];
    char text[24];
    int rc = guest_file_name(dir, name, GUEST_PID, path);
    if (rc)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        close(fd);
        return rc;
    }
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) || write(fd, text, (size_t)n) != n) {
        rc = -EIO;
        close(fd);
        return rc;
    }
    return fd;
}

/* A file that nobody has locked is of a process that has ended. */
pid_t guest_pid(const char *dir, const char *name)
{
    char path[PATH_MAX];
    char text[24] = "";
    if (guest_file_name(dir, name, GUEST_PID, path))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    bool dead = flock(fd, LOCK_SH | LOCK_NB) == 0;
    ssize_t n = dead ? 0 : read(fd, text, sizeof(text) - 1);
    close(fd);
    const long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 1 ? (pid_t)pid : 0;
}

/* In the child: nothing of the parent's stays but the log and the descriptor to say ready on. */
static void become(const char *log, int ready, const char *const *argv)
{
    int in = open("/dev/null", O_RDONLY);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600);
    setsid();
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        dup2(ready, READY_FD) < 0)
        _exit(1);
    (void)close_range(READY_FD + 1, ~0u, 0);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(1);
}

int guest_process_start(const char *dir, const char *name, const char *const *argv)
{
    char log[PATH_MAX];
    int ready[2];
    char byte;
    int rc = guest_file_name(dir, name, GUEST_LOG, log);
    if (!rc && pipe2(ready, O_CLOEXEC))
        rc = -errno;
    if (rc)
        return rc;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(log, ready[1], argv);
    close(ready[1]);
    ssize_t n = pid < 0 ? -1 : read(ready[0], &byte, 1);
    close(ready[0]);
    return pid < 0 ? -EAGAIN : n == 1 ? 0 : -ECHILD;
}

void guest_process_end(const char *dir, const char *name, uint64_t timeout_ms)
{
    char path[PATH_MAX];
    pid_t pid = guest_pid(dir, name);
    if (pid) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd end = {.fd = fd, .events = POLLIN};
        /* Between the look and the open the process may have ended, and another have its number. */
        if (fd >= 0 && guest_pid(dir, name) == pid && poll(&end, 1, (int)timeout_ms) == 0) {
            (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
            (void)poll(&end, 1, -1);
        }
        if (fd >= 0)
            close(fd);
    }
    if (!guest_file_name(dir, name, GUEST_USAGE, path))
        unlink(path);
    if (!guest_file_name(dir, name, GUEST_PID, path))
        unlink(path);
}

/* ---- what went through its ports ---- */

int guest_usage_write(const char *dir, const char *name, const struct guest_usage *usage)
{
    char path[PATH_MAX];
    char new[PATH_MAX + 8];
    int rc = guest_file_name(dir, name, GUEST_USAGE, path);
    if (rc)
        return rc;
    snprintf(new, sizeof(new), "%s.new", path);
    FILE *file = fopen(new, "we");
    if (!file)
        return -errno;
    fprintf(file, "%" PRIu64 "\n", usage->time_ns);
    for (unsigned int i = 0; i < usage->count; i++) {
        const struct vm_usage *port = &usage->port[i];
        fprintf(file, "%u %u %" PRIu64 " %" PRIu64 "\n", port->devid, port->port, port->urbs, port->bytes);
    }
    const bool written = !ferror(file);
    rc = fclose(file) || !written || rename(new, path) ? -EIO : 0;
    if (rc)
        unlink(new);
    return rc;
}

int guest_usage_read(const char *dir, const char *name, struct guest_usage *out)
{
    char path[PATH_MAX];
    int rc = guest_file_name(dir, name, GUEST_USAGE, path);
    *out = (struct guest_usage){.count = 0};
    if (rc)
        return rc;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    if (fscanf(file, "%" SCNu64, &out->time_ns) != 1)
        out->time_ns = 0;
    while (out->time_ns && out->count < GUEST_USAGES_MAX) {
        struct vm_usage *port = &out->port[out->count];
        if (fscanf(file, "%u %u %" SCNu64 " %" SCNu64, &port->devid, &port->port, &port->urbs,
                   &port->bytes) != 4)
            break;
        out->count++;
    }
    fclose(file);
    return 0;
}
