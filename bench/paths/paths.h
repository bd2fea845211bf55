/* SPDX-License-Identifier: MIT */
/* The paths there are; table.c puts them in order. */
#ifndef BENCH_PATHS_PATHS_H
#define BENCH_PATHS_PATHS_H

#include "bench/path.h"

extern const struct bench_path bench_pvusb_block, bench_pvusb_spin, bench_pvusb_one, bench_pvusb_map,
    bench_pvusb_copy;
extern const struct bench_path bench_direct;
extern const struct bench_path bench_memcpy, bench_eventfd, bench_cacheline;
extern const struct bench_path bench_usbip, bench_usbredir;
extern const struct bench_path bench_qemu_uhci, bench_qemu_ehci, bench_qemu_xhci;
extern const struct bench_path bench_qemu_pvusb;
extern const struct bench_path bench_uhci_model;
extern const struct bench_path bench_qemu_uhci_disk, bench_qemu_ehci_disk;

#endif
