/* SPDX-License-Identifier: MIT */
/*
 * What the config of a guest says about USB:
 *
 *   name = "guest_A"                                 needed, unless the command names the guest
 *   type = "hvm" | builder = "hvm"                   an HVM guest; "pv" and "pvh" are said and otherwise the
 * same vusb = [ 'usbver=2,numports=8,port_1=1-8' ]      xm: controllers, with devices on their ports usbctrl
 * = [ "type=qusb,version=2,ports=4" ]      xl: controllers, numbered from 0 behind those of vusb usbdev = [
 * "hostbus=1,hostaddr=5,controller=0,port=3" ]   xl: devices usb = 1, usbdevice = "host:1234:5678" or a list
 * an HVM guest's emulated controller and what is on it
 *
 * Other names are ignored, as xl and xm do, since a config says much that is no affair of USB.
 */
#ifndef SIM_TOOLSTACK_GUEST_CONFIG_H
#define SIM_TOOLSTACK_GUEST_CONFIG_H

#include "toolstack/spec.h"

#define GUEST_CONTROLLERS_MAX 32u
#define GUEST_DEVICES_MAX     128u
#define GUEST_USBDEVICES_MAX  16u

struct guest_config {
    char name[SPEC_DOMAIN_SIZE]; /* "" when none was given */
    bool hvm;
    bool usb;
    struct usbdevice_spec usbdevices[GUEST_USBDEVICES_MAX];
    char usbdevice_text[GUEST_USBDEVICES_MAX][64]; /* as it was written */
    unsigned int nr_usbdevices;
    struct vusb_spec vusb[GUEST_CONTROLLERS_MAX];
    unsigned int nr_vusb;
    struct controller_spec usbctrl[GUEST_CONTROLLERS_MAX];
    unsigned int nr_usbctrl;
    struct device_spec usbdev[GUEST_DEVICES_MAX];
    unsigned int nr_usbdev;
};

/* Reads a text of config.h. -EINVAL or -ENOMEM with a line in error (TOOL_ERROR_MAX bytes). */
int guest_config_parse(const char *text, size_t length, bool compat, struct guest_config *out, char *error);

#endif
