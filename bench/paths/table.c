// SPDX-License-Identifier: MIT
#include "bench/paths/paths.h"

#include <stddef.h>

/* clang-format off */
const struct bench_path *const bench_paths[] = {
    &bench_pvusb_block,
    &bench_pvusb_spin,
    &bench_pvusb_one,
    &bench_pvusb_map,
    &bench_pvusb_copy,
    &bench_direct,
    &bench_qemu_pvusb,
    &bench_usbip,
    &bench_usbredir,
    &bench_qemu_xhci,
    &bench_qemu_ehci,
    &bench_qemu_ehci_disk,
    &bench_qemu_uhci,
    &bench_qemu_uhci_disk,
    &bench_uhci_model,
    &bench_memcpy,
    &bench_eventfd,
    &bench_cacheline,
    NULL,
};
/* clang-format on */
