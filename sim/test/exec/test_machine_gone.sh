#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: a program that waits in xenevtchn_pending() is woken when its machine dies.
# usage: test_machine_gone.sh PVUSB WAIT_FOR_EVENT
set -euo pipefail

pvusb=$1
program=$2
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}

mkfifo "$work/host" "$work/said"
"$pvusb" host --dir "$work/m" >"$work/host" &
host=$!
exec {host_says}<"$work/host"
read -r -t 60 line <&"$host_says"
"$pvusb" exec --dir "$work/m" --domid 0 -- "$program" >"$work/said" &
waiter=$!
exec {says}<"$work/said"
read -r -t 60 line <&"$says"
[ "$line" = waiting ] || fail "said $line"
# It sleeps nowhere else after that line.
until [[ $(</proc/$waiter/stat) =~ \)\ S ]]; do :; done
kill -9 $host
read -r -t 60 line <&"$says" || fail "still waiting"
[ "$line" = "Broken pipe" ] || fail "ended with $line"
wait $waiter || fail "exit code $?"
echo ok
