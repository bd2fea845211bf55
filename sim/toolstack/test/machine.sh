# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A machine for the tests of the commands, in a folder of its own. To be sourced with $pvusb set; nothing of it is left.
# Functions return when what they wait for is so; nothing sleeps.

# shellcheck source=sim/test/programs.sh
. "${BASH_SOURCE[0]%/*}/../../test/programs.sh"
export TMPDIR=$work/tmp PVUSB_DIR=$work/m
mkdir "$TMPDIR"
host='' back=''

give_up() {
  fail "$@"
  exit 1
}

# start NAME PATTERN ARGUMENT...: as in programs.sh, but all that it prints goes into $work/NAME.log, for await.
start() {
  local name=$1 pattern=$2
  shift 2
  : >"$work/$name.log"
  "$pvusb" "$@" >>"$work/$name.log" 2>&1 &
  started=$!
  await "$work/$name.log" "$pattern" || give_up "pvusb $*: never said $pattern: $(cat "$work/$name.log")"
}

# await FILE PATTERN [COUNT]: until so many lines of the file (default 1) match.
await() {
  local file=$1 pattern=$2 count=${3:-1} line fd tail code=1
  exec {fd}< <(exec tail -n +1 -f "$file" 2>/dev/null)
  tail=$!
  while IFS= read -r -t 60 line <&"$fd"; do
    if [[ $line =~ $pattern ]] && [ $((--count)) -eq 0 ]; then
      code=0
      break
    fi
  done
  exec {fd}<&-
  kill "$tail" 2>/dev/null || true
  return $code
}

start_host() {
  if [ "${2:-}" = genuine ] && [ ! -x /usr/lib/xen-4.17/bin/xenstored ]; then
    echo "skip: package xen-utils-4.17 is not installed"
    exit 77
  fi
  start host 'machine ready' host --dir "$PVUSB_DIR" "$@"
  host=$started
}

start_backend() {
  start back 'backend ready' backend --dir "$PVUSB_DIR" --verbose "$@"
  back=$started
}

stop_backend() {
  kill "${1:+-$1}" "$back" 2>/dev/null || kill "$back"
  wait "$back" 2>/dev/null || true
}

# The machine ends with nothing left open.
stop_host() {
  kill "$host"
  ended "$host" 0
  grep -q '^balance: all zero' "$work/host.log" || fail "the machine: $(tail -n 1 "$work/host.log")"
}

# run ARGUMENT...: has to work; prints what it prints.
run() {
  "$pvusb" "$@" 2>"$work/err" || fail "pvusb $*: exit code $?: $(cat "$work/err")"
  [ ! -s "$work/err" ] || fail "pvusb $*: said $(cat "$work/err")"
}

# refused CODE PATTERN ARGUMENT...: the exit code, nothing on stdout, one line on stderr that matches.
refused() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$pvusb" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code -eq "$wanted" ] || fail "pvusb $*: exit code $code instead of $wanted: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "pvusb $*: printed $(cat "$work/out")"
  [ "$(wc -l <"$work/err")" -eq 1 ] || fail "pvusb $*: not one line: $(cat "$work/err")"
  grep -qE -- "$pattern" "$work/err" || fail "pvusb $*: said $(cat "$work/err") and not $pattern"
}

# All of xenstore, but for what the backend announces of each domain. Needs xenstore-ls.
store() {
  XENSTORED_PATH=$PVUSB_DIR/xenstored.socket xenstore-ls -fp | grep -v '^/local/domain/0/device-model'
}

# same EXPECTED ACTUAL WHAT
same() {
  [ "$1" = "$2" ] || {
    fail "$3 is not as it should be; expected (-) and found (+):"
    diff -U 0 <(printf '%s\n' "$1") <(printf '%s\n' "$2") | tail -n +3 | head -n 40 || true
  }
}
