#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: each library of the fake shows what the genuine one of Debian shows, no symbol more and none less, each with its
# version; it has that library's name, and needs nothing of it, nor a sanitizer.
# usage: test_symbols.sh FOLDER
set -euo pipefail

ours=$1
genuine=/usr/lib/$(gcc -print-multiarch)
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# name@version and whether it is a function, or the size of a variable, of what a library defines.
symbols() {
  readelf -W --dyn-syms "$1" |
    awk '$1 ~ /^[0-9]+:$/ && $7 != "UND" && $7 != "ABS" { print $8, $4 == "OBJECT" ? "variable " $3 : "function" }' |
    LC_ALL=C sort
}

# The version nodes in their order, and which inherits which.
versions() {
  readelf -W --version-info "$1" | awk '
    /^Version definition section/ { on = 1 } /^Version needs section/ { on = 0 }
    on && /Name:/ { sub(/.*Name: /, ""); print } on && /Parent/ { sub(/.*Parent/, "Parent"); print }' | tail -n +2
}

lists=$(dirname "${BASH_SOURCE[0]}")/../symbols
for list in "$lists"/*.list; do
  library=${list##*/}
  library=${library%.list}
  [ -e "$genuine/$library" ] || { echo "skip: $genuine/$library is missing: install libxen-dev"; exit 77; }
  difference=$(diff <(symbols "$genuine/$library") <(symbols "$ours/$library")) || fail "$library: symbols: $difference"
  difference=$(diff <(versions "$genuine/$library") <(versions "$ours/$library")) || fail "$library: versions: $difference"
  readelf -d "$ours/$library" | grep -q "soname: \[$library\]" || fail "$library: another SONAME"
  needed=$(readelf -d "$ours/$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so') || true
  [ -z "$needed" ] || fail "$library: needs $needed"
done
[ "$(symbols "$ours/libxenctrl.so.4.17" | wc -l)" -eq 393 ] || fail "libxenctrl: not the 393 symbols of 4.17"

# The lists say what each stub returns, so they must be what their script writes.
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"$lists/update" "$new"
for list in "$new"/*.list; do
  difference=$(diff "$lists/${list##*/}" "$list") || fail "${list##*/}: run fake_xen/shim/symbols/update: $difference"
done
if [ $failures -eq 0 ]; then echo "ok"; else echo "$failures failures"; exit 1; fi
