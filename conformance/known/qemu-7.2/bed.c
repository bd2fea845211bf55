// SPDX-License-Identifier: MIT
#include "bed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"
#include "reference.h"

#define NS_PER_MS    UINT64_C(1000000)
#define EXIT_SKIPPED 77
#define BACKEND_DIR  "/local/domain/0/backend/qusb/1/0"

void bed_note(struct bed *bed, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(bed->story) - bed->length;
    int n = vsnprintf(bed->story + bed->length, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= room)
        return;
    bed->length += (size_t)n;
    bed->story[bed->length++] = '\n';
    bed->story[bed->length] = '\0';
}

/* ---- waiting ---- */

static void reference_death(struct bed *bed)
{
    char error[FAMILY_ERROR_MAX];
    bed->died = true;
    bed->death = (struct peer_death){0};
    (void)family_wait(&bed->family, bed->child);
    (void)family_end_children(&bed->family);
    snprintf(error, sizeof(error), "%s", bed->family.error);
    snprintf(bed->death.text, sizeof(bed->death.text), "our backend has died. %.400s", error);
}

static void look(struct bed *bed)
{
    static char path[XEN_XS_PATH_MAX + 1];
    static char token[XEN_XS_TOKEN_MAX + 1];
    struct loop loop;
    raw_front_poll(&bed->front);
    while (bed->dom0->ops->xs_watch_read(bed->dom0, path, token) == 0)
        ;
    if (bed->died)
        return;
    if (bed->peer) {
        bed->died = peer_poll_death(bed->peer, &bed->death);
    } else {
        loop_clear(&loop);
        loop_add(&loop, bed->family.child[bed->child].alive);
        if (loop_wait(&loop, 0) == 0 && loop_ready(&loop, bed->family.child[bed->child].alive))
            reference_death(bed);
    }
}

/* True when the condition holds; false when time is up or the backend has died before. */
static bool wait_for(struct bed *bed, bool (*condition)(struct bed *bed, const void *context),
                     const void *context, unsigned int ms)
{
    uint64_t end = loop_now_ns() + ms * NS_PER_MS;
    for (look(bed); !condition(bed, context); look(bed)) {
        struct loop loop;
        if (bed->died || loop_now_ns() >= end)
            return false;
        loop_clear(&loop);
        loop_add(&loop, bed->front.xen->ops->fd(bed->front.xen));
        loop_add(&loop, bed->dom0->ops->fd(bed->dom0));
        loop_add(&loop, bed->peer ? peer_fd(bed->peer) : bed->family.child[bed->child].alive);
        if (loop_wait(&loop, end))
            return false;
    }
    return true;
}

static unsigned int patience(const struct bed *bed)
{
    return bed->hasty && bed->peer ? BED_SILENCE : BED_PATIENCE;
}

static bool never(struct bed *bed, const void *context)
{
    (void)bed;
    (void)context;
    return false;
}

void bed_listen(struct bed *bed, unsigned int ms)
{
    (void)wait_for(bed, never, NULL, ms);
}

/* ---- connecting ---- */

enum xenbus_state bed_backend_state(struct bed *bed)
{
    char value[16];
    ssize_t n = bed->dom0->ops->xs_read(bed->dom0, XEN_XBT_NIL, BACKEND_DIR "/state", value, sizeof(value));
    return n < 0 ? XenbusStateUnknown : (enum xenbus_state)atoi(value);
}

static bool has_state(struct bed *bed, const void *context)
{
    return bed_backend_state(bed) == *(const enum xenbus_state *)context;
}

bool bed_backend_is(struct bed *bed, enum xenbus_state state)
{
    bool is = wait_for(bed, has_state, &state, patience(bed));
    if (is)
        bed_note(bed, "  the backend's state is %d", (int)state);
    else if (!bed->died)
        bed_note(bed, "  the backend's state is %d, not %d", (int)bed_backend_state(bed), (int)state);
    return is;
}

bool bed_connect(struct bed *bed)
{
    if (!bed_backend_is(bed, XenbusStateInitWait))
        return false;
    raw_front_connect(&bed->front);
    return bed_backend_is(bed, XenbusStateConnected);
}

bool bed_disconnect(struct bed *bed)
{
    bed_note(bed, "the frontend closes: states 5, 6, 1");
    raw_front_set_state(&bed->front, XenbusStateClosing);
    if (!bed_backend_is(bed, XenbusStateClosing))
        return false;
    raw_front_set_state(&bed->front, XenbusStateClosed);
    if (!bed_backend_is(bed, XenbusStateClosed))
        return false;
    raw_front_unmake(&bed->front);
    raw_front_set_state(&bed->front, XenbusStateInitialising);
    return true;
}

/* ---- requests ---- */

void bed_send(struct bed *bed, const struct usbif_urb_request *request, const char *what)
{
    bed_note(bed, "request %u: %s", request->id, what);
    raw_front_put(&bed->front, request);
    if (!bed->hold)
        raw_front_push(&bed->front);
}

void bed_push(struct bed *bed)
{
    bed->hold = false;
    raw_front_push(&bed->front);
}

void bed_control(struct bed *bed, uint16_t id, uint32_t target, const uint8_t setup[8], uint32_t length)
{
    char what[96];
    struct usbif_urb_request request = raw_control(id, 0, setup);
    request.pipe |= target;
    raw_buffer(&bed->front, &request, 0, length);
    snprintf(what, sizeof(what),
             "pipe %08x, setup %02x %02x %02x%02x %02x%02x %02x%02x, %u bytes of segments", request.pipe,
             setup[0], setup[1], setup[3], setup[2], setup[5], setup[4], setup[7], setup[6],
             request.buffer_length);
    bed_send(bed, &request, what);
}

int bed_descriptor(struct bed *bed, uint16_t id, uint32_t target)
{
    static const uint8_t setup[8] = {0x80, 0x06, 0x00, 0x01, 0, 0, 18, 0};
    bed_control(bed, id, target, setup, 18);
    return bed_status(bed, id, NULL);
}

int bed_address(struct bed *bed, uint16_t id, uint32_t port, uint16_t address)
{
    const uint8_t setup[8] = {0x00, 0x05, (uint8_t)address, (uint8_t)(address >> 8)};
    bed_control(bed, id, BED_PORT(port), setup, 0);
    return bed_status(bed, id, NULL);
}

bool bed_device(struct bed *bed, uint32_t port, uint16_t address, uint8_t configuration)
{
    const uint8_t setup[8] = {0x00, 0x09, configuration};
    uint16_t id = (uint16_t)(900 + 2 * port);
    unsigned int event = 0;
    while ((event = bed_event(bed, event, port, UINT32_MAX)) && bed->front.event[event - 1].speed == 0)
        ;
    if (!event || bed_address(bed, id, port, address))
        return false;
    bed_control(bed, (uint16_t)(id + 1), BED_ADDRESS(address), setup, 0);
    return bed_status(bed, (uint16_t)(id + 1), NULL) == 0;
}

bool bed_keyboard(struct bed *bed, uint32_t port, uint16_t address)
{
    static const uint8_t setup[8] = {0x21, 0x0a}; /* SET_IDLE for ever */
    uint16_t id = (uint16_t)(950 + port);
    if (!bed_device(bed, port, address, 1))
        return false;
    bed_control(bed, id, BED_ADDRESS(address), setup, 0);
    return bed_status(bed, id, NULL) == 0;
}

void bed_transfer(struct bed *bed, uint16_t id, uint16_t address, uint32_t type, uint8_t ep, uint16_t length)
{
    char what[64];
    struct usbif_urb_request request = raw_request(id, RAW_PIPE(type, address, ep & 0xf, ep >> 7));
    raw_buffer(&bed->front, &request, (id % RAW_PAGES) * PVUSB_PAGE_SIZE, length);
    snprintf(what, sizeof(what), "pipe %08x, %s %s, %u bytes", request.pipe,
             type == RAW_BULK ? "bulk" : "interrupt", ep >> 7 ? "IN" : "OUT", length);
    bed_send(bed, &request, what);
}

void bed_unlink(struct bed *bed, uint16_t id, uint16_t address, uint8_t ep, uint16_t target)
{
    char what[48];
    uint32_t pipe = RAW_PIPE(RAW_INT, address, ep & 0xf, ep >> 7);
    struct usbif_urb_request request = raw_unlink(id, pipe, target);
    snprintf(what, sizeof(what), "unlink of %u", target);
    bed_send(bed, &request, what);
}

static const struct usbif_urb_response *find(const struct bed *bed, uint16_t id)
{
    for (unsigned int i = 0; i < bed->front.nr_rsp; i++) {
        if (bed->front.rsp[i].id == id)
            return &bed->front.rsp[i];
    }
    return NULL;
}

static bool is_answered(struct bed *bed, const void *context)
{
    return find(bed, *(const uint16_t *)context);
}

int bed_status(struct bed *bed, uint16_t id, uint32_t *actual)
{
    if (!wait_for(bed, is_answered, &id, patience(bed))) {
        if (!bed->died)
            bed_note(bed, "  no answer to %u in %u ms", id, patience(bed));
        return BED_NO_ANSWER;
    }
    const struct usbif_urb_response *response = find(bed, id);
    bed_note(bed, "  answer to %u: status %d, %d bytes", id, response->status, response->actual_length);
    if (actual)
        *actual = (uint32_t)response->actual_length;
    return response->status;
}

/* ---- events ---- */

struct wanted {
    unsigned int from, port, speed; /* UINT32_MAX: any */
};

static unsigned int find_event(const struct bed *bed, const struct wanted *wanted)
{
    for (unsigned int i = wanted->from; i < bed->front.nr_events; i++) {
        const struct usbif_conn_response *event = &bed->front.event[i];
        if (event->portnum == wanted->port && (wanted->speed == UINT32_MAX || event->speed == wanted->speed))
            return i + 1;
    }
    return 0;
}

static bool has_event(struct bed *bed, const void *context)
{
    return find_event(bed, context) != 0;
}

unsigned int bed_event(struct bed *bed, unsigned int from, unsigned int port, unsigned int speed)
{
    const struct wanted wanted = {from, port, speed};
    if (!wait_for(bed, has_event, &wanted, patience(bed))) {
        if (!bed->died)
            bed_note(bed, "  no event of port %u in %u ms", port, patience(bed));
        return 0;
    }
    unsigned int found = find_event(bed, &wanted);
    bed_note(bed, "  event: port %u, speed %u", port, bed->front.event[found - 1].speed);
    return found;
}

/* ---- what others do ---- */

void bed_port(struct bed *bed, unsigned int port, const char *busid)
{
    int rc = vusb_set_port(bed->dom0, &bed->controller, port, busid);
    bed_note(bed, "toolstack: port/%u = \"%s\"%s", port, busid, rc ? ": refused" : "");
}

void bed_bus(struct bed *bed, const char *command)
{
    char answer[PEER_ERROR_MAX] = "";
    bool ok;
    if (bed->peer) {
        ok = peer_command(bed->peer, command, answer) == 0;
    } else {
        ok = write(bed->reference, command, strlen(command)) > 0 && read(bed->reference, answer, 3) == 3 &&
             answer[0] == 'o';
    }
    bed_note(bed, "the bus: %s%s%s", command, ok ? "" : ": ", ok ? "" : answer);
}

/* ---- beginning and ending ---- */

static unsigned int count_devices(const struct known *known)
{
    unsigned int n = 0;
    while (n < 2 && known->devices[n])
        n++;
    return n;
}

static int start_qemu(struct bed *bed, char *error)
{
    const struct peer_config config = {.dir = bed->family.dir,
                                       .guest = BED_GUEST,
                                       .devices = bed->known->devices,
                                       .nr_devices = count_devices(bed->known)};
    int rc = peer_qemu_start(&config, &bed->peer, error);
    if (rc == -ECHILD && bed->known->cold)
        return 1;
    bed->pid = rc ? 0 : peer_qemu_pid(bed->peer);
    return rc == -ENOPKG ? EXIT_SKIPPED : rc ? 1 : 0;
}

static int start_reference(struct bed *bed, char *error)
{
    static struct reference reference;
    char said[3];
    reference.devices = bed->known->devices;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reference.ends)) {
        snprintf(error, PEER_ERROR_MAX, "a socket: %s", strerror(errno));
        return 1;
    }
    bed->child = family_start(&bed->family, "backend", reference_run, &reference);
    close(reference.ends[1]);
    bed->reference = reference.ends[0];
    if (bed->child < 0 || read(bed->reference, said, sizeof(said)) != sizeof(said)) {
        snprintf(error, PEER_ERROR_MAX, "our backend did not begin. %.400s", bed->family.error);
        return 1;
    }
    bed->pid = bed->family.child[bed->child].pid;
    return 0;
}

static int make_controller(struct bed *bed)
{
    bed->controller = (struct vusb_controller){
        .kind = "qusb", .backend = 0, .frontend = BED_GUEST, .usb_ver = 2, .num_ports = BED_PORTS};
    int rc = vusb_create(bed->dom0, &bed->controller);
    for (unsigned int i = 0; !rc && !bed->known->empty && i < count_devices(bed->known); i++) {
        char busid[32];
        const char *device = bed->known->devices[i];
        snprintf(busid, sizeof(busid), "%.*s", (int)strcspn(device, "="), device);
        rc = vusb_set_port(bed->dom0, &bed->controller, i + 1, busid);
    }
    return rc;
}

static int make_machine(struct bed *bed, struct xen **guest)
{
    int rc = fakexen_client_machine_create(bed->family.dir, &bed->machine);
    if (!rc)
        rc = bed->machine->ops->open(bed->machine, 0, &bed->dom0);
    if (!rc)
        rc = bed->machine->ops->domain_create(bed->machine, BED_GUEST);
    if (!rc)
        rc = bed->machine->ops->open(bed->machine, BED_GUEST, guest);
    if (!rc)
        rc = bed->dom0->ops->xs_watch(bed->dom0, BACKEND_DIR, "bed");
    return rc;
}

int bed_open(struct bed *bed, const struct known *known, bool reference, char *error)
{
    struct xen *guest;
    *bed = (struct bed){.known = known, .reference = -1, .child = -1};
    int code = family_open(&bed->family, error) ? 1 : 0;
    /* Before it uses the machine, for the reference is a fork of this process. */
    if (!code && reference)
        code = start_reference(bed, error);
    int rc = code ? 0 : make_machine(bed, &guest);
    if (!code && !rc && known->cold)
        rc = make_controller(bed);
    if (!code && !rc && !reference)
        code = start_qemu(bed, error);
    if (!code && !rc && !known->cold)
        rc = make_controller(bed);
    if (rc) {
        snprintf(error, PEER_ERROR_MAX, "the machine: %s", strerror(-rc));
        return 1;
    }
    if (code)
        return code;
    raw_front_open(&bed->front, guest, 0, 0);
    return 0;
}

/* Not all that a frontend should give back is given back: QEMU may hold it. It goes with the machine. */
void bed_close(struct bed *bed)
{
    char error[FAMILY_ERROR_MAX];
    (void)peer_stop(bed->peer);
    if (bed->reference >= 0)
        close(bed->reference);
    if (bed->family.error)
        (void)family_close(&bed->family, 0, error);
}
