// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "devices/composite.h"

enum { DT_CONFIGURATION = 2, DT_OTHER_SPEED = 7, DT_ASSOCIATION = 11 };
enum { RECIPIENT_MASK = 0x1f, RECIPIENT_INTERFACE = 1, RECIPIENT_ENDPOINT = 2 };
enum { REQ_SET_INTERFACE = 11 };

struct composite {
    struct usb_device device;
    struct function *functions[COMPOSITE_FUNCTIONS_MAX];
    unsigned int nr_functions;
    struct function *chosen; /* by a SET_INTERFACE; NULL for all */
    uint8_t device_desc[18];
    uint8_t qualifier[10];
    uint8_t config[COMPOSITE_CONFIG_MAX];
    uint8_t other[COMPOSITE_CONFIG_MAX];
    const uint8_t *configs[1];
    const uint8_t *others[1];
    const char *strings[COMPOSITE_STRINGS];
};

static struct function *of_interface(struct composite *composite, unsigned int interface)
{
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        struct function *f = composite->functions[i];
        if (interface >= f->first_interface && interface - f->first_interface < f->ops->of.interfaces)
            return f;
    }
    return NULL;
}

static struct function *of_endpoint(struct composite *composite, unsigned int address)
{
    unsigned int number = address & 0x0fu;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        struct function *f = composite->functions[i];
        if (number >= f->first_endpoint && number - f->first_endpoint < f->ops->of.endpoints)
            return f;
    }
    return NULL;
}

/* USB 2.0 section 9.3.4: wIndex names the interface or endpoint in its low byte. */
static int composite_control(struct usb_device *device, struct device_endpoint *ep,
                             const struct usb_setup *setup)
{
    struct composite *composite = (struct composite *)device;
    struct function *f = NULL;
    unsigned int recipient = setup->type & RECIPIENT_MASK;
    /* USB 2.0 section 9.2.7: before there is a configuration there are no interfaces. */
    if (setup->index > 0xff || !device->configuration)
        return -EPIPE;
    if (recipient == RECIPIENT_INTERFACE)
        f = of_interface(composite, setup->index);
    else if (recipient == RECIPIENT_ENDPOINT)
        f = of_endpoint(composite, setup->index);
    return f ? f->ops->control(f, ep, setup) : -EPIPE;
}

/* Endpoints that exist belong to somebody. */
static int composite_in(struct usb_device *device, struct device_endpoint *ep)
{
    struct function *f = of_endpoint((struct composite *)device, ep->address);
    return f->ops->in(f, ep);
}

static int composite_out(struct usb_device *device, struct device_endpoint *ep)
{
    struct function *f = of_endpoint((struct composite *)device, ep->address);
    return f->ops->out ? f->ops->out(f, ep) : -EPIPE;
}

/* Chapter 9 answers; we only note that a SET_INTERFACE is no matter of the other functions. */
static int composite_intercept(struct usb_device *device, struct device_endpoint *ep,
                               const struct usb_setup *setup)
{
    struct composite *composite = (struct composite *)device;
    (void)ep;
    composite->chosen = NULL;
    if (setup->type == RECIPIENT_INTERFACE && setup->request == REQ_SET_INTERFACE)
        composite->chosen = of_interface(composite, setup->index);
    return DEVICE_PASS;
}

static void composite_reset(struct usb_device *device)
{
    struct composite *composite = (struct composite *)device;
    for (unsigned int i = 0; i < composite->nr_functions; i++)
        composite->functions[i]->ops->start_over(composite->functions[i]);
}

static void composite_configured(struct usb_device *device)
{
    struct composite *composite = (struct composite *)device;
    if (composite->chosen)
        composite->chosen->ops->start_over(composite->chosen);
    else
        composite_reset(device);
}

static void composite_step(struct usb_device *device, uint64_t now_ns)
{
    struct composite *composite = (struct composite *)device;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        struct function *f = composite->functions[i];
        if (f->ops->step)
            f->ops->step(f, now_ns);
    }
}

static uint64_t composite_deadline(const struct usb_device *device)
{
    const struct composite *composite = (const struct composite *)device;
    uint64_t first = UINT64_MAX;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        struct function *f = composite->functions[i];
        uint64_t due = f->ops->deadline ? f->ops->deadline(f) : UINT64_MAX;
        first = due < first ? due : first;
    }
    return first;
}

static void composite_destroy(struct usb_device *device)
{
    struct composite *composite = (struct composite *)device;
    for (unsigned int i = 0; i < composite->nr_functions; i++)
        composite->functions[i]->ops->destroy(composite->functions[i]);
    free(composite);
}

static const struct usb_device_ops composite_ops = {
    .control = composite_control,
    .in = composite_in,
    .out = composite_out,
    .intercept = composite_intercept,
    .reset = composite_reset,
    .configured = composite_configured,
    .step = composite_step,
    .deadline = composite_deadline,
    .destroy = composite_destroy,
};

static unsigned int describe_association(const struct function *f, uint8_t *out)
{
    const struct function_class *of = &f->ops->of;
    const uint8_t bytes[8] = {8,
                              DT_ASSOCIATION,
                              f->first_interface,
                              of->interfaces,
                              of->association[0],
                              of->association[1],
                              of->association[2],
                              0};
    memcpy(out, bytes, sizeof(bytes));
    return sizeof(bytes);
}

/* False when a function cannot be had at that speed. */
static bool describe(const struct composite *composite, uint8_t type, uint8_t speed, uint8_t *out)
{
    unsigned int at = 9, interfaces = 0;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        const struct function *f = composite->functions[i];
        static_assert(9 + COMPOSITE_FUNCTIONS_MAX * (8 + COMPOSITE_FUNCTION_BYTES) <= COMPOSITE_CONFIG_MAX,
                      "every function has room");
        if (composite->nr_functions > 1 && f->ops->of.interfaces > 1)
            at += describe_association(f, out + at);
        unsigned int n = f->ops->describe(f, speed, out + at);
        assert(n <= COMPOSITE_FUNCTION_BYTES);
        if (n == 0)
            return false;
        at += n;
        interfaces += f->ops->of.interfaces;
    }
    const uint8_t head[9] = {9, type, (uint8_t)at, (uint8_t)(at >> 8), (uint8_t)interfaces, 1, 0, 0x80, 50};
    memcpy(out, head, sizeof(head));
    return true;
}

static void describe_device(struct composite *composite, uint8_t speed)
{
    static const uint8_t several[3] = {0xef, 0x02, 0x01};
    const struct function_class *of = &composite->functions[0]->ops->of;
    bool one = composite->nr_functions == 1;
    const uint8_t *class = one ? of->device : several;
    uint16_t product = one ? of->product : 0x0100;
    /* USB 2.0 section 5.5.3. bcdUSB 2.00 is what full and low speed devices of that specification say, too.
     */
    uint8_t packet0 = speed == USBIF_SPEED_LOW ? 8 : 64;
    const uint8_t bytes[18] = {18,
                               1,
                               0x00,
                               2,
                               class[0],
                               class[1],
                               class[2],
                               packet0,
                               0x09,
                               0x12,
                               (uint8_t)product,
                               (uint8_t)(product >> 8),
                               0,
                               1,
                               1,
                               2,
                               3,
                               1};
    const uint8_t qualifier[10] = {10, 6, 0x00, 2, class[0], class[1], class[2], 64, 1, 0};
    memcpy(composite->device_desc, bytes, sizeof(bytes));
    memcpy(composite->qualifier, qualifier, sizeof(qualifier));
    composite->strings[0] = "PVUSB";
    composite->strings[1] = one ? of->name : "Simulated composite device";
    composite->strings[2] = "000000000001";
    composite->configs[0] = composite->config;
    composite->others[0] = composite->other;
}

/* Numbers interfaces and endpoints; false when there are more than a device can have. */
static bool number(struct composite *composite)
{
    unsigned int interface = 0, endpoint = 1;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        struct function *f = composite->functions[i];
        f->device = &composite->device;
        f->first_interface = (uint8_t)interface;
        f->first_endpoint = (uint8_t)endpoint;
        interface += f->ops->of.interfaces;
        endpoint += f->ops->of.endpoints;
    }
    return interface <= DEVICE_INTERFACES_MAX && endpoint <= 16;
}

static int init(struct composite *composite, uint8_t speed)
{
    bool high = speed == USBIF_SPEED_HIGH;
    if (!number(composite) || !describe(composite, DT_CONFIGURATION, speed, composite->config))
        return -EINVAL;
    if (high && !describe(composite, DT_OTHER_SPEED, USBIF_SPEED_FULL, composite->other))
        return -EINVAL;
    describe_device(composite, speed);
    struct usb_descriptors descriptors = {
        .device = composite->device_desc,
        .configurations = composite->configs,
        .strings = composite->strings,
        .nr_strings = COMPOSITE_STRINGS,
        .qualifier = high ? composite->qualifier : NULL,
        .other_speed = high ? composite->others : NULL,
        .speed = speed,
    };
    return device_init(&composite->device, &composite_ops, &descriptors);
}

int composite_create(uint8_t speed, struct function *const *functions, unsigned int n,
                     struct usb_device **out)
{
    struct composite *composite = NULL;
    int rc = -EINVAL;

    if (n == 0 || n > COMPOSITE_FUNCTIONS_MAX || speed < USBIF_SPEED_LOW || speed > USBIF_SPEED_HIGH)
        goto out;
    rc = -ENOMEM;
    composite = calloc(1, sizeof(*composite));
    if (!composite)
        goto out;
    memcpy(composite->functions, functions, n * sizeof(functions[0]));
    composite->nr_functions = n;
    rc = init(composite, speed);
    if (rc)
        goto out;
    composite_reset(&composite->device);
    *out = &composite->device;
    return 0;
out:
    free(composite);
    for (unsigned int i = 0; i < n; i++)
        functions[i]->ops->destroy(functions[i]);
    return rc;
}

struct function *composite_find(struct usb_device *device, const struct function_ops *ops)
{
    struct composite *composite = (struct composite *)device;
    if (device->ops->destroy != composite_destroy)
        return NULL;
    for (unsigned int i = 0; i < composite->nr_functions; i++) {
        if (composite->functions[i]->ops == ops)
            return composite->functions[i];
    }
    return NULL;
}
