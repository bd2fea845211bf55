#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: `pvusb host --xenstored genuine` is a whole machine: a backend and a frontend meet in it and move data, Debian's
# tools speak with it as domain 0 and as a guest with a guest's rights, nothing is left at its end, and a xenstored that
# is missing or dies is said in one line.
# usage: test_xenstored.sh PVUSB
set -euo pipefail

pvusb=$1
genuine=/usr/lib/xen-4.17/bin/xenstored
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"
dir=$work/m

# expect CODE TEXT COMMAND...: all that it says, as a regular expression.
expect() {
  local code=$1 text=$2 said rc=0
  shift 2
  said=$("$@" 2>&1) || rc=$?
  [ $rc -eq "$code" ] || fail "$*: exit code $rc, not $code: $said"
  [[ $said =~ ^$text$ ]] || fail "$*: said '$said', not '$text'"
}

as() {
  local domid=$1
  shift
  "$pvusb" exec --dir "$dir" --domid "$domid" -- "$@"
}

# ---- without xenstored ----

expect 2 "pvusb host: xenstored: $work/none: No such file or directory" "$pvusb" host --dir "$dir" --xenstored "$work/none"
expect 2 "pvusb host: --xenstored 'other' is neither own nor genuine nor a path" "$pvusb" host --dir "$dir" --xenstored other
expect 3 "pvusb host: xenstored has ended with exit code 0" "$pvusb" host --dir "$dir" --xenstored /bin/true
[ ! -e "$dir" ] || fail "a machine that never was has left $dir"
if [ ! -x $genuine ]; then
  expect 2 "pvusb host: xenstored: $genuine: .*; it is in Debian's package xen-utils-4.17" \
    "$pvusb" host --dir "$dir" --xenstored genuine
  [ $failures -eq 0 ] || exit 1
  echo "skip: package xen-utils-4.17 is missing"
  exit 77
fi
command -v xenstore-watch >/dev/null || { echo "skip: package xenstore-utils is missing"; exit 77; }

# ---- a whole machine ----

start host "machine ready" host --dir "$dir" --xenstored genuine
host=$started said=$fd
start back "backend ready" backend --xen "fake:$dir" --guest 1 --device 1-1=disk:16M
backend=$started
expect 0 '.*read 1048576 bytes.*' "$pvusb" frontend --xen "fake:$dir" --domid 1 --read 1M
expect 0 '1' as 1 xenstore-read domid
expect 0 '/local/domain/1/domid = "1"   \(n0,r1\)' bash -c "'$pvusb' exec --dir '$dir' --domid 0 -- xenstore-ls -fp | grep '1/domid'"
expect 1 ".*couldn't read path /tool/xenstored" as 1 xenstore-read /tool/xenstored
expect 1 '.*' as 1 xenstore-write name mine
expect 0 '' as 1 xenstore-write data/x mine
expect 0 'mine' as 0 xenstore-read /local/domain/1/data/x
expect 1 ".*Operation not permitted.*" as 1 xenstore-chmod data n0
kill "$backend"
ended "$backend" 0
host_ended "$host" "$said"
[ ! -e "$dir" ] || fail "the host has left $dir"

# ---- xenstored is killed ----

start host "machine ready" host --dir "$dir" --xenstored genuine
kill -TERM "$(ps -o pid= --ppid "$started")"
code=0
wait "$started" || code=$?
[ $code -eq 3 ] || fail "the host ended with exit code $code when xenstored was killed"
[ "$(cat "$work/host.err")" = "pvusb host: xenstored was killed by signal 15 (Terminated)" ] || fail "$(cat "$work/host.err")"
[ ! -e "$dir" ] || fail "the host without its xenstored has left $dir"

# ---- the host is killed: xenstored ends by itself, and the next host begins anew ----

start host "machine ready" host --dir "$dir" --xenstored genuine
xenstored=$(ps -o pid= --ppid "$started")
kill -KILL "$started"
wait "$started" 2>/dev/null || true
timeout 60 tail --pid="${xenstored// /}" -f /dev/null || fail "xenstored goes on without its host"
start host "machine ready" host --dir "$dir" --xenstored genuine
kill "$started"
wait "$started" || fail "the host after a dead one ended with exit code $?"

finish
