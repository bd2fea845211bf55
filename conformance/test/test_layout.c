/* SPDX-License-Identifier: MIT */
/*
 * The appendices of REQUIREMENTS.md say what the compiled headers say, row by row and without
 * a row missing, and their example is what the ring library makes. Usage: test_layout REQUIREMENTS.md
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pvusb/ring.h>
#include <pvusb/urb.h>

#define CELLS     4
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define VALUE(x)  {#x, (int64_t)(x)}
#define FIELD(s, m) {#s "." #m, offsetof(struct s, m), sizeof(((struct s *)0)->m)}

static const char *document;

static const struct {
    const char *name;
    int64_t value;
} values[] = {
    VALUE(USBIF_RING_SIZE),
    VALUE(USB_URB_RING_SIZE),
    VALUE(USB_CONN_RING_SIZE),
    VALUE(sizeof(union usbif_urb_sring_entry)),
    VALUE(sizeof(union usbif_conn_sring_entry)),
    VALUE(sizeof(struct usbif_urb_request)),
    VALUE(sizeof(struct usbif_urb_response)),
    VALUE(sizeof(struct usbif_request_segment)),
    VALUE(sizeof(struct usbif_conn_request)),
    VALUE(sizeof(struct usbif_conn_response)),
    VALUE(sizeof(struct pvusb_iso_desc)),
    VALUE(USBIF_MAX_SEGMENTS_PER_REQUEST),
    VALUE(USBIF_MAX_PORTNR),
    VALUE(PVUSB_ADDRESS_MAX),
    VALUE(PVUSB_URB_LENGTH_MAX),
    VALUE(PVUSB_ISO_PACKETS_MAX),
    VALUE(USBIF_PIPE_PORT_MASK),
    VALUE(USBIF_PIPE_UNLINK),
    VALUE(USBIF_PIPE_DIR),
    VALUE(USBIF_PIPE_DEV_SHIFT),
    VALUE(USBIF_PIPE_DEV_MASK),
    VALUE(USBIF_PIPE_EP_SHIFT),
    VALUE(USBIF_PIPE_EP_MASK),
    VALUE(USBIF_PIPE_TYPE_SHIFT),
    VALUE(USBIF_PIPE_TYPE_MASK),
    VALUE(USBIF_PIPE_TYPE_ISOC),
    VALUE(USBIF_PIPE_TYPE_INT),
    VALUE(USBIF_PIPE_TYPE_CTRL),
    VALUE(USBIF_PIPE_TYPE_BULK),
    VALUE(USBIF_SHORT_NOT_OK),
    VALUE(USBIF_STATUS_OK),
    VALUE(USBIF_STATUS_NODEV),
    VALUE(USBIF_STATUS_INVAL),
    VALUE(USBIF_STATUS_STALL),
    VALUE(USBIF_STATUS_IOERROR),
    VALUE(USBIF_STATUS_BABBLE),
    VALUE(USBIF_STATUS_SHUTDOWN),
    VALUE(USBIF_SPEED_NONE),
    VALUE(USBIF_SPEED_LOW),
    VALUE(USBIF_SPEED_FULL),
    VALUE(USBIF_SPEED_HIGH),
};

static const struct field {
    const char *name;
    size_t offset;
    size_t size;
} fields[] = {
    FIELD(usbif_urb_sring, req_prod),
    FIELD(usbif_urb_sring, req_event),
    FIELD(usbif_urb_sring, rsp_prod),
    FIELD(usbif_urb_sring, rsp_event),
    FIELD(usbif_urb_request, id),
    FIELD(usbif_urb_request, nr_buffer_segs),
    FIELD(usbif_urb_request, pipe),
    FIELD(usbif_urb_request, transfer_flags),
    FIELD(usbif_urb_request, buffer_length),
    FIELD(usbif_urb_request, u.ctrl),
    FIELD(usbif_urb_request, u.isoc.interval),
    FIELD(usbif_urb_request, u.isoc.start_frame),
    FIELD(usbif_urb_request, u.isoc.number_of_packets),
    FIELD(usbif_urb_request, u.isoc.nr_frame_desc_segs),
    FIELD(usbif_urb_request, u.intr.interval),
    FIELD(usbif_urb_request, u.unlink.unlink_id),
    FIELD(usbif_urb_request, seg),
    FIELD(usbif_request_segment, gref),
    FIELD(usbif_request_segment, offset),
    FIELD(usbif_request_segment, length),
    FIELD(usbif_urb_response, id),
    FIELD(usbif_urb_response, start_frame),
    FIELD(usbif_urb_response, status),
    FIELD(usbif_urb_response, actual_length),
    FIELD(usbif_urb_response, error_count),
    FIELD(usbif_conn_request, id),
    FIELD(usbif_conn_response, id),
    FIELD(usbif_conn_response, portnum),
    FIELD(usbif_conn_response, speed),
    FIELD(pvusb_iso_desc, offset),
    FIELD(pvusb_iso_desc, length),
    FIELD(pvusb_iso_desc, actual_length),
    FIELD(pvusb_iso_desc, status),
};

/* Calls row() for each row of a table of that appendix, cells without blanks and backquotes around them. */
static void each_row(char appendix, void (*row)(char *cell[CELLS], void *context), void *context)
{
    char line[512], now = 0;
    FILE *file = fopen(document, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        char *cell[CELLS] = {NULL}, *rest = line;
        if (!strncmp(line, "## ", 3))
            now = strncmp(line, "## Appendix ", 12) ? '\0' : line[12];
        if (now != appendix || line[0] != '|' || line[1] != ' ' || !strncmp(line, "| Name ", 7) ||
            !strncmp(line, "| Field ", 8) || !strncmp(line, "| Ring ", 7))
            continue;
        strsep(&rest, "|");
        for (int i = 0; i < CELLS && rest; i++) {
            cell[i] = strsep(&rest, "|");
            cell[i] += strspn(cell[i], " `");
            for (size_t n = strlen(cell[i]); n > 0 && strchr(" `\n", cell[i][n - 1]); n--)
                cell[i][n - 1] = 0;
        }
        row(cell, context);
    }
    fclose(file);
}

static int64_t number(const char *text)
{
    char *end;
    assert_non_null(text);
    int64_t value = strtoll(text, &end, 0);
    if (end == text || *end)
        fail_msg("not a number: %s", text);
    return value;
}

static void equal(const char *name, int64_t documented, int64_t compiled)
{
    if (documented != compiled)
        fail_msg("%s: the document says %lld, the header %lld", name, (long long)documented, (long long)compiled);
}

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!strcmp(fields[i].name, name))
            return &fields[i];
    }
    fail_msg("no such field: %s", name);
    return NULL;
}

static void value_row(char *cell[CELLS], void *context)
{
    unsigned int *seen = context;
    for (size_t i = 0; i < COUNT(values); i++) {
        if (strcmp(values[i].name, cell[0]) != 0)
            continue;
        equal(cell[0], number(cell[1]), values[i].value);
        seen[i]++;
        return;
    }
    fail_msg("no such name: %s", cell[0]);
}

static void sizes_and_limits(void **state)
{
    (void)state;
    unsigned int seen[COUNT(values)] = {0};
    each_row('A', value_row, seen);
    for (size_t i = 0; i < COUNT(values); i++)
        equal(values[i].name, seen[i], 1);
}

static void slot_row(char *cell[CELLS], void *context)
{
    int64_t slot = number(cell[1]);
    if (!strcmp(cell[0], "URB"))
        equal("URB slot", number(cell[2]),
              (int64_t)offsetof(struct usbif_urb_sring, ring) +
                  slot * (int64_t)sizeof(union usbif_urb_sring_entry));
    else if (!strcmp(cell[0], "connection"))
        equal("connection slot", number(cell[2]),
              (int64_t)offsetof(struct usbif_conn_sring, ring) +
                  slot * (int64_t)sizeof(union usbif_conn_sring_entry));
    else
        fail_msg("no such ring: %s", cell[0]);
    ++*(unsigned int *)context;
}

static void slots(void **state)
{
    (void)state;
    unsigned int rows = 0;
    each_row('B', slot_row, &rows);
    assert_int_equal(rows, 8);
}

static void layout_row(char *cell[CELLS], void *context)
{
    unsigned int *seen = context;
    const struct field *field = find_field(cell[0]);
    equal(cell[0], number(cell[1]), (int64_t)field->offset);
    equal(cell[0], number(cell[2]), (int64_t)field->size);
    seen[field - fields]++;
}

static void layout(void **state)
{
    (void)state;
    unsigned int seen[COUNT(fields)] = {0};
    each_row('C', layout_row, seen);
    for (size_t i = 0; i < COUNT(fields); i++)
        equal(fields[i].name, seen[i], 1);
}

/* The bytes of the block of that name; exactly size of them. */
static void read_block(const char *name, uint8_t *bytes, size_t size)
{
    char line[512];
    bool inside = false;
    size_t have = 0;
    FILE *file = fopen(document, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "```", 3)) {
            inside = !strcmp(line + 3, name);
            continue;
        }
        for (char *rest = line, *byte; inside && (byte = strsep(&rest, " "));) {
            char *end;
            assert_true(have < size && strlen(byte) == 2);
            bytes[have++] = (uint8_t)strtoul(byte, &end, 16);
            assert_int_equal(*end, 0);
        }
    }
    fclose(file);
    equal(name, (int64_t)have, (int64_t)size);
}

struct example {
    struct usbif_urb_request request;
    struct usbif_urb_response response;
    unsigned int rows;
};

static void example_row(char *cell[CELLS], void *context)
{
    struct example *example = context;
    const struct field *field = find_field(cell[0]);
    const void *base = !strncmp(cell[0], "usbif_urb_response.", 19)      ? (const void *)&example->response
                       : !strncmp(cell[0], "usbif_request_segment.", 22) ? (const void *)&example->request.seg[0]
                                                                         : (const void *)&example->request;
    uint16_t two;
    uint32_t four;
    memcpy(&two, (const uint8_t *)base + field->offset, sizeof(two));
    memcpy(&four, (const uint8_t *)base + field->offset, sizeof(four));
    equal(cell[0], number(cell[1]), field->size == 2 ? two : four);
    example->rows++;
}

static void example_is_what_it_says(void **state)
{
    (void)state;
    struct example example = {.rows = 0};
    const struct pvusb_pipe pipe = {
        .port = 1, .device = 3, .endpoint = 1, .type = USBIF_PIPE_TYPE_BULK, .in = true};
    const struct usbif_urb_request request = {.id = 7,
                                              .nr_buffer_segs = 1,
                                              .pipe = pvusb_pipe_encode(pipe),
                                              .buffer_length = 512,
                                              .seg = {{.gref = 9, .offset = 256, .length = 512}}};
    const struct usbif_urb_response response = {.id = 7, .actual_length = 100};
    struct pvusb_urb urb;
    read_block("request", (uint8_t *)&example.request, sizeof(example.request));
    read_block("response", (uint8_t *)&example.response, sizeof(example.response));
    each_row('D', example_row, &example);
    assert_int_equal(example.rows, 13);
    assert_memory_equal(&example.request, &request, sizeof(request));
    assert_memory_equal(&example.response, &response, sizeof(response));
    assert_int_equal(pvusb_urb_decode(&example.request, &urb), PVUSB_OK);
}

static void example_on_the_ring(void **state)
{
    (void)state;
    static uint32_t page[PVUSB_PAGE_SIZE / sizeof(uint32_t)];
    const uint8_t *bytes = (const uint8_t *)page;
    struct usbif_urb_request request, taken;
    struct usbif_urb_response response, answer;
    struct pvusb_ring_front front;
    struct pvusb_ring_back back;
    read_block("request", (uint8_t *)&request, sizeof(request));
    read_block("response", (uint8_t *)&response, sizeof(response));

    pvusb_ring_front_init(&front, &pvusb_urb_ring[0], page);
    pvusb_ring_back_init(&back, &pvusb_urb_ring[0], page);
    assert_true(pvusb_ring_front_put(&front, &request));
    assert_true(pvusb_ring_front_push(&front));
    assert_int_equal(page[0], 1);
    assert_memory_equal(bytes + 64, &request, sizeof(request));

    assert_int_equal(pvusb_ring_back_take(&back, &taken), PVUSB_OK);
    assert_memory_equal(&taken, &request, sizeof(request));
    assert_true(pvusb_ring_back_put(&back, &response));
    assert_true(pvusb_ring_back_push(&back));
    assert_int_equal(page[2], 1);
    assert_memory_equal(bytes + 64, &response, sizeof(response));
    assert_int_equal(pvusb_ring_front_take(&front, &answer), PVUSB_OK);
    assert_memory_equal(&answer, &response, sizeof(response));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_limits),        cmocka_unit_test(slots),
        cmocka_unit_test(layout),                  cmocka_unit_test(example_is_what_it_says),
        cmocka_unit_test(example_on_the_ring),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_layout REQUIREMENTS.md\n");
        return 2;
    }
    document = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
