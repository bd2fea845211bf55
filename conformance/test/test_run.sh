#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Verdicts, isolation and exit codes of pvusb-conform, with cases whose verdict is known.
set -uo pipefail
dummy=$1 program=$2 broken=$3

# shellcheck source=conformance/test/expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

expect 0 'pass  dummy.pass' "$dummy" dummy.pass
same 'what --quiet leaves' 'FAIL dummy.fail: DIED dummy.crash: pass 1' \
  "$("$dummy" -q dummy.pass dummy.skip dummy.fail dummy.crash | grep -oE '^(pass|FAIL|skip|DIED) +[^ ]+' | tr -s '\n ' ' ' | sed 's/ $//')"
expect 1 'recordings of what failed: with --out DIR' "$dummy" dummy.fail
expect 1 'rsp.status: expected 0 (0x0), actual -32 (0xffffffe0)' "$dummy" dummy.fail
expect 1 '0.000000 case   before it fails' "$dummy" dummy.fail
expect 1 'expected: rsp.status 0 (0x0)' "$dummy" dummy.fail
expect 1 'actual:   rsp.status -32 (0xffffffe0)' "$dummy" dummy.fail
expect 1 'reproduce: conform_dummy --peer dummy --seed 0x7 dummy.fail' "$dummy" --seed 7 dummy.fail
expect 1 'reproduce: conform_dummy --strict --timeout 2 --peer dummy --seed 0x1 dummy.should' \
  "$dummy" --strict -x dummy.fail --timeout 2 --peer dummy dummy.should
expect 1 "reproduce: PVUSB_BROKEN='a b' conform_dummy --peer dummy" env PVUSB_BROKEN='a b' "$dummy" dummy.fail
expect 77 'peer dummy has no "iso"' "$dummy" dummy.skip
expect 77 'not applicable 1: peer dummy lacks what they need' "$dummy" dummy.skip
expect 1 "the case's process died: signal 9" "$dummy" dummy.crash
expect 1 'case   before it crashes' "$dummy" dummy.crash
expect 1 "the case's process ended early: exit 5" "$dummy" dummy.early
expect 1 'no verdict within the limit in seconds of a case: 1' "$dummy" --case-limit 1 dummy.hang
expect 0 'pass  dummy.settle' "$dummy" --peer busy dummy.settle
expect 1 'the peer died: signal 9, Killed' "$dummy" dummy.peer-dies
expect 1 'pass 4  fail 5  skip 0  died 4  error 0  of 16' "$dummy" -x dummy.hang
expect 1 'FAIL  dummy.twice: the case failed' "$dummy" dummy.twice
expect 1 'FAIL  dummy.end: the finish failed' "$dummy" dummy.end
expect 1 'told no verdict but 77' "$dummy" dummy.nonsense
expect 2 '--case-limit: 0' "$dummy" --case-limit 0
expect 3 'the peer never came: it is not there' "$dummy" --peer absent dummy.pass
expect 0 'dummy.peer-dies' "$dummy" --list 'dummy.p*'
expect 2 'no case matches: dummy.pas' "$dummy" dummy.pas
expect 2 'nothing selected' "$dummy" dummy.pass -x dummy
expect 2 '--seed: 1x' "$dummy" --seed 1x
expect 2 '--peer: not built in: none' "$dummy" --peer none
expect 1 'ok 2 - dummy.fail' "$dummy" --format tap -x dummy.hang
expect 77 'ok 1 - dummy.skip # SKIP peer dummy has no "iso"' "$dummy" --format tap dummy.skip
expect 0 'Exit codes:' "$program" --help

# The requirements, and what their levels mean.
expect 1 '  MUST d.one (DUM-01)' "$dummy" dummy.fail
expect 0 'differs dummy.should: rsp.status' "$dummy" dummy.should
expect 0 'differs 1: from a SHOULD or an OBSERVED' "$dummy" dummy.should dummy.pass
expect 1 'FAIL  dummy.should: rsp.status' "$dummy" --strict dummy.should
expect 1 'FAIL  dummy.both: rsp.status' "$dummy" dummy.both
expect 0 'not ok 1 - dummy.should # TO''DO differs, SHOULD' "$dummy" --format tap dummy.should
expect 0 'dummy.should' "$dummy" --list @SHOULD
expect 2 'no case matches: @MAY' "$dummy" @MAY
expect 1 'of 6,' "$dummy" @MUST -x dummy.hang -x 'dummy.[ceptn]*' -x dummy.skip -x dummy.early
expect 0 'd.two: SHOULD, both (DUM-02)' "$dummy" --explain d.two
expect 0 'dummy.both' "$dummy" --explain d.two
expect 0 'Nobody looks.' "$dummy" --explain d.gap
expect 0 'd.none: no such requirement' "$dummy" --explain dummy.typo
expect 0 'dummy.both: is a failure' "$dummy" --explain dummy.both
expect 2 'no case or requirement: d.on' "$dummy" --explain d.on
expect 1 'dummy.typo: no such requirement: d.none' "$dummy" --coverage
expect 1 '4 requirements: 2 with cases, 1 not observable, 1 without a case; 1 unknown ids' "$dummy" --coverage
expect 1 'not observable: it is inside' "$dummy" --coverage

# A failure, from its requirement to the command that shows it again. The broken backend does not answer an unlink.
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
PVUSB_BROKEN=backend.unlink-no-response "$broken" --strict --seed 3 backend.unlink.order >"$dir/block"
# block LINE: it is there, whole.
block() {
  grep -qxF -- "$1" "$dir/block" || { printf 'FAIL: no line "%s" in:\n' "$1"; cat "$dir/block"; failed=1; }
}
block 'FAIL  backend.unlink.order: waited for a response'
block '  SHOULD urb.unlink.order (UNL-04)'
block "    The target's response (-71, 0) comes before that of the unlink (0)."
block '  expected: a response'
block '  actual:   it did not come'
block '  request 3, 148 bytes of struct usbif_urb_request:'
block '  request 4, 148 bytes of struct usbif_urb_request:'
block '      4  a0 03 01 40             pipe 0x400103a0: unlink interrupt in, device 3, endpoint 2, port 0'
block '     12  03 01                   u.unlink.unlink_id 0x0103'
block '     20  a5 a5 a5 a5 a5 a5 a5 a5 seg[0], and the same up to seg[15]: not used'
block '  response 3, 16 bytes of struct usbif_urb_response:'
block '      4  b9 ff ff ff             status -71 IOERROR'
block '    /local/domain/0/backend/qusb/1/0 = ""'
block '      port = ""'
block '        1 = "1-1"'
block '    /local/domain/1/device/vusb/0 = ""'
block '      state = "4"'
block '  last 24 of 29 events, with seconds since the first:'
block '      0.000000 ring   request 4: id 0x0104, unlink of 0x0103'
block '      0.000000 ring   response 3: id 0x0103, status -71, actual_length 0'
block '  reproduce: PVUSB_BROKEN=backend.unlink-no-response pvusb-conform-broken --peer inproc --strict --seed 0x3 backend.unlink.order'
# The page that explains it shows it as it is; where it leaves out, it says "...".
PVUSB_BROKEN=backend.unlink-no-response "$broken" --strict backend.unlink.order >"$dir/page"
while IFS= read -r line; do
  [[ $line = *... ]] || grep -qxF -- "$line" "$dir/page" || { echo "FAIL: README.md shows: $line"; failed=1; }
done < <(sed -n '/^FAIL  backend.unlink.order/,/^```/p' "$(dirname "${BASH_SOURCE[0]}")/../README.md" | sed '$d')
# That command shows it again, to the byte.
sed -n 's/^  reproduce: //p' "$dir/block" >"$dir/again"
(cd "$(dirname "$broken")" && PATH=.:$PATH bash "$dir/again") >"$dir/second"
cmp "$dir/block" "$dir/second" || failed=1
expect 1 '      2  01                      portnum 1' env PVUSB_BROKEN=backend.plug-wrong-id "$broken" backend.plug.id

# --out: the files of what failed, which another program reads, and nothing of what passed.
files() { (cd "$dir/out" && find . -type f | sort | paste -sd ' '); }
expect 1 "files: $dir/out/backend.transfer.in.short.second-page/case.pcap, events.txt, xenstore.txt" \
  env PVUSB_BROKEN=backend.actual-is-length "$broken" --out "$dir/out" backend.transfer.in.short.second-page backend.plug.unplug
same 'files of a failure' './backend.transfer.in.short.second-page/case.pcap ./backend.transfer.in.short.second-page/events.txt ./backend.transfer.in.short.second-page/failure.txt ./backend.transfer.in.short.second-page/xenstore.txt' "$(files)"
cd "$dir/out/backend.transfer.in.short.second-page" || exit 1
grep -q '^backend.transfer.in.short.second-page: rsp.actual_length: expected ' failure.txt || failed=1
grep -qx '  0.000000 xenbus toolstack makes /local/domain/0/backend/qusb/1/0' events.txt || failed=1
grep -q '^  0.000000 ring   response ' events.txt || failed=1
grep -qx '  state = "4"' xenstore.txt || failed=1
if command -v tshark >/dev/null; then
  tshark -r case.pcap -T fields -e usb.urb_type -e usb.device_address -e usb.endpoint_address -e usb.transfer_type \
    -e usb.urb_status -e usb.urb_len -e usb.data_len -e _ws.malformed >"$dir/frames" 2>/dev/null
  same 'frames that tshark reads' "10 'S' 3 0x81 0x03 -115 5000 0 'C' 3 0x81 0x03 0 5000 1024" \
    "$(wc -l <"$dir/frames") $(tail -n 2 "$dir/frames" | tr -s '\t\n' ' ' | sed 's/ $//')"
else
  echo "no tshark: the pcap is not read"
fi
cd - >/dev/null || exit 1
expect 0 'pass 1' "$broken" --out "$dir/out" backend.transfer.in.short.second-page
same 'files of a case that passes by now' '' "$(files)"
expect 0 'pass 1' "$dummy" --out "$dir/out" --keep dummy.pass
same 'files of a case that passes' './dummy.pass/case.pcap ./dummy.pass/events.txt' "$(files)"
expect 1 '/dummy.crash/case.pcap' "$dummy" --out "$dir/out" dummy.crash
expect 2 '--keep: there is no --out' "$dummy" --keep dummy.pass
expect 2 "--out: $dir/block/out: Not a directory" "$dummy" --out "$dir/block/out" dummy.pass
expect 2 "--out: $dir/block: Not a directory" "$dummy" --out "$dir/block" dummy.pass

# The file of known failures: strict in both directions.
printf '# of a dummy\n\ndummy.fail for a reason\ndummy.crash\n' >"$dir/known"
expect 0 'known dummy.fail: rsp.status' "$dummy" --known "$dir/known" dummy.fail dummy.crash
expect 0 'known 2  XPASS 0: by ' "$dummy" --known "$dir/known" dummy.fail dummy.crash
expect 1 'FAIL  dummy.twice' "$dummy" --known "$dir/known" dummy.fail dummy.twice
expect 0 'not ok 1 - dummy.fail # TO''DO known, MUST' "$dummy" --format tap --known "$dir/known" dummy.fail
echo dummy.pass >"$dir/passes"
expect 1 'XPASS dummy.pass: passes, but is listed in ' "$dummy" --known "$dir/passes" dummy.pass
expect 1 'not ok 1 - dummy.pass' "$dummy" --format tap --known "$dir/passes" dummy.pass
expect 77 'n/a   dummy.skip' "$dummy" --known "$dir/passes" dummy.skip
same 'what the end names' 'unexpected:   XPASS dummy.pass:   FAIL  dummy.fail:   DIED  dummy.peer-dies:' \
  "$("$dummy" --known "$dir/passes" dummy.pass dummy.fail dummy.peer-dies | tail -n 4 | sed 's/: .*/:/' | paste -sd ' ')"
same 'the end of many' '13:  and ' \
  "$(PVUSB_BROKEN=backend.plug-twice "$broken" backend.transfer | sed '1,/^unexpected:/d' | grep -on '^  and ')"
same 'the end where nothing is unexpected' 0 "$("$dummy" --known "$dir/known" dummy.fail dummy.pass | grep -c unexpected)"
echo dummy.gone >>"$dir/passes"
expect 2 'passes:2: no such case: dummy.gone' "$dummy" --known "$dir/passes" dummy.pass
printf 'dummy.fail\ndummy.fail\n' >"$dir/twice"
expect 2 'twice:2: a second time: dummy.fail' "$dummy" --known "$dir/twice" dummy.pass
printf '%2000s\n' x >"$dir/long"
expect 2 'long:1: line too long' "$dummy" --known "$dir/long" dummy.pass
expect 2 'none: No such file' "$dummy" --known "$dir/none" dummy.pass
echo dummy.pass >"$dir/absent"
expect 3 'ERROR dummy.pass' "$dummy" --known "$dir/absent" --peer absent dummy.pass
exit "$failed"
