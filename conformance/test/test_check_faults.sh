#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_faults.sh, with a program and faults whose verdicts are known. $1: the script.
set -euo pipefail
check=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Fails where file "finds" has the fault and the case. Notes every run.
cat >"$dir/program" <<'P'
#!/usr/bin/env bash
here=$(dirname "$0")
all="c.one c.two c.three c.four"
[ "$1" != --list ] || { printf '%s  a title\n' $all; exit 0; }
shift 2
echo "${PVUSB_BROKEN:-whole} $*" >>"$here/runs"
n=0 rc=0
for c in ${*:-$all}; do
  n=$((n + 1))
  if [ "$c" = c.four ]; then echo "ok $n - $c # SKIP no such peer"
  elif grep -qx "${PVUSB_BROKEN:-whole} $c" "$here/finds"; then echo "not ok $n - $c"; rc=1
  else echo "ok $n - $c"; fi
done
exit $rc
P
chmod +x "$dir/program"
printf 'fault f.a\nwhat  a\nfault f.b\nwhat  b\n' >"$dir/list.faults"

# $1: exit code. $2: what is printed, or nothing. Then options.
expect() {
  local want=$1 text=$2 rc=0
  shift 2
  "$check" "$@" "$dir/program" "$dir/list.faults" >"$dir/out" 2>&1 || rc=$?
  if [ $rc != "$want" ] || ! grep -qxF -- "$text" "$dir/out"; then
    echo "expected exit code $want and \"$text\", got $rc and:" >&2
    cat "$dir/out" >&2
    exit 1
  fi
}

printf '%s\n' 'f.a c.one' 'f.a c.two' 'f.b c.three' >"$dir/finds"
expect 0 'f.a: c.one c.two'
expect 0 '# 2 faults, 0 not found; 4 cases, 0 find none' --jobs 1
cp "$dir/out" "$dir/table"
rm "$dir/runs"
expect 0 'f.b: c.three' --recorded "$dir/table"
diff <(sort "$dir/runs") - <<'R'
f.a c.one c.two
f.b c.three
whole 
R

printf '%s\n' 'f.a c.one' 'f.a c.two' 'f.a c.three' >"$dir/finds"
expect 1 'no case finds fault f.b'
expect 1 'no case finds fault f.b' --recorded "$dir/table"
printf '%s\n' 'f.a c.one' 'f.b c.three' >"$dir/finds"
expect 1 'no fault is found by case c.two'
expect 1 'no fault is found by case c.two' --recorded "$dir/table"
printf '%s\n' 'f.a c.one' 'f.a c.two' 'f.b c.three' 'whole c.two' >"$dir/finds"
expect 1 'not ok 2 - c.two'
# A fault that the table does not have is run against all cases.
printf '%s\n' 'f.a c.one' 'f.a c.two' 'f.b c.three' >"$dir/finds"
sed -i '/^f.b/d' "$dir/table"
expect 0 'f.b: c.three' --recorded "$dir/table"
echo "check_faults: all as expected"
