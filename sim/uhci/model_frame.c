// SPDX-License-Identifier: MIT
/* One frame of the schedule; see model.h. */
#include "uhci/model_private.h"

#define QUEUES_MAX 128u

enum next {
    NEXT_LINK,  /* done: to what the TD links to, if its queue may go on */
    NEXT_QUEUE, /* not done, or it ends its queue for this frame */
    NEXT_FRAME,
};

/* The queue heads that the frame has been at since something was moved. */
struct visited {
    uint32_t queue[QUEUES_MAX];
    unsigned int n;
    bool moved;
};

/* Returns whether the walk is to end: it is going in circles. */
static bool visit(struct visited *v, uint32_t link)
{
    unsigned int i = 0;
    while (i < v->n && v->queue[i] != link)
        i++;
    if (i == v->n && v->n < QUEUES_MAX) {
        v->queue[v->n++] = link;
        return false;
    }
    if (!v->moved)
        return true;
    v->moved = false;
    v->queue[0] = link;
    v->n = 1;
    return false;
}

static void load_td(const struct uhci_model *model, uint32_t link, struct uhci_td *td)
{
    uint32_t words[4];
    model_copy_in(model, link & LINK_ADDRESS, words, sizeof(words));
    *td = (struct uhci_td){words[0], words[1], words[2], words[3]};
}

static enum next td_error(struct uhci_model *model, struct uhci_td *td, int result)
{
    enum next next = NEXT_QUEUE;
    td->control &= ~(TD_ACTIVE | (result == RESULT_ERROR ? TD_ERRORS : 0));
    td->control |= result == RESULT_STALL    ? TD_STALLED
                   : result == RESULT_BABBLE ? TD_BABBLE | TD_STALLED
                                             : TD_TIMEOUT;
    if (result == RESULT_BABBLE)
        next = NEXT_FRAME;
    if (td->control & TD_IOC)
        model->pending_cause |= INTR_IOC;
    model->status |= STS_ERROR;
    model_update_line(model);
    return next;
}

static enum next td_complete(struct uhci_model *model, struct uhci_td *td, int result)
{
    if (result < 0)
        return td_error(model, td, result);
    uint32_t actual = (uint32_t)result;
    model->counters.transactions++;
    model->counters.bytes += actual;
    td->control &= ~(TD_ACTUAL | TD_ACTIVE | TD_NAK);
    td->control |= (actual - 1) & TD_ACTUAL;
    if (td->control & TD_IOC)
        model->pending_cause |= INTR_IOC;
    if (token_pid(td->token) == PID_IN && td->control & TD_SHORT && actual < token_length(td->token)) {
        model->pending_cause |= INTR_SHORT;
        return NEXT_QUEUE; /* the queue stays where it is */
    }
    return NEXT_LINK;
}

static enum next run_td(struct uhci_model *model, uint32_t link, struct uhci_td *td)
{
    struct packet *packet = model_packet(model, link & LINK_ADDRESS);
    uint8_t pid = token_pid(td->token);
    if (packet && (!(td->control & TD_ACTIVE) || packet->token != td->token)) {
        model_cancel(packet); /* the guest has thought better of it */
        packet = NULL;
    }
    if (!(td->control & TD_ACTIVE)) {
        if (td->control & TD_IOC)
            model->pending_cause |= INTR_IOC;
        return NEXT_QUEUE;
    }
    if (pid != PID_IN && pid != PID_OUT && pid != PID_SETUP) {
        model->status |= STS_PROCESS | STS_HALTED;
        model->command &= (uint16_t)~CMD_RUN;
        model_update_line(model);
        return NEXT_FRAME;
    }
    if (packet) {
        packet->valid = VALID_FRAMES;
        if (packet->state != PACKET_DONE)
            return NEXT_QUEUE;
        return td_complete(model, td, model_finish(packet, td->buffer));
    }
    if (model->completions_only)
        return NEXT_QUEUE;
    struct model_port *port = model_find(model, token_device(td->token));
    if (!port)
        return td_error(model, td, RESULT_ERROR);
    if (td->control & TD_ISO && model_iso_waiting(model, td->token) >= ISO_WAITING)
        return NEXT_QUEUE; /* the device is behind: that frame has passed */
    int result = model_start(model, port, link & LINK_ADDRESS, td);
    if (result == RESULT_NAK)
        td->control |= TD_NAK;
    return result == RESULT_PENDING || result == RESULT_NAK ? NEXT_QUEUE : td_complete(model, td, result);
}

void model_frame(struct uhci_model *model)
{
    uint32_t link = model_load(model, model->frame_list + 4 * (model->frame % FRAMES));
    uint32_t queue = 0, queue_next = 0;
    struct visited visited = {.n = 0};

    for (unsigned int loops = FRAME_LOOPS; !(link & LINK_END) && loops; loops--) {
        if (!model->completions_only && model->frame_bytes >= model->config.bandwidth)
            return;
        if (link & LINK_QH) {
            if (visit(&visited, link))
                return;
            queue_next = model_load(model, link & LINK_ADDRESS);
            uint32_t element = model_load(model, (link & LINK_ADDRESS) + 4);
            queue = element & LINK_END ? 0 : link;
            link = element & LINK_END ? queue_next : element;
            continue;
        }
        struct uhci_td td;
        load_td(model, link, &td);
        uint32_t before = td.control;
        enum next next = run_td(model, link, &td);
        if (td.control != before)
            model_store(model, (link & LINK_ADDRESS) + 4, td.control);
        if (next == NEXT_FRAME)
            return;
        if (next == NEXT_QUEUE) {
            link = queue ? queue_next : td.link;
            continue;
        }
        visited.moved = true;
        model->frame_bytes += (td.control & TD_ACTUAL) + 1;
        link = td.link;
        if (queue) {
            model_store(model, (queue & LINK_ADDRESS) + 4, link);
            if (!(link & LINK_DEPTH)) {
                queue = 0;
                link = queue_next;
            }
        }
    }
}

void model_iso_done(struct uhci_model *model, struct packet *packet)
{
    uint32_t address = packet->address;
    struct uhci_td td;
    load_td(model, address, &td);
    if (!(td.control & TD_ACTIVE) || td.token != packet->token) {
        model_cancel(packet);
        return;
    }
    (void)td_complete(model, &td, model_finish(packet, td.buffer));
    model_store(model, address + 4, td.control);
}
