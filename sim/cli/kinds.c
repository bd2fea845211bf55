// SPDX-License-Identifier: MIT
#include "cli/kinds.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"
#include "devices/audio.h"
#include "devices/composite.h"
#include "devices/disk.h"
#include "devices/faulty.h"
#include "devices/keyboard.h"
#include "devices/probe.h"
#include "devices/serial.h"
#include "devices/tablet.h"
#include "devices/ticker.h"
#include "devices/zero.h"

const char kinds_help[] =
    "Kinds of devices:\n"
    "  disk:SIZE        a disk in memory, for example 1-1=disk:16M\n"
    "  disk:FILE        a disk in a file; its name contains a '/'\n"
    "  super-disk:SIZE  one of super speed\n"
    "  keyboard         a boot keyboard (low speed)\n"
    "  tablet           an absolute pointer (full speed)\n"
    "  serial           a serial port (CDC ACM) with a loopback plug\n"
    "  audio            a sound card (UAC 1)\n"
    "  zero             Linux's gadget zero: source and sink; zero:loopback starts as loopback\n"
    "  composite        a serial port and a keyboard in one\n"
    "  probe            does what the host tells it by vendor requests (high speed); probe:full, probe:low\n"
    "  ticker:US        speaks every US microseconds on the average, whether heard or not\n"
    "  KIND!SCRIPT      one that misbehaves, for example '1-1=disk:1M!ep 0x81 after 5: stall';\n"
    "                   sim/devices/faulty.h has the script's language\n"
    "\n";

static int __attribute__((format(printf, 3, 4))) fail(char *error, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, KIND_ERROR_MAX, format, args);
    va_end(args);
    return rc;
}

static int make_disk(const char *what, uint8_t speed, struct usb_device **out, char *error)
{
    struct disk_config config = {.speed = speed};
    if (strchr(what, '/'))
        config.path = what;
    else if (parse_size(what, &config.bytes) || config.bytes % DISK_BLOCK_SIZE)
        return fail(error, -EINVAL,
                    "'%s' is not a size in blocks of 512 bytes, such as 16M; a FILE contains a '/'", what);
    return disk_create(&config, out);
}

static int make_plain_disk(const char *what, struct usb_device **out, char *error)
{
    return make_disk(what, 0, out, error);
}

static int make_super_disk(const char *what, struct usb_device **out, char *error)
{
    return make_disk(what, DEVICE_SPEED_SUPER, out, error);
}

static int make_keyboard(const char *what, struct usb_device **out, char *error)
{
    return *what ? fail(error, -EINVAL, "'%s': a keyboard has no parameter", what) : keyboard_create(0, out);
}

static int make_tablet(const char *what, struct usb_device **out, char *error)
{
    return *what ? fail(error, -EINVAL, "'%s': a tablet has no parameter", what) : tablet_create(out);
}

static int make_serial(const char *what, struct usb_device **out, char *error)
{
    const struct serial_config config = {.loopback = true};
    return *what ? fail(error, -EINVAL, "'%s': a serial port has no parameter", what)
                 : serial_create(&config, 0, out);
}

static int make_audio(const char *what, struct usb_device **out, char *error)
{
    const struct audio_config config = {0};
    return *what ? fail(error, -EINVAL, "'%s': a sound card has no parameter", what)
                 : audio_create(&config, out);
}

static int make_zero(const char *what, struct usb_device **out, char *error)
{
    const struct zero_config config = {.loopback_first = *what != '\0'};
    if (*what && strcmp(what, "loopback") != 0)
        return fail(error, -EINVAL, "'%s': zero takes nothing or 'loopback'", what);
    return zero_create(&config, out);
}

static int make_composite(const char *what, struct usb_device **out, char *error)
{
    struct function *functions[2];
    if (*what)
        return fail(error, -EINVAL, "'%s': a composite device has no parameter", what);
    int rc = serial_function(&(struct serial_config){.loopback = true}, &functions[0]);
    if (!rc)
        rc = keyboard_function(&functions[1]);
    return rc ? rc : composite_create(USBIF_SPEED_HIGH, functions, 2, out);
}

static int make_ticker(const char *what, struct usb_device **out, char *error)
{
    uint64_t period_us = 0;
    if (*what && parse_number(what, 1, 10000000, &period_us))
        return fail(error, -EINVAL, "'%s' is not a number of microseconds up to 10000000", what);
    return ticker_create(&(struct ticker_config){.period_us = (uint32_t)period_us}, out);
}

/* A probe takes itself off its bus, so it is told where that is. */
static int make_probe(const char *what, struct sim_host *sim, const char *busid, struct usb_device **out, char *error)
{
    struct probe_config config = {.host = sim, .busid = busid};
    if (strcmp(what, "full") == 0)
        config.speed = USBIF_SPEED_FULL;
    else if (strcmp(what, "low") == 0)
        config.speed = USBIF_SPEED_LOW;
    else if (*what)
        return fail(error, -EINVAL, "'%s': probe takes nothing, 'full' or 'low'", what);
    return probe_create(&config, out);
}

static const struct {
    const char *name;
    int (*make)(const char *what, struct usb_device **out, char *error);
} kinds[] = {
    {"disk", make_plain_disk},     {"super-disk", make_super_disk}, {"keyboard", make_keyboard},
    {"serial", make_serial},       {"audio", make_audio},           {"zero", make_zero},
    {"composite", make_composite}, {"ticker", make_ticker},
    {"tablet", make_tablet},
};

/* kind is the caller's to write into: "NAME" or "NAME:WHAT". */
static int make(char *kind, struct sim_host *sim, const char *busid, struct usb_device **out, char *error)
{
    char *what = strchr(kind, ':');
    if (what)
        *what++ = '\0';
    if (strcmp(kind, "probe") == 0)
        return make_probe(what ? what : "", sim, busid, out, error);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i].name) == 0)
            return kinds[i].make(what ? what : "", out, error);
    }
    return fail(error, -EINVAL, "there is no device of kind '%s'; --help lists the kinds", kind);
}

static int plug(struct sim_host *sim, const char *busid, char *kind, char *error)
{
    struct usb_device *device;
    char *script = strchr(kind, '!');
    if (script)
        *script++ = '\0';
    int rc = make(kind, sim, busid, &device, error);
    if (rc)
        return rc;
    if (script) {
        const struct faulty_config faults = {.script = script, .host = sim, .busid = busid};
        rc = faulty_wrap(device, &faults);
        if (rc) {
            device_destroy(device);
            return fail(error, rc, "'%s' is not a script of faults; see sim/devices/faulty.h", script);
        }
    }
    return sim_host_plug(sim, busid, device);
}

int kind_plug(struct sim_host *sim, const char *text, char *busid, char error[KIND_ERROR_MAX])
{
    char name[SIM_HOST_BUSID_SIZE];
    const char *equals = strchr(text, '=');
    error[0] = '\0';
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name))
        return fail(error, -EINVAL, "a device is BUSID=KIND, such as 1-1=disk:16M, not '%.200s'", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    if (!sim_host_busid_valid(name))
        return fail(error, -EINVAL, "'%s' is not a place on a bus, such as 1-2 or 2-4.3", name);
    char *kind = strdup(equals + 1);
    int rc = kind ? plug(sim, name, kind, error) : -ENOMEM;
    free(kind);
    if (rc && !error[0])
        snprintf(error, KIND_ERROR_MAX, "%.200s: %s", text, strerror(-rc));
    if (busid)
        memcpy(busid, name, sizeof(name));
    return rc;
}
