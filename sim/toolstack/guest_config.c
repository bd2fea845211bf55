// SPDX-License-Identifier: MIT
#include "toolstack/guest_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct parse {
    struct guest_config *out;
    bool compat;
    char *error;
};

/* Puts the line before what a checker said, as that does not know it. */
static int in_line(const struct config_value *value, char *error, int rc)
{
    char what[TOOL_ERROR_MAX];
    if (!rc)
        return 0;
    snprintf(what, sizeof(what), "%s", error);
    return tool_refuse(error, rc, "line %u: %.*s", value->line, (int)sizeof(what) - 32, what);
}

static int too_many(char *error, const char *what, unsigned int max)
{
    return tool_refuse(error, -EINVAL, "more than %u %s", max, what);
}

static int add_vusb(struct parse *parse, const char *text)
{
    struct guest_config *out = parse->out;
    if (out->nr_vusb == GUEST_CONTROLLERS_MAX)
        return too_many(parse->error, "controllers", GUEST_CONTROLLERS_MAX);
    return spec_vusb(text, &out->vusb[out->nr_vusb++], parse->error);
}

static int add_usbctrl(struct parse *parse, const char *text)
{
    struct guest_config *out = parse->out;
    if (out->nr_usbctrl == GUEST_CONTROLLERS_MAX)
        return too_many(parse->error, "controllers", GUEST_CONTROLLERS_MAX);
    return spec_controller(text, &out->usbctrl[out->nr_usbctrl++], parse->error);
}

static int add_usbdev(struct parse *parse, const char *text)
{
    struct guest_config *out = parse->out;
    if (out->nr_usbdev == GUEST_DEVICES_MAX)
        return too_many(parse->error, "devices", GUEST_DEVICES_MAX);
    return spec_device(text, parse->compat, &out->usbdev[out->nr_usbdev++], parse->error);
}

static int add_usbdevice(struct parse *parse, const char *text)
{
    struct guest_config *out = parse->out;
    if (out->nr_usbdevices == GUEST_USBDEVICES_MAX)
        return too_many(parse->error, "usbdevices", GUEST_USBDEVICES_MAX);
    int rc = spec_usbdevice(text, &out->usbdevices[out->nr_usbdevices], parse->error);
    if (!rc)
        snprintf(out->usbdevice_text[out->nr_usbdevices++], sizeof(out->usbdevice_text[0]), "%s", text);
    return rc;
}

/* The items of a list; may_be_string: of usbdevice, which is either. */
static int each(struct parse *parse, const struct config *config, const char *name, bool may_be_string,
                int (*add)(struct parse *parse, const char *text))
{
    const struct config_value *value = config_find(config, name);
    int rc = 0;
    if (!value)
        return 0;
    if (!value->is_list && !may_be_string)
        return tool_refuse(parse->error, -EINVAL, "line %u: %s is a list: %s = [ '...' ]", value->line, name,
                           name);
    for (unsigned int i = 0; !rc && i < value->nr_items; i++)
        rc = add(parse, value->items[i]);
    return in_line(value, parse->error, rc);
}

/* A value that is one string or number; NULL, and *rc, if not. */
static const char *single(const struct config *config, const char *name, char *error, int *rc)
{
    const struct config_value *value = config_find(config, name);
    if (!value || *rc)
        return NULL;
    if (!value->is_list)
        return value->items[0];
    *rc = tool_refuse(error, -EINVAL, "line %u: %s is one value, not a list", value->line, name);
    return NULL;
}

static int read_type(struct parse *parse, const struct config *config)
{
    int rc = 0;
    const char *type = single(config, "type", parse->error, &rc);
    const char *builder = single(config, "builder", parse->error, &rc);
    if (rc)
        return rc;
    if (type && strcmp(type, "hvm") && strcmp(type, "pv") && strcmp(type, "pvh"))
        return tool_refuse(parse->error, -EINVAL, "Invalid domain type '%.64s': it is pv, pvh or hvm", type);
    parse->out->hvm = type ? strcmp(type, "hvm") == 0 : builder && strcmp(builder, "hvm") == 0;
    return 0;
}

static int read_name(struct parse *parse, const struct config *config)
{
    int rc = 0;
    const char *name = single(config, "name", parse->error, &rc);
    if (name)
        rc = in_line(config_find(config, "name"), parse->error, spec_guest_name(name, parse->error));
    if (!rc && name)
        snprintf(parse->out->name, sizeof(parse->out->name), "%s", name);
    return rc;
}

/* Section 4 of what xl checks of the emulated controller. */
static int read_emulated(struct parse *parse, const struct config *config)
{
    int rc = 0;
    unsigned int number = 0;
    const char *usb = single(config, "usb", parse->error, &rc);
    const char *version = single(config, "usbversion", parse->error, &rc);
    const char *redirection = single(config, "spiceusbredirection", parse->error, &rc);
    if (!rc && usb)
        rc = in_line(config_find(config, "usb"), parse->error,
                     spec_number(usb, "usb", 0, 1, &number, parse->error));
    parse->out->usb = number == 1;
    if (!rc)
        rc = each(parse, config, "usbdevice", true, add_usbdevice);
    if (rc)
        return rc;
    parse->out->usb = parse->out->usb || parse->out->nr_usbdevices > 0; /* implied, as in libxl */
    if (version && spec_number(version, "usbversion", 0, 3, &number, parse->error))
        return tool_refuse(parse->error, -EINVAL, "usbversion parameter is invalid, must be between 1 and 3");
    const bool other = (version && number) || (redirection && strcmp(redirection, "0") != 0);
    if (redirection && spec_number(redirection, "spiceusbredirection", 0, 4, &number, parse->error))
        return tool_refuse(parse->error, -EINVAL,
                           "usbredirection parameter is invalid, it must be between 1 and 4");
    if (other && parse->out->usb)
        return tool_refuse(
            parse->error, -EINVAL,
            "usbversion and/or usbredirection cannot be enabled with usb and/or usbdevice parameters.");
    if (parse->out->usb && !parse->out->hvm)
        return tool_refuse(
            parse->error, -EINVAL,
            "usb and usbdevice are for HVM guests: add type = \"hvm\", or use usbctrl and usbdev");
    return 0;
}

/* Two devices on one port, or a port that is not there, as far as the file alone can tell. */
static int check_ports(const struct guest_config *out, char *error)
{
    for (unsigned int i = 0; i < out->nr_usbdev; i++) {
        const struct device_spec *device = &out->usbdev[i];
        const unsigned int controllers = out->nr_vusb + out->nr_usbctrl;
        if (!device->has_controller)
            continue;
        if (device->controller >= controllers)
            return tool_refuse(error, -EINVAL, "usbdev: there is no controller %u, the config has %u",
                               device->controller, controllers);
        const unsigned int ports = device->controller < out->nr_vusb
                                       ? out->vusb[device->controller].ports
                                       : out->usbctrl[device->controller - out->nr_vusb].ports;
        if (device->has_port && device->port > ports)
            return tool_refuse(error, -EINVAL, "usbdev: controller %u has %u ports, not %u",
                               device->controller, ports, device->port);
    }
    return 0;
}

int guest_config_parse(const char *text, size_t length, bool compat, struct guest_config *out, char *error)
{
    struct parse parse = {.out = out, .compat = compat, .error = error};
    struct config config;
    memset(out, 0, sizeof(*out));
    int rc = config_parse(text, length, &config, error);
    if (rc)
        return rc;
    rc = read_name(&parse, &config);
    if (!rc)
        rc = read_type(&parse, &config);
    if (!rc)
        rc = each(&parse, &config, "vusb", false, add_vusb);
    if (!rc)
        rc = each(&parse, &config, "usbctrl", false, add_usbctrl);
    if (!rc)
        rc = each(&parse, &config, "usbdev", false, add_usbdev);
    if (!rc)
        rc = read_emulated(&parse, &config);
    if (!rc)
        rc = check_ports(out, error);
    config_dispose(&config);
    return rc;
}
