#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: a program that waits in xenevtchn_pending() is woken when its machine dies.
# usage: test_machine_gone.sh PVUSB WAIT_FOR_EVENT
set -euo pipefail

pvusb=$1
program=$2
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"

# Each step needs the one before.
fail() {
  echo "FAILED: $*"
  exit 1
}

start host 'machine ready' host --dir "$work/m"
host=$started
start waiter '^waiting$' exec --dir "$work/m" --domid 0 -- "$program"
waiter=$started says=$fd
# It sleeps nowhere else after that line.
until [[ $(</proc/$waiter/stat) =~ \)\ S ]]; do :; done
kill -9 $host
read -r -t 60 line <&"$says" || fail "still waiting"
[ "$line" = "Broken pipe" ] || fail "ended with $line"
wait $waiter || fail "exit code $?"
echo ok
