// SPDX-License-Identifier: MIT
/* Goal: what is plugged in is the same for everybody, whole, and outlives every process; addresses are as on
 * Linux. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/hostbus.h"
#include "process/tree.h"

static char dir[256];
static char error[HOSTBUS_ERROR_MAX];

static int setup(void **state)
{
    (void)state;
    return tree_create(dir, sizeof(dir), "hostbus");
}

static int teardown(void **state)
{
    (void)state;
    tree_remove(dir);
    return 0;
}

static struct hostbus_device plug(const char *path, const char *kind)
{
    struct hostbus_device device;
    int rc = hostbus_plug(dir, path, kind, &device, error);
    if (rc)
        fail_msg("plug %s %s: %s", path, kind, error);
    return device;
}

static void refused(int rc, int expected, const char *says)
{
    if (rc != expected || !strstr(error, says) || strchr(error, '\n'))
        fail_msg("%d instead of %d, said '%s'", rc, expected, error);
}

static unsigned int places(char *out, size_t size)
{
    struct hostbus_device *list;
    unsigned int count;
    assert_int_equal(hostbus_list(dir, &list, &count), 0);
    *out = '\0';
    for (unsigned int i = 0; i < count; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? " " : "", list[i].path);
    free(list);
    return count;
}

static void test_hostbus_plug_and_list(void **state)
{
    (void)state;
    char all[256];
    struct hostbus_device d;
    assert_int_equal(places(all, sizeof(all)), 0); /* no folder yet */
    d = plug("1-2", "disk");
    assert_string_equal(d.kind, "disk:16M");
    assert_string_equal(d.name, "PVUSB Simulated disk");
    assert_int_equal(d.vendor, 0x1209);
    assert_int_equal(d.address, 2);
    assert_int_equal(plug("1-10", "keyboard").address, 3);
    assert_int_equal(plug("1-9", "audio").address, 4);
    assert_int_equal(plug("2-4.3.3", "serial").address, 4); /* behind the two hubs */
    assert_int_equal(places(all, sizeof(all)), 6);
    assert_string_equal(all, "1-2 1-9 1-10 2-4 2-4.3 2-4.3.3");
    assert_int_equal(hostbus_find(dir, "2-4.3", &d), 0);
    assert_int_equal(d.device_class, DEVICE_HUB_CLASS);
    assert_int_equal(hostbus_find_address(dir, 1, 4, &d), 0);
    assert_string_equal(d.path, "1-9");
    assert_int_equal(hostbus_find_address(dir, 1, 5, &d), -ENODEV);
    assert_int_equal(hostbus_find(dir, "1-3", &d), -ENODEV);
}

static void test_hostbus_addresses(void **state)
{
    (void)state;
    uint64_t serial = 0;
    (void)plug("1-1", "keyboard"); /* keeps 2 */
    for (unsigned int i = 0; i < 130; i++) {
        struct hostbus_device d = plug("1-2", "keyboard");
        assert_int_equal(d.address, i % 125 + 3); /* 3 to 127, then again */
        assert_true(d.serial > serial);
        serial = d.serial;
        assert_int_equal(hostbus_unplug(dir, "1-2", error), 0);
    }
    assert_int_equal(plug("2-1", "keyboard").address, 2); /* each bus has its own */
}

static void test_hostbus_refused(void **state)
{
    (void)state;
    char all[256];
    (void)plug("1-2", "keyboard");
    refused(hostbus_plug(dir, "1-2", "disk", NULL, error), -EEXIST, "1-2: something is plugged in there");
    refused(hostbus_plug(dir, "1-2.1", "disk", NULL, error), -ENOTDIR, "which is no hub");
    refused(hostbus_plug(dir, "1", "disk", NULL, error), -EINVAL, "not a place");
    refused(hostbus_plug(dir, "100-1", "disk", NULL, error), -EINVAL, "not a place");
    refused(hostbus_plug(dir, "../x", "disk", NULL, error), -EINVAL, "not a place");
    refused(hostbus_plug(dir, "1-3", "mouse", NULL, error), -EINVAL, "no device of kind 'mouse'");
    refused(hostbus_plug(dir, "1-3", "", NULL, error), -EINVAL, "no device of kind ''");
    refused(hostbus_plug(dir, "1-3", "d", NULL, error), -EINVAL, "no device of kind 'd'");
    refused(hostbus_plug(dir, "1-3", "disk:7", NULL, error), -EINVAL, "not a size");
    refused(hostbus_plug(dir, "1-3", "disk:/none/x", NULL, error), -ENOENT, "/none/x: No such file");
    refused(hostbus_plug(dir, "1-3", "disk\n", NULL, error), -EINVAL, "printable");
    refused(hostbus_plug("/none", "1-3", "keyboard", NULL, error), -ENOENT, "/none: No such file");
    refused(hostbus_unplug(dir, "1-3", error), -ENODEV, "nothing is plugged in there");
    refused(hostbus_unplug(dir, "x", error), -EINVAL, "not a place");
    refused(hostbus_move(dir, "1-3", "1-4", error), -ENODEV, "nothing is plugged in there");
    refused(hostbus_move(dir, "1-2", "1-2.1", error), -ENOTDIR, "which is no hub");
    (void)plug("1-5.1", "keyboard");
    refused(hostbus_move(dir, "1-2", "1-5", error), -EEXIST, "something is plugged in there");
    refused(hostbus_move(dir, "1-5", "1-6", error), -EISDIR, "a hub is not moved");
    (void)places(all, sizeof(all));
    assert_string_equal(all, "1-2 1-5 1-5.1");
}

/* A hub takes with it what is plugged into it; a disk's blocks go with the disk. */
static void test_hostbus_unplug(void **state)
{
    (void)state;
    char all[256];
    char name[512];
    struct stat st;
    (void)plug("2-4.3.3", "keyboard");
    struct hostbus_device disk = plug("2-4.1", "disk:1M!ep 0x81 after 5: stall");
    (void)plug("2-41", "keyboard");
    snprintf(name, sizeof(name), "%s/bus/%s", dir, disk.file);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
    assert_int_equal(hostbus_unplug(dir, "2-4", error), 0);
    (void)places(all, sizeof(all));
    assert_string_equal(all, "2-41");
    assert_int_equal(stat(name, &st), -1);
}

/* Moved or replugged, a disk is the same disk with a new address. */
static void test_hostbus_move(void **state)
{
    (void)state;
    struct hostbus_device before = plug("1-1", "disk:1M"), after;
    assert_int_equal(hostbus_move(dir, "1-1", "1-1", error), 0);
    assert_int_equal(hostbus_find(dir, "1-1", &after), 0);
    assert_string_equal(after.file, before.file);
    assert_true(after.serial > before.serial && after.address != before.address);
    assert_int_equal(hostbus_move(dir, "1-1", "2-4.1", error), 0);
    assert_int_equal(hostbus_find(dir, "1-1", &after), -ENODEV);
    assert_int_equal(hostbus_find(dir, "2-4.1", &after), 0);
    assert_string_equal(after.file, before.file);
    assert_int_equal(after.bus, 2);
}

/* What somebody else put there is a device only if it says all that a device has to. */
static void test_hostbus_strange_files(void **state)
{
    (void)state;
    static const char good[] =
        "kind keyboard\nserial 9\naddress 7\nspeed 1\nclass 0\nvendor 1209\nproduct 0101\nname x\n";
    static const char *const texts[] = {
        "",
        "\n\n\n",
        "kind",
        "kind keyboard\n",
        "kind keyboard\nserial 9\naddress 128\nspeed 1\nclass 0\nvendor 1209\nproduct 0101\nname x\n",
        "kind keyboard\nserial 9\naddress 1\nspeed 1\nclass 0\nvendor 1209\nproduct 0101\nname x\n",
        "kind keyboard\nserial -9\naddress 7\nspeed 1\nclass 0\nvendor 1209\nproduct 0101\nname x\n",
        "kind keyboard\nserial 9\naddress 7\nspeed 5\nclass 0\nvendor 1209\nproduct 0101\nname x\n",
        "kind keyboard\nserial 9\naddress 7\nspeed 1\nclass 0\nvendor 12345\nproduct 0101\nname x\n",
        ("kind keyboard\nserial 9\naddress 7\nspeed 1\nclass 0\nvendor 1209\nproduct 0101\nname x\n"
         "file ../../x\n"),
    };
    char name[512];
    char all[64];
    (void)plug("1-1", "keyboard");
    snprintf(name, sizeof(name), "%s/bus/1-2", dir);
    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        const bool last = i == sizeof(texts) / sizeof(texts[0]);
        FILE *file = fopen(name, "w");
        assert_non_null(file);
        fputs(last ? good : texts[i], file);
        fclose(file);
        if (places(all, sizeof(all)) != (last ? 2 : 1))
            fail_msg("row %zu: %s", i, all);
    }
    assert_int_equal(unlink(name), 0);
    assert_int_equal(mkfifo(name, 0600), 0); /* is not waited for */
    assert_int_equal(places(all, sizeof(all)), 1);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(symlink("1-1", name), 0);
    assert_int_equal(places(all, sizeof(all)), 1);
}

/* Eight writers at once: every device gets its place, an address and a serial of its own. */
static void test_hostbus_parallel(void **state)
{
    (void)state;
    enum { WRITERS = 8, EACH = 10 };
    bool address[128] = {false};
    struct hostbus_device *list;
    unsigned int count;
    for (unsigned int w = 0; w < WRITERS; w++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        for (unsigned int i = 1; pid == 0 && i <= EACH; i++) {
            char path[32];
            snprintf(path, sizeof(path), "3-%u.%u", w + 1, i);
            if (hostbus_plug(dir, path, "keyboard", NULL, error))
                _exit(1);
        }
        if (pid == 0)
            _exit(0);
    }
    for (unsigned int w = 0; w < WRITERS; w++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(hostbus_list(dir, &list, &count), 0);
    assert_int_equal(count, WRITERS * EACH + WRITERS);
    for (unsigned int i = 0; i < count; i++) {
        assert_false(address[list[i].address]);
        address[list[i].address] = true;
        for (unsigned int j = 0; j < i; j++)
            assert_true(list[i].serial != list[j].serial);
    }
    free(list);
}

/* ---- following ---- */

struct witness {
    char text[1024];
};

static void plugged(void *context, const char *busid)
{
    struct witness *w = context;
    snprintf(w->text + strlen(w->text), sizeof(w->text) - strlen(w->text), "+%s ", busid);
}

static void unplugged(void *context, const char *busid)
{
    struct witness *w = context;
    snprintf(w->text + strlen(w->text), sizeof(w->text) - strlen(w->text), "-%s ", busid);
}

static unsigned int mine_from;

static bool mine(void *context, const struct hostbus_device *device)
{
    (void)context;
    return device->bus >= mine_from;
}

/* Steps until the host has followed, which a change makes it do by itself. */
static void follow(struct hostbus_follow *f, struct witness *w, const char *expected)
{
    struct pollfd fd = {.fd = hostbus_follow_fd(f), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(hostbus_follow_step(f), 0);
    assert_string_equal(w->text, expected);
    w->text[0] = '\0';
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void test_hostbus_follow(void **state)
{
    (void)state;
    struct witness w = {""};
    const struct usb_host_listener listener = {.plugged = plugged, .unplugged = unplugged, .context = &w};
    struct hostbus_follow *f;
    struct sim_host *sim;
    assert_int_equal(sim_host_create(&sim), 0);
    struct usb_host *host = sim_host_host(sim);
    assert_int_equal(host->ops->listen(host, &listener), 0);
    (void)plug("1-1", "disk:1M");
    const struct hostbus_follow_config config = {.dir = dir, .host = sim, .mine = mine};
    assert_int_equal(hostbus_follow_create(&config, &f), 0);
    assert_string_equal(w.text, "+1-1 ");
    w.text[0] = '\0';
    (void)plug("2-4.3", "keyboard");
    follow(f, &w, "+2-4.3 ");
    /* Replugged between two looks: it is not the device that it was. */
    assert_int_equal(hostbus_move(dir, "1-1", "1-1", error), 0);
    follow(f, &w, "-1-1 +1-1 ");
    assert_int_equal(hostbus_move(dir, "1-1", "3-1", error), 0);
    follow(f, &w, "-1-1 +3-1 ");
    assert_int_equal(hostbus_unplug(dir, "2-4", error), 0);
    follow(f, &w, "-2-4.3 ");
    /* One that took itself off stays off until it is replugged. */
    assert_int_equal(sim_host_unplug(sim, "3-1"), 0);
    w.text[0] = '\0';
    assert_int_equal(hostbus_follow_look(f), 0);
    assert_string_equal(w.text, "");
    assert_int_equal(hostbus_move(dir, "3-1", "3-1", error), 0);
    follow(f, &w, "+3-1 ");
    /* A bus that goes to somebody else, and comes back. */
    mine_from = 4;
    assert_int_equal(hostbus_follow_look(f), 0);
    assert_string_equal(w.text, "-3-1 ");
    w.text[0] = '\0';
    mine_from = 0;
    assert_int_equal(hostbus_follow_look(f), 0);
    assert_string_equal(w.text, "+3-1 ");
    hostbus_follow_destroy(f);
    host->ops->unlisten(host, &listener);
    sim_host_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostbus_plug_and_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_unplug, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_strange_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_parallel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostbus_follow, setup, teardown),
    };
    return cmocka_run_group_tests_name("the physical bus", tests, NULL, NULL);
}
