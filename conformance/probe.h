/* SPDX-License-Identifier: MIT */
/*
 * The probe device as a case talks to it: in band, by vendor requests through the backend under test, so that it
 * works with every peer that has it on its bus (sim/devices/probe.h is the device).
 */
#ifndef CONFORMANCE_PROBE_H
#define CONFORMANCE_PROBE_H

#include "conform.h"
#include "devices/probe_protocol.h"

/* The next transfer on that endpoint (with bit 7 for IN) does so; n as the action says. Calls queue up. */
void probe_script(struct conform *t, uint8_t endpoint, enum probe_action action, uint32_t n);
/* What all transfers do for which no script is left. */
void probe_default(struct conform *t, uint8_t endpoint, enum probe_action action, uint32_t n);
/* Lets held transfers of the endpoint go on. */
void probe_release(struct conform *t, uint8_t endpoint);
/* What reached the device since probe_clear(): the entries in order of their end; returns how many. */
unsigned int probe_log(struct conform *t, struct probe_entry *entries, unsigned int max);
/* Forgets log and scripts. */
void probe_clear(struct conform *t);
/* The bytes that an IN endpoint sends are PROBE_BYTE(endpoint, position in its stream since probe_clear()). */
void probe_pattern(uint8_t endpoint, uint32_t position, void *data, uint32_t size);
/* The device goes from its bus after so many ms. "replug" */
void probe_unplug(struct conform *t, uint16_t after_ms);
/* A probe device of that USBIF_SPEED_* comes to the peer's bus, or goes from it, at once. "replug", "speeds" */
void probe_plug(struct conform *t, const char *busid, uint8_t speed);
/* The same, of a device that says that it is a hub. "hub" */
void probe_plug_hub(struct conform *t, const char *busid);
void probe_pull(struct conform *t, const char *busid);

#endif
