// SPDX-License-Identifier: MIT
/* Goal: config files of guests are read as xl reads them, and whatever else a file holds ends in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toolstack/guest_config.h"

/* In memory of exactly its size, so that a look behind the end is seen. */
static int parse(const char *text, size_t length, struct config *out, char *error)
{
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    int rc = config_parse(exact, length, out, error);
    free(exact);
    return rc;
}

static void test_config_values(void **state)
{
    (void)state;
    static const char text[] = "# a guest\n"
                               "name = \"guest_A\"   # its name\n"
                               "usb=1; memory = 512\n"
                               "\n"
                               "vusb = [ 'usbver=2,numports=8', # first\n"
                               "         \"usbver=1\",\n"
                               "       ]\n"
                               "empty=[]\n"
                               "vusb += [ 'numports=2' ]\n"
                               "memory = 1024\n"
                               "odd = 'a\\'b\\\\\\n\\t'";
    struct config config;
    char error[TOOL_ERROR_MAX];
    assert_int_equal(parse(text, strlen(text), &config, error), 0);
    const struct config_value *v = config_find(&config, "name");
    assert_non_null(v);
    assert_false(v->is_list);
    assert_string_equal(v->items[0], "guest_A");
    assert_string_equal(config_find(&config, "memory")->items[0], "1024"); /* the later one */
    v = config_find(&config, "vusb");
    assert_true(v->is_list);
    assert_int_equal(v->nr_items, 3);
    assert_string_equal(v->items[1], "usbver=1");
    assert_string_equal(v->items[2], "numports=2");
    assert_int_equal(v->line, 9);
    assert_int_equal(config_find(&config, "empty")->nr_items, 0);
    assert_string_equal(config_find(&config, "odd")->items[0], "a'b\\\n\t");
    assert_null(config_find(&config, "nam"));
    config_dispose(&config);
}

static void test_config_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"name", "line 1: a line is NAME = VALUE"},
        {"\n\nname 'x'", "line 3: a line is NAME = VALUE"},
        {"= 1", "NAME = VALUE"},
        {"9a = 1", "NAME = VALUE"},
        {"a =", "a value is"},
        {"a = word", "a value is"},
        {"a = -", "a value is"},
        {"a = 7up", "a value is"},
        {"a = 0xg", "a value is"},
        {"a = 'x", "without its closing quote"},
        {"a = 'x\n'", "without its closing quote"},
        {"a = '\\q'", "an escape"},
        {"a = '\\", "an escape"},
        {"a = [ 'x'", "without its ]"},
        {"a = [", "without its ]"},
        {"a = [ 'x' 'y' ]", "without a ,"},
        {"a = [[1]]", "a value is"},
        {"a = [ , ]", "a value is"},
        {"a = 1 2", "something behind"},
        {"a = 'x' b = 'y'", "something behind"},
        {"a + 1", "NAME = VALUE"},
        {"a = 1\nb = 'x\n", "line 2: "},
        {"\x01\xff", "NAME = VALUE"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1",
         "NAME = VALUE"},
    };
    struct config config;
    char error[TOOL_ERROR_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (parse(rows[i].text, strlen(rows[i].text), &config, error) == 0)
            fail_msg("taken: %s", rows[i].text);
        if (!strstr(error, rows[i].says) || strchr(error, '\n'))
            fail_msg("%s: said %s", rows[i].text, error);
        assert_int_equal(config.nr_values, 0);
    }
    assert_true(parse("a = 'x\0y'", 9, &config, error) < 0);
    assert_non_null(strstr(error, "zero byte"));
}

/* Every beginning of a config, and one with every byte changed, is read or refused. */
static void test_config_cut_and_changed(void **state)
{
    (void)state;
    static const char text[] = "vusb = [ 'usbver=2,port_1=1-8', \"a\\n\" ]; b += [1]\n# c\nname='x'\n";
    struct config config;
    char error[TOOL_ERROR_MAX];
    char copy[sizeof(text)];
    for (size_t n = 0; n < sizeof(text); n++) {
        (void)parse(text, n, &config, error);
        config_dispose(&config);
        for (unsigned int byte = 0; byte < 256; byte++) {
            memcpy(copy, text, sizeof(text));
            copy[n] = (char)byte;
            int rc = parse(copy, sizeof(text) - 1, &config, error);
            assert_true(rc == 0 || error[0]);
            config_dispose(&config);
        }
    }
}

static int guest(const char *text, struct guest_config *out, char *error)
{
    return guest_config_parse(text, strlen(text), false, out, error);
}

static void test_config_guest(void **state)
{
    (void)state;
    static struct guest_config c;
    char error[TOOL_ERROR_MAX];
    assert_int_equal(
        guest("name = 'guest_A'\nmemory = 512\n"
              "vusb = [ 'usbver=2,numports=8,port_1=1-8,port_4=2-1.3', 'usbver=1,numports=16' ]\n"
              "usbctrl = [ \"type=qusb,version=2,ports=4\", \"version=1, ports=2\", \"\" ]\n"
              "usbdev = [ \"type=hostdev,hostbus=1,hostaddr=5,controller=2,port=3\",\n"
              "           \"hostbus=2,hostaddr=7\" ]\n",
              &c, error),
        0);
    assert_string_equal(c.name, "guest_A");
    assert_false(c.hvm || c.usb);
    assert_int_equal(c.nr_vusb, 2);
    assert_string_equal(c.vusb[0].busid[4], "2-1.3");
    assert_string_equal(c.vusb[0].busid[2], "");
    assert_int_equal(c.vusb[1].version, 1);
    assert_int_equal(c.nr_usbctrl, 3);
    assert_int_equal(c.usbctrl[0].type, CONTROLLER_QUSB);
    assert_int_equal(c.usbctrl[1].version, 1);
    assert_int_equal(c.usbctrl[2].ports, 8);
    assert_int_equal(c.usbctrl[2].version, 2);
    assert_int_equal(c.nr_usbdev, 2);
    assert_true(c.usbdev[0].has_controller && c.usbdev[0].has_port && !c.usbdev[1].has_controller);
    assert_int_equal(c.usbdev[1].address, 7);
}

static void test_config_hvm(void **state)
{
    (void)state;
    static struct guest_config c;
    char error[TOOL_ERROR_MAX];
    assert_int_equal(guest("builder='hvm'\nusb=1\nusbdevice='tablet'", &c, error), 0);
    assert_true(c.hvm && c.usb);
    assert_int_equal(c.nr_usbdevices, 1);
    assert_int_equal(guest("type='hvm'\nusbdevice=['tablet','host:4.6','host:1234:abCD']", &c, error), 0);
    assert_true(c.usb); /* implied */
    assert_int_equal(c.nr_usbdevices, 3);
    assert_int_equal(c.usbdevices[1].kind, USBDEVICE_HOST_ADDRESS);
    assert_int_equal(c.usbdevices[1].bus, 4);
    assert_int_equal(c.usbdevices[1].address, 6);
    assert_int_equal(c.usbdevices[2].kind, USBDEVICE_HOST_ID);
    assert_int_equal(c.usbdevices[2].product, 0xabcd);
    assert_string_equal(c.usbdevice_text[2], "host:1234:abCD");
}

static void test_config_guest_refused(void **state)
{
    (void)state;
    static struct guest_config c;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"name = '7'", "line 1: '7' is no name"},
        {"name = ['a']", "one value"},
        {"type = 'vm'", "Invalid domain type 'vm'"},
        {"vusb = 'usbver=2'", "vusb is a list"},
        {"\nvusb = ['usbver=3']", "line 2: Invalid vusb option: usbver"},
        {"vusb = ['numports=32']", "Invalid vusb option: numports"},
        {"vusb = ['numports=4,port_5=1-2']", "Invalid vusb option: port_5: the controller has 4 ports"},
        {"vusb = ['port_1=nonsense']", "Invalid Busid 'nonsense'"},
        {"vusb = ['frogs=1']", "Invalid vusb option: frogs=1"},
        {"usbctrl = ['type=frog']", "Invalid usb controller type 'frog'"},
        {"usbctrl = ['frog=1']", "Unknown string `frog=1' in usbctrl spec"},
        {"usbctrl = ['version=3']", "must be 1 or 2"},
        {"usbctrl = ['ports=32']", "limited to 31"},
        {"usbdev = ['frog=1']", "Unknown string `frog=1' in usbdev spec"},
        {"usbdev = ['type=frog,hostbus=1,hostaddr=2']", "Invalid usb device type: frog"},
        {"usbdev = ['hostbus=1,hostaddr=2,port=3']", "USB controller must be specified if you specify port"},
        {"usbdev = ['hostbus=1']", "hostbus=<busnum> and hostaddr=<devnum> are needed"},
        {"usbdev = ['hostbus=1,hostaddr=2,controller=0']", "there is no controller 0"},
        {"usbctrl=['ports=2']\nusbdev = ['hostbus=1,hostaddr=2,controller=0,port=3']", "has 2 ports"},
        {"type='hvm'\nusb=2", "line 2: Invalid usb '2'"},
        {"usb=1", "for HVM guests"},
        {"type='hvm'\nusbdevice='frog'", "usbdevice 'frog'"},
        {"type='hvm'\nusb=1\nusbversion=2", "cannot be enabled with usb and/or usbdevice"},
        {"usbversion=4", "must be between 1 and 3"},
        {"spiceusbredirection=5", "must be between 1 and 4"},
    };
    char error[TOOL_ERROR_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (guest(rows[i].text, &c, error) == 0)
            fail_msg("taken: %s", rows[i].text);
        if (!strstr(error, rows[i].says) || strchr(error, '\n'))
            fail_msg("%s: said %s", rows[i].text, error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_values),
        cmocka_unit_test(test_config_refused),
        cmocka_unit_test(test_config_cut_and_changed),
        cmocka_unit_test(test_config_guest),
        cmocka_unit_test(test_config_hvm),
        cmocka_unit_test(test_config_guest_refused),
    };
    return cmocka_run_group_tests_name("toolstack: config files", tests, NULL, NULL);
}
