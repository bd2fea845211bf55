#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ring/ needs nothing of the system: its objects, compiled plainly, may leave no
# symbol undefined but memcpy, memset and their own. Usage: test_pure.sh RING_DIR
set -euo pipefail

dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
tried=0
for compiler in "${CC:-cc}" gcc clang; do
  command -v "$compiler" >/dev/null || continue
  for level in -O0 -O2 -O3; do
    objects=()
    for source in "$dir"/*.c; do
      object=$work/$(basename "$source" .c).o
      "$compiler" "$level" -std=gnu17 -fno-stack-protector -U_FORTIFY_SOURCE -I"$dir/include" -c "$source" -o "$object"
      objects+=("$object")
    done
    nm -g "${objects[@]}" | awk 'NF == 3 { print $3 }' | sort -u >"$work/own"
    printf '%s\n' memcpy memset >>"$work/own"
    foreign=$(nm -u "${objects[@]}" | awk '$1 == "U" { print $2 }' | sort -u | grep -vxFf "$work/own" || true)
    if [ -n "$foreign" ]; then
      echo "$compiler $level: ring/ uses:" $foreign
      failed=1
    fi
    tried=$((tried + 1))
  done
done
echo "$tried builds of ${#objects[@]} objects looked at"
exit $failed
