// SPDX-License-Identifier: MIT
/* Transactions of the bus as transfers of a usb_host, and endpoint 0, which is made of several; see model.h.
 */
#include <errno.h>

#include "uhci/model_private.h"

enum { SET_ADDRESS = 5, SET_CONFIGURATION = 9, SET_INTERFACE = 11, CLEAR_FEATURE = 1 };

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

struct model_port *model_find(struct uhci_model *model, uint8_t device)
{
    for (unsigned int i = 0; i < UHCI_PORTS; i++) {
        struct model_port *port = &model->ports[i];
        if (port->device && port->status & PORT_ENABLED && port->address == device)
            return port;
    }
    return NULL;
}

struct packet *model_packet(struct uhci_model *model, uint32_t address)
{
    for (unsigned int i = 0; i < PACKETS; i++) {
        struct packet *packet = &model->packets[i];
        if ((packet->state == PACKET_PENDING || packet->state == PACKET_DONE) && packet->address == address)
            return packet;
    }
    return NULL;
}

unsigned int model_iso_waiting(const struct uhci_model *model, uint32_t token)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < PACKETS; i++) {
        const struct packet *packet = &model->packets[i];
        bool same = !((packet->token ^ token) & TOKEN_ENDPOINT);
        n += packet->state == PACKET_PENDING && packet->iso && same;
    }
    return n;
}

static struct packet *take_packet(struct uhci_model *model)
{
    for (unsigned int i = 0; i < PACKETS; i++) {
        if (model->packets[i].state == PACKET_FREE)
            return &model->packets[i];
    }
    return NULL;
}

static void on_complete(struct host_urb *urb)
{
    struct packet *packet = urb->context;
    if (packet->state == PACKET_ABANDONED) {
        packet->state = PACKET_FREE;
        return;
    }
    packet->state = PACKET_DONE;
    packet->model->news = true;
}

void model_cancel(struct packet *packet)
{
    struct uhci_model *model = packet->model;
    if (packet->state == PACKET_PENDING) {
        packet->state = PACKET_ABANDONED;
        model->config.host->ops->cancel(model->config.host, packet->port->device, &packet->urb);
    } else if (packet->state == PACKET_DONE) {
        packet->state = PACKET_FREE;
    }
}

void model_cancel_all(struct uhci_model *model, const struct model_port *port)
{
    for (unsigned int i = 0; i < PACKETS; i++) {
        if (!port || model->packets[i].port == port)
            model_cancel(&model->packets[i]);
    }
}

void model_age(struct uhci_model *model)
{
    for (unsigned int i = 0; i < PACKETS; i++) {
        struct packet *packet = &model->packets[i];
        bool waits = packet->state == PACKET_PENDING || packet->state == PACKET_DONE;
        if (waits && !packet->iso && --packet->valid < 0)
            model_cancel(packet);
    }
}

static int result_of(const struct host_urb *urb)
{
    switch (urb->status) {
    case 0:
        return (int)urb->actual;
    case -EPIPE:
        return RESULT_STALL;
    case -EOVERFLOW:
        return RESULT_BABBLE;
    default:
        return RESULT_ERROR;
    }
}

/* ---- endpoint 0 ---- */

/* The request as a whole, to the device or to what the host does for it (usb_host.h). */
static void submit_control(struct uhci_model *model, struct model_port *port, struct host_urb *urb)
{
    struct usb_host *host = model->config.host;
    const uint8_t *setup = port->setup;
    uint16_t value = le16(setup + 2), index = le16(setup + 4);
    if (setup[0] == 0x00 && setup[1] == SET_ADDRESS) {
        /* It is heard at the new address once this request is over, which is now. */
        port->address = value & 0x7fu;
        host_urb_complete(urb, value <= PVUSB_ADDRESS_MAX ? 0 : -EPIPE, 0);
    } else if (setup[0] == 0x00 && setup[1] == SET_CONFIGURATION) {
        port->toggles = 0;
        host->ops->set_configuration(host, port->device, urb, (uint8_t)value);
    } else if (setup[0] == 0x01 && setup[1] == SET_INTERFACE) {
        port->toggles = 0; /* those of other interfaces would stay */
        host->ops->set_interface(host, port->device, urb, (uint8_t)index, (uint8_t)value);
    } else if (setup[0] == 0x02 && setup[1] == CLEAR_FEATURE && value == 0) {
        port->toggles &= ~(1u << ((index & 15u) + (index & 0x80u ? 16u : 0u)));
        host->ops->clear_halt(host, port->device, urb, (uint8_t)index);
    } else {
        host->ops->submit(host, port->device, urb);
    }
}

static void start_control(struct packet *packet)
{
    struct model_port *port = packet->port;
    struct host_urb *urb = &packet->urb;
    urb->type = USBIF_PIPE_TYPE_CTRL;
    urb->endpoint = 0;
    urb->in = port->length && port->setup[0] & 0x80u;
    urb->length = port->length;
    memcpy(urb->setup, port->setup, 8);
    if (urb->length) {
        urb->nr_segs = 1;
        urb->seg[0] = (struct host_seg){packet->data, urb->length};
        if (!urb->in)
            memcpy(packet->data, port->data, urb->length);
    }
    submit_control(packet->model, port, urb);
}

/* The request has been run: by the SETUP of a read, by the status stage of a write. */
static int finish_control(struct packet *packet)
{
    struct model_port *port = packet->port;
    int result = result_of(&packet->urb);
    if (result < 0) {
        port->stage = STAGE_IDLE;
        return result;
    }
    if (token_pid(packet->token) != PID_SETUP) {
        port->stage = STAGE_IDLE;
        return 0;
    }
    port->length = packet->urb.actual;
    memcpy(port->data, packet->data, port->length);
    return 8;
}

/* A token that needs no device: 0 or more bytes, or RESULT_STALL. RESULT_PENDING: the request is to be run
 * now. */
static int control_token(struct uhci_model *model, struct model_port *port, const struct uhci_td *td)
{
    uint8_t pid = token_pid(td->token);
    uint32_t n = token_length(td->token);
    if (pid == PID_SETUP) {
        if (n != 8)
            return RESULT_STALL;
        model_copy_in(model, td->buffer, port->setup, 8);
        port->at = 0;
        port->length = le16(port->setup + 6);
        port->stage = port->length > PACKET_BYTES ? STAGE_IDLE : port->length ? STAGE_DATA : STAGE_ACK;
        if (port->stage == STAGE_IDLE)
            return RESULT_STALL;
        return port->length && port->setup[0] & 0x80u ? RESULT_PENDING : 8;
    }
    bool read = port->setup[0] & 0x80u && port->length;
    if (port->stage == STAGE_DATA && read == (pid == PID_IN)) {
        uint32_t rest = port->length - port->at;
        n = n < rest ? n : rest;
        if (read)
            model_copy_out(model, td->buffer, port->data + port->at, n);
        else
            model_copy_in(model, td->buffer, port->data + port->at, n);
        port->at += n;
        if (port->at == port->length)
            port->stage = STAGE_ACK;
        return (int)n;
    }
    /* A status stage; one that comes before all data has been read is as good. */
    bool status = port->stage == STAGE_ACK || (port->stage == STAGE_DATA && read);
    if (status && read && pid == PID_OUT) {
        port->stage = STAGE_IDLE;
        return 0;
    }
    if (status && !read && pid == PID_IN)
        return RESULT_PENDING;
    port->stage = STAGE_IDLE;
    return RESULT_STALL;
}

/* ---- all endpoints ---- */

static void start_data(struct packet *packet, const struct uhci_td *td)
{
    struct uhci_model *model = packet->model;
    struct host_urb *urb = &packet->urb;
    urb->type = packet->iso ? USBIF_PIPE_TYPE_ISOC : USBIF_PIPE_TYPE_BULK;
    urb->endpoint = token_endpoint(td->token);
    urb->in = token_pid(td->token) == PID_IN;
    urb->length = token_length(td->token);
    urb->interval = 1;
    if (urb->length) {
        urb->nr_segs = 1;
        urb->seg[0] = (struct host_seg){packet->data, urb->length};
    }
    if (packet->iso) {
        packet->iso_packet = (struct pvusb_iso_desc){.length = urb->length};
        urb->packets = &packet->iso_packet;
        urb->nr_packets = 1;
    }
    if (!urb->in)
        model_copy_in(model, td->buffer, packet->data, urb->length);
    model->config.host->ops->submit(model->config.host, packet->port->device, urb);
}

int model_start(struct uhci_model *model, struct model_port *port, uint32_t address, const struct uhci_td *td)
{
    bool control = token_endpoint(td->token) == 0;
    struct packet *packet = take_packet(model);
    if (!packet)
        return RESULT_NAK;
    if (!control && token_pid(td->token) == PID_SETUP)
        return RESULT_STALL;
    if (control) {
        int result = control_token(model, port, td);
        if (result != RESULT_PENDING)
            return result;
    }
    packet->state = PACKET_PENDING;
    packet->address = address;
    packet->token = td->token;
    packet->iso = !control && td->control & TD_ISO;
    packet->valid = VALID_FRAMES;
    packet->port = port;
    packet->urb = (struct host_urb){.complete = on_complete, .context = packet};
    if (control)
        start_control(packet);
    else
        start_data(packet, td);
    if (packet->state == PACKET_FREE)
        return RESULT_ERROR; /* it was cancelled from inside: the device is gone */
    return packet->state == PACKET_DONE ? model_finish(packet, td->buffer) : RESULT_PENDING;
}

/* USB 2.0 section 8.6. Control transfers have theirs by their stages. */
static void check_toggle(struct packet *packet)
{
    struct model_port *port = packet->port;
    uint32_t bit = 1u << (packet->urb.endpoint + (packet->urb.in ? 16u : 0u));
    bool expected = port->toggles & bit, is = packet->token & TOKEN_TOGGLE;
    if (packet->iso)
        return;
    packet->model->counters.wrong_toggles += expected != is;
    port->toggles ^= bit;
}

int model_finish(struct packet *packet, uint32_t buffer)
{
    struct uhci_model *model = packet->model;
    packet->state = PACKET_FREE;
    if (token_endpoint(packet->token) == 0)
        return finish_control(packet);
    int result = result_of(&packet->urb);
    if (packet->iso && result >= 0)
        result = packet->iso_packet.status == 0 ? (int)packet->iso_packet.actual_length : RESULT_ERROR;
    uint32_t length = token_length(packet->token);
    if (result > (int)length)
        result = RESULT_BABBLE; /* the host has said nonsense */
    if (result >= 0)
        check_toggle(packet);
    if (result > 0 && packet->urb.in)
        model_copy_out(model, buffer, packet->data, (uint32_t)result);
    /* All that was sent counts, whatever the device says of it. */
    return result >= 0 && !packet->urb.in ? (int)length : result;
}
