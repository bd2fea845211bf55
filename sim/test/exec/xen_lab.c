// SPDX-License-Identifier: MIT
#include "xen_lab.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

void be_domain(unsigned int domid)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", domid);
    assert_int_equal(setenv("FAKEXEN_DOMID", text, 1), 0);
}

xengnttab_handle *tab_of(unsigned int domid)
{
    be_domain(domid);
    xengnttab_handle *xgt = xengnttab_open(NULL, 0);
    assert_non_null(xgt);
    return xgt;
}

xengntshr_handle *shr_of(unsigned int domid)
{
    be_domain(domid);
    xengntshr_handle *xgs = xengntshr_open(NULL, 0);
    assert_non_null(xgs);
    return xgs;
}

xenevtchn_handle *evtchn_of(unsigned int domid)
{
    be_domain(domid);
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    assert_non_null(xce);
    return xce;
}

bool can_read(const void *addr)
{
    char byte;
    struct iovec here = {.iov_base = &byte, .iov_len = 1};
    struct iovec there = {.iov_base = (void *)(uintptr_t)addr, .iov_len = 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

/* Writes what is there. */
bool can_write(void *addr)
{
    char byte;
    struct iovec here = {.iov_base = &byte, .iov_len = 1};
    struct iovec there = {.iov_base = addr, .iov_len = 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 &&
           process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 1;
}

static bool readable(xenevtchn_handle *xce, int timeout_ms)
{
    struct pollfd fd = {.fd = xenevtchn_fd(xce), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1 && (fd.revents & POLLIN);
}

bool has_event(xenevtchn_handle *xce)
{
    return readable(xce, 0);
}

bool wait_event(xenevtchn_handle *xce)
{
    return readable(xce, 30000);
}

void channel_open(struct channel *channel)
{
    channel->near = evtchn_of(0);
    channel->far = evtchn_of(1);
    int port = xenevtchn_bind_unbound_port(channel->far, 0);
    assert_true(port > 0);
    channel->far_port = (evtchn_port_t)port;
    port = xenevtchn_bind_interdomain(channel->near, 1, channel->far_port);
    assert_true(port > 0);
    channel->near_port = (evtchn_port_t)port;
    assert_int_equal(xenevtchn_pending(channel->near), port);
    assert_int_equal(xenevtchn_unmask(channel->near, channel->near_port), 0);
}

void channel_close(struct channel *channel)
{
    assert_int_equal(xenevtchn_close(channel->near), 0);
    assert_int_equal(xenevtchn_close(channel->far), 0);
}

int child_ended(int pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
