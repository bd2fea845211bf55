#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Results as files for programs, many cases at a time, many rounds. Usage: test_reports.sh DUMMY PROGRAM BROKEN
# shellcheck disable=SC2016 # Markdown has its own use of that sign
set -uo pipefail
dummy=$1 program=$2 broken=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=conformance/test/expect.sh
. "$here/expect.sh"
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# Several at a time: the same text as one after the other, though one is slow.
"$dummy" -x dummy.hang >one
"$dummy" -x dummy.hang --jobs 4 >four
cmp one four || failed=1
expect 2 '--jobs: 0' "$dummy" --jobs 0
"$dummy" --jobs 3 --fail-fast dummy.slow dummy.seed dummy.fail dummy.typo -x dummy.none >fast
same 'cases of --fail-fast' 'dummy.fail:' "$(awk '/^(pass|FAIL) / && !/^pass [0-9]/ { print $2 }' fast | paste -sd ' ')"

# Rounds: each with a seed of its own, up to the first that is not good.
expect 1 'FAIL  dummy.seed: expected another seed, it is not so (round 3)' "$dummy" --repeat 10 dummy.seed
expect 1 'reproduce: conform_dummy --peer dummy --seed 0x3 dummy.seed' "$dummy" --repeat 10 dummy.seed
expect 0 'pass  dummy.seed' "$dummy" --repeat 2 dummy.seed
expect 2 '--repeat: x' "$dummy" --repeat x

# A line of progress for who looks on, after two seconds.
if script -qec true /dev/null >/dev/null 2>&1; then # there are machines without pseudo-terminals
  script -qec "'$dummy' --case-limit 3 dummy.pass dummy.hang >progress.out" /dev/null >progress
  grep -q '1 of 2 done, 0 not as expected; now dummy.hang' progress || { echo 'FAIL: no progress'; cat progress; failed=1; }
fi
expect 0 'pass 1 ' "$dummy" dummy.pass

# Files of known failures, written and kept true.
"$dummy" -x dummy.hang --write-known known >/dev/null
expect 0 'known 9  XPASS 0' "$dummy" -x dummy.hang --known known
grep -qxF 'dummy.crash # d.one: the case'"'"'s process died: signal 9' known || failed=1
printf 'dummy.hang # for a reason\ndummy.fail # an old reason\ndummy.pass # not any more\n' >old
"$dummy" -x dummy.hang -x dummy.crash --known old --write-known new >/dev/null
same 'what is kept of a list' 'dummy.fail # an old reason dummy.hang # for a reason' \
  "$(grep -E '^dummy.(fail|hang|pass|crash) ' new | sort | paste -sd ' ')"
expect 2 '--write-known: none/known: No such file or directory' "$dummy" --write-known none/known dummy.pass
expect 2 '--json: none/json: No such file or directory' "$dummy" --json none/json dummy.pass

# JSON.
"$dummy" -x dummy.hang --known old --json json --junit junit >/dev/null
q() { # q WHAT EXPECTED FILTER [FILE]
  same "$1" "$2" "$(jq -rc "$3" "${4:-json}" 2>&1)"
}
if command -v jq >/dev/null; then
  q schema pvusb-conform/1 .schema
  q summary '{"selected":16,"pass":3,"fail":4,"skip":0,"not-applicable":2,"died":4,"error":0,"differs":1,"known":1,"xpass":1}' .summary
  q 'peer and seed' 'dummy 0x1 false 1' '"\(.peer) \(.seed) \(.strict) \(.exit)"'
  q cases 16 '.cases | length'
  q verdicts 'pass xpass,fail known,skip expected,died unexpected' \
    '[.cases[0:4][] | "\(.verdict) \(.standing)"] | join(",")'
  q known 'an old reason' '.cases[1].known'
  q requirements '[{"id":"d.two","level":"SHOULD","sources":"DUM-02"},{"id":"d.one","level":"MUST","sources":"DUM-01"}]' \
    '.cases[] | select(.id == "dummy.both").requirements'
  q parts 'rsp.status|0 (0x0)|-32 (0xffffffe0)' '.cases[1].failure | "\(.field)|\(.expected)|\(.actual)"'
  q reproduce 'conform_dummy --peer dummy --seed 0x1 dummy.fail' '.cases[1].reproduce'
  q 'bytes of a peer' 'value: expected "<&>", got "?[2Jé?]]>"' '.cases[] | select(.id == "dummy.bytes").message'
  q 'an event' '"<&>" ?[2J é ? ???' '.cases[] | select(.id == "dummy.bytes").failure.events[0].text'
  "$dummy" -x dummy.hang --known old --format json >stdout
  for f in json stdout; do jq 'del(.cases[].seconds)' $f >$f.plain; done
  cmp json.plain stdout.plain || failed=1
  "$dummy" --list --format json dummy.both >list
  q list 'dummy.both is a failure MUST toolstack' '.cases[0] | "\(.id) \(.title) \(.level) \(.role)"' list
  PVUSB_BROKEN=backend.unlink-no-response "$broken" --strict --json broken backend.unlink.order >/dev/null
  q slots '4 0401a5a5a0030140 0301 03010000b9ffffff00000000' \
    '.cases[0].failure | "\(.request.index) \(.request.hex[0:16]) \(.answered.hex[0:4]) \(.response.hex[0:24])"' broken
  q 'xenstore and events' true '.cases[0].failure | (.xenstore | contains("1 = \"1-1\"")) and (.events | length == 29)' broken
else
  echo 'no jq: JSON is not read'
fi

# JUnit.
if command -v xmllint >/dev/null; then
  xmllint --noout --schema "$here/junit.xsd" junit 2>schema || { cat schema; failed=1; }
  same 'totals of JUnit' 'tests="16" failures="5" errors="4" skipped="4"' \
    "$(sed -n 's/^<testsuites name="pvusb-conform" \(.*\) time=.*/\1/p' junit)"
  same 'bytes of a peer in XML' 'value: expected "<&>", got "?[2Jé?]]>"' \
    "$(xmllint --xpath 'string(//testcase[@name="dummy.bytes"]/failure/@message)' junit)"
  same 'block in XML' '  MUST d.one (DUM-01)' \
    "$(xmllint --xpath 'string(//testcase[@name="dummy.both"]/failure)' junit | grep d.one)"
  same 'a known failure' 'known: an old reason' \
    "$(xmllint --xpath 'string(//testcase[@name="dummy.fail"]/skipped/@message)' junit)"
  "$program" --junit whole --jobs 2 backend.plug frontend.hub toolstack >/dev/null
  xmllint --noout --schema "$here/junit.xsd" whole 2>schema || { cat schema; failed=1; }
  same 'a suite for each group' 'backend frontend toolstack' \
    "$(sed -n 's/^  <testsuite name="pvusb-conform.inproc.\([a-z]*\)".*/\1/p' whole | paste -sd ' ')"
else
  echo 'no xmllint: JUnit is not checked'
fi

# The page of cases by implementations: two files make one column, a title is free, notes are those of the lists.
"$dummy" -x dummy.hang -x dummy.bytes --json second --strict >/dev/null
"$dummy" --json third dummy.bytes >/dev/null
expect 0 '' "$dummy" --matrix page json 'A <peer> | of ours=second' 'A <peer> | of ours=third'
cp page/index.html page/first.html
expect 0 '' "$dummy" --matrix page json 'A <peer> | of ours=second' 'A <peer> | of ours=third'
cmp page/index.html page/first.html || failed=1
# page LINE: MATRIX.md has it.
page() {
  grep -qxF -- "$1" page/MATRIX.md || { printf 'FAIL: no line "%s" in:\n' "$1"; cat page/MATRIX.md; failed=1; }
}
page '| Group | dummy | A &lt;peer\> \| of ours |'
page '| dummy, 16 cases | 4 pass, 1 known, 1 differs, 4 fail, 4 died, 2 n/a | 4 pass, 6 fail, 4 died, 2 n/a |'
page '| `dummy.skip`: skips | n/a | n/a |'
page '| `dummy.fail`: fails <br>*dummy: an old reason* <br>*A &lt;peer\> \| of ours: rsp.status: expected 0 (0x0), actual -32 (0xffffffe0)* | **known** | **fail** |'
page '<details open><summary><b>dummy.fail</b>, 1 case</summary>'
page '<details><summary><b>dummy.skip</b>, 1 case: nothing fails</summary>'
same 'what the page would fetch' '' "$(grep -Eo 'https?:|src=|<script|@import|url\(|<link' page/index.html)"
if command -v xmllint >/dev/null; then
  xmllint --noout page/index.html || failed=1
  same 'rows of the page' 16 "$(grep -c '^<tr><td title=' page/index.html)"
  same 'a note of the page' 'dummy: value: expected "<&>", got "?[2Jé?]]>"' \
    "$(xmllint --xpath 'string(//tr[td/span="dummy.bytes"]//span[@class="n"][1])' page/index.html)"
fi
expect 2 'no files with results' "$dummy" --matrix page
expect 2 "--matrix: nofile: unable to open" "$dummy" --matrix page nofile
echo '{"schema": "pvusb-conform/2", "peer": "x", "cases": []}' >other
expect 2 'other: no results of pvusb-conform --json' "$dummy" --matrix page other
expect 2 'second: case 1: a case that another file has for the same implementation' "$dummy" --matrix page second second
echo '{"schema": "pvusb-conform/1", "peer": "x", "cases": [{"id": "<b>", "verdict": "pass", "standing": "expected"}]}' >other
expect 2 'other: case 1: a case without id, verdict or standing' "$dummy" --matrix page other
expect 2 '--matrix: json: Not a directory' "$dummy" --matrix json second
exit "$failed"
