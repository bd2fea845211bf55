// SPDX-License-Identifier: MIT
/*
 * pvusb trace info: what a recording holds, and how much of it can go through a PVUSB ring as it is.
 */
#include "cli/trace_cli.h"
#include "trace/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EXIT_USAGE 2

/* These go through the ring as they are; the others need a decision. */
#define FITTING (TRACE_SHORT | TRACE_SHORT_NOT_OK | TRACE_ERROR_WITH_DATA)

static const char help[] =
    "Usage: pvusb trace info FILE...\n"
    "\n"
    "Shows what recordings of USB traffic hold: events, URBs, devices, and how many of\n"
    "the URBs fit PVUSB as they are. The rest is listed by class, with the reason.\n"
    "\n"
    "FILE is pcap or pcapng with link type 189 or 220 (tcpdump -i usbmonN, Wireshark on\n"
    "Linux), or usbmon's text, format 1u (/sys/kernel/debug/usb/usbmon/Nu).\n"
    "\n"
    "Options:\n"
    "  -h, --help  shows this\n"
    "\n"
    "Exit codes:\n"
    "  0  every file was read\n"
    "  2  wrong usage, or a file could not be read, or not to its end; a line on stderr says why\n";

static const struct {
    enum trace_class bit;
    const char *why;
} classes[] = {
    {TRACE_ROOTHUB, "device 1 is the root hub, which answers without a ring"},
    {TRACE_NO_SUBMISSION, "completed, but the file begins after the submission"},
    {TRACE_NEVER_COMPLETED, "still open at the end, or its completion was lost"},
    {TRACE_REFUSED, "the host controller did not take it"},
    {TRACE_ADDR0, "address 0: before the device has one, several share it in time"},
    {TRACE_SET_ADDRESS, "SET_ADDRESS: the backend answers it, the device never sees it"},
    {TRACE_TOO_LONG, "more than the 65536 bytes of a request's 16 pages"},
    {TRACE_UNLINKED, "cancelled; when is not recorded and must be guessed"},
    {TRACE_STATUS_UNKNOWN, "ended with a status for which usbif has no code"},
    {TRACE_OUT_MISSING, "the data that was sent is not all in the file"},
    {TRACE_IN_MISSING, "the data that came is not all in the file: cannot be compared"},
    {TRACE_ISO_CUT, "isochronous packets that are not in the file"},
    {TRACE_ZERO_PACKET, "asks for a zero packet at the end, which PVUSB has no flag for"},
    {TRACE_ACTUAL_BEYOND_LENGTH, "more was transferred than asked for"},
    {TRACE_ERROR_WITH_DATA, "fits: an error, and data before it"},
    {TRACE_SHORT_NOT_OK, "fits: a short packet is an error, PVUSB has the flag"},
    {TRACE_SHORT, "fits: less came than was asked for"},
};
#define NR_CLASSES (sizeof(classes) / sizeof(classes[0]))

struct counts {
    uint32_t plain;
    uint32_t unpaired_s; /* submissions without an end */
    uint32_t unpaired_c; /* ends without a submission */
    uint32_t classes[NR_CLASSES];
};

static struct counts count_urbs(const struct trace *trace)
{
    struct counts counts = {0};
    for (uint32_t i = 0; i < trace->nr_urbs; i++) {
        uint32_t mask = trace_classify(&trace->urbs[i]);
        counts.plain += !(mask & ~(uint32_t)FITTING);
        counts.unpaired_s += !!(mask & TRACE_NEVER_COMPLETED);
        counts.unpaired_c += !!(mask & TRACE_NO_SUBMISSION);
        for (size_t j = 0; j < NR_CLASSES; j++)
            counts.classes[j] += !!(mask & classes[j].bit);
    }
    return counts;
}

static uint64_t pipe_key(const struct trace_urb *urb)
{
    return (uint64_t)urb->bus << 24 | (uint64_t)urb->device << 16 | (uint64_t)urb->endpoint << 8 |
           (uint64_t)urb->type << 1 | urb->in;
}

static int compare_keys(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* One endpoint; the default pipe once for both directions. */
static void print_endpoint(uint64_t key, bool first)
{
    static const char *const types[] = {"iso", "int", "ctrl", "bulk"};
    unsigned int endpoint = key >> 8 & 0xff;
    unsigned int type = key >> 1 & 3;
    if (type == USBIF_PIPE_TYPE_CTRL)
        printf("%s%u ctrl", first ? "" : ", ", endpoint);
    else
        printf("%s%u %s %s", first ? "" : ", ", endpoint, types[type], key & 1 ? "in" : "out");
}

static uint32_t print_device(const uint64_t *keys, uint32_t nr)
{
    uint32_t urbs = 0;
    while (urbs < nr && keys[urbs] >> 16 == keys[0] >> 16)
        urbs++;
    char name[32];
    snprintf(name, sizeof(name), "%u:%u", (unsigned int)(keys[0] >> 24),
             (unsigned int)(keys[0] >> 16 & 0xff));
    printf("  %-8s %7u URBs  ", name, urbs);
    uint64_t last = UINT64_MAX;
    for (uint32_t i = 0; i < urbs; i++) {
        bool control = (keys[i] >> 1 & 3) == USBIF_PIPE_TYPE_CTRL;
        uint64_t key = control ? keys[i] & ~UINT64_C(1) : keys[i];
        if (key != last)
            print_endpoint(key, last == UINT64_MAX);
        last = key;
    }
    printf("\n");
    return urbs;
}

static int print_devices(const struct trace *trace)
{
    uint64_t *keys = calloc(trace->nr_urbs, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    for (uint32_t i = 0; i < trace->nr_urbs; i++)
        keys[i] = pipe_key(&trace->urbs[i]);
    qsort(keys, trace->nr_urbs, sizeof(*keys), compare_keys);
    printf("devices (bus:address)\n");
    for (uint32_t i = 0; i < trace->nr_urbs;)
        i += print_device(&keys[i], trace->nr_urbs - i);
    free(keys);
    return 0;
}

static const char *format_name(enum trace_format format)
{
    switch (format) {
    case TRACE_PCAP_220:
        return "usbmon binary, link type 220 (USB_LINUX_MMAPPED)";
    case TRACE_PCAP_189:
        return "usbmon binary, link type 189 (USB_LINUX): no URB flags, no intervals";
    case TRACE_TEXT:
        return "usbmon text: no URB flags, at most 32 bytes and 5 packets of an URB";
    }
    return "unknown";
}

static void print_classes(const struct counts *counts)
{
    printf("classes\n");
    for (size_t i = 0; i < NR_CLASSES; i++) {
        if (counts->classes[i])
            printf("  %-20s %7u  %s\n", trace_class_name(classes[i].bit), counts->classes[i], classes[i].why);
    }
}

static int print_trace(const char *path, const struct trace *trace)
{
    struct stat st;
    struct counts counts = count_urbs(trace);
    printf("%s\n", path);
    printf("format     %s\n", format_name(trace->format));
    if (!stat(path, &st) && S_ISREG(st.st_mode))
        printf("bytes      %llu\n", (unsigned long long)st.st_size);
    printf("events     %u", trace->events);
    if (trace->other)
        printf(", and %u records of another kind", trace->other);
    printf("\nunpaired   %u submissions, %u completions\n", counts.unpaired_s, counts.unpaired_c);
    printf("truncated  %s\n", trace->truncated ? "yes: the file ends in the middle of an event" : "no");
    printf("URBs       %u\n", trace->nr_urbs);
    printf("plain      %u, which fit PVUSB as they are\n", counts.plain);
    print_classes(&counts);
    return print_devices(trace);
}

static int info(int nr, char **paths)
{
    int code = 0;
    for (int i = 0; i < nr; i++) {
        char error[TRACE_ERROR_MAX];
        struct trace trace;
        if (trace_read(paths[i], &trace, error)) {
            fflush(stdout); /* in the order of the files, where both go to one place */
            fprintf(stderr, "pvusb trace: %s\n", error);
            code = EXIT_USAGE;
            continue;
        }
        if (i)
            printf("\n");
        if (print_trace(paths[i], &trace)) {
            fprintf(stderr, "pvusb trace: %s: out of memory\n", paths[i]);
            code = EXIT_USAGE;
        } else if (trace.truncated) {
            fflush(stdout);
            fprintf(stderr, "pvusb trace: %s: ends in the middle of a record; told up to there\n", paths[i]);
            code = EXIT_USAGE;
        }
        trace_dispose(&trace);
    }
    return code;
}

static int usage(const char *reason, const char *word)
{
    fprintf(stderr, "pvusb trace: %s%s; see pvusb trace --help\n", reason, word);
    return EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    }
    return false;
}

int trace_cli(int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        fputs(help, stdout);
        return 0;
    }
    if (argc < 2)
        return usage("what to do is missing", "");
    if (strcmp(argv[1], "info"))
        return usage("does not know ", argv[1]);
    int first = 2;
    if (first < argc && !strcmp(argv[first], "--"))
        first++;
    else if (first < argc && argv[first][0] == '-')
        return usage("does not know the option ", argv[first]);
    if (first >= argc)
        return usage("which file is missing", "");
    int code = info(argc - first, argv + first);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "pvusb trace: standard output: %s\n", strerror(errno));
        return EXIT_USAGE;
    }
    return code;
}
