# SPDX-License-Identifier: MIT
# One set of warnings and sanitizers for every target of the project.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum
                    -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wwrite-strings
                    -Wformat=2 -Wundef)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  add_compile_options(-Wno-gnu-zero-variadic-macro-arguments) # cmocka's and check's own macros
endif()
if(PVUSB_WERROR)
  add_compile_options(-Werror)
endif()
if(PVUSB_SANITIZE)
  add_compile_options(-fsanitize=${PVUSB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PVUSB_SANITIZE})
  if(PVUSB_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # ThreadSanitizer does not model fences. The rings order their data by the index words, which it does model.
    add_compile_options(-Wno-tsan)
  endif()
endif()
if(PVUSB_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
# Xen's headers describe the newest interface only when asked; without this they even name their barriers differently.
add_compile_definitions(_GNU_SOURCE __XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__)
# assert() names our own bugs; it stays on in every build type.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()
# One optimisation level for all that is built to be run: at -O3 gcc warns of what cannot happen.
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
