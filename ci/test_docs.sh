#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every command that the documents below show in a block marked sh is
# run here, or is in the list below with the reason why not. Usage: test_docs.sh ROOT
set -euo pipefail

cd "$1"
failed=0
documents=(README.md CONTRIBUTING.md conformance/README.md bench/METHOD.md)

# "command|reason". A line here that no document shows is an error too.
exempt=(
  'ci/test|runs this test'
  'ci/demo|installs packages and builds the program anew'
  'ci/bench|measures for minutes'
  'sudo ci/deps|installs packages'
  'ci/fuzz|takes a minute for each target; its options are run'
)

reason_for() {
  local entry
  for entry in "${exempt[@]}"; do
    if [ "${entry%%|*}" = "$1" ]; then
      echo "${entry#*|}"
      return
    fi
  done
}

# file:line:command of each line in the sh blocks; comments are left out.
commands() {
  awk '/^```/ { inside = ($0 == "```sh"); next }
       inside { sub(/ +#.*/, ""); if ($0 != "" && $0 !~ /^#/) print FILENAME ":" FNR ":" $0 }' "${documents[@]}"
}

run() {
  case $1 in
    # A second ctest in the same folder would write over the log of the one that runs this test: list the tests only.
    'ctest '*) bash -euo pipefail -c "$1 -N" | grep -E '^Total Tests: [1-9]' ;;
    *) bash -euo pipefail -c "$1" ;;
  esac
}

shown=$(commands)
count=0
while IFS=: read -r file line command; do
  reason=$(reason_for "$command")
  if [ -n "$reason" ]; then
    echo "$file:$line: not run: $command ($reason)"
  elif output=$(run "$command" 2>&1); then
    count=$((count + 1))
    echo "$file:$line: ok: $command"
  else
    failed=1
    printf '%s:%s: failed: %s\n%s\n' "$file" "$line" "$command" "$output"
  fi
done <<<"$shown"

for entry in "${exempt[@]}"; do
  if ! cut -d : -f 3- <<<"$shown" | grep -qxF "${entry%%|*}"; then
    echo "no document shows '${entry%%|*}', so it needs no exemption"
    failed=1
  fi
done

# Links into the tree must lead somewhere.
while IFS=: read -r file target; do
  if [ ! -e "$(dirname "$file")/$target" ]; then
    echo "$file: link to $target, which is not there"
    failed=1
  fi
done < <(grep -oHE '\]\([^)#]+' "${documents[@]}" | sed 's/](//' | grep -v ':https\?:' || true)

[ $count -gt 0 ] || { echo "no command found to run"; failed=1; }
exit $failed
