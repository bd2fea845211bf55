#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# conformance/REQUIREMENTS.md has the form that pvusb-conform reads, and each rule of conformance/rules.txt is a
# source of a requirement or in the table of rules not taken over. Usage: test_requirements.sh ROOT
set -euo pipefail

cd "$1/conformance"

# Each violation of the form is one line.
check_form() {
  awk '
    function say(text) { print FILENAME ":" FNR ": " text }
    want == 1 { if ($0 !~ /^\*(MUST|SHOULD|OBSERVED)\* · (backend|frontend|both|toolstack) · ./) say("no level, who and source of " id)
                want = 2; next }
    want == 2 { if ($0 != "") say("no blank line before the text of " id); want = 3; next }
    want == 3 { if ($0 !~ /^[^#*|]/ || $0 ~ /^(Differs|Not observable): /) say("no text of " id); want = 0 }
    /^## [0-9]/ { if ($2 != ++chapter ".") say("chapter " $2 " where " chapter ". is due") }
    /^### / { id = $2; want = 1
              if ($0 !~ /^### [a-z0-9-]+(\.[a-z0-9-]+)+$/) say("not an id: " $0)
              if (seen[id]++) say(id " is there twice")
              if (!chapter) say(id " is in no chapter") }
    END { if (want) say("ends within " id); if (chapter != 17) say(chapter " chapters, not 17") }' "$1"
}

# Each rule is there exactly one way, and each one named exists.
check_rules() {
  local sources table
  sources=$(grep -E '^\*(MUST|SHOULD|OBSERVED)\* · ' "$1" | grep -oE '\b[A-Z]+-[0-9]{2}\b' | sort -u)
  table=$(sed -nE 's/^\| ([A-Z]+-[0-9]{2}) \| .+ \|$/\1/p' "$1" | sort)
  comm -13 <(sort -u <<<"$sources"$'\n'"$table") <(sort "$2") | sed 's/$/: no requirement and no reason/'
  comm -23 <(sort -u <<<"$sources"$'\n'"$table") <(sort "$2") | sed 's/$/: no such rule/'
  comm -12 <(echo "$sources") <(sort -u <<<"$table") | sed 's/$/: taken over, and in the table of those not/'
}

found=$(check_form REQUIREMENTS.md; check_rules REQUIREMENTS.md rules.txt)
if [ -n "$found" ]; then
  echo "$found"
  exit 1
fi
echo "$(grep -c '^### ' REQUIREMENTS.md) requirements, $(wc -l <rules.txt) rules"
