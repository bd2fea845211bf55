// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/trace_cli.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"demo", demo_cli, "the whole story in one process, then in two"},
    {"replay", replay_cli, "play recorded USB traffic through frontend, rings and backend"},
    {"trace", trace_cli, "what a recording holds, and what of it fits PVUSB"},
    {"host", host_cli, "a fake Xen machine for processes to join"},
    {"backend", backend_cli, "the driver domain's half, with devices, on such a machine"},
    {"frontend", frontend_cli, "the guest's half, with a small USB core, on such a machine"},
    {"usbip", usbip_cli, "devices over the network, by USB/IP"},
    {"exec", exec_cli, "an unmodified Xen program, run on such a machine"},
    {"usb-hc-create", usb_hc_create_cli, "gives a guest a virtual host controller"},
    {"usb-hc-destroy", usb_hc_destroy_cli, "takes it away"},
    {"usb-attach", usb_attach_cli, "gives a guest a device"},
    {"usb-detach", usb_detach_cli, "takes it away"},
    {"usb-list", usb_list_cli, "a guest's controllers and devices"},
    {"usb-list-assignable-devices", usb_list_assignable_devices_cli, "the devices that nobody has"},
    {"usb-add", usb_add_cli, "gives an HVM guest's emulated controller a device"},
    {"usb-del", usb_del_cli, "takes it away"},
    {"pci-attach", pci_attach_cli, "gives a guest a whole controller, with all that is on its bus"},
    {"pci-detach", pci_detach_cli, "takes it away"},
    {"usbctrl-attach", usbctrl_attach_cli, "the same as xl has it: a controller"},
    {"usbctrl-detach", usbctrl_detach_cli, "its end"},
    {"usbdev-attach", usbdev_attach_cli, "a device, by bus and address"},
    {"usbdev-detach", usbdev_detach_cli, "its end"},
    {"guest-create", guest_create_cli, "makes a guest, from a config file of xl or xm"},
    {"guest-destroy", guest_destroy_cli, "ends one"},
    {"guest-list", guest_list_cli, "lists them"},
    {"guest-save", guest_save_cli, "is refused, as in xm"},
    {"guest-process", guest_process_cli, "the inside of a guest; guest-create starts it"},
    {"top", top_cli, "what goes through the ports of all guests, now"},
    {"bus", bus_cli, "plugs devices into and out of such a machine"},
};

static void help(FILE *out)
{
    fputs("Usage: pvusb VERB [OPTIONS] ...\n\nXen USB paravirtualisation in ordinary processes.\n\n", out);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        fprintf(out, "  %-27s %s\n", verbs[i].name, verbs[i].what);
    fputs("\n'pvusb VERB --help' tells the options of a verb.\n\n", out);
    fputs(exit_codes_help, out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("pvusb: no verb given; see 'pvusb --help'\n", stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return EXIT_AS_EXPECTED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("pvusb " PVUSB_VERSION);
        return EXIT_AS_EXPECTED;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "pvusb: no verb '%s'; see 'pvusb --help'\n", argv[1]);
    return EXIT_USAGE;
}
