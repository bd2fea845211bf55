/* SPDX-License-Identifier: MIT */
/* Between model.c (registers, ports, time), model_frame.c (the schedule) and model_packet.c (devices). */
#ifndef SIM_UHCI_MODEL_PRIVATE_H
#define SIM_UHCI_MODEL_PRIVATE_H

#include "uhci/model.h"
#include "uhci/regs.h"

#define BANDWIDTH       1280u
#define FRAME_LOOPS     256u
#define FRAMES_PER_TICK 16u
#define FRAMES_BEHIND   128u
#define PACKETS         64u
#define PACKET_BYTES    4096u /* of a control transfer's data stage, as in QEMU; no TD has more */
#define VALID_FRAMES    32
#define BUSID_MAX       32u
#define ISO_WAITING     2u /* for a device, and its endpoint */

/* A transaction's way through a device: as a transfer of the usb_host. */
enum packet_state {
    PACKET_FREE,
    PACKET_PENDING,   /* the device has it */
    PACKET_DONE,      /* the schedule has to find it */
    PACKET_ABANDONED, /* the device has it, and nobody wants it */
};

struct packet {
    struct uhci_model *model;
    enum packet_state state;
    uint32_t address; /* of the TD */
    uint32_t token;
    bool iso;
    int valid; /* frames until it is cancelled, if the schedule does not lead to it */
    struct model_port *port;
    struct host_urb urb;
    struct pvusb_iso_desc iso_packet;
    uint8_t data[PACKET_BYTES];
};

/* Where endpoint 0 of a device is. */
enum control_stage { STAGE_IDLE, STAGE_DATA, STAGE_ACK };

struct model_port {
    char busid[BUSID_MAX];
    struct host_device *device; /* NULL for none */
    uint16_t status;            /* PORTSC */
    uint8_t address;
    enum control_stage stage;
    uint8_t setup[8];
    uint32_t at, length; /* of the data stage */
    uint32_t toggles;    /* expected next; bit 16 + n for IN endpoint n, bit n for OUT */
    uint8_t data[PACKET_BYTES];
};

struct uhci_model {
    struct uhci_model_config config;
    struct usb_host_listener listener;
    struct hc_bus bus;
    struct uhci_model_counters counters;
    uint16_t command, status, enable, frame;
    uint8_t cause; /* of STS_INT: INTR_IOC, INTR_SHORT */
    uint8_t pending_cause;
    uint32_t frame_list;
    uint8_t sof;
    bool line, was_raised;
    uint64_t now_ns;
    bool starting;    /* Run was set, and time has not gone on since */
    bool news;        /* a packet is done */
    uint64_t run_ns;  /* the frames up to here have been run */
    uint64_t tick_ns; /* when the next ones are */
    uint32_t frame_bytes;
    bool completions_only; /* outside its time a frame starts nothing */
    struct model_port ports[UHCI_PORTS];
    struct packet packets[PACKETS];
};

/* Result of a transaction: a number of bytes, or one of these. */
enum { RESULT_STALL = -1, RESULT_BABBLE = -2, RESULT_ERROR = -3, RESULT_PENDING = -4, RESULT_NAK = -5 };

/* Guest memory; what is outside of it reads as zero. */
void model_copy_in(const struct uhci_model *model, uint32_t address, void *to, uint32_t n);
void model_copy_out(struct uhci_model *model, uint32_t address, const void *from, uint32_t n);
uint32_t model_load(const struct uhci_model *model, uint32_t address);
void model_store(struct uhci_model *model, uint32_t address, uint32_t value);

void model_update_line(struct uhci_model *model);

/* model_frame.c */
void model_frame(struct uhci_model *model);
/* An isochronous transaction is over: its TD is written at once; the schedule comes by only a second later.
 */
void model_iso_done(struct uhci_model *model, struct packet *packet);

/* model_packet.c */
struct model_port *model_find(struct uhci_model *model, uint8_t device);
struct packet *model_packet(struct uhci_model *model, uint32_t address);
/* Isochronous packets that the device of an endpoint has not come to yet. */
unsigned int model_iso_waiting(const struct uhci_model *model, uint32_t token);
/*
 * Starts the transaction. A result, or RESULT_PENDING: then model_packet() finds it later, and once it is
 * PACKET_DONE model_finish() has its result and frees it.
 */
int model_start(struct uhci_model *model, struct model_port *port, uint32_t address,
                const struct uhci_td *td);
int model_finish(struct packet *packet, uint32_t buffer);
void model_cancel(struct packet *packet);
/* All of a port, or of all ports for NULL. */
void model_cancel_all(struct uhci_model *model, const struct model_port *port);
/* One frame older; what the schedule has forgotten is cancelled. */
void model_age(struct uhci_model *model);

#endif
