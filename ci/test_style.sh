#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ci/style must find each thing that it says it finds, and where. Usage: test_style.sh ROOT
set -euo pipefail

style=$1/ci/style
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# expect LINE: the violation that ci/style must print for the tree as it is, and the only one.
expect() {
  local got rc=0
  got=$("$style" "$work") || rc=$?
  if [ "$got" != "$1" ] || [ $rc -ne 1 ]; then
    printf 'expected: %s\ngot (%d):  %s\n' "$1" $rc "$got"
    failed=1
  fi
  rm -rf "${work:?}"/*
}

licence='// SPDX-License-Identifier: MIT'
# source FILE LINE...: a C file with its licence.
source_file() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "$licence" "${@:2}" >"$1"
}
repeat() {
  local i
  for ((i = 0; i < $1; i++)); do echo "$2"; done
}

printf 'int x;\n' >a.c
expect 'a.c:1: no SPDX-License-Identifier: MIT'
printf 'set(x 1)\n' >CMakeLists.txt
expect 'CMakeLists.txt:1: no SPDX-License-Identifier: MIT'
source_file a.c 'int x;' $'\tint y;'
expect 'a.c:3: tab'
source_file a.h 'int x; '
expect 'a.h:2: trailing blank'
source_file a.c 'static int f(int a,' '             int b)' '{' "$(repeat 69 '    a++;')" '}'
expect 'a.c:2: function of 73 lines, at most 70'
source_file a.c 'int f(void);' '' 'int g(void)' '{' "$(repeat 68 '    f();')" '}'
expect 'a.c:4: function of 71 lines, at most 70'
source_file a.c "$(repeat 600 'int x;')"
expect 'a.c:601: file of 601 lines, at most 600'
source_file ring/a.c '#include <fakexen/xen_ops.h>'
expect 'ring/a.c:2: ring/ must not include fakexen/xen_ops.h'
source_file ring/test/a.c '#include "backend/backend.h"'
expect 'ring/test/a.c:2: ring/ must not include backend/backend.h'
source_file fake_xen/a.c '#include <pvusb/abi.h>'
expect 'fake_xen/a.c:2: fake_xen/ must not include pvusb/abi.h'
source_file fake_xen/host/a.c '#  include "../../sim/trace/trace.h"'
expect 'fake_xen/host/a.c:2: fake_xen/ must not include ../../sim/trace/trace.h'
source_file sim/x/a.c '#include "../../conformance/conform.h"'
expect 'sim/x/a.c:2: sim/ must not include ../../conformance/conform.h'
source_file fake_xen/a.c '#include <bench/path.h>'
expect 'fake_xen/a.c:2: fake_xen/ must not include bench/path.h'
source_file conformance/cases/a.c '#include <pvusb/urb.h>'
expect 'conformance/cases/a.c:2: conformance/cases/ must not include pvusb/urb.h'
source_file conformance/kit/a.c '#include "../../ring/include/pvusb/abi.h"'
expect 'conformance/kit/a.c:2: conformance/kit/ must not include ../../ring/include/pvusb/abi.h'
source_file conformance/a.h '#include "backend/backend.h"'
expect 'conformance/a.h:2: conformance/a.h must not include backend/backend.h'
source_file a.c '/* TO''DO: more */'
expect 'a.c:2: something left to do'

source_file ring/a.c '#include <pvusb/ring.h>' 'int f(void)' '{' "$(repeat 67 '    f();')" '}'
source_file conformance/kit/a.c '#include <xen/io/usbif.h>' '#include "devices/probe_protocol.h"'
source_file conformance/run/a.c '#include "trace/trace.h"'
source_file sim/a.c '#include <pvusb/ring.h>' '#include <fakexen/xen_ops.h>' "$(repeat 597 'int x;')"
if ! "$style" "$work" >out; then
  echo "a clean tree is refused: $(cat out)"
  failed=1
fi
exit $failed
