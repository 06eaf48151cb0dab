#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Go package is written as Go programs are, passes vet, and is built with what pkg-config says.
set -eu
top=$(cd "${top_srcdir:-.}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
command -v go >/dev/null || { echo 'skipped: go is not installed'; exit 77; }
export GOCACHE="$build/go-cache" GOPROXY=off GOFLAGS=-buildvcs=false PKG_CONFIG_PATH="$build/pkgconfig"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$top/bindings/go"
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "gofmt would change: $unformatted"; exit 1; }
go vet ./...
# Only the standard library and itself.
if go list -deps ./... | grep '\.' | grep -v '^vendor/golang\.org/'; then echo 'needs packages from elsewhere'; exit 1; fi

# A program of somebody else's, which also shows that it works without the race detector.
mkdir "$work/program"
cat >"$work/program/go.mod" <<EOF
module program

go 1.19

require libkata v0.0.0

replace libkata => $top/bindings/go
EOF
cat >"$work/program/main.go" <<'EOF'
package main

import (
	"fmt"

	"libkata/kata"
)

func main() { fmt.Println(kata.Version()) }
EOF
cd "$work/program"
go build -o program .
got=$(LD_LIBRARY_PATH="$build/lib/.libs" ./program)
wanted=$(sed -n 's/^#define KATA_VERSION "\(.*\)"/\1/p' "$build/include/kata/version.h")
[ "$got" = "$wanted" ] || { echo "version $got, not $wanted"; exit 1; }
echo "libkata $got from Go"
