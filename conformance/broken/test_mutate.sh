#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What mutate makes of faults, and which of them it refuses. $1: the program.
set -euo pipefail
mutate=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/src" "$dir/out"
printf 'int a = 1;\nint b = 2;\nint b2 = 2;\n' >"$dir/src/x.c"

run() { "$mutate" "$dir" "$dir/out" "$dir/f" -- src/x.c; }

# $1: what the one line must say; the faults are on stdin.
refused() {
  cat >"$dir/f"
  local rc=0
  run 2>"$dir/err" || rc=$?
  if [ $rc != 1 ] || [ "$(wc -l <"$dir/err")" != 1 ] || ! grep -qF -- "$1" "$dir/err"; then
    echo "expected exit code 1 and \"$1\", got $rc and: $(cat "$dir/err")" >&2
    exit 1
  fi
}

cat >"$dir/f" <<'F'
# two in one place, and text of several lines
fault t.one
what  first
file  src/x.c
- a = 1
+ a = BROKEN("t.one") ? 7 :
+   BROKEN("t.two") + 1
fault t.two
what  second
with  t.one
fault t.three
what  over two lines
file  src/x.c
- b = 2;
- int b2
+ b = BROKEN("t.three");
+ int c
F
run
diff "$dir/out/src-x.c" - <<'F'
#include "broken.h"
int a = BROKEN(1) ? 7 :
  BROKEN(2) + 1;
int b = BROKEN(3);
int c = 2;
F
grep -qF '{"t.two", "second"},' "$dir/out/faults.c"

head=$'what  w\nfile  src/x.c'
refused 'fault t.gone: its old text is not in src/x.c' <<<"fault t.gone
$head
- int z
+ BROKEN(\"t.gone\")"
refused 'fault t.twice: its old text is more than once in src/x.c' <<<"fault t.twice
$head
- = 2;
+ BROKEN(\"t.twice\")"
refused 'fault t.b: changes the same text as t.a' <<<"fault t.a
$head
- int a
+ BROKEN(\"t.a\")
fault t.b
$head
- a = 1
+ BROKEN(\"t.b\")"
refused 'fault t.off: no new text asks for it' <<<"fault t.off
$head
- int a
+ long a"
refused 'fault t.a: asks for t.other, which is not there' <<<"fault t.a
$head
- int a
+ BROKEN(\"t.a\") BROKEN(\"t.other\")"
refused 'fault t.a: there is another of that name' <<<"fault t.a
$head
fault t.a"
refused 'fault t.a: needs a line that says what is wrong' <<<"fault t.a
file  src/x.c
- int a
+ BROKEN(\"t.a\")"
refused 'fault t.a: src/y.c is not a source' <<<"fault t.a
what  w
file  src/y.c
- int a
+ BROKEN(\"t.a\")"
refused 'fault t.b: there is no t.c before it' <<<"fault t.b
what  w
with  t.c"
refused 'f:4: not understood: = int a' <<<"fault t.a
$head
= int a"
echo "mutate: all as expected"
