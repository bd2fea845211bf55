// SPDX-License-Identifier: MIT
#include "stress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void stress_fail(char error[256], const char *format, ...)
{
    va_list args;
    if (error[0])
        return;
    va_start(args, format);
    vsnprintf(error, 256, format, args);
    va_end(args);
}

/* splitmix64's last steps */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t stress_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(*state);
}

uint32_t stress_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((stress_random(state) >> 32) * limit >> 32);
}

uint64_t stress_hash(uint64_t a, uint64_t b)
{
    return mix(a * UINT64_C(0x9e3779b97f4a7c15) + mix(b + 1));
}

uint64_t stress_key(uint64_t seed, unsigned int port, unsigned int generation, unsigned int end, uint32_t number)
{
    uint64_t who = (uint64_t)generation << 16 | port << 8 | end;
    return stress_hash(stress_hash(seed, who), number);
}

static uint64_t word_at(uint64_t key, uint64_t index)
{
    uint64_t x = (key + index) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

void stress_fill(uint64_t key, uint64_t position, uint8_t *out, uint32_t length)
{
    while (length > 0) {
        uint64_t word = word_at(key, position / 8);
        uint32_t skip = (uint32_t)(position % 8);
        uint32_t part = 8 - skip < length ? 8 - skip : length;
        word >>= 8 * skip;
        if (part == 8)
            memcpy(out, &word, 8);
        else
            memcpy(out, &word, part);
        out += part;
        position += part;
        length -= part;
    }
}

uint32_t stress_differs(uint64_t key, uint64_t position, const uint8_t *data, uint32_t length)
{
    uint8_t want[4096];
    for (uint32_t done = 0; done < length;) {
        uint32_t part = length - done < sizeof(want) ? length - done : (uint32_t)sizeof(want);
        stress_fill(key, position + done, want, part);
        if (memcmp(want, data + done, part) != 0) {
            while (want[0] == data[done]) { /* the rare case may be slow */
                done++;
                stress_fill(key, position + done, want, 1);
            }
            return done;
        }
        done += part;
    }
    return length;
}

void stress_fill_out(uint64_t key, uint32_t number, uint8_t *out, uint32_t length)
{
    stress_fill(key, 0, out, length);
    if (length < STRESS_HEADER)
        return;
    memcpy(out, &number, 4);
    memcpy(out + 4, &length, 4);
}

bool stress_check_out(uint64_t key, uint32_t number, const uint8_t *data, uint32_t length)
{
    uint32_t header = length < STRESS_HEADER ? 0 : STRESS_HEADER;
    if (header > 0 && (memcmp(data, &number, 4) != 0 || memcmp(data + 4, &length, 4) != 0))
        return false;
    return stress_differs(key, header, data + header, length - header) == length - header;
}

struct stress_end stress_judge(uint64_t key, bool in, uint32_t length)
{
    uint64_t dice = stress_hash(key, 1);
    uint32_t part = (uint32_t)((dice >> 32) % (length + UINT64_C(1)));
    if (!in && length < STRESS_HEADER)
        return (struct stress_end){.actual = length}; /* the device cannot know which one it is */
    switch (dice % 64) {
    case 0:
    case 1:
        return (struct stress_end){.status = -EPIPE, .actual = part};
    case 2:
        return (struct stress_end){.status = -EPROTO, .actual = part};
    case 3:
        return (struct stress_end){.status = in ? -EOVERFLOW : -EPIPE, .actual = length};
    case 4:
        return (struct stress_end){.actual = length, .never = dice >> 16 & 1};
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        return (struct stress_end){.actual = in ? part : length};
    default:
        return (struct stress_end){.actual = length};
    }
}

int32_t stress_status_at(uint64_t key, uint64_t position)
{
    switch (stress_hash(key, position) % 64) {
    case 0:
        return -EPIPE;
    case 1:
        return -EPROTO;
    case 2:
        return -EOVERFLOW;
    default:
        return 0;
    }
}

struct stress_end stress_packet(uint64_t key, unsigned int index, uint32_t length)
{
    uint64_t dice = stress_hash(key, index);
    uint32_t part = (uint32_t)((dice >> 32) % (length + UINT64_C(1)));
    switch (dice % 16) {
    case 0:
        return (struct stress_end){.status = -EPROTO};
    case 1:
        return (struct stress_end){.status = -EILSEQ, .actual = part};
    case 2:
    case 3:
        return (struct stress_end){.actual = part};
    default:
        return (struct stress_end){.actual = length};
    }
}

uint8_t stress_type(unsigned int endpoint)
{
    static const uint8_t types[] = {USBIF_PIPE_TYPE_CTRL, USBIF_PIPE_TYPE_BULK, USBIF_PIPE_TYPE_INT,
                                    USBIF_PIPE_TYPE_ISOC, USBIF_PIPE_TYPE_BULK, USBIF_PIPE_TYPE_INT,
                                    USBIF_PIPE_TYPE_ISOC};
    static_assert(sizeof(types) == STRESS_ENDPOINTS + 1, "one for each endpoint");
    return types[endpoint];
}
