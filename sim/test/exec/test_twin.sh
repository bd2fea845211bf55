#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: a frontend that is written against Xen's headers alone works with `pvusb backend`, again and again, also when
# the one before was killed, and leaves nothing on the machine.
# usage: test_twin.sh PVUSB TWIN
set -euo pipefail

pvusb=$1
twin=$2
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"
dir=$work/m

! ldd "$twin" | grep -q fakexen || fail "the frontend is linked with a library of ours"
start host 'machine ready' host --dir "$dir"
host=$started host_says=$fd
start back 'backend ready' backend --xen "fake:$dir" --guest 1 --device 1-1=disk:16M
back=$started

cat >"$work/expected" <<'END'
connected
plug, speed 3
capacity 16777216
closed
END
# round NAME: one frontend from start to end.
round() {
  local code=0
  "$pvusb" exec --dir "$dir" --domid 1 -- "$twin" >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq 0 ] || fail "$1: exit code $code: $(cat "$work/err")"
  grep -qE '^device [0-9a-f]{4}:[0-9a-f]{4}$' "$work/out" || fail "$1: $(cat "$work/out")"
  grep -qE '^inquiry [^ ]' "$work/out" || fail "$1: $(cat "$work/out")"
  grep -vE '^(device|inquiry) ' "$work/out" | cmp -s - "$work/expected" || fail "$1: $(cat "$work/out")"
}

# killed: one at work dies.
killed() {
  local victim line=
  mkfifo "$work/stay"
  "$pvusb" exec --dir "$dir" --domid 1 -- "$twin" --stay >"$work/stay" &
  victim=$!
  exec {fd}<"$work/stay"
  rm "$work/stay"
  while [ "$line" != staying ] && IFS= read -r -t 60 line <&"$fd"; do :; done
  [ "$line" = staying ] || fail "the one to be killed said: $line"
  kill -9 $victim
  wait $victim 2>/dev/null || true
}

round first
round second
for number in 1 2 3; do
  killed
  round "after dead one $number"
done
kill "$back"
ended "$back" 0
host_ended "$host" "$host_says"
finish
