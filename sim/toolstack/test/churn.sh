#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: however devices, controllers, guests and the backend come and go, the commands show what a plain model expects
# after every step, and each guest sees exactly the devices that are on its ports and plugged in. Disks are read all the
# time. The seed repeats the run.
# usage: churn.sh PVUSB STEPS [SEED] [XENSTORED]
set -euo pipefail

pvusb=$1 steps=$2 seed=${3:-$(date +%s)}
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"
echo "seed $seed"
RANDOM=$((seed % 32768))

places=(1-1 1-2 2-1.1 2-1.2 3-1 3-2)
kinds=(disk:256K keyboard disk:256K serial zero composite)
ports=4
declare -A plugged=() guest=() controller=() domid=() on=() # on[guest.port]=place
names=(g1 g2 g3)
last=0

pick() { # pick WORD...: one of them in $picked
  shift $((RANDOM % $#))
  picked=$1
}

holder() { # holder PLACE: where it is, "" nowhere
  local key
  held=''
  for key in "${!on[@]}"; do
    [ "${on[$key]}" != "$1" ] || held=$key
  done
}

# expect WORKS COMMAND...
expect() {
  local works=$1 code=0
  shift
  say="pvusb $*"
  "$pvusb" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code -eq $((1 - works)) ] || fail "step $step: $say: exit code $code: $(cat "$work/err")"
}

# What a guest has said of a port, GUEST.PORT, with its number.
told() {
  XENSTORED_PATH=$PVUSB_DIR/xenstored.socket xenstore-read "/local/domain/${domid[${1%.*}]}/data/usb/0/${1#*.}" 2>/dev/null ||
    true
}

step_once() {
  moved='' before='' # a device that was replugged, and what its guest said of it
  local place=${places[RANDOM % 6]} name=${names[RANDOM % 3]} port=$((RANDOM % ports + 1)) works=1 kind i
  for i in "${!places[@]}"; do
    [ "${places[i]}" != "$place" ] || kind=${kinds[i]}
  done
  case $((RANDOM % 20)) in
    0 | 1 | 2 | 3)
      [ -z "${plugged[$place]:-}" ] || works=0
      expect $works bus plug "$place" "$kind"
      plugged[$place]=1
      ;;
    4 | 5 | 6)
      [ -n "${plugged[$place]:-}" ] || works=0
      expect $works bus unplug "$place"
      unset "plugged[$place]"
      ;;
    7)
      [ -n "${plugged[$place]:-}" ] || works=0
      holder "$place"
      [ $works -eq 0 ] || [ -z "$held" ] || moved=$held before=$(told "$held")
      expect $works bus move "$place" "$place"
      ;;
    8 | 9 | 10 | 11 | 12)
      holder "$place"
      [ -n "${controller[$name]:-}" ] && [ -z "$held" ] && [ -z "${on[$name.$port]:-}" ] || works=0
      expect $works usb-attach "$name" 0 "$port" "$place"
      [ $works -eq 0 ] || on[$name.$port]=$place
      ;;
    13 | 14)
      [ -n "${on[$name.$port]:-}" ] || works=0
      expect $works usb-detach "$name" 0 "$port"
      unset "on[$name.$port]"
      ;;
    15)
      if [ -z "${controller[$name]:-}" ]; then
        [ -n "${guest[$name]:-}" ] || works=0
        expect $works usb-hc-create "$name" 2 $ports
        [ $works -eq 0 ] || controller[$name]=1
      else
        expect 1 usb-hc-destroy "$name" 0
        unset "controller[$name]"
      fi
      ;;
    16 | 17)
      [ -z "${guest[$name]:-}" ] || works=0
      expect $works guest-create --name "$name" --traffic
      if [ $works -eq 1 ]; then
        guest[$name]=1 domid[$name]=$(awk '{print $3}' "$work/out")
        expect 1 usb-hc-create "$name" 2 $ports
        controller[$name]=1
      fi
      ;;
    18)
      if [ -n "${guest[$name]:-}" ] && [ $((RANDOM % 2)) -eq 0 ]; then
        kill -KILL "$(cat "$PVUSB_DIR/guest/$name.pid")" # a crash, and then the domain goes
      fi
      [ -n "${guest[$name]:-}" ] || works=0
      expect $works guest-destroy "$name"
      unset "guest[$name]" "controller[$name]"
      ;;
    19)
      say='the backend is killed and started'
      stop_backend KILL
      start_backend
      ;;
  esac
  for i in 1 2 3 4; do
    [ -n "${controller[$name]:-}" ] || unset "on[$name.$i]"
  done
}

# What the commands have to show, and what each guest has to see.
model() {
  local name port place
  for name in "${names[@]}"; do
    for port in 1 2 3 4; do
      place=${on[$name.$port]:-}
      [ -z "$place" ] || echo "$name port $port: $place${plugged[$place]:+ and it is there}"
    done
  done
  for place in "${places[@]}"; do
    holder "$place"
    [ -z "${plugged[$place]:-}" ] || [ -n "$held" ] || echo "free $place"
  done
}

found() {
  local name port rest
  for name in "${names[@]}"; do
    [ -n "${guest[$name]:-}" ] || continue
    "$pvusb" usb-list "$name" | while read -r _ port place rest; do
      case $rest in
        '') ;;
        '[not plugged in]') echo "$name port ${port%:}: $place" ;;
        '[ID'*) echo "$name port ${port%:}: $place and it is there" ;;
      esac
    done
  done
  "$pvusb" usb-list-assignable-devices | sed -E 's/^([^ ]+) .*/free \1/'
}

wanted_by() { # the ports of a guest that have to have something
  local port place
  for port in 1 2 3 4; do
    place=${on[$1.$port]:-}
    [ -z "$place" ] || [ -z "${plugged[$place]:-}" ] || echo "$port ok"
  done
}

sees() {
  XENSTORED_PATH=$PVUSB_DIR/xenstored.socket xenstore-ls -f "/local/domain/${domid[$1]}/data" 2>/dev/null |
    sed -nE 's|.*/data/usb/0/([0-9]+) = "[0-9]+ ([a-z]+) .*|\1 \2|p' | sort -n
}

start_host ${4:+--xenstored "$4"}
start_backend
empty=$(store)
for step in $(seq "$steps"); do
  step_once
  same "$(model)" "$(found)" "step $step: after $say: what the commands show"
  for name in "${names[@]}"; do
    [ -n "${guest[$name]:-}" ] || continue
    wanted=$(wanted_by "$name")
    until=$((SECONDS + 60))
    # A backend or a device comes in its own time.
    until [ "$wanted" = "$(sees "$name")" ] &&
      { [ "${moved%.*}" != "$name" ] || [ "$(told "$moved")" != "$before" ]; }; do
      [ $SECONDS -lt $until ] || {
        fail "step $step: after $say: $name does not see what it should${moved:+, $moved was $before}"
        same "$wanted" "$(sees "$name")" "what $name sees"
        tail -n 5 "$PVUSB_DIR/guest/$name.log" "$work/back.log"
        break
      }
    done
  done
  [ $failures -eq 0 ] || break
  [ $((step % 500)) -ne 0 ] || echo "$step of $steps steps"
done
for name in "${names[@]}"; do
  [ -z "${guest[$name]:-}" ] || run guest-destroy "$name"
done
same "$empty" "$(store)" 'xenstore in the end'
stop_backend
stop_host
finish
