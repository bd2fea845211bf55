# shellcheck shell=bash disable=SC2034 # who sources this ends with $failed
# SPDX-License-Identifier: MIT
# For tests of programs by their exit code and output. Sets failed=1 when something is not as expected.
failed=0

# expect RC TEXT COMMAND...: the exit code, and a text of its output.
expect() {
  local rc=$1 text=$2 out got
  shift 2
  out=$("$@" 2>&1); got=$?
  if [ "$got" != "$rc" ] || [[ $out != *"$text"* ]]; then
    printf 'FAIL: %s\n  expected exit %s and "%s", got exit %s:\n%s\n' "$*" "$rc" "$text" "$got" "$out"
    failed=1
  fi
}

# same WHAT EXPECTED ACTUAL
same() {
  [ "$2" = "$3" ] || { printf 'FAIL: %s\n  expected %s\n  got      %s\n' "$1" "$2" "$3"; failed=1; }
}
