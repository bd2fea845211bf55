// SPDX-License-Identifier: MIT
/*
 * Goal: the guest's storage driver moves every byte to its place, and recovers from whatever a disk does, as
 * the bulk-only transport 1.0 (BOT) says. The setting is that of test_guest.c.
 */
#include <inttypes.h>

#include "test/test_guest_util.h"

static uint32_t prng(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 16);
}

/*
 * storage.h: any number of blocks at any offset of a buffer; a model in memory says what the disk must
 * hold.
 */
static void test_guest_read_write(void **state)
{
    (void)state;
    const char *text = getenv("PVUSB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240229, x = seed | 1;
    print_message("seed %" PRIu64 " (PVUSB_SEED)\n", seed);
    for (unsigned int speed = USBIF_SPEED_FULL; speed <= USBIF_SPEED_HIGH; speed++) {
        struct world w;
        uint8_t *buffer, *model = calloc(1, DISK_BYTES);
        assert_non_null(model);
        world_open_disk(&w, new_disk((uint8_t)speed), &buffer);
        for (unsigned int i = 0; i < 60; i++) {
            uint32_t at = prng(&x) % 4096, most = (BUFFER - 4096) / 512;
            uint32_t blocks = 1 + prng(&x) % (i % 4 ? 20 : most);
            uint32_t lba = prng(&x) % (DISK_BYTES / 512 - blocks + 1);
            bool write = prng(&x) % 2;
            for (uint32_t b = 0; write && b < blocks * 512; b++)
                buffer[at + b] = model[lba * 512 + b] = (uint8_t)prng(&x);
            if (!write)
                memset(buffer + at, 0xa5, blocks * 512);
            if (run_request(&w, lba, blocks, write, buffer + at) ||
                memcmp(buffer + at, model + lba * 512, blocks * 512))
                fail_msg("seed %" PRIu64 ": %s of %u blocks at %u differs", seed, write ? "write" : "read",
                         blocks, lba);
        }
        uint64_t bytes;
        assert_memory_equal(disk_memory(sim_host_device(w.sim, "1-1"), &bytes), model, DISK_BYTES);
        assert_int_equal(storage_stats(w.storage).recoveries, 0);
        free(model);
        world_close_disk(&w, buffer);
    }
}

/*
 * storage.h: what lies beyond the end is refused before it costs a command; 120 KiB is the most per
 * command.
 */
static void test_guest_limits(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    world_open_disk(&w, new_disk(USBIF_SPEED_HIGH), &buffer);
    uint64_t before = storage_stats(w.storage).commands;
    assert_int_equal(run_request(&w, DISK_BYTES / 512, 1, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, DISK_BYTES / 512 - 1, 2, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, UINT64_MAX, 2, false, buffer), -EINVAL);
    assert_int_equal(run_request(&w, 0, 0, false, buffer), -EINVAL);
    assert_int_equal(storage_stats(w.storage).commands, before);
    assert_int_equal(run_request(&w, 0, 241, false, buffer), 0); /* one block more than 120 KiB */
    assert_int_equal(storage_stats(w.storage).commands, before + 2);
    world_close_disk(&w, buffer);
}

/* BOT 6.7.2 and 5.3.4: a medium error in mid-data is halted, cleared, explained; the disk works on. */
static void test_guest_medium_error(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    world_open_disk(&w, new_disk(USBIF_SPEED_HIGH), &buffer);
    /* In the first URB of a command of two, in the second, and in the second command. */
    static const uint64_t bad[] = {0, 7, 119, 120, 200, 239, 240, 300};
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        disk_set_bad(sim_host_device(w.sim, "1-1"), bad[i], 1);
        assert_int_equal(run_request(&w, 0, 400, false, buffer), -ENODATA);
        assert_int_equal(run_request(&w, 0, 400, true, buffer), -ENODATA);
        disk_set_bad(sim_host_device(w.sim, "1-1"), 0, 0);
        assert_int_equal(run_request(&w, 0, 400, false, buffer), 0);
    }
    assert_int_equal(storage_stats(w.storage).recoveries, 0);
    assert_true(storage_stats(w.storage).stalls >= 16);
    world_close_disk(&w, buffer);
}

/*
 * BOT figure 2: a stall in place of any data or status is cleared or recovered from, never fatal to the
 * next request.
 */
static void test_guest_stall_anywhere(void **state)
{
    (void)state;
    for (unsigned int at = 1; at <= 8; at++) {
        struct world w;
        uint8_t *buffer;
        memset(&lie, 0, sizeof(lie));
        world_open_disk(&w, new_liar(), &buffer);
        lie.stall_at = at;
        int status = run_request(&w, 0, 400, false, buffer);
        if (status != 0)
            fail_msg("stall of IN transfer %u: status %d", at, status);
        /* Transfers 3 and 6 are the CSWs of the two commands: one clear, no recovery. */
        if (at == 3 || at == 6) {
            assert_int_equal(storage_stats(w.storage).stalls, 1);
            assert_int_equal(storage_stats(w.storage).recoveries, 0);
        }
        lie.stall_at = 0;
        assert_int_equal(run_request(&w, 0, 400, false, buffer), 0);
        world_close_disk(&w, buffer);
    }
}

/*
 * BOT 6.3 and 5.3.4: a CSW with a wrong tag means reset recovery and the command again, three times, then
 * -EIO.
 */
static void test_guest_bad_status(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    memset(&lie, 0, sizeof(lie));
    world_open_disk(&w, new_liar(), &buffer);
    lie.csws = 0;
    lie.spoil_from = 1;
    lie.spoil_to = 3;
    assert_int_equal(run_request(&w, 5, 3, false, buffer), 0);
    assert_int_equal(storage_stats(w.storage).recoveries, 2);
    lie.csws = 0;
    lie.spoil_to = 100;
    assert_int_equal(run_request(&w, 5, 3, false, buffer), -EIO);
    assert_int_equal(storage_stats(w.storage).recoveries, 5);
    lie.spoil_to = 0;
    lie.residue = 1; /* BOT 6.3: a success that admits to a missing byte */
    assert_int_equal(run_request(&w, 5, 3, false, buffer), -EIO);
    lie.residue = 0;
    assert_int_equal(run_request(&w, 5, 3, true, buffer), 0);
    world_close_disk(&w, buffer);
}

/* storage.h: when one data URB fails the others are taken back at once, not after their time. */
static void test_guest_error_in_data(void **state)
{
    (void)state;
    struct world w;
    uint8_t *buffer;
    memset(&lie, 0, sizeof(lie));
    world_open_disk(&w, new_liar(), &buffer);
    uint64_t start = w.now_ns;
    lie.error_at = 1;
    assert_int_equal(run_request(&w, 0, 240, false, buffer), 0);
    assert_int_equal(storage_stats(w.storage).recoveries, 1);
    assert_true(w.now_ns < start + GUEST_TIMEOUT_NS);
    world_close_disk(&w, buffer);
}

/* guest.h: unplugged after any number of steps of enumeration and of a read, everything comes back, once. */
static void test_guest_unplug_anywhere(void **state)
{
    (void)state;
    bool idle = false;
    unsigned int finished = 0, cut = 0;
    for (unsigned int steps = 0; !idle; steps++) {
        struct world w;
        void *buffer;
        struct storage_request r = {.blocks = 300, .done = on_finished, .context = &w};
        bool submitted = false;
        world_open(&w);
        world_plug(&w, 1, "1-1", new_disk(USBIF_SPEED_FULL));
        assert_int_equal(guest_buffer_alloc(w.guest, BUFFER, &buffer), 0);
        r.buffer = buffer;
        for (unsigned int i = 0; i < steps && !idle; i++) {
            if (w.started && !submitted) {
                submitted = true;
                assert_int_equal(storage_submit(w.storage, &r), 0);
            }
            idle = !world_step(&w) && submitted;
        }
        unsigned int done_before = w.finished;
        assert_int_equal(sim_host_unplug(w.sim, "1-1"), 0);
        world_run(&w);
        assert_int_equal(w.gone, w.ready);
        assert_null(w.storage);
        assert_int_equal(w.finished, submitted);
        if (submitted && !done_before) {
            assert_true(r.status == -ENODEV || r.status == 0);
            cut += r.status == -ENODEV;
        }
        finished += done_before;
        guest_buffer_free(w.guest, buffer, BUFFER);
        world_close(&w);
        assert_true(steps < 1000);
    }
    assert_true(finished >= 1); /* it did get to the end, */
    assert_true(cut >= 5);      /* and was cut on the way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guest_read_write),      cmocka_unit_test(test_guest_limits),
        cmocka_unit_test(test_guest_medium_error),    cmocka_unit_test(test_guest_stall_anywhere),
        cmocka_unit_test(test_guest_bad_status),      cmocka_unit_test(test_guest_error_in_data),
        cmocka_unit_test(test_guest_unplug_anywhere),
    };
    return cmocka_run_group_tests_name("guest: storage", tests, NULL, NULL);
}
