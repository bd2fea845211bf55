/* SPDX-License-Identifier: MIT */
/*
 * The broken halves have rings and xenbus functions of their own: what else is in the program, a toolstack or the
 * other half, goes on with the whole ones. This stands before every source of theirs.
 */
#ifndef CONFORMANCE_BROKEN_OWN_NAMES_H
#define CONFORMANCE_BROKEN_OWN_NAMES_H

#define pvusb_conn_check broken_pvusb_conn_check
#define pvusb_conn_ring broken_pvusb_conn_ring
#define pvusb_iso_check broken_pvusb_iso_check
#define pvusb_pipe_decode broken_pvusb_pipe_decode
#define pvusb_pipe_encode broken_pvusb_pipe_encode
#define pvusb_ring_back_attach broken_pvusb_ring_back_attach
#define pvusb_ring_back_final_check broken_pvusb_ring_back_final_check
#define pvusb_ring_back_init broken_pvusb_ring_back_init
#define pvusb_ring_back_owed broken_pvusb_ring_back_owed
#define pvusb_ring_back_push broken_pvusb_ring_back_push
#define pvusb_ring_back_put broken_pvusb_ring_back_put
#define pvusb_ring_back_take broken_pvusb_ring_back_take
#define pvusb_ring_front_attach broken_pvusb_ring_front_attach
#define pvusb_ring_front_final_check broken_pvusb_ring_front_final_check
#define pvusb_ring_front_free broken_pvusb_ring_front_free
#define pvusb_ring_front_init broken_pvusb_ring_front_init
#define pvusb_ring_front_push broken_pvusb_ring_front_push
#define pvusb_ring_front_put broken_pvusb_ring_front_put
#define pvusb_ring_front_take broken_pvusb_ring_front_take
#define pvusb_urb_decode broken_pvusb_urb_decode
#define pvusb_urb_ring broken_pvusb_urb_ring
#define pvusb_verdict_name broken_pvusb_verdict_name
#define xenbus_error broken_xenbus_error
#define xenbus_read broken_xenbus_read
#define xenbus_read_number broken_xenbus_read_number
#define xenbus_state_name broken_xenbus_state_name
#define xenbus_state_read broken_xenbus_state_read
#define xenbus_state_write broken_xenbus_state_write
#define xenbus_write broken_xenbus_write

#endif
