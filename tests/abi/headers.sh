#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each public header compiles alone, as C99, C11 and C++, with nothing of GLib in sight.
set -eu
top=${top_srcdir:-.}
build=${top_builddir:-.}
flags="-fsyntax-only -pedantic-errors -Wall -Wextra -Wstrict-prototypes -Werror -I$top/include -I$build/include"
# What C++ has no use for.
cxx_flags=$(printf '%s' "$flags" | sed 's/-Wstrict-prototypes//')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checked=0

for path in "$top"/include/kata/*.h "$build"/include/kata/version.h; do
    header=kata/$(basename "$path")
    # Twice: the guard holds.
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$header" "$header" >"$work/one.c"
    for standard in c99 c11; do
        # shellcheck disable=SC2086
        "${CC:-cc}" -std=$standard $flags "$work/one.c"
    done
    if command -v "${CXX:-c++}" >/dev/null; then
        # shellcheck disable=SC2086
        "${CXX:-c++}" -x c++ -std=c++11 $cxx_flags "$work/one.c"
    fi
    checked=$((checked + 1))
done
[ "$checked" -ge 10 ] || { echo "only $checked headers found below $top/include and $build/include"; exit 1; }

# The initialiser is C99 and C++ too.
printf '#include <kata/kata.h>\nint main(void) { kata_process_io io = KATA_PROCESS_IO_INIT; return io.terminal; }\n' \
    >"$work/init.c"
# shellcheck disable=SC2086
"${CC:-cc}" -std=c99 $flags "$work/init.c"
if command -v "${CXX:-c++}" >/dev/null; then
    # shellcheck disable=SC2086
    "${CXX:-c++}" -x c++ -std=c++11 $cxx_flags "$work/init.c"
else
    echo "no C++ compiler: C alone was checked"
fi
echo "$checked headers compile alone"
