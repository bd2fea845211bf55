// SPDX-License-Identifier: MIT
/*
 * The class-specific descriptors of a sound card. The core has checked that every descriptor lies inside the
 * configuration; what is inside of one is checked here. Section numbers are those of UAC 1.0.
 */
#include "guest/audio_private.h"

enum { DT_INTERFACE = 4, DT_ENDPOINT = 5, DT_CS_INTERFACE = 0x24 };
enum { CLASS_AUDIO = 1, SUBCLASS_CONTROL = 1, SUBCLASS_STREAMING = 2 };
enum { AC_INPUT = 2, AC_OUTPUT = 3, AC_FEATURE = 6, AS_FORMAT = 2 };

#define TERMINAL_USB 0x0101u

/* What is known of the units while the descriptors go by; identifiers are bytes. */
struct topology {
    uint8_t control;
    uint8_t unit_source[256]; /* of feature units; 0 for no unit */
    bool usb_input[256];
    uint8_t usb_output_source;
};

struct setting {
    const uint8_t *interface;
    bool format_good;
};

static void note_unit(struct topology *topology, const uint8_t *d)
{
    uint8_t id = d[0] > 4 ? d[3] : 0;
    if (id == 0)
        return;
    if (d[2] == AC_INPUT && d[0] >= 12)
        topology->usb_input[id] = (d[4] | (unsigned int)d[5] << 8) == TERMINAL_USB;
    else if (d[2] == AC_OUTPUT && d[0] >= 9 && (d[4] | (unsigned int)d[5] << 8) == TERMINAL_USB)
        topology->usb_output_source = d[7];
    else if (d[2] == AC_FEATURE && d[0] >= 8)
        topology->unit_source[id] = d[4];
}

/* Section A.2.1 of the formats: PCM, two channels, 16 bits in 2 bytes. */
static bool is_format(const uint8_t *d)
{
    return d[0] >= 8 && d[2] == AS_FORMAT && d[3] == 1 && d[4] == 2 && d[5] == 2 && d[6] == 16;
}

static void note_endpoint(const struct setting *setting, const uint8_t *d, struct audio_path paths[2])
{
    struct audio_path *path = &paths[d[2] & 0x80u ? GUEST_AUDIO_RECORD : GUEST_AUDIO_PLAY];
    uint16_t packet = (uint16_t)((d[4] | (unsigned int)d[5] << 8) & 0x7ffu);
    if (!setting->format_good || path->exists || (d[3] & 3u) != 1 || packet < SAMPLE_BYTES)
        return;
    *path = (struct audio_path){
        .exists = true,
        .interface = setting->interface[2],
        .alternate = setting->interface[3],
        .endpoint = d[2],
        .exponent = d[6] == 0   ? 0
                    : d[6] > 16 ? 15
                                : (uint8_t)(d[6] - 1),
        .packet = packet,
    };
}

static void find_units(const struct topology *topology, struct audio_path paths[2])
{
    uint8_t last = topology->usb_output_source;
    for (unsigned int id = 1; id < 256; id++) {
        if (topology->unit_source[id] && topology->usb_input[topology->unit_source[id]])
            paths[GUEST_AUDIO_PLAY].unit = (uint8_t)id;
    }
    if (topology->unit_source[last])
        paths[GUEST_AUDIO_RECORD].unit = last;
    paths[0].control = paths[1].control = topology->control;
}

void audio_find_paths(const struct guest_device *device, struct audio_path paths[2])
{
    const uint8_t *raw = device->raw_configuration;
    struct topology topology = {0};
    struct setting setting = {0};
    paths[0] = paths[1] = (struct audio_path){0};
    for (unsigned int at = 0; at < device->raw_configuration_length; at += raw[at]) {
        const uint8_t *d = raw + at;
        const uint8_t *interface = setting.interface;
        if (d[1] == DT_INTERFACE) {
            setting = (struct setting){.interface = d};
            if (d[5] == CLASS_AUDIO && d[6] == SUBCLASS_CONTROL)
                topology.control = d[2];
        } else if (!interface || interface[5] != CLASS_AUDIO) {
            continue;
        } else if (d[1] == DT_CS_INTERFACE && d[0] >= 4 && interface[6] == SUBCLASS_CONTROL) {
            note_unit(&topology, d);
        } else if (d[1] == DT_CS_INTERFACE && d[0] >= 4 && interface[6] == SUBCLASS_STREAMING) {
            setting.format_good = setting.format_good || is_format(d);
        } else if (d[1] == DT_ENDPOINT && interface[6] == SUBCLASS_STREAMING) {
            note_endpoint(&setting, d, paths);
        }
    }
    find_units(&topology, paths);
}
