# SPDX-License-Identifier: LGPL-2.1-or-later
# The same numbered tests in each language, in one guest.
BINDINGS_TESTS = tests/bindings/test-wheel.py tests/bindings/test-go.sh tests/bindings/test-numbered.py
dist_check_SCRIPTS += $(BINDINGS_TESTS)
TESTS += $(BINDINGS_TESTS)
EXTRA_DIST += tests/bindings/README.md tests/bindings/numbered.py

check_PROGRAMS += tests/bindings/numbered
tests_bindings_numbered_SOURCES = tests/bindings/numbered.c
tests_bindings_numbered_LDADD = lib/libkata.la -lpthread -lutil

if HAVE_GO
if !SANITIZERS
check_DATA += tests/bindings/numbered-go
CLEANFILES += tests/bindings/numbered-go
endif
endif
tests/bindings/numbered-go: lib/libkata.la $(FILES_OF_GO)
	$(AM_V_GEN)cd $(srcdir)/bindings/go && $(GO_ENVIRONMENT) $(GO) test -race -c -o '$(abs_top_builddir)/$@' ./kata
