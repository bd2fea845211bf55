// SPDX-License-Identifier: MIT
/*
 * A program that uses libusb-1.0 and knows nothing of us sees our simulated devices: this one runs itself
 * under pvusb-usbfs. It knows only the control socket, with which it plugs, types and halts.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <libusb-1.0/libusb.h>

#define CONTROL     "PVUSB_TEST_CONTROL"
#define TIMEOUT_MS  10000u
#define DISK_BYTES  (64u * 512u)
#define ISO_PACKETS 8
#define ISO_BYTES   192

enum { EP_IN = 0x81, EP_OUT = 0x02, ZERO_OUT = 0x01, AUDIO_IN = 0x82 };

static int control_fd = -1;
static libusb_context *usb;

/* ---- the control socket ---- */

static void ask(char answer[256], const char *line)
{
    size_t n = 0;
    assert_int_equal(send(control_fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    while (n == 0 || answer[n - 1] != '\n') {
        ssize_t got = recv(control_fd, answer + n, 255 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
    }
    answer[n - 1] = '\0';
}

static void tell(const char *line)
{
    char answer[256];
    ask(answer, line);
    if (strcmp(answer, "ok") != 0)
        fail_msg("%s%s", line, answer);
}

static unsigned long stat_of(const char *name)
{
    char answer[256];
    ask(answer, "stats\n");
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return strtoul(at + strlen(name), NULL, 10);
}

/* ---- devices ---- */

static libusb_device *find(unsigned int bus, const uint8_t *ports, int nr_ports)
{
    libusb_device **list;
    libusb_device *found = NULL;
    ssize_t n = libusb_get_device_list(usb, &list);
    assert_true(n >= 0);
    for (ssize_t i = 0; i < n && !found; i++) {
        uint8_t way[8];
        int depth = libusb_get_port_numbers(list[i], way, sizeof(way));
        if (libusb_get_bus_number(list[i]) == bus && depth == nr_ports &&
            memcmp(way, ports, (size_t)depth) == 0)
            found = libusb_ref_device(list[i]);
    }
    libusb_free_device_list(list, 1);
    return found;
}

static libusb_device_handle *open_port(uint8_t port)
{
    libusb_device_handle *handle;
    libusb_device *device = find(1, &port, 1);
    assert_non_null(device);
    assert_int_equal(libusb_open(device, &handle), 0);
    libusb_unref_device(device);
    return handle;
}

static libusb_device_handle *open_claimed(uint8_t port, int interface)
{
    libusb_device_handle *handle = open_port(port);
    assert_int_equal(libusb_claim_interface(handle, interface), 0);
    return handle;
}

/* A keyboard that reports when a key changes, and not every half second as well. */
static libusb_device_handle *open_keyboard(uint8_t port)
{
    libusb_device_handle *keyboard = open_claimed(port, 0);
    assert_int_equal(libusb_control_transfer(keyboard, 0x21, 0x0a, 0, 0, NULL, 0, TIMEOUT_MS), 0);
    return keyboard;
}

/* Bulk-only transport: a command, its data, its status. */
static void scsi(libusb_device_handle *disk, bool in, const uint8_t *command, uint8_t *data, int length)
{
    uint8_t cbw[31] = {'U', 'S', 'B', 'C', 1, 2, 3, 4, [12] = in ? 0x80 : 0, [14] = 10};
    uint8_t csw[64];
    int moved;
    memcpy(cbw + 8, &length, 4);
    memcpy(cbw + 15, command, 10);
    assert_int_equal(libusb_bulk_transfer(disk, EP_OUT, cbw, 31, &moved, TIMEOUT_MS), 0);
    assert_int_equal(libusb_bulk_transfer(disk, in ? EP_IN : EP_OUT, data, length, &moved, TIMEOUT_MS), 0);
    assert_int_equal(moved, length);
    /* More room than there are bytes: a short transfer is no error. */
    assert_int_equal(libusb_bulk_transfer(disk, EP_IN, csw, sizeof(csw), &moved, TIMEOUT_MS), 0);
    assert_int_equal(moved, 13);
    assert_memory_equal(csw, "USBS\1\2\3\4", 8);
    assert_int_equal(csw[12], 0);
}

static void fill(uint8_t *bytes, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* ---- transfers that take their time ---- */

struct wait {
    int done;
    enum libusb_transfer_status status;
    int actual;
};

static void LIBUSB_CALL came_back(struct libusb_transfer *transfer)
{
    struct wait *wait = transfer->user_data;
    wait->done++;
    wait->status = transfer->status;
    wait->actual = transfer->actual_length;
}

static void handle_until(const int *done, int n)
{
    time_t end = time(NULL) + 10;
    while (*done < n && time(NULL) <= end) {
        struct timeval patience = {.tv_sec = 10};
        assert_int_equal(libusb_handle_events_timeout_completed(usb, &patience, NULL), 0);
    }
    assert_true(*done >= n);
}

static struct libusb_transfer *start_interrupt(libusb_device_handle *handle, uint8_t *buffer,
                                               struct wait *wait)
{
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    libusb_fill_interrupt_transfer(transfer, handle, EP_IN, buffer, 8, came_back, wait, 0);
    *wait = (struct wait){0};
    assert_int_equal(libusb_submit_transfer(transfer), 0);
    return transfer;
}

/* Whether a device that libusb waits for would wake it up. */
static int would_wake(int timeout_ms)
{
    struct pollfd fds[16];
    nfds_t n = 0;
    const struct libusb_pollfd **list = libusb_get_pollfds(usb);
    for (size_t i = 0; list[i]; i++) {
        if (list[i]->events & POLLOUT)
            fds[n++] = (struct pollfd){.fd = list[i]->fd, .events = list[i]->events};
    }
    libusb_free_pollfds(list);
    return poll(fds, n, timeout_ms);
}

/* ---- tests ---- */

static void test_usbfs_lists_devices(void **state)
{
    static const struct {
        uint16_t vendor, product;
        int speed;
        int ports;
        uint8_t way[2];
    } expected[] = {
        {0x1209, 0x0001, LIBUSB_SPEED_HIGH, 1, {1}}, {0x0525, 0xa4a0, LIBUSB_SPEED_HIGH, 1, {2}},
        {0x1209, 0x0101, LIBUSB_SPEED_LOW, 1, {3}},  {0x1209, 0x0102, LIBUSB_SPEED_HIGH, 1, {4}},
        {0x1209, 0x0002, LIBUSB_SPEED_HIGH, 1, {5}}, {0x1209, 0x0001, LIBUSB_SPEED_HIGH, 2, {6, 2}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct libusb_device_descriptor d;
        struct libusb_config_descriptor *config;
        libusb_device *device = find(1, expected[i].way, expected[i].ports);
        assert_non_null(device);
        assert_int_equal(libusb_get_device_descriptor(device, &d), 0);
        assert_int_equal(d.idVendor, expected[i].vendor);
        assert_int_equal(d.idProduct, expected[i].product);
        assert_int_equal(libusb_get_device_speed(device), expected[i].speed);
        assert_int_equal(libusb_get_active_config_descriptor(device, &config), 0);
        assert_true(config->bNumInterfaces >= 1);
        libusb_free_config_descriptor(config);
        libusb_unref_device(device);
    }
}

/* What the device says over the bus is what sysfs says of it. */
static void test_usbfs_control_transfers(void **state)
{
    uint8_t bytes[4096];
    uint8_t back[4096];
    unsigned char name[64];
    libusb_device_handle *zero = open_port(2);
    struct libusb_device_descriptor d;
    (void)state;
    assert_int_equal(libusb_get_device_descriptor(libusb_get_device(zero), &d), 0);
    assert_int_equal(libusb_control_transfer(zero, 0x80, 6, 0x0100, 0, bytes, 64, TIMEOUT_MS), 18);
    assert_int_equal(bytes[8] | bytes[9] << 8, d.idVendor);
    assert_true(libusb_get_string_descriptor_ascii(zero, d.iProduct, name, sizeof(name)) > 0);
    assert_string_equal((char *)name, "Gadget Zero");
    fill(bytes, sizeof(bytes), 1);
    assert_int_equal(libusb_control_transfer(zero, 0x40, 0x5b, 0, 0, bytes, 4096, TIMEOUT_MS), 4096);
    assert_int_equal(libusb_control_transfer(zero, 0xc0, 0x5c, 0, 0, back, 4096, TIMEOUT_MS), 4096);
    assert_memory_equal(back, bytes, sizeof(bytes));
    assert_int_equal(libusb_control_transfer(zero, 0xc0, 0x11, 0, 0, back, 4, TIMEOUT_MS), LIBUSB_ERROR_PIPE);
    libusb_close(zero);
}

static void test_usbfs_disk_keeps_what_is_written(void **state)
{
    static const uint8_t write10[10] = {0x2a, [5] = 7, [8] = DISK_BYTES / 512};
    static const uint8_t read10[10] = {0x28, [5] = 7, [8] = DISK_BYTES / 512};
    uint8_t bytes[DISK_BYTES];
    uint8_t back[DISK_BYTES];
    libusb_device_handle *disk = open_claimed(1, 0);
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        fill(bytes, sizeof(bytes), seed);
        memset(back, 0, sizeof(back));
        scsi(disk, false, write10, bytes, sizeof(bytes));
        scsi(disk, true, read10, back, sizeof(back));
        assert_memory_equal(back, bytes, sizeof(bytes));
    }
    libusb_close(disk);
}

static void test_usbfs_babble_stall_and_cleared_halt(void **state)
{
    uint8_t bytes[512];
    int moved;
    libusb_device_handle *zero = open_claimed(2, 0);
    (void)state;
    /* The source sends full packets only. */
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 64, &moved, TIMEOUT_MS), LIBUSB_ERROR_OVERFLOW);
    assert_int_equal(moved, 64);
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS), 0);
    tell("halt 1-2 0x81\n");
    for (int i = 0; i < 2; i++)
        assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS),
                         LIBUSB_ERROR_PIPE);
    assert_int_equal(libusb_clear_halt(zero, EP_IN), 0);
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS), 0);
    libusb_close(zero);
}

static void test_usbfs_claims_are_exclusive(void **state)
{
    uint8_t bytes[512];
    int moved;
    int config;
    libusb_device_handle *one = open_port(2);
    libusb_device_handle *two = open_port(2);
    (void)state;
    assert_int_equal(libusb_claim_interface(one, 0), 0);
    assert_int_equal(libusb_claim_interface(two, 0), LIBUSB_ERROR_BUSY);
    assert_int_equal(libusb_claim_interface(one, 5), LIBUSB_ERROR_NOT_FOUND);
    assert_int_equal(libusb_set_configuration(one, 2), LIBUSB_ERROR_BUSY);
    assert_int_equal(libusb_kernel_driver_active(one, 0), 0);
    assert_int_equal(libusb_bulk_transfer(two, EP_IN, bytes, 512, &moved, TIMEOUT_MS), LIBUSB_ERROR_IO);
    assert_int_equal(libusb_bulk_transfer(one, 0x8e, bytes, 512, &moved, TIMEOUT_MS), LIBUSB_ERROR_IO);
    /* A descriptor that is closed gives back what it had. */
    libusb_close(one);
    assert_int_equal(libusb_claim_interface(two, 0), 0);
    assert_int_equal(libusb_release_interface(two, 0), 0);
    assert_int_equal(libusb_set_configuration(two, 2), 0);
    assert_int_equal(libusb_get_configuration(two, &config), 0);
    assert_int_equal(config, 2);
    libusb_close(two);
}

/* The test before left the loopback configuration. A reset keeps it. */
static void test_usbfs_loopback_and_reset(void **state)
{
    uint8_t bytes[4096];
    uint8_t back[4096];
    int moved;
    int config;
    libusb_device_handle *zero = open_port(2);
    (void)state;
    assert_int_equal(libusb_set_configuration(zero, 2), 0);
    assert_int_equal(libusb_claim_interface(zero, 0), 0);
    for (uint32_t seed = 1; seed <= 50; seed++) {
        fill(bytes, sizeof(bytes), seed);
        assert_int_equal(libusb_bulk_transfer(zero, ZERO_OUT, bytes, 4096, &moved, TIMEOUT_MS), 0);
        assert_int_equal(libusb_bulk_transfer(zero, EP_IN, back, 4096, &moved, TIMEOUT_MS), 0);
        assert_memory_equal(back, bytes, sizeof(bytes));
    }
    assert_int_equal(libusb_reset_device(zero), 0);
    assert_int_equal(libusb_control_transfer(zero, 0x80, 8, 0, 0, back, 1, TIMEOUT_MS), 1);
    assert_int_equal(back[0], 2);
    assert_int_equal(libusb_get_configuration(zero, &config), 0);
    assert_int_equal(config, 2);
    libusb_release_interface(zero, 0);
    assert_int_equal(libusb_set_configuration(zero, 3), 0);
    libusb_close(zero);
}

static void test_usbfs_keys_arrive_and_waiting_costs_nothing(void **state)
{
    uint8_t report[8];
    struct wait wait;
    libusb_device_handle *keyboard = open_keyboard(3);
    struct libusb_transfer *transfer = start_interrupt(keyboard, report, &wait);
    (void)state;
    /* Idle: nothing to wake up for, and so no ioctl. */
    assert_int_equal(would_wake(0), 0);
    unsigned long ioctls = stat_of("ioctls=");
    assert_int_equal(stat_of("ioctls="), ioctls);
    tell("type 1-3 a\n");
    assert_true(would_wake(TIMEOUT_MS) > 0);
    handle_until(&wait.done, 1);
    assert_int_equal(wait.status, LIBUSB_TRANSFER_COMPLETED);
    assert_int_equal(wait.actual, 8);
    assert_int_equal(report[2], 4); /* HID usage tables: a */
    assert_int_equal(would_wake(0), 0);
    /* One to reap it, one that finds no more. */
    assert_int_equal(stat_of("ioctls="), ioctls + 2);
    libusb_free_transfer(transfer);
    transfer = start_interrupt(keyboard, report, &wait);
    handle_until(&wait.done, 1);
    assert_int_equal(report[2], 0);
    libusb_free_transfer(transfer);
    libusb_close(keyboard);
}

static void test_usbfs_cancel_and_timeout(void **state)
{
    uint8_t report[8];
    struct wait wait;
    int moved;
    libusb_device_handle *keyboard = open_keyboard(3);
    struct libusb_transfer *transfer = start_interrupt(keyboard, report, &wait);
    (void)state;
    assert_int_equal(libusb_cancel_transfer(transfer), 0);
    handle_until(&wait.done, 1);
    assert_int_equal(wait.status, LIBUSB_TRANSFER_CANCELLED);
    libusb_free_transfer(transfer);
    assert_int_equal(libusb_interrupt_transfer(keyboard, EP_IN, report, 8, &moved, 1), LIBUSB_ERROR_TIMEOUT);
    libusb_close(keyboard);
}

/* Samples of the simulated sound card are numbers. */
static void check_samples(const struct libusb_transfer *transfer, uint32_t *next)
{
    for (int i = 0; i < transfer->num_iso_packets; i++) {
        const struct libusb_iso_packet_descriptor *p = &transfer->iso_packet_desc[i];
        const uint8_t *bytes = transfer->buffer + i * ISO_BYTES;
        assert_int_equal(p->status, LIBUSB_TRANSFER_COMPLETED);
        assert_int_equal(p->actual_length % 4, 0);
        for (unsigned int at = 0; at < p->actual_length; at += 4) {
            uint32_t sample;
            memcpy(&sample, bytes + at, 4);
            if (*next == UINT32_MAX)
                *next = sample;
            assert_int_equal(sample, *next);
            (*next)++;
        }
    }
}

static void test_usbfs_isochronous_stream(void **state)
{
    enum { IN_FLIGHT = 4, ROUNDS = 4 };
    static uint8_t buffer[IN_FLIGHT][ISO_PACKETS * ISO_BYTES];
    struct libusb_transfer *transfer[IN_FLIGHT];
    struct wait wait[IN_FLIGHT];
    uint32_t next = UINT32_MAX;
    libusb_device_handle *audio = open_claimed(5, 2);
    (void)state;
    assert_int_equal(libusb_set_interface_alt_setting(audio, 2, 1), 0);
    for (int i = 0; i < IN_FLIGHT; i++) {
        wait[i] = (struct wait){0};
        transfer[i] = libusb_alloc_transfer(ISO_PACKETS);
        libusb_fill_iso_transfer(transfer[i], audio, AUDIO_IN, buffer[i], sizeof(buffer[i]), ISO_PACKETS,
                                 came_back, &wait[i], 0);
        libusb_set_iso_packet_lengths(transfer[i], ISO_BYTES);
        assert_int_equal(libusb_submit_transfer(transfer[i]), 0);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < IN_FLIGHT; i++) {
            handle_until(&wait[i].done, round);
            assert_int_equal(wait[i].status, LIBUSB_TRANSFER_COMPLETED);
            /* Within what was in flight at once nothing is lost; a slow machine may lose frames between
             * rounds. */
            if (i == 0)
                next = UINT32_MAX;
            check_samples(transfer[i], &next);
        }
        for (int i = 0; i < IN_FLIGHT && round < ROUNDS; i++)
            assert_int_equal(libusb_submit_transfer(transfer[i]), 0);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        libusb_free_transfer(transfer[i]);
    assert_true(next > 0);
    assert_int_equal(libusb_set_interface_alt_setting(audio, 2, 0), 0);
    libusb_close(audio);
}

/* ---- coming and going ---- */

struct comings {
    int came, left;
};

static int LIBUSB_CALL count(libusb_context *context, libusb_device *device, libusb_hotplug_event event,
                             void *data)
{
    struct comings *comings = data;
    (void)context;
    (void)device;
    if (event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED)
        comings->came++;
    else
        comings->left++;
    return 0;
}

static void test_usbfs_unplug_in_mid_transfer_and_plug(void **state)
{
    static const uint8_t port = 7;
    uint8_t report[8];
    struct comings comings = {0};
    struct wait wait;
    libusb_hotplug_callback_handle callback;
    (void)state;
    assert_int_equal(libusb_hotplug_register_callback(
                         usb, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0,
                         LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, count,
                         &comings, &callback),
                     0);
    for (int i = 1; i <= 5; i++) {
        tell("plug 1-7 keyboard\n");
        handle_until(&comings.came, i);
        libusb_device_handle *keyboard = open_keyboard(port);
        struct libusb_transfer *transfer = start_interrupt(keyboard, report, &wait);
        tell("unplug 1-7\n");
        handle_until(&wait.done, 1);
        assert_int_equal(wait.status, LIBUSB_TRANSFER_NO_DEVICE);
        handle_until(&comings.left, i);
        assert_null(find(1, &port, 1));
        assert_int_equal(libusb_claim_interface(keyboard, 0), LIBUSB_ERROR_NO_DEVICE);
        libusb_free_transfer(transfer);
        libusb_close(keyboard);
    }
    libusb_hotplug_deregister_callback(usb, callback);
}

static void test_usbfs_faulty_device(void **state)
{
    uint8_t bytes[512];
    int moved;
    libusb_device_handle *zero;
    (void)state;
    tell("plug 1-8 zero!ep 0x81: short 100; ep 0x81 after 1: error; ep 0x81 after 2: disconnect\n");
    zero = open_claimed(8, 0);
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS), 0);
    assert_int_equal(moved, 100);
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS), LIBUSB_ERROR_IO);
    assert_int_equal(libusb_bulk_transfer(zero, EP_IN, bytes, 512, &moved, TIMEOUT_MS),
                     LIBUSB_ERROR_NO_DEVICE);
    libusb_close(zero);
}

static void test_usbfs_control_refuses(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"jump 1-1\n", "error there is no command 'jump'"},
        {"plug 1-1 audio\n", "error 1-1=audio: File exists"},
        {"plug 1-9 mouse\n", "error there is no device of kind 'mouse'; --help lists the kinds"},
        {"plug 1-9\n", "error plug takes 2 words"},
        {"unplug 1-9\n", "error 1-9: No such device"},
        {"unplug 1-9 now\n", "error unplug takes 1 words"},
        {"type 1-9 a\n", "error 1-9: No such device"},
        {"halt 1-1 0x8f1\n", "error '0x8f1' is not the address of an endpoint"},
    };
    char answer[256];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(answer, cases[i].line);
        assert_string_equal(answer, cases[i].answer);
    }
}

/* A program that closes a device has nothing of it left. */
static void test_usbfs_all_closed(void **state)
{
    (void)state;
    /* The library closes its connection with the descriptor; that is seen when the server looks there next.
     */
    for (int i = 0; stat_of("open=") > 0 && i < 1000; i++)
        ;
    assert_int_equal(stat_of("open="), 0);
}

/* ---- under pvusb-usbfs, and getting there ---- */

static int run_inside(const char *path)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbfs_lists_devices),
        cmocka_unit_test(test_usbfs_control_transfers),
        cmocka_unit_test(test_usbfs_disk_keeps_what_is_written),
        cmocka_unit_test(test_usbfs_babble_stall_and_cleared_halt),
        cmocka_unit_test(test_usbfs_claims_are_exclusive),
        cmocka_unit_test(test_usbfs_loopback_and_reset),
        cmocka_unit_test(test_usbfs_keys_arrive_and_waiting_costs_nothing),
        cmocka_unit_test(test_usbfs_cancel_and_timeout),
        cmocka_unit_test(test_usbfs_isochronous_stream),
        cmocka_unit_test(test_usbfs_unplug_in_mid_transfer_and_plug),
        cmocka_unit_test(test_usbfs_faulty_device),
        cmocka_unit_test(test_usbfs_control_refuses),
        cmocka_unit_test(test_usbfs_all_closed),
    };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(control_fd, (const struct sockaddr *)&address, sizeof(address)) || libusb_init(&usb)) {
        perror(path);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    libusb_exit(usb);
    close(control_fd);
    return failed;
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/pvusb-test-XXXXXX";
    char path[64];
    char program[4096];
    const char *bin = getenv("PVUSB_BIN");
    int status = 1;
    (void)argc;
    if (getenv(CONTROL))
        return run_inside(getenv(CONTROL));
    if (!bin || !mkdtemp(dir)) {
        puts("skip: PVUSB_BIN does not name the folder of the programs");
        return 77;
    }
    snprintf(path, sizeof(path), "%s/control", dir);
    snprintf(program, sizeof(program), "%s/pvusb-usbfs", bin);
    setenv(CONTROL, path, 1);
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0",
           0); /* the preload library comes before the sanitizer */
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "--control", path, "--device", "1-1=disk:1M", "--device", "1-2=zero",
              "--device", "1-3=keyboard", "--device", "1-4=serial", "--device", "1-5=audio", "--device",
              "1-6.2=disk:1M", "--", argv[0], (char *)NULL);
        perror(program);
        _exit(1);
    }
    (void)waitpid(pid, &status, 0);
    unlink(path);
    rmdir(dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
