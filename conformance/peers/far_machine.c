// SPDX-License-Identifier: MIT
#include "far_machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "process/loop.h"

#define LOOK_NS UINT64_C(1000000) /* nodes that the case has no watch on, and a peer's death, have no descriptor */

static void close_on_exec(const int fds[2])
{
    for (unsigned int i = 0; i < 2; i++)
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
}

int far_machine_open(struct far_machine *far, char *error)
{
    int rc = family_open(&far->family, error);
    if (rc)
        return rc;
    /* Out of the case's group, so that it can clear up after a case that had to be killed. */
    setpgid(far->family.child[0].pid, 0);
    close_on_exec(far->family.lifeline);
    close_on_exec(far->family.machine_lifeline);
    rc = fakexen_client_machine_create(far->family.dir, &far->machine);
    return rc ? family_close(&far->family, rc, error) : 0;
}

void far_machine_close(struct far_machine *far)
{
    char error[FAMILY_ERROR_MAX];
    fakexen_client_machine_destroy(far->machine);
    if (family_close(&far->family, 0, error))
        fprintf(stderr, "pvusb-conform: the machine: %s\n", error);
}

uint64_t far_now(void)
{
    return loop_now_ns();
}

bool far_turn(int fd, int other, uint64_t until_ns)
{
    struct loop loop;
    uint64_t look = loop_now_ns() + LOOK_NS;
    loop_clear(&loop);
    loop_add(&loop, fd);
    loop_add(&loop, other);
    (void)loop_wait(&loop, look < until_ns ? look : until_ns);
    return true;
}
