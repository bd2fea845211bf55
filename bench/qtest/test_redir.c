// SPDX-License-Identifier: MIT
#include "qtest/test_redir.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void qtest_redir_open(struct qtest_redir *behind, struct qtest_rig *rig, enum qtest_controller controller,
                      struct usb_device *device)
{
    char chardev[64];
    int fd[2];
    assert_int_equal(sim_host_create(&behind->sim), 0);
    assert_int_equal(sim_host_plug(behind->sim, "1-1", device), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    (void)fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    assert_int_equal(redir_create(sim_host_host(behind->sim), "1-1", fd[0], NULL, NULL, &behind->redir), 0);
    snprintf(chardev, sizeof(chardev), "socket,id=r,fd=%d", fd[1]);
    const char *arguments[] = {"-chardev", chardev, "-device", "usb-redir,bus=hc.0,chardev=r", NULL};
    const struct qtest_config config = {
        .controller = controller, .clock = QTEST_REAL, .arguments = arguments};
    qtest_rig_open(rig, &config);
    close(fd[1]);
}

void qtest_redir_step(struct qtest_redir *behind, uint64_t now_ns)
{
    struct usb_host *host = sim_host_host(behind->sim);
    host->ops->step(host, now_ns);
    (void)redir_step(behind->redir);
}

void qtest_redir_close(struct qtest_redir *behind, struct qtest_rig *rig)
{
    qtest_rig_close(rig);
    redir_destroy(behind->redir);
    sim_host_destroy(behind->sim);
}
