#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: "pvusb backend --peer qemu" as a user runs it: our frontend reads a disk through QEMU, what QEMU dies of is said
# with the command that repeats it, and nothing is left. A frontend that ends while a request is under way, which QEMU may
# die of (LIF-04), takes it back first.
# usage: test_peer_cli.sh PVUSB
set -euo pipefail

pvusb=$1
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

# Each step needs the one before.
fail() {
  echo "FAILED: $*"
  exit 1
}

head -c 1048576 /dev/urandom >"$work/disk.img"
start host 'machine ready' host --dir "$work/m"
host=$started
for round in 1 2; do
  start "qemu$round" 'backend ready.*QEMU, process' \
    backend --xen "fake:$work/m" --guest "$round" --peer qemu \
    --device '1-1=keyboard!descriptor config: nak' --device "1-2=disk:$work/disk.img"
  "$pvusb" frontend --xen "fake:$work/m" --domid "$round" --read 1M >"$work/through" ||
    fail "the frontend ended with $?: $(cat "$work/through")"
  grep -q 'read 1048576 bytes' "$work/through" || fail "through QEMU: $(cat "$work/through")"
  kill -0 "${line##* }" || fail "QEMU died: $(cat "$work/qemu$round.err")"
  if [ $round = 1 ]; then
    kill "$started"
    ended "$started" 0
  else
    kill -SEGV "${line##* }"
    ended "$started" 3
    grep -q 'QEMU was ended by signal 11' "$work/qemu2.err" || fail "it said: $(cat "$work/qemu2.err")"
    grep -q '^It was: .*pvusb-usbfs --device .* -- .*pvusb exec .* -- .*qemu' "$work/qemu2.err" ||
      fail "no command to repeat it: $(cat "$work/qemu2.err")"
  fi
done
start back 'backend ready' backend --xen "fake:$work/m" --guest 3 --device "1-1=disk:$work/disk.img"
back=$started
"$pvusb" frontend --xen "fake:$work/m" --domid 3 --read 1M >"$work/ours" || fail "the frontend at our backend"
grep checksum "$work/through" >"$work/a"
grep checksum "$work/ours" >"$work/b"
cmp -s "$work/a" "$work/b" || fail "through QEMU the disk has other bytes"
kill "$back"
ended "$back" 0
kill "$host"
ended "$host" 0
[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
