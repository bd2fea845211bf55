// SPDX-License-Identifier: MIT
#include "ring_trace_usbmon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "trace/trace.h"

#define MAX 128u

/*
 * The high-speed and the full-speed disk of the ring recordings are at addresses 3 and 4 in domU-enum.
 * Address 4 of ring-enum is another kind of device, which that guest did not have; address 2 of domU-enum is
 * a disk that the ring recordings do not have. In the 1 MiB read 21 of the 29 pieces of the first 122880
 * bytes have no counterpart of the same length.
 */
static const struct {
    const char *recording;
    const char *usbmon;
    uint8_t device;
    uint8_t usbmon_device;
    uint8_t endpoint;
    unsigned int transfers; /* of the recording */
    unsigned int pairs;
} table[] = {
    {"ring-enum", "domU-enum", 0, 0, 0, 6, 6},
    {"ring-enum", "domU-enum", 2, 3, 0, 10, 10},
    {"ring-enum", "domU-enum", 2, 3, 1, 26, 26},
    {"ring-enum", "domU-enum", 2, 3, 2, 14, 14},
    {"ring-enum", "domU-enum", 3, 4, 0, 11, 11},
    {"ring-enum", "domU-enum", 3, 4, 1, 26, 26},
    {"ring-enum", "domU-enum", 3, 4, 2, 14, 14},
    {"ring-read1M-sda", "domU-read1M-sda", 2, 2, 1, 72, 51},
    {"ring-read1M-sda", "domU-read1M-sda", 2, 2, 2, 18, 18},
    {"ring-portchange", "domU-enum", 5, 4, 0, 11, 11},
    {"ring-portchange", "domU-enum", 5, 4, 1, 26, 26},
    {"ring-portchange", "domU-enum", 5, 4, 2, 14, 14},
};

struct list {
    struct ring_trace_result item[MAX];
    unsigned int count;
};

static void append(struct list *list, const struct ring_trace_result *item)
{
    assert_true(list->count < MAX);
    list->item[list->count++] = *item;
}

static bool same_question(const struct ring_trace_result *a, const struct ring_trace_result *b)
{
    return a->type == b->type && a->in == b->in && a->length == b->length &&
           memcmp(a->setup, b->setup, sizeof(a->setup)) == 0;
}

static void compare_pair(struct ring_trace_report *report, const struct ring_trace_result *ours,
                         const struct ring_trace_result *guest)
{
    ring_trace_expect(report, NULL, "status, against usbmon", guest->status, ours->status);
    ring_trace_expect(report, NULL, "actual length, against usbmon", guest->actual, ours->actual);
}

/* The longest common subsequence; returns its length. */
static unsigned int align(struct ring_trace_report *report, const struct list *ours, const struct list *guest)
{
    static uint16_t best[MAX + 1][MAX + 1]; /* of what follows i and j */
    memset(best, 0, sizeof(best));
    for (unsigned int i = ours->count; i-- > 0;) {
        for (unsigned int j = guest->count; j-- > 0;) {
            uint16_t skip = best[i + 1][j] > best[i][j + 1] ? best[i + 1][j] : best[i][j + 1];
            best[i][j] =
                same_question(&ours->item[i], &guest->item[j]) ? (uint16_t)(best[i + 1][j + 1] + 1) : skip;
        }
    }
    for (unsigned int i = 0, j = 0; i < ours->count && j < guest->count;) {
        if (same_question(&ours->item[i], &guest->item[j]))
            compare_pair(report, &ours->item[i++], &guest->item[j++]);
        else if (best[i + 1][j] >= best[i][j + 1])
            i++;
        else
            j++;
    }
    return best[0][0];
}

static void read_usbmon(const struct trace *trace, uint8_t device, uint8_t endpoint, struct list *list)
{
    list->count = 0;
    for (uint32_t i = 0; i < trace->nr_urbs; i++) {
        const struct trace_urb *urb = &trace->urbs[i];
        struct ring_trace_result item = {.device = urb->device,
                                         .endpoint = urb->endpoint,
                                         .type = urb->type,
                                         .in = urb->in,
                                         .length = urb->length,
                                         .status = urb->status,
                                         .actual = urb->actual};
        if (urb->has_setup)
            memcpy(item.setup, urb->setup, sizeof(item.setup));
        if (urb->device == device && urb->endpoint == endpoint)
            append(list, &item);
    }
}

unsigned int ring_trace_usbmon_compare(struct ring_trace_report *report, const char *dir,
                                       const char *recording, const struct ring_trace_result *results,
                                       unsigned int count)
{
    unsigned int total = 0;
    static struct list ours;
    static struct list guest;
    for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
        char path[512];
        char error[TRACE_ERROR_MAX] = "";
        struct trace trace;
        if (strcmp(table[row].recording, recording) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s.mon.txt", dir, table[row].usbmon);
        if (trace_read(path, &trace, error))
            fail_msg("%s", error);
        read_usbmon(&trace, table[row].usbmon_device, table[row].endpoint, &guest);
        trace_dispose(&trace);
        ours.count = 0;
        for (unsigned int i = 0; i < count; i++) {
            if (results[i].device == table[row].device && results[i].endpoint == table[row].endpoint)
                append(&ours, &results[i]);
        }
        ring_trace_expect(report, NULL, "transfers of an endpoint", table[row].transfers, ours.count);
        unsigned int pairs = align(report, &ours, &guest);
        ring_trace_expect(report, NULL, "transfers that usbmon has too", table[row].pairs, pairs);
        total += pairs;
    }
    return total;
}
