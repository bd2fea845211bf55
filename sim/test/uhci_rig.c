// SPDX-License-Identifier: MIT
#include "test/uhci_rig.h"

static void on_started(void *context, struct storage *storage, int status)
{
    struct uhci_rig *rig = context;
    (void)storage;
    rig->finished++;
    rig->status = status;
}

static void on_ready(void *context, struct guest_device *device)
{
    struct uhci_rig *rig = context;
    rig->ready++;
    rig->device = device;
    if (storage_matches(device) && !rig->storage) {
        assert_int_equal(storage_create(device, on_started, rig, &rig->storage), 0);
        device->driver = rig->storage;
    } else if (rig->on_ready) {
        rig->on_ready(rig, device);
    }
}

static void on_gone(void *context, struct guest_device *device)
{
    struct uhci_rig *rig = context;
    rig->gone++;
    if (rig->device == device)
        rig->device = NULL;
    if (rig->storage && device->driver == rig->storage) {
        assert_false(storage_busy(rig->storage));
        storage_destroy(rig->storage);
        rig->storage = NULL;
    } else if (rig->on_gone) {
        rig->on_gone(rig, device);
    }
}

static void on_failed(void *context, unsigned int port, int error)
{
    struct uhci_rig *rig = context;
    (void)port;
    rig->failed++;
    rig->error = error;
}

static void on_line(void *context, bool raised)
{
    struct uhci_rig *rig = context;
    assert_true(raised != rig->line);
    rig->line = raised;
}

void uhci_rig_open(struct uhci_rig *rig)
{
    struct guest_listener listener = {
        .ready = on_ready, .gone = on_gone, .failed = on_failed, .context = rig};
    *rig = (struct uhci_rig){.memory = aligned_alloc(4096, RIG_MEMORY)};
    assert_non_null(rig->memory);
    memset(rig->memory, 0, RIG_MEMORY);
    assert_int_equal(sim_host_create(&rig->sim), 0);
    rig->host = sim_host_host(rig->sim);
    struct uhci_model_config config = {.host = rig->host,
                                       .memory = rig->memory,
                                       .address = RIG_ADDRESS,
                                       .size = RIG_MEMORY,
                                       .line = on_line,
                                       .context = rig};
    assert_int_equal(uhci_model_create(&config, &rig->model), 0);
    assert_int_equal(uhci_driver_create(uhci_model_bus(rig->model), &rig->driver), 0);
    assert_int_equal(guest_create(uhci_driver_hcd(rig->driver), &listener, &rig->guest), 0);
}

void uhci_rig_plug(struct uhci_rig *rig, unsigned int port, const char *busid, struct usb_device *device)
{
    assert_int_equal(sim_host_plug(rig->sim, busid, device), 0);
    assert_int_equal(uhci_model_plug(rig->model, port, busid), 0);
}

void uhci_rig_step(struct uhci_rig *rig)
{
    guest_step(rig->guest, rig->now_ns);
    uhci_driver_step(rig->driver, rig->now_ns);
    uhci_model_step(rig->model, rig->now_ns);
    assert_int_equal(rig->line, uhci_model_line(rig->model));
    uhci_driver_step(rig->driver, rig->now_ns);
    uint64_t due = guest_deadline(rig->guest), driver = uhci_driver_deadline(rig->driver);
    uint64_t model = uhci_model_deadline(rig->model);
    due = driver < due ? driver : due;
    due = model < due ? model : due;
    if (due == UINT64_MAX)
        due = rig->now_ns + UINT64_C(1000000); /* nobody expects anything, and yet time passes */
    rig->now_ns = due > rig->now_ns ? due : rig->now_ns;
}

void uhci_rig_until(struct uhci_rig *rig, const unsigned int *count, unsigned int n)
{
    uint64_t limit = rig->now_ns + UINT64_C(10000000000);
    while (*count < n) {
        assert_true(rig->now_ns < limit);
        uhci_rig_step(rig);
    }
    assert_int_equal(*count, n);
}

void uhci_rig_run_for(struct uhci_rig *rig, uint64_t ns)
{
    uint64_t limit = rig->now_ns + ns;
    while (rig->now_ns < limit)
        uhci_rig_step(rig);
}

static void on_finished(struct storage_request *request)
{
    struct uhci_rig *rig = request->context;
    rig->finished++;
}

int uhci_rig_request(struct uhci_rig *rig, uint64_t lba, uint32_t blocks, bool write, void *buffer)
{
    struct storage_request r = {
        .lba = lba, .blocks = blocks, .write = write, .buffer = buffer, .done = on_finished, .context = rig};
    unsigned int before = rig->finished;
    assert_int_equal(storage_submit(rig->storage, &r), 0);
    uhci_rig_until(rig, &rig->finished, before + 1);
    return r.status;
}

void uhci_rig_close(struct uhci_rig *rig)
{
    guest_close(rig->guest);
    while (guest_busy(rig->guest))
        uhci_rig_step(rig);
    assert_int_equal(rig->gone, rig->ready);
    assert_int_equal(uhci_driver_held(rig->driver), 0);
    struct uhci_model_counters counters;
    uhci_model_counters(rig->model, &counters);
    if (!rig->spoilt)
        assert_int_equal(counters.wrong_toggles, 0);
    guest_destroy(rig->guest);
    uhci_driver_destroy(rig->driver); /* which sees to it that no buffer is left */
    uhci_model_destroy(rig->model);
    sim_host_destroy(rig->sim);
    free(rig->memory);
}
