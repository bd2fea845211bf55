// SPDX-License-Identifier: MIT
#include "toolstack/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPEC_TEXT_MAX 1024u

int spec_number(const char *text, const char *what, unsigned int min, unsigned int max, unsigned int *out,
                char *error)
{
    const size_t digits = strspn(text, "0123456789");
    const bool number = digits > 0 && digits <= 9 && !text[digits];
    const unsigned long value = number ? strtoul(text, NULL, 10) : 0;
    if (!number || value < min || value > max)
        return tool_refuse(error, -EINVAL, "Invalid %s '%.64s': a number from %u to %u is needed", what, text,
                           min, max);
    *out = (unsigned int)value;
    return 0;
}

/* ---- places on a bus ---- */

static int busid_wrong(const char *text, char *error)
{
    return tool_refuse(error, -EINVAL, "Invalid Busid '%.64s': a place on a bus is like 1-2 or 2-4.3.3",
                       text);
}

/* One number of one or two digits, without a zero before it. */
static const char *busid_part(const char *p)
{
    if (*p < '1' || *p > '9')
        return NULL;
    p++;
    return *p >= '0' && *p <= '9' ? p + 1 : p;
}

int spec_busid(const char *text, bool compat, char out[SPEC_BUSID_SIZE], char *error)
{
    enum { PORTS_MAX = 6 }; /* the root port's and five of hubs, as far as USB goes */
    unsigned int ports = 0;
    if (strlen(text) >= SPEC_BUSID_SIZE)
        return busid_wrong(text, error);
    snprintf(out, SPEC_BUSID_SIZE, "%s", text);
    const char *p = busid_part(out);
    while (p && *p) {
        char *separator = out + (p - out);
        const char wanted = ports == 0 ? '-' : '.';
        if (*separator != wanted && !(compat && *separator == ','))
            return busid_wrong(text, error);
        *separator = wanted;
        p = ports++ < PORTS_MAX ? busid_part(p + 1) : NULL;
    }
    return p && ports ? 0 : busid_wrong(text, error);
}

/* ---- KEY=VALUE ---- */

/* The value of a token with that key, NULL if it has another. */
static const char *value_of(const char *token, const char *key)
{
    const size_t length = strlen(key);
    return strncmp(token, key, length) == 0 && token[length] == '=' ? token + length + 1 : NULL;
}

/* Calls one() for every token of a text with commas, blanks after commas skipped. */
static int each_token(const char *text, char *error, int (*one)(void *spec, const char *token, char *error),
                      void *spec)
{
    char copy[SPEC_TEXT_MAX];
    int rc = 0;
    if (strlen(text) >= sizeof(copy))
        return tool_refuse(error, -EINVAL, "'%.32s...' is longer than %u bytes", text, SPEC_TEXT_MAX - 1);
    memcpy(copy, text, strlen(text) + 1);
    for (char *at = copy, *next; !rc && at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        at += strspn(at, " \t");
        at[strcspn(at, " \t")] = '\0';
        if (*at)
            rc = one(spec, at, error);
    }
    return rc;
}

/* ---- controllers ---- */

void spec_controller_init(struct controller_spec *out)
{
    *out = (struct controller_spec){.type = CONTROLLER_AUTO, .version = USB_VER_USB20, .ports = 8};
}

static int controller_type(const char *text, enum controller_type *out, char *error)
{
    static const char *const names[] = {"auto", "pv", "devicemodel", "qusb"};
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *out = (enum controller_type)i;
            return 0;
        }
    }
    return tool_refuse(error, -EINVAL, "Invalid usb controller type '%.64s': it is auto, pv or qusb", text);
}

int spec_controller_token(struct controller_spec *spec, const char *token, char *error)
{
    const char *value;
    unsigned int number;
    int rc;
    if ((value = value_of(token, "type"))) {
        return controller_type(value, &spec->type, error);
    } else if ((value = value_of(token, "version"))) {
        rc = spec_number(value, "version", 1, 3, &number, error);
        if (!rc && number > USB_VER_USB20)
            rc = tool_refuse(error, -EINVAL,
                             "USB version for paravirtualized devices must be 1 or 2, not '%.64s'", value);
        spec->version = rc ? spec->version : number;
        return rc;
    } else if ((value = value_of(token, "ports"))) {
        rc = spec_number(value, "ports", 0, PVUSB_PORTS_MAX, &number, error);
        if (rc)
            return tool_refuse(
                error, rc, "Number of ports for USB controller is limited to %u, and '%.64s' is not 1 to %u",
                PVUSB_PORTS_MAX, value, PVUSB_PORTS_MAX);
        spec->ports = number ? number : 8; /* as in libxl, 0 means the default */
        return 0;
    } else if ((value = value_of(token, "backend"))) {
        if (!*value || strlen(value) >= sizeof(spec->backend))
            return tool_refuse(error, -EINVAL, "backend='%.64s': a name or number of a domain is needed",
                               value);
        snprintf(spec->backend, sizeof(spec->backend), "%s", value);
        return 0;
    }
    return tool_refuse(error, -EINVAL,
                       "Unknown string `%.64s' in usbctrl spec: keys are type, version, ports, backend",
                       token);
}

static int controller_token(void *spec, const char *token, char *error)
{
    return spec_controller_token(spec, token, error);
}

int spec_controller(const char *text, struct controller_spec *out, char *error)
{
    spec_controller_init(out);
    return each_token(text, error, controller_token, out);
}

/* ---- devices of xl ---- */

void spec_device_init(struct device_spec *out)
{
    *out = (struct device_spec){0};
}

/* The address of a bus or of a device on it. */
static int host_number(const char *text, const char *what, unsigned int max, bool compat, unsigned int *out,
                       char *error)
{
    if (!compat)
        return spec_number(text, what, 1, max, out, error);
    char *end;
    unsigned long value = strtoul(text, &end, 0); /* the quirk: 010 is eight, 008 is none, 0x10 is sixteen */
    *out = (unsigned int)(value & 0xffu);
    return end == text ? spec_number(text, what, 1, max, out, error) : 0;
}

int spec_device_token(struct device_spec *spec, const char *token, bool compat, char *error)
{
    const char *value;
    int rc;
    if ((value = value_of(token, "type"))) {
        return strcmp(value, "hostdev") == 0
                   ? 0
                   : tool_refuse(error, -EINVAL, "Invalid usb device type: %.64s: it can only be hostdev",
                                 value);
    } else if ((value = value_of(token, "hostbus"))) {
        return host_number(value, "hostbus", 99, compat, &spec->bus, error);
    } else if ((value = value_of(token, "hostaddr"))) {
        return host_number(value, "hostaddr", PVUSB_ADDRESS_MAX, compat, &spec->address, error);
    } else if ((value = value_of(token, "controller"))) {
        rc = spec_number(value, "controller", 0, SPEC_DEVID_MAX, &spec->controller, error);
        spec->has_controller = !rc;
        return rc;
    } else if ((value = value_of(token, "port"))) {
        rc = spec_number(value, "port", 1, PVUSB_PORTS_MAX, &spec->port, error);
        spec->has_port = !rc;
        return rc;
    }
    return tool_refuse(
        error, -EINVAL,
        "Unknown string `%.64s' in usbdev spec: keys are type, hostbus, hostaddr, controller, port", token);
}

int spec_device_check(const struct device_spec *spec, char *error)
{
    if (!spec->bus || !spec->address)
        return tool_refuse(error, -EINVAL,
                           "hostbus=<busnum> and hostaddr=<devnum> are needed; 'pvusb bus list' has both");
    if (spec->has_port && !spec->has_controller)
        return tool_refuse(error, -EINVAL,
                           "USB controller must be specified if you specify port: add controller=<DevId>");
    return 0;
}

struct device_parse {
    struct device_spec *spec;
    bool compat;
};

static int device_token(void *context, const char *token, char *error)
{
    const struct device_parse *parse = context;
    return spec_device_token(parse->spec, token, parse->compat, error);
}

int spec_device(const char *text, bool compat, struct device_spec *out, char *error)
{
    struct device_parse parse = {.spec = out, .compat = compat};
    spec_device_init(out);
    int rc = each_token(text, error, device_token, &parse);
    return rc ? rc : spec_device_check(out, error);
}

/* ---- controllers of xm ---- */

static int vusb_port(struct vusb_spec *spec, const char *token, char *error)
{
    char number[4];
    unsigned int port;
    const char *equals = strchr(token, '=');
    const size_t length = equals ? (size_t)(equals - token) - strlen("port_") : sizeof(number);
    if (length >= sizeof(number))
        return tool_refuse(error, -EINVAL, "Invalid vusb option: %.64s: a port is port_N=BUSID", token);
    memcpy(number, token + strlen("port_"), length);
    number[length] = '\0';
    int rc = spec_number(number, "vusb option: port", 1, PVUSB_PORTS_MAX, &port, error);
    if (rc)
        return rc;
    if (!equals[1]) { /* as a port without a device */
        spec->busid[port][0] = '\0';
        return 0;
    }
    return spec_busid(equals + 1, false, spec->busid[port], error);
}

static int vusb_token(void *context, const char *token, char *error)
{
    struct vusb_spec *spec = context;
    const char *value;
    if ((value = value_of(token, "usbver")))
        return spec_number(value, "vusb option: usbver", USB_VER_USB11, USB_VER_USB20, &spec->version, error);
    if ((value = value_of(token, "numports")))
        return spec_number(value, "vusb option: numports", 1, PVUSB_PORTS_MAX, &spec->ports, error);
    if (strncmp(token, "port_", strlen("port_")) == 0)
        return vusb_port(spec, token, error);
    return tool_refuse(error, -EINVAL, "Invalid vusb option: %.64s: options are usbver, numports, port_N",
                       token);
}

int spec_vusb(const char *text, struct vusb_spec *out, char *error)
{
    *out = (struct vusb_spec){.version = USB_VER_USB20, .ports = 8};
    int rc = each_token(text, error, vusb_token, out);
    for (unsigned int i = out->ports + 1; !rc && i <= PVUSB_PORTS_MAX; i++) {
        if (out->busid[i][0])
            rc = tool_refuse(error, -EINVAL, "Invalid vusb option: port_%u: the controller has %u ports", i,
                             out->ports);
    }
    return rc;
}

/* ---- emulated USB ---- */

static bool hex4(const char *text, const char **end, uint16_t *out)
{
    const size_t digits = strspn(text, "0123456789abcdefABCDEF");
    *out = (uint16_t)strtoul(text, NULL, 16);
    *end = text + digits;
    return digits >= 1 && digits <= 4;
}

int spec_usbdevice(const char *text, struct usbdevice_spec *out, char *error)
{
    const char *at = text + strlen("host:");
    unsigned int bus = 0, address = 0;
    int used = 0;
    *out = (struct usbdevice_spec){.kind = USBDEVICE_TABLET};
    if (strcmp(text, "tablet") == 0)
        return 0;
    if (strncmp(text, "host:", strlen("host:")) == 0) {
        const char *end;
        out->kind = USBDEVICE_HOST_ID;
        if (hex4(at, &end, &out->vendor) && *end == ':' && hex4(end + 1, &end, &out->product) && !*end)
            return 0;
        out->kind = USBDEVICE_HOST_ADDRESS;
        if (strspn(at, "0123456789.") == strlen(at) && strlen(at) <= 8 &&
            sscanf(at, "%3u.%3u%n", &bus, &address, &used) == 2 && !at[used] && bus >= 1 && bus <= 99 &&
            address >= 1 && address <= PVUSB_ADDRESS_MAX) {
            out->bus = bus;
            out->address = address;
            return 0;
        }
    }
    return tool_refuse(
        error, -EINVAL,
        "usbdevice '%.64s' is none of tablet, host:<vendor>:<product> in hexadecimal, host:<bus>.<addr>",
        text);
}

/* ---- guests ---- */

int spec_guest_name(const char *text, char *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+-";
    const size_t length = strlen(text);
    if (length == 0 || length >= SPEC_DOMAIN_SIZE || strspn(text, allowed) != length || *text == '-' ||
        *text == '.' || strspn(text, "0123456789") == length)
        return tool_refuse(
            error, -EINVAL,
            "'%.64s' is no name of a guest: 1 to 64 letters, digits and _ . : + -, not only digits, "
            "not beginning with - or .",
            text);
    if (strncmp(text, "Domain-", strlen("Domain-")) == 0)
        return tool_refuse(error, -EINVAL,
                           "'%.64s' is no name of a guest: Domain-<N> are the names of nameless domains",
                           text);
    return 0;
}
