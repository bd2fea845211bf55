#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: the suite on machines that were there before: a half that somebody else started, or a program that it starts
# there; on the fake machine, and on Xen's own libraries (no Xen is here: the drop-in ones and a fake machine
# are below them). Afterwards nothing is left. With --all every case, and it says what it runs; else some of each group.
# usage: test_attach.sh BIN MAKE_DOMAINS [--all]
set -uo pipefail
bin=$1 make_domains=$2 all=${3:-} pvusb=$1/pvusb
export PVUSB_BIN=$bin
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=sim/test/programs.sh
. "$here/../../sim/test/programs.sh"

backend_cases=(backend.unlink.order backend.transfer.in xenbus.backend.close hostile.backend.ring.storm)
frontend_cases=(frontend.pipe.bulk-in frontend.grant xenbus.frontend.end.closing hostile.frontend.mapped.first)
[ -z "$all" ] || { backend_cases=(backend xenbus hostile); frontend_cases=(frontend xenbus hostile); }
probes=(--device 1-1=probe --device 1-2=probe --device 1-3=probe --device 1-4=probe)
m=$work/m

# judge RC COMMAND...: the suite's exit code; a failure shows what it said.
judge() {
  local rc=$1 code=0
  shift
  [ -z "$all" ] || echo "$*"
  "$@" >"$work/out" 2>&1 || code=$?
  [ $code -eq "$rc" ] || fail "$*: exit code $code: $(grep -vE "^(pass|known|n/a|skip)? " "$work/out")"
}

inside() { # DOMID COMMAND...
  local domid=$1
  shift
  "$pvusb" exec --dir "$m" --domid "$domid" -- "$@"
}

start host 'machine ready' host --dir "$m"
host=$started host_fd=$fd
"$make_domains" "$m" 1

start back 'backend ready' backend --xen "fake:$m" "${probes[@]}"
judge 0 "$bin/pvusb-conform" --attach "$m" --strict "${backend_cases[@]}"
judge 0 "$bin/pvusb-conform" --xen "fake:$m" --strict backend.unlink.order
kill "$started"
ended "$started" 0

start back-real 'backend ready' exec --dir "$m" --domid 0 -- "$pvusb" backend --xen real "${probes[@]}"
judge 0 inside 0 "$bin/pvusb-conform" --xen real --guest 0 "${backend_cases[@]}"
kill "$started"
ended "$started" 0

# shellcheck disable=SC2016 # the suite makes the words of a command
drive='fake:$PVUSB_DIR --domid $PVUSB_GUEST --drive'
judge 0 "$bin/pvusb-conform" --attach "$m" --role frontend --peer "$pvusb frontend --xen $drive" "${frontend_cases[@]}"
# One case depends on who is faster: a frontend that sees no map is Closed as soon as it is Closing.
judge 0 inside 0 "$bin/pvusb-conform" --xen real --role frontend -x xenbus.frontend.end.state-alone --timeout 2 \
  --known "$here/../known/frontend-real.txt" --strict \
  --peer "$pvusb exec --dir $m --domid 1 -- $pvusb frontend --xen real --domid 1 --drive" "${frontend_cases[@]}"

# One that has nobody above it.
"$pvusb" frontend --xen "fake:$m" --domid 1 >/dev/null &
started=$!
judge 0 "$bin/pvusb-conform" --attach "$m" --role frontend xenbus.frontend.plug.primed
grep -q '^pass 1 ' "$work/out" || fail "a frontend that runs: $(cat "$work/out")"
judge 77 "$bin/pvusb-conform" --attach "$m" --role frontend frontend.pipe
kill "$started"
ended "$started" 0

judge 3 "$bin/pvusb-conform" --attach "$work/none" backend.unlink.order
grep -q "the peer never came: $work/none: " "$work/out" || fail "no machine: $(cat "$work/out")"
judge 3 inside 0 "$bin/pvusb-conform" --xen real backend.unlink.order
grep -q 'this is not domain 1; --guest says which it is' "$work/out" || fail "not this domain: $(cat "$work/out")"
judge 2 "$bin/pvusb-conform" --peer attach
judge 2 "$bin/pvusb-conform" --xen virtual

inside 0 xenstore-ls -f >"$work/tree"
left=$(grep -E '^/local/domain/[0-9]+/(backend/[a-z]+/[0-9]+/[0-9]|device/vusb/[0-9]|error/.*/[0-9]+/[0-9]+ )' "$work/tree" || true)
[ -z "$left" ] || fail "nodes are left: $left"
host_ended "$host" "$host_fd"
finish
