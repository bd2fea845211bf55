// SPDX-License-Identifier: MIT
/*
 * No lost wake-up (rule RING-06): a frontend and a backend in two threads push a million requests through
 * one URB ring. Each sleeps on its event only after final_check said that there is nothing, and is
 * woken only when the other's push said so. The time-out below is not needed
 * to be right: it only turns a lost wake-up into a failure. Usage: test_ring_threads REQUESTS
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pvusb/ring.h>

enum { LOST_MS = 20000 };

struct end {
    int event; /* ours: the other side writes it */
    int peer_event;
    uint32_t requests; /* how many will go through */
    unsigned long slept;
    const char *failure; /* NULL when all went well */
};

static _Alignas(4096) uint8_t page[PVUSB_PAGE_SIZE];

static uint32_t step_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/*
 * Waits a little, so that the two sides meet in every order. The races are some nanoseconds wide: without
 * this, a ring without its last look, or without a fence, passes.
 */
static void jitter(uint32_t *state)
{
    for (uint32_t spins = step_random(state) % 64; spins > 0; spins--)
        __asm__ volatile("");
}

static void notify(const struct end *end)
{
    uint64_t one = 1;
    while (write(end->peer_event, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static bool sleep_for_event(struct end *end)
{
    struct pollfd pfd = {.fd = end->event, .events = POLLIN};
    uint64_t count;
    end->slept++;
    if (poll(&pfd, 1, LOST_MS) != 1 || read(end->event, &count, sizeof(count)) != sizeof(count)) {
        end->failure = "lost wake-up";
        return false;
    }
    return true;
}

/* A request carries its number in all of its words, so that a torn or stale copy shows. */
static void fill(struct usbif_urb_request *request, uint32_t number)
{
    uint32_t words[sizeof(*request) / 4];
    for (size_t i = 0; i < sizeof(words) / 4; i++)
        words[i] = number + (uint32_t)i;
    memcpy(request, words, sizeof(words));
}

static bool filled(const struct usbif_urb_request *request, uint32_t number)
{
    struct usbif_urb_request expected;
    fill(&expected, number);
    return memcmp(request, &expected, sizeof(expected)) == 0;
}

static void *frontend(void *arg)
{
    struct end *end = arg;
    struct pvusb_ring_front front;
    uint32_t sent = 0, answered = 0, random = 1;
    pvusb_ring_front_attach(&front, &pvusb_urb_ring[0], page, 0);
    while (answered < end->requests) {
        struct usbif_urb_request request;
        struct usbif_urb_response response;
        for (uint32_t batch = 1 + step_random(&random) % 4; batch > 0 && sent < end->requests; batch--) {
            fill(&request, sent);
            if (!pvusb_ring_front_put(&front, &request))
                break;
            sent++;
        }
        jitter(&random);
        if (pvusb_ring_front_push(&front))
            notify(end);
        enum pvusb_verdict verdict;
        while ((verdict = pvusb_ring_front_take(&front, &response)) == PVUSB_OK) {
            if (response.id != (uint16_t)answered || response.actual_length != (int32_t)answered) {
                end->failure = "wrong response";
                return NULL;
            }
            answered++;
        }
        if (verdict != PVUSB_EMPTY) {
            end->failure = pvusb_verdict_name(verdict);
            return NULL;
        }
        /* There may be room for more requests; sleep only when the ring is full or all is sent. */
        bool idle = pvusb_ring_front_free(&front) == 0 || sent == end->requests;
        if (idle && answered < end->requests && !pvusb_ring_front_final_check(&front) &&
            !sleep_for_event(end))
            return NULL;
    }
    return NULL;
}

static void *backend(void *arg)
{
    struct end *end = arg;
    struct pvusb_ring_back back;
    uint32_t taken = 0, random = 2;
    pvusb_ring_back_init(&back, &pvusb_urb_ring[0], page);
    while (taken < end->requests) {
        struct usbif_urb_request request;
        enum pvusb_verdict verdict = PVUSB_OK;
        for (uint32_t batch = 1 + step_random(&random) % 4; batch > 0; batch--) {
            verdict = pvusb_ring_back_take(&back, &request);
            if (verdict != PVUSB_OK)
                break;
            if (!filled(&request, taken)) {
                end->failure = "wrong request";
                return NULL;
            }
            struct usbif_urb_response response = {.id = (uint16_t)taken, .actual_length = (int32_t)taken};
            pvusb_ring_back_put(&back, &response);
            taken++;
        }
        jitter(&random);
        if (pvusb_ring_back_push(&back))
            notify(end);
        if (verdict != PVUSB_OK && verdict != PVUSB_EMPTY) {
            end->failure = pvusb_verdict_name(verdict);
            return NULL;
        }
        if (verdict != PVUSB_EMPTY || taken == end->requests)
            continue;
        jitter(&random);
        if (!pvusb_ring_back_final_check(&back) && !sleep_for_event(end))
            return NULL;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    uint32_t requests = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 1000000;
    int events[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
    if (events[0] < 0 || events[1] < 0) {
        perror("eventfd");
        return 1;
    }
    struct end ends[2] = {
        {.event = events[0], .peer_event = events[1], .requests = requests},
        {.event = events[1], .peer_event = events[0], .requests = requests},
    };
    struct pvusb_ring_front front;
    pvusb_ring_front_init(&front, &pvusb_urb_ring[0], page);
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, frontend, &ends[0]) ||
        pthread_create(&threads[1], NULL, backend, &ends[1]))
        return 1;
    int rc = 0;
    static const char *const names[2] = {"frontend", "backend"};
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        printf("%s: %u requests, slept %lu times: %s\n", names[i], requests, ends[i].slept,
               ends[i].failure ? ends[i].failure : "ok");
        rc |= ends[i].failure != NULL;
        close(events[i]);
    }
    return rc;
}
