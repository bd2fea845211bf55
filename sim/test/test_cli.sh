#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: the programs as a user runs them. Each refusal is one line on stderr, exit code 2, and leaves nothing behind;
# the three programs of a machine find each other, and the demo tells its whole story.
# usage: test_cli.sh PVUSB
set -euo pipefail

pvusb=$1
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

# refused PATTERN ARGUMENT...: exit code 2, nothing on stdout, one line on stderr that matches PATTERN.
refused() {
  local pattern=$1 code=0
  shift
  "$pvusb" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code -eq 2 ] || fail "pvusb $*: exit code $code instead of 2"
  [ ! -s "$work/out" ] || fail "pvusb $*: printed: $(cat "$work/out")"
  [ "$(wc -l <"$work/err")" -eq 1 ] || fail "pvusb $*: not one line: $(cat "$work/err")"
  grep -qE "$pattern" "$work/err" || fail "pvusb $*: said: $(cat "$work/err")"
}

usage_errors() {
  refused 'no verb' # no argument at all
  refused "no verb 'nonsense'" nonsense
  local verb
  for verb in demo replay host backend frontend; do
    refused "option" "$verb" --nonsense
    "$pvusb" "$verb" --help >"$work/out" || fail "$verb --help"
    grep -q 'Exit codes' "$work/out" || fail "$verb --help does not tell the exit codes"
    grep -q "^Usage: pvusb $verb" "$work/out" || fail "$verb --help does not tell the usage"
  done
  "$pvusb" --help | grep -q replay || fail "--help does not list replay"
  "$pvusb" --version | grep -qE '^pvusb [0-9]' || fail "--version"
  refused 'not wanted' demo extra
  refused 'number' demo --seed x
  refused 'no recordings' demo --traces "$work/tmp"
  refused 'needed' host
  refused 'not wanted' host --dir "$work/m" extra
  refused 'fake:DIR is needed' backend
  refused 'fake:DIR is needed' frontend --domid 1
  refused 'takes fake:DIR or real' frontend --xen virtual --domid 1
  refused 'domid N is needed' frontend --xen "fake:$work/m"
  refused 'not a number' frontend --xen "fake:$work/m" --domid 40000
  refused 'not a number' frontend --xen "fake:$work/m" --domid 1x
  refused 'stdout for itself' frontend --xen "fake:$work/m" --domid 1 --drive --read 1M
  refused 'not a number' backend --usb-ver 3
  refused 'not a number' backend --spin 1001
  refused 'not a number' frontend --xen "fake:$work/m" --domid 1 --spin soon
  local pages
  for pages in 0 3 17 32 four -1 ''; do
    refused "'$pages' is not a number" backend --ring-pages "$pages"
    refused "'$pages' is not a number" frontend --xen "fake:$work/m" --domid 1 --ring-pages "$pages"
  done
  refused 'BUSID=KIND' backend --device nonsense
  refused "no device of kind 'mouse'" backend --device 1-1=mouse
  refused 'has no parameter' backend --device 1-1=keyboard:big
  refused "'x': zero takes" backend --device 1-1=zero:x
  refused "'x': probe takes" backend --device 1-1=probe:x
  refused 'not a script' backend --device '1-1=disk:1M!ep 0x81: explode'
  refused 'File exists' backend --device 1-1=audio --device 1-1=serial
  refused 'takes qemu' backend --peer kernel
  refused 'guest DOMID is needed' backend --peer qemu
  refused 'in domain 0' backend --peer qemu --guest 2 --domid 1
  refused 'place on a bus' backend --device 0-1=disk:1M
  refused 'not a size' backend --device 1-1=disk:1000
  refused 'No such file' backend --device "1-1=disk:$work/none/x"
}

no_machine() {
  refused 'no fake Xen machine here; start one with' frontend --xen "fake:$work/none" --domid 1
  refused 'no fake Xen machine here' backend --xen "fake:$work/none"
  : >"$work/file"
  refused 'no fake Xen machine here' frontend --xen "fake:$work/file" --domid 1
  refused 'directory' host --dir "$work/file"
  refused 'No such file' host --dir "$work/none/deeper"
}

# What is there of a file that ends early is played, and the line and the exit code say that it is not all.
truncated_recording() {
  local verb code
  head -c 5000 "${BASH_SOURCE[0]%/*}/traces/hs-enum.pcap" >"$work/cut.pcap"
  for verb in replay "trace info"; do
    code=0
    # shellcheck disable=SC2086 # a verb may be two words
    "$pvusb" $verb "$work/cut.pcap" >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 2 ] || fail "$verb of a truncated file: exit code $code"
    [ "$(cat "$work/err" | wc -l)" -eq 1 ] || fail "$verb of a truncated file: $(cat "$work/err")"
    grep -q 'cut.pcap: ends in the middle of a record' "$work/err" || fail "$verb: $(cat "$work/err")"
  done
}

machine() {
  local dir=$work/m host back
  start host 'machine ready' host --dir "$dir"
  host=$started
  refused 'another host is running here' host --dir "$dir"
  refused 'no domain 7 on this machine' frontend --xen "fake:$dir" --domid 7
  refused 'no domain 9 on this machine' backend --xen "fake:$dir" --domid 9

  start back 'backend ready' backend --xen "fake:$dir" --guest 1 --device 1-1=disk:4M --device 1-2=disk:1M
  back=$started
  local code=0
  "$pvusb" frontend --xen "fake:$dir" --domid 1 --read 4M >"$work/first" || code=$?
  [ $code -eq 0 ] || fail "frontend: exit code $code"
  grep -q 'read 4194304 bytes, checksum' "$work/first" || fail "frontend: $(cat "$work/first")"
  # A second guest process on the same controller, and a fresh backend for a guest that is there: BUS-14, BUS-21.
  "$pvusb" frontend --xen "fake:$dir" --domid 1 --read 4M --spin 50 >"$work/second" || fail "second frontend"
  grep checksum "$work/first" >"$work/a"
  grep checksum "$work/second" >"$work/b"
  cmp -s "$work/a" "$work/b" || fail "the second frontend read something else"
  kill "$back"
  ended "$back" 0
  start back2 'backend ready' backend --xen "fake:$dir" --guest 1 --device 1-1=disk:4M --spin 50 --no-persistent --ring-pages 2
  back=$started
  "$pvusb" frontend --xen "fake:$dir" --domid 1 --read 1M >"$work/third" || fail "frontend at a fresh backend"

  kill "$host"
  ended "$host" 0
  ended "$back" 3
  grep -q 'the machine is gone' "$work/back2.err" || fail "backend: $(cat "$work/back2.err")"
  [ ! -e "$dir" ] || fail "the host left its directory: $(ls -A "$dir")"
}

file_disk() {
  local dir=$work/m2 host back
  head -c 1048576 /dev/urandom >"$work/disk.img"
  start host2 'machine ready' host --dir "$dir"
  host=$started
  start back3 'backend ready' backend --xen "fake:$dir" --guest 1 --device "1-1=disk:$work/disk.img"
  back=$started
  "$pvusb" frontend --xen "fake:$dir" --domid 1 --read 1M >"$work/out" || fail "frontend at a file"
  grep -q 'read 1048576 bytes' "$work/out" || fail "file disk: $(cat "$work/out")"
  kill "$host"
  ended "$host" 0
  ended "$back" 3
}

demo() {
  "$pvusb" demo --seed 7 >"$work/demo" || fail "demo: exit code $?"
  grep -q 'Everything that could be compared came back byte for byte.' "$work/demo" || fail "demo: $(tail -3 "$work/demo")"
  grep -q 'seed 7' "$work/demo" || fail "the demo does not say its seed"
  ! grep -qw NO "$work/demo" || fail "demo: $(grep -w NO "$work/demo")"
  [ "$(grep -c 'checksum .*the same' "$work/demo")" -eq 2 ] || fail "the demo did not read back twice"
}

usage_errors
no_machine
truncated_recording
machine
file_disk
demo
[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
finish
