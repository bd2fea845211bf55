// SPDX-License-Identifier: MIT
#include "qtest/drivers.h"

static int uhci_create(struct hc_bus *bus, bool polled, void **out)
{
    struct uhci_driver *driver = NULL;
    (void)polled; /* its frames are a millisecond apart anyway */
    int rc = uhci_driver_create(bus, &driver);
    *out = driver;
    return rc;
}

static void uhci_destroy(void *driver)
{
    uhci_driver_destroy(driver);
}

static struct hcd *uhci_hcd(void *driver)
{
    return uhci_driver_hcd(driver);
}

static void uhci_step(void *driver, uint64_t now_ns)
{
    uhci_driver_step(driver, now_ns);
}

static uint64_t uhci_deadline(const void *driver)
{
    return uhci_driver_deadline(driver);
}

static const struct qtest_driver uhci = {uhci_create, uhci_destroy, uhci_hcd, uhci_step, uhci_deadline};

const struct qtest_driver *qtest_driver(enum qtest_controller controller)
{
    switch (controller) {
    case QTEST_UHCI:
    case QTEST_EHCI:
    case QTEST_XHCI:
        break;
    }
    return &uhci;
}
