// SPDX-License-Identifier: MIT
/*
 * Goal: the libraries that have little meaning here: they open, what they do not have fails with ENOSYS and
 * is in the log, and libxenctrl knows the domains.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xencall.h>
#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenforeignmemory.h>

#include "xen_lab.h"

static void test_handles(void **state)
{
    (void)state;
    const xen_pfn_t pfn = 1;
    int err;
    be_domain(0);
    xenforeignmemory_handle *fmem = xenforeignmemory_open(NULL, 0);
    xendevicemodel_handle *dmod = xendevicemodel_open(NULL, 0);
    xencall_handle *xcall = xencall_open(NULL, 0);
    assert_non_null(fmem);
    assert_non_null(dmod);
    assert_non_null(xcall);
    errno = 0;
    assert_null(xenforeignmemory_map(fmem, 1, PROT_READ, 1, &pfn, &err));
    assert_int_equal(errno, ENOSYS);
    errno = 0;
    assert_int_equal(xendevicemodel_shutdown(dmod, 1, 0), -1);
    assert_int_equal(errno, ENOSYS);
    errno = 0;
    assert_int_equal(xencall1(xcall, 1, 1), -1);
    assert_int_equal(errno, ENOSYS);
    assert_int_equal(xenforeignmemory_close(fmem), 0);
    assert_int_equal(xendevicemodel_close(dmod), 0);
    assert_int_equal(xencall_close(xcall), 0);
    assert_int_equal(xenforeignmemory_close(NULL), 0);
}

/* The machine has the domains 0, 1 and 2. */
static void test_domains(void **state)
{
    (void)state;
    xc_dominfo_t info[4];
    xc_domaininfo_t list[4];
    be_domain(0);
    xc_interface *xch = xc_interface_open(NULL, NULL, 0);
    assert_non_null(xch);
    assert_int_equal(xc_domain_getinfo(xch, 0, 4, info), 3);
    assert_int_equal(xc_domain_getinfolist(xch, 0, 4, list), 3);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(info[i].domid, i);
        assert_int_equal(info[i].dying | info[i].shutdown | info[i].crashed, 0);
        assert_int_equal(list[i].domain, i);
        assert_int_equal(list[i].flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown), 0);
    }
    assert_int_equal(xc_domain_getinfo(xch, 1, 1, info), 1);
    assert_int_equal(info[0].domid, 1);
    const uint32_t beyond[] = {3, DOMID_XEN, 0x10000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        errno = 0;
        assert_int_equal(xc_domain_getinfo(xch, beyond[i], 1, info), -1);
        assert_int_equal(errno, ESRCH);
        assert_int_equal(xc_domain_getinfolist(xch, beyond[i], 4, list), 0);
    }
    assert_int_equal(xc_interface_close(xch), 0);
    /* A guest is told nothing. */
    be_domain(2);
    xch = xc_interface_open(NULL, NULL, 0);
    assert_non_null(xch);
    assert_int_equal(xc_domain_getinfo(xch, 0, 4, info), -1);
    assert_int_equal(errno, EPERM);
    errno = 0;
    assert_int_equal(xc_domain_getinfolist(xch, 0, 4, list), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(xc_interface_close(xch), 0);
    assert_int_equal(xc_interface_close(NULL), 0);
}

/* The first call of each as it is made, and how many there were when the program ends. */
static void test_log(void **state)
{
    (void)state;
    char path[] = "/tmp/fakexen-log-XXXXXX";
    char text[1024];
    char expected[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    be_domain(0);
    int pid = fork();
    if (!pid) {
        setenv("FAKEXEN_LOG", path, 1);
        xc_interface *xch = xc_interface_open(NULL, NULL, 0);
        xc_physinfo_t info;
        int bad = 0;
        for (unsigned int i = 0; i < 3; i++)
            bad += xc_physinfo(xch, &info) != -1 || errno != ENOSYS;
        xc_interface_close(xch);
        exit(bad);
    }
    assert_int_equal(child_ended(pid), 0);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    assert_true(length > 0);
    text[length] = '\0';
    snprintf(expected, sizeof(expected),
             "%d xc_physinfo: first call, not there in the fake (ENOSYS)\n%d xc_physinfo: 3 calls in all\n",
             pid, pid);
    /* What the parent called before is counted in the child, too. */
    assert_non_null(strstr(text, strchr(expected, '\n') + 1));
    assert_true(strncmp(text, expected, (size_t)(strchr(expected, '\n') - expected)) == 0);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handles),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
