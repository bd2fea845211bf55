// SPDX-License-Identifier: MIT
/* The guest above the frontend under test, and a simple device for what its USB core asks. */
#include <errno.h>
#include <string.h>

#include "back_private.h"

static const struct peer_guest_ops *guest(struct conform *t)
{
    if (!t->peer->ops->guest)
        conform_skip(t, "the peer %s has no guest to submit URBs", t->peer->ops->name);
    return t->peer->ops->guest;
}

/* What the guest cannot do at all is no failure of the frontend. */
static int usable(struct conform *t, const char *what, int rc)
{
    if (rc == -EOPNOTSUPP)
        conform_skip(t, "the guest above the frontend cannot %s", what);
    return rc;
}

int guest_submit(struct conform *t, const struct guest_urb *urb)
{
    int number = usable(t, "submit such an URB", guest(t)->submit(t->peer, urb));
    kit_log_line(t, "case", "guest submits endpoint %u %s length %u: %d", urb->endpoint,
                 urb->in ? "in" : "out", urb->length, number);
    return number;
}

int guest_unlink(struct conform *t, int urb, int reason)
{
    int rc = usable(t, "unlink", guest(t)->unlink(t->peer, urb, reason));
    kit_log_line(t, "case", "guest unlinks %d: %d", urb, rc);
    return rc;
}

struct guest_result guest_result(struct conform *t, int urb)
{
    return guest(t)->result(t->peer, urb);
}

struct guest_packet guest_packet(struct conform *t, int urb, unsigned int packet)
{
    return guest(t)->packet(t->peer, urb, packet);
}

static bool given_back(struct conform *t, void *context)
{
    return guest_result(t, *(int *)context).times > 0;
}

void guest_expect(struct conform *t, int urb, int status, uint32_t actual)
{
    conform_wait(t, given_back, &urb, "an URB to be given back");
    struct guest_result result = guest_result(t, urb);
    conform_equal(t, "urb given back times", 1, result.times);
    conform_equal(t, "urb.status", status, result.status);
    conform_equal(t, "urb.actual_length", actual, result.actual);
}

void guest_expect_none(struct conform *t, int urb)
{
    conform_settle(t);
    conform_equal(t, "urb given back times", 0, guest_result(t, urb).times);
}

void guest_write(struct conform *t, uint32_t offset, const void *data, uint32_t size)
{
    int rc = guest(t)->write(t->peer, offset, data, size);
    if (rc)
        conform_fail(t, "the guest's buffer cannot be written: %s", strerror(-rc));
}

void guest_read(struct conform *t, uint32_t offset, void *data, uint32_t size)
{
    int rc = guest(t)->read(t->peer, offset, data, size);
    if (rc)
        conform_fail(t, "the guest's buffer cannot be read: %s", strerror(-rc));
}

int guest_hub(struct conform *t, const uint8_t setup[8], void *data, uint16_t size)
{
    return usable(t, "ask the root hub", guest(t)->hub(t->peer, setup, data, size));
}

uint32_t guest_hub_changes(struct conform *t)
{
    return guest(t)->hub_changes(t->peer);
}

uint32_t guest_port_status(struct conform *t, unsigned int port)
{
    const uint8_t setup[8] = {0xa3, 0, 0, 0, (uint8_t)port, 0, 4, 0};
    uint8_t data[4] = {0};
    conform_equal(t, "GetPortStatus bytes", 4, guest_hub(t, setup, data, 4));
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

void guest_close(struct conform *t)
{
    int rc = usable(t, "close", guest(t)->close(t->peer));
    if (rc)
        conform_fail(t, "the frontend cannot close: %s", strerror(-rc));
}

void guest_reconnect(struct conform *t)
{
    int rc = usable(t, "reconnect", guest(t)->reconnect(t->peer));
    if (rc)
        conform_fail(t, "the frontend cannot connect again: %s", strerror(-rc));
}
