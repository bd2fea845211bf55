// SPDX-License-Identifier: MIT
/* How a frontend finds its backend, what it says when it gives up, and what is left of it after a close. */
#include <stdio.h>

#include "frontend_groups.h"
#include "frontend_support.h"

#define ERROR_NODE "/local/domain/1/error/device/vusb/0/error"

static void front_node(const struct conform *t, const char *node, char path[STORE_VALUE_MAX])
{
    snprintf(path, STORE_VALUE_MAX, "%s/%s", back_frontend_dir(t), node);
}

static void write_front(struct conform *t, const char *node, const char *value)
{
    char path[STORE_VALUE_MAX];
    front_node(t, node, path);
    store_write(t, store_toolstack(t), path, value);
}

/* ---- nodes ---- */

static void controller(struct conform *t, const char *kind, const char *omit)
{
    const struct store_controller c = {
        .frontend = conform_guest(t), .usb_ver = 2, .num_ports = 4, .kind = kind, .omit = omit};
    store_create_controller(t, &c);
    conform_settle(t);
}

static void other_place(struct conform *t)
{
    controller(t, "vusb", NULL);
    store_write(t, back_handle(t), "/local/domain/0/backend/vusb/1/0/state", "2");
    back_expect_frontend_state(t, XenbusStateConnected);
    back_map(t);
}

static void other_place_closes(struct conform *t)
{
    other_place(t);
    store_write(t, back_handle(t), "/local/domain/0/backend/vusb/1/0/state", "4");
    conform_settle(t);
    store_write(t, back_handle(t), "/local/domain/0/backend/vusb/1/0/state", "5");
    back_expect_frontend_state(t, XenbusStateClosing);
}

static void empty_number(struct conform *t)
{
    controller(t, "qusb", "backend-id");
    write_front(t, "backend-id", "");
    back_set_state(t, XenbusStateInitWait);
    conform_settle(t);
    conform_equal(t, "frontend state with an empty backend-id", XenbusStateInitialising, back_frontend_state(t));
    write_front(t, "backend-id", "0");
    back_expect_frontend_state(t, XenbusStateConnected);
}

/* Which of the frontend's nodes changed, in order: 's' its state, 'r' one that the rings need. */
static void changed(struct conform *t, char order[16])
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    unsigned int n = 0;
    conform_settle(t);
    while (n < 15 && !back_handle(t)->ops->xs_watch_read(back_handle(t), path, token)) {
        const char *node = strrchr(path, '/');
        if (node && strcmp(node, "/state") == 0)
            order[n++] = 's';
        else if (node && (strstr(node, "-ring-ref") || strcmp(node, "/event-channel") == 0))
            order[n++] = 'r';
    }
    order[n] = '\0';
}

static void nodes_first(struct conform *t)
{
    char order[16];
    conform_equal(t, "watch on the frontend's directory", 0,
                  back_handle(t)->ops->xs_watch(back_handle(t), back_frontend_dir(t), "order"));
    changed(t, order); /* a watch fires once when it is set */
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
    changed(t, order);
    conform_note(t, "changes of the frontend's nodes: %s", order);
    conform_equal(t, "nodes of the rings before the first state", 3, (int64_t)strspn(order, "r"));
}

/* A predecessor of this frontend was Connected when it died: its state is walked back before a new start. */
static void left_connected(struct conform *t)
{
    controller(t, "qusb", "backend backend-id");
    write_front(t, "state", "4");
    back_set_state(t, XenbusStateConnected);
    write_front(t, "backend", back_dir(t));
    write_front(t, "backend-id", "0");
    back_expect_frontend_state(t, XenbusStateClosing);
    back_set_state(t, XenbusStateClosed);
    conform_settle(t); /* Closed, or already on the way to a new start */
    conform_true(t, back_frontend_state(t) != XenbusStateClosing, "Closing ends when the backend is Closed");
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
    back_map(t);
}

/* ---- what it says ---- */

/* The error node begins with an errno as xenbus writes it, positive, and a text follows. */
static void error_says(struct conform *t, const char *number)
{
    char text[STORE_VALUE_MAX];
    conform_true(t, store_read(t, back_handle(t), ERROR_NODE, text), "an error node says why");
    const size_t digits = strspn(text, "0123456789");
    conform_note(t, "error node: %s", text);
    conform_true(t, digits > 0 && text[digits] == ' ' && text[digits + 1],
                 "the error node is a positive number and a text");
    if (number && (strncmp(text, number, digits) != 0 || number[digits]))
        conform_fail(t, "error node: expected it to begin with %s, it is \"%s\"", number, text);
}

static void error_nodes(struct conform *t)
{
    back_set_node(t, "num-ports", "32");
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateClosing);
    error_says(t, NULL);
}

static void error_violation(struct conform *t)
{
    back_respond(t, 99, 0, 0);
    conform_settle(t);
    error_says(t, "71");
}

static void error_none(struct conform *t)
{
    char text[STORE_VALUE_MAX];
    check_works(t);
    guest_close(t);
    back_disconnect(t);
    conform_true(t, !store_read(t, back_handle(t), ERROR_NODE, text), "an orderly close is no error");
}

/* ---- closing ---- */

/* The rings stay mapped and the channel bound: the state alone tells. */
static void state_alone(struct conform *t)
{
    int urb;
    const struct guest_urb late = make_control();
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    back_set_state(t, XenbusStateClosing);
    back_expect_frontend_state(t, XenbusStateClosing);
    conform_equal(t, "submit after the backend's Closing", -ESHUTDOWN, guest_submit(t, &late));
    guest_expect(t, urb, -ESHUTDOWN, 0);
    (void)request;
    back_disconnect(t);
}

static void waiting_too(struct conform *t)
{
    int urb[40];
    for (unsigned int i = 0; i < 40; i++)
        urb[i] = submit(t, make_urb(URB_BULK, 1, true, 64));
    guest_close(t);
    back_disconnect(t);
    for (unsigned int i = 0; i < 40; i++)
        guest_expect(t, urb[i], -ESHUTDOWN, 0);
}

static void ports_empty(struct conform *t)
{
    conform_true(t, (guest_port_status(t, 1) & 1) != 0, "the port shows its device");
    guest_close(t);
    back_disconnect(t);
    conform_equal(t, "PORT_CONNECTION after the close", 0, guest_port_status(t, 1) & 1);
    conform_equal(t, "C_PORT_CONNECTION after the close", 1, guest_port_status(t, 1) >> 16 & 1);
}

/* Everything that it took for the connection is given back, each time. */
static void nothing_left(struct conform *t)
{
    const struct back_balance before = back_balance(t);
    for (unsigned int round = 0; round < 3; round++) {
        back_connect(t);
        guest_close(t);
        back_disconnect(t);
        const struct back_balance after = back_balance(t);
        conform_equal(t, "pages", before.pages, after.pages);
        conform_equal(t, "grants", before.grants, after.grants);
        conform_equal(t, "event channels", before.ports, after.ports);
        guest_reconnect(t);
        back_set_state(t, XenbusStateInitialising);
        conform_settle(t);
    }
}

static bool all_back(struct conform *t, void *context)
{
    const int *urb = context;
    return guest_result(t, urb[0]).times > 0 && guest_result(t, urb[1]).times > 0;
}

/* The backend stays Connected, answers nothing and keeps its maps: the guest's close ends all the same. */
static void bounded(struct conform *t)
{
    int urb[2];
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb[0]);
    submit_take(t, make_control(), &urb[1]);
    conform_equal(t, "map", 0, back_hold(t, &request, 0, 1, true, &page));
    guest_close(t);
    for (unsigned int i = 0; i < 100 && !all_back(t, urb); i++)
        conform_pass(t, 100 * MS);
    conform_true(t, all_back(t, urb), "every URB is back 10 s after the close");
    guest_expect(t, urb[0], -ESHUTDOWN, 0);
    guest_expect(t, urb[1], -ESHUTDOWN, 0);
    back_expect_frontend_state(t, XenbusStateClosed);
}

/* Before that a page that the backend maps is not the guest's again. */
static void not_early(struct conform *t)
{
    int urb;
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    conform_equal(t, "map", 0, back_hold(t, &request, 0, 1, true, &page));
    guest_close(t);
    conform_pass(t, 2000 * MS);
    conform_equal(t, "urb given back times while the backend works on it", 0, guest_result(t, urb).times);
    back_release(t, page, 1);
    back_respond(t, request.id, 0, 64);
    conform_settle(t);
    conform_equal(t, "urb given back times", 1, guest_result(t, urb).times);
    back_disconnect(t);
}

#define ENDS_CASE(id, requirement, title, run, start, needs)                                                 \
    {                                                                                                        \
        "xenbus.frontend." id, requirement, title, run, CONFORM_FRONTEND, start, 0, 0, needs                 \
    }

const struct conform_case cases_xenbus_frontend_ends[] = {
    ENDS_CASE("place.other", "node.backend.follow", "follows its node backend to another kind", other_place,
              CONFORM_NOTHING, "toolstack"),
    ENDS_CASE("place.other-closes", "node.backend.follow", "and closes with the backend there",
              other_place_closes, CONFORM_NOTHING, "toolstack"),
    ENDS_CASE("late.empty-id", "node.backend.follow", "an empty backend-id is none", empty_number,
              CONFORM_NOTHING, "toolstack"),
    ENDS_CASE("ring.nodes-first", "node.ring-refs.together state.frontend.rings-first",
              "the nodes are written before the state", nodes_first, CONFORM_NODES, NULL),
    ENDS_CASE("left.connected", "state.values", "a state that a predecessor left is walked back",
              left_connected, CONFORM_NOTHING, "toolstack"),
    ENDS_CASE("error.nodes", "node.error.text", "the reason is a positive number and a text", error_nodes,
              CONFORM_NODES, NULL),
    GUEST_CASE("xenbus.frontend.error.violation", "node.error.text", "a violation is told in the error node",
               error_violation),
    GUEST_CASE("xenbus.frontend.error.none", "node.error.text", "an orderly close writes no error",
               error_none),
    GUEST_CASE("xenbus.frontend.end.state-alone", "state.frontend.close",
               "the backend's Closing counts while it still maps the rings", state_alone),
    GUEST_CASE("xenbus.frontend.close.waiting", "life.stop", "URBs without a slot return too", waiting_too),
    GUEST_CASE("xenbus.frontend.close.ports", "life.stop hub.unplug", "devices are unplugged by a close",
               ports_empty),
    ENDS_CASE("close.balance", "life.stop", "three connections leave no page, grant or channel", nothing_left,
              CONFORM_NODES, "inproc guest"),
    GUEST_CASE("xenbus.frontend.close.bounded", "life.backend-crash", "a backend that hangs does not stop it",
               bounded),
    GUEST_CASE("xenbus.frontend.close.not-early", "life.stop segment.still-mapped",
               "but what it works on is waited for", not_early),
    {0},
};
