// SPDX-License-Identifier: MIT
/*
 * A PVUSB frontend that knows nothing of this project: written after Xen's public headers alone and linked
 * with libxengnttab, libxenevtchn and libxenstore. It connects, waits until a disk is plugged into port 1,
 * enumerates it, asks what it is and how large, and closes. One line on stdout for each step; exit code 1 and
 * a line on stderr when something is not as it should be.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#include <xen/io/ring.h>
#include <xen/io/usbif.h>
#include <xen/io/xenbus.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define HOME       "device/vusb/0"
#define PAGE       4096u
#define TIMEOUT_MS 30000
#define ADDRESS    5u

enum { URB_PAGE, CONN_PAGE, DATA_PAGE, PAGES };

struct twin {
    struct xs_handle *xs;
    xengntshr_handle *xgs;
    xenevtchn_handle *xce;
    unsigned int backend_id;
    char *backend; /* its path */
    uint8_t *pages;
    uint32_t refs[PAGES];
    evtchn_port_t port;
    usbif_urb_front_ring_t urbs;
    usbif_conn_front_ring_t conns;
    uint16_t next_id;
};

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("twin: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void wait_readable(int fd, const char *what)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (poll(&waiting, 1, TIMEOUT_MS) != 1)
        die("nothing came while waiting for %s", what);
}

/* ---- xenstore ---- */

static char *read_node(struct twin *twin, const char *folder, const char *name)
{
    char path[512];
    unsigned int length;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return xs_read(twin->xs, XBT_NULL, path, &length);
}

static int read_number(struct twin *twin, const char *folder, const char *name)
{
    char *text = read_node(twin, folder, name);
    int value = text ? (int)strtol(text, NULL, 10) : -1;
    free(text);
    return value;
}

static void write_number(struct twin *twin, xs_transaction_t t, const char *name, unsigned int value)
{
    char path[128];
    char text[16];
    snprintf(path, sizeof(path), HOME "/%s", name);
    int length = snprintf(text, sizeof(text), "%u", value);
    if (!xs_write(twin->xs, t, path, text, (unsigned int)length))
        die("cannot write %s", path);
}

/* Each event of the watch is a reason to look, the first comes at once. */
static void wait_for_backend(struct twin *twin, int low, int high)
{
    char path[512];
    unsigned int count;
    snprintf(path, sizeof(path), "%s/state", twin->backend);
    if (!xs_watch(twin->xs, path, "state"))
        die("cannot watch %s", path);
    for (;;) {
        wait_readable(xs_fileno(twin->xs), "the backend's state");
        free(xs_read_watch(twin->xs, &count));
        int state = read_number(twin, twin->backend, "state");
        if (state >= low && state <= high)
            break;
    }
    if (!xs_unwatch(twin->xs, path, "state"))
        die("cannot unwatch %s", path);
}

/* ---- connecting ---- */

static void open_all(struct twin *twin)
{
    twin->xs = xs_open(0);
    twin->xgs = xengntshr_open(NULL, 0);
    twin->xce = xenevtchn_open(NULL, 0);
    if (!twin->xs || !twin->xgs || !twin->xce)
        die("no Xen here");
    twin->backend = read_node(twin, HOME, "backend");
    int id = read_number(twin, HOME, "backend-id");
    if (!twin->backend || id < 0)
        die("no virtual controller in " HOME);
    twin->backend_id = (unsigned int)id;
}

static void make_rings(struct twin *twin)
{
    twin->pages = xengntshr_share_pages(twin->xgs, twin->backend_id, PAGES, twin->refs, 1);
    int port = xenevtchn_bind_unbound_port(twin->xce, twin->backend_id);
    if (!twin->pages || port < 0)
        die("no pages or no event channel");
    twin->port = (evtchn_port_t)port;
    usbif_urb_sring_t *urbs = (usbif_urb_sring_t *)(void *)(twin->pages + URB_PAGE * PAGE);
    usbif_conn_sring_t *conns = (usbif_conn_sring_t *)(void *)(twin->pages + CONN_PAGE * PAGE);
    SHARED_RING_INIT(urbs);
    SHARED_RING_INIT(conns);
    FRONT_RING_INIT(&twin->urbs, urbs, PAGE);
    FRONT_RING_INIT(&twin->conns, conns, PAGE);
}

static void publish(struct twin *twin)
{
    bool done;
    do {
        xs_transaction_t t = xs_transaction_start(twin->xs);
        write_number(twin, t, "urb-ring-ref", twin->refs[URB_PAGE]);
        write_number(twin, t, "conn-ring-ref", twin->refs[CONN_PAGE]);
        write_number(twin, t, "event-channel", twin->port);
        write_number(twin, t, "state", XenbusStateConnected);
        done = xs_transaction_end(twin->xs, t, false);
    } while (!done);
}

static void close_all(struct twin *twin)
{
    write_number(twin, XBT_NULL, "state", XenbusStateClosing);
    wait_for_backend(twin, XenbusStateClosing, XenbusStateClosed);
    write_number(twin, XBT_NULL, "state", XenbusStateClosed);
    wait_for_backend(twin, XenbusStateClosed, XenbusStateClosed);
    if (xenevtchn_unbind(twin->xce, twin->port) || xengntshr_unshare(twin->xgs, twin->pages, PAGES))
        die("cannot give back the port or the pages");
    xenevtchn_close(twin->xce);
    xengntshr_close(twin->xgs);
    xs_close(twin->xs);
    free(twin->backend);
}

/* ---- rings ---- */

static void wait_event(struct twin *twin, const char *what)
{
    wait_readable(xenevtchn_fd(twin->xce), what);
    int port = xenevtchn_pending(twin->xce);
    if (port < 0 || (evtchn_port_t)port != twin->port || xenevtchn_unmask(twin->xce, (evtchn_port_t)port))
        die("event of port %d while waiting for %s", port, what);
}

/* Until port 1 has a device; events may come more than once. */
static unsigned int wait_for_plug(struct twin *twin)
{
    int notify;
    for (uint16_t id = 0; id < 4; id++)
        RING_GET_REQUEST(&twin->conns, twin->conns.req_prod_pvt++)->id = id;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&twin->conns, notify);
    if (notify && xenevtchn_notify(twin->xce, twin->port))
        die("cannot notify");
    for (;;) {
        int more;
        RING_FINAL_CHECK_FOR_RESPONSES(&twin->conns, more);
        while (more) {
            usbif_conn_response_t response = *RING_GET_RESPONSE(&twin->conns, twin->conns.rsp_cons);
            twin->conns.rsp_cons++;
            if (response.portnum == 1 && response.speed != USBIF_SPEED_NONE)
                return response.speed;
            RING_FINAL_CHECK_FOR_RESPONSES(&twin->conns, more);
        }
        wait_event(twin, "a plug event");
    }
}

/* One URB with its data in the data page; returns what was transferred. */
static unsigned int urb(struct twin *twin, uint32_t pipe, const uint8_t setup[8], unsigned int length,
                        const char *what)
{
    int notify;
    int more;
    usbif_urb_request_t *request = RING_GET_REQUEST(&twin->urbs, twin->urbs.req_prod_pvt);
    memset(request, 0, sizeof(*request));
    request->id = ++twin->next_id;
    request->pipe = usbif_setportnum_pipe(pipe, 1u);
    request->buffer_length = (uint16_t)length;
    if (setup)
        memcpy(request->u.ctrl, setup, 8);
    if (length) {
        request->nr_buffer_segs = 1;
        request->seg[0].gref = twin->refs[DATA_PAGE];
        request->seg[0].length = (uint16_t)length;
    }
    twin->urbs.req_prod_pvt++;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&twin->urbs, notify);
    if (notify && xenevtchn_notify(twin->xce, twin->port))
        die("%s: cannot notify", what);
    for (;;) {
        RING_FINAL_CHECK_FOR_RESPONSES(&twin->urbs, more);
        if (more)
            break;
        wait_event(twin, what);
    }
    usbif_urb_response_t response = *RING_GET_RESPONSE(&twin->urbs, twin->urbs.rsp_cons);
    twin->urbs.rsp_cons++;
    if (response.id != twin->next_id || response.status != USBIF_STATUS_OK)
        die("%s: request %u answered by %u with status %d", what, twin->next_id, response.id,
            response.status);
    if (response.actual_length < 0 || (unsigned int)response.actual_length > length)
        die("%s: actual length %d of %u", what, response.actual_length, length);
    return (unsigned int)response.actual_length;
}

static uint32_t pipe_of(uint32_t type, unsigned int address, unsigned int endpoint)
{
    return type << USBIF_PIPE_TYPE_SHIFT | address << USBIF_PIPE_DEV_SHIFT |
           (endpoint & USBIF_PIPE_EP_MASK) << USBIF_PIPE_EP_SHIFT | (endpoint & USBIF_PIPE_DIR);
}

/* ---- USB ---- */

static unsigned int control(struct twin *twin, unsigned int address, uint8_t type, uint8_t request,
                            uint16_t value, uint16_t length, const char *what)
{
    const uint8_t setup[8] = {type, request, (uint8_t)value,  (uint8_t)(value >> 8),
                              0,    0,       (uint8_t)length, (uint8_t)(length >> 8)};
    return urb(twin, pipe_of(USBIF_PIPE_TYPE_CTRL, address, type & USBIF_PIPE_DIR), setup, length, what);
}

static void enumerate(struct twin *twin, unsigned int *in, unsigned int *out)
{
    const uint8_t *data = twin->pages + DATA_PAGE * PAGE;
    if (control(twin, 0, 0x80, 6, 0x0100, 18, "GET_DESCRIPTOR at address 0") != 18 || data[0] != 18 ||
        data[1] != 1)
        die("no device descriptor");
    printf("device %02x%02x:%02x%02x\n", data[9], data[8], data[11], data[10]);
    control(twin, 0, 0x00, 5, ADDRESS, 0, "SET_ADDRESS");
    unsigned int length = control(twin, ADDRESS, 0x80, 6, 0x0200, 512, "GET_DESCRIPTOR of the configuration");
    if (length < 9 || data[1] != 2)
        die("no configuration descriptor");
    for (unsigned int at = 0; at + 2 <= length && data[at] >= 2 && at + data[at] <= length; at += data[at]) {
        bool bulk = data[at + 1] == 5 && data[at] >= 7 && (data[at + 3] & 3) == 2;
        if (bulk)
            *(data[at + 2] & 0x80 ? in : out) = data[at + 2];
    }
    if (!*in || !*out)
        die("no bulk endpoints");
    control(twin, ADDRESS, 0x00, 9, data[5], 0, "SET_CONFIGURATION");
}

/* A command of bulk-only transport; its answer of `size` bytes goes to `answer`. */
static void command(struct twin *twin, unsigned int in, unsigned int out, const uint8_t *block,
                    uint8_t block_size, uint8_t *answer, uint8_t size, const char *what)
{
    uint8_t *data = twin->pages + DATA_PAGE * PAGE;
    uint8_t wrapper[31] = {'U', 'S', 'B', 'C', 1, 2, 3, 4, size, 0, 0, 0, 0x80, 0, block_size};
    memcpy(wrapper + 15, block, block_size);
    memcpy(data, wrapper, sizeof(wrapper));
    if (urb(twin, pipe_of(USBIF_PIPE_TYPE_BULK, ADDRESS, out), NULL, 31, what) != 31)
        die("%s: the command was not taken", what);
    memset(data, 0xee, PAGE);
    if (urb(twin, pipe_of(USBIF_PIPE_TYPE_BULK, ADDRESS, in), NULL, size, what) != size)
        die("%s: a short answer", what);
    memcpy(answer, data, size);
    if (urb(twin, pipe_of(USBIF_PIPE_TYPE_BULK, ADDRESS, in), NULL, 13, what) != 13 ||
        memcmp(data, "USBS\1\2\3\4\0\0\0\0\0", 13) != 0)
        die("%s: no status, or a bad one", what);
}

static void ask_disk(struct twin *twin, unsigned int in, unsigned int out)
{
    static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
    static const uint8_t capacity[10] = {0x25};
    uint8_t answer[36];
    command(twin, in, out, inquiry, sizeof(inquiry), answer, 36, "INQUIRY");
    printf("inquiry %.8s %.16s\n", (const char *)answer + 8, (const char *)answer + 16);
    command(twin, in, out, capacity, sizeof(capacity), answer, 8, "READ CAPACITY");
    uint32_t last =
        (uint32_t)answer[0] << 24 | (uint32_t)answer[1] << 16 | (uint32_t)answer[2] << 8 | answer[3];
    uint32_t size =
        (uint32_t)answer[4] << 24 | (uint32_t)answer[5] << 16 | (uint32_t)answer[6] << 8 | answer[7];
    printf("capacity %llu\n", (unsigned long long)(last + 1ull) * size);
}

int main(int argc, char **argv)
{
    struct twin twin = {0};
    unsigned int in = 0;
    unsigned int out = 0;
    open_all(&twin);
    make_rings(&twin);
    /* After another frontend that closed, or died (BUS-14). */
    write_number(&twin, XBT_NULL, "state", XenbusStateInitialising);
    wait_for_backend(&twin, XenbusStateInitWait, XenbusStateInitWait);
    publish(&twin);
    wait_for_backend(&twin, XenbusStateConnected, XenbusStateConnected);
    puts("connected");
    printf("plug, speed %u\n", wait_for_plug(&twin));
    enumerate(&twin, &in, &out);
    ask_disk(&twin, in, out);
    if (argc > 1 && strcmp(argv[1], "--stay") == 0) {
        puts("staying");
        fflush(stdout);
        for (;;)
            pause();
    }
    close_all(&twin);
    puts("closed");
    return 0;
}
