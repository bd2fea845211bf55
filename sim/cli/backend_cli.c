// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fakexen/waitset.h>

#include "backend/backend.h"
#include "bus/hostbus.h"
#include "cli/cli.h"
#include "cli/kinds.h"
#include "cli/options.h"
#include "devices/sim_host.h"
#include "peer/peer.h"
#include "process/loop.h"
#include "toolstack/vusb.h"

#define DEVICES_MAX PVUSB_PORTS_MAX

static const char help_text[] =
    "Usage: pvusb backend --dir DIR\n"
    "       pvusb backend --xen fake:DIR [--guest DOMID] [--device BUSID=KIND]...\n"
    "\n"
    "Is the driver domain of a machine (see 'pvusb host'): usbback with simulated devices,\n"
    "for every guest that has a virtual controller, until it is told to end (Ctrl-C).\n"
    "\n"
    "  --dir DIR             the machine; its devices are those of 'pvusb bus', as they come and go\n"
    "  --xen fake:DIR        the machine, with the devices of --device; --xen real: the Xen\n"
    "                        that this domain runs on\n"
    "  --domid N             the driver domain (default 0)\n"
    "  --guest DOMID         make this guest if it is not there, with one controller\n"
    "                        that has the devices on its ports 1, 2, ...\n"
    "  --usb-ver 1|2         of that controller (default 2)\n"
    "  --device BUSID=KIND   a simulated device, for example 1-1=disk:16M\n"
    "  --peer qemu           QEMU's PVUSB backend in our place, unmodified, for the --guest;\n"
    "                        packages qemu-system-xen and umockdev are needed\n"
    "  --qemu FILE           which QEMU (default PVUSB_QEMU of the environment, or\n"
    "                        " PEER_QEMU ")\n"
    "  --no-persistent       map pages for each request, also when a frontend would keep them\n"
    "                        granted\n"
    "  --ring-pages N        let a frontend's URB ring have up to so many pages: 1, 2, 4, 8 or 16\n"
    "                        (default 8); with 1 nothing of it is offered\n"
    "  --spin USEC           look at the rings for so long after each request before waiting for\n"
    "                        an event (default 0, at most 1000): fast, and a processor is busy\n"
    "  --verbose             say what the driver does\n"
    "  --help                this text\n"
    "\n";

struct options {
    const char *xen;
    const char *dir; /* whose bus has the devices */
    char xen_text[PATH_MAX + 8];
    uint64_t domid;
    uint64_t guest; /* 0: none */
    uint64_t usb_ver;
    const char *device[DEVICES_MAX];
    unsigned int nr_devices;
    bool peer; /* QEMU */
    const char *qemu;
    bool no_persistent;
    uint64_t ring_pages; /* 0: the driver's own choice */
    uint64_t spin_us;
    bool verbose;
    bool help;
};

static int check_peer(const struct options *options)
{
    if (!options->guest)
        return usage_error("backend", "--peer qemu serves one guest: --guest DOMID is needed");
    return options->domid ? usage_error("backend", "--peer qemu runs in domain 0") : 0;
}

static int check_bus(struct options *options)
{
    if (options->xen)
        return usage_error("backend", "--xen and --dir both name the machine: one of them is enough");
    if (options->nr_devices || options->peer)
        return usage_error("backend", "with --dir the devices are those of 'pvusb bus': no --device and no --peer");
    if (strlen(options->dir) >= PATH_MAX)
        return usage_error("backend", "--dir: %s", strerror(ENAMETOOLONG));
    snprintf(options->xen_text, sizeof(options->xen_text), "fake:%s", options->dir);
    options->xen = options->xen_text;
    return 0;
}

static int check(struct options *options)
{
    if (!options->xen && !options->dir)
        options->dir = getenv("PVUSB_DIR");
    int code = options->dir ? check_bus(options) : 0;
    return !code && options->peer ? check_peer(options) : code;
}

static const struct option longs[] = {
    {"dir", required_argument, NULL, 'm'},     {"xen", required_argument, NULL, 'x'},
    {"domid", required_argument, NULL, 'd'},
    {"guest", required_argument, NULL, 'g'},   {"usb-ver", required_argument, NULL, 'u'},
    {"device", required_argument, NULL, 'e'},  {"verbose", no_argument, NULL, 'v'},
    {"peer", required_argument, NULL, 'p'},    {"qemu", required_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},          {"no-persistent", no_argument, NULL, 'M'},
    {"spin", required_argument, NULL, 's'},    {"ring-pages", required_argument, NULL, 'r'},
    {NULL, 0, NULL, 0},
};

static int parse(int argc, char **argv, struct options *options)
{
    int c;
    *options = (struct options){.usb_ver = 2};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        int rc = 0;
        switch (c) {
        case 'm':
            options->dir = optarg;
            break;
        case 'x':
            options->xen = optarg;
            break;
        case 'd':
            rc = parse_number(optarg, 0, DOMID_FIRST_RESERVED - 1, &options->domid);
            break;
        case 'g':
            rc = parse_number(optarg, 1, DOMID_FIRST_RESERVED - 1, &options->guest);
            break;
        case 'u':
            rc = parse_number(optarg, 1, 2, &options->usb_ver);
            break;
        case 'e':
            if (options->nr_devices == DEVICES_MAX)
                return usage_error("backend", "more than %u devices", DEVICES_MAX);
            options->device[options->nr_devices++] = optarg;
            break;
        case 'p':
            if (strcmp(optarg, "qemu") != 0)
                return usage_error("backend", "--peer takes qemu, not '%s'", optarg);
            options->peer = true;
            break;
        case 'q':
            options->qemu = optarg;
            break;
        case 's':
            rc = parse_number(optarg, 0, 1000, &options->spin_us);
            break;
        case 'r':
            rc = parse_ring_pages(optarg, &options->ring_pages);
            break;
        case 'M':
            options->no_persistent = true;
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return usage_error("backend", "'%s' is not an option or lacks its value; see 'pvusb backend --help'",
                               argv[optind - 1]);
        }
        if (rc)
            return usage_error("backend", "'%s' is not a number that this option takes", optarg);
    }
    if (optind < argc)
        return usage_error("backend", "'%s' is not wanted; see 'pvusb backend --help'", argv[optind]);
    return check(options);
}

static int plug(struct sim_host *sim, const char *text)
{
    char error[KIND_ERROR_MAX];
    return kind_plug(sim, text, NULL, error) ? usage_error("backend", "%s", error) : 0;
}

static int make_guest(const struct options *options, struct xen_machine *machine, struct xen *xen)
{
    struct vusb_controller controller = {.kind = "qusb",
                                         .backend = (domid_t)options->domid,
                                         .frontend = (domid_t)options->guest,
                                         .usb_ver = (unsigned int)options->usb_ver,
                                         .num_ports = options->nr_devices ? options->nr_devices : 1};
    int rc = machine->ops->domain_create(machine, controller.frontend);
    if (!rc || rc == -EEXIST || rc == -EPERM) /* on real Xen it was made by another */
        rc = vusb_create(xen, &controller);
    if (rc == -EEXIST)
        rc = 0;
    for (unsigned int i = 0; !rc && i < options->nr_devices; i++) {
        char busid[SIM_HOST_BUSID_SIZE];
        snprintf(busid, sizeof(busid), "%.*s", (int)strcspn(options->device[i], "="), options->device[i]);
        rc = vusb_set_port(xen, &controller, i + 1, busid);
    }
    return rc ? usage_error("backend", "guest %u: %s", controller.frontend, strerror(-rc)) : 0;
}

struct server {
    struct back_driver *driver;
    struct usb_host *usb;
    struct hostbus_follow *bus; /* NULL: devices of the command line */
    struct xen_waitset *set;
    struct xen_waitset_fd signals;
    struct xen_waitset_fd changes; /* of the bus */
};

static bool pending(void *context)
{
    return back_driver_pending(((struct server *)context)->driver);
}

static void poll_rings(void *context, uint64_t now_ns)
{
    struct server *server = context;
    back_driver_poll(server->driver);
    server->usb->ops->step(server->usb, now_ns);
}

static int serve(struct server *server, uint64_t spin_ns)
{
    struct back_driver *driver = server->driver;
    struct usb_host *usb = server->usb;
    const struct loop_spin spin = {.ns = spin_ns, .pending = pending, .poll = poll_rings, .context = server};
    int rc = 0;
    while (!rc && !server->signals.ready) {
        uint64_t now = loop_now_ns();
        rc = back_driver_step(driver, now);
        if (!rc && server->changes.ready) {
            server->changes.ready = false;
            rc = hostbus_follow_step(server->bus);
        }
        if (rc)
            return rc;
        usb->ops->step(usb, now);
        bool more = false;
        if (spin_ns > 0) {
            more = loop_spin(&spin, usb->ops->deadline(usb));
            rc = back_driver_step(driver, now);
        }
        if (!rc)
            rc = xen_waitset_until(server->set, more || back_driver_busy(driver) ? 0 : usb->ops->deadline(usb));
    }
    return rc;
}

static int make_set(struct server *server, int signals)
{
    int rc = xen_waitset_create(&server->set);
    if (!rc)
        rc = xen_waitset_add_fd(server->set, &server->signals, signals);
    if (!rc)
        rc = xen_waitset_add_fd(server->set, &server->changes, server->bus ? hostbus_follow_fd(server->bus) : -1);
    return rc;
}

static int run_driver(const struct options *options, struct sim_host *sim, struct xen_machine *machine)
{
    struct server server = {.usb = sim_host_host(sim)};
    struct back_config config = {.host = server.usb,
                                 .log = print_line,
                                 .quiet = !options->verbose,
                                 .ring_pages = (unsigned int)options->ring_pages,
                                 .buffers = options->no_persistent ? BACK_BUFFERS_MAP : BACK_BUFFERS_BEST};
    const struct hostbus_follow_config follow = {
        .dir = options->dir, .host = sim, .log = options->verbose ? print_line : NULL};
    int signals = loop_signal_fd();
    int rc = options->dir ? hostbus_follow_create(&follow, &server.bus) : 0;
    if (!rc)
        rc = make_set(&server, signals);
    config.set = server.set;
    if (!rc)
        rc = back_driver_create(machine, (domid_t)options->domid, &config, &server.driver);
    if (!rc) {
        printf("backend ready in domain %u\n", (unsigned int)options->domid);
        fflush(stdout);
        rc = serve(&server, options->spin_us * 1000);
    }
    if (rc)
        usage_error("backend", "%s", rc == -EPIPE ? "the machine is gone" : strerror(-rc));
    back_driver_destroy(server.driver);
    hostbus_follow_destroy(server.bus);
    xen_waitset_destroy(server.set);
    if (signals >= 0)
        close(signals);
    return rc ? EXIT_PEER : EXIT_AS_EXPECTED;
}

static int run(const struct options *options, struct sim_host *sim)
{
    struct xen_machine *machine;
    struct xen *xen;
    int code = connect_machine("backend", options->xen, (domid_t)options->domid, &machine, &xen);
    if (code)
        return code;
    if (options->guest)
        code = make_guest(options, machine, xen);
    xen_close(xen);
    if (!code)
        code = run_driver(options, sim, machine);
    disconnect_machine(options->xen, machine);
    return code;
}

/* ---- QEMU in our place ---- */

static int watch_peer(struct peer *peer, int signals)
{
    struct peer_death death;
    struct loop loop;
    while (!peer_poll_death(peer, &death)) {
        loop_clear(&loop);
        loop_add(&loop, signals);
        loop_add(&loop, peer_fd(peer));
        if (loop_wait(&loop, UINT64_MAX) || loop_ready(&loop, signals))
            return EXIT_AS_EXPECTED;
    }
    usage_error("backend", "%s", death.text);
    fprintf(stderr, "It was: %s\n", peer_command_line(peer));
    return EXIT_PEER;
}

static int run_peer(const struct options *options)
{
    struct xen_machine *machine;
    struct xen *xen;
    struct peer *peer = NULL;
    char error[PEER_ERROR_MAX];
    int code = connect_machine("backend", options->xen, 0, &machine, &xen);
    if (code)
        return code;
    const struct peer_config config = {.dir = options->xen + strlen("fake:"),
                                       .guest = (domid_t)options->guest,
                                       .devices = options->device,
                                       .nr_devices = options->nr_devices,
                                       .qemu = options->qemu};
    int signals = loop_signal_fd();
    int rc = peer_qemu_start(&config, &peer, error);
    if (rc) {
        usage_error("backend", "%s", error);
        code = rc == -ENOPKG ? EXIT_SKIPPED : EXIT_PEER;
    } else {
        code = make_guest(options, machine, xen);
    }
    if (!code) {
        printf("backend ready in domain 0: QEMU, process %d\n", (int)peer_qemu_pid(peer));
        fflush(stdout);
        code = watch_peer(peer, signals);
    }
    (void)peer_stop(peer);
    xen_close(xen);
    disconnect_machine(options->xen, machine);
    if (signals >= 0)
        close(signals);
    return code;
}

int backend_cli(int argc, char **argv)
{
    struct options options;
    struct sim_host *sim;
    int code = parse(argc, argv, &options);
    if (code)
        return code;
    if (options.help) {
        fputs(help_text, stdout);
        fputs(kinds_help, stdout);
        fputs(exit_codes_help, stdout);
        return EXIT_AS_EXPECTED;
    }
    if (options.peer)
        return run_peer(&options);
    if (sim_host_create(&sim))
        return usage_error("backend", "out of memory");
    for (unsigned int i = 0; !code && i < options.nr_devices; i++)
        code = plug(sim, options.device[i]);
    if (!code)
        code = run(&options, sim);
    sim_host_destroy(sim);
    return code;
}
