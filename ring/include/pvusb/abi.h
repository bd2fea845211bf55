/* SPDX-License-Identifier: MIT */
/*
 * The wire layout of PVUSB, taken from Xen's own headers and pinned here.
 * Nothing is retyped; a header that disagrees does not compile.
 */
#ifndef PVUSB_ABI_H
#define PVUSB_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ring.h leaves the barriers to its user, except for an interface so old that nobody means it. */
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif
#ifndef xen_mb
#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

#include <xen/io/usbif.h>

#define PVUSB_PAGE_SIZE       4096u
#define PVUSB_URB_RING_SLOTS  16u
#define PVUSB_CONN_RING_SLOTS 512u
#define PVUSB_RING_ORDER_MAX  4u   /* of an URB ring of more pages, which is an extension: 16 pages */
#define PVUSB_PORTS_MAX       31u  /* usbif.h USBIF_MAX_PORTNR */
#define PVUSB_SEGMENTS_MAX    16u  /* usbif.h USBIF_MAX_SEGMENTS_PER_REQUEST */
#define PVUSB_ADDRESS_MAX     127u /* USB 2.0 section 9.4.6 */
#define PVUSB_URB_LENGTH_MAX  65536u
#define PVUSB_ISO_PACKETS_MAX 256u /* descriptors in one page (rule ISO-08) */

/*
 * The isochronous packet descriptor is not in usbif.h: every frontend sends Linux's
 * struct usb_iso_packet_descriptor (rule ISO-02).
 */
struct pvusb_iso_desc {
    uint32_t offset;
    uint32_t length;
    uint32_t actual_length;
    int32_t status;
};

static_assert(sizeof(struct usbif_urb_request) == 148, "usbif.h: URB request");
static_assert(sizeof(struct usbif_urb_response) == 16, "usbif.h: URB response");
static_assert(sizeof(struct usbif_conn_request) == 2, "usbif.h: connection request");
static_assert(sizeof(struct usbif_conn_response) == 4, "usbif.h: connection response");
static_assert(sizeof(struct pvusb_iso_desc) == 16, "rule ISO-02");
static_assert(offsetof(struct usbif_urb_request, nr_buffer_segs) == 2, "usbif.h");
static_assert(offsetof(struct usbif_urb_request, pipe) == 4, "usbif.h");
static_assert(offsetof(struct usbif_urb_request, transfer_flags) == 8, "usbif.h");
static_assert(offsetof(struct usbif_urb_request, buffer_length) == 10, "usbif.h");
static_assert(offsetof(struct usbif_urb_request, u) == 12, "usbif.h");
static_assert(offsetof(struct usbif_urb_request, seg) == 20, "usbif.h");
static_assert(sizeof(struct usbif_request_segment) == 8, "usbif.h");
static_assert(offsetof(struct usbif_urb_response, status) == 4, "usbif.h");
static_assert(offsetof(struct usbif_urb_response, actual_length) == 8, "usbif.h");
static_assert(offsetof(struct usbif_urb_response, error_count) == 12, "usbif.h");
static_assert(sizeof(union usbif_urb_sring_entry) == 148, "ring.h: slot of the URB ring");
static_assert(sizeof(union usbif_conn_sring_entry) == 4, "ring.h: slot of the connection ring");
static_assert(offsetof(struct usbif_urb_sring, req_prod) == 0, "ring.h");
static_assert(offsetof(struct usbif_urb_sring, req_event) == 4, "ring.h");
static_assert(offsetof(struct usbif_urb_sring, rsp_prod) == 8, "ring.h");
static_assert(offsetof(struct usbif_urb_sring, rsp_event) == 12, "ring.h");
static_assert(offsetof(struct usbif_urb_sring, ring) == 64, "ring.h");
static_assert(offsetof(struct usbif_conn_sring, ring) == 64, "ring.h");
static_assert(USB_URB_RING_SIZE == PVUSB_URB_RING_SLOTS, "ring.h: 16 URB slots in a page");
static_assert(USB_CONN_RING_SIZE == PVUSB_CONN_RING_SLOTS, "ring.h: 512 connection slots in a page");
static_assert(USBIF_MAX_PORTNR == PVUSB_PORTS_MAX, "usbif.h");
static_assert(USBIF_MAX_SEGMENTS_PER_REQUEST == PVUSB_SEGMENTS_MAX, "usbif.h");

#endif
