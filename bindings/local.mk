# SPDX-License-Identifier: LGPL-2.1-or-later
# Python needs no building: pip installs it from its folder.
EXTRA_DIST += \
	bindings/python/README.md bindings/python/pyproject.toml \
	bindings/python/kata/__init__.py bindings/python/kata/_library.py bindings/python/kata/agent.py \
	bindings/python/kata/container.py bindings/python/kata/context.py bindings/python/kata/errors.py bindings/python/kata/events.py \
	bindings/python/kata/oci.py bindings/python/kata/process.py bindings/python/kata/py.typed bindings/python/kata/sandbox.py \
	bindings/python/kata/settings.py bindings/python/kata/streams.py

FILES_OF_GO = \
	bindings/go/README.md bindings/go/go.mod \
	bindings/go/kata/agent.go bindings/go/kata/ahead.go bindings/go/kata/client.go bindings/go/kata/container.go bindings/go/kata/direct_volume.go bindings/go/kata/errors.go bindings/go/kata/events.go \
	bindings/go/kata/kata.go bindings/go/kata/oci.go bindings/go/kata/process.go bindings/go/kata/sandbox.go bindings/go/kata/settings.go \
	bindings/go/kata/streams.go \
	bindings/go/kata/context_test.go bindings/go/kata/numbered_test.go bindings/go/kata/terminal_test.go
EXTRA_DIST += $(FILES_OF_GO)
GO_ENVIRONMENT = GOCACHE='$(abs_top_builddir)/go-cache' GOPROXY=off GOFLAGS=-buildvcs=false \
	PKG_CONFIG_PATH='$(abs_top_builddir)/pkgconfig'
distclean-local: distclean-go
distclean-go:
	rm -rf go-cache
.PHONY: distclean-go
