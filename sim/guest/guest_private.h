/* SPDX-License-Identifier: MIT */
/* Between guest.c (transfers, root hub), enumerate.c (what happens to a port) and power.c. */
#ifndef SIM_GUEST_GUEST_PRIVATE_H
#define SIM_GUEST_GUEST_PRIVATE_H

#include "guest/guest.h"

#define MS UINT64_C(1000000)

enum port_state {
    PORT_EMPTY,
    PORT_DEBOUNCE, /* until due; then waits for address 0 to be free */
    PORT_RESET,
    PORT_WAIT, /* until due, then the next request of the enumeration */
    PORT_REQUEST,
    PORT_READY,
    PORT_FAILED,
    PORT_LEAVING, /* until the last transfer is back */
    PORT_QUIESCE, /* the same, then the aim */
    PORT_SUSPENDED,
    PORT_RESUMING,
};

/* What a port that is not ready is on its way to. */
enum port_aim {
    AIM_NEW,
    AIM_RESET,
    AIM_SUSPEND,
    AIM_RESUME,
};

enum enum_step {
    STEP_PACKET0,
    STEP_ADDRESS,
    STEP_DEVICE,
    STEP_CONFIG_HEAD,
    STEP_CONFIG,
    STEP_LANGUAGE,
    STEP_STRING_0,
    STEP_STRING_1,
    STEP_STRING_2,
    STEP_CONFIGURE,
    STEP_DONE,
};

struct guest_port {
    struct guest *guest;
    uint8_t number;
    enum port_state state;
    enum enum_step step;
    enum port_aim aim;
    uint8_t kept; /* the address of a device being reset, 0 for none */
    bool connected; /* as last seen */
    bool announced; /* the listener knows the device */
    unsigned int attempts;
    uint64_t due;
    uint64_t reset_until;
    uint16_t total; /* of the configuration */
    uint16_t language;
    struct guest_xfer xfer;
    uint8_t *buffer;
    struct guest_device device;
};

struct guest {
    struct hcd *hcd;
    struct guest_listener listener;
    uint64_t now_ns;
    bool closing;
    bool powered;
    uint64_t power_good;
    unsigned int nr_ports;
    unsigned int address0; /* the port that talks to address 0, 0 for none */
    uint8_t last_address;
    bool address_used[PVUSB_ADDRESS_MAX + 1];
    unsigned int completing; /* done() calls on the stack */
    bool drain_wanted;       /* a device without transfers waits to be let go */
    struct guest_port ports[]; /* port p at p - 1 */
};

struct port_status {
    uint16_t status;
    uint16_t change;
};

int guest_port_status(struct guest *guest, unsigned int port, struct port_status *out);
void guest_port_feature(struct guest *guest, unsigned int port, bool set, uint16_t feature);
void guest_unlink_all(struct guest_device *device, int reason);

/* What the root hub says about the port. */
void port_connection(struct guest_port *port, bool connected);
/* Something is due. */
void port_run(struct guest_port *port);
/* The last transfer of a device that is leaving or being quiesced is back. */
void port_drained(struct guest_port *port);
/* In ms from now. */
void port_wait(struct guest_port *port, enum port_state state, uint64_t ms);
/* Enumerates, from the reset on, as soon as address 0 is free. */
void port_enumerate(struct guest_port *port);
/* The device can be used, again. */
void port_usable(struct guest_port *port, enum guest_event event);
/* What is due in PORT_QUIESCE, PORT_RESUMING and, on the way back from a suspend, PORT_WAIT. */
void port_power_run(struct guest_port *port);

#endif
