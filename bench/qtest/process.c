// SPDX-License-Identifier: MIT
/* See process.h. */
#include "qtest/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIOS_BYTES 65536u
#define WORDS_MAX  96u

static const char *const virtual_programs[] = {"/usr/libexec/xen-qemu-system-i386", NULL};
static const char *const real_programs[] = {"/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-i386", NULL};

const char *qtest_program(enum qtest_clock clock, const char **reason)
{
    const char *const *p = clock == QTEST_VIRTUAL ? virtual_programs : real_programs;
    *reason = clock == QTEST_VIRTUAL ? "package qemu-system-xen is not installed"
                                     : "package qemu-system-x86 is not installed";
    while (*p && access(*p, X_OK))
        p++;
    return *p;
}

static int file_in_memory(const char *name, size_t size)
{
    int fd = memfd_create(name, 0); /* inherited */
    if (fd >= 0 && ftruncate(fd, (off_t)size)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* What the processor does when the power comes: it sleeps without being woken. */
static int make_bios(void)
{
    static const uint8_t reset[] = {0xfa, 0xf4, 0xeb, 0xfd}; /* cli; hlt; jmp to the hlt */
    int fd = file_in_memory("bios", BIOS_BYTES);
    if (fd >= 0 && pwrite(fd, reset, sizeof(reset), BIOS_BYTES - 16) != (ssize_t)sizeof(reset)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- the command line ---- */

struct words {
    char *word[WORDS_MAX + 1];
    unsigned int n;
};

static void __attribute__((format(printf, 2, 3))) add(struct words *words, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (words->n < WORDS_MAX)
        words->word[words->n++] = strdup(text);
}

static void free_words(struct words *words)
{
    for (unsigned int i = 0; i < words->n; i++)
        free(words->word[i]);
}

static void add_device(struct words *words, const struct qtest_config *config)
{
    add(words, "-device");
    switch (config->controller) {
    case QTEST_UHCI:
        if (config->uhci_bandwidth)
            add(words, "piix3-usb-uhci,id=hc,addr=04.0,bandwidth=%u", config->uhci_bandwidth);
        else
            add(words, "piix3-usb-uhci,id=hc,addr=04.0");
        break;
    case QTEST_EHCI:
        add(words, "usb-ehci,id=hc,addr=04.0");
        break;
    case QTEST_XHCI:
        add(words, "qemu-xhci,id=hc,addr=04.0,p2=4,p3=0");
        break;
    }
}

static void command_line(struct words *words, const struct qtest_config *config, const char *program,
                         unsigned int mib, int socket, int bios, int memory)
{
    static const char *const fixed[] = {"-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"};
    add(words, "%s", program);
    for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        add(words, "%s", fixed[i]);
    add(words, "-accel");
    add(words, config->clock == QTEST_VIRTUAL ? "qtest" : "tcg");
    add(words, "-machine");
    add(words, "pc,memory-backend=ram,usb=off,hpet=off,acpi=off");
    add(words, "-m");
    add(words, "%u", mib);
    add(words, "-object");
    add(words, "memory-backend-file,id=ram,mem-path=/dev/fd/%d,share=on,size=%uM", memory, mib);
    add(words, "-bios");
    add(words, "/dev/fd/%d", bios);
    add(words, "-chardev");
    add(words, "socket,id=qtest,fd=%d", socket);
    add(words, "-object");
    add(words, "qtest,id=questions,chardev=qtest,log=none");
    add_device(words, config);
    for (unsigned int i = 0; config->arguments && config->arguments[i]; i++)
        add(words, "%s", config->arguments[i]);
    words->word[words->n] = NULL;
}

static void __attribute__((noreturn))
become(const struct qtest_config *config, char **words, int said, pid_t parent)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(nothing, 0);
    dup2(said, 1);
    dup2(said, 2);
    if (config->before_exec)
        config->before_exec(config->context);
    execv(words[0], words);
    dprintf(2, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* ---- lifetime ---- */

static int start(const struct qtest_config *config, const char *program, size_t size, struct qtest_process *p)
{
    int pair[2] = {-1, -1}, bios = make_bios(), memory = file_in_memory("ram", size), rc = -errno;
    struct words words = {.n = 0};
    p->said = memfd_create("said", MFD_CLOEXEC);
    if (bios < 0 || memory < 0 || p->said < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        rc = -errno;
        goto out;
    }
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    p->socket = pair[0];
    p->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    p->size = size;
    if (p->memory == MAP_FAILED) {
        p->memory = NULL;
        rc = -errno;
        goto out;
    }
    command_line(&words, config, program, (unsigned int)(size >> 20), pair[1], bios, memory);
    pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0)
        become(config, words.word, p->said, parent);
    rc = p->pid < 0 ? -errno : 0;
out:
    free_words(&words);
    if (bios >= 0)
        close(bios);
    if (memory >= 0)
        close(memory);
    if (pair[1] >= 0)
        close(pair[1]);
    return rc;
}

int qtest_process_start(const struct qtest_config *config, size_t size, struct qtest_process *out,
                        char *error, size_t error_size)
{
    const char *reason = NULL, *program = config->program;
    *out = (struct qtest_process){.socket = -1, .said = -1};
    if (!program)
        program = qtest_program(config->clock, &reason);
    if (!program) {
        snprintf(error, error_size, "%s", reason);
        return -ENOPKG;
    }
    int rc = start(config, program, size, out);
    if (rc) {
        snprintf(error, error_size, "%s: %s", program, strerror(-rc));
        qtest_process_end(out);
    }
    return rc;
}

void qtest_process_said(const struct qtest_process *process, char *line, size_t size)
{
    char text[4096];
    off_t length = lseek(process->said, 0, SEEK_END);
    off_t from = length > (off_t)sizeof(text) - 1 ? length - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = pread(process->said, text, sizeof(text) - 1, from);
    n = n < 0 ? 0 : n;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = 0;
    const char *last = strrchr(text, '\n');
    snprintf(line, size, "%s", last ? last + 1 : text);
}

void qtest_process_end(struct qtest_process *process)
{
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (process->socket >= 0)
        close(process->socket);
    if (process->said >= 0)
        close(process->said);
    if (process->memory)
        munmap(process->memory, process->size);
    *process = (struct qtest_process){.socket = -1, .said = -1};
}
