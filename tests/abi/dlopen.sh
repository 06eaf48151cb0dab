#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
build=${top_builddir:-.}
exec "$build/tests/abi/dlopen" "$build/lib/.libs/libkata.so.0"
