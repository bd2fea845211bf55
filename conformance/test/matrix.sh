#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes the page of cases by implementations of the results that the tests before this one have left.
# Usage: matrix.sh PROGRAM DIR; the results are DIR/PEER-*.json, the page is DIR/index.html and DIR/MATRIX.md.
set -euo pipefail
program=$1 dir=$2
titles=([0]='Reference, in process' [1]='Reference, as processes' [2]='QEMU 7.2')
peers=(inproc process qemu)
files=()
for i in "${!peers[@]}"; do
  for file in "$dir/${peers[i]}"-*.json; do
    [ ! -e "$file" ] || files+=("${titles[i]}=$file")
  done
done
if [ ${#files[@]} -eq 0 ]; then
  echo "skip: no results in $dir; the tests conform_inproc_*, conform_process_* and conform_qemu leave them there"
  exit 77
fi
"$program" --matrix "$dir" "${files[@]}"
echo "$dir/index.html: $(grep -c '^<tr><td title=' "$dir/index.html") cases, ${#files[@]} files with results"
