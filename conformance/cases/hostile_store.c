// SPDX-License-Identifier: MIT
/*
 * Nodes that change while a half reads them: before its first look at xenstore, its second, ... It goes by
 * one value, and what it has checked is what it uses.
 */
#include <stdio.h>
#include <string.h>

#include "../back.h"
#include "../front.h"
#include "../moments.h"
#include "backend_groups.h"
#include "frontend_groups.h"

struct change {
    struct xen *xen;
    char path[192];
    const char *value;
    unsigned int at, reads;
    bool done;
};

static void change_at_read(void *context, const struct moment *moment)
{
    struct change *c = context;
    if (moment->kind != MOMENT_CALL || strcmp(moment->call, "xs_read") != 0 || c->reads++ != c->at)
        return;
    c->xen->ops->xs_write(c->xen, XEN_XBT_NIL, c->path, c->value, strlen(c->value));
    c->done = true;
}

/* ---- backends ---- */

/* From both Closed to both Connected, as far as the backend wants; then back, with the node as it was. */
static void connect_once(struct conform *t, struct change *c)
{
    struct front *f = front_number(t, 0);
    const char *good = NULL;
    c->reads = 0;
    c->done = false;
    front_make(f);
    front_prime(f, 512, 0);
    front_write_nodes(f);
    if (c->path[0] && !c->value) { /* the same page for both rings */
        char path[192];
        static char value[STORE_VALUE_MAX];
        snprintf(path, sizeof(path), "%s/urb-ring-ref", front_dir(f));
        conform_true(t, store_read(t, front_handle(f), path, value), "urb-ring-ref is there");
        good = value;
    }
    const char *wanted = c->value;
    c->value = good ? good : wanted;
    moments_calls(t, change_at_read, c);
    front_set_state(f, XenbusStateInitialising);
    conform_settle(t);
    front_set_state(f, XenbusStateConnected);
    conform_settle(t);
    moments_calls(t, NULL, NULL);
    c->value = wanted;
    if (front_backend_state(f) == XenbusStateConnected) {
        front_expect_plug(f, 1, USBIF_SPEED_HIGH);
        front_check_works_on(f);
    }
    front_set_state(f, XenbusStateClosing);
    conform_settle(t);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
}

static void backend_node(struct conform *t, bool of_frontend, const char *node, const char *good,
                         const char *bad)
{
    struct front *f = front_number(t, 0);
    struct change c = {.xen = of_frontend ? front_handle(f) : store_toolstack(t), .value = bad};
    snprintf(c.path, sizeof(c.path), "%s/%s", of_frontend ? front_dir(f) : front_backend_dir(f), node);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_port(f, 1, "1-1");
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    do {
        connect_once(t, &c);
        if (good)
            store_write(t, store_toolstack(t), c.path, good);
        c.at++;
    } while (c.done);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

/* name, id, title, of the frontend, node, its good value (NULL: each time a new one), the other (NULL: the
 * URB ring's) */
#define BACKEND_NODES(X)                                                                                     \
    X(num_ports, "num-ports", "no ports", false, "num-ports", "4", "0")                                      \
    X(num_ports_32, "num-ports.32", "too many ports", false, "num-ports", "4", "32")                         \
    X(usb_ver, "usb-ver", "no version", false, "usb-ver", "2", "x")                                          \
    X(online, "online", "not online", false, "online", "1", "0")                                             \
    X(urb_ref, "urb-ring-ref", "no ring", true, "urb-ring-ref", NULL, "4294967295")                          \
    X(conn_ref, "conn-ring-ref", "one page for both rings", true, "conn-ring-ref", NULL, NULL)               \
    X(channel, "event-channel", "no channel", true, "event-channel", NULL, "4711")

#define BACKEND_RUN(name, id, title, ...)                                                                    \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        backend_node(t, __VA_ARGS__);                                                                        \
    }
BACKEND_NODES(BACKEND_RUN)

/* Each state that the backend shows on its way to Connected. */
struct states {
    struct conform *t;
    unsigned int seen; /* bit n: state n */
};

static void note_state(void *context, const struct moment *moment)
{
    struct states *s = context;
    (void)moment;
    s->seen |= 1u << front_backend_state(front_number(s->t, 0));
}

/* The frontend is there before its backend: even so it is offered to wait first. */
static void pass_through_2(struct conform *t)
{
    const struct store_controller controller = {
        .frontend = conform_guest(t), .usb_ver = 2, .num_ports = 4, .kind = "qusb", .omit = "state"};
    struct front *f = front_number(t, 0);
    struct states s = {.t = t};
    char path[192];
    store_create_controller(t, &controller);
    front_make(f);
    front_prime(f, 512, 0);
    front_write_nodes(f);
    front_set_state(f, XenbusStateConnected);
    conform_settle(t);
    moments_calls(t, note_state, &s);
    snprintf(path, sizeof(path), "%s/state", front_backend_dir(f));
    store_write(t, store_toolstack(t), path, "1");
    front_expect_backend_state(f, XenbusStateConnected);
    moments_calls(t, NULL, NULL);
    conform_true(t, s.seen & 1u << XenbusStateInitWait, "the backend shows 2 before it shows 4");
    conform_true(t, !(s.seen & 1u << XenbusStateInitialised), "and nothing else in between");
}

/* What is there at each moment at which the backend shows Connected. */
static void note_maps(void *context, const struct moment *moment)
{
    struct states *s = context;
    struct front *f = front_number(s->t, 0);
    (void)moment;
    if (front_backend_state(f) == XenbusStateConnected)
        s->seen |= front_mapped(f) < 2 || front_channels(f) < 2;
}

static void mapped_before_4(struct conform *t)
{
    struct states s = {.t = t};
    moments_calls(t, note_maps, &s);
    front_connect(front_number(t, 0));
    moments_calls(t, NULL, NULL);
    conform_true(t, !s.seen, "both rings are mapped and the channel bound whenever the state is 4");
}

/* ---- frontends ---- */

static void frontend_node(struct conform *t, const char *node, const char *good, const char *bad)
{
    struct change c = {.xen = back_handle(t), .value = bad};
    snprintf(c.path, sizeof(c.path), "%s/%s", back_dir(t), node);
    do {
        c.reads = 0;
        c.done = false;
        moments_calls(t, change_at_read, &c);
        back_set_state(t, XenbusStateInitWait);
        conform_settle(t);
        moments_calls(t, NULL, NULL);
        if (back_frontend_state(t) == XenbusStateConnected) {
            const uint8_t status[8] = {0xa3, 0, 0, 0, 4, 0, 4, 0};
            uint8_t data[4];
            back_map(t);
            back_set_state(t, XenbusStateConnected);
            conform_settle(t);
            conform_equal(t, "status of port 4 of 4", 4, guest_hub(t, status, data, sizeof(data)));
        }
        back_set_state(t, XenbusStateClosing);
        conform_settle(t);
        back_unmap(t);
        back_set_state(t, XenbusStateClosed);
        back_expect_frontend_state(t, XenbusStateClosed);
        back_set_node(t, node, good);
        back_set_state(t, XenbusStateInitialising);
        guest_reconnect(t);
        conform_settle(t);
        c.at++;
    } while (c.done);
}

static void front_ports(struct conform *t)
{
    frontend_node(t, "num-ports", "4", "0");
}

static void front_ports_32(struct conform *t)
{
    frontend_node(t, "num-ports", "4", "255");
}

static void front_ver(struct conform *t)
{
    frontend_node(t, "usb-ver", "2", "9");
}

#define BACKEND_ROW(name, id, title, ...)                                                                    \
    {"hostile.backend.store." id,                                                                            \
     "hostile.assert state.backend.init-wait state.backend.late-node",                                       \
     title,                                                                                                  \
     name,                                                                                                   \
     .start = CONFORM_NODES,                                                                                 \
     .needs = "device toolstack moments"},

const struct conform_case hostile_backend_store_cases[] = {
    BACKEND_NODES(BACKEND_ROW){"xenbus.backend.pass-2", "state.backend.pass-through-2",
                               "a frontend that is Connected already is told to wait", pass_through_2,
                               .start = CONFORM_NOTHING, .needs = "toolstack moments"},
    {"xenbus.backend.mapped-before-4", "state.backend.connected-last",
     "nothing is missing when it shows Connected", mapped_before_4, .start = CONFORM_NODES,
     .needs = "inproc moments"},
    {0},
};

#define FRONT(id, title, run)                                                                                \
    {                                                                                                        \
        "hostile.frontend.store." id, "hostile.num-ports-changed hostile.backend", title, run,               \
            CONFORM_FRONTEND, CONFORM_NODES, 0, 0, "guest moments"                                           \
    }

const struct conform_case cases_hostile_frontend_store[] = {
    FRONT("num-ports", "no ports", front_ports),
    FRONT("num-ports.255", "too many ports", front_ports_32),
    FRONT("usb-ver", "no version", front_ver),
    {0},
};
