#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: what known-qemu-7.2 promises on its command line: exit codes, the list, a report with which one bug
# can be shown again; and nothing is left.
# usage: test_known.sh PROGRAM
set -euo pipefail

program=$1
work=$(mktemp -d)
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  cat "$work/out"
  exit 1
}

# expect CODE PATTERN ARGUMENT...
expect() {
  local code=0 wanted=$1 pattern=$2
  shift 2
  "$program" "$@" >"$work/out" 2>&1 || code=$?
  [ $code -eq "$wanted" ] || fail "$*: exit code $code instead of $wanted"
  grep -qE "$pattern" "$work/out" || fail "$*: no '$pattern'"
}

expect 0 '^Usage: known-qemu-7.2' --help
expect 2 '^Usage: known-qemu-7.2' --peer mouse
expect 2 "'mouse' is not a bug known here" mouse
files=$(find "$(dirname "$0")" -name '*-[0-9][0-9]*.c' | wc -l)
expect 0 '^xfr-08 ' --list
[ "$(grep -c '^[a-z]' "$work/out")" -eq "$files" ] || fail "--list does not have all of the $files files"
PVUSB_QEMU=/nonexistent expect 77 '^skip: .*install package qemu-system-xen' ctl-14
code=0
"$program" unl-06 >"$work/out" 2>&1 || code=$?
if [ $code -eq 77 ]; then
  tail -n 1 "$work/out"
  exit 77
fi
expect 0 'QEMU was ended by signal 6 .*core.c.*Assertion' unl-06
expect 0 '^    again: +.*known-qemu-7.2 unl-06$' unl-06
expect 0 '^1 of 1 do not show at our backend$' --peer reference unl-06
# A QEMU without the bug, for it is none.
PVUSB_QEMU=/bin/false expect 1 'unl-06 +QEMU ended with exit code 1' unl-06
[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
