// SPDX-License-Identifier: MIT
/*
 * QEMU's backend from its start to its end, many times over: each life enumerates a disk, writes and reads
 * blocks, and ends in order. Nothing is left: no process, no file, no descriptor, no mapping. Two run side by
 * side, since each waits a lot; in a hurry, because a guest's waits for a port are most of a life. usage:
 * test_peer_lives [LIVES]
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <fakexen/fakexen.h>

#include "guest/storage.h"
#include "peer_bed.h"
#include "process/tree.h"

#define SIDE_BY_SIDE 2u
#define HURRY        4u
#define BLOCKS       64u
#define BYTES        (BLOCKS * 512u)

static unsigned int lives;
static char folder[64]; /* TMPDIR of one side */

static unsigned int count_entries(const char *path)
{
    unsigned int n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Shared ones, as grants and rings are; a sanitizer's own are private. */
static unsigned int count_mappings(void)
{
    char line[512];
    char shared;
    unsigned int n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        n += sscanf(line, "%*s %*3c%c", &shared) == 1 && shared == 's';
    fclose(maps);
    return n;
}

struct use {
    struct storage *storage;
    struct storage_request request;
    bool started, done;
};

static void started(void *context, struct storage *storage, int status)
{
    struct use *use = context;
    (void)storage;
    use->started = status == 0;
}

static void done(struct storage_request *request)
{
    struct use *use = request->context;
    use->done = request->status == 0;
}

static void gone(void *context, struct guest_device *device)
{
    struct use *use = context;
    (void)device;
    storage_destroy(use->storage);
}

static bool is_set(void *context)
{
    return *(const bool *)context;
}

static void move(struct bed *bed, struct use *use, bool write, void *buffer)
{
    use->done = false;
    use->request = (struct storage_request){
        .lba = 1, .blocks = BLOCKS, .write = write, .buffer = buffer, .done = done, .context = use};
    assert_int_equal(storage_submit(use->storage, &use->request), 0);
    bed_until(bed, is_set, &use->done, write ? "a write" : "a read");
}

static void live(struct bed *bed, unsigned int number)
{
    static const char *const devices[] = {"1-1=disk:1M"};
    struct use use = {0};
    uint8_t *buffer;
    bed->gone = gone;
    bed->context = &use;
    bed_begin(bed, devices, 1);
    pid_t group = peer_pid(bed->peer);
    assert_true(peer_qemu_pid(bed->peer) > 0);
    assert_int_equal(storage_create(bed_device(bed, 1), started, &use, &use.storage), 0);
    bed_until(bed, is_set, &use.started, "the disk starts");
    assert_int_equal(guest_buffer_alloc(bed->guest, BYTES, (void **)&buffer), 0);
    for (uint32_t i = 0; i < BYTES; i++)
        buffer[i] = (uint8_t)((i + number) * 2654435761u >> 24);
    move(bed, &use, true, buffer);
    memset(buffer, 0, BYTES);
    move(bed, &use, false, buffer);
    for (uint32_t i = 0; i < BYTES; i++)
        assert_int_equal(buffer[i], (uint8_t)((i + number) * 2654435761u >> 24));
    guest_buffer_free(bed->guest, buffer, BYTES);
    bed_end(bed);
    assert_int_equal(kill(-group, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void test_peer_lives_leave_nothing(void **state)
{
    static struct bed bed;
    struct fakexen_balance first;
    struct fakexen_balance now;
    unsigned int fds = 0;
    unsigned int mappings = 0;
    unsigned int files = 0;
    (void)state;
    bed_open(&bed);
    bed.hurry = HURRY;
    for (unsigned int i = 1; i <= lives; i++) {
        live(&bed, i);
        assert_int_equal(fakexen_client_machine_balance(bed.machine, &now), 0);
        if (i == 1) {
            first = now;
            fds = count_entries("/proc/self/fd");
            files = count_entries(folder);
            mappings = count_mappings();
        }
        assert_memory_equal(&now, &first, sizeof(now));
        assert_int_equal(count_entries("/proc/self/fd"), fds);
        assert_int_equal(count_entries(folder), files);
        assert_int_equal(count_mappings(), mappings);
    }
    bed_close(&bed);
    assert_int_equal(count_entries(folder), 2);
}

static int run_side(unsigned int n)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peer_lives_leave_nothing)};
    lives = n;
    if (tree_create(folder, sizeof(folder), "lives"))
        return 1;
    setenv("TMPDIR", folder, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tree_remove(folder);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned int n = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 1000;
    int failed = 0;
    int status;
    if (!bed_possible())
        return 77;
    for (unsigned int i = 0; i < SIDE_BY_SIDE; i++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            return run_side(n / SIDE_BY_SIDE);
        failed += pid < 0;
    }
    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%u lives of QEMU's backend, %u side by side\n", n, SIDE_BY_SIDE);
    return failed ? 1 : 0;
}
