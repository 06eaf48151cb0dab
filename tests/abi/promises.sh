#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
build=$(cd "${top_builddir:-.}" && pwd)
unset KATA_ROOT KATA_CONFIG KATA_OWNER
config=$(mktemp)
trap 'rm -f "$config"' EXIT
KATA_CONFIG=$config "$build/tests/abi/promises" "$build/tests/unit/fake-owner"
