// SPDX-License-Identifier: MIT
/* Control requests: what is the backend's own business, what reaches the device, and who has which address. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

#define OTHER (CONFORM_ADDRESS + 1u) /* the second probe device */

static int32_t status_of(struct conform *t, const struct usbif_urb_request *request)
{
    front_send(t, request);
    return front_response(front_number(t, 0), request->id).status;
}

static void none(struct conform *t, uint32_t device, uint8_t type, uint8_t number, uint16_t value, uint16_t index,
                 int32_t status)
{
    struct usbif_urb_request request = front_control(t, device, type, number, value, index, 0, 0);
    conform_equal(t, "rsp.status", status, status_of(t, &request));
}

/* ---- data stages ---- */

/* Out and back in: the device keeps the bytes. */
static void data(struct conform *t, uint32_t offset, uint16_t length, bool readonly)
{
    struct front *f = front_number(t, 0);
    uint8_t *bytes = front_data(f) + offset;
    static uint8_t expected[4096];
    for (uint32_t i = 0; i < length; i++)
        expected[i] = bytes[i] = (uint8_t)(i * 5 + i / 256 + 1);
    struct usbif_urb_request request =
        front_control(t, CONFORM_ADDRESS, 0x40, PROBE_SET_BYTES, 0, 0, offset, length);
    for (unsigned int i = 0; readonly && i < request.nr_buffer_segs; i++)
        request.seg[i].gref = front_ref(f, offset / 4096 + i, true);
    front_send(t, &request);
    front_expect(t, request.id, 0, length);
    memset(front_data(f), 0xee, 4096u * 8);
    request = front_control(t, CONFORM_ADDRESS, 0xc0, PROBE_GET_BYTES, 0, 0, offset, length);
    front_send(t, &request);
    front_expect(t, request.id, 0, length);
    conform_bytes(t, "data of the control request", expected, bytes, length);
    conform_equal(t, "byte behind the data", 0xee, bytes[length]);
}

static void data_1(struct conform *t)
{
    data(t, 0, 1, false);
}

static void data_8(struct conform *t)
{
    data(t, 4092, 8, false);
}

static void data_65(struct conform *t)
{
    data(t, 4095, 65, true);
}

static void data_4096(struct conform *t)
{
    data(t, 1, 4096, false);
}

static void in_short(struct conform *t)
{
    data(t, 0, 64, false);
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0xc0, PROBE_GET_BYTES, 0, 0, 0, 512);
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

/* More than the device keeps: it sends what it has, or takes the beginning. */
static void in_long(struct conform *t, uint16_t length)
{
    data(t, 0, 64, false);
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0xc0, PROBE_GET_BYTES, 0, 0, 0, length);
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

static void in_4097(struct conform *t)
{
    in_long(t, 4097);
}

static void in_65535(struct conform *t)
{
    in_long(t, 65535);
}

static void setup_bytes(struct conform *t)
{
    static const uint8_t setup[8] = {0x21, 0x22, 0x34, 0x12, 0x78, 0x56, 0, 0};
    struct probe_entry log = {0};
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0x21, 0x22, 0x1234, 0x5678, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, -32, 0);
    conform_equal(t, "requests at the device", 1, probe_log(t, &log, 1));
    conform_bytes(t, "setup packet at the device", setup, log.setup, 8);
}

static void stall(struct conform *t)
{
    none(t, CONFORM_ADDRESS, 0x40, PROBE_DO_STALL, 0, 0, -32);
    none(t, CONFORM_ADDRESS, 0xc0, PROBE_DO_STALL, 0, 0, -32);
    front_check_works(t);
}

/* Linux sets the pipe's direction of a request without data either way. */
static void direction_free(struct conform *t)
{
    for (uint32_t in = 0; in < 2; in++) {
        for (unsigned int type = 0; type < 2; type++) {
            struct usbif_urb_request request =
                front_control(t, CONFORM_ADDRESS, type ? 0xc0 : 0x40, PROBE_DO_STALL, 0, 0, 0, 0);
            request.pipe = FRONT_PIPE(FRONT_CTRL, CONFORM_ADDRESS, 0, in);
            conform_equal(t, "rsp.status", -32, status_of(t, &request));
        }
    }
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0, 9, 1, 0, 0, 0);
    request.pipe = FRONT_PIPE(FRONT_CTRL, CONFORM_ADDRESS, 0, 1);
    conform_equal(t, "rsp.status", 0, status_of(t, &request));
}

static void endpoint_ignored(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 18);
    request.pipe = FRONT_PIPE(FRONT_CTRL, CONFORM_ADDRESS, 5, 1);
    front_send(t, &request);
    front_expect(t, request.id, 0, 18);
}

/* ---- what the host's own stack must know ---- */

static void byte(struct conform *t, uint8_t type, uint8_t number, uint16_t index, uint8_t expected, const char *what)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, type, number, 0, index, 0, 1);
    front_send(t, &request);
    front_expect(t, request.id, 0, 1);
    conform_equal(t, what, expected, front_data(front_number(t, 0))[0]);
}

static void bulk(struct conform *t, uint8_t endpoint, int32_t status)
{
    struct usbif_urb_request request = front_bulk(t, endpoint, 4096, 64);
    conform_equal(t, "rsp.status of a transfer", status, status_of(t, &request));
}

static void set_configuration(struct conform *t)
{
    byte(t, 0x80, 8, 0, 1, "configuration");
    none(t, CONFORM_ADDRESS, 0, 9, 0, 0, 0);
    byte(t, 0x80, 8, 0, 0, "configuration");
    bulk(t, 0x81, -32);
    none(t, CONFORM_ADDRESS, 0, 9, 1, 0, 0);
    byte(t, 0x80, 8, 0, 1, "configuration");
    bulk(t, 0x81, 0);
    none(t, CONFORM_ADDRESS, 0, 9, 7, 0, -32);
    byte(t, 0x80, 8, 0, 1, "configuration");
}

static void set_interface(struct conform *t)
{
    byte(t, 0x81, 10, 0, 0, "alternate setting");
    none(t, CONFORM_ADDRESS, 1, 11, 1, 0, 0);
    byte(t, 0x81, 10, 0, 1, "alternate setting");
    none(t, CONFORM_ADDRESS, 1, 11, 0, 1, -32);
    byte(t, 0x81, 10, 0, 1, "alternate setting");
    none(t, CONFORM_ADDRESS, 1, 11, 2, 0, -32);
    none(t, CONFORM_ADDRESS, 1, 11, 0, 0, 0);
    byte(t, 0x81, 10, 0, 0, "alternate setting");
    front_check_works(t);
}

static void clear_halt(struct conform *t)
{
    probe_script(t, 0x01, PROBE_STALL, 0);
    bulk(t, 0x01, -32);
    none(t, CONFORM_ADDRESS, 2, 1, 0, 0x81, 0); /* the other endpoint of that number */
    bulk(t, 0x01, -32);
    none(t, CONFORM_ADDRESS, 2, 1, 0, 0x01, 0);
    bulk(t, 0x01, 0);
}

/* Requests of the same number and another type, all bits of it: they are the device's. */
static void look_alike(struct conform *t, uint8_t type, uint8_t number, uint16_t value, uint16_t index)
{
    struct probe_entry log[2] = {{0}};
    unsigned int n;
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, type, number, value, index, 0, 0);
    (void)status_of(t, &request);
    n = probe_log(t, log, 2);
    conform_equal(t, "requests at the device", 1, n);
    conform_equal(t, "bmRequestType at the device", type, log[0].setup[0]);
    conform_equal(t, "bRequest at the device", number, log[0].setup[1]);
    bulk(t, 0x81, 0); /* still there, still configured */
}

#define LOOK_ALIKE(name, type, number, value, index)                                                           \
    static void name(struct conform *t)                                                                        \
    {                                                                                                          \
        look_alike(t, type, number, value, index);                                                             \
    }

LOOK_ALIKE(class_5, 0x20, 5, 9, 0)
LOOK_ALIKE(interface_5, 0x01, 5, 9, 0)
LOOK_ALIKE(endpoint_5, 0x02, 5, 9, 0)
LOOK_ALIKE(in_5, 0x80, 5, 9, 0)
LOOK_ALIKE(class_9, 0x20, 9, 0, 0)
LOOK_ALIKE(interface_9, 0x01, 9, 0, 0)
LOOK_ALIKE(class_11, 0x21, 11, 1, 0)
LOOK_ALIKE(device_11, 0x00, 11, 1, 0)
LOOK_ALIKE(device_1, 0x00, 1, 0, 0x81)
LOOK_ALIKE(set_feature, 0x02, 3, 1, 0x81)

/* Not even its address is looked at when the type is a vendor's. */
static void vendor_5(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0xc0, 5, 9, 0, 0, 0);
    conform_equal(t, "rsp.status", -32, status_of(t, &request));
    bulk(t, 0x81, 0);
}

/* ---- addresses ---- */

static void move(struct conform *t, uint32_t device, uint32_t port, uint16_t address, int32_t status)
{
    struct usbif_urb_request request = front_control(t, device, 0, 5, address, 0, 0, 0);
    request.pipe |= port;
    conform_equal(t, "rsp.status of SET_ADDRESS", status, status_of(t, &request));
}

static void answers(struct conform *t, uint32_t device, uint32_t port, int32_t status)
{
    struct usbif_urb_request request = front_control(t, device, 0x80, 6, 0x100, 0, 0, 18);
    request.pipe |= port;
    conform_equal(t, "rsp.status at that address", status, status_of(t, &request));
}

static void moves(struct conform *t)
{
    move(t, CONFORM_ADDRESS, 0, 9, 0);
    answers(t, CONFORM_ADDRESS, 0, -19);
    answers(t, 9, 0, 0);
    move(t, CONFORM_ADDRESS, 0, 10, -19);
    answers(t, 0, 1, 0);
}

static void again(struct conform *t)
{
    move(t, 0, 1, 9, 0);
    answers(t, CONFORM_ADDRESS, 0, -19);
    move(t, 0, 1, 9, 0);
    move(t, 9, 0, 9, 0);
    answers(t, 9, 0, 0);
}

static void to_zero(struct conform *t)
{
    move(t, CONFORM_ADDRESS, 0, 0, 0);
    answers(t, CONFORM_ADDRESS, 0, -19);
    answers(t, 0, 1, 0);
    move(t, 0, 1, 0, 0);
    move(t, 0, 1, CONFORM_ADDRESS, 0);
    answers(t, CONFORM_ADDRESS, 0, 0);
}

static void every_address(struct conform *t)
{
    uint16_t before = CONFORM_ADDRESS;
    for (uint16_t address = 127; address > 0; address--) {
        move(t, before, 0, address, 0);
        answers(t, address, 0, 0);
        if (address != before)
            answers(t, before, 0, -19);
        before = address;
    }
}

static void refused_stays(struct conform *t)
{
    move(t, CONFORM_ADDRESS, 0, 128, -22);
    answers(t, CONFORM_ADDRESS, 0, 0);
    answers(t, 0, 1, 0);
}

static void never_on_the_bus(struct conform *t)
{
    struct probe_entry log;
    move(t, CONFORM_ADDRESS, 0, CONFORM_ADDRESS, 0);
    conform_equal(t, "requests at the device", 0, probe_log(t, &log, 1));
}

/* Two devices; the second has address OTHER. The log tells who was asked. */
static void occupied(struct conform *t)
{
    struct probe_entry log;
    front_attach_probe(front_number(t, 0), 2, 1);
    move(t, 0, 2, CONFORM_ADDRESS, -22);
    move(t, OTHER, 0, CONFORM_ADDRESS, -22);
    answers(t, OTHER, 0, 0);
    probe_clear(t);
    bulk(t, 0x01, 0);
    conform_equal(t, "transfers at the first device", 1, probe_log(t, &log, 1));
    move(t, CONFORM_ADDRESS, 0, 9, 0);
    move(t, OTHER, 0, CONFORM_ADDRESS, 0); /* free now */
    answers(t, OTHER, 0, -19);
    answers(t, 9, 0, 0);
}

static void stays_of_others(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_attach_probe(f, 2, 1);
    front_port(f, 1, "");
    front_expect_plug(f, 1, 0);
    answers(t, CONFORM_ADDRESS, 0, -19);
    answers(t, OTHER, 0, 0);
    front_port(f, 1, "1-1");
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    answers(t, CONFORM_ADDRESS, 0, -19); /* not the new device's */
    move(t, 0, 1, CONFORM_ADDRESS, 0);
    answers(t, CONFORM_ADDRESS, 0, 0);
}

#define CASE(id, requirements, title, run) {"backend.control." id, requirements, title, run, .needs = "device"}
#define TWO(id, requirements, title, run) {"backend.control." id, requirements, title, run, .needs = "device toolstack"}

const struct conform_case backend_control_cases[] = {
    CASE("data.1", "control.length", "one byte out and in", data_1),
    CASE("data.8", "control.length segment.layout", "eight bytes across two pages, out and in", data_8),
    CASE("data.65", "control.length pipe.direction-grant", "65 bytes out of read-only pages, and in", data_65),
    CASE("data.4096", "control.length", "4096 bytes out and in", data_4096),
    CASE("in.short", "control.length transfer.short", "the device sends less than asked for", in_short),
    CASE("in.4097", "control.length", "one byte more than a page is asked for", in_4097),
    CASE("in.65535", "control.length", "65535 bytes are asked for", in_65535),
    CASE("setup", "control.setup", "the setup packet reaches the device byte for byte", setup_bytes),
    CASE("stall", "status.values", "a stall of a control request is -32, and the next one works", stall),
    CASE("direction", "control.direction-mismatch", "without data the pipe's direction is free", direction_free),
    CASE("endpoint", "pipe.control-endpoint", "the endpoint of a control pipe is not looked at", endpoint_ignored),
    CASE("set-configuration", "control.set-configuration", "a configuration is set, unset and refused",
         set_configuration),
    CASE("set-interface", "control.set-interface", "an alternate setting is set, unset and refused", set_interface),
    CASE("clear-halt", "control.clear-halt", "one direction of an endpoint is cleared", clear_halt),
    CASE("class.5", "control.set-address.type", "request 5 of a class is the device's", class_5),
    CASE("interface.5", "control.set-address.type", "request 5 to an interface is the device's", interface_5),
    CASE("endpoint.5", "control.set-address.type", "request 5 to an endpoint is the device's", endpoint_5),
    CASE("in.5", "control.set-address.type", "request 5 with data to the host is the device's", in_5),
    CASE("vendor.5", "control.set-address.type", "request 5 of a vendor leaves the address", vendor_5),
    CASE("class.9", "control.set-configuration", "request 9 of a class is the device's", class_9),
    CASE("interface.9", "control.set-configuration", "request 9 to an interface is the device's", interface_9),
    CASE("class.11", "control.set-interface", "SET_PROTOCOL is not SET_INTERFACE", class_11),
    CASE("device.11", "control.set-interface", "request 11 to a device is the device's", device_11),
    CASE("device.1", "control.clear-halt", "a feature of the device is no halt", device_1),
    CASE("set-feature", "control.clear-halt", "SET_FEATURE is the device's", set_feature),
    CASE("address.move", "control.set-address.move", "a device moves from its address to another", moves),
    CASE("address.again", "address.forget", "a device that was reset has its new address only", again),
    CASE("address.zero", "control.set-address.zero", "address 0 takes the address away", to_zero),
    CASE("address.every", "control.set-address.range pipe.address", "each of the 127 addresses", every_address),
    CASE("address.refused", "control.set-address.range address.both", "a refused address changes nothing",
         refused_stays),
    CASE("address.local", "control.set-address.local", "SET_ADDRESS does not reach the device", never_on_the_bus),
    TWO("address.occupied", "address.occupied", "the address of another device is refused", occupied),
    TWO("address.forgotten", "address.forget hotplug.detach", "an unplugged device's address ends, others stay",
        stays_of_others),
    {0},
};
