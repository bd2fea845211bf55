#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The case to copy passes, finds a fault, names requirements that exist, and is short. Usage: test_template.sh PROGRAM TEMPLATE
set -uo pipefail
program=$1 template=$2
# shellcheck source=conformance/test/expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

expect 0 'pass  backend.template.short' "$program" --strict
expect 1 'rsp.actual_length: expected 100 (0x64), actual 512 (0x200)' env PVUSB_BROKEN=backend.actual-is-length "$program"
expect 0 'transfer.short: MUST' "$program" --explain backend.template.short
[[ $("$program" --explain backend.template.short) != *'no such requirement'* ]] || { echo 'FAIL: a requirement'; failed=1; }
lines=$(sed -e '/^ *\/\*.*\*\/$/d' -e '/^ *\/\*/,/\*\//d' -e '/^$/d' -e '/^#include/d' "$template" | wc -l)
[ "$lines" -le 20 ] || { echo "FAIL: the template has $lines lines without its comments, at most 20"; failed=1; }
exit "$failed"
