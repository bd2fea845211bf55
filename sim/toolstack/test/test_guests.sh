#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: guests come from config files with all that these say, follow real hot-plug and the end of the backend, and go
# without a trace.
# usage: test_guests.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

log_of() {
  echo "$PVUSB_DIR/guest/$1.log"
}

start_host ${2:+--xenstored "$2"}
start_backend
head -c 262144 /dev/urandom >"$work/disk.img"
run bus plug 1-2 "disk:$work/disk.img"
run bus plug 1-3 keyboard
run bus plug 2-1.4 composite
run bus plug 2-1.5 serial
before=$(store)

cat >"$work/guest_A.cfg" <<'CFG'
name = "guest_A"
memory = 512   # is no affair of USB
vusb = [ 'usbver=2,numports=8,port_1=1-2,port_4=2-1.4',
         'usbver=1,numports=2' ]
usbctrl = [ "type=qusb,version=2,ports=4" ]
usbdev = [ "type=hostdev,hostbus=1,hostaddr=3,controller=1,port=2", "hostbus=2,hostaddr=4" ]
CFG
same 'guest_A: domain 1' "$(run guest-create "$work/guest_A.cfg" --read 256K)" 'guest-create'
await "$(log_of guest_A)" 'controller 0 port 1: read 262144 bytes, checksum' || fail "the disk was not read"
first=$(grep -o 'checksum .*' "$(log_of guest_A)")
grep -q 'controller 0 port 4: address .*, 1209:0100 "Simulated composite device"' "$(log_of guest_A)" || fail "no composite"
grep -q 'controller 1 port 2: address .*, 1209:0101 "Simulated keyboard"' "$(log_of guest_A)" || fail "no keyboard"
grep -q 'controller 0 port 2: address .*, 1209:0102 "Simulated serial port"' "$(log_of guest_A)" ||
  fail "a device without a port is not on the first free one"
list=$(run guest-list)
[[ $list =~ guest_A\ +1\ +3\ +4\ [0-9]+ ]] || fail "guest-list: $list"
pid=${list##* }

# An empty one beside it; names and devices are given once.
run guest-create --name guest_B >"$work/out"
same 'guest_B: domain 2' "$(cat "$work/out")" 'guest-create --name'
state=$(store)
refused 1 "Domain 'guest_A' already exists with ID '1'" guest-create --name guest_A
echo "vusb = [ 'port_1=1-3' ]" >"$work/twice.cfg"
refused 1 "Cannot assign already attached bus '1-3', detach first" guest-create "$work/twice.cfg" --name guest_C
echo "vusb = [ 'port_1=2-1' ]" >"$work/hub.cfg"
refused 1 'not assignable. 2-1 is a hub' guest-create "$work/hub.cfg" --name guest_C
echo "usbdev = [ 'hostbus=9,hostaddr=9' ]" >"$work/none.cfg"
refused 1 'No device 9 on bus 9' guest-create "$work/none.cfg" --name guest_C
echo "usbctrl = [ 'backend=nobody' ]" >"$work/nobody.cfg"
refused 1 "Domain 'nobody' does not exist" guest-create "$work/nobody.cfg" --name guest_C
refused 1 'Migration not permitted with assigned USB device.' guest-save guest_A "$work/saved"
refused 1 'no memory that could be saved' guest-save guest_B "$work/saved"
[ ! -e "$work/saved" ] || fail "guest-save made a file"
same "$state" "$(store)" 'xenstore after what was refused'
[ ! -e "$(log_of guest_C)" ] || fail "a guest that was refused has a log"

# Real hot-plug: the guest follows each time; elsewhere is somewhere else.
run bus move 1-2 1-2
await "$(log_of guest_A)" 'port 1: read' 2 || fail "a replugged disk was not read"
run bus unplug 1-2
await "$(log_of guest_A)" 'controller 0 port 1: gone' 2 || fail "a disk that was unplugged stayed"
run bus plug 1-4 "disk:$work/disk.img"
run bus plug 1-2 serial
await "$(log_of guest_A)" 'controller 0 port 1: address .*serial port' || fail "what was plugged in instead did not come"
run bus move 1-2 1-5
await "$(log_of guest_A)" 'controller 0 port 1: gone' 3 || fail "a device that moved away stayed"
run bus move 1-4 1-2
await "$(log_of guest_A)" 'port 1: read' 3 || fail "a disk that moved here was not read"
same "$first
$first
$first" "$(grep -o 'checksum .*' "$(log_of guest_A)")" 'what was read'

# The backend ends, killed at that, and another one takes over.
stop_backend KILL
start_backend
await "$(log_of guest_A)" 'port 1: read' 4 || fail "the next backend has no disk for the guest"

# A guest that ends lets go at once.
run guest-destroy guest_A
[ -z "$(readlink "/proc/$pid/exe")" ] || fail "the process of guest_A is still there"
echo "vusb = [ 'port_2=1-2' ]" >"$work/next.cfg"
run guest-create "$work/next.cfg" --name guest_A >"$work/out"
await "$(log_of guest_A)" 'controller 0 port 2: read' || fail "the device did not pass to the next guest"
run guest-destroy guest_A
run guest-destroy 2
refused 1 "Domain 'guest_A' does not exist" guest-destroy guest_A
refused 1 'Domain 0 is the host' guest-destroy 0
same "$before" "$(store)" 'xenstore in the end'

# With nobody to serve it a device does not come, and the guest neither.
stop_backend
state=$(store)
refused 1 "no backend serves controller 0 of 'guest_D': is 'pvusb backend' running in domain 0" \
  guest-create "$work/next.cfg" --name guest_D --timeout 1
same "$state" "$(store)" 'xenstore after that'
run guest-create "$work/next.cfg" --name guest_D --timeout 0 >"$work/out"
start_backend
await "$(log_of guest_D)" 'controller 0 port 2: read' || fail "the backend came, and no device"
run guest-destroy guest_D
stop_backend
stop_host
finish
