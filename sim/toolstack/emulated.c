// SPDX-License-Identifier: MIT
#include "toolstack/emulated.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolstack/store_private.h"

/* ---- names ---- */

static bool is_free(struct xen *xen, const struct hostbus_device *device)
{
    struct tstore_controllers all;
    char error[TOOL_ERROR_MAX];
    unsigned int port;
    if (tstore_controllers(xen, XEN_XBT_NIL, STORE_ANY, &all))
        return false;
    const bool held = tstore_holder_of(&all, device->path, &port) != NULL;
    tstore_controllers_free(&all);
    return !held && tstore_not_owned(xen, XEN_XBT_NIL, device->path, error) == 0;
}

/* Of several devices with these ids the first that nobody has, as it is the one that can be meant. */
static int find_ids(struct xen *xen, const char *dir, const struct usbdevice_spec *spec, struct hostbus_device *out)
{
    struct hostbus_device *devices;
    unsigned int count;
    int rc = hostbus_list(dir, &devices, &count);
    if (rc)
        return rc;
    rc = -ENODEV;
    for (unsigned int i = 0; i < count; i++) {
        if (devices[i].vendor != spec->vendor || devices[i].product != spec->product)
            continue;
        const bool first = rc != 0;
        if (first || is_free(xen, &devices[i]))
            *out = devices[i];
        rc = 0;
        if (is_free(xen, &devices[i]))
            break;
    }
    free(devices);
    return rc;
}

static int resolve(struct xen *xen, const char *dir, const char *text, struct hostbus_device *out, char *error)
{
    struct usbdevice_spec spec;
    int rc = spec_usbdevice(text, &spec, error);
    if (rc)
        return rc;
    snprintf(out->path, sizeof(out->path), "-");
    if (spec.kind == USBDEVICE_TABLET)
        return 0;
    rc = spec.kind == USBDEVICE_HOST_ADDRESS ? hostbus_find_address(dir, spec.bus, spec.address, out)
                                             : find_ids(xen, dir, &spec, out);
    if (rc == -ENODEV)
        return tool_refuse(error, rc, "there is no device '%.64s'; 'pvusb bus list' shows them", text);
    if (rc)
        return tstore_failed(error, rc);
    if (out->device_class == DEVICE_HUB_CLASS)
        return tool_refuse(error, -EACCES, "USB device is not assignable. %s is a hub; add what is behind it",
                           out->path);
    return 0;
}

int emulated_add(struct xen *xen, const char *dir, domid_t domid, const char *text, unsigned int *port, char *error)
{
    struct hostbus_device device = {0};
    int rc = resolve(xen, dir, text, &device, error);
    return rc ? rc : tstore_take_emulated(xen, domid, device.path, text, port, error);
}

int emulated_find(struct xen *xen, const char *dir, domid_t domid, const char *text, unsigned int *port, char *error)
{
    struct tstore_emulated devices[EMULATED_PORTS + 1];
    struct hostbus_device device = {0};
    char why[TOOL_ERROR_MAX];
    int rc = tstore_emulated(xen, XEN_XBT_NIL, domid, devices);
    if (rc)
        return tstore_failed(error, rc);
    for (*port = 1; *port <= EMULATED_PORTS; ++*port) {
        if (strcmp(devices[*port].spec, text) == 0)
            return 0;
    }
    const bool known = resolve(xen, dir, text, &device, why) == 0;
    for (*port = 1; known && *port <= EMULATED_PORTS; ++*port) {
        if (strcmp(devices[*port].busid, device.path) == 0)
            return 0;
    }
    return tool_refuse(error, -ENODEV, "the guest has no device '%.64s' on its emulated controller", text);
}

/* ---- commands ---- */

struct model {
    struct xen *xen;
    char dir[64];
    const char *command;
    const char *parameter;
    const char *answer;
    bool impatient; /* has waited long enough for another command's end */
    char state[XENBUS_VALUE_MAX];
    char *error;
};

static void read_state(struct model *model, xen_transaction t)
{
    if (xenbus_read(model->xen, t, model->dir, "state", model->state))
        model->state[0] = '\0';
}

/* An answer that nobody took is of a command that was interrupted: it stands in nobody's way for long. */
#define ANSWER_MS 1000u

static bool is_answer(const char *state)
{
    return strncmp(state, "usb-", 4) == 0;
}

/* Nor does the command of another that is being done. */
static bool is_ordered(const struct model *model, xen_transaction t)
{
    char value[XENBUS_VALUE_MAX];
    return xenbus_read(model->xen, t, model->dir, "command", value) == 0;
}

static int is_listening(void *context)
{
    struct model *model = context;
    read_state(model, XEN_XBT_NIL);
    return !is_answer(model->state) && !is_ordered(model, XEN_XBT_NIL);
}

/* Of two commands at once one is refused. */
static int tell_body(struct xen *xen, xen_transaction t, void *context)
{
    struct model *model = context;
    read_state(model, t);
    const bool listens = strcmp(model->state, "running") == 0 || (model->impatient && is_answer(model->state));
    if (!listens || is_ordered(model, t))
        return tool_refuse(model->error, -EAGAIN, "Device model isn't ready for commands");
    int rc = xenbus_write(xen, t, model->dir, "state", "running"); /* not the answer of another */
    if (!rc)
        rc = xenbus_write(xen, t, model->dir, "parameter", "%s", model->parameter);
    return rc ? rc : xenbus_write(xen, t, model->dir, "command", "%s", model->command);
}

static int has_answered(void *context)
{
    struct model *model = context;
    read_state(model, XEN_XBT_NIL);
    if (!model->state[0])
        return -ENXIO;
    if (strncmp(model->state, EMULATED_FAILED, strlen(EMULATED_FAILED)) == 0)
        return -EREMOTEIO;
    return strcmp(model->state, model->answer) == 0;
}

/* One that has ended, perhaps with its domain, gets nothing any more. */
static int listen_again(struct xen *xen, xen_transaction t, void *context)
{
    struct model *model = context;
    char path[96];
    read_state(model, t);
    if (!model->state[0])
        return 0;
    snprintf(path, sizeof(path), "%s/command", model->dir);
    int rc = xen->ops->xs_rm(xen, t, path);
    snprintf(path, sizeof(path), "%s/parameter", model->dir);
    if (!rc || rc == -ENOENT)
        rc = xen->ops->xs_rm(xen, t, path);
    return rc && rc != -ENOENT ? rc : xenbus_write(xen, t, model->dir, "state", "running");
}

struct answer {
    char dir[64];
    const char *state;
};

static int answer_body(struct xen *xen, xen_transaction t, void *context)
{
    const struct answer *answer = context;
    char path[96];
    char value[XENBUS_VALUE_MAX];
    if (xenbus_read(xen, t, answer->dir, "state", value) == -ENOENT)
        return 0; /* forgotten with its domain */
    snprintf(path, sizeof(path), "%s/command", answer->dir);
    int rc = xen->ops->xs_rm(xen, t, path);
    return rc && rc != -ENOENT ? rc : xenbus_write(xen, t, answer->dir, "state", "%.200s", answer->state);
}

int emulated_answer(struct xen *xen, domid_t domid, const char *state)
{
    struct answer answer = {.state = state};
    char ignored[TOOL_ERROR_MAX];
    snprintf(answer.dir, sizeof(answer.dir), "/local/domain/0/device-model/%u", domid);
    return tstore_transact(xen, answer_body, &answer, ignored);
}

int emulated_command(struct xen *xen, domid_t domid, const char *command, const char *parameter,
                     const char *answer, uint64_t timeout_ms, char *error)
{
    char ignored[TOOL_ERROR_MAX];
    struct model model = {
        .xen = xen, .command = command, .parameter = parameter, .answer = answer, .error = error};
    const char *const paths[] = {model.dir};
    snprintf(model.dir, sizeof(model.dir), "/local/domain/0/device-model/%u", domid);
    int rc = tstore_wait(xen, paths, 1, is_listening, &model, ANSWER_MS);
    model.impatient = rc == -ETIMEDOUT;
    rc = rc && rc != -ETIMEDOUT ? tstore_failed(error, rc) : tstore_transact(xen, tell_body, &model, error);
    if (rc || !timeout_ms)
        return rc;
    rc = tstore_wait(xen, paths, 1, has_answered, &model, timeout_ms);
    (void)tstore_transact(xen, listen_again, &model, ignored);
    if (rc == -ENXIO)
        return tool_refuse(error, rc, "the device model has ended meanwhile");
    if (rc == -EREMOTEIO)
        return tool_refuse(error, rc, "%s", model.state + strlen(EMULATED_FAILED));
    if (rc == -ETIMEDOUT)
        return tool_refuse(error, rc, "Timed out waiting for device model action%s%.64s",
                           strcmp(model.state, "running") != 0 ? "; it says " : "",
                           strcmp(model.state, "running") != 0 ? model.state : "");
    return rc ? tstore_failed(error, rc) : 0;
}
