// SPDX-License-Identifier: MIT
/*
 * Any bytes as the config of a guest. What is taken has only what a toolstack can act on: names, numbers in
 * bounds, places on a bus; what is not is one line. The first byte chooses compat.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/guest_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct guest_config *c)
{
    char error[TOOL_ERROR_MAX];
    char busid[SPEC_BUSID_SIZE];
    assert(!c->name[0] || spec_guest_name(c->name, error) == 0);
    assert(!c->usb || c->hvm);
    assert(c->nr_vusb <= GUEST_CONTROLLERS_MAX && c->nr_usbctrl <= GUEST_CONTROLLERS_MAX);
    assert(c->nr_usbdev <= GUEST_DEVICES_MAX && c->nr_usbdevices <= GUEST_USBDEVICES_MAX);
    for (unsigned int i = 0; i < c->nr_vusb; i++) {
        assert(c->vusb[i].version >= 1 && c->vusb[i].version <= 2);
        assert(c->vusb[i].ports >= 1 && c->vusb[i].ports <= PVUSB_PORTS_MAX);
        for (unsigned int p = 1; p <= PVUSB_PORTS_MAX; p++)
            assert(!c->vusb[i].busid[p][0] ||
                   (p <= c->vusb[i].ports && spec_busid(c->vusb[i].busid[p], false, busid, error) == 0));
    }
    for (unsigned int i = 0; i < c->nr_usbctrl; i++) {
        assert(c->usbctrl[i].version >= 1 && c->usbctrl[i].version <= 2);
        assert(c->usbctrl[i].ports >= 1 && c->usbctrl[i].ports <= PVUSB_PORTS_MAX);
    }
    for (unsigned int i = 0; i < c->nr_usbdev; i++) {
        const struct device_spec *d = &c->usbdev[i];
        assert(d->bus && d->address && (!d->has_port || (d->has_controller && d->port)));
        assert(!d->has_controller || d->controller < c->nr_vusb + c->nr_usbctrl);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest_config config;
    char error[TOOL_ERROR_MAX] = "";
    if (size == 0)
        return 0;
    char *text = malloc(size); /* of exactly the size, so that a look behind the end is seen */
    if (!text)
        return 0;
    memcpy(text, data, size);
    int rc = guest_config_parse(text + 1, size - 1, data[0] & 1, &config, error);
    if (rc)
        assert(error[0] && !strchr(error, '\n'));
    else
        check_taken(&config);
    free(text);
    return 0;
}
