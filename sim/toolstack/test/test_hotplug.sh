#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: a device passes from guest to guest at once, however the first one lost it: detached, its controller destroyed,
# its process killed, its domain ended. Guests of others and backends in driver domains are served, too.
# usage: test_hotplug.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

log_of() {
  echo "$PVUSB_DIR/guest/$1.log"
}

process_of() {
  cat "$PVUSB_DIR/guest/$1.pid"
}

start_host ${2:+--xenstored "$2"}
start_backend
run bus plug 1-1 disk:256K
run bus plug 1-2 keyboard
for guest in guest_A guest_B; do
  run guest-create --name $guest >"$work/out"
  run usb-hc-create $guest 2 4
done

# To and fro; each command ends when it is so, so nothing is in between.
for i in 1 2 3 4 5; do
  run usb-attach guest_A 0 1 1-1
  run usb-detach guest_A 0 1
  run usb-attach guest_B 0 2 1-1
  run usb-detach guest_B 0 2
done
same 5 "$(grep -c 'controller 0 port 1: address' "$(log_of guest_A)")" 'how often guest_A had it'
same 5 "$(grep -c 'controller 0 port 2: gone' "$(log_of guest_B)")" 'how often guest_B lost it'

# The controller goes, with the device on it.
run usb-attach guest_A 0 1 1-1
run usb-hc-destroy guest_A 0
run usb-attach guest_B 0 2 1-1
await "$(log_of guest_A)" 'port 1: gone' 6 || fail "guest_A did not lose it with its controller"
run usb-hc-create guest_A 2 4

# The guest's process dies; its domain stays, and the device is taken from it all the same.
kill -KILL "$(process_of guest_B)"
run usb-detach guest_B 0 2 --timeout 60
run usb-attach guest_A 0 3 1-1
refused 1 "guest 'guest_B' has not connected its controller 0" usb-attach guest_B 0 1 1-2 --timeout 1
same 1 "$("$pvusb" usb-list-assignable-devices | grep -c '^1-2 ')" 'what was not had in time is free'
list=$(run guest-list)
[[ $list =~ guest_B\ +2\ +1\ +0\ - ]] || fail "guest-list after its process died: $list"

# The domain ends.
run guest-destroy guest_A
run guest-destroy guest_B
run guest-create --name guest_C >"$work/out"
run usb-hc-create guest_C 2 4
run usb-attach guest_C 0 1 1-1

# A device that the guest cannot use goes back; so does one that takes itself off, without a phantom.
run bus plug 1-3 'keyboard!descriptor device times 0: stall'
refused 1 "guest 'guest_C' cannot use 1-3: it says 'failed" usb-attach guest_C 0 2 1-3
run bus plug 1-4 'keyboard!ep 0 after 3: disconnect'
refused 1 "guest 'guest_C' has not found 1-4 on port 2 of controller 0 within 1 s" usb-attach guest_C 0 2 1-4 --timeout 1
same '' "$("$pvusb" usb-list guest_C | grep '1-[34]' || true)" 'what is left on the ports'

# A backend in a driver domain, told by --backend and by backend=.
run guest-create --name drivers --no-process >"$work/out"
run usb-hc-create guest_C 2 2 --backend drivers
refused 1 "no backend serves controller 1 of 'guest_C': is 'pvusb backend' running in domain" \
  usb-attach guest_C 1 1 1-2 --timeout 1
refused 1 'backend type not supported by device model' usbctrl-attach guest_C backend=drivers
drivers=$("$pvusb" guest-list | awk '$1 == "drivers" { print $2 }')
start drivers 'backend ready in domain' backend --dir "$PVUSB_DIR" --domid "$drivers" --verbose
driver_backend=$started
run usb-attach guest_C 1 1 1-2
grep -q 'controller 1 port 1: address .*, 1209:0101' "$(log_of guest_C)" || fail "the driver domain's device did not come"
list=$(run usb-list guest_C | grep -A 1 '^1 ')
[[ $list =~ /local/domain/$drivers/backend/vusb ]] || fail "usb-list: $list"
refused 1 "Don't support adding USB device from non-Dom0 backend" \
  usbdev-attach --compat guest_C hostbus=1 hostaddr=2 controller=1
run usb-detach guest_C 1 1
run usb-hc-destroy guest_C 1
kill "$driver_backend"
ended "$driver_backend" 0
run guest-destroy drivers

# A guest whose frontend is somebody else's.
run guest-create --name other --no-process >"$work/out"
other=$("$pvusb" guest-list | awk '$1 == "other" { print $2 }')
run usb-hc-create other 2 2
start other '^connected' frontend --xen "fake:$PVUSB_DIR" --domid "$other"
frontend=$started
run usb-attach other 0 2 1-2
await "$work/other.log" '^port 2: address .*, 1209:0101' || fail "a guest of others did not get it: $(cat "$work/other.log")"
run usb-detach other 0 2
await "$work/other.log" '^port 2: gone' || fail "a guest of others did not lose it"
run usb-hc-destroy other 0
kill "$frontend"
ended "$frontend" 0
run guest-destroy other
run guest-destroy guest_C
stop_backend
stop_host
finish
