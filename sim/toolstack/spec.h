/* SPDX-License-Identifier: MIT */
/*
 * What the arguments of commands and the strings of config files say, checked. Numbers are decimal and whole:
 * "008" is eight, "0x10" and "8x" are no numbers. With compat set, what the originals do with numbers is done
 * instead (xl: base 0 for hostbus and hostaddr, so that "010" is eight and "0x10" sixteen; xm: ',' taken for
 * '-' and '.').
 *
 * All return 0, or -EINVAL with a line in error (TOOL_ERROR_MAX bytes), and then leave *out in any state.
 * Messages begin with the originals' words where they have some.
 */
#ifndef SIM_TOOLSTACK_SPEC_H
#define SIM_TOOLSTACK_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include <pvusb/abi.h>

#include "toolstack/config.h"

#define SPEC_BUSID_SIZE  32u /* with the zero, as sim_host's */
#define SPEC_DOMAIN_SIZE 65u
#define SPEC_DEVID_MAX   65535u
#define XM_PORTS_MAX     16u

enum controller_type {
    CONTROLLER_AUTO,
    CONTROLLER_PV,          /* the kernel's backend: directory "vusb" */
    CONTROLLER_DEVICEMODEL, /* emulated, no PVUSB */
    CONTROLLER_QUSB,        /* QEMU's backend: directory "qusb" */
};

/* "type=qusb,version=2,ports=4", and of our own backend=DOMAIN. */
struct controller_spec {
    enum controller_type type;
    unsigned int version;           /* 1 or 2 */
    unsigned int ports;             /* 1..31 */
    char backend[SPEC_DOMAIN_SIZE]; /* name or number; "" for domain 0 */
};

/* "hostbus=1,hostaddr=5,controller=0,port=3". */
struct device_spec {
    unsigned int bus;
    unsigned int address;
    bool has_controller;
    unsigned int controller;
    bool has_port;
    unsigned int port;
};

/* "usbver=2,numports=8,port_1=1-8", of xm. */
struct vusb_spec {
    unsigned int version;
    unsigned int ports;
    char busid[PVUSB_PORTS_MAX + 1][SPEC_BUSID_SIZE]; /* "" for none; [0] unused */
};

/* "tablet", "host:1234:5678", "host:4.6". */
struct usbdevice_spec {
    enum { USBDEVICE_TABLET, USBDEVICE_HOST_ID, USBDEVICE_HOST_ADDRESS } kind;
    uint16_t vendor;
    uint16_t product;
    unsigned int bus;
    unsigned int address;
};

/* A decimal number in min..max, named what in the refusal. */
int spec_number(const char *text, const char *what, unsigned int min, unsigned int max, unsigned int *out,
                char *error);
/* A place on a physical bus, such as 1-2 or 2-4.3.3, as xm takes it: a bus, a root port, at most five ports
 * of hubs. */
int spec_busid(const char *text, bool compat, char out[SPEC_BUSID_SIZE], char *error);
/* The defaults, then tokens "KEY=VALUE" one after the other, or a text with commas between them. */
void spec_controller_init(struct controller_spec *out);
int spec_controller_token(struct controller_spec *spec, const char *token, char *error);
int spec_controller(const char *text, struct controller_spec *out, char *error);
void spec_device_init(struct device_spec *out);
int spec_device_token(struct device_spec *spec, const char *token, bool compat, char *error);
/* What the tokens together have to be. */
int spec_device_check(const struct device_spec *spec, char *error);
int spec_device(const char *text, bool compat, struct device_spec *out, char *error);
int spec_vusb(const char *text, struct vusb_spec *out, char *error);
int spec_usbdevice(const char *text, struct usbdevice_spec *out, char *error);
/* The name of a new guest: letters, digits and _ . : + -, not all digits, at most 64. */
int spec_guest_name(const char *text, char *error);

#endif
