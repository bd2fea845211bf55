#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: Debian's unmodified QEMU runs in `pvusb exec`, offers its PVUSB backend (qusb) and connects to our frontend, and
# leaves nothing; without a machine it ends with one clear line of ours.
# usage: test_qemu.sh PVUSB MAKE_DOMAINS [OPTION OF PVUSB HOST]...
set -euo pipefail

pvusb=$1
make_domains=$2
qemu=/usr/libexec/xen-qemu-system-i386
arguments=(-M xenpv -xen-attach -xen-domid 1 -nodefaults -no-user-config -nographic -monitor none)
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"
dir=$work/m

[ -x $qemu ] || { echo "skip: $qemu is missing: install qemu-system-xen"; exit 77; }
[ "${4:-}" != genuine ] || [ -x /usr/lib/xen-4.17/bin/xenstored ] || { echo "skip: xen-utils-4.17 is missing"; exit 77; }
command -v xenstore-watch >/dev/null || { echo "skip: xenstore-watch is missing: install xenstore-utils"; exit 77; }

dom0() {
  "$pvusb" exec --dir "$dir" --domid 0 -- "$@"
}

# wait_for PATH VALUE: each event of a watch is a reason to look.
wait_for() {
  local watch line
  mkfifo "$work/watch"
  "$pvusb" exec --dir "$dir" --domid 0 -- xenstore-watch "$1" >"$work/watch" &
  watch=$!
  exec {events}<"$work/watch"
  rm "$work/watch"
  while IFS= read -r -t 60 line <&$events; do
    [ "$(dom0 xenstore-read "$1" 2>/dev/null)" != "$2" ] || break
  done
  kill $watch
  wait $watch 2>/dev/null || true
  exec {events}<&-
  [ "$(dom0 xenstore-read "$1")" = "$2" ] || fail "$1 is not $2: $(dom0 xenstore-read "$1")"
}

start host 'machine ready' host --dir "$dir" "${@:3}"
host=$started host_says=$fd
"$make_domains" "$dir" 1
FAKEXEN_LOG=$work/log "$pvusb" exec --dir "$dir" --domid 0 -- $qemu "${arguments[@]}" </dev/null 2>"$work/qemu.err" &
qemu_pid=$!
wait_for /local/domain/0/device-model/1/state running

front=/local/domain/1/device/vusb/0
back=/local/domain/0/backend/qusb/1/0
# All at once, as a toolstack does.
dom0 xenstore-write $front/backend $back $front/backend-id 0 $front/state 1 $back/frontend $front $back/frontend-id 1 \
  $back/online 1 $back/usb-ver 2 $back/num-ports 1 $back/port/1 "" $back/state 1
dom0 xenstore-chmod -r $front n1 r0
dom0 xenstore-chmod -r $back n0 r1
wait_for $back/state 2
start front 'connected: 1 ports' frontend --xen "fake:$dir" --domid 1 --read 1M
wait_for $back/state 4
kill "$started"
wait "$started" || true
wait_for $back/state 6

kill $qemu_pid
wait $qemu_pid || fail "QEMU: exit code $?: $(cat "$work/qemu.err")"
! grep -v 'terminating on signal 15' "$work/qemu.err" || fail "QEMU said that"
[ ! -e "$work/log" ] || fail "QEMU called what the fake does not have: $(cat "$work/log")"
host_ended "$host" "$host_says"

code=0
LD_LIBRARY_PATH=${pvusb%/bin/*}/lib/xen $qemu "${arguments[@]}" </dev/null >"$work/out" 2>&1 || code=$?
[ $code -ne 0 ] || fail "QEMU without a machine: exit code 0"
[ "$(grep -c "start this program with 'pvusb exec'" "$work/out")" -eq 1 ] || fail "QEMU said: $(cat "$work/out")"
finish
