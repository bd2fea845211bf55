// SPDX-License-Identifier: MIT
#include "death_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int process_start(struct process *process, const char *name, const char *const argv[])
{
    int ends[2];
    *process = (struct process){.name = name, .out = -1};
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -EAGAIN;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    process->pid = pid;
    process->out = ends[0];
    return 0;
}

static bool cut_line(struct process *process, char line[PROCESS_LINE_MAX])
{
    char *end = memchr(process->line, '\n', process->length);
    size_t n = end ? (size_t)(end - process->line) : process->length;
    if (!end && process->length < sizeof(process->line))
        return false;
    memcpy(line, process->line, n);
    line[n] = '\0';
    size_t used = end ? n + 1 : n;
    process->length -= used;
    memmove(process->line, process->line + used, process->length);
    return true;
}

bool process_line(struct process *process, char line[PROCESS_LINE_MAX])
{
    while (!cut_line(process, line)) {
        if (process->out < 0)
            return false;
        ssize_t n = read(process->out, process->line + process->length, sizeof(process->line) - process->length);
        if (n < 0)
            return false;
        if (n == 0) {
            close(process->out);
            process->out = -1;
            return false;
        }
        process->length += (size_t)n;
    }
    return true;
}

int process_wait(struct process *process)
{
    int status = 0;
    while (process->pid > 0 && waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
    if (process->out >= 0)
        close(process->out);
    process->out = -1;
    return status;
}

int directory_entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return n;
}

int process_fds(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    return directory_entries(path);
}
