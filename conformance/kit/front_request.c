// SPDX-License-Identifier: MIT
/* Requests as a case makes them, and the check that a connector still works. */
#include <string.h>

#include "front_private.h"

struct usbif_urb_request front_request(struct conform *t, uint32_t pipe)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request;
    memset(&request, 0xa5, sizeof(request)); /* what has no meaning must have no effect */
    request.id = (uint16_t)(0x100 + f->next_id++ % 0x8000);
    request.pipe = pipe;
    request.nr_buffer_segs = 0;
    request.transfer_flags = 0;
    request.buffer_length = 0;
    return request;
}

void front_segment(struct usbif_urb_request *request, grant_ref_t gref, uint16_t offset, uint16_t length)
{
    request->seg[request->nr_buffer_segs++] =
        (struct usbif_request_segment){.gref = gref, .offset = offset, .length = length};
    request->buffer_length = (uint16_t)(request->buffer_length + length);
}

void front_buffer(struct front *f, struct usbif_urb_request *request, uint32_t offset, uint32_t length)
{
    while (length > 0) {
        uint32_t room = FRONT_PAGE - offset % FRONT_PAGE;
        uint32_t part = length < room ? length : room;
        uint16_t in_page = (uint16_t)(offset % FRONT_PAGE);
        if (offset / FRONT_PAGE >= FRONT_PAGES || request->nr_buffer_segs == USBIF_MAX_SEGMENTS_PER_REQUEST)
            conform_fail(f->t, "the case's buffer has no room for this request");
        front_segment(request, f->rw[offset / FRONT_PAGE], in_page, (uint16_t)part);
        offset += part;
        length -= part;
    }
}

uint8_t *front_data(struct front *f)
{
    return f->data;
}

void front_need_grants(struct front *f)
{
    if (conform_has(f->t, "gntalloc"))
        conform_skip(f->t, "a grant of this machine is writable, never withdrawn, and nobody sees whether it is mapped");
}

grant_ref_t front_ref(struct front *f, unsigned int page, bool readonly)
{
    if (readonly)
        front_need_grants(f);
    return readonly ? f->ro[page] : f->rw[page];
}

struct usbif_urb_request front_control(struct conform *t, uint32_t device, uint8_t type, uint8_t number,
                                       uint16_t value, uint16_t index, uint32_t offset, uint16_t length)
{
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_CTRL, device, 0, type >> 7));
    const uint8_t setup[8] = {type, number, (uint8_t)value, (uint8_t)(value >> 8),
                              (uint8_t)index, (uint8_t)(index >> 8), (uint8_t)length, (uint8_t)(length >> 8)};
    memcpy(request.u.ctrl, setup, sizeof(setup));
    front_buffer(front_number(t, 0), &request, offset, length);
    return request;
}

static struct usbif_urb_request data_request(struct conform *t, uint32_t type, uint8_t endpoint, uint32_t offset,
                                             uint32_t length)
{
    struct usbif_urb_request request =
        front_request(t, FRONT_PIPE(type, CONFORM_ADDRESS, endpoint & 15u, endpoint >> 7));
    front_buffer(front_number(t, 0), &request, offset, length);
    return request;
}

struct usbif_urb_request front_bulk(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length)
{
    return data_request(t, FRONT_BULK, endpoint, offset, length);
}

struct usbif_urb_request front_int(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length)
{
    struct usbif_urb_request request = data_request(t, FRONT_INT, endpoint, offset, length);
    request.u.intr.interval = 8;
    return request;
}

struct usbif_urb_request front_iso(struct conform *t, uint8_t endpoint, uint32_t offset, unsigned int packets,
                                   uint32_t packet_length)
{
    struct front *f = front_number(t, 0);
    uint32_t at = (FRONT_PAGES - 1) * FRONT_PAGE;
    struct usbif_urb_request request = data_request(t, FRONT_ISO, endpoint, offset, packets * packet_length);
    if (packets > FRONT_PAGE / 16 || request.nr_buffer_segs == USBIF_MAX_SEGMENTS_PER_REQUEST)
        conform_fail(t, "the case's isochronous request is too large");
    for (uint32_t i = 0; i < packets; i++) {
        const uint32_t descriptor[4] = {i * packet_length, packet_length, 0x5555, 0x5555};
        memcpy(f->data + at + i * sizeof(descriptor), descriptor, sizeof(descriptor));
    }
    request.u.isoc.interval = 1;
    request.u.isoc.start_frame = 0;
    request.u.isoc.number_of_packets = (uint16_t)packets;
    request.u.isoc.nr_frame_desc_segs = 1;
    request.seg[request.nr_buffer_segs] = (struct usbif_request_segment){
        .gref = f->rw[FRONT_PAGES - 1], .offset = 0, .length = (uint16_t)(packets * 16)};
    return request;
}

struct usbif_urb_request front_unlink(struct conform *t, const struct usbif_urb_request *target)
{
    struct usbif_urb_request request = front_request(t, target->pipe | FRONT_UNLINK);
    request.nr_buffer_segs = 0xa5a5; /* means nothing in an unlink */
    request.transfer_flags = 0xa5a5;
    request.buffer_length = 0xa5a5;
    request.u.unlink.unlink_id = target->id;
    return request;
}

/* ---- still works ---- */

void front_check_works_on(struct front *f)
{
    const uint32_t at = (FRONT_PAGES - 2) * FRONT_PAGE;
    const uint8_t expected[8] = {18, 1, 0, 2};
    struct usbif_urb_request request = front_request(f->t, FRONT_PIPE(FRONT_CTRL, 0, 0, 1) | 1);
    const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    memcpy(request.u.ctrl, setup, sizeof(setup));
    front_buffer(f, &request, at, 18);
    memset(f->data + at, 0, 18);
    front_send_on(f, &request);
    front_expect_on(f, request.id, 0, 18);
    conform_bytes(f->t, "device descriptor", expected, f->data + at, 4);
}

void front_check_works(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_check_works_on(f);
    struct usbif_urb_request request = front_bulk(t, 0x83, (FRONT_PAGES - 2) * FRONT_PAGE, 512);
    front_send(t, &request);
    front_expect(t, request.id, 0, 512);
}
