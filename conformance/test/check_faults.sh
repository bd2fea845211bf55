#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks the checker: every fault of the broken halves is found by a case, and every case finds a fault.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: check_faults.sh [--jobs N] [--recorded TABLE] PROGRAM FAULTS...

PROGRAM is a pvusb-conform that was linked with the broken halves. Runs all its cases whole, where none may fail, and
then with each fault of the FAULTS files switched on. Prints the table, "fault: case case ...", and on stderr how far it is.

  --jobs N          so many runs at a time (2)
  --recorded TABLE  runs each fault against the first three cases only that TABLE (of an earlier output) has for it, and
                    for every case of TABLE one fault against that case

Exit codes: 0 good, 1 a fault that no case finds, or a case that finds none; each is named. 2 usage.
EOT
}

jobs=2 table=
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --jobs) jobs=$2; shift 2 ;;
    --recorded) table=$2; shift 2 ;;
    -*) usage >&2; exit 2 ;;
    *) break ;;
  esac
done
[ $# -ge 2 ] || { usage >&2; exit 2; }
program=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The cases that fail with fault $1, of those behind it (all without). A death is a failure of its case.
finders() {
  local fault=$1
  shift
  { PVUSB_BROKEN=$fault "$program" --format tap "$@" 2>/dev/null || true; } | sed -n 's/^not ok [0-9]* - \([^ ]*\).*/\1/p'
}

# To a file of its own: a line may be longer than what a pipe takes whole from one of several.
line() {
  printf '%s: %s\n' "$1" "$(finders "$@" | paste -sd ' ')" >"$lines/$1"
  echo
}

# What is to be run: a line for each fault, with the cases or none for all.
plan() {
  if [ -z "$table" ]; then
    printf '%s\n' "${faults[@]}"
    return
  fi
  # Each fault with its first three finders, and with the cases that nothing before has.
  awk -F': ' -v faults="${faults[*]}" '
    BEGIN { n = split(faults, list, " "); for (i = 1; i <= n; i++) known[list[i]] = 1 }
    $1 in known {
      count = split($2, cases, " "); out = $1
      for (i = 1; i <= count; i++) if (i <= 3 || !(cases[i] in had)) { out = out " " cases[i]; had[cases[i]] = 1 }
      print out; seen[$1] = 1
    }
    END { for (i = 1; i <= n; i++) if (!(list[i] in seen)) print list[i] }
  ' "$table"
}

mapfile -t faults < <(sed -n 's/^fault //p' "$@")
mapfile -t cases < <("$program" --list | awk '{ print $1 }')
# A run without a fault names the cases that this peer cannot run; they are nobody's fault.
rc=0
"$program" --format tap >"$dir/whole" 2>&1 || rc=$?
if [ $rc != 0 ]; then
  echo "without a fault $program ends with $rc:" >&2
  grep '^not ok' "$dir/whole" >&2 || true
  exit 1
fi
sed -n 's/^ok [0-9]* - \([^ ]*\) # SKIP.*/\1/p' "$dir/whole" | sort >"$dir/skipped"

# Says on stderr after every 20 lines how many of $1 came.
count() {
  local n=0
  while read -r; do
    [ $((++n % 20)) -ne 0 ] || echo "$n of $1 faults" >&2
  done
}

export -f line finders
export program lines=$dir/lines
mkdir "$lines"
plan >"$dir/plan"
# shellcheck disable=SC2016 # the inner shell expands
xargs -P "$jobs" -L 1 bash -c 'line "$@"' - <"$dir/plan" | count "${#faults[@]}"
sort "$lines"/* >"$dir/table"
cat "$dir/table"

awk -F': ' '$2 == "" { print $1 }' "$dir/table" | sed 's/:$//' >"$dir/survivors"
cut -d: -f2 "$dir/table" | tr ' ' '\n' | sed '/^$/d' | sort -u >"$dir/useful"
printf '%s\n' "${cases[@]}" | sort | comm -23 - "$dir/useful" | comm -23 - "$dir/skipped" >"$dir/idle"
sed 's/^/no case finds fault /' "$dir/survivors" >&2
sed 's/^/no fault is found by case /' "$dir/idle" >&2
echo "# ${#faults[@]} faults, $(wc -l <"$dir/survivors") not found; ${#cases[@]} cases, $(wc -l <"$dir/idle") find none"
[ ! -s "$dir/survivors" ] && [ ! -s "$dir/idle" ]
