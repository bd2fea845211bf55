#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The benchmark runs, its JSON is as its schema says, its sums are right, and wrong input is one line and exit code 2.
# What the figures are is not looked at.
set -euo pipefail

bench=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v jq >/dev/null || { echo "skip: package jq is not installed"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/pvusb-bench-XXXXXX")
trap 'rm -rf "$dir"' EXIT
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

# What must be true of the JSON; $1 says it, $2 is jq.
holds() {
  jq -e "$2" "$dir/a.json" >/dev/null || fail "$1"
}

# ---- a run ----
paths=${PVUSB_BENCH_PATHS:-pvusb-block,pvusb-spin,pvusb-one,pvusb-map,pvusb-copy,direct,memcpy,eventfd,cacheline}
"$bench" run bulk-bw small-urb ctrl-lat int-lat iso-loss --paths "$paths" --rounds 3 --millis 4 --json "$dir/a.json" --report "$dir/report" >"$dir/out" 2>"$dir/err" ||
  fail "run: exit code $?: $(cat "$dir/err") $(sed -n "/^Not measured/,/^$/p" "$dir/out")"
[ ! -s "$dir/err" ] || fail "run: says on stderr: $(head -n 1 "$dir/err")"
head -n 1 "$dir/out" | grep -q '^Ratios' || fail "ratios do not come first"
grep -q 'direct (model)' "$dir/out" || fail "a model does not say that it is one"

holds "schema and rounds" '.schema == "pvusb-bench/1" and .rounds == 3'
holds "environment" '.environment | has("cpu") and has("kernel") and .wire == "none" and .millis == "4"'
holds "nothing failed" '[.not_measured[] | select(.failed)] == []'
holds "one value for each round" '[.paths[][]] | length > 100 and all(length == 3)'
holds "values are numbers that can be" '[.paths[][][] | select(. != null)] | all(type == "number" and . >= 0)'
holds "three URBs for each read of 60 KiB" '[.paths[] | select(has("seq-read.urbs")) |
  [."seq-read.urbs", ."seq-read.bytes"] | transpose[] | .[0] * 61440 == .[1] * 3] | length > 0 and all'
holds "whole URBs of 60 KiB" '[.paths[] | select(has("full-queue-bulk.bytes")) | ."full-queue-bulk.bytes"[] | . % 61440 == 0] | all'
holds "control: 18 bytes each" '[.paths[] | select(has("ctrl-rtt.bytes") and has("ctrl-rtt.notifications_per_urb")) |
  [."ctrl-rtt.urbs", ."ctrl-rtt.bytes"] | transpose[] | .[0] * 18 == .[1]] | length > 0 and all'
holds "rates are sums over time" '[.paths[] | select(has("seq-read.bytes")) |
  [."seq-read.bytes", ."seq-read.elapsed_s", ."seq-read.mib_per_s"] | transpose[] |
  (.[0] / 1048576 / .[1] - .[2]) / .[2] | fabs < 0.001] | length > 0 and all'
holds "percentiles ascend" '[.paths[] | select(has("ctrl-rtt.p50_us")) |
  [."ctrl-rtt.p50_us", ."ctrl-rtt.p90_us", ."ctrl-rtt.p99_us", ."ctrl-rtt.p999_us", ."ctrl-rtt.max_us"] |
  transpose[] | . == sort] | length > 0 and all'
holds "the median is between" '[.ratios[] | .min <= .median and .median <= .max] | length > 0 and all'
holds "ratios are those of the rounds" '. as $all | {"seq-read": "seq-read.mib_per_s",
    "full-queue-bulk": "full-queue-bulk.mib_per_s", "small-urb": "small-urb.urbs_per_s",
    "ctrl-rtt": "ctrl-rtt.p50_us", "cpu-per-mib": "seq-read.cpu_us_per_mib"} as $metrics |
  [.ratios | to_entries[] | (.key | capture("^(?<p>[^:]*):(?<a>[^/]*)/(?<b>.*)$")) as $k |
    [$all.paths[$k.a][$metrics[$k.p]], $all.paths[$k.b][$metrics[$k.p]]] | transpose | map(.[0] / .[1]) | sort] as $mine |
  [.ratios[] | [.min, .median, .max]] as $theirs | [$mine, $theirs] | transpose |
  all([.[0], .[1]] | transpose | all((.[0] - .[1]) / .[0] | fabs < 0.000001))'
case $paths in
  *pvusb-block*)
    holds "the keys of the ratios" '.ratios | has("full-queue-bulk:pvusb-block/memcpy") and
      has("ctrl-rtt:pvusb-block/eventfd") and has("ctrl-rtt:pvusb-spin/cacheline")'
    holds "no map and one copy with persistent grants" '.paths."pvusb-one" |
      ."full-queue-bulk.copies_per_byte" == [1, 1, 1]'
    holds "a map and an unmap for each URB without" '.paths."pvusb-map" | [."seq-read.urbs", ."seq-read.maps_per_urb"] |
      transpose | all((.[1] - 2) * .[0] | fabs < 0.001)'
    holds "two copies and no map by grant copy, a CBW and a CSW for each command" '.paths."pvusb-copy" |
      ([."seq-read.bytes", ."seq-read.copies_per_byte"] | transpose |
       all((.[1] - 2) * .[0] - .[0] / 61440 * (31 + 13) | fabs < 0.5)) and ."seq-read.maps_per_urb" == [0, 0, 0]'
    ;;
esac

# ---- the frames of UHCI ----
"$bench" bulk-bw --paths uhci-model --rounds 1 --millis 300 --json "$dir/uhci.json" >/dev/null || fail "uhci-model: exit code $?"
jq -e '.paths."uhci-model"."full-queue-bulk.mib_per_s" | all(. > 0 and . < 1.4)' "$dir/uhci.json" >/dev/null ||
  fail "uhci-model moves more than its 1280 bytes per millisecond"
jq -e '.paths."uhci-model" | ."seq-read.copies_per_byte" == [2] and (."seq-read.registers_per_urb" | all(. > 0))' \
  "$dir/uhci.json" >/dev/null || fail "uhci-model does not count copies and registers"

# ---- where the two sides run ----
nr_cpus=$(nproc)
for cpus in one two best; do
  "$bench" ctrl-lat --paths eventfd,cacheline --rounds 1 --millis 1 --cpus $cpus --json "$dir/$cpus.json" >/dev/null ||
    fail "--cpus $cpus: exit code $?"
  jq -e --arg cpus $cpus --argjson n "$nr_cpus" '.environment | (.guest_cpu == .device_cpu) as $blocking |
    (.guest_cpu == .device_cpu_spinning) as $spinning | $blocking == ($n == 1 or $cpus != "two") and
    $spinning == ($n == 1 or $cpus == "one")' "$dir/$cpus.json" >/dev/null || fail "--cpus $cpus is on others"
done

# ---- many devices and guests ----
"$bench" idle-cpu scale --paths direct,pvusb-one --rounds 1 --millis 2 --json "$dir/many.json" >/dev/null ||
  fail "idle-cpu and scale: exit code $?"
jq -e '.paths.direct | ."idle-cpu.devices" == [31] and has("scale-1x31.mib_per_s") and has("scale-16x1.mib_per_s")' \
  "$dir/many.json" >/dev/null || fail "not all devices and guests were there"

# ---- a bus ----
"$bench" bulk-bw --paths direct,usbip-tcp --rounds 2 --millis 30 --wire hs --json "$dir/wire.json" >/dev/null || fail "--wire hs"
jq -e '.environment.wire == "high speed" and ([.paths[]."full-queue-bulk.mib_per_s"] | length == 2 and all(all(. > 1 and . < 51)))' \
  "$dir/wire.json" >/dev/null || fail "--wire hs is faster than 53248000 bytes per second, or a way is not there"

# ---- the page ----
page=$dir/report/index.html
[ -s "$page" ] || fail "no report"
! grep -qiE 'https?://|<script|<link|<img|@import' "$page" || fail "the report needs something else"
[ "$(grep -c '<svg' "$page")" = "$(grep -c '</svg>' "$page")" ] || fail "a plot does not end"
! grep -qE '(nan|inf)"' "$page" || fail "a plot has a place that is no number"

# ---- what it printed, again ----
"$bench" show "$dir/a.json" >"$dir/again" || fail "show: exit code $?"
diff "$dir/out" "$dir/again" >"$dir/diff" || fail "show prints something else: $(head -n 3 "$dir/diff")"
"$bench" show "$dir/a.json" --markdown >"$dir/markdown"
grep -q "^| full-queue-bulk" "$dir/markdown" || fail "show --markdown"
"$bench" show "$dir/a.json" --ratios >"$dir/ratios"
head -n "$(wc -l <"$dir/ratios")" "$dir/out" | diff - "$dir/ratios" >/dev/null || fail "show --ratios prints something else"
! grep -q "^Machine" "$dir/ratios" || fail "show --ratios prints more than ratios"
"$bench" show "$dir/a.json" --ratios --markdown >"$dir/markdown"
grep -q "a CPU each\|the same CPU" "$dir/markdown" || fail "Markdown does not say which CPUs"
jq '.environment.wire = "high speed"' "$dir/a.json" >"$dir/on-a-bus.json"
for form in --ratios --markdown; do
  "$bench" show "$dir/a.json" $form | grep -qi "reached" || fail "show $form says nothing of the gates"
  ! "$bench" show "$dir/on-a-bus.json" $form | grep -qi "reached" || fail "show $form holds a run with a bus to the gates"
done
! grep -q "^Sequential reads" "$dir/markdown" || fail "show --ratios --markdown prints more than ratios"

# ---- comparing, with a known answer ----
"$bench" compare "$here/before.json" "$here/after.json" >"$dir/compared" || fail "compare: exit code $?"
diff "$here/compared.txt" "$dir/compared" || fail "compare says something else"
"$bench" compare --strict "$here/before.json" "$here/before.json" >/dev/null || fail "the same is not the same"
code=0
"$bench" compare --strict "$here/before.json" "$here/after.json" >/dev/null || code=$?
[ $code = 1 ] || fail "compare --strict: exit code $code"

# ---- wrong input ----
# $1: exit code, $2: what the line has in it; then the arguments.
refuses() {
  local expected=$1 text=$2 code=0
  shift 2
  "$bench" "$@" >"$dir/out" 2>"$dir/err" || code=$?
  [ $code = "$expected" ] || fail "$*: exit code $code"
  [ "$(wc -l <"$dir/err")" = 1 ] && grep -qF -- "$text" "$dir/err" || fail "$*: says '$(cat "$dir/err")'"
  [ ! -s "$dir/out" ] || fail "$*: prints something"
}
echo '{"schema":"pvusb-bench/1"}' >"$dir/bad.json"
refuses 2 "'speed'" run speed
refuses 2 "'nothing'" --paths direct,nothing
refuses 2 "''" --paths direct,
refuses 2 "twice" --paths direct,direct
refuses 2 "'0'" --rounds 0
refuses 2 "'1001'" --rounds 1001
refuses 2 "'x'" --millis x
refuses 2 "'-1'" --seconds -1
refuses 2 "'ss'" --wire ss
refuses 2 "'three'" --cpus three
refuses 2 "'--json'" --json
refuses 2 "'--what'" --what
refuses 2 "two FILEs" compare "$dir/a.json"
refuses 2 "too many" compare "$dir/a.json" "$dir/a.json" "$dir/a.json"
refuses 2 "needs a FILE" show
refuses 2 "$dir/none.json" show "$dir/none.json"
refuses 2 "$dir/bad.json" show "$dir/bad.json"
refuses 2 "$dir/bad.json" compare "$dir/a.json" "$dir/bad.json"
"$bench" --help >"$dir/out"
grep -q "^Exit codes" "$dir/out" || fail "--help"
"$bench" --list >"$dir/out"
grep -q "^  direct .*a model" "$dir/out" || fail "--list"
code=0
"$bench" ctrl-lat --paths direct --rounds 1 --millis 1 --json "$dir/no/such.json" >/dev/null 2>"$dir/err" || code=$?
[ $code = 2 ] && grep -q "no/such.json" "$dir/err" || fail "a file that cannot be written: exit code $code"

exit $failed
