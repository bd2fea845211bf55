/* SPDX-License-Identifier: MIT */
/* Registers and memory layout of a UHCI: Intel, UHCI Design Guide 1.1, chapters 2 and 3. All little-endian.
 */
#ifndef SIM_UHCI_REGS_H
#define SIM_UHCI_REGS_H

#include <stdint.h>

/* I/O space */
enum { USBCMD = 0x00, USBSTS = 0x02, USBINTR = 0x04, FRNUM = 0x06, FRBASEADD = 0x08, SOFMOD = 0x0c };
enum { PORTSC1 = 0x10 }; /* two bytes for each port */
enum { CMD_RUN = 0x01, CMD_HCRESET = 0x02, CMD_GRESET = 0x04, CMD_CONFIGURED = 0x40, CMD_MAX64 = 0x80 };
enum { STS_INT = 0x01, STS_ERROR = 0x02, STS_RESUME = 0x04 };
enum { STS_SYSTEM = 0x08, STS_PROCESS = 0x10, STS_HALTED = 0x20 };
enum { INTR_TIMEOUT_CRC = 0x01, INTR_RESUME = 0x02, INTR_IOC = 0x04, INTR_SHORT = 0x08 };
enum {
    PORT_CONNECT = 0x0001,
    PORT_CONNECT_CHANGE = 0x0002,
    PORT_ENABLED = 0x0004,
    PORT_ENABLED_CHANGE = 0x0008,
    PORT_LINE = 0x0030,
    PORT_RESUME = 0x0040,
    PORT_ALWAYS_ONE = 0x0080,
    PORT_LOW_SPEED = 0x0100,
    PORT_RESET = 0x0200,
    PORT_SUSPENDED = 0x1000,
};

#define FRAMES     1024u /* entries of the frame list */
#define FRNUM_MASK 0x7ffu
#define FRAME_NS   UINT64_C(1000000)

/* Links */
enum { LINK_END = 1, LINK_QH = 2, LINK_DEPTH = 4 };
#define LINK_ADDRESS 0xfffffff0u

/* A transfer descriptor as the controller sees it; 16 bytes aligned. */
struct uhci_td {
    uint32_t link;
    uint32_t control;
    uint32_t token;
    uint32_t buffer;
};

/* A queue head; 16 bytes aligned. */
struct uhci_qh {
    uint32_t link;
    uint32_t element;
};

#define TD_ACTUAL    0x7ffu
#define TD_BITSTUFF  (1u << 17)
#define TD_TIMEOUT   (1u << 18)
#define TD_NAK       (1u << 19)
#define TD_BABBLE    (1u << 20)
#define TD_BUFFER    (1u << 21)
#define TD_STALLED   (1u << 22)
#define TD_ACTIVE    (1u << 23)
#define TD_IOC       (1u << 24)
#define TD_ISO       (1u << 25)
#define TD_LOW_SPEED (1u << 26)
#define TD_ERRORS    (3u << 27)
#define TD_SHORT     (1u << 29)
#define TD_FAILED    (TD_STALLED | TD_BABBLE | TD_BUFFER | TD_TIMEOUT | TD_BITSTUFF)

enum { PID_OUT = 0xe1, PID_IN = 0x69, PID_SETUP = 0x2d };

#define TOKEN_ENDPOINT 0x7ffffu /* PID, device and endpoint */
#define TOKEN_TOGGLE   (1u << 19)

static inline uint8_t token_pid(uint32_t token)
{
    return (uint8_t)token;
}

static inline uint8_t token_device(uint32_t token)
{
    return token >> 8 & 0x7fu;
}

static inline uint8_t token_endpoint(uint32_t token)
{
    return token >> 15 & 0x0fu;
}

/* Lengths are stored less one, in 11 bits. */
static inline uint32_t token_length(uint32_t token)
{
    return ((token >> 21) + 1) & 0x7ffu;
}

static inline uint32_t token_make(uint8_t pid, uint8_t device, uint8_t endpoint, bool toggle, uint32_t length)
{
    return pid | (uint32_t)device << 8 | (uint32_t)endpoint << 15 | (toggle ? TOKEN_TOGGLE : 0) |
           ((length - 1) & 0x7ffu) << 21;
}

#endif
