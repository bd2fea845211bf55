#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs a program in domain 0 of a machine of its own that has the domains 1 and 2, and fails if the machine does not
# end with nothing left open. The program finds MAKE_DOMAINS in $DOMAINS.
# usage: run_in_machine.sh PVUSB MAKE_DOMAINS COMMAND [ARGUMENT]...
set -euo pipefail

pvusb=$1
make_domains=$2
shift 2
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"

start host 'machine ready' host --dir "$work/m"
host=$started said=$fd
"$make_domains" "$work/m" 1 2
code=0
# One that hangs ends before the time of the test does, so that nothing is left of it.
DOMAINS=$make_domains timeout 250 "$pvusb" exec --dir "$work/m" --domid 0 -- "$@" || code=$?
host_ended "$host" "$said"
exit $((code == 0 && failures > 0 ? 1 : code))
