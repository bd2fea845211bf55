#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: with --xen real the commands write the same nodes, with the same owners, as on the machine of --dir: they go
# through Xen's own libraries then (the drop-in ones here, over a fake machine, as there is no Xen).
# usage: test_real.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

# command VERB ARGUMENT...: on the machine, or in its domain 0 as on Xen.
way=fake
command_of() {
  local verb=$1
  shift
  if [ $way = fake ]; then
    run "$verb" "$@"
  else
    (unset PVUSB_DIR; "$pvusb" exec --dir "$work/m" --domid 0 -- "$pvusb" "$verb" --xen real "$@") 2>"$work/err" ||
      fail "$verb --xen real $*: exit code $?: $(cat "$work/err")"
  fi
}

# What both drivers number anew in each connection is left out.
nodes() {
  store | grep -vE '/(urb-ring-ref[0-9]*|conn-ring-ref|event-channel) = |/data/usb' || true
}

# settled STATE: both halves have told it.
settled() {
  local end=$((SECONDS + 60))
  until [ "$(store | grep -cE "/vusb/(1/)?0/state = \"$1\"")" -eq 2 ]; do
    [ $SECONDS -lt $end ] || give_up "the halves never came to state $1: $(store | grep vusb)"
  done
}

# The seeds' session, and what the store holds after each command, into $work/WAY.
session() {
  way=$1
  {
    command_of usb-hc-create guest_A 2 4
    settled 4
    nodes
    command_of usb-list guest_A
    command_of usb-attach guest_A 0 3 1-2
    nodes
    command_of usb-detach guest_A 0 3
    nodes
    command_of usb-hc-destroy guest_A 0
    nodes
    command_of usbctrl-attach guest_A type=qusb version=1 ports=2
    settled_qusb
    nodes
    command_of usbctrl-detach guest_A 0
    nodes
  } >"$work/$1.txt"
}

settled_qusb() {
  local end=$((SECONDS + 60))
  until [ "$(store | grep -cE '/(qusb/1|device/vusb)/0/state = "4"')" -eq 2 ]; do
    [ $SECONDS -lt $end ] || give_up "the halves of a qusb controller never connected"
  done
}

start_host ${2:+--xenstored "$2"}
start_backend
run bus plug 1-2 keyboard
run guest-create --name guest_A >/dev/null
session fake
session real
same "$(cat "$work/fake.txt")" "$(cat "$work/real.txt")" "what the commands leave with --xen real"
grep -q '/local/domain/0/backend/vusb/1/0/port/3 = "1-2"' "$work/real.txt" || fail "nothing was attached"
way=real
(unset PVUSB_DIR; "$pvusb" exec --dir "$work/m" --domid 0 -- "$pvusb" usb-attach --xen real guest_A 0 3 1-2) \
  >"$work/out" 2>"$work/err" && fail "a controller that is not there was attached to"
grep -q "Cannot find device '0' in domain 'guest_A'" "$work/err" || fail "no controller: $(cat "$work/err")"
run guest-destroy guest_A
kill "$back"
ended "$back" 0
stop_host
finish
