// SPDX-License-Identifier: MIT
/*
 * Goal: the cases of Linux's usbtest pass against gadget zero through both halves, at both speeds, with both
 * patterns and in both alternate settings; and each of them fails when the device does something else.
 */
#include "devices/faulty.h"
#include "devices/zero.h"
#include "guest/zero.h"
#include "test/lab.h"

static struct guest_zero *driver;
static unsigned int ended;

static void take(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    assert_int_equal(guest_zero_create(device, &driver), 0);
}

static void let_go(struct lab *lab, struct guest_device *device)
{
    (void)lab;
    (void)device;
    assert_false(guest_zero_busy(driver));
    guest_zero_destroy(driver);
    driver = NULL;
}

static void on_done(void *context, struct guest_zero *zero)
{
    (void)context;
    (void)zero;
    ended++;
}

static struct usb_device *open_zero(struct lab *lab, enum lab_way way, struct zero_config config)
{
    struct usb_device *device;
    assert_int_equal(zero_create(&config, &device), 0);
    lab_open(lab, way);
    lab->on_ready = take;
    lab->on_gone = let_go;
    assert_int_equal(lab_plug(lab, 1, "1-1", device), 0);
    lab_run(lab);
    assert_int_equal(lab->ready, 1);
    return device;
}

static struct guest_zero_result run(struct lab *lab, struct guest_zero_params params)
{
    ended = 0;
    int rc = guest_zero_run(driver, &params, on_done, NULL);
    if (rc)
        fail_msg("test %u: %d", params.test, rc);
    while (!ended && lab_step(lab))
        continue;
    assert_int_equal(ended, 1);
    return guest_zero_result(driver);
}

static const unsigned int numbers[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                       12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static void test_zero_usbtest(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 16; i++) {
        struct lab lab;
        struct zero_config config = {.speed = i & 1 ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH,
                                     .pattern = i >> 1 & 1,
                                     .more = i & 1 ? 0 : (uint8_t)(i / 2 % 3)};
        struct usb_device *device = open_zero(&lab, i >> 2 & 1 ? LAB_SPINE : LAB_LOOP, config);
        uint64_t bytes = 0;
        for (unsigned int n = 0; n < NUMBERS; n++) {
            struct guest_zero_params params = {.test = numbers[n],
                                               .iterations = 15,
                                               .length = 2048,
                                               .pattern = config.pattern,
                                               .depth = 15,
                                               .alternate = i >> 3 & 1};
            struct guest_zero_result result = run(&lab, params);
            if (result.status)
                fail_msg("test %u, variant %u: status %d in round %u", numbers[n], i, result.status,
                         result.round);
            assert_true(result.round >= 15 && result.transfers >= 15);
            bytes += result.bytes;
        }
        assert_true(bytes > 900 * 2048);
        assert_int_equal(zero_stats(device).wrong, 0);
        assert_true(zero_stats(device).packets_in >= 15 * 15 * (8u >> config.more));
        lab_close(&lab);
    }
}

/* What each case is there to notice. The alternate setting is set first: transfers are counted after that. */
static const struct {
    const char *script;
    unsigned int test;
    uint8_t pattern; /* that the guest believes in; the device's is 1 */
    int status;
    unsigned int round;
} faults[] = {
    {"ep 0x01 after 7: stall", 1, 1, -EPIPE, 7},
    {"ep 0x81 after 7: error", 2, 1, -EPROTO, 7},
    {"ep 0x01 after 3: nak", 3, 1, -ETIMEDOUT, 3},
    {"ep 0x81 after 3: babble", 4, 1, -EOVERFLOW, 3},
    {"ep 0x81 after 3: short 511", 2, 1, -EREMOTEIO, 3},
    {"ep 0x81: disconnect", 2, 1, -ENODEV, 0},
    {"ep 0x01 after 20: stall", 5, 1, -EPIPE, 2},
    {"ep 0x81 after 20: error", 8, 1, -EPROTO, 2},
    {"", 2, 0, -EBADMSG, 0},
    {"", 1, 0, -EPIPE, 0}, /* the sink halts when it has seen a wrong byte */
    {"ep 0 after 5: stall", 9, 1, -EPIPE, 4},
    {"descriptor config: truncated 20", 9, 1, -EREMOTEIO, 4},
    {"descriptor config: byte 1 3", 9, 1, -EBADMSG, 4},
    {"ep 0 after 3: short 0", 10, 1, -EREMOTEIO, 0},
    {"ep 0 after 6: short 0", 10, 1, -EL2HLT, 0},   /* that should have stalled */
    {"ep 0x81 times 0: nak", 11, 1, -ETIMEDOUT, 0}, /* the one that was not unlinked */
    {"ep 0x81 after 1: error", 13, 1, -EPROTO, 23}, /* transfers of a halted endpoint do not count */
    {"ep 0 after 2 times 1: short 0", 14, 1, -EREMOTEIO, 1},
    {"ep 0 after 2 times 1: short 4096", 14, 1, -EREMOTEIO, 1},
    {"ep 0x02 after 3: error", 15, 1, -EXDEV, 0},
    {"ep 0x82 after 3: short 100", 16, 1, -EREMOTEIO, 0},
    {"ep 0x01 after 2: error", 24, 1, -EPROTO, 0},
};

static void test_zero_notices(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 2 * sizeof(faults) / sizeof(faults[0]); i++) {
        struct lab lab;
        struct usb_device *device =
            open_zero(&lab, i % 2 ? LAB_SPINE : LAB_LOOP, (struct zero_config){.pattern = 1});
        struct faulty_config config = {.script = faults[i / 2].script, .host = lab.sim, .busid = "1-1"};
        assert_int_equal(faulty_wrap(device, &config), 0);
        struct guest_zero_params params = {
            .test = faults[i / 2].test, .pattern = faults[i / 2].pattern, .iterations = 20};
        struct guest_zero_result result = run(&lab, params);
        if (result.status != faults[i / 2].status || result.round != faults[i / 2].round)
            fail_msg("%s, test %u, way %u: status %d in round %u", faults[i / 2].script, params.test, i % 2,
                     result.status, result.round);
        lab_run(&lab);
        lab_close(&lab);
    }
}

/* Unlinks that bite: the endpoint says NAK, all URBs wait, and two in the midst come back alone. */
static void test_zero_unlinks(void **state)
{
    (void)state;
    for (enum lab_way way = LAB_LOOP; way < LAB_WAYS; way++) {
        struct lab lab;
        struct usb_device *device = open_zero(&lab, way, (struct zero_config){.pattern = 1});
        struct faulty_config config = {.script = "ep 0x01: nak; ep 0x81: nak"};
        assert_int_equal(faulty_wrap(device, &config), 0);
        struct guest_zero_params params = {.test = 11, .pattern = 1, .iterations = 20};
        assert_int_equal(run(&lab, params).status, 0);
        assert_in_range(guest_zero_result(driver).unlinked, 1, 11);
        params.test = 12;
        assert_int_equal(run(&lab, params).status, 0);
        assert_in_range(guest_zero_result(driver).unlinked, 1, 11);
        assert_int_equal(guest_zero_result(driver).transfers, 40 + 1);
        lab_close(&lab);
    }
}

static void test_zero_limits(void **state)
{
    (void)state;
    struct lab lab;
    open_zero(&lab, LAB_LOOP, (struct zero_config){.pattern = 1});
    static const struct {
        struct guest_zero_params params;
        int rc;
    } cases[] = {
        {{.test = 0}, -EOPNOTSUPP},
        {{.test = 22}, -EOPNOTSUPP},
        {{.test = 1, .depth = 17}, -EINVAL},
        {{.test = 1, .length = 8193}, -EINVAL},
        {{.test = 2, .length = 1000}, -EINVAL},
        {{.test = 4, .length = 1024, .vary = 100}, -EINVAL},
        {{.test = 3, .length = 100, .vary = 101}, -EINVAL},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(guest_zero_run(driver, &cases[i].params, on_done, NULL), cases[i].rc);
    struct guest_zero_params params = {.test = 1, .iterations = 1};
    params.pattern = 1;
    assert_int_equal(guest_zero_run(driver, &params, on_done, NULL), 0);
    assert_int_equal(guest_zero_run(driver, &params, on_done, NULL), -EBUSY);
    lab_run(&lab);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_usbtest),
        cmocka_unit_test(test_zero_notices),
        cmocka_unit_test(test_zero_unlinks),
        cmocka_unit_test(test_zero_limits),
    };
    return cmocka_run_group_tests_name("usbtest against gadget zero", tests, NULL, NULL);
}
