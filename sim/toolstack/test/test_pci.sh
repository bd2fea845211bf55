#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: a whole controller goes to one guest with all that is on its bus and all that comes, and nobody else gets any of
# it meanwhile; refused while something on it is assigned.
# usage: test_pci.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

log=$work/m/guest/guest_P.log

start_host ${2:+--xenstored "$2"}
start_backend
run bus plug 1-1 keyboard
run bus plug 2-1 disk:256K
run bus plug 2-4.3 serial
before=$(store)
run guest-create --name guest_A >"$work/out"
run usb-hc-create guest_A 2 4
await "$work/m/guest/guest_A.log" 'controller 0: connected' || fail "guest_A has no controller"
run guest-create --name guest_P --read 256K >"$work/out"
printf 'type = "hvm"\nusb = 1\n' >"$work/hvm.cfg"
run guest-create "$work/hvm.cfg" --name guest_H >"$work/out"
run guest-create --name guest_N --no-process >"$work/out"

# Refused while something is assigned, be it a place where nothing is.
run usb-attach guest_A 0 1 2-4.3
state=$(store)
refused 1 "2-4.3 on bus 2 is assigned, detach first: 'pvusb usb-detach 1 0 1'" pci-attach guest_P 2
run usb-detach guest_A 0 1
run usb-attach guest_A 0 1 2-9 >"$work/out"
refused 1 '2-9 on bus 2 is assigned, detach first' pci-attach guest_P 2
run usb-detach guest_A 0 1
run usb-add guest_H host:2.2
refused 1 "2-1 on bus 2 is assigned, detach first: 'pvusb usb-del 3 host:2.2'" pci-attach guest_P 2
run usb-del guest_H host:2.2
refused 1 "'guest_N' has no process" pci-attach guest_N 2
refused 1 'domain 2 does not have the controller of bus 2' pci-detach guest_P 2

# Everything moves.
run pci-attach guest_P 2
await "$log" 'bus 2 port .*: read 262144 bytes, checksum' || fail "the disk was not read: $(cat "$log")"
await "$log" 'bus 2 port .*: address .*"Simulated serial port"' || fail "no serial port: $(cat "$log")"
same '1-1' "$(run usb-list-assignable-devices | sed 's/ .*//')" 'what is assignable'
state=$(store)
refused 1 "is on bus 2, which domain 2 has as a whole: 'pvusb pci-detach 2 2'" usb-attach guest_A 0 1 2-1
refused 1 'is on bus 2, which domain 2 has as a whole' usb-attach guest_A 0 1 2-9
refused 1 'is on bus 2, which domain 2 has as a whole' usbdev-attach guest_A hostbus=2 hostaddr=2
refused 1 'is on bus 2, which domain 2 has as a whole' usb-add guest_H host:2.2
echo "vusb = [ 'port_1=2-1' ]" >"$work/pv.cfg"
refused 1 'is on bus 2, which domain 2 has as a whole' guest-create "$work/pv.cfg" --name guest_B
refused 1 "The controller of bus 2 is domain 2's: 'pvusb pci-detach 2 2'" pci-attach guest_A 2
refused 1 "The controller of bus 2 is domain 2's" pci-attach guest_P 2
refused 1 'domain 1 does not have the controller of bus 2' pci-detach guest_A 2
same "$state" "$(store)" 'xenstore after what was refused'

# Real hot-plug on that bus reaches the guest, on others it does not.
run bus move 2-1 2-1
await "$log" 'bus 2 port .*: read 262144' 2 || fail "a replugged disk was not read"
run bus plug 2-5 keyboard
await "$log" 'bus 2 port .*: address .*"Simulated keyboard"' || fail "what was plugged in did not come"
run bus unplug 2-4
await "$log" 'bus 2 port .*: gone' 2 || fail "what was behind a hub that was unplugged stayed"
run bus plug 1-2 serial
same 'Controller of bus 2
2-1 [ID 1209:0001 PVUSB Simulated disk]
2-5 [ID 1209:0101 PVUSB Simulated keyboard]' "$(run usb-list guest_P)" 'usb-list'
[ -z "$(run usb-list guest_P --compat)" ] || fail "usb-list --compat shows a passed controller"
same "guest_P               bus 2    - 2-1                -         -  PVUSB Simulated disk
guest_P               bus 2    - 2-5                -         -  PVUSB Simulated keyboard
4 guests, 3 controllers, 2 devices, 0 URB/s, 0.00 MB/s" "$(run top | tail -n +2)" 'top'

# A second one for the same guest, and PVUSB beside them.
run usb-attach guest_A 0 2 1-1
refused 1 '1-1 on bus 1 is assigned' pci-attach guest_P 1
run usb-detach guest_A 0 2
run pci-attach guest_P 1
await "$log" 'bus 1 port .*: address .*"Simulated serial port"' || fail "no second controller"
same $'Controller of bus 1\nController of bus 2' "$(run usb-list guest_P | grep '^Controller')" 'usb-list of two'
run pci-detach guest_P 1

# And back: the disk goes on by PVUSB with the same blocks.
run pci-detach guest_P 2
grep -q '^bus 2: let go' "$log" || fail "pci-detach ended before the guest had let go"
run usb-attach guest_A 0 1 2-1
run usb-detach guest_A 0 1

# A guest that is stopped takes nothing; one that is killed keeps it until it is destroyed.
kill -STOP "$(cat "$work/m/guest/guest_P.pid")"
refused 1 "'guest_P' did not take the controller of bus 2 in time, so it is the host's again" \
  pci-attach guest_P 2 --timeout 1
# Who waits for it ends when it is taken away.
"$pvusb" pci-attach guest_P 2 --timeout 60 >"$work/waiting" 2>&1 &
waiting=$!
until store | grep -q '^/pvusb/pci/2 '; do :; done
run pci-detach guest_P 2
ended $waiting 1
grep -q "the controller of bus 2 was taken from 'guest_P' meanwhile" "$work/waiting" ||
  fail "pci-attach said $(cat "$work/waiting")"
kill -CONT "$(cat "$work/m/guest/guest_P.pid")"
run usb-attach guest_A 0 1 2-1
run usb-detach guest_A 0 1
run pci-attach guest_P 2
kill -KILL "$(cat "$work/m/guest/guest_P.pid")"
refused 1 'which domain 2 has as a whole' usb-attach guest_A 0 1 2-1
run pci-detach guest_P 2
run usb-attach guest_A 0 1 2-1
run usb-detach guest_A 0 1
run pci-attach guest_H 2
run guest-destroy guest_H
run usb-attach guest_A 0 1 2-1
for guest in guest_A guest_P guest_N; do
  run guest-destroy $guest
done
same "$before" "$(store)" 'xenstore in the end'
stop_backend
stop_host
finish
