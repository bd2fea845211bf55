// SPDX-License-Identifier: MIT
/*
 * A slot of the shared page is read exactly once (rule RING-04), and each index too.
 *
 * The page is mapped twice. Through the mapping that our code uses, every access faults; the handler
 * counts it by its offset, lets exactly that instruction run (single step), and
 * closes the page again. Before a read runs, all of the slot but the two bytes being read is poisoned, so
 * that a wider read than counted, or a second one, shows up in the copy.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <pvusb/ring.h>
#include <pvusb/urb.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#ifdef __x86_64__

enum { POISON = 0xdd, TRAP_FLAG = 0x100, FAULT_WAS_WRITE = 2, SLOTS = 64, RING_BYTES = 4 * PVUSB_PAGE_SIZE };

static uint8_t *guarded; /* the pages of a ring; every access faults */
static uint8_t *alias;   /* the same pages, open */
static uint16_t reads[RING_BYTES], writes[RING_BYTES];
static size_t cell = 4; /* bytes that the ring moves at once */
static uint8_t truth[RING_BYTES]; /* what the page holds, without the poison */

/* Runs before access number act_at, and is cleared then. */
static void (*act)(void);
static unsigned int act_at, accesses;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *ctx = context;
    size_t offset = (size_t)((uintptr_t)info->si_addr - (uintptr_t)guarded);
    if (offset >= RING_BYTES) {
        signal(sig, SIG_DFL);
        return;
    }
    if (act && accesses++ == act_at) {
        act();
        act = NULL;
    }
    if (ctx->uc_mcontext.gregs[REG_ERR] & FAULT_WAS_WRITE) {
        writes[offset]++;
    } else {
        reads[offset]++;
        if (offset >= SLOTS) {
            memset(alias + SLOTS, POISON, RING_BYTES - SLOTS);
            memcpy(alias + offset, truth + offset, cell);
        }
    }
    mprotect(guarded, RING_BYTES, PROT_READ | PROT_WRITE);
    ctx->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    ucontext_t *ctx = context;
    mprotect(guarded, RING_BYTES, PROT_NONE);
    ctx->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static bool map_twice(void)
{
    int fd = memfd_create("ring", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, RING_BYTES))
        return false;
    guarded = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    alias = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    return guarded != MAP_FAILED && alias != MAP_FAILED && !sigaction(SIGSEGV, &fault, NULL) &&
           !sigaction(SIGTRAP, &step, NULL);
}

/* Starts counting, with the page as it is now as the truth. */
static void watch(void)
{
    memset(reads, 0, sizeof(reads));
    memset(writes, 0, sizeof(writes));
    memcpy(truth, alias, sizeof(truth));
    mprotect(guarded, RING_BYTES, PROT_NONE);
}

/* Stops counting and takes the poison away. */
static void unwatch(bool keep)
{
    mprotect(guarded, RING_BYTES, PROT_READ | PROT_WRITE);
    if (!keep)
        memcpy(alias + SLOTS, truth + SLOTS, RING_BYTES - SLOTS);
}

/* True when what was counted in the page is `word` once, if any, and each cell of `size` bytes at `at` once.
 */
static bool counted_once(const uint16_t counts[], int word, size_t at, size_t size)
{
    for (size_t i = 0; i < RING_BYTES; i++) {
        bool begins = i >= at && i < at + size && (i - at) % cell == 0;
        unsigned int expected = begins || (word >= 0 && i == (size_t)word) ? 1 : 0;
        if (counts[i] != expected) {
            printf("offset %zu accessed %d times, expected %u\n", i, counts[i], expected);
            return false;
        }
    }
    return true;
}

/* One message through the ring, each of its four copies watched. */
static bool watch_message(const struct pvusb_ring_kind *kind, struct pvusb_ring_front *front,
                          struct pvusb_ring_back *back, uint32_t n)
{
    uint8_t sent[148], got[148];
    size_t at = SLOTS + (size_t)(n % kind->slots) * kind->slot_size;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)(i * 5 + n * 3 + 1);

    cell = kind->request_size % 4 ? 2 : 4;
    watch();
    bool ok = pvusb_ring_front_put(front, sent);
    unwatch(true);
    if (!ok || !counted_once(writes, -1, at, kind->request_size) || !counted_once(reads, -1, 0, 0))
        return false;
    pvusb_ring_front_push(front);

    watch();
    ok = pvusb_ring_back_take(back, got) == PVUSB_OK;
    unwatch(false);
    if (!ok || memcmp(got, sent, kind->request_size) != 0 ||
        !counted_once(reads, 0, at, kind->request_size) || !counted_once(writes, -1, 0, 0))
        return false;

    cell = kind->response_size % 4 ? 2 : 4;
    watch();
    ok = pvusb_ring_back_put(back, sent);
    unwatch(true);
    if (!ok || !counted_once(writes, -1, at, kind->response_size) || !counted_once(reads, -1, 0, 0))
        return false;
    pvusb_ring_back_push(back);

    watch();
    ok = pvusb_ring_front_take(front, got) == PVUSB_OK;
    unwatch(false);
    return ok && memcmp(got, sent, kind->response_size) == 0 &&
           counted_once(reads, 8, at, kind->response_size) && counted_once(writes, -1, 0, 0);
}

/* Requests and how many of their bytes mean something: 20, and 8 for each segment, of which there are 16. */
static const struct {
    uint8_t type;
    bool unlink;
    uint16_t segs, desc_segs;
    uint16_t bytes;
} used[] = {
    {USBIF_PIPE_TYPE_BULK, false, 0, 9, 20},       {USBIF_PIPE_TYPE_CTRL, false, 1, 9, 28},
    {USBIF_PIPE_TYPE_INT, false, 16, 9, 148},      {USBIF_PIPE_TYPE_BULK, false, 17, 9, 148},
    {USBIF_PIPE_TYPE_BULK, false, 65535, 9, 148},  {USBIF_PIPE_TYPE_ISOC, false, 3, 2, 60},
    {USBIF_PIPE_TYPE_ISOC, false, 9, 8, 148},      {USBIF_PIPE_TYPE_ISOC, false, 65535, 65535, 148},
    {USBIF_PIPE_TYPE_ISOC, true, 3, 2, 20},
};

/* Both copies of a request that is no longer than what it uses. */
static bool watch_request(struct pvusb_ring_front *front, struct pvusb_ring_back *back, uint32_t n)
{
    struct usbif_urb_request sent, got;
    size_t at = SLOTS + (size_t)(n % PVUSB_URB_RING_SLOTS) * pvusb_urb_ring[0].slot_size;
    size_t i = n % (sizeof(used) / sizeof(used[0]));
    memset(&sent, (int)n + 1, sizeof(sent));
    memset(&got, 0, sizeof(got));
    sent.nr_buffer_segs = used[i].segs;
    sent.u.isoc.nr_frame_desc_segs = used[i].desc_segs;
    sent.pipe = pvusb_pipe_encode((struct pvusb_pipe){.type = used[i].type, .unlink = used[i].unlink});

    cell = 4;
    watch();
    bool ok = pvusb_ring_front_put_urb(front, &sent);
    unwatch(true);
    if (!ok || !counted_once(writes, -1, at, used[i].bytes) || !counted_once(reads, -1, 0, 0))
        return false;
    pvusb_ring_front_push(front);

    watch();
    ok = pvusb_ring_back_take_urb(back, &got) == PVUSB_OK;
    unwatch(false);
    if (!ok || memcmp(&got, &sent, used[i].bytes) != 0 || !counted_once(reads, 0, at, used[i].bytes) ||
        !counted_once(writes, -1, 0, 0))
        return false;
    for (size_t k = used[i].bytes; k < sizeof(got); k++) {
        if (((const uint8_t *)&got)[k] != 0)
            return false;
    }

    struct usbif_urb_response response = {0};
    pvusb_ring_back_put(back, &response);
    pvusb_ring_back_push(back);
    return pvusb_ring_front_take(front, &response) == PVUSB_OK;
}

/* The watch itself must be able to fail: two reads of one cell, and a read wider than a cell. */
static bool watch_notices_double_fetches(void)
{
    uint8_t *slot = guarded + SLOTS;
    memset(alias + SLOTS, 7, 8);
    cell = 2;
    watch();
    uint16_t first = *(volatile uint16_t *)(void *)slot;
    uint16_t second = *(volatile uint16_t *)(void *)slot;
    unwatch(false);
    if (first != 0x0707 || second != 0x0707 || reads[SLOTS] != 2)
        return false;
    watch();
    uint32_t wide = *(volatile uint32_t *)(void *)slot;
    unwatch(false);
    cell = 4;
    return reads[SLOTS] == 1 && wide == 0xdddd0707u;
}

/* The two ends of the meeting; the peer's works on the open mapping. */
static struct pvusb_ring_front meet_front;
static struct pvusb_ring_back meet_back;
static bool noticed;

static void front_sends(void)
{
    uint8_t bytes[148] = {0};
    noticed |= pvusb_ring_front_put(&meet_front, bytes) && pvusb_ring_front_push(&meet_front);
}

static void back_sends(void)
{
    uint8_t bytes[148] = {0};
    noticed |= pvusb_ring_back_put(&meet_back, bytes) && pvusb_ring_back_push(&meet_back);
}

static void front_goes_to_sleep(void)
{
    noticed |= pvusb_ring_front_final_check(&meet_front);
}

static void back_goes_to_sleep(void)
{
    noticed |= pvusb_ring_back_final_check(&meet_back);
}

/* `watched` by one end with `peer` by the other before its access number n. False when nobody noticed. */
static bool meet(void (*watched)(void), bool front_is_watched, void (*peer)(void), unsigned int n, bool *met)
{
    uint8_t bytes[148] = {0};
    pvusb_ring_front_init(&meet_front, &pvusb_urb_ring[0], alias);
    pvusb_ring_back_init(&meet_back, &pvusb_urb_ring[0], alias);
    /* One exchange without a final check: now nobody waits for index 2. */
    front_sends();
    pvusb_ring_back_take(&meet_back, bytes);
    back_sends();
    pvusb_ring_front_take(&meet_front, bytes);
    /* Something for the backend to answer, unless it is the frontend that sends. */
    if (watched == back_sends || peer == back_sends) {
        front_sends();
        pvusb_ring_back_take(&meet_back, bytes);
    }
    noticed = false;
    *(front_is_watched ? &meet_front.page : &meet_back.page) = guarded;
    act = peer;
    act_at = n;
    accesses = 0;
    watch();
    watched();
    unwatch(true);
    *met = act == NULL;
    if (!*met)
        peer();
    act = NULL;
    return noticed;
}

static bool nobody_sleeps_on_work(void)
{
    static const struct {
        const char *name;
        void (*watched)(void);
        bool front_is_watched;
        void (*peer)(void);
    } meetings[] = {
        {"frontend goes to sleep, backend sends", front_goes_to_sleep, true, back_sends},
        {"backend goes to sleep, frontend sends", back_goes_to_sleep, false, front_sends},
        {"frontend sends, backend goes to sleep", front_sends, true, back_goes_to_sleep},
        {"backend sends, frontend goes to sleep", back_sends, false, front_goes_to_sleep},
    };
    for (size_t i = 0; i < sizeof(meetings) / sizeof(meetings[0]); i++) {
        bool met = true;
        unsigned int n = 0;
        for (; met; n++) {
            if (!meet(meetings[i].watched, meetings[i].front_is_watched, meetings[i].peer, n, &met)) {
                printf("%s, before access %u: nobody notices\n", meetings[i].name, n);
                return false;
            }
        }
        printf("%s: noticed in each of %u orders\n", meetings[i].name, n);
        if (n < 3)
            return false;
    }
    return true;
}

static int run(void)
{
    if (!map_twice()) {
        printf("skip: cannot map a page twice\n");
        return 77;
    }
    if (!watch_notices_double_fetches()) {
        printf("the watch does not notice a double fetch\n");
        return 1;
    }
    static const struct pvusb_ring_kind *const kinds[] = {&pvusb_urb_ring[0], &pvusb_conn_ring, &pvusb_urb_ring[2]};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct pvusb_ring_front front;
        struct pvusb_ring_back back;
        pvusb_ring_front_init(&front, kinds[k], guarded);
        pvusb_ring_back_init(&back, kinds[k], guarded);
        for (uint32_t n = 0; n < kinds[k]->slots + 3u; n++) {
            if (!watch_message(kinds[k], &front, &back, n)) {
                printf("kind %zu, message %u: not copied exactly once\n", k, n);
                return 1;
            }
        }
        printf("kind %zu: %u messages, each cell accessed once\n", k, kinds[k]->slots + 3u);
    }
    struct pvusb_ring_front front;
    struct pvusb_ring_back back;
    pvusb_ring_front_init(&front, &pvusb_urb_ring[0], guarded);
    pvusb_ring_back_init(&back, &pvusb_urb_ring[0], guarded);
    for (uint32_t n = 0; n < 3u * PVUSB_URB_RING_SLOTS; n++) {
        if (!watch_request(&front, &back, n)) {
            printf("request %u: what it uses is not copied exactly once\n", n);
            return 1;
        }
    }
    return nobody_sleeps_on_work() ? 0 : 1;
}

#else

static int run(void)
{
    printf("skip: needs the trap flag of x86-64\n");
    return 77;
}

#endif

int main(void)
{
    if (RUNNING_ON_VALGRIND || SANITIZED) {
        printf("skip: counting accesses by faults does not work under valgrind or a sanitizer\n");
        return 77;
    }
    return run();
}
