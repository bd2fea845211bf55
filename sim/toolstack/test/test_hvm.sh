#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: an HVM guest with usb = 1 has an emulated UHCI controller, with devices of its config and of usb-add and usb-del
# at run time, and no device is two guests', whichever way they have it.
# usage: test_hvm.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

log=$work/m/guest/guest_H.log

start_host ${2:+--xenstored "$2"}
start_backend
run bus plug 1-1 disk:64K
run bus plug 1-2 keyboard
run bus plug 1-3 serial
run bus plug 1-4.1 serial
run bus plug 1-5 probe
before=$(store)
run guest-create --name guest_A >"$work/out"
run usb-hc-create guest_A 2 4
await "$work/m/guest/guest_A.log" 'controller 0: connected' || fail "guest_A has no controller"

# A disk of its config, read at full speed; a tablet, which is no device of the host.
cat >"$work/hvm.cfg" <<'CFG'
name = "guest_H"
type = "hvm"
usb = 1
usbdevice = [ "host:1.2", "tablet" ]
CFG
run guest-create "$work/hvm.cfg" --read 64K >"$work/out"
await "$log" 'emulated controller port 1: read 65536 bytes, checksum' || fail "the disk was not read: $(cat "$log")"
await "$log" 'emulated controller port 2: address .*, 1209:0108 "Simulated tablet"' || fail "no tablet: $(cat "$log")"
! run usb-list-assignable-devices | grep -q '^1-1 ' || fail "the disk is assignable"
same 'Emulated controller
port 1: 1-1 [ID 1209:0001 PVUSB Simulated disk]
port 2: [tablet]' "$(run usb-list guest_H)" 'usb-list'
[ -z "$(run usb-list guest_H --compat)" ] || fail "usb-list --compat shows an emulated controller"
same "guest_H            emulated    1 1-1                -         -  PVUSB Simulated disk
guest_H            emulated    2 -                  -         -  tablet
2 guests, 2 controllers, 2 devices, 0 URB/s, 0.00 MB/s" "$(run top | tail -n +2)" 'top'

# Nobody else gets what it has, and it not what others have.
state=$(store)
refused 1 "Cannot assign already attached bus '1-1', detach first: 'pvusb usb-del 2 host:1.2'" usb-attach guest_A 0 1 1-1
refused 1 "Cannot assign already attached bus '1-1', detach first" usbdev-attach guest_A hostbus=1 hostaddr=2
echo "vusb = [ 'port_1=1-1' ]" >"$work/pv.cfg"
refused 1 "Cannot assign already attached bus '1-1', detach first" guest-create "$work/pv.cfg" --name guest_B
printf 'type = "hvm"\nusbdevice = "host:1.2"\n' >"$work/hvm2.cfg"
refused 1 "Cannot assign already attached bus '1-1', detach first" guest-create "$work/hvm2.cfg" --name guest_B
refused 1 'both ports of the emulated controller are taken, by host:1.2 and tablet' usb-add guest_H host:1.3
refused 1 "there is no device 'host:9.9'" usb-add guest_H host:9.9
refused 1 "there is no device 'host:dead:beef'" usb-add guest_H host:dead:beef
refused 1 "there is no device 'host:9.9'" guest-create --name guest_B \
  <(printf 'type = "hvm"\nusb = 1\nusbdevice = "host:9.9"\n')
refused 1 'both ports of the emulated controller are taken' guest-create --name guest_B \
  <(printf 'type = "hvm"\nusbdevice = ["tablet", "tablet", "tablet"]\n')
refused 1 "the guest has no device 'host:1.3'" usb-del guest_H host:1.3
same "$state" "$(store)" 'xenstore after what was refused'

# At run time: del and add, by address and by ids.
run usb-del guest_H host:1.2
await "$log" 'emulated controller port 1: gone' || fail "usb-del, and the disk stayed"
run usb-attach guest_A 0 1 1-1
refused 1 "Cannot assign already attached bus '1-1', detach first: 'pvusb usb-detach 1 0 1'" usb-add guest_H host:1.2
run usb-detach guest_A 0 1
run usb-add guest_H host:1209:0101
await "$log" 'emulated controller port 1: address .*"Simulated keyboard"' || fail "usb-add, and no keyboard"
run usb-del guest_H host:1.3
await "$log" 'emulated controller port 1: gone' 2 || fail "usb-del by another name, and the keyboard stayed"
# A command that nobody waits for leaves its answer, which is in the way of no other.
run usb-add guest_H host:1.3 --timeout 0
await "$log" 'emulated controller: usb-add host:1.3: done' || fail "usb-add without waiting was not done"
refused 1 "there is no device 'host:9.9'" usb-add guest_H host:9.9
run usb-del guest_H host:1.3
# Of two devices with the same ids the one that is free.
run usb-attach guest_A 0 2 1-3
run usb-add guest_H host:1209:0102
await "$log" 'emulated controller: bus: 1-4.1: ' || fail "not the serial port that is free: $(cat "$log")"
await "$log" 'emulated controller port 1: address .*"Simulated serial port"' || fail "usb-add, and no serial port"
run usb-del guest_H host:1209:0102
run usb-detach guest_A 0 2
refused 1 'is a hub; add what is behind it' usb-add guest_H host:1.5
refused 1 "'host:1.7': the device cannot run at full speed" usb-add guest_H host:1.7
run usb-list-assignable-devices | grep -q '^1-5 ' || fail "a device that could not be added is not assignable"

# Real hot-plug: what is pulled out is gone, what is plugged in again comes back, and usb-del works in between.
run usb-add guest_H host:1.2
await "$log" 'emulated controller port 1: read 65536' 2 || fail "the disk was not read again"
run bus move 1-1 1-1
await "$log" 'emulated controller port 1: read 65536' 3 || fail "a replugged disk was not read"
run bus unplug 1-1
await "$log" 'emulated controller port 1: gone' 5 || fail "a disk that was unplugged stayed"
same 'port 1: 1-1 [not plugged in]' "$(run usb-list guest_H | grep 'port 1')" 'usb-list without the disk'
run top | grep -qE '^guest_H +emulated    1 1-1 +- +-  not plugged in$' || fail "top without the disk: $(run top)"
run usb-del guest_H host:1.2
same 'port 1: ' "$(run usb-list guest_H | grep 'port 1')" 'usb-list of an empty port'
run bus plug 1-1 disk:64K
run usb-attach guest_A 0 1 1-1
run usb-detach guest_A 0 1

# The guest ends, killed at that: its device is free, and no node is left.
run usb-add guest_H host:1209:0001
kill -KILL "$(cat "$work/m/guest/guest_H.pid")"
refused 1 'Cannot assign already attached' usb-attach guest_A 0 1 1-1
refused 1 "Timed out waiting for device model action" usb-del guest_H host:1209:0001 --timeout 1
run guest-destroy guest_H
run usb-attach guest_A 0 1 1-1
run usb-detach guest_A 0 1
run guest-destroy guest_A
same "$before" "$(store)" 'xenstore in the end'
stop_backend
stop_host
finish
