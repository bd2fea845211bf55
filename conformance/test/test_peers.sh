#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: any program can be the half under test. Ours stand in for those of others, as commands that find the
# machine by themselves; what is no half at all is told in one line. usage: test_peers.sh BIN
set -uo pipefail
bin=$1
export PVUSB_BIN=$bin

# shellcheck source=conformance/test/expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

conform=$bin/pvusb-conform
probes='--device 1-1=probe --device 1-2=probe --device 1-3=probe --device 1-4=probe'
# shellcheck disable=SC2016 # the suite makes the words of a command
backend=$bin/'pvusb backend --xen fake:$PVUSB_DIR '$probes
# shellcheck disable=SC2016
frontend=$bin/'pvusb frontend --xen fake:$PVUSB_DIR --domid $PVUSB_GUEST --drive'

expect 0 'fail 0  skip 0  died 0  error 0' "$conform" --jobs 8 --strict --peer "$backend"
expect 0 'not applicable' "$conform" --peer "$backend" backend.hotplug.speed.low backend.unlink.order
expect 0 'fail 0  skip 0  died 0  error 0' "$conform" --jobs 8 --strict --role frontend --peer "$frontend" \
  frontend.pipe frontend.status frontend.unlink frontend.iso frontend.hub.reset hostile.frontend.response-id
expect 77 'n/a   backend.unlink.order: peer command has no "device"' "$conform" --without 'iso device' \
  --peer "$backend" backend.unlink.order
expect 0 'pass 1 ' "$conform" --without 'iso device' --peer "$backend" xenbus.backend.init-wait
expect 1 "reproduce: pvusb-conform --timeout 1 --role frontend --peer '" "$conform" --timeout 1 --role frontend --peer "sh -c 'echo drive 1; read x'" \
  frontend.pipe.bulk-in
expect 3 "the first line of a frontend's program is 'drive 1' (DRIVE.md), not 'hello'" \
  "$conform" --role frontend --peer 'echo hello' xenbus.frontend.close
expect 3 'the peer never came: exit 7; words' "$conform" --role frontend --peer "sh -c 'echo words >&2; exit 7'" \
  xenbus.frontend.close
expect 1 'DRIVE.md: no answer to' "$conform" --timeout 1 --role frontend --peer "sh -c 'echo drive 1; sleep 9'" \
  xenbus.frontend.late.backend
# One that is slow and not idle is waited for longer than one wait.
# shellcheck disable=SC2016
work='end=$((${EPOCHREALTIME/./}+1500000)); while ((${EPOCHREALTIME/./}<end)); do :; done'
# shellcheck disable=SC2016
expect 0 'pass 1 ' "$conform" --timeout 1 --peer "bash -c '$work; exec $bin/pvusb backend --xen fake:\$PVUSB_DIR $probes'" \
  xenbus.backend.init-wait
expect 1 'frontend state: expected 4' "$conform" --timeout 1 --role frontend \
  --peer "bash -c 'echo drive 1; read x; $work; while :; do echo ok; read x || exit; done'" xenbus.frontend.late.backend
expect 3 '/none/x: not found' "$conform" --peer /none/x backend.unlink.order
expect 3 'is no simple command' "$conform" --peer 'a | b' backend.unlink.order
expect 1 'the peer died: signal 9, Killed' "$conform" --peer "sh -c 'kill -9 \$\$'" backend.unlink.order
expect 1 'actual:   backend state 1 ' "$conform" --timeout 1 --peer 'sleep 20' xenbus.backend.init-wait
expect 3 'the peer never came: exit 1' "$conform" --role toolstack --peer 'sh -c false' toolstack.backend.state
expect 2 '--role: not backend, frontend or toolstack: nobody' "$conform" --role nobody
expect 2 'nothing selected' "$conform" --role toolstack backend.unlink
exit $failed
