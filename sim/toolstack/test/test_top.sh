#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: 'pvusb top' shows every device that a guest has with what goes through it: much where there is traffic, nothing
# where there is none, '-' for who does not count.
# usage: test_top.sh PVUSB
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

# line NAME PATTERN: in what top has printed there is exactly one such line.
line() {
  [ "$(grep -cE "$1" "$work/top")" -eq 1 ] || fail "not one line '$1': $(cat "$work/top")"
}

start_host
start_backend
run bus plug 1-2 disk:64K
run bus plug 1-3 keyboard
run top >"$work/top"
line '^0 guests, 0 controllers, 0 devices, 0 URB/s, 0\.00 MB/s$'

echo "vusb = [ 'numports=8,port_1=1-2,port_4=1-3' ]" >"$work/busy.cfg"
run guest-create "$work/busy.cfg" --name busy --traffic >/dev/null
echo "vusb = [ 'numports=2,port_2=3-1' ]" >"$work/quiet.cfg"
run guest-create "$work/quiet.cfg" --name quiet --no-process >/dev/null
await "$PVUSB_DIR/guest/busy.log" 'controller 0 port 1: read' || fail "no traffic"

# Between two looks the guest may have had no time to do something, on a busy machine.
until=$((SECONDS + 60))
until run top --count 2 --interval 1 >"$work/both" && grep -qE '^busy +0    1 1-2 +[1-9]' "$work/both"; do
  [ $SECONDS -lt $until ] || break
done
[ "$(grep -c '^Guest  *Controller Port Place  *URB/s  *MB/s  Device$' "$work/both")" -eq 2 ] ||
  fail "not two looks: $(cat "$work/both")"
! grep -q $'\033' "$work/both" || fail "controls of a terminal where there is none"
tail -n 5 "$work/both" >"$work/top"
line '^busy +0    1 1-2 +[1-9][0-9]* +[0-9]+\.[0-9]{2}  PVUSB Simulated disk$'
line '^busy +0    4 1-3 +0 +0\.00  PVUSB Simulated keyboard$'
line '^quiet +0    2 3-1 +- +-  not plugged in$'
line '^2 guests, 2 controllers, 2 devices, [1-9][0-9]* URB/s, [0-9]+\.[0-9]{2} MB/s$'
! grep -qE '^busy .* 0\.00  PVUSB Simulated disk' "$work/top" || fail "no bytes: $(cat "$work/top")"

refused 2 "requires 0 argument" top guest
refused 2 "--count '0' is not a number from 1" top --count 0
refused 2 "--interval '0' is not a number of seconds" top --interval 0
refused 2 "--interval '1.5' is not a number of seconds" top --interval 1.5
run guest-destroy busy
run guest-destroy quiet
[ ! -e "$PVUSB_DIR/guest/busy.usb" ] || fail "a guest that is gone still counts"
run top >"$work/top"
line '^0 guests, 0 controllers, 0 devices, 0 URB/s, 0\.00 MB/s$'
stop_backend
stop_host
finish
