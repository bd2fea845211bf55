// SPDX-License-Identifier: MIT
/* Standard requests of USB 2.0 section 9.4, and the descriptors they need. */
#include <errno.h>

#include "devices/device.h"

enum {
    REQ_GET_STATUS = 0,
    REQ_CLEAR_FEATURE = 1,
    REQ_SET_FEATURE = 3,
    REQ_GET_DESCRIPTOR = 6,
    REQ_GET_CONFIGURATION = 8,
    REQ_SET_CONFIGURATION = 9,
    REQ_GET_INTERFACE = 10,
    REQ_SET_INTERFACE = 11,
};

enum {
    DT_DEVICE = 1,
    DT_CONFIGURATION = 2,
    DT_STRING = 3,
    DT_INTERFACE = 4,
    DT_ENDPOINT = 5,
    DT_QUALIFIER = 6,
    DT_OTHER_SPEED = 7,
};

enum { TYPE_DEVICE = 0x00, TYPE_INTERFACE = 0x01, TYPE_ENDPOINT = 0x02, TYPE_IN = 0x80 };

#define LANGID_EN_US 0x0409u

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static const uint8_t ep_types[4] = {
    USBIF_PIPE_TYPE_CTRL,
    USBIF_PIPE_TYPE_ISOC,
    USBIF_PIPE_TYPE_BULK,
    USBIF_PIPE_TYPE_INT,
};

const uint8_t *ep0_configuration(const struct usb_device *device, uint8_t value)
{
    const struct usb_descriptors *d = &device->descriptors;
    const uint8_t *const *configs = device->slowed ? d->other_speed : d->configurations;
    for (unsigned int i = 0; value && i < d->device[17]; i++) {
        if (configs[i][5] == value)
            return configs[i];
    }
    return NULL;
}

void ep0_find_endpoints(struct usb_device *device)
{
    for (unsigned int i = 1; i < 16; i++) {
        device->in[i].exists = device->out[i].exists = false;
        device->in[i].halted = device->out[i].halted = false;
        device->in[i].wedged = device->out[i].wedged = false;
    }
    const uint8_t *config = ep0_configuration(device, device->configuration);
    if (!config)
        return;
    bool current = false;
    for (unsigned int at = 0; at < le16(config + 2); at += config[at]) {
        const uint8_t *d = config + at;
        if (d[1] == DT_INTERFACE)
            current = device->alternate[d[2]] == d[3];
        if (d[1] != DT_ENDPOINT || !current)
            continue;
        struct device_endpoint *ep = device_endpoint(device, d[2]);
        ep->exists = true;
        ep->type = ep_types[d[3] & 3u];
        ep->packet = le16(d + 4) & 0x7ffu;
        /* USB 2.0 section 9.6.6: two more packets per microframe at most, and a period of 2^(bInterval-1). */
        ep->capacity = (uint16_t)(ep->packet * (1u + (d[5] >> 3 & 3u)));
        ep->interval = (uint16_t)(1u << (d[6] == 0 ? 0u : d[6] > 16 ? 15u : d[6] - 1u));
    }
}

/* -1 when the current configuration has no such interface and alternate setting. */
static int find_interface(const struct usb_device *device, uint16_t interface, uint16_t alternate)
{
    const uint8_t *config = ep0_configuration(device, device->configuration);
    for (unsigned int at = 0; config && at < le16(config + 2); at += config[at]) {
        if (config[at + 1] == DT_INTERFACE && config[at + 2] == interface && config[at + 3] == alternate)
            return 0;
    }
    return -1;
}

/* The endpoint of a request, NULL when there is none (USB 2.0 section 9.4.5: a request error). */
static struct device_endpoint *find_endpoint(struct usb_device *device, uint16_t index)
{
    if (index & ~0x8fu)
        return NULL;
    struct device_endpoint *ep = device_endpoint(device, (uint8_t)index);
    return ep == &device->in[0] || ep->exists ? ep : NULL;
}

static int get_status(struct usb_device *device, const struct usb_setup *setup)
{
    uint8_t status[2] = {0, 0};
    struct device_endpoint *ep;
    const uint8_t *config = ep0_configuration(device, device->configuration);
    switch (setup->type) {
    case TYPE_IN | TYPE_DEVICE:
        if (config && config[7] & 0x40u)
            status[0] |= 1u;
        if (device->remote_wakeup)
            status[0] |= 2u;
        break;
    case TYPE_IN | TYPE_INTERFACE:
        if (setup->index >= DEVICE_INTERFACES_MAX ||
            find_interface(device, setup->index, device->alternate[setup->index]))
            return -EPIPE;
        break;
    case TYPE_IN | TYPE_ENDPOINT:
        ep = find_endpoint(device, setup->index);
        if (!ep)
            return -EPIPE;
        status[0] = ep->halted;
        break;
    default:
        return -EPIPE;
    }
    return device_control_in(&device->in[0], setup, status, sizeof(status));
}

static int set_feature(struct usb_device *device, const struct usb_setup *setup, bool set)
{
    const uint8_t *config = ep0_configuration(device, device->configuration);
    if (setup->type == TYPE_DEVICE && setup->value == 1) {
        if (config && !(config[7] & 0x20u))
            return -EPIPE;
        device->remote_wakeup = set;
        return DEVICE_DONE;
    }
    struct device_endpoint *ep = find_endpoint(device, setup->index);
    if (setup->type != TYPE_ENDPOINT || setup->value != 0 || !ep)
        return -EPIPE;
    if (ep == &device->in[0] || ep->type == USBIF_PIPE_TYPE_ISOC)
        return DEVICE_DONE; /* neither has a halt to speak of (USB 2.0 section 9.4.5) */
    if (set) {
        device_halt(device, ep->address);
        return DEVICE_DONE;
    }
    if (ep->wedged)
        return DEVICE_DONE;
    ep->halted = false;
    if (device->ops->halt_cleared)
        device->ops->halt_cleared(device, ep->address);
    device_kick(device, ep->address);
    return DEVICE_DONE;
}

static int get_string(struct usb_device *device, const struct usb_setup *setup, uint8_t index)
{
    uint8_t bytes[255] = {4, DT_STRING, LANGID_EN_US & 0xffu, LANGID_EN_US >> 8};
    if (index == 0)
        return device_control_in(&device->in[0], setup, bytes, 4);
    if (index > device->descriptors.nr_strings || setup->index != LANGID_EN_US)
        return -EPIPE;
    const char *text = device->descriptors.strings[index - 1];
    unsigned int n = 2;
    for (; *text && n + 2 <= 254; text++) {
        bytes[n++] = (uint8_t)*text;
        bytes[n++] = 0;
    }
    bytes[0] = (uint8_t)n;
    return device_control_in(&device->in[0], setup, bytes, n);
}

static int get_device(struct usb_device *device, const struct usb_setup *setup)
{
    uint8_t bytes[18];
    memcpy(bytes, device->descriptors.device, sizeof(bytes));
    if (device->slowed)
        bytes[7] = device->descriptors.qualifier[7];
    return device_control_in(&device->in[0], setup, bytes, sizeof(bytes));
}

/* What the device would be at the speed that it does not have now. */
static int get_qualifier(struct usb_device *device, const struct usb_setup *setup)
{
    const struct usb_descriptors *d = &device->descriptors;
    uint8_t bytes[10];
    if (!d->qualifier)
        return -EPIPE; /* USB 2.0 section 9.6.2 */
    memcpy(bytes, d->qualifier, sizeof(bytes));
    if (device->slowed)
        bytes[7] = d->device[7];
    return device_control_in(&device->in[0], setup, bytes, sizeof(bytes));
}

/* A slowed device's configurations are its other_speed, and the other way round; the type says what was asked for. */
static int get_configuration_of(struct usb_device *device, const struct usb_setup *setup, bool other)
{
    const struct usb_descriptors *d = &device->descriptors;
    const uint8_t *const *configs = other != device->slowed ? d->other_speed : d->configurations;
    uint8_t index = (uint8_t)setup->value, type = (uint8_t)(setup->value >> 8);
    if (!configs || index >= d->device[17])
        return -EPIPE;
    const uint8_t *config = configs[index];
    int rc = device_control_in(&device->in[0], setup, config, le16(config + 2));
    if (device->in[0].moved > 1)
        host_urb_write(device->in[0].head, 1, &type, 1);
    return rc;
}

static int get_descriptor(struct usb_device *device, const struct usb_setup *setup)
{
    uint8_t index = (uint8_t)setup->value;
    switch (setup->value >> 8) {
    case DT_DEVICE:
        return index ? -EPIPE : get_device(device, setup);
    case DT_OTHER_SPEED:
        return get_configuration_of(device, setup, true);
    case DT_CONFIGURATION:
        return get_configuration_of(device, setup, false);
    case DT_STRING:
        return get_string(device, setup, index);
    case DT_QUALIFIER:
        return index ? -EPIPE : get_qualifier(device, setup);
    default:
        return -EPIPE;
    }
}

static int set_configuration(struct usb_device *device, const struct usb_setup *setup)
{
    uint8_t value = (uint8_t)setup->value;
    if (setup->value > 255 || (value && !ep0_configuration(device, value)))
        return -EPIPE;
    device->configuration = value;
    memset(device->alternate, 0, sizeof(device->alternate));
    ep0_find_endpoints(device);
    for (unsigned int i = 1; i < 16; i++) {
        iso_end(&device->in[i]);
        iso_end(&device->out[i]);
    }
    if (device->ops->configured)
        device->ops->configured(device);
    for (unsigned int i = 1; i < 16; i++) {
        device_kick(device, device->in[i].address);
        device_kick(device, device->out[i].address);
    }
    return DEVICE_DONE;
}

static int get_interface(struct usb_device *device, const struct usb_setup *setup)
{
    if (setup->index >= DEVICE_INTERFACES_MAX ||
        find_interface(device, setup->index, device->alternate[setup->index]))
        return -EPIPE;
    return device_control_in(&device->in[0], setup, &device->alternate[setup->index], 1);
}

static int set_interface(struct usb_device *device, const struct usb_setup *setup)
{
    if (setup->index >= DEVICE_INTERFACES_MAX || find_interface(device, setup->index, setup->value))
        return -EPIPE;
    bool halted[32];
    for (unsigned int i = 1; i < 16; i++) {
        halted[i] = device->in[i].halted;
        halted[i + 16] = device->out[i].halted;
    }
    device->alternate[setup->index] = (uint8_t)setup->value;
    ep0_find_endpoints(device);
    /* USB 2.0 section 9.1.1.5 clears the halts of this interface only. */
    const uint8_t *config = ep0_configuration(device, device->configuration);
    unsigned int interface = 0;
    for (unsigned int at = 0; at < le16(config + 2); at += config[at]) {
        const uint8_t *d = config + at;
        if (d[1] == DT_INTERFACE)
            interface = d[2];
        else if (d[1] == DT_ENDPOINT && interface != setup->index)
            device_endpoint(device, d[2])->halted = halted[(d[2] & 15u) + (d[2] & 0x80u ? 0u : 16u)];
        else if (d[1] == DT_ENDPOINT)
            iso_end(device_endpoint(device, d[2]));
    }
    if (device->ops->configured)
        device->ops->configured(device);
    for (unsigned int i = 1; i < 16; i++) {
        device_kick(device, device->in[i].address);
        device_kick(device, device->out[i].address);
    }
    return DEVICE_DONE;
}

static int standard(struct usb_device *device, const struct usb_setup *setup)
{
    switch (setup->request) {
    case REQ_GET_STATUS:
        return get_status(device, setup);
    case REQ_CLEAR_FEATURE:
        return set_feature(device, setup, false);
    case REQ_SET_FEATURE:
        return set_feature(device, setup, true);
    case REQ_GET_DESCRIPTOR:
        if (setup->type == (TYPE_IN | TYPE_DEVICE))
            return get_descriptor(device, setup);
        if (setup->type == (TYPE_IN | TYPE_INTERFACE) && device->ops->control)
            return device->ops->control(device, &device->in[0], setup);
        return -EPIPE;
    case REQ_GET_CONFIGURATION:
        if (setup->type != (TYPE_IN | TYPE_DEVICE))
            return -EPIPE;
        return device_control_in(&device->in[0], setup, &device->configuration, 1);
    case REQ_SET_CONFIGURATION:
        return setup->type == TYPE_DEVICE ? set_configuration(device, setup) : -EPIPE;
    case REQ_GET_INTERFACE:
        return setup->type == (TYPE_IN | TYPE_INTERFACE) ? get_interface(device, setup) : -EPIPE;
    case REQ_SET_INTERFACE:
        return setup->type == TYPE_INTERFACE ? set_interface(device, setup) : -EPIPE;
    default:
        return -EPIPE;
    }
}

int ep0_run(struct usb_device *device)
{
    struct device_endpoint *ep = &device->in[0];
    const struct host_urb *urb = ep->head;
    const uint8_t *raw = urb->setup;
    struct usb_setup setup = {raw[0], raw[1], le16(raw + 2), le16(raw + 4), le16(raw + 6)};
    int rc = DEVICE_PASS;
    /*
     * A data stage in the other direction, or one with bytes missing, is for the caller to refuse (rule
     * CTL-01).
     */
    if (setup.length && (((raw[0] & 0x80u) != 0) != urb->in || (!urb->in && setup.length > urb->length)))
        return -EPIPE;
    if (device->ops->intercept)
        rc = device->ops->intercept(device, ep, &setup);
    if (rc == DEVICE_PASS && (setup.type & 0x60u) == 0)
        rc = standard(device, &setup);
    else if (rc == DEVICE_PASS)
        rc = device->ops->control ? device->ops->control(device, ep, &setup) : -EPIPE;
    if (rc == DEVICE_DONE && !ep->ended) {
        ep->ended = true;
        if (!urb->in)
            ep->moved = setup.length;
    }
    return rc;
}

static bool power_of_two_from_8(unsigned int packet, unsigned int most)
{
    return packet >= 8 && packet <= most && (packet & (packet - 1)) == 0;
}

/* Packet sizes by type and speed: USB 2.0 sections 5.5.3, 5.6.3, 5.7.3, 5.8.3 for all but super speed. */
static bool packet_good(uint8_t attributes, unsigned int packet, uint8_t speed)
{
    if (speed == DEVICE_SPEED_SUPER)
        return packet > 0; /* what of it fits high speed is for the host to say */
    bool low = speed == USBIF_SPEED_LOW, high = speed == USBIF_SPEED_HIGH;
    switch (attributes & 3u) {
    case 1: /* isochronous */
        return !low && packet <= (high ? 1024u : 1023u);
    case 2: /* bulk */
        return !low && (high ? packet == 512 : power_of_two_from_8(packet, 64));
    case 3: /* interrupt */
        return packet > 0 && packet <= (low ? 8u : high ? 1024u : 64u);
    default:
        return packet > 0;
    }
}

static bool packet0_good(uint8_t packet, uint8_t speed)
{
    if (speed == USBIF_SPEED_LOW)
        return packet == 8;
    if (speed == DEVICE_SPEED_SUPER)
        return packet == 9; /* an exponent, USB 3.2 section 9.6.1 */
    return speed == USBIF_SPEED_HIGH ? packet == 64 : power_of_two_from_8(packet, 64);
}

/* Whether every descriptor lies inside the whole, and whether this layer can serve what they say. */
static bool configuration_good(const uint8_t *config, uint8_t type, uint8_t speed)
{
    unsigned int total = le16(config + 2), at = 0;
    bool interface = false;
    if (config[0] != 9 || config[1] != type || total < 9)
        return false;
    for (; at < total; at += config[at]) {
        const uint8_t *d = config + at;
        if (total - at < 2 || d[0] < 2 || d[0] > total - at)
            return false;
        if (d[1] == DT_INTERFACE) {
            interface = true;
            if (d[0] < 9 || d[2] >= DEVICE_INTERFACES_MAX)
                return false;
        }
        if (d[1] != DT_ENDPOINT)
            continue;
        if (!interface || d[0] < 7 || (d[2] & 15u) == 0 || (d[2] & 0x70u))
            return false;
        if (!packet_good(d[3], le16(d + 4) & 0x7ffu, speed))
            return false;
    }
    return true;
}

int device_init(struct usb_device *device, const struct usb_device_ops *ops,
                const struct usb_descriptors *descriptors)
{
    *device = (struct usb_device){.ops = ops, .descriptors = *descriptors};
    for (unsigned int i = 0; i < 16; i++) {
        device->in[i].address = (uint8_t)(i ? i | 0x80u : 0u);
        device->out[i].address = (uint8_t)i;
    }
    const uint8_t *d = descriptors->device;
    device->in[0].exists = true;
    device->in[0].type = USBIF_PIPE_TYPE_CTRL;
    device->in[0].packet = d[7];
    if (d[0] != 18 || d[1] != DT_DEVICE || d[17] == 0 || !packet0_good(d[7], descriptors->speed))
        return -EINVAL;
    uint8_t other = descriptors->speed == USBIF_SPEED_HIGH ? USBIF_SPEED_FULL : USBIF_SPEED_HIGH;
    for (unsigned int i = 0; i < d[17]; i++) {
        if (!configuration_good(descriptors->configurations[i], DT_CONFIGURATION, descriptors->speed))
            return -EINVAL;
        if (descriptors->other_speed && !configuration_good(descriptors->other_speed[i], DT_OTHER_SPEED, other))
            return -EINVAL;
    }
    return 0;
}
