/* SPDX-License-Identifier: MIT */
/* Between client.c (connection and URBs), client_receive.c and root_port.c. */
#ifndef SIM_USBIP_CLIENT_PRIVATE_H
#define SIM_USBIP_CLIENT_PRIVATE_H

#include "usbip/client.h"
#include "usbip/stream.h"

#define ENTRIES 256u /* a power of two: URBs under way, and unlinks of them */

static_assert(2 * USBIP_CLIENT_URBS <= ENTRIES, "each URB may have an unlink");

struct root_port {
    bool attached;
    uint8_t speed; /* USBIP_SPEED_* */
    uint16_t status, change;
    uint64_t reset_since, resume_since;
};

enum entry_kind { ENTRY_FREE, ENTRY_SUBMIT, ENTRY_UNLINK };

/* A command that is not answered yet. */
struct entry {
    struct stream_message message; /* first: sent() gets it */
    enum entry_kind kind;
    bool sent;
    uint32_t seqnum;
    struct hcd_urb *urb;  /* SUBMIT */
    struct entry *target; /* UNLINK; NULL: it has come back. SUBMIT: its unlink, or NULL */
    uint8_t *packets;     /* as on the wire; made when first needed, for PVUSB_ISO_PACKETS_MAX */
    uint8_t bytes[USBIP_HEADER_SIZE];
};

enum phase { PHASE_OP, PHASE_DEVICE, PHASE_HEADER, PHASE_DATA, PHASE_PACKETS };

struct usbip_client {
    struct hcd hcd;
    struct stream stream;
    void (*log)(void *context, const char *line);
    void *log_context;
    char busid[USBIP_BUSID_SIZE];
    int status;
    enum phase phase;
    struct usbip_device device;
    struct root_port port;
    uint8_t number; /* of the port: 1, unless there are others beside it */
    uint8_t address;
    uint32_t devid, seqnum;
    unsigned int held, under_way, buffers;
    bool imported;
    struct entry *receiving;
    struct usbip_header header;       /* of what is being received */
    struct hcd_urb *waiting;          /* no entry yet */
    struct hcd_urb *done, **done_end; /* to be given back by step() */
    struct usbip_client_stats stats;
    struct stream_message request;
    uint8_t request_bytes[USBIP_OP_SIZE + USBIP_BUSID_SIZE];
    struct entry entries[ENTRIES];
};

/* The URB is done: step() gives it back. */
void client_give_back(struct usbip_client *client, struct hcd_urb *urb, int status, uint32_t actual);
void client_free_entry(struct usbip_client *client, struct entry *entry);
/* The device is gone for ever, with all that was asked of it. */
void client_finish(struct usbip_client *client, int status);
/* Takes what the stream has. */
void client_receive(struct usbip_client *client);

void root_port_attach(struct root_port *port, uint8_t speed);
void root_port_detach(struct root_port *port);
int root_port_control(struct root_port *port, uint8_t number, const uint8_t setup[8], void *data, size_t size,
                      uint64_t now_ns);

#endif
