// SPDX-License-Identifier: MIT
/* Goal: several imported devices are one controller: each at its port, and one that goes takes no other with
 * it. */
#include <unistd.h>

#include "devices/disk.h"
#include "devices/keyboard.h"
#include "devices/zero.h"
#include "guest/guest.h"
#include "test/usbip_bed.h"
#include "usbip/vhci.h"

#define PORTS 9u /* the bitmap of changes then has two bytes */

struct rig {
    struct sim_host *sim;
    struct usbip_server *server;
    struct usbip_client *clients[PORTS];
    struct usbip_vhci *vhci;
    struct guest *guest;
    uint64_t now_ns;
    uint16_t product[PORTS + 1]; /* that is ready at a port, 0 for none */
    unsigned int failed;
};

static void on_ready(void *context, struct guest_device *device)
{
    struct rig *rig = context;
    rig->product[device->port] = device->descriptor.product;
}

static void on_gone(void *context, struct guest_device *device)
{
    struct rig *rig = context;
    rig->product[device->port] = 0;
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct rig *rig = context;
    (void)port;
    (void)error;
    rig->failed++;
}

static void run_for(struct rig *rig, uint64_t ns)
{
    for (uint64_t end = rig->now_ns + ns; rig->now_ns < end; rig->now_ns += 1000000) {
        for (unsigned int round = 0; round < 4; round++) {
            for (unsigned int i = 0; i < PORTS; i++)
                assert_int_equal(usbip_client_step(rig->clients[i], rig->now_ns), 0);
            assert_int_equal(usbip_server_step(rig->server, rig->now_ns), 0);
            guest_step(rig->guest, rig->now_ns);
        }
    }
}

static struct usb_device *make(unsigned int i)
{
    struct usb_device *device;
    if (i % 3 == 0)
        assert_int_equal(disk_create(&(struct disk_config){.bytes = 65536}, &device), 0);
    else if (i % 3 == 1)
        assert_int_equal(keyboard_create(0, &device), 0);
    else
        assert_int_equal(zero_create(&(struct zero_config){0}, &device), 0);
    return device;
}

static void test_usbip_vhci_ports(void **state)
{
    static const uint16_t products[] = {0x0001, 0x0101, 0xa4a0};
    const struct guest_listener listener = {.ready = on_ready, .gone = on_gone, .failed = on_failed};
    (void)state;
    struct rig rig = {0};
    struct guest_listener with_rig = listener;
    with_rig.context = &rig;
    assert_int_equal(sim_host_create(&rig.sim), 0);
    const struct usbip_server_config config = {.host = sim_host_host(rig.sim)};
    assert_int_equal(usbip_server_create(&config, &rig.server), 0);
    for (unsigned int i = 0; i < PORTS; i++) {
        char busid[8];
        int fd[2];
        snprintf(busid, sizeof(busid), "1-%u", i + 1);
        assert_int_equal(sim_host_plug(rig.sim, busid, make(i)), 0);
        assert_int_equal(usbip_server_export(rig.server, busid), 0);
        usbip_pair(fd);
        assert_int_equal(usbip_server_adopt(rig.server, fd[1]), 0);
        assert_int_equal(usbip_client_create(fd[0], busid, NULL, NULL, &rig.clients[i]), 0);
    }
    assert_int_equal(usbip_vhci_create(rig.clients, PORTS, &rig.vhci), 0);
    struct hcd *hcd = usbip_vhci_hcd(rig.vhci);
    assert_int_equal(hcd->ops->num_ports(hcd), PORTS);
    assert_int_equal(guest_create(hcd, &with_rig, &rig.guest), 0);
    run_for(&rig, 5 * SECOND);
    for (unsigned int i = 0; i < PORTS; i++)
        assert_int_equal(rig.product[i + 1], products[i % 3]);
    assert_int_equal(sim_host_unplug(rig.sim, "1-9"), 0);
    assert_int_equal(sim_host_unplug(rig.sim, "1-2"), 0);
    run_for(&rig, SECOND);
    for (unsigned int i = 0; i < PORTS; i++)
        assert_int_equal(rig.product[i + 1], i == 8 || i == 1 ? 0 : products[i % 3]);
    assert_int_equal(usbip_client_status(rig.clients[8]), -EPIPE);
    assert_int_equal(rig.failed, 0);
    guest_close(rig.guest);
    run_for(&rig, SECOND);
    assert_false(guest_busy(rig.guest));
    guest_destroy(rig.guest);
    for (unsigned int i = 0; i < PORTS; i++)
        assert_int_equal(usbip_client_held(rig.clients[i]), 0);
    usbip_vhci_destroy(rig.vhci);
    for (unsigned int i = 0; i < PORTS; i++) {
        usbip_client_close(rig.clients[i]);
        usbip_client_destroy(rig.clients[i]);
    }
    usbip_server_destroy(rig.server);
    sim_host_destroy(rig.sim);
}

/* USB 2.0 section 11.23.2.1: the hub's descriptor has room for all ports; requests to a port that is not
 * there stall. */
static void test_usbip_vhci_hub(void **state)
{
    (void)state;
    struct usbip_client *clients[PORTS];
    struct usbip_vhci *vhci;
    uint8_t data[16];
    int fd[PORTS][2];
    for (unsigned int i = 0; i < PORTS; i++) {
        usbip_pair(fd[i]);
        assert_int_equal(usbip_client_create(fd[i][0], "1-1", NULL, NULL, &clients[i]), 0);
    }
    assert_int_equal(usbip_vhci_create(clients, PORTS, &vhci), 0);
    struct hcd *hcd = usbip_vhci_hcd(vhci);
    const uint8_t descriptor[8] = {0xa0, 6, 0, 0x29, 0, 0, 16, 0};
    const uint8_t expected[11] = {11, 0x29, PORTS, 0x0a, 0, 10, 0, 0, 0, 0xff, 0xff};
    assert_int_equal(hcd->ops->hub_control(hcd, descriptor, data, sizeof(data), 0), sizeof(expected));
    assert_memory_equal(data, expected, sizeof(expected));
    for (unsigned int port = 0; port <= PORTS + 1; port++) {
        const uint8_t status[8] = {0xa3, 0, 0, 0, (uint8_t)port, 0, 4, 0};
        int wanted = port >= 1 && port <= PORTS ? 4 : -EPIPE;
        assert_int_equal(hcd->ops->hub_control(hcd, status, data, sizeof(data), 0), wanted);
    }
    struct hcd_urb urb = {.port = PORTS + 1};
    assert_int_equal(hcd->ops->submit(hcd, &urb), -EINVAL);
    usbip_vhci_destroy(vhci);
    for (unsigned int i = 0; i < PORTS; i++) {
        usbip_client_close(clients[i]);
        usbip_client_destroy(clients[i]);
        close(fd[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbip_vhci_ports),
        cmocka_unit_test(test_usbip_vhci_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
