// SPDX-License-Identifier: MIT
/* Goal: what the programs say and with which code they end when the machine, or the other half, ends. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "death_process.h"

/* A fresh disk: FNV-1a of 65536 zeroes. */
#define READ_64K "read 65536 bytes, checksum eb05052ea5b62325"

struct lab {
    char dir[64];
    char machine[80];
    char program[512];
    struct process host;
    struct process back;
    struct process front;
};

/* The next line, waited for; "" at the end of the output. */
static const char *next_line(struct process *process)
{
    static char line[PROCESS_LINE_MAX];
    if (process->out >= 0)
        fcntl(process->out, F_SETFL, 0);
    if (!process_line(process, line))
        line[0] = '\0';
    return line;
}

static int exit_code(struct process *process)
{
    int status = process_wait(process);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void start_host(struct lab *lab)
{
    const char *const argv[] = {lab->program, "host", "--dir", lab->dir, NULL};
    assert_int_equal(process_start(&lab->host, "host", argv), 0);
    assert_non_null(strstr(next_line(&lab->host), "machine ready in "));
}

static void start_back(struct lab *lab, const char *option)
{
    const char *const argv[] = {lab->program, "backend",  "--xen",       lab->machine, "--guest",
                                "1",          "--device", "1-1=disk:1M", option,       NULL};
    assert_int_equal(process_start(&lab->back, "backend", argv), 0);
    assert_string_equal(next_line(&lab->back), "backend ready in domain 0");
}

static void start_front(struct lab *lab, const char *option, const char *value)
{
    const char *const argv[] = {lab->program, "frontend", "--xen", lab->machine, "--domid", "1", option, value, NULL};
    assert_int_equal(process_start(&lab->front, "frontend", argv), 0);
}

static void await_disk(struct lab *lab)
{
    const char *line;
    do {
        line = next_line(&lab->front);
        assert_true(line[0] != '\0');
    } while (strncmp(line, "disk: ", 6) != 0);
}

static int set_up(void **state)
{
    static struct lab lab;
    const char *bin = getenv("PVUSB_BIN");
    const char *tmp = getenv("TMPDIR");
    if (!bin)
        return -1;
    memset(&lab, 0, sizeof(lab));
    snprintf(lab.dir, sizeof(lab.dir), "%s/pvusb-death-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(lab.dir))
        return -1;
    snprintf(lab.machine, sizeof(lab.machine), "fake:%s", lab.dir);
    snprintf(lab.program, sizeof(lab.program), "%s/pvusb", bin);
    *state = &lab;
    start_host(&lab);
    start_back(&lab, NULL);
    return 0;
}

static int tear_down(void **state)
{
    struct lab *lab = *state;
    struct process *all[] = {&lab->front, &lab->back, &lab->host};
    for (size_t i = 0; i < 3; i++) {
        if (all[i]->pid > 0) {
            kill(all[i]->pid, SIGTERM);
            process_wait(all[i]);
        }
    }
    return rmdir(lab->dir);
}

static void test_death_host_balance_zero(void **state)
{
    struct lab *lab = *state;
    start_front(lab, "--read", "64K");
    await_disk(lab);
    assert_string_equal(next_line(&lab->front), READ_64K);
    assert_int_equal(exit_code(&lab->front), 0);
    kill(lab->back.pid, SIGKILL);
    process_wait(&lab->back);
    kill(lab->host.pid, SIGTERM);
    assert_string_equal(next_line(&lab->host), "balance: all zero");
    assert_string_equal(next_line(&lab->host), "");
    assert_int_equal(exit_code(&lab->host), 0);
}

/* What clients that are still there have is named, and is no leak. Each of them ends with one line. */
static void balance_named(struct lab *lab, const char *option, const char *pages)
{
    start_front(lab, "--no-persistent", option); /* else pages are open, too, as many as the disk took */
    await_disk(lab);
    kill(lab->host.pid, SIGTERM);
    const char *line = next_line(&lab->host);
    assert_int_equal(strncmp(line, "balance: 3 handles, ", 20), 0);
    assert_non_null(strstr(line, pages));
    assert_non_null(strstr(line, " watches, "));
    assert_non_null(strstr(line, " 20 fds left open"));
    assert_int_equal(exit_code(&lab->host), 0);
    assert_string_equal(next_line(&lab->back), "pvusb backend: the machine is gone");
    assert_string_equal(next_line(&lab->back), "");
    assert_int_equal(exit_code(&lab->back), 3);
    assert_string_equal(next_line(&lab->front), "port 1: gone");
    assert_string_equal(next_line(&lab->front), "pvusb frontend: the machine is gone");
    assert_string_equal(next_line(&lab->front), "");
    assert_int_equal(exit_code(&lab->front), 3);
}

static void test_death_host_balance_named(void **state)
{
    balance_named(*state, NULL, " 9 grants, 9 maps, 2 ports, ");
}

/* --ring-pages of the frontend, and of the backend, of which the smaller counts. */
static void test_death_host_balance_of_rings(void **state)
{
    balance_named(*state, "--ring-pages=2", " 3 grants, 3 maps, 2 ports, ");
}

static void test_death_host_balance_of_smaller_rings(void **state)
{
    struct lab *lab = *state;
    kill(lab->back.pid, SIGTERM);
    process_wait(&lab->back);
    start_back(lab, "--ring-pages=1");
    balance_named(lab, "--ring-pages=4", " 2 grants, 2 maps, 2 ports, ");
}

static void test_death_frontend_returns(void **state)
{
    struct lab *lab = *state;
    start_front(lab, NULL, NULL);
    await_disk(lab);
    for (int i = 0; i < 2; i++) {
        kill(lab->back.pid, SIGKILL);
        process_wait(&lab->back);
        assert_string_equal(next_line(&lab->front), "disconnected: the backend is gone without closing");
        assert_string_equal(next_line(&lab->front), "port 1: gone");
        start_back(lab, NULL);
        assert_string_equal(next_line(&lab->front), "connected: 1 ports");
        await_disk(lab);
    }
    kill(lab->front.pid, SIGKILL);
    process_wait(&lab->front);
    assert_string_equal(next_line(&lab->back), "qusb-1-0: the frontend is gone without closing");
}

static void test_death_frontend_does_not_return(void **state)
{
    struct lab *lab = *state;
    start_front(lab, "--no-reconnect", NULL);
    await_disk(lab);
    kill(lab->back.pid, SIGKILL);
    process_wait(&lab->back);
    assert_string_equal(next_line(&lab->front), "disconnected: the backend is gone without closing");
    assert_string_equal(next_line(&lab->front), "port 1: gone");
    assert_string_equal(next_line(&lab->front), "pvusb frontend: the backend closed or died");
    assert_int_equal(exit_code(&lab->front), 3);
}

/* Where the dead one had come to, nobody knows: --read waits for the next one. */
static void test_death_read_waits(void **state)
{
    struct lab *lab = *state;
    kill(lab->back.pid, SIGKILL);
    process_wait(&lab->back);
    start_front(lab, "--read", "64K");
    start_back(lab, NULL);
    await_disk(lab);
    assert_string_equal(next_line(&lab->front), READ_64K);
    assert_int_equal(exit_code(&lab->front), 0);
}

int main(void)
{
#define CLI_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLI_TEST(test_death_host_balance_zero),
        CLI_TEST(test_death_host_balance_named),
        CLI_TEST(test_death_host_balance_of_rings),
        CLI_TEST(test_death_host_balance_of_smaller_rings),
        CLI_TEST(test_death_frontend_returns),
        CLI_TEST(test_death_frontend_does_not_return),
        CLI_TEST(test_death_read_waits),
    };
    if (!getenv("PVUSB_BIN")) {
        puts("skip: PVUSB_BIN names no folder with the programs");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
