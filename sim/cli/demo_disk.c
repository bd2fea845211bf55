// SPDX-License-Identifier: MIT
#include "cli/demo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "cli/cli.h"
#include "cli/story_more.h"
#include "cli/story_others.h"
#include "devices/audio.h"
#include "devices/composite.h"
#include "devices/disk.h"
#include "devices/faulty.h"
#include "devices/keyboard.h"
#include "devices/serial.h"
#include "devices/sim_host.h"
#include "devices/zero.h"
#include "process/family.h"
#include "process/loop.h"
#include "toolstack/vusb.h"

static const char *const others[] = {DEMO_KEYBOARD,  DEMO_SERIAL, DEMO_SOUND, DEMO_ZERO,
                                     DEMO_COMPOSITE, DEMO_SUPER,  DEMO_FAULTY};

static int make_guest(struct xen_machine *machine)
{
    const struct vusb_controller controller = {.kind = "qusb", .frontend = DEMO_GUEST, .usb_ver = 2, .num_ports = 8};
    struct xen *dom0;
    int rc = machine->ops->domain_create(machine, DEMO_GUEST);
    if (!rc)
        rc = machine->ops->open(machine, 0, &dom0);
    if (rc)
        return rc;
    rc = vusb_create(dom0, &controller);
    if (!rc)
        rc = vusb_set_port(dom0, &controller, 1, DEMO_BUSID);
    for (unsigned int i = 0; !rc && i < sizeof(others) / sizeof(others[0]); i++)
        rc = vusb_set_port(dom0, &controller, i + 2, others[i]);
    xen_close(dom0);
    if (!rc)
        printf("  %-10sguest %u has a USB 2.0 controller with 8 ports; host devices %s to 1-8 are on them\n", "attach",
               DEMO_GUEST, DEMO_BUSID);
    fflush(stdout);
    return rc;
}

static int make_composite(struct sim_host *sim)
{
    struct function *functions[2];
    struct usb_device *device;
    int rc = serial_function(&(struct serial_config){.loopback = true}, &functions[0]);
    if (!rc)
        rc = keyboard_function(&functions[1]);
    if (!rc)
        rc = composite_create(USBIF_SPEED_HIGH, functions, 2, &device);
    return rc ? rc : sim_host_plug(sim, DEMO_COMPOSITE, device);
}

/* Gadget zero, two in one, a super-speed disk, and a disk that stalls once and errs once. */
static int make_more(struct sim_host *sim)
{
    struct usb_device *device;
    const struct faulty_config faults = {
        .script = "ep 0x81 after 5: stall; ep 0x81 after 7: error", .host = sim, .busid = DEMO_FAULTY};
    int rc = zero_create(&(struct zero_config){0}, &device);
    if (!rc)
        rc = sim_host_plug(sim, DEMO_ZERO, device);
    if (!rc)
        rc = make_composite(sim);
    if (!rc)
        rc = disk_create(&(struct disk_config){.bytes = 1 << 20, .speed = DEVICE_SPEED_SUPER}, &device);
    if (!rc)
        rc = sim_host_plug(sim, DEMO_SUPER, device);
    if (!rc)
        rc = disk_create(&(struct disk_config){.bytes = 1 << 20}, &device);
    if (!rc)
        rc = faulty_wrap(device, &faults);
    return rc ? rc : sim_host_plug(sim, DEMO_FAULTY, device);
}

/* A disk, a keyboard, a serial port with a loopback plug, a sound card, and stranger ones. */
static int make_devices(struct sim_host **sim)
{
    struct usb_device *device;
    int rc = sim_host_create(sim);
    if (rc)
        return rc;
    rc = disk_create(&(struct disk_config){.bytes = STORY_DISK_BYTES}, &device);
    if (!rc)
        rc = sim_host_plug(*sim, DEMO_BUSID, device);
    if (!rc)
        rc = keyboard_create(0, &device);
    if (!rc)
        rc = sim_host_plug(*sim, DEMO_KEYBOARD, device);
    if (!rc)
        rc = serial_create(&(struct serial_config){.loopback = true}, 0, &device);
    if (!rc)
        rc = sim_host_plug(*sim, DEMO_SERIAL, device);
    if (!rc)
        rc = audio_create(&(struct audio_config){0}, &device);
    if (!rc)
        rc = sim_host_plug(*sim, DEMO_SOUND, device);
    return rc ? rc : make_more(*sim);
}

static void act(struct sim_host *sim, enum story_cue cue)
{
    switch (cue) {
    case STORY_PULL:
        sim_host_unplug(sim, DEMO_BUSID);
        break;
    case STORY_TYPE:
        keyboard_type(sim_host_device(sim, DEMO_KEYBOARD), OTHERS_TEXT);
        break;
    case STORY_TYPE_MORE:
        keyboard_type(sim_host_device(sim, DEMO_COMPOSITE), MORE_TEXT);
        break;
    }
}

/* ---- one process ---- */

static void act_here(void *context, enum story_cue cue)
{
    act(context, cue);
}

static int play(struct fakexen_local *local, struct story *story, struct back_driver *driver, struct usb_host *usb)
{
    uint64_t now_ns = 0;
    while (!story_finished(story)) {
        int rc = story_step(story, now_ns);
        if (!rc)
            rc = back_driver_step(driver, now_ns);
        if (rc)
            return rc;
        usb->ops->step(usb, now_ns);
        if (fakexen_local_pending(local) || back_driver_busy(driver))
            continue;
        uint64_t due = story_deadline(story);
        uint64_t device = usb->ops->deadline(usb);
        due = device < due ? device : due;
        if (due == UINT64_MAX)
            due = now_ns + 1000000;
        now_ns = due > now_ns ? due : now_ns + 1;
    }
    return 0;
}

static int check_balance(const struct fakexen_local *local, struct story_result *result)
{
    struct fakexen_balance left = fakexen_local_balance(local);
    struct fakexen_balance none = {0};
    bool even = memcmp(&left, &none, sizeof(left)) == 0;
    printf("  %-10s%u grants, %u mapped pages, %u event channels, %u watches left open\n", "close", left.grants,
           left.maps, left.ports, left.watches);
    result->closed = result->closed && even;
    return even ? 0 : -EBUSY;
}

int demo_disk_one(uint64_t seed, struct story_result *result)
{
    struct fakexen_local *local = NULL;
    struct sim_host *sim = NULL;
    struct story *story = NULL;
    struct back_driver *driver = NULL;
    struct xen *xen;
    int rc = fakexen_local_create(&local);
    if (rc)
        goto out;
    struct xen_machine *machine = fakexen_local_machine(local);
    rc = make_guest(machine);
    if (!rc)
        rc = make_devices(&sim);
    if (!rc)
        rc = back_driver_create(machine, 0, &(struct back_config){.host = sim_host_host(sim)}, &driver);
    if (!rc)
        rc = machine->ops->open(machine, DEMO_GUEST, &xen);
    if (rc)
        goto out;
    rc = story_create(xen, seed, act_here, sim, result, &story);
    if (rc)
        xen_close(xen);
    else
        rc = play(local, story, driver, sim_host_host(sim));
out:
    back_driver_destroy(driver);
    story_destroy(story);
    sim_host_destroy(sim);
    if (!rc)
        rc = check_balance(local, result);
    fakexen_local_destroy(local);
    if (rc)
        usage_error("demo", "%s", strerror(-rc));
    return rc;
}

/* ---- two processes ---- */

struct two {
    uint64_t seed;
    struct story_result *result;
    int cues[2]; /* a byte here is a cue of the story */
};

static int back_loop(struct family *family, const struct two *two, struct back_driver *driver, struct sim_host *sim)
{
    struct usb_host *usb = sim_host_host(sim);
    for (;;) {
        struct loop loop;
        int fds[LOOP_FDS_MAX];
        uint64_t now = loop_now_ns();
        int rc = back_driver_step(driver, now);
        if (rc)
            return rc;
        usb->ops->step(usb, now);
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, two->cues[0]);
        unsigned int n = back_driver_fds(driver, fds, LOOP_FDS_MAX);
        for (unsigned int i = 0; i < n && i < LOOP_FDS_MAX; i++)
            loop_add(&loop, fds[i]);
        rc = loop_wait(&loop, back_driver_busy(driver) ? 0 : usb->ops->deadline(usb));
        if (rc || loop_ready(&loop, family->lifeline[0]))
            return rc;
        char cue;
        if (loop_ready(&loop, two->cues[0])) {
            if (read(two->cues[0], &cue, 1) != 1)
                return -EPIPE; /* the frontend has ended, and with it the story */
            act(sim, (enum story_cue)cue);
        }
    }
}

static int back_main(struct family *family, void *context)
{
    const struct two *two = context;
    struct xen_machine *machine = NULL;
    struct sim_host *sim = NULL;
    struct back_driver *driver = NULL;
    close(two->cues[1]);
    int rc = make_devices(&sim);
    if (!rc)
        rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = back_driver_create(machine, 0, &(struct back_config){.host = sim_host_host(sim)}, &driver);
    if (!rc)
        rc = back_loop(family, two, driver, sim);
    back_driver_destroy(driver);
    fakexen_client_machine_destroy(machine);
    sim_host_destroy(sim);
    return rc == 0 || rc == -EPIPE ? 0 : 1;
}

static void act_there(void *context, enum story_cue cue)
{
    const struct two *two = context;
    char byte = (char)cue;
    if (write(two->cues[1], &byte, 1) != 1)
        perror("pvusb demo: pipe");
}

static int front_loop(struct family *family, struct story *story)
{
    while (!story_finished(story)) {
        struct loop loop;
        struct xen *xen = story_xen(story);
        int rc = story_step(story, loop_now_ns());
        if (rc)
            return rc;
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, xen->ops->fd(xen));
        rc = story_finished(story) ? 0 : loop_wait(&loop, story_deadline(story));
        if (rc || loop_ready(&loop, family->lifeline[0]))
            return rc ? rc : -EPIPE;
    }
    return 0;
}

static int front_main(struct family *family, void *context)
{
    struct two *two = context;
    struct xen_machine *machine = NULL;
    struct story *story = NULL;
    struct xen *xen;
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (!rc)
        rc = machine->ops->open(machine, DEMO_GUEST, &xen);
    if (!rc) {
        rc = story_create(xen, two->seed, act_there, two, two->result, &story);
        if (rc)
            xen_close(xen);
    }
    if (!rc)
        rc = front_loop(family, story);
    story_destroy(story);
    fakexen_client_machine_destroy(machine);
    if (rc)
        snprintf(family->error, FAMILY_ERROR_MAX, "frontend: %s", strerror(-rc));
    return rc ? 1 : 0;
}

static int prepare(struct family *family)
{
    struct xen_machine *machine;
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (rc)
        return rc;
    rc = make_guest(machine);
    fakexen_client_machine_destroy(machine);
    return rc;
}

int demo_disk_two(uint64_t seed, struct story_result *result)
{
    char error[FAMILY_ERROR_MAX];
    struct family family;
    struct two two = {.seed = seed, .result = result};
    if (pipe(two.cues))
        return -errno;
    result->real_time = true;
    int rc = family_open(&family, error);
    if (!rc) {
        rc = prepare(&family);
        if (!rc)
            rc = family_start(&family, "backend", back_main, &two);
        if (rc >= 0)
            rc = family_start(&family, "frontend", front_main, &two);
        if (rc >= 0)
            rc = family_wait(&family, rc);
        rc = family_close(&family, rc, error);
    }
    close(two.cues[0]);
    close(two.cues[1]);
    if (rc)
        usage_error("demo", "%s", error);
    else
        printf("  %-10sfrontend, backend and host have ended by themselves\n", "close");
    return rc;
}
