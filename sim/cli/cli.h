/* SPDX-License-Identifier: MIT */
/*
 * The verbs of pvusb. Each gets its own argv (argv[0] is the verb) and returns the exit code.
 *
 * stdout carries what was asked for, stderr one line per error; JSON and pcap go to files.
 */
#ifndef SIM_CLI_CLI_H
#define SIM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum exit_code {
    EXIT_AS_EXPECTED = 0,
    EXIT_CHECK_FAILED = 1,
    EXIT_USAGE = 2,     /* usage, unreadable input, nothing selected */
    EXIT_PEER = 3,      /* the peer never came or died */
    EXIT_SKIPPED = 77,
};

int demo_cli(int argc, char **argv);
int replay_cli(int argc, char **argv);
int host_cli(int argc, char **argv);
int backend_cli(int argc, char **argv);
int frontend_cli(int argc, char **argv);
int usbip_cli(int argc, char **argv);
int exec_cli(int argc, char **argv);
int bus_cli(int argc, char **argv);
int top_cli(int argc, char **argv);
int usb_hc_create_cli(int argc, char **argv);
int usb_hc_destroy_cli(int argc, char **argv);
int usb_attach_cli(int argc, char **argv);
int usb_detach_cli(int argc, char **argv);
int usb_list_cli(int argc, char **argv);
int usb_list_assignable_devices_cli(int argc, char **argv);
int pci_attach_cli(int argc, char **argv);
int pci_detach_cli(int argc, char **argv);
int usb_add_cli(int argc, char **argv);
int usb_del_cli(int argc, char **argv);
int usbctrl_attach_cli(int argc, char **argv);
int usbctrl_detach_cli(int argc, char **argv);
int usbdev_attach_cli(int argc, char **argv);
int usbdev_detach_cli(int argc, char **argv);
int guest_create_cli(int argc, char **argv);
int guest_destroy_cli(int argc, char **argv);
int guest_list_cli(int argc, char **argv);
int guest_save_cli(int argc, char **argv);
int guest_process_cli(int argc, char **argv);

/* "pvusb VERB: " and the message on stderr; returns EXIT_USAGE. */
int usage_error(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The folder of the libraries that take the place of Debian's libxen*: ../lib/xen of our own, both in a build tree and
 * where pvusb is installed. An exit code, after its message.
 */
int find_xen_libraries(const char *verb, char *out, size_t size);

/* The text that all verbs end their --help with. */
extern const char exit_codes_help[];

#endif
