#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: "pvusb replay --peer qemu": the bundled recordings go through QEMU's unmodified backend, every URB is
# matched or not checked for a reason that names the rule, a difference on either side is found, and a QEMU that
# dies spoils only its own recording.
# usage: test_replay_qemu.sh PVUSB PVUSB_USBFS FOLDER_OF_RECORDINGS
set -euo pipefail

pvusb=$1
usbfs=$2
traces=$3
work=$(mktemp -d)
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}

# replay CODE ARGUMENT...: output in $work/out and $work/err
replay() {
  local expected=$1 code=0
  shift
  "$pvusb" replay --peer qemu "$@" >"$work/out" 2>"$work/err" || code=$?
  if [ $code -eq 77 ] && [ "$expected" -ne 77 ]; then
    echo "skip: $(sed 's/^pvusb replay: //' "$work/err")"
    exit 77
  fi
  [ $code -eq "$expected" ] || fail "exit code $code instead of $expected: $* $(cat "$work/out" "$work/err")"
}

# said FILE PATTERN
said() {
  grep -q "$2" "$work/$1" || fail "'$2' is not in: $(cat "$work/$1")"
}

# ---- the bundled recordings: URBs, replayed, matched, mismatched, not checked

replay 0 --json "$work/json" "$traces"/*.pcap
cat >"$work/expected" <<'END'
dummy-test-enum.pcap 23 10 9 0 14
dummy-usbtest-basic.pcap 78 78 68 0 10
dummy-usbtest-ctrlq.pcap 191 58 55 0 136
dummy-usbtest-halt.pcap 68 68 48 0 20
ehci-msd-rw.pcap 20 16 16 0 4
hs-enum.pcap 343 264 256 0 87
hs-uas.pcap 160 160 160 0 0
hs-unplug-midread.pcap 73 64 64 0 9
raw48-lt189.pcap 446 172 155 0 291
uhci-audio-odd.pcap 62 38 22 0 40
uhci-audio.pcap 170 3 1 0 169
uhci-enum.pcap 423 216 186 0 237
xhci-hid.pcap 31 31 27 0 4
xhci-msd-rw-snap256.pcap 24 24 16 0 8
xhci-serial.pcap 74 68 68 0 6
xhci-stall.pcap 54 53 46 0 8
xhci-unlink.pcap 50 41 39 0 11
all 2290 1364 1236 0 1054
END
awk 'NR > 1 && $2 ~ /^[0-9]+$/ && NF == 6 { $1 = $1; print }' "$work/out" >"$work/got"
diff "$work/expected" "$work/got" || fail "not the results that QEMU 7.2 gives"

# Of those not checked, the ones that are QEMU's: the rule is the reason.
cat >"$work/expected" <<'END'
382 ISO-04
71 CTL-09, CTL-10, CTL-11
4 CTL-08
12 CTL-17
4 HOT-04
7 XFR-03
2 UNL-04
7 XFR-06
133 XFR-08
9 XFR-09
END
sed -n 's/^ *\([0-9]*\) not checked: QEMU: .*(\(.*\))$/\1 \2/p' "$work/out" >"$work/got"
diff "$work/expected" "$work/got" || fail "not the reasons"
said json '"peer": "qemu"'
said json '"schema": "pvusb-replay/1"'

# ---- text has no flags and cut payloads; what it does have is matched

replay 0 "$traces"/*.mon.txt

# ---- a bus whose number usbfs does not have

sed 's/:1:002:/:999:002:/' "$traces/dummy-usbtest-basic.mon.txt" >"$work/bus.mon.txt"
replay 0 "$work/bus.mon.txt"
said out '^bus.mon.txt  *78  *78  *18  *0  *60$'

# ---- a difference is found: the device plays a recording in which one byte is another

bin=$work/bin
mkdir "$bin"
ln -s "$pvusb" "$bin/pvusb"
cat >"$bin/pvusb-usbfs" <<END
#!/usr/bin/env bash
args=("\$@")
for i in "\${!args[@]}"; do
  [ "\${args[i]}" != --trace ] || args[i + 1]=$work/other.pcap
done
exec "$usbfs" "\${args[@]}"
END
chmod +x "$bin/pvusb-usbfs"

# differs OFFSET FIELD: at that byte of a recording that reads and writes a disk
differs() {
  local byte
  cp "$traces/xhci-stall.pcap" "$work/other.pcap"
  chmod u+w "$work/other.pcap"
  byte=$(od -An -tu1 -j "$1" -N 1 "$work/other.pcap")
  printf '%b' "$(printf '\\x%02x' $((byte ^ 255)))" |
    dd of="$work/other.pcap" bs=1 seek="$1" conv=notrunc status=none
  PVUSB_BIN=$bin replay 1 "$traces/xhci-stall.pcap"
  said out '^  mismatch: URB '
  said out "^    $2:"
}

differs 1745 'IN data'  # in the answer to an INQUIRY
differs 110 'OUT data' # in the first command block

# ---- QEMU dies: of that recording, and not of the next one

cat >"$work/qemu" <<END
#!/usr/bin/env bash
if mkdir "$work/died" 2>/dev/null; then
  kill -SEGV \$\$
fi
exec "\${REAL_QEMU:-/usr/libexec/xen-qemu-system-i386}" "\$@"
END
chmod +x "$work/qemu"
export REAL_QEMU=${PVUSB_QEMU:-}
PVUSB_QEMU=$work/qemu replay 3 --json "$work/json" "$traces/xhci-hid.pcap" \
  "$traces/xhci-serial.pcap"
said err 'xhci-hid.pcap: QEMU was ended by signal 11'
said out '^xhci-serial.pcap  *74  *68  *68  *0  *6$'
said json '"error": .*QEMU was ended by signal 11'

# ---- usage, and a package that is missing

replay 2 --processes 2 "$traces/xhci-hid.pcap"
replay 2 --match strict "$traces/xhci-hid.pcap"
replay 2 --pcap "$work/ring.pcap" "$traces/uhci-enum.pcap"
said err 'takes a recording of one bus'
PVUSB_QEMU=$work/none replay 77 "$traces/xhci-hid.pcap" "$traces/xhci-serial.pcap"
said err 'install package qemu-system-xen'
code=0
"$pvusb" replay --peer xen "$traces/xhci-hid.pcap" 2>/dev/null || code=$?
[ $code -eq 2 ] || fail "--peer xen: exit code $code"

[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
