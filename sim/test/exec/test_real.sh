#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: fake_xen/real, the calls of xen_ops.h on Xen's own libraries. No Xen is here, so libraries of the same names and a
# fake machine are below it: a disk is read by a frontend on one in a guest from a backend on one in domain 0, and each
# of them with the other half on our own client. The same with Xen's own xenstored. usage: test_real.sh PVUSB MAKE_DOMAINS
set -euo pipefail

pvusb=$1
make_domains=$2
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"

# session NAME STORE BACKEND FRONTEND: how each half reaches the machine.
session() {
  local name=$1 dir=$work/$1 host back
  local -A on=([real]=real [client]="fake:$dir")
  start "$name-host" 'machine ready' host --dir "$dir" --xenstored "$2"
  host=$started
  "$make_domains" "$dir" 1
  start "$name-back" 'backend ready' exec --dir "$dir" --domid 0 -- "$pvusb" backend --xen "${on[$3]}" --guest 1 \
    --device 1-1=disk:2M --device 1-2=keyboard
  back=$started
  "$pvusb" exec --dir "$dir" --domid 1 -- "$pvusb" frontend --xen "${on[$4]}" --domid 1 --read 1M >"$work/$name.out" \
    2>"$work/$name.err" || fail "$name: frontend: exit code $?: $(cat "$work/$name.err")"
  grep -h '^read 1048576 bytes' "$work/$name.out" >>"$work/sums" || fail "$name: $(cat "$work/$name.out")"
  kill "$back"
  ended "$back" 0
  kill "$host"
  ended "$host" 0
}

for store in own genuine; do
  if [ $store = genuine ] && [ ! -x /usr/lib/xen-4.17/bin/xenstored ]; then
    echo "not with Xen's xenstored: package xen-utils-4.17 is missing"
    continue
  fi
  session "$store-both" $store real real
  session "$store-back" $store real client
  session "$store-front" $store client real
done
[ "$(sort -u "$work/sums" | wc -l)" -eq 1 ] || fail "not all read the same: $(cat "$work/sums")"

# Refusals: one line each.
refused() { # PATTERN COMMAND...
  local pattern=$1 code=0
  shift
  "$@" >"$work/out" 2>&1 </dev/null || code=$?
  [ $code -eq 2 ] || fail "$*: exit code $code instead of 2"
  [ "$(wc -l <"$work/out")" -eq 1 ] || fail "$*: not one line: $(cat "$work/out")"
  grep -qE -e "$pattern" "$work/out" || fail "$*: said $(cat "$work/out")"
}
[ -e /dev/xen ] || refused '--xen real: .*; it needs xenstore' "$pvusb" backend --xen real
start last-host 'machine ready' host --dir "$work/m"
refused 'this is not domain 3' "$pvusb" exec --dir "$work/m" --domid 0 -- "$pvusb" frontend --xen real --domid 3
kill "$started"
ended "$started" 0
finish
