// SPDX-License-Identifier: MIT
/* Goal: no interrupt is lost on the qtest socket, wherever its line stands among the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "qtest/wire.h"

static void test_qtest_lines(void **state)
{
    static const struct {
        const char *lines;
        bool raised, level, dead;
    } rows[] = {
        {"OK 0x12\n", false, false, false},
        {"IRQ raise 10\nOK 0x12\n", true, true, false},
        {"OK 0x12\nIRQ raise 10\n", true, true, false}, /* with one read: nobody would look at the rest */
        {"OK 0x12\nIRQ raise 10\nIRQ lower 10\n", true, false, false},
        {"OK 0x12\nIRQ raise 11\n", false, false, false},
        {"OK 0x12\nOK 0x13\n", false, false, true}, /* nobody asked for it */
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd[2];
        char asked[16];
        ssize_t n = (ssize_t)strlen(rows[i].lines);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        struct qtest_wire wire = {.fd = fd[0], .irq = 10};
        assert_int_equal(write(fd[1], rows[i].lines, (size_t)n), n);
        assert_int_equal(qtest_ask(&wire, "readl 0x1"), rows[i].dead ? UINT64_MAX : 0x12);
        assert_int_equal(read(fd[1], asked, sizeof(asked)), 10);
        assert_memory_equal(asked, "readl 0x1\n", 10);
        assert_int_equal(wire.raised, rows[i].raised);
        assert_int_equal(wire.level, rows[i].level);
        assert_int_equal(wire.dead, rows[i].dead);
        close(fd[0]);
        close(fd[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_qtest_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
