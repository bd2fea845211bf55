// SPDX-License-Identifier: MIT
#include "qtest/drivers.h"

#include "qtest/ehci.h"
#include "qtest/xhci.h"

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

static int ehci_make(struct hc_bus *bus, bool polled, void **out)
{
    struct ehci *ehci = NULL;
    int rc = ehci_create(bus, polled, &ehci);
    *out = ehci;
    return rc;
}

static void ehci_end(void *driver)
{
    ehci_destroy(driver);
}

static struct hcd *ehci_operations(void *driver)
{
    return ehci_hcd(driver);
}

static void ehci_run(void *driver, uint64_t now_ns)
{
    ehci_step(driver, now_ns);
}

static uint64_t ehci_due(const void *driver)
{
    return ehci_deadline(driver);
}

static int xhci_make(struct hc_bus *bus, bool polled, void **out)
{
    struct xhci *xhci = NULL;
    int rc = xhci_create(bus, polled, &xhci);
    *out = xhci;
    return rc;
}

static void xhci_end(void *driver)
{
    xhci_destroy(driver);
}

static struct hcd *xhci_operations(void *driver)
{
    return xhci_hcd(driver);
}

static void xhci_run(void *driver, uint64_t now_ns)
{
    xhci_step(driver, now_ns);
}

static uint64_t xhci_due(const void *driver)
{
    return xhci_deadline(driver);
}

static const struct qtest_driver ehci = {ehci_make, ehci_end, ehci_operations, ehci_run, ehci_due};
static const struct qtest_driver xhci = {xhci_make, xhci_end, xhci_operations, xhci_run, xhci_due};
static const struct qtest_driver uhci = {uhci_create, uhci_destroy, uhci_hcd, uhci_step, uhci_deadline};

const struct qtest_driver *qtest_driver(enum qtest_controller controller)
{
    switch (controller) {
    case QTEST_UHCI:
        return &uhci;
    case QTEST_EHCI:
        return &ehci;
    case QTEST_XHCI:
        break;
    }
    return &xhci;
}
