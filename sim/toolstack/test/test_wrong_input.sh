#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: whatever is wrong with an argument of a command: the documented exit code, one line that says what, and nothing
# has changed in xenstore, on the bus, and among the guests. The rows are in wrong.table:
#   CODE | PATTERN of the line | ARGUMENTS as in a shell
# usage: test_wrong_input.sh PVUSB TABLE [STRIDE]: only every STRIDEth row, where programs are slow
set -euo pipefail

pvusb=$1 table=$2 stride=${3:-1}
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

start_host
start_backend
run bus plug 1-1 keyboard
run bus plug 1-2 disk:1M
run bus plug 2-1.3 keyboard
run bus plug 2-1.4 keyboard
run guest-create --name guest_A >"$work/out"
run usb-hc-create guest_A 2 4
run usb-hc-create guest_A 1 1
run usb-attach guest_A 0 1 1-1
run usb-attach guest_A 1 1 2-1.4
run guest-create --name guest_B --no-process >"$work/out"
printf 'name = "guest_H"\ntype = "hvm"\nusb = 1\n' >"$work/hvm.cfg"
run guest-create "$work/hvm.cfg" --no-process >"$work/out"
printf 'name = "guest_I"\ntype = "hvm"\n' >"$work/hvm2.cfg"
run guest-create "$work/hvm2.cfg" --no-process >"$work/out"
printf 'vusb = [ "port_1=1-2,port_2=1-2" ]\n' >"$work/twice.cfg"
printf 'vusb = [ "port_1=1-1" ]\n' >"$work/taken.cfg"
printf 'vusb = [ "port_1=2-1" ]\n' >"$work/hub.cfg"
printf 'vusb = [ "usbver=1,port_1=1-2" ]\n' >"$work/fast.cfg"
printf 'vusb = "usbver=2"\n' >"$work/string.cfg"
printf 'name = 7up\n' >"$work/bare.cfg"
printf 'usbctrl = [ "type=devicemodel" ]\n' >"$work/model.cfg"
printf 'usbctrl = [ "version=2" ]\nusbdev = [ "hostbus=1,hostaddr=99" ]\n' >"$work/gone.cfg"
printf 'usbctrl = [ "ports=1" ]\nusbdev = [ "hostbus=1,hostaddr=2", "hostbus=1,hostaddr=3" ]\n' >"$work/full.cfg"
printf 'usb = 1\n' >"$work/pv.cfg"
head -c 2000000 /dev/zero | tr '\0' ' ' >"$work/long.cfg"
mkdir "$work/folder"

state() {
  store
  (cd "$PVUSB_DIR" && find bus guest -type f ! -name '*.log' ! -name '*.usb*' -exec cksum {} +) | sort
  "$pvusb" guest-list
}

for verb in bus top guest-create guest-destroy guest-list guest-save guest-process usb-hc-create usb-hc-destroy usb-attach \
  usb-detach usb-list usb-list-assignable-devices usb-add usb-del pci-attach pci-detach usbctrl-attach usbctrl-detach \
  usbdev-attach usbdev-detach; do
  run $verb --help >"$work/help"
  grep -q "^Usage: pvusb $verb" "$work/help" || fail "$verb --help does not tell the usage"
  grep -q 'Exit codes' "$work/help" || fail "$verb --help does not tell the exit codes"
  "$pvusb" --help | grep -qE "^  $verb +[a-z]" || fail "pvusb --help does not list $verb"
done
cd "$work"
before=$(state)
rows=0 tried=''
# Looking at everything takes longer than a refusal: it is done for some rows at a time.
unchanged() {
  same "$before" "$(state)" "the machine after one of:$tried"
  before=$(state) tried=''
}
while IFS= read -r line; do
  case $line in '' | //*) continue ;; esac
  rows=$((rows + 1))
  [ $((rows % stride)) -eq 0 ] || continue
  code=${line%% | *} rest=${line#* | }
  eval "set -- ${rest##* | }"
  refused "$code" "${rest% | *}" "$@"
  tried+=$'\n'"  pvusb $*"
  [ $((rows / stride % 15)) -ne 0 ] || unchanged
done <"$table"
unchanged
[ $rows -ge 150 ] || fail "only $rows rows"
echo "$rows rows"
cd /
run guest-destroy guest_A
stop_backend
stop_host
finish
