// SPDX-License-Identifier: MIT
/* Which driver has which interface; see guest.h. */
#include <errno.h>

#include "guest/guest.h"

static bool says(int wanted, uint8_t is)
{
    return wanted < 0 || wanted == is;
}

const struct guest_interface *guest_find_interface(const struct guest_device *device, int interface_class,
                                                   int subclass, int protocol)
{
    for (unsigned int i = 0; i < device->configuration.nr_interfaces; i++) {
        const struct guest_interface *f = &device->configuration.interfaces[i];
        if (!device->owners[i] && f->alternate == 0 && says(interface_class, f->interface_class) &&
            says(subclass, f->subclass) && says(protocol, f->protocol))
            return f;
    }
    return NULL;
}

const struct guest_endpoint *guest_endpoint_of(const struct guest_interface *interface, uint8_t type,
                                               uint8_t direction)
{
    for (unsigned int i = 0; interface && i < interface->nr_endpoints; i++) {
        const struct guest_endpoint *ep = &interface->endpoints[i];
        if (ep->type == type && (ep->address & 0x80u) == direction)
            return ep;
    }
    return NULL;
}

int guest_claim(struct guest_device *device, uint8_t number, const void *driver)
{
    const struct guest_configuration *c = &device->configuration;
    bool found = false;
    for (unsigned int i = 0; i < c->nr_interfaces; i++) {
        if (c->interfaces[i].number != number)
            continue;
        if (device->owners[i] && device->owners[i] != driver)
            return -EBUSY;
        found = true;
    }
    for (unsigned int i = 0; i < c->nr_interfaces; i++) {
        if (c->interfaces[i].number == number)
            device->owners[i] = driver;
    }
    return found ? 0 : -ENOENT;
}

void guest_release(struct guest_device *device, const void *driver)
{
    for (unsigned int i = 0; i < GUEST_INTERFACES_MAX; i++) {
        if (device->owners[i] == driver)
            device->owners[i] = NULL;
    }
}
