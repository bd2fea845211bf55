#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: commands at the same time do not corrupt anything: of those that want the same device or port one wins and the
# others are told; numbers of controllers and domains are given once; a backend that is killed among them changes nothing.
# usage: test_parallel.sh PVUSB [XENSTORED]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

# at_once COMMAND...: all words are one command each, in the background; their exit codes, in order, in $codes.
at_once() {
  local pids=() one i=0
  rm -f "$work"/at_once.*
  for one in "$@"; do
    eval "set -- $one"
    i=$((i + 1))
    "$pvusb" "$@" >"$work/at_once.$i" 2>&1 &
    pids+=($!)
  done
  codes=''
  for one in "${pids[@]}"; do
    i=0
    wait "$one" || i=$?
    codes+=$i
  done
}

count() {
  grep -o "$1" <<<"$2" | wc -l
}

start_host ${2:+--xenstored "$2"}
start_backend
empty=$(store)

# Guests: one of each name, each with a domain of its own.
commands=()
for i in 1 2 3 4 5 6 7 8; do
  commands+=("guest-create --name guest_$i" "guest-create --name same")
done
at_once "${commands[@]}"
same 9 "$(count 0 "$codes")" "how many of 8 different and 8 equal names were given"
same 7 "$(count 1 "$codes")" "how many were refused"
same 10 "$("$pvusb" guest-list | tail -n +2 | awk '{print $2}' | sort -u | wc -l)" 'how many domains have a number'

# Controllers: 12 for one guest, at once.
commands=()
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  commands+=("usb-hc-create guest_1 2 4")
done
at_once "${commands[@]}"
same 000000000000 "$codes" "usb-hc-create, 12 times at once: $(cat "$work"/at_once.*)"
same "$(seq 0 11)" "$("$pvusb" usb-list guest_1 | grep USB2.0 | awk '{print $1}')" 'the numbers of the controllers'

# One device, eight ports of eight guests; one wins.
for i in 2 3 4 5 6 7 8 same; do
  name=guest_$i
  [ "$i" = same ] && name=same
  run usb-hc-create "$name" 2 4
done
run bus plug 1-1 disk:1M
at_once "usb-attach guest_1 0 1 1-1" "usb-attach guest_2 0 1 1-1" "usb-attach guest_3 0 1 1-1" \
  "usb-attach guest_4 0 1 1-1" "usb-attach guest_5 0 1 1-1" "usb-attach guest_6 0 1 1-1" \
  "usb-attach guest_7 0 1 1-1" "usb-attach guest_8 0 1 1-1"
same 1 "$(count 0 "$codes")" "how many guests have the one device: $(cat "$work"/at_once.*)"
same 7 "$(cat "$work"/at_once.* | grep -c "already attached bus '1-1'")" 'how many were told so'

# One port, four devices; one wins. And one after the other by the first that is free.
for i in 1 2 3 4; do
  run bus plug "2-$i" keyboard
done
at_once "usb-attach same 0 4 2-1" "usb-attach same 0 4 2-2" "usb-attach same 0 4 2-3" "usb-attach same 0 4 2-4"
same 1 "$(count 0 "$codes")" "how many devices are on the one port: $(cat "$work"/at_once.*)"
run usb-detach same 0 4
at_once "usbdev-attach same hostbus=2 hostaddr=2" "usbdev-attach same hostbus=2 hostaddr=3" \
  "usbdev-attach same hostbus=2 hostaddr=4" "usbdev-attach same hostbus=2 hostaddr=5"
same 0000 "$codes" "four devices to the first free port: $(cat "$work"/at_once.*)"
same 4 "$("$pvusb" usb-list same | grep -c ': 2-[1-4] ')" 'how many of them are there'

# Detach against detach, destroy against attach: no half.
at_once "usb-detach same 0 1" "usb-detach same 0 1" "usb-detach same 0 1"
same 1 "$(count 0 "$codes")" "how many have detached the one device: $(cat "$work"/at_once.*)"
at_once "usb-hc-destroy same 0" "usb-hc-destroy same 0" "usb-attach same 0 1 2-1" "usb-list same" \
  "usb-list-assignable-devices"
! grep -qE 'by force|Input/output|Invalid' "$work"/at_once.* || fail "destroyed at once: $(cat "$work"/at_once.*)"
left=$("$pvusb" usb-list same)
[ -z "$left" ] || fail "of a controller that was destroyed is left: $left"
same 4 "$("$pvusb" usb-list-assignable-devices | grep -c '^2-')" 'how many devices are free again'

# Who waits for a device to come ends when it is taken away, be it with the controller.
run guest-create --name nobody --no-process >"$work/out"
run usb-hc-create nobody 2 4
for away in 'usb-detach nobody 0 2' 'usb-hc-destroy nobody 0'; do
  "$pvusb" usb-attach nobody 0 2 2-1 --timeout 60 >"$work/waiting" 2>&1 &
  waiting=$!
  until "$pvusb" usb-list nobody | grep -q '^port 2: 2-1 '; do :; done
  # shellcheck disable=SC2086 # a command is its words
  run $away --timeout 1
  ended $waiting 1
  grep -q "2-1 was detached from port 2 of controller 0 of 'nobody' meanwhile" "$work/waiting" ||
    fail "$away: usb-attach said $(cat "$work/waiting")"
done
run guest-destroy nobody

# The backend is killed and started among commands; what they wrote is served by the next one.
run usb-hc-create same 2 4
at_once "usb-attach same 0 1 2-1" "usb-attach same 0 2 2-2"
same 00 "$codes" "two devices: $(cat "$work"/at_once.*)"
stop_backend KILL
"$pvusb" usb-attach same 0 3 2-3 --timeout 60 >"$work/waiting" 2>&1 &
waiting=$!
start_backend
ended $waiting 0
same 3 "$("$pvusb" usb-list same | grep -c ': 2-')" "what is on the ports after: $(cat "$work/waiting")"
await "$PVUSB_DIR/guest/same.log" 'controller 0 port 3: address' || fail "the next backend does not serve port 3"

# All go at once, and nothing of them is left.
commands=()
for i in 1 2 3 4 5 6 7 8; do
  commands+=("guest-destroy guest_$i" "usb-list guest_$i")
done
at_once "${commands[@]}" "guest-destroy same"
for i in 1 2 3 4 5 6 7 8; do
  run bus plug "3-$i" keyboard &
done
wait $(jobs -p | grep -vE "^($host|$back)$") || fail "bus plug at once"
same 8 "$("$pvusb" bus list | grep -c '^3-')" 'how many devices were plugged in at once'
same "$empty" "$(store)" 'xenstore in the end'
stop_backend
stop_host
finish
