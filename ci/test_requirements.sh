#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each rule of conformance/rules.txt is a source of a requirement of REQUIREMENTS.md or in its table of rules not taken
# over. The form of that file is checked where it is read: test_conform_requirements. Usage: test_requirements.sh ROOT
set -euo pipefail

cd "$1/conformance"

# Each rule is there exactly one way, and each one named exists.
check_rules() {
  local sources table
  sources=$(grep -E '^\*(MUST|SHOULD|OBSERVED)\* · ' "$1" | grep -oE '\b[A-Z]+-[0-9]{2}\b' | sort -u)
  table=$(sed -nE 's/^\| ([A-Z]+-[0-9]{2}) \| .+ \|$/\1/p' "$1" | sort)
  comm -13 <(sort -u <<<"$sources"$'\n'"$table") <(sort "$2") | sed 's/$/: no requirement and no reason/'
  comm -23 <(sort -u <<<"$sources"$'\n'"$table") <(sort "$2") | sed 's/$/: no such rule/'
  comm -12 <(echo "$sources") <(sort -u <<<"$table") | sed 's/$/: taken over, and in the table of those not/'
}

found=$(check_rules REQUIREMENTS.md rules.txt)
if [ -n "$found" ]; then
  echo "$found"
  exit 1
fi
echo "$(grep -c '^### ' REQUIREMENTS.md) requirements, $(wc -l <rules.txt) rules"
