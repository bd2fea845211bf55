#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The scripts of ci/ as far as they can be run without installing anything: --help,
# unknown options, what ci/deps does with and without a package manager, and what ci/test says at its end. Usage:
# test_scripts.sh ROOT
set -euo pipefail

cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
  echo "$*"
  failed=1
}

for script in deps test demo bench style fuzz soak; do
  "ci/$script" --help | grep -q "usage: ci/$script" || fail "ci/$script --help prints no usage"
  [[ $script = @(demo|bench) ]] && continue # pass their arguments on
  rc=0
  "ci/$script" --no-such-option >/dev/null 2>&1 || rc=$?
  [ $rc -eq 2 ] || fail "ci/$script --no-such-option exits with $rc"
done
rc=0
out=$(ci/fuzz --seconds 1 no-such-target 2>&1) || rc=$?
[ $rc -eq 2 ] && grep -q "no target 'no-such-target'" <<<"$out" || fail "ci/fuzz accepts any target: $out"
ci/fuzz --list | grep -x 'fuzz-urb' >/dev/null || fail "ci/fuzz --list does not know fuzz-urb"
for script in ci/* .ci/*; do
  [ ! -f "$script" ] || [ "$script" = ci/CMakeLists.txt ] || [ -x "$script" ] || fail "$script cannot be run"
done

# A machine of our own making: its programs come first on the path and write down how they were called.
fake() {
  printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$work" "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
mkdir "$work/bin" "$work/runtime"
touch "$work/runtime/libclang_rt.fuzzer-x86_64.a"
reset() {
  : >"$work/calls"
  fake clang "echo '$work/runtime'"
  fake apt-cache 'exit 0'
  fake dpkg-query 'printf installed'
  fake apt-get 'exit 1'
  fake id 'echo 0'
  fake sudo 'exit 1'
}
deps() { PATH=$work/bin:$PATH ci/deps "$@" </dev/null; }

reset
out=$(deps 2>&1) || fail "ci/deps fails with nothing missing"
[ "$(wc -l <<<"$out")" -le 1 ] || fail "ci/deps says too much: $out"
! grep -q '^apt-get' "$work/calls" || fail "ci/deps calls apt-get with nothing missing"

# A peer that this Debian does not have is no reason to stop.
reset
fake dpkg-query 'case "$*" in *qemu-system-xen*) exit 1 ;; esac; printf installed'
fake apt-cache 'exit 1'
deps >/dev/null 2>&1 || fail "ci/deps fails without qemu-system-xen, which apt does not know"
! grep -q '^apt-get' "$work/calls" || fail "ci/deps calls apt-get for a package that apt does not know"
fake apt-cache 'exit 0'
[ "$(deps --missing)" = qemu-system-xen ] || fail "ci/deps does not want qemu-system-xen: $(deps --missing)"

# One package is missing until apt-get has been called.
missing_one="case \"\$*\" in *valgrind*) [ -e $work/done ] || exit 1 ;; esac; printf installed"
reset
fake dpkg-query "$missing_one"
fake apt-get "touch $work/done"
deps >/dev/null 2>&1 || fail "ci/deps cannot install one package"
[ "$(grep -c '^apt-get' "$work/calls")" -eq 1 ] || fail "ci/deps calls apt-get more than once for a known package"
grep -q '^apt-get .*install --no-install-recommends valgrind$' "$work/calls" || fail "wrong call: $(cat "$work/calls")"
rm -f "$work/done"

reset
fake dpkg-query "$missing_one"
fake id 'echo 1000'
rc=0
out=$(deps 2>&1) || rc=$?
[ $rc -eq 1 ] && grep -q 'as root, run: apt-get install .*valgrind' <<<"$out" || fail "no advice without sudo: $out"
! grep -q '^apt-get' "$work/calls" || fail "ci/deps calls apt-get without being root"

reset
fake dpkg-query "$missing_one"
rc=0
deps >/dev/null 2>&1 || rc=$?
[ $rc -eq 1 ] || fail "ci/deps exits with $rc when apt-get fails"
grep -q '^apt-get .*update' "$work/calls" || fail "ci/deps does not try newer lists when apt-get fails"

# The end of ci/test, for who sees no more of a log: each failed test and the last of what it said.
mkdir -p "$work/tree/ci"
cp ci/test "$work/tree/ci/"
printf '#!/bin/sh\necho clean\n' >"$work/tree/ci/style"
chmod +x "$work/tree/ci/style"
reset
fake cmake 'echo built'
fake ctest "while [ \"\$1\" != --output-junit ]; do shift; done; cp '$work/junit' \"\$2\"; exit 8"
end_of_test() { # without the seconds
  PATH=$work/bin:$PATH "$work/tree/ci/test" --quick --no-deps 2>&1 |
    sed -E '1,/^step /d; /^style/d; s/ +[0-9]+  FAILED$/ FAILED/; s/ in [0-9]+ s$//'
}
testcase() { # NAME INSIDE...
  printf '<testcase name="%s" classname="%s" time="1.6" status="run">\n%s\n</testcase>\n' "$1" "$1" "$2"
}
same() { # WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || fail "$1:"$'\n'"$(diff <(echo "$2") <(echo "$3"))"
}
{
  echo '<testsuite name="x" tests="4" failures="2" disabled="0" skipped="1">'
  testcase good '<system-out>fine</system-out>'
  testcase bad "<failure message=\"\"/><system-out>$(seq 90) &lt;$(printf '%0200d' 0)"$'\n\n'"</system-out>"
  testcase skips '<skipped message="x"/><system-out>skip: no &amp; none</system-out>'
  testcase silent '<failure message=""/><system-out></system-out>'
  echo '</testsuite>'
} >"$work/junit"
same 'ci/test with tests that fail' "$(
  printf '%-10s %6s %7s %8s %s\n\nskipped:\n  dev: skips: no & none\n\nfailed:\n  dev: bad, 2 s\n' dev 4 1 1 FAILED
  printf '    %s\n' $(seq 76 89) "90 <$(printf '%0152d' 0)"
  printf '  dev: silent, 2 s\n\nFAILED\n'
)" "$(end_of_test)"

# And where none could run, the last of the step.
fake cmake 'seq 20; exit 1'
same 'ci/test without a build' "$(printf '%-10s %6s %7s %8s %s\n\nfailed:\n  dev\n' dev - - - FAILED
  printf '    %d\n' $(seq 6 20)
  printf '\nFAILED\n')" "$(end_of_test)"
exit $failed
