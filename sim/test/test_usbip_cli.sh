#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: `pvusb usbip` as a user runs it: what one process exports, another one lists, imports and reads; each failure is
# one line with its exit code. With `peer`, Debian's usbip lists the same devices.
# usage: test_usbip_cli.sh PVUSB [peer]
set -euo pipefail

pvusb=$1
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

# serve ARGUMENT...: a server at a free port; its pid in $server, the port in $port.
serve() {
  start server '' usbip export --port 0 "$@"
  server=$started port=${line##* }
}

# run CODE ARGUMENT...: stdout in $work/out, stderr in $work/err.
run() {
  local expected=$1 code=0
  shift
  timeout 60 "$pvusb" usbip "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code -eq "$expected" ] || fail "usbip $*: exit code $code instead of $expected: $(cat "$work/out" "$work/err")"
}

# refused CODE PATTERN ARGUMENT...: nothing on stdout, one line on stderr that matches.
refused() {
  local code=$1 pattern=$2
  shift 2
  run "$code" "$@"
  [ ! -s "$work/out" ] || fail "usbip $*: printed: $(cat "$work/out")"
  [ "$(wc -l <"$work/err")" -eq 1 ] || fail "usbip $*: not one line: $(cat "$work/err")"
  grep -qE "$pattern" "$work/err" || fail "usbip $*: said: $(cat "$work/err")"
}

printed() {
  grep -qE "$1" "$work/out" || fail "no '$1' in: $(cat "$work/out")"
}

head -c 3145728 /dev/urandom >"$work/image"

if [ "${2:-}" = peer ]; then
  PATH=$PATH:/usr/sbin
  command -v usbip >/dev/null || { echo "skipped: package usbip is not installed"; exit 77; }
  serve --device "1-1=disk:$work/image" --device 2-1.3=keyboard
  usbip --tcp-port "$port" list -r 127.0.0.1 >"$work/out" 2>"$work/err" || fail "usbip list: $(cat "$work/err")"
  printed '^ *1-1: .*\(1209:0001\)'
  printed '\(08/06/50\)'
  printed '^ *2-1\.3: .*\(1209:0101\)'
  printed '\(03/01/01\)'
  finish
  exit
fi

run 0 --help
printed 'Exit codes'
refused 2 "'export', 'list' or 'import' is needed"
refused 2 "'export', 'list' or 'import' is needed" nonsense
refused 2 'takes 1 arguments, not 0' list
refused 2 'takes 2 arguments, not 1' import localhost
refused 2 "'--nonsense' is not an option" list localhost --nonsense
refused 2 "'65536' is not a number" list localhost --port 65536
refused 2 'what to export' export
refused 2 "no device of kind 'nothing'" export --device 1-1=nothing
refused 2 'cannot listen at 1.2.3 ' export --device 1-1=keyboard --address 1.2.3
refused 3 'Connection refused' list 127.0.0.1 --port 1
refused 3 'Connection refused' import 127.0.0.1 1-1 --port 1

serve --device "1-1=disk:$work/image" --device 2-1.3=keyboard
run 0 list 127.0.0.1 --port "$port"
printed '^1-1: 1209:0001, high speed, interfaces 08/06/50$'
printed '^2-1\.3: 1209:0101, low speed, interfaces 03/01/01$'
for _ in 1 2; do # the device is free again after each
  run 0 import 127.0.0.1 1-1 --port "$port" --read 1M
  printed '^port 1: address 1, 1209:0001 "Simulated disk"$'
  printed '^disk: PVUSB Simulated disk, 6144 blocks of 512 bytes$'
  sum=$(head -c 1048576 "$work/image" | python3 -c '
import sys
h = 14695981039346656037
for b in sys.stdin.buffer.read():
    h = (h ^ b) * 1099511628211 & 0xffffffffffffffff
print(f"{h:016x}")' 2>/dev/null || echo unknown)
  [ "$sum" = unknown ] || printed "^read 1048576 bytes, checksum $sum$"
done
refused 3 '1-9 of 127.0.0.1 is not exported there' import 127.0.0.1 1-9 --port "$port" --read 1M
refused 2 'is not a name that a device can have' import 127.0.0.1 12345678901234567890123456789012 --port "$port"
run 3 import 127.0.0.1 2-1.3 --port "$port" --read 1M --timeout 3
grep -q 'no disk came within 3 s' "$work/err" || fail "no timeout: $(cat "$work/err")"

# One user at a time; and the server dies while a device is in use.
start user 'Simulated keyboard' usbip import 127.0.0.1 2-1.3 --port "$port"
user=$started
refused 3 'has a user already' import 127.0.0.1 2-1.3 --port "$port"
kill -9 "$server"
ended "$user" 3
grep -q 'is gone: the server closed the connection' "$work/user.err" || fail "said: $(cat "$work/user.err")"

# An orderly end by a signal.
serve --device 1-1=keyboard
kill -INT "$server"
ended "$server" 0
finish
