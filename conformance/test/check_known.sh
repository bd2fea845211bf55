#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares what fails with a peer with what is known to fail.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: check_known.sh PROGRAM PEER KNOWN [SELECTOR...]

Runs the cases with that peer and compares those that fail or die with the lines of KNOWN: "ID # requirement: what
came". Every failing case has a line there, and every line is of a case that fails.

Exit codes: 0 the same, 1 a difference, each named; 2 usage; 77 a package is missing, which the last line names.
EOT
}

[ $# -ge 3 ] || { usage >&2; exit 2; }
program=$1 peer=$2 known=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

rc=0
"$program" --peer "$peer" --timeout 2 --strict "$@" >"$dir/out" || rc=$?
if grep -q '^ERROR .*install package' "$dir/out"; then
  echo "skip: $(sed -n 's/^ERROR [^:]*: the peer never came: //p' "$dir/out" | head -1)"
  exit 77
fi
if [ "$rc" -gt 1 ]; then
  grep -E '^ERROR' "$dir/out" || true
  echo "$program: exit $rc"
  exit 1
fi
tail -1 "$dir/out"
sed -nE 's/^(FAIL|DIED) +([^:]+):.*/\2/p' "$dir/out" | sort >"$dir/failed"
sed -E 's| *#.*||; /^$/d' "$known" | sort >"$dir/known"
comm -23 "$dir/failed" "$dir/known" >"$dir/new"
comm -13 "$dir/failed" "$dir/known" >"$dir/gone"
while read -r id; do
  echo "fails and is not in $known:"
  sed -n "/^[A-Z]*  *${id//./\\.}: /,/^  reproduce:/p" "$dir/out"
done <"$dir/new"
sed "s|^|in $known, and does not fail: |" "$dir/gone"
[ ! -s "$dir/new" ] && [ ! -s "$dir/gone" ]
