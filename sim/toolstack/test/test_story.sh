#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: sessions of administrators, command by command, with every line that the commands print. A story is a text:
#   # xm COMMAND      or "# xl COMMAND", "# pvusb COMMAND": run, and its output is the lines up to the next command
#   # guest PATTERN   waits until the log of guest_A has a line that matches; a number before PATTERN: so many lines
#   # ends CODE       the last command ended with this exit code and its line on stderr is in the output
# usage: test_story.sh PVUSB STORY [XENSTORED]
set -euo pipefail

pvusb=$1 story=$2
# shellcheck source=sim/toolstack/test/machine.sh
. "${BASH_SOURCE[0]%/*}/machine.sh"

start_host ${3:+--xenstored "$3"}
start_backend
head -c 1048576 /dev/zero | tr '\0' 'p' >"$work/disk.img"
cd "$work"

expected='' command='' number=0 code=0

# The output of the last command against what the story says of it.
check() {
  [ -z "$command" ] || [ "$expected" = "$output" ] || {
    fail "$story:$number: $command"
    diff <(printf '%s' "$expected") <(printf '%s' "$output") || true
  }
  expected=''
}

while IFS= read -r line || [ -n "$line" ]; do
  number=$((number + 1))
  case $line in
    '# guest '*)
      count=1 pattern=${line#\# guest }
      [[ $pattern =~ ^([0-9]+)\ (.*) ]] && count=${BASH_REMATCH[1]} pattern=${BASH_REMATCH[2]}
      await "$PVUSB_DIR/guest/guest_A.log" "$pattern" "$count" ||
        give_up "$story:$number: the guest never said $pattern $count times: $(cat "$PVUSB_DIR/guest/guest_A.log")"
      ;;
    '# ends '*)
      [ $code -eq "${line#\# ends }" ] || fail "$story:$number: exit code $code of: $command"
      code=0
      ;;
    '# xm '* | '# xl '* | '# pvusb '*)
      check
      [ $code -eq 0 ] || fail "$story:$number: exit code $code of: $command"
      command=${line#\# } code=0
      xl=''
      case $line in '# xl usb-list'*) xl=--xl ;; esac
      # shellcheck disable=SC2086,SC2046 # the story's words, quoted as in a shell
      eval "set -- ${command#* }"
      output=$("$pvusb" "$@" $xl 2>&1) || code=$?
      output=${output:+$output$'\n'}
      ;;
    '' | '//'*) ;;
    *) expected+=$line$'\n' ;;
  esac
done <"$story"
check
[ $code -eq 0 ] || fail "$story:$number: exit code $code of: $command"

cd /
stop_backend
stop_host
finish
