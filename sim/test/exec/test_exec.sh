#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Goal: `pvusb exec`: what it refuses, what it gives a program, and Debian's xenstore tools in it as domain 0 and as a
# guest.
# usage: test_exec.sh PVUSB MAKE_DOMAINS BUILD_FOLDER
set -euo pipefail

pvusb=$1
make_domains=$2
build=$3
# shellcheck source=sim/test/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"
dir=$work/m

for tool in xenstore-ls xenstore-read xenstore-write xenstore-watch xenstore-chmod xenstore-rm; do
  command -v $tool >/dev/null || { echo "skip: $tool is missing: install xenstore-utils"; exit 77; }
done

# ends CODE PATTERN ARGUMENT...: pvusb exec with that exit code and one line on stderr that matches.
ends() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$pvusb" exec "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code -eq "$wanted" ] || fail "exec $*: exit code $code instead of $wanted"
  [ ! -s "$work/out" ] || fail "exec $*: printed: $(cat "$work/out")"
  [ "$(wc -l <"$work/err")" -eq 1 ] || fail "exec $*: not one line: $(cat "$work/err")"
  grep -qE "$pattern" "$work/err" || fail "exec $*: said: $(cat "$work/err")"
}

# as DOMID COMMAND...
as() {
  local domid=$1
  shift
  "$pvusb" exec --dir "$dir" --domid "$domid" -- "$@"
}

# refused DOMID COMMAND...: a tool that must fail for want of permission.
refused() {
  local code=0
  as "$@" >"$work/out" 2>"$work/err" || code=$?
  [ $code -ne 0 ] || fail "domain $*: not refused: $(cat "$work/out")"
}

usage_errors() {
  ends 2 'dir DIR is needed' --domid 1 true
  ends 2 'domid N is needed' --dir "$dir" true
  ends 2 'no command' --dir "$dir" --domid 1
  ends 2 "'1x' is not a number" --dir "$dir" --domid 1x true
  ends 2 "'70000' is not a number" --dir "$dir" --domid 70000 true
  ends 2 "'--nonsense' is not an option" --nonsense true
  ends 2 'no fake Xen machine here; start one with' --dir "$work/none" --domid 1 true
  "$pvusb" exec --help >"$work/out" || fail "exec --help"
  grep -q '^Usage: pvusb exec --dir DIR --domid N' "$work/out" || fail "exec --help does not tell the usage"
  grep -q 'Exit codes' "$work/out" || fail "exec --help does not tell the exit codes"
}

exit_codes() {
  local code=0
  ends 2 'no domain 7 on this machine' --dir "$dir" --domid 7 true
  ends 127 'no-such-command: No such file' --dir "$dir" --domid 1 no-such-command
  ends 126 'Permission denied' --dir "$dir" --domid 1 "$work"
  as 1 sh -c 'exit 41' || code=$?
  [ $code -eq 41 ] || fail "exit code of the command: $code instead of 41"
  # Its options are its own.
  [ "$("$pvusb" exec --dir "$dir" --domid 1 echo --dir here -- there)" = "--dir here -- there" ] || fail "options"
}

environment() {
  local lib=${pvusb%/bin/*}/lib/xen
  (cd "$work" && LD_LIBRARY_PATH=/before "$pvusb" exec --dir m --domid 2 -- env) >"$work/env"
  grep -qx "FAKEXEN_DIR=$dir" "$work/env" || fail "FAKEXEN_DIR: $(cat "$work/env")"
  grep -qx 'FAKEXEN_DOMID=2' "$work/env" || fail "FAKEXEN_DOMID"
  grep -qx "XENSTORED_PATH=$dir/domain/2/xenstored.socket" "$work/env" || fail "XENSTORED_PATH of a guest"
  grep -qx "LD_LIBRARY_PATH=$lib:/before" "$work/env" || fail "LD_LIBRARY_PATH: $(cat "$work/env")"
  as 0 env -u nothing >"$work/env"
  grep -qx "XENSTORED_PATH=$dir/xenstored.socket" "$work/env" || fail "XENSTORED_PATH of domain 0"
  # Installed elsewhere it finds its libraries there, and without them it says so.
  cmake --install "$build" --prefix "$work/usr" >"$work/install" || fail "install: $(cat "$work/install")"
  "$work/usr/bin/pvusb" exec --dir "$dir" --domid 1 env >"$work/env"
  grep -qE "^LD_LIBRARY_PATH=$work/usr/lib/xen(:|$)" "$work/env" || fail "installed: $(cat "$work/env")"
  cmp -s "$work/usr/lib/xen/libxenctrl.so.4.17" "$lib/libxenctrl.so.4.17" || fail "installed: other libraries"
  rm -r "$work/usr/lib"
  pvusb=$work/usr/bin/pvusb ends 2 'the libraries are not there' --dir "$dir" --domid 1 true
}

store_tools() {
  local home=/local/domain/1 line watch
  as 0 xenstore-write $home/data/a 1 /secret s /open o
  as 0 xenstore-chmod /secret n0
  as 0 xenstore-chmod /open r0
  as 0 xenstore-ls -fp >"$work/all"
  grep -qx '/secret = "s"   (n0)' "$work/all" || fail "xenstore-ls: $(cat "$work/all")"
  # A guest: its own by a relative path, what it may read, and nothing else.
  [ "$(as 1 xenstore-read domid)" = 1 ] || fail "guest: its own domid"
  [ "$(as 1 xenstore-read /open)" = o ] || fail "guest: what all may read"
  as 1 xenstore-write data/b two
  as 1 xenstore-chmod data/b n1 r2
  [ "$(as 2 xenstore-read $home/data/b)" = two ] || fail "guest: what another lets it read"
  as 1 xenstore-ls -fp $home >"$work/guest" || fail "guest: xenstore-ls of its home"
  grep -qx "$home/data/b = \"two\"   (n1,r2)" "$work/guest" || fail "guest: xenstore-ls: $(cat "$work/guest")"
  refused 1 xenstore-ls -fp /local/domain/2
  refused 1 xenstore-read /secret
  refused 1 xenstore-write /open x
  refused 1 xenstore-write /local/domain/0/name x
  refused 1 xenstore-write $home/name x
  refused 1 xenstore-chmod /local/domain/0/name b1
  refused 1 xenstore-rm /local/domain/2
  refused 2 xenstore-write $home/data/b x
  refused 1 xenstore-chmod data/b n2
  [ "$(as 0 xenstore-read $home/data/b /local/domain/0/name | tr '\n' ' ')" = "two Domain-0 " ] || fail "changed"
  # The first event comes at once, the others when something changes.
  mkfifo "$work/watch.pipe"
  as 1 xenstore-watch -n 2 data >"$work/watch.pipe" &
  watch=$!
  exec {fd}<"$work/watch.pipe"
  read -r -t 60 line <&"$fd"
  [ "$line" = data ] || fail "watch: first event: $line"
  as 0 xenstore-write $home/data/c 3
  read -r -t 60 line <&"$fd"
  [ "$line" = data/c ] || fail "watch: event: $line"
  wait $watch || fail "xenstore-watch: exit code $?"
}

usage_errors
start host 'machine ready' host --dir "$dir"
host=$started said=$fd
"$make_domains" "$dir" 1 2
exit_codes
environment
store_tools
host_ended "$host" "$said"
finish
