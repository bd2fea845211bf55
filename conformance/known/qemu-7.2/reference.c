// SPDX-License-Identifier: MIT
#include "reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fakexen/fakexen.h>

#include "backend/backend.h"
#include "cli/kinds.h"
#include "devices/keyboard.h"
#include "process/loop.h"

static void quiet(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static int obey(struct sim_host *sim, const char *line)
{
    char busid[SIM_HOST_BUSID_SIZE];
    char rest[256] = "";
    char text[sizeof(busid) + sizeof(rest)];
    char error[KIND_ERROR_MAX];
    unsigned int ep;
    if (sscanf(line, "unplug %31s", busid) == 1)
        return sim_host_unplug(sim, busid);
    if (sscanf(line, "plug %31s %255[^\n]", busid, rest) == 2) {
        snprintf(text, sizeof(text), "%s=%s", busid, rest);
        return kind_plug(sim, text, NULL, error);
    }
    if (sscanf(line, "type %31s %255[^\n]", busid, rest) == 2)
        return keyboard_type(sim_host_device(sim, busid), rest);
    if (sscanf(line, "halt %31s %x", busid, &ep) == 2) {
        device_halt(sim_host_device(sim, busid), (uint8_t)ep);
        return 0;
    }
    return -EINVAL;
}

static int answer(int fd, int rc)
{
    return write(fd, rc ? "no\n" : "ok\n", 3) == 3 ? 0 : -EPIPE;
}

static int serve(struct family *family, struct back_driver *driver, struct sim_host *sim, int commands)
{
    struct usb_host *usb = sim_host_host(sim);
    for (;;) {
        struct loop loop;
        int fds[LOOP_FDS_MAX];
        char line[300];
        uint64_t now = loop_now_ns();
        int rc = back_driver_step(driver, now);
        if (rc)
            return rc;
        usb->ops->step(usb, now);
        loop_clear(&loop);
        loop_add(&loop, family->lifeline[0]);
        loop_add(&loop, commands);
        unsigned int n = back_driver_fds(driver, fds, LOOP_FDS_MAX);
        for (unsigned int i = 0; i < n && i < LOOP_FDS_MAX; i++)
            loop_add(&loop, fds[i]);
        rc = loop_wait(&loop, back_driver_busy(driver) ? 0 : usb->ops->deadline(usb));
        if (rc || loop_ready(&loop, family->lifeline[0]))
            return rc;
        if (loop_ready(&loop, commands)) {
            ssize_t got = read(commands, line, sizeof(line) - 1);
            if (got <= 0)
                return 0;
            line[got] = '\0';
            rc = answer(commands, obey(sim, line));
            if (rc)
                return rc;
        }
    }
}

int reference_run(struct family *family, void *context)
{
    const struct reference *reference = context;
    struct sim_host *sim;
    struct xen_machine *machine;
    struct back_driver *driver = NULL;
    char error[KIND_ERROR_MAX];
    close(reference->ends[0]);
    if (sim_host_create(&sim))
        return 1;
    for (const char *const *device = reference->devices; *device; device++) {
        if (kind_plug(sim, *device, NULL, error)) {
            snprintf(family->error, FAMILY_ERROR_MAX, "%s", error);
            return 1;
        }
    }
    const struct back_config config = {.host = sim_host_host(sim), .log = quiet, .quiet = true};
    int rc = fakexen_client_machine_create(family->dir, &machine);
    if (rc)
        return 1;
    rc = back_driver_create(machine, 0, &config, &driver);
    if (!rc)
        rc = answer(reference->ends[1], 0);
    if (!rc)
        rc = serve(family, driver, sim, reference->ends[1]);
    back_driver_destroy(driver);
    fakexen_client_machine_destroy(machine);
    sim_host_destroy(sim);
    return rc ? 1 : 0;
}
