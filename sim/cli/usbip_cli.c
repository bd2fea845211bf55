// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/kinds.h"
#include "cli/options.h"
#include "cli/usbip_cli.h"
#include "devices/sim_host.h"
#include "process/loop.h"
#include "usbip/client.h"
#include "usbip/list.h"
#include "usbip/server.h"

static const char help_text[] =
    "Usage: pvusb usbip export --device BUSID=KIND... [--port N] [--address A]\n"
    "       pvusb usbip list HOST [--port N]\n"
    "       pvusb usbip import HOST BUSID [--port N] [--read BYTES] [--timeout SECONDS]\n"
    "\n"
    "USB/IP, the protocol of Linux's usbip-host and vhci-hcd, without kernel modules and root.\n"
    "'export' serves simulated devices until it is told to end (Ctrl-C); Linux's\n"
    "'usbip list -r' and 'usbip attach' find them. 'list' says what a server exports. 'import'\n"
    "takes one device, and a small USB core enumerates it and drives it if it is a disk.\n"
    "USB/IP knows no passwords: whoever reaches the port has the devices.\n"
    "\n"
    "  --device BUSID=KIND  a simulated device, for example 1-1=disk:16M\n"
    "  --port N             of the server (default 3240); 'export --port 0' takes any\n"
    "  --address A          to listen at (default 127.0.0.1)\n"
    "  --read BYTES         read so much of the disk (for example 1M), print the checksum\n"
    "                       and end\n"
    "  --timeout SECONDS    how long to wait for the server and the disk (default 10)\n"
    "  --help               this text\n"
    "\n";

static const struct option long_options[] = {
    {"device", required_argument, NULL, 'd'},
    {"port", required_argument, NULL, 'p'},
    {"address", required_argument, NULL, 'a'},
    {"read", required_argument, NULL, 'r'},
    {"timeout", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_option(int c, char **argv, struct usbip_options *options)
{
    int rc = 0;
    switch (c) {
    case 'd':
        if (options->nr_devices == sizeof(options->device) / sizeof(options->device[0]))
            return usage_error("usbip", "more than %u devices", options->nr_devices);
        options->device[options->nr_devices++] = optarg;
        break;
    case 'p':
        rc = parse_number(optarg, 0, 65535, &options->port);
        break;
    case 'a':
        options->address = optarg;
        break;
    case 'r':
        rc = parse_size(optarg, &options->read);
        break;
    case 't':
        rc = parse_number(optarg, 1, 3600, &options->timeout_s);
        break;
    default:
        return usage_error("usbip", "'%s' is not an option or lacks its value; see 'pvusb usbip --help'",
                           argv[optind - 1]);
    }
    return rc ? usage_error("usbip", "'%s' is not a number that this option takes", optarg) : 0;
}

/* ---- export ---- */

static void serve(struct usbip_server *server, int signals)
{
    struct loop loop;
    do {
        int rc = usbip_server_step(server, loop_now_ns());
        if (rc) {
            usage_error("usbip", "%s", strerror(-rc));
            return;
        }
        loop_clear(&loop);
        loop_add(&loop, signals);
        loop_add(&loop, usbip_server_fd(server));
    } while (loop_wait(&loop, usbip_server_deadline(server)) == 0 && !loop_ready(&loop, signals));
}

static int export_devices(const struct usbip_options *options, struct sim_host *sim,
                          struct usbip_server *server)
{
    for (unsigned int i = 0; i < options->nr_devices; i++) {
        char error[KIND_ERROR_MAX], busid[SIM_HOST_BUSID_SIZE];
        if (kind_plug(sim, options->device[i], busid, error))
            return usage_error("usbip", "%s", error);
        int rc = usbip_server_export(server, busid);
        if (rc)
            return usage_error("usbip", "%s: %s", options->device[i], strerror(-rc));
    }
    return 0;
}

static int run_export(const struct usbip_options *options)
{
    struct sim_host *sim;
    struct usbip_server *server;
    uint16_t port;
    if (options->nr_devices == 0)
        return usage_error("usbip", "--device BUSID=KIND is needed: what to export");
    if (sim_host_create(&sim))
        return usage_error("usbip", "out of memory");
    const struct usbip_server_config config = {.host = sim_host_host(sim), .log = print_line};
    int rc = usbip_server_create(&config, &server);
    if (rc) {
        sim_host_destroy(sim);
        return usage_error("usbip", "%s", strerror(-rc));
    }
    int signals = loop_signal_fd();
    int code = export_devices(options, sim, server);
    rc = code ? 0 : usbip_server_listen(server, options->address, (uint16_t)options->port, &port);
    if (rc)
        code = usage_error("usbip", "cannot listen at %s port %u: %s", options->address,
                           (unsigned int)options->port, strerror(-rc));
    if (!code) {
        printf("usbip: %u devices at %s port %u\n", options->nr_devices, options->address, port);
        fflush(stdout);
        serve(server, signals);
    }
    usbip_server_destroy(server);
    sim_host_destroy(sim);
    if (signals >= 0)
        close(signals);
    return code;
}

/* ---- list and import ---- */

static int connect_server(const struct usbip_options *options, int *fd)
{
    int rc =
        usbip_connect(options->host, (uint16_t)options->port, (unsigned int)options->timeout_s * 1000, fd);
    if (!rc)
        return 0;
    usage_error("usbip", "%s port %u: %s", options->host, (unsigned int)options->port,
                rc == -ENOENT ? "no such host" : strerror(-rc));
    return EXIT_PEER;
}

static void print_listed(void *context, const struct usbip_device *device,
                         const struct usbip_interface *interfaces)
{
    static const char *const speeds[] = {"?", "low", "full", "high", "wireless", "super", "super+"};
    unsigned int *count = context;
    ++*count;
    printf("%s: %04x:%04x, %s speed", device->busid, device->vendor, device->product,
           device->speed < 7 ? speeds[device->speed] : "?");
    for (unsigned int i = 0; i < device->nr_interfaces; i++)
        printf("%s %02x/%02x/%02x", i ? "," : ", interfaces", interfaces[i].interface_class,
               interfaces[i].subclass, interfaces[i].protocol);
    printf("\n");
}

static int run_list(const struct usbip_options *options)
{
    unsigned int count = 0;
    int fd, error;
    int code = connect_server(options, &fd);
    if (code)
        return code;
    const char *wrong =
        usbip_list_ask(fd, (unsigned int)options->timeout_s * 1000, print_listed, &count, &error);
    close(fd);
    if (wrong)
        usage_error("usbip", "%s sent %s", options->host, wrong);
    else if (error)
        usage_error("usbip", "%s: %s", options->host,
                    error == -EPIPE ? "the server closed the connection" : strerror(-error));
    else if (count == 0)
        printf("nothing exported\n");
    return wrong || error ? EXIT_PEER : EXIT_AS_EXPECTED;
}

static int run_import(const struct usbip_options *options)
{
    int fd;
    int code = connect_server(options, &fd);
    return code ? code : usbip_import(options, fd);
}

static const struct {
    const char *name;
    unsigned int arguments;
    int (*run)(const struct usbip_options *options);
} actions[] = {
    {"export", 0, run_export},
    {"list", 1, run_list},
    {"import", 2, run_import},
};

int usbip_cli(int argc, char **argv)
{
    struct usbip_options options = {.address = "127.0.0.1", .port = USBIP_PORT, .timeout_s = 10};
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help_text, stdout);
            fputs(kinds_help, stdout);
            fputs(exit_codes_help, stdout);
            return EXIT_AS_EXPECTED;
        }
        int code = take_option(c, argv, &options);
        if (code)
            return code;
    }
    unsigned int given = (unsigned int)(argc - optind);
    for (size_t i = 0; given > 0 && i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(argv[optind], actions[i].name) != 0)
            continue;
        if (given != actions[i].arguments + 1)
            return usage_error("usbip", "%s takes %u arguments, not %u; see 'pvusb usbip --help'",
                               actions[i].name, actions[i].arguments, given - 1);
        options.host = given > 1 ? argv[optind + 1] : NULL;
        options.busid = given > 2 ? argv[optind + 2] : NULL;
        return actions[i].run(&options);
    }
    return usage_error("usbip", "'export', 'list' or 'import' is needed; see 'pvusb usbip --help'");
}
