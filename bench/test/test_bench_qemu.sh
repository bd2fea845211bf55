#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is counted of QEMU's PVUSB backend, which says nothing of itself: each URB with data is mapped and unmapped once, and
# nobody sends more than one event for it; METHOD.md says which copies there are.
set -euo pipefail

bench=$1
command -v jq >/dev/null || { echo "skip: package jq is not installed"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/pvusb-bench-XXXXXX")
trap 'rm -rf "$dir"' EXIT

code=0
"$bench" bulk-bw ctrl-lat --paths qemu-pvusb --rounds 1 --millis 20 --json "$dir/a.json" >"$dir/out" 2>&1 || code=$?
[ $code != 77 ] || { echo "skip: $(sed -n 's/^ *qemu-pvusb *not here: *//p' "$dir/out")"; exit 77; }
[ $code = 0 ] || { echo "FAILED: exit code $code"; cat "$dir/out"; exit 1; }

# At the two ends of a measurement a side may still be about to send its event for what the other has seen. On a busy
# machine one may see the other awake, and send none.
jq -e '.paths."qemu-pvusb" | . as $p | ["seq-read", "ctrl-rtt"] |
    all($p[. + ".maps_per_urb"] == [2]) and
    all($p[. + ".urbs"][0] as $urbs | $p[. + ".notifications_per_urb"][0] * $urbs | . > 0 and . < 2 * $urbs + 2.5) and
    any($p[. + ".notifications_per_urb"][0] >= 1.2)' "$dir/a.json" >/dev/null ||
  { echo "FAILED: what is counted of each URB"; cat "$dir/out"; exit 1; }
jq -e '.paths."qemu-pvusb" | ."seq-read.copies_per_byte" == [4] and ."ctrl-rtt.copies_per_byte" == [5]' "$dir/a.json" >/dev/null ||
  { echo "FAILED: copies"; cat "$dir/out"; exit 1; }
