# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests of the programs: some in the background, each until it has said what the test waits for. To be sourced with
# $pvusb set. Gives $work, a folder that goes with the test, and ends what is left running then.

: "${pvusb:?the program}"
work=$(mktemp -d)
failures=0

# Guests end with their machine.
clean_up() {
  local pids
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # one word each
  [ -z "$pids" ] || kill $pids 2>/dev/null || true
  wait || true
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# start NAME PATTERN ARGUMENT...: pvusb in the background until it has printed a line that matches, which is in $line then; its
# pid in $started, what else it prints from $fd, its stderr in $work/NAME.err. One that skips ends the test as skipped.
start() {
  start_command "$1" "$2" "$pvusb" "${@:3}"
}

# start_command NAME PATTERN COMMAND...: so does any other program.
start_command() {
  local name=$1 pattern=$2 code=0
  shift 2
  mkfifo "$work/$name.pipe"
  "$@" >"$work/$name.pipe" 2>"$work/$name.err" &
  started=$!
  exec {fd}<"$work/$name.pipe"
  rm "$work/$name.pipe"
  while IFS= read -r -t 60 line <&"$fd"; do
    [[ $line =~ $pattern ]] && return 0
  done
  kill "$started" 2>/dev/null || true
  wait "$started" || code=$?
  if [ $code -eq 77 ]; then
    echo "skip: $(sed 's/^pvusb [a-z]*: //' "$work/$name.err")"
    exit 77
  fi
  fail "$*: never said $pattern; $(cat "$work/$name.err")"
}

# ended PID CODE: waits for it and checks its exit code.
ended() {
  local code=0
  wait "$1" || code=$?
  [ $code -eq "$2" ] || fail "process $1: exit code $code instead of $2"
}

# host_ended PID FD: so did the machine, and nothing was left open on it.
host_ended() {
  local balance=
  kill "$1"
  ended "$1" 0
  read -r -t 60 balance <&"$2" || true
  [ "$balance" = "balance: all zero" ] || fail "the machine: $balance"
}

finish() {
  if [ $failures -eq 0 ]; then echo "ok"; else echo "$failures failures"; exit 1; fi
}
