#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: 'pvusb frontend --drive' as conformance/DRIVE.md has it: a device is read through it, and each bad line gets its
# error and changes nothing. usage: test_drive.sh PVUSB
set -euo pipefail

pvusb=$1
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

# answer LINE: into $answer; lines that come by themselves go to $work/done.
answer() {
  printf '%s\n' "$1" >&"${drive[1]}"
  while IFS= read -r -t 60 answer <&"${drive[0]}"; do
    case $answer in
      done*) echo "$answer" >>"$work/done" ;;
      *) return ;;
    esac
  done
  answer=nothing
}

says() { # LINE PATTERN
  answer "$1"
  [[ $answer =~ ^($2)$ ]] || fail "'${1:0:60}' is answered with '${answer:0:60}' instead of '$2'"
}

# until_says LINE PATTERN: asks again until it is answered so; the host's answers to 'sync' take the time.
until_says() {
  local end=$((SECONDS + 60))
  while [ $SECONDS -lt $end ]; do
    answer "$1"
    [[ $answer =~ ^($2)$ ]] && return
    answer sync
  done
  fail "'$1' is never answered '$2', at last '$answer'"
}

until_done() { # PATTERN
  local end=$((SECONDS + 60))
  until grep -qxE "$1" "$work/done" 2>/dev/null; do
    says sync ok
    [ $SECONDS -lt $end ] || break
  done
  grep -qxE "$1" "$work/done" || fail "never said '$1' but $(cat "$work/done" 2>&1)"
}

start host 'machine ready' host --dir "$work/m"
start back 'backend ready' backend --xen "fake:$work/m" --guest 1 --device 1-1=probe
coproc drive { "$pvusb" frontend --xen "fake:$work/m" --domid 1 --drive; }
# shellcheck disable=SC2154 # coproc sets it
drive_pid=$drive_PID
IFS= read -r -t 60 first <&"${drive[0]}" || true
[ "$first" = 'drive 1' ] || fail "the first line is '$first'"

until_says 'hub 2303080001000000 0' 'ok ' # connected: there is a port to power
until_says 'hub a300000001000400 4' 'ok 0105.*' # and the device is there
says 'hub 2303040001000000 0' 'ok '
until_says 'hub a300000001000400 4' 'ok 0305.*' # reset, enabled, high speed
says 'changes' 'ok 2'
says 'write 16 0102ff' 'ok'
says 'read 15 5' 'ok 000102ff00'
says 'submit 0 port=1 device=0 endpoint=0 type=control dir=in length=18 setup=8006000100001200' 'ok'
until_done 'done 0 0 18 0'
says 'read 0 2' 'ok 1201'
# An interrupt endpoint that has nothing to say waits; it is unlinked.
says 'submit 1 port=1 device=0 endpoint=0 type=control dir=out setup=0005030000000000' 'ok'
until_done 'done 1 0 0 0'
says 'submit 2 port=1 device=3 endpoint=9 dir=in length=8' 'ok'
until_done 'done 2 -32 0 0'

# What is wrong, and the errno.
while IFS=' ' read -r errno line; do
  says "$line" "error $errno( .*)?"
done <<'LINES'
-95 nonsense
-22 submit
-22 submit 256 port=1
-22 submit 1 colour=red
-22 submit 1 setup=80
-22 submit 1 setup=8006000100001200ff
-22 submit 1 type=fast
-22 submit 1 port=256
-22 submit 1 length=4294967296
-22 submit 1 offset=262144 length=1 endpoint=1 dir=in
-22 unlink
-22 unlink 1 5
-22 unlink 9 -104
-22 write 0 0
-22 write 0 xx
-22 write 262143 0000
-22 read 0 5000
-22 read 0
-22 hub 00 4
-22 hub a300000001000400
-32 hub a300000009000400 4
-16 reconnect
LINES
says 'close' 'ok'
trap '' PIPE # it may end before the end of that
printf 'x%.0s' {1..20000} 2>/dev/null >&"${drive[1]}" || true
ended "$drive_pid" 3 # a line without end
finish
