// SPDX-License-Identifier: MIT
/* See wire.h. */
#include "qtest/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_number(const char *line, const char *before, unsigned int n)
{
    size_t skip = strlen(before);
    return strncmp(line, before, skip) == 0 && strtoul(line + skip, NULL, 10) == n;
}

static void on_interrupt(struct qtest_wire *wire, const char *line)
{
    if (is_number(line, "IRQ raise ", wire->irq)) {
        wire->level = wire->raised = true;
        wire->interrupts++;
    } else if (is_number(line, "IRQ lower ", wire->irq)) {
        wire->level = false;
    }
}

/* Takes all lines that are there: interrupts, also behind an answer, and an answer. Whether there was one. */
static bool take_lines(struct qtest_wire *wire, uint64_t *value)
{
    bool answered = false;
    char *at = wire->in, *end;
    while ((end = memchr(at, '\n', wire->n - (size_t)(at - wire->in)))) {
        *end = 0;
        if (strncmp(at, "IRQ ", 4) == 0) {
            on_interrupt(wire, at);
        } else if (value && !answered && strncmp(at, "OK", 2) == 0) {
            *value = at[2] == ' ' ? strtoull(at + 3, NULL, 0) : 0;
            answered = true;
        } else {
            wire->dead = true; /* FAIL, or an answer that nobody asked for */
        }
        at = end + 1;
    }
    wire->n -= (size_t)(at - wire->in);
    memmove(wire->in, at, wire->n);
    return answered;
}

/* flags: MSG_DONTWAIT or 0. */
static bool receive(struct qtest_wire *wire, int flags)
{
    ssize_t n = recv(wire->fd, wire->in + wire->n, sizeof(wire->in) - wire->n, flags);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        wire->dead = true; /* it has ended, or its line is longer than any */
        return false;
    }
    wire->n += (size_t)n;
    return true;
}

uint64_t qtest_ask(struct qtest_wire *wire, const char *format, ...)
{
    char line[96];
    uint64_t value = UINT64_MAX;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    line[n++] = '\n';
    if (wire->dead || send(wire->fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
        wire->dead = true;
        return UINT64_MAX;
    }
    while (!wire->dead && !take_lines(wire, &value)) {
        struct pollfd fd = {.fd = wire->fd, .events = POLLIN};
        int rc = poll(&fd, 1, QTEST_PATIENCE_MS);
        if (rc > 0)
            (void)receive(wire, 0);
        else if (rc == 0 || errno != EINTR)
            wire->dead = true;
    }
    return wire->dead ? UINT64_MAX : value;
}

void qtest_listen(struct qtest_wire *wire)
{
    while (!wire->dead && receive(wire, MSG_DONTWAIT))
        (void)take_lines(wire, NULL);
}

static char letter(unsigned int size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : 'l';
}

static uint32_t ones(unsigned int size)
{
    return size == 1 ? 0xff : size == 2 ? 0xffff : 0xffffffff;
}

uint32_t qtest_read(struct qtest_wire *wire, bool io, uint64_t address, unsigned int size)
{
    const char *command = io ? "in" : "read";
    uint64_t value = qtest_ask(wire, "%s%c 0x%llx", command, letter(size), (unsigned long long)address);
    return (uint32_t)value & ones(size);
}

void qtest_write(struct qtest_wire *wire, bool io, uint64_t address, unsigned int size, uint32_t value)
{
    const char *command = io ? "out" : "write";
    (void)qtest_ask(wire, "%s%c 0x%llx 0x%x", command, letter(size), (unsigned long long)address,
                    value & ones(size));
}

void qtest_pci_write(struct qtest_wire *wire, unsigned int slot, unsigned int offset, uint32_t value)
{
    qtest_write(wire, true, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfcu));
    qtest_write(wire, true, 0xcfc, 4, value);
}
