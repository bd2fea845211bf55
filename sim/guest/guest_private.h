/* SPDX-License-Identifier: MIT */
/* Between guest.c (transfers, root hub) and enumerate.c (what happens to a port). */
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
    struct guest_port ports[]; /* port p at p - 1 */
};

struct port_status {
    uint16_t status;
    uint16_t change;
};

int guest_port_status(struct guest *guest, unsigned int port, struct port_status *out);
void guest_port_feature(struct guest *guest, unsigned int port, bool set, uint16_t feature);
void guest_unlink_all(struct guest_device *device);

/* What the root hub says about the port. */
void port_connection(struct guest_port *port, bool connected);
/* Something is due. */
void port_run(struct guest_port *port);
/* The last transfer of a device that is leaving is back. */
void port_drained(struct guest_port *port);

#endif
