// SPDX-License-Identifier: MIT
/*
 * Bytes are the actions of a hostile frontend, of the toolstack and of devices, against the
 * real backend on the local machine. What must hold whatever they do:
 *
 *  - a request that was taken is answered once: as long as the frontend kept to its ring, each response
 *    is for a request that was pushed and not answered, and carries a status of usbif.h;
 *  - who is not connected has nothing mapped, nothing held by a host and nothing owed;
 *  - the backend comes to rest, and everything is given back at the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define BACK    "/local/domain/0/backend/qusb/1/0"
#define ACTIONS 400u /* more teach nothing and make the run slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab lab;
static const uint8_t *input;
static size_t left;
static bool legal; /* the frontend has kept to the URB ring since it made it */
static bool was_connected;
static unsigned int owed[256]; /* by the low byte of the id */

static uint8_t u8(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static uint32_t u32(void)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | u8();
    return value;
}

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            __builtin_trap(); \
        } \
    } while (0)

/* ---- what must hold ---- */

static bool is_status(int32_t status)
{
    return status == 0 || status == -19 || status == -22 || status == -32 || status == -71 || status == -75 ||
           status == -108;
}

static void take_responses(void)
{
    struct raw_front *f = &lab.front[0];
    if (!f->made || !legal)
        return;
    uint32_t prod = raw_front_rsp_prod(f);
    MUST(prod - f->urb_rsp <= f->urb_published - f->urb_rsp);
    for (; f->urb_rsp != prod; f->urb_rsp++) {
        struct usbif_urb_response rsp;
        memcpy(&rsp, raw_front_slot(f, f->urb_rsp), sizeof(rsp));
        MUST(owed[rsp.id & 0xff] > 0);
        owed[rsp.id & 0xff]--;
        MUST(is_status(rsp.status));
        MUST(rsp.actual_length >= 0 && rsp.actual_length <= 65536);
    }
    raw_set_word(f->urb_page, 12, f->urb_rsp + 1);
}

static void check(void)
{
    if (!lab.rig.back)
        return;
    struct back_stats stats = back_stats(lab.rig.back);
    bool connected = back_state(lab.rig.back) == XenbusStateConnected;
    MUST(stats.responses <= stats.requests && stats.requests - stats.responses <= 16);
    if (connected && lab.rig.host.nr_held > 0)
        return;
    MUST(stats.responses == stats.requests);
    MUST(lab.rig.host.nr_held == 0);
    if (connected != was_connected) /* counting takes long, so not every time */
        MUST(lab_maps(&lab) == (connected ? 2 : 0));
    was_connected = connected;
}

static void run(void)
{
    lab_run(&lab);
    if (lab.rig.back && lab.rig.back_rc) {
        MUST(lab.rig.back_rc == -ENOENT);
        back_destroy(lab.rig.back);
        lab.rig.back = NULL;
        MUST(lab_maps(&lab) == 0);
        MUST(lab.rig.host.nr_held == 0);
    }
    take_responses();
    check();
}

/* ---- requests ---- */

static struct usbif_urb_request any_bytes(void)
{
    struct usbif_urb_request request;
    uint8_t *bytes = (uint8_t *)&request;
    for (size_t i = 0; i < sizeof(request); i++)
        bytes[i] = u8();
    return request;
}

/* Close to legal, so that it gets far; single fields are then spoiled. */
static struct usbif_urb_request near_legal(uint8_t id)
{
    struct raw_front *f = &lab.front[0];
    uint8_t kind = u8();
    uint8_t where = u8();
    uint8_t segs = u8();
    struct usbif_urb_request request =
        raw_request(id, RAW_PIPE(kind & 3, where & 7, kind >> 4, kind >> 2 & 1) | (where >> 3 & 31));
    memset(&request.u, 0, sizeof(request.u));
    for (unsigned int i = 0; i < (segs & 15u); i++) {
        uint8_t s = u8();
        raw_segment(&request, s & 64 ? f->ro[s % RAW_PAGES] : f->rw[s % RAW_PAGES], s & 128 ? 4000 : 0,
                    s & 32 ? 4096 : (uint16_t)(s & 31));
    }
    if ((kind & 3) == RAW_CTRL) {
        static const uint8_t setups[][8] = {
            {0, 5, 3},       {0x80, 6, 0, 1, 0, 0, 18}, {0, 9, 1},
            {1, 11, 1},      {2, 1, 0, 0, 1},           {0xc0, 5},
            {0x40, 1, 0, 0, 0, 0, 8},
        };
        memcpy(request.u.ctrl, setups[segs % 7u], 8);
        request.u.ctrl[2] = (uint8_t)(request.u.ctrl[2] + (segs >> 5));
    } else if ((kind & 3) == RAW_ISO && segs & 128) {
        request.u.isoc.number_of_packets = (uint16_t)(1 + segs % 3u);
        request.u.isoc.nr_frame_desc_segs = 1;
        request.seg[request.nr_buffer_segs & 15u] = (struct usbif_request_segment){
            .gref = f->rw[0], .offset = (uint16_t)(segs & 64u), .length = (uint16_t)(16u * (1 + segs % 3u))};
    } else {
        request.u.unlink.unlink_id = segs; /* when bit 3 says so */
    }
    if (kind & 8)
        request.pipe |= RAW_UNLINK;
    uint8_t spoil = u8();
    if (spoil & 1)
        ((uint8_t *)&request)[2 + u8() % (sizeof(request) - 2)] = u8();
    return request;
}

static void act_request(void)
{
    struct raw_front *f = &lab.front[0];
    uint8_t how = u8();
    if (!f->made)
        return;
    if (f->urb_req - f->urb_rsp >= 16) {
        if (how < 0xf0)
            return;
        legal = false;
    }
    struct usbif_urb_request request = how & 1 ? any_bytes() : near_legal(u8());
    owed[request.id & 0xff]++;
    raw_front_put(f, &request);
    if (how & 2)
        raw_front_push(f);
}

/* ---- the frontend's other powers ---- */

static void act_scribble(void)
{
    struct raw_front *f = &lab.front[0];
    uint8_t how = u8();
    uint32_t value = u32();
    if (!f->made)
        return;
    /* before it is published a slot may change; after it, that must not matter, but ids may be lost */
    if (how & 1) {
        legal = false;
        raw_front_slot(f, how >> 4)[value % 148] = (uint8_t)(value >> 8);
    } else if (how & 2) {
        uint32_t near = raw_word(f->conn_page, 0) + value % 1500;
        raw_set_word(f->conn_page, how >> 2 & 12u, value % 2 ? value : near);
    } else {
        legal = false;
        raw_set_word(f->urb_page, how >> 2 & 12u, value % 2 ? value : raw_word(f->urb_page, 0) + value % 40);
    }
    raw_front_notify(f);
}

static void act_rings(void)
{
    struct raw_front *f = &lab.front[0];
    if (!lab.rig.back || back_state(lab.rig.back) != XenbusStateConnected) {
        run();
        if (lab_maps(&lab) == 0) {
            raw_front_unmake(f);
            raw_front_make(f);
            raw_front_prime(f, u8() * 2u + 1, 0);
            memset(owed, 0, sizeof(owed));
            legal = true;
        }
    }
    if (f->made)
        raw_front_write_nodes(f);
}

static void act_node(void)
{
    static const char *const nodes[] = {"urb-ring-ref", "conn-ring-ref", "event-channel", "state"};
    static const char *const values[] = {"", "0", "1", "8", "9", "x", "4294967295", "99999999999"};
    uint8_t which = u8();
    raw_front_set_node(&lab.front[0], nodes[which & 3], values[which >> 2 & 7]);
}

static void act_grant(void)
{
    struct raw_front *f = &lab.front[0];
    const struct xen_ops *ops = f->xen->ops;
    unsigned int page = u8() % RAW_PAGES;
    if (ops->grant_revoke(f->xen, f->rw[page]) == 0 && ops->grant_end(f->xen, f->rw[page]) == 0)
        MUST(ops->grant(f->xen, 0, f->page + (size_t)page * PVUSB_PAGE_SIZE, false, &f->rw[page]) == 0);
}

/* ---- devices and toolstack ---- */

static void act_complete(void)
{
    static const int32_t status[] = {0, -EPIPE, -EPROTO, -EOVERFLOW, -ENODEV, -ECONNRESET, -EREMOTEIO, 7};
    static uint8_t bytes[65536];
    uint8_t how = u8();
    struct scripted_host *host = &lab.rig.host;
    if (host->nr_held == 0)
        return;
    unsigned int i = (how >> 3) % host->nr_held;
    uint32_t length = u8() * 257u;
    if (length > host->held[i]->length)
        length = host->held[i]->length;
    scripted_host_complete(host, i, status[how & 7], bytes, length);
}

static void act_device(void)
{
    static const char *const names[] = {"1-1", "1-2", "1-3"};
    uint8_t how = u8();
    const char *name = names[how % 3];
    for (unsigned int i = 0; i < SCRIPTED_DEVICES; i++) {
        if (strcmp(lab.rig.host.busid[i], name) == 0) {
            scripted_host_unplug(&lab.rig.host, name);
            return;
        }
    }
    scripted_host_plug(&lab.rig.host, name, (uint8_t)(how >> 2 & 3));
}

static void act_toolstack(void)
{
    static const struct {
        const char *node, *value;
    } writes[] = {
        {"port/1", "1-1"}, {"port/1", "1-2"},  {"port/1", ""},     {"port/2", "1-2"},  {"port/2", "1-1"},
        {"port/2", ""},    {"online", "0"},    {"online", "1"},    {"state", "5"},     {"state", "1"},
        {"num-ports", "1"}, {"num-ports", "4"}, {"num-ports", "0"}, {"usb-ver", "1"},  {"usb-ver", "2"},
    };
    char path[64];
    uint8_t how = u8();
    if (how % 16 < 15) {
        snprintf(path, sizeof(path), BACK "/%s", writes[how % 16].node);
        if (lab.rig.back)
            rig_set_node(&lab.rig, path, writes[how % 16].value);
        return;
    }
    if (how & 0x80)
        (void)vusb_remove(lab.rig.dom0, &lab.controller[0]);
    run();
    if (lab.rig.back)
        return;
    MUST(vusb_create(lab.rig.dom0, &lab.controller[0]) == 0);
    lab.rig.back_rc = 0;
    rig_start_back(&lab.rig);
}

static void act(uint8_t action)
{
    switch (action % 16) {
    case 0: case 1: case 2: case 3:
        act_request();
        break;
    case 4: case 5:
        act_complete();
        break;
    case 6:
        act_scribble();
        break;
    case 7:
        raw_front_set_state(&lab.front[0], (enum xenbus_state)(u8() % 9));
        break;
    case 8:
        act_rings();
        break;
    case 9:
        act_node();
        break;
    case 10:
        act_grant();
        break;
    case 11:
        act_device();
        break;
    case 12:
        act_toolstack();
        break;
    case 13:
        lab.rig.host.cancel_late = !lab.rig.host.cancel_late;
        break;
    case 14:
        if (lab.front[0].made)
            raw_front_prime(&lab.front[0], u8(), 3);
        break;
    default:
        run();
        break;
    }
}

/* What is still pushed and legal is answered once the devices are done. */
static void come_to_rest(void)
{
    struct raw_front *f = &lab.front[0];
    bool ours = f->made && legal;
    run();
    if (ours && lab.rig.back && back_state(lab.rig.back) == XenbusStateConnected)
        raw_front_push(f);
    for (unsigned int i = 0; i < 3; i++) {
        run();
        while (lab.rig.host.nr_held > 0)
            scripted_host_complete(&lab.rig.host, 0, 0, NULL, 0);
    }
    run();
    bool connected = lab.rig.back && back_state(lab.rig.back) == XenbusStateConnected;
    if (ours && connected)
        MUST(f->urb_rsp == f->urb_published);
    MUST(lab_maps(&lab) == (connected ? 2 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    memset(owed, 0, sizeof(owed));
    legal = true;
    was_connected = false;
    lab_init(&lab, 2, 4);
    lab.front[0].deaf = true;
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_HIGH);
    rig_set_node(&lab.rig, BACK "/port/1", "1-1");
    rig_start_back(&lab.rig);
    if (u8() & 1) {
        raw_front_connect(&lab.front[0]);
        run();
    }
    for (unsigned int i = 0; i < ACTIONS && left > 0; i++)
        act(u8());
    come_to_rest();
    lab_dispose(&lab);
    return 0;
}
