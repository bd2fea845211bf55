// SPDX-License-Identifier: MIT
/*
 * Debian's own xenstore programs on the host's sockets, unmodified: each as domain 0 and as a guest. A row is
 * a command, the socket it is given, its exit status and what it writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "machine_host.h"

#define OUTPUT_MAX 65536

/* The machine of machine.h, and the folder of its sockets. */
static const char *folder(struct test_machine *test)
{
    const struct host_form *form = test->form;
    return form->dir;
}

static void choose_socket(struct test_machine *test, domid_t domid)
{
    char path[128];
    if (domid)
        snprintf(path, sizeof(path), "%s/domain/%u/xenstored.socket", folder(test), (unsigned int)domid);
    else
        snprintf(path, sizeof(path), "%s/xenstored.socket", folder(test));
    assert_int_equal(setenv("XENSTORED_PATH", path, 1), 0);
}

/* Runs a shell command; returns its exit status and all that it wrote, errors too. */
static int run(struct test_machine *test, domid_t domid, const char *command, char *output)
{
    choose_socket(test, domid);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, OUTPUT_MAX - 1, pipe);
    output[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

struct row {
    domid_t as;
    const char *command;
    int status;
    const char *output;
};

static void run_rows(struct test_machine *test, const struct row *rows, size_t count)
{
    char *output = malloc(OUTPUT_MAX);
    assert_non_null(output);
    for (size_t i = 0; i < count; i++) {
        char command[512];
        snprintf(command, sizeof(command), "{ %s; } 2>&1", rows[i].command);
        int status = run(test, rows[i].as, command, output);
        if (status != rows[i].status || strcmp(output, rows[i].output) != 0)
            fail_msg("'%s' as %u: status %d and '%s' instead of %d and '%s'", rows[i].command,
                     (unsigned int)rows[i].as, status, output, rows[i].status, rows[i].output);
    }
    free(output);
}

#define RUN(rows) run_rows(*state, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_tools_read_and_write(void **state)
{
    const struct row rows[] = {
        {0, "xenstore-write /a/b one /a/c 'two \\x01'", 0, ""},
        {0, "xenstore-read /a/b", 0, "one\n"},
        {0, "xenstore-read -p /a/b /a/c", 0, "/a/b: one\n/a/c: two \\001\n"},
        {0, "xenstore-read -R /a/b", 0, "one"},
        {0, "xenstore read /a/b", 0, "one\n"},
        {0, "xenstore-read /a/none", 1, "xenstore-read: couldn't read path /a/none\n"},
        {0, "xenstore-write /a//b x", 1, "xenstore-write: could not write path /a//b\n"},
        {0, "xenstore-read domid", 0, "0\n"},
        {GUEST, "xenstore-read domid", 0, "5\n"},
        {GUEST, "xenstore-read /local/domain/5/name", 0, "Domain-5\n"},
        {GUEST, "xenstore-read /local/domain/7/name", 1,
         "xenstore-read: couldn't read path /local/domain/7/name\n"},
        {GUEST, "xenstore-write data/x mine", 0, ""},
        {0, "xenstore-read /local/domain/5/data/x", 0, "mine\n"},
        {GUEST, "xenstore-write name other", 1, "xenstore-write: could not write path name\n"},
        /* All or nothing: two writes are one transaction. */
        {GUEST, "xenstore-write data/y 1 name 2", 1, "xenstore-write: could not write path name\n"},
        {GUEST, "xenstore-exists data/y", 1, ""},
        {OTHER, "xenstore-read /local/domain/5/data/x", 1,
         "xenstore-read: couldn't read path /local/domain/5/data/x\n"},
    };
    RUN(rows);
}

static void test_tools_list(void **state)
{
    const struct row rows[] = {
        {0, "xenstore-write /d/one 1 /d/two 2 /d/two/three 3", 0, ""},
        {0, "xenstore-list /d", 0, "one\ntwo\n"},
        {0, "xenstore-list -p /d", 0, "/d/one\n/d/two\n"},
        {0, "xenstore-list /none", 1, "xenstore-list: could not list path /none\n"},
        {0, "xenstore-ls /d", 0, "one = \"1\"\ntwo = \"2\"\n three = \"3\"\n"},
        {0, "xenstore-ls -f /d", 0, "/d/one = \"1\"\n/d/two = \"2\"\n/d/two/three = \"3\"\n"},
        {0, "xenstore-ls -f -p /d", 0,
         "/d/one = \"1\"   (n0)\n/d/two = \"2\"   (n0)\n/d/two/three = \"3\"   (n0)\n"},
        {0, "xenstore-ls | head -n 3", 0, "tool = \"\"\n xenstored = \"\"\nlocal = \"\"\n"},
        {0, "xenstore-exists /d/one", 0, ""},
        {0, "xenstore-exists /d/none", 1, ""},
        {GUEST, "xenstore-list /local/domain/5", 0,
         "domid\nname\ndevice\ndata\nerror\ndrivers\nattr\nfeature\n"},
        {GUEST, "xenstore-list /local/domain/7", 1, "xenstore-list: could not list path /local/domain/7\n"},
        {GUEST, "xenstore-ls /local/domain/7", 1,
         "xenstore-ls: xs_directory (/local/domain/7): Permission denied\n"},
        {GUEST, "xenstore-exists name", 0, ""},
        {GUEST, "xenstore-exists /local/domain/7/name", 1, ""},
    };
    RUN(rows);
}

static void test_tools_rm(void **state)
{
    const struct row rows[] = {
        {0, "xenstore-write /r/a/b/c 1 /r/x 1", 0, ""},
        {0, "xenstore-rm /r/a/b", 0, ""},
        {0, "xenstore-ls /r", 0, "a = \"\"\nx = \"1\"\n"},
        {0, "xenstore-write /r/t/u/v 1", 0, ""},
        {0, "xenstore-rm -t /r/t/u/v", 0, ""},
        {0, "xenstore-ls /r", 0, "a = \"\"\nx = \"1\"\n"},
        {0, "xenstore-rm /r/none", 0, ""},
        {0, "xenstore-rm /r/none/none", 1, "xenstore-rm: could not remove path /r/none/none\n"},
        {GUEST, "xenstore-rm /r/x", 1, "xenstore-rm: could not remove path /r/x\n"},
        {GUEST, "xenstore-write data/x 1", 0, ""},
        {GUEST, "xenstore-rm data/x", 0, ""},
        {GUEST, "xenstore-rm /local/domain/7/data", 1,
         "xenstore-rm: could not remove path /local/domain/7/data\n"},
        {0, "xenstore-rm /r", 0, ""},
        {0, "xenstore-exists /r", 1, ""},
    };
    RUN(rows);
}

static void test_tools_chmod(void **state)
{
    const struct row rows[] = {
        {0, "xenstore-write /p/a/b secret", 0, ""},
        {0, "xenstore-chmod /p/a/b n0", 0, ""},
        {GUEST, "xenstore-read /p/a/b", 1, "xenstore-read: couldn't read path /p/a/b\n"},
        {0, "xenstore-chmod /p/a/b n0 r5", 0, ""},
        {GUEST, "xenstore-read /p/a/b", 0, "secret\n"},
        {OTHER, "xenstore-read /p/a/b", 1, "xenstore-read: couldn't read path /p/a/b\n"},
        {0, "xenstore-ls -f -p /p", 0, "/p/a = \"\"   (n0)\n/p/a/b = \"secret\"   (n0,r5)\n"},
        {0, "xenstore-chmod -r /p b7", 0, ""},
        {0, "xenstore-ls -f -p /p", 0, "/p/a = \"\"   (b7)\n/p/a/b = \"secret\"   (b7)\n"},
        {GUEST, "xenstore-chmod /p/a n5", 1,
         "xenstore-chmod: Error occurred setting permissions on '/p/a': Permission denied\n"},
        {GUEST, "xenstore-chmod data n7", 1,
         "xenstore-chmod: Error occurred setting permissions on 'data': Operation not permitted\n"},
        {GUEST, "xenstore-chmod data n5 r7", 0, ""},
        {OTHER, "xenstore-ls /local/domain/5/data", 0, ""},
        {GUEST, "xenstore-chmod data n5 r1 r2 r3 r4 r6", 1,
         "xenstore-chmod: Error occurred setting permissions on 'data': No space left on device\n"},
        {0, "xenstore-chmod -u /p/a/b n5", 0, ""},
        {0, "xenstore-ls -f -p /p", 0, "/p/a = \"\"   (n5)\n/p/a/b = \"secret\"   (n5)\n"},
        {0, "xenstore-chmod @releaseDomain n0 r5", 0, ""},
        {GUEST, "xenstore-chmod @releaseDomain n5", 1,
         "xenstore-chmod: Error occurred setting permissions on '@releaseDomain': Permission denied\n"},
    };
    RUN(rows);
}

/* The first line is that of the watch being set: what is done then is seen. */
static void watched(struct test_machine *test, domid_t domid, const char *watch, const char *doing,
                    const char *expected)
{
    char output[4096];
    char command[512];
    size_t length = 0;
    choose_socket(test, domid);
    snprintf(command, sizeof(command), "xenstore-watch %s 2>&1", watch);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(output, sizeof(output), pipe));
    if (doing) {
        const struct row row = {0, doing, 0, ""};
        run_rows(test, &row, 1);
    }
    length = strlen(output);
    length += fread(output + length, 1, sizeof(output) - 1 - length, pipe);
    output[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(output, expected);
}

static void test_tools_watch(void **state)
{
    struct test_machine *test = *state;
    watched(test, 0, "-n 1 /w", NULL, "/w\n");
    watched(test, 0, "-n 3 /w", "xenstore-write /w/x 1; xenstore-rm /w", "/w\n/w/x\n/w\n");
    watched(test, GUEST, "-n 2 data", "xenstore-write /local/domain/5/data/k 1", "data\ndata/k\n");
    watched(test, GUEST, "-n 2 /local/domain/5/data", "xenstore-write /local/domain/5/data/k 1",
            "/local/domain/5/data\n/local/domain/5/data/k\n");
    /* What it may not read it is not told of. */
    watched(test, GUEST, "-n 3 /local/domain/7 data",
            "xenstore-write /local/domain/7/data/k 1; xenstore-write /local/domain/5/data/k 1",
            "/local/domain/7\ndata\ndata/k\n");
    const char *doing = "xenstore-chmod @releaseDomain n0 r5";
    const struct row row = {0, doing, 0, ""};
    run_rows(test, &row, 1);
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), 0);
    choose_socket(test, GUEST);
    FILE *pipe = popen("xenstore-watch -n 2 @releaseDomain", "r");
    char line[64];
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 9), 0);
    assert_non_null(fgets(line, sizeof(line), pipe));
    assert_string_equal(line, "@releaseDomain\n");
    assert_int_equal(pclose(pipe), 0);
}

/* The token of xenstore-watch is the path, and may be as long. */
static void test_tools_watch_long_path(void **state)
{
    char path[2001];
    char command[2100];
    char expected[2100];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    snprintf(command, sizeof(command), "xenstore-watch -n 1 %s", path);
    snprintf(expected, sizeof(expected), "%s\n", path);
    char *output = malloc(OUTPUT_MAX);
    assert_non_null(output);
    assert_int_equal(run(*state, GUEST, command, output), 0);
    assert_string_equal(output, expected);
    free(output);
}

/* More names than a message holds: libxenstore asks for parts. */
static void test_tools_large_directory(void **state)
{
    struct test_machine *test = *state;
    char path[64];
    char *output = malloc(OUTPUT_MAX);
    assert_non_null(output);
    for (unsigned int i = 0; i < 1500; i++) {
        snprintf(path, sizeof(path), "/many/a-name-of-some-length-%04u", i);
        assert_int_equal(CALL(test->dom0, xs_write, 0, path, "v", 1), 0);
    }
    assert_int_equal(run(test, 0, "xenstore-list /many", output), 0);
    const char *at = output;
    for (unsigned int i = 0; i < 1500; i++) {
        int length = snprintf(path, sizeof(path), "a-name-of-some-length-%04u\n", i);
        assert_memory_equal(at, path, (size_t)length);
        at += length;
    }
    assert_string_equal(at, "");
    assert_int_equal(run(test, 0, "xenstore-ls /many | sort -u | wc -l", output), 0);
    assert_int_equal(strtoul(output, NULL, 10), 1500);
    /* A guest with its quota full of nodes can still be listed. */
    assert_int_equal(run(test, GUEST,
                         "for i in $(seq 1 200); do echo data/d$((i % 20))/n$i x; done |"
                         " xargs -n 40 xenstore-write; xenstore-ls data | wc -l",
                         output),
                     0);
    assert_int_equal(strtoul(output, NULL, 10), 220);
    free(output);
}

/* As the machine's processes see what the programs do, and the other way round. */
static void test_tools_and_handles(void **state)
{
    struct test_machine *test = *state;
    char buf[XEN_XS_PAYLOAD_MAX];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(CALL(test->guest, xs_watch, "data", "t"), 0);
    assert_int_equal(CALL(test->guest, xs_watch_read, buf, token), 0);
    const struct row rows[] = {{0, "xenstore-write /local/domain/5/data/from-tool 1", 0, ""}};
    RUN(rows);
    assert_int_equal(CALL(test->guest, xs_watch_read, buf, token), 0);
    assert_string_equal(buf, "data/from-tool");
    assert_int_equal(CALL(test->guest, xs_read, 0, "data/from-tool", buf, sizeof(buf)), 1);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/from-handle", "2", 1), 0);
    const struct row more[] = {{GUEST, "xenstore-read data/from-handle", 0, "2\n"}};
    RUN(more);
}

int main(void)
{
    static const char *const tools[] = {"ls", "read", "write", "rm", "chmod", "watch", "exists", "list"};
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        char command[64];
        snprintf(command, sizeof(command), "command -v xenstore-%s >/dev/null", tools[i]);
        if (system(command)) {
            printf("skip: xenstore-%s is not installed (package xenstore-utils)\n", tools[i]);
            return 77;
        }
    }
#define TOOLS_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        TOOLS_TEST(test_tools_read_and_write),
        TOOLS_TEST(test_tools_list),
        TOOLS_TEST(test_tools_rm),
        TOOLS_TEST(test_tools_chmod),
        TOOLS_TEST(test_tools_watch),
        TOOLS_TEST(test_tools_watch_long_path),
        TOOLS_TEST(test_tools_large_directory),
        TOOLS_TEST(test_tools_and_handles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
