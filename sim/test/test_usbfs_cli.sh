#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pvusb-usbfs as a command: it ends as its command does, refuses what is wrong, and leaves nothing behind.
set -euo pipefail
export LC_ALL=C

usbfs=${1:?usage: test_usbfs_cli.sh PVUSB-USBFS}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

fail() {
  echo "test_usbfs_cli: $*"
  exit 1
}

# $1: exit code; $2: what the one line on stderr says; the rest: arguments.
ends() {
  local code=0 expected=$1 text=$2
  shift 2
  "$usbfs" "$@" >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq "$expected" ] || fail "'$*': exit code $code, not $expected: $(cat "$work/err")"
  if [ -z "$text" ]; then
    [ ! -s "$work/err" ] || fail "'$*' says: $(cat "$work/err")"
  else
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "'$*': not one line: $(cat "$work/err")"
    grep -qF -- "$text" "$work/err" || fail "'$*' says: $(cat "$work/err")"
  fi
  [ -z "$(ls -A "$TMPDIR")" ] || fail "'$*' left $(ls -A "$TMPDIR")"
}

code=0
"$usbfs" -- true 2>"$work/err" || code=$?
if [ $code -eq 77 ]; then
  echo "skip: package umockdev is not installed"
  exit 77
fi

"$usbfs" --help >"$work/out"
grep -q '^Usage: pvusb-usbfs' "$work/out" || fail "--help does not tell the usage"
grep -q 'unplug BUSID' "$work/out" || fail "--help does not tell the commands"
grep -q 'disk:SIZE' "$work/out" || fail "--help does not tell the kinds"

ends 0 '' -- true
ends 0 '' true
ends 7 '' --device 1-1=disk:1M -- sh -c 'exit 7'
ends 2 'no command given' --device 1-1=disk:1M
ends 2 'is not an option' --frob -- true
ends 2 'is not an option' --device
ends 2 'BUSID=KIND' --device nonsense -- true
ends 2 'no device of kind' --device 1-1=mouse -- true
ends 2 'File exists' --device 1-1=audio --device 1-1=audio -- true
ends 2 'No space left' --device 99-1=audio -- true
ends 2 '--control' --control "$work/none/socket" -- true
ends 2 '--control 999' --control 999 -- true
ends 127 'No such file' -- "$work/none"
ends 126 'Permission denied' -- "$work"

# What the command's shell reports is what the command did: 128 and the signal.
exec 3>&2 2>/dev/null # where the shell would tell of the signals
ends 134 'sh was ended by signal 6 (Aborted)' -- sh -c 'kill -ABRT $$'
ends 139 'sh was ended by signal 11' -- sh -c 'kill -SEGV $$'
exec 2>&3 3>&-

# Ended from outside, it ends its command; killed, its command too.
for signal in TERM KILL; do
  mkfifo "$work/pids"
  "$usbfs" -- sh -c 'echo $$ >"$0"; exec tail -f /dev/null' "$work/pids" 2>/dev/null &
  us=$!
  read -r them <"$work/pids"
  kill -$signal $us
  code=0
  wait $us 2>/dev/null || code=$?
  [ $code -eq $((128 + $(kill -l $signal))) ] || fail "after SIG$signal: exit code $code"
  timeout 60 tail --pid="$them" -f /dev/null || fail "the command outlived SIG$signal"
  rm "$work/pids"
done
rm -rf "${TMPDIR:?}"/usbfs-* # of the one that was killed

# The device is where it was said to be, and nothing else is.
"$usbfs" --device 1-1.4=keyboard -- sh -c 'cat /sys/bus/usb/devices/*/devpath; cat /sys/bus/usb/devices/1-1.4/idProduct' \
  >"$work/out"
printf '1.4\n1\n0\n0101\n' | cmp -s - "$work/out" || fail "sysfs says: $(cat "$work/out")"

# A program that everybody has: it asks each device for all it has to say.
if command -v lsusb >/dev/null; then
  "$usbfs" --device 1-1=disk:1M --device 1-2=keyboard --device 1-3=audio -- lsusb -v >"$work/out" 2>/dev/null ||
    fail "lsusb -v: exit code $?"
  for text in 'ID 0*1209:0001' 'Bulk-Only' 'Report Descriptor: (length is 63)' 'bInterfaceProtocol      1 Keyboard' \
    'Synch Type' 'Simulated disk'; do
    grep -q "$text" "$work/out" || fail "lsusb -v does not say '$text'"
  done
fi
