// SPDX-License-Identifier: MIT
/*
 * Calls are seen by putting functions of our own into the tables that a driver calls through. Accesses are
 * seen by taking the page away from the driver's mapping: each access faults, runs alone (single step), and
 * then the page is taken away again. The case has another mapping of the same memory.
 */
#include "inproc_moments.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif
#if defined(__SANITIZE_THREAD__)
#define NO_STEPS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_STEPS 1
#endif
#endif
#ifndef NO_STEPS
#define NO_STEPS 0
#endif

#define PAGES_MAX 2048u

static struct {
    const struct xen_ops *xen; /* the real ones */
    const struct usb_host_ops *host;
    struct xen_ops xen_seen;
    struct usb_host_ops host_seen;
    struct peer_watch watch;
    struct {
        const struct xen *xen;
        grant_ref_t ref;
        uint8_t *page; /* NULL: free */
    } page[PAGES_MAX];
    unsigned int nr_pages; /* entries that were ever used */
    uint8_t *guarded;      /* the page whose accesses are seen, NULL for none */
    struct moment access;
} all;

static void tell(const char *call, const char *path)
{
    const struct moment moment = {.kind = MOMENT_CALL, .call = call, .path = path};
    if (all.watch.seen)
        all.watch.seen(all.watch.context, &moment);
}

/* ---- accesses ---- */

#ifdef __x86_64__

enum { TRAP_FLAG = 0x100, FAULT_WAS_WRITE = 2 };

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)all.guarded;
    if (!all.guarded || offset >= XEN_PAGE_SIZE_BYTES) {
        signal(sig, SIG_DFL); /* the driver's own: it comes again, and counts */
        return;
    }
    all.access.kind = at->uc_mcontext.gregs[REG_ERR] & FAULT_WAS_WRITE ? MOMENT_WRITE : MOMENT_READ;
    all.access.offset = (unsigned int)offset;
    mprotect(all.guarded, XEN_PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
    at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    (void)sig;
    (void)info;
    at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (!all.guarded)
        return;
    mprotect(all.guarded, XEN_PAGE_SIZE_BYTES, PROT_NONE);
    if (all.watch.seen)
        all.watch.seen(all.watch.context, &all.access);
}

static void handle_signals(void)
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGTRAP, &step, NULL);
}

bool inproc_moments_accesses(void)
{
    return !NO_STEPS && !RUNNING_ON_VALGRIND;
}

#else

static void handle_signals(void)
{
}

bool inproc_moments_accesses(void)
{
    return false;
}

#endif

static void guard(uint8_t *page)
{
    if (all.guarded)
        mprotect(all.guarded, XEN_PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
    all.guarded = page;
    if (page)
        mprotect(page, XEN_PAGE_SIZE_BYTES, PROT_NONE);
}

/* ---- which page is which ---- */

static void remember(const struct xen *xen, grant_ref_t ref, uint8_t *page)
{
    unsigned int i = 0;
    while (i < all.nr_pages && all.page[i].page)
        i++;
    if (i == PAGES_MAX)
        return;
    all.nr_pages += i == all.nr_pages;
    all.page[i].xen = xen;
    all.page[i].ref = ref;
    all.page[i].page = page;
    if (all.watch.page && all.watch.ref == ref)
        guard(page);
}

static void forget(unsigned int i)
{
    if (all.page[i].page == all.guarded)
        guard(NULL);
    all.page[i].page = NULL;
}

static void forget_pages(const uint8_t *addr, unsigned int count)
{
    for (unsigned int i = 0; i < all.nr_pages; i++) {
        uintptr_t offset = (uintptr_t)all.page[i].page - (uintptr_t)addr;
        if (all.page[i].page && offset < (uintptr_t)count * XEN_PAGE_SIZE_BYTES)
            forget(i);
    }
}

static void forget_ref(grant_ref_t ref)
{
    for (unsigned int i = 0; i < all.nr_pages; i++)
        if (all.page[i].page && all.page[i].ref == ref)
            forget(i);
}

void inproc_moments_watch(const struct peer_watch *watch)
{
    guard(NULL);
    all.watch = *watch;
    if (!watch->page || !watch->seen)
        return;
    handle_signals();
    for (unsigned int i = 0; i < all.nr_pages; i++)
        if (all.page[i].page && all.page[i].ref == watch->ref)
            guard(all.page[i].page);
}

/* ---- Xen ---- */

static int seen_grant_map(struct xen *xen, domid_t from, unsigned int count, const grant_ref_t refs[],
                          bool writable, void **out)
{
    tell("grant_map", NULL);
    int rc = all.xen->grant_map(xen, from, count, refs, writable, out);
    for (unsigned int i = 0; !rc && i < count; i++)
        remember(xen, refs[i], (uint8_t *)*out + (size_t)i * XEN_PAGE_SIZE_BYTES);
    return rc;
}

static int seen_grant_unmap(struct xen *xen, void *addr, unsigned int count)
{
    tell("grant_unmap", NULL);
    forget_pages(addr, count);
    return all.xen->grant_unmap(xen, addr, count);
}

static int seen_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    tell("grant", NULL);
    int rc = all.xen->grant(xen, to, addr, readonly, out);
    if (!rc)
        remember(xen, *out, (uint8_t *)((uintptr_t)addr & ~(uintptr_t)(XEN_PAGE_SIZE_BYTES - 1)));
    return rc;
}

static int seen_grant_end(struct xen *xen, grant_ref_t ref)
{
    tell("grant_end", NULL);
    int rc = all.xen->grant_end(xen, ref);
    if (!rc)
        forget_ref(ref);
    return rc;
}

static ssize_t seen_xs_read(struct xen *xen, xen_transaction transaction, const char *path, char *buf,
                            size_t size)
{
    tell("xs_read", path);
    return all.xen->xs_read(xen, transaction, path, buf, size);
}

static void seen_close(struct xen *xen)
{
    for (unsigned int i = 0; i < all.nr_pages; i++)
        if (all.page[i].page && all.page[i].xen == xen)
            forget(i);
    all.xen->close(xen);
}

#define SEEN(name, parameters, ...)                                                                          \
    static int seen_##name parameters                                                                        \
    {                                                                                                        \
        tell(#name, NULL);                                                                                   \
        return all.xen->name(__VA_ARGS__);                                                                   \
    }
SEEN(evtchn_alloc, (struct xen * xen, domid_t remote, evtchn_port_t *out), xen, remote, out)
SEEN(evtchn_bind, (struct xen * xen, domid_t remote, evtchn_port_t port, evtchn_port_t *out), xen, remote,
     port, out)
SEEN(evtchn_notify, (struct xen * xen, evtchn_port_t port), xen, port)
SEEN(evtchn_close, (struct xen * xen, evtchn_port_t port), xen, port)
SEEN(evtchn_pending, (struct xen * xen, evtchn_port_t *out), xen, out)
SEEN(evtchn_unmask, (struct xen * xen, evtchn_port_t port), xen, port)
SEEN(evtchn_status, (struct xen * xen, evtchn_port_t port, bool *bound), xen, port, bound)
SEEN(xs_begin, (struct xen * xen, xen_transaction *out), xen, out)
SEEN(xs_end, (struct xen * xen, xen_transaction x, bool abort), xen, x, abort)
SEEN(xs_write, (struct xen * xen, xen_transaction x, const char *path, const char *value, size_t n), xen, x,
     path, value, n)
SEEN(xs_watch_read, (struct xen * xen, char *path, char *token), xen, path, token)

void inproc_moments_xen(struct xen *xen)
{
    if (xen->ops == &all.xen_seen)
        return;
    all.xen = xen->ops;
    all.xen_seen = *xen->ops;
    all.xen_seen.close = seen_close;
    all.xen_seen.grant = seen_grant;
    all.xen_seen.grant_end = seen_grant_end;
    all.xen_seen.grant_map = seen_grant_map;
    all.xen_seen.grant_unmap = seen_grant_unmap;
    all.xen_seen.evtchn_alloc = seen_evtchn_alloc;
    all.xen_seen.evtchn_bind = seen_evtchn_bind;
    all.xen_seen.evtchn_notify = seen_evtchn_notify;
    all.xen_seen.evtchn_close = seen_evtchn_close;
    all.xen_seen.evtchn_pending = seen_evtchn_pending;
    all.xen_seen.evtchn_unmask = seen_evtchn_unmask;
    all.xen_seen.evtchn_status = seen_evtchn_status;
    all.xen_seen.xs_begin = seen_xs_begin;
    all.xen_seen.xs_end = seen_xs_end;
    all.xen_seen.xs_read = seen_xs_read;
    all.xen_seen.xs_write = seen_xs_write;
    all.xen_seen.xs_watch_read = seen_xs_watch_read;
    xen->ops = &all.xen_seen;
}

/* ---- the device ---- */

static void seen_submit(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    tell("submit", NULL);
    all.host->submit(host, device, urb);
}

static void seen_cancel(struct usb_host *host, struct host_device *device, struct host_urb *urb)
{
    tell("cancel", NULL);
    all.host->cancel(host, device, urb);
}

static int seen_open(struct usb_host *host, const char *busid, struct host_device **out)
{
    tell("open", NULL);
    return all.host->open(host, busid, out);
}

static void seen_close_device(struct usb_host *host, struct host_device *device)
{
    tell("close", NULL);
    all.host->close(host, device);
}

void inproc_moments_host(struct usb_host *host)
{
    if (host->ops == &all.host_seen)
        return;
    all.host = host->ops;
    all.host_seen = *host->ops;
    all.host_seen.submit = seen_submit;
    all.host_seen.cancel = seen_cancel;
    all.host_seen.open = seen_open;
    all.host_seen.close = seen_close_device;
    host->ops = &all.host_seen;
}
