# SPDX-License-Identifier: LGPL-2.1-or-later
# The same numbered tests in each language, in one guest.
BINDINGS_TESTS = tests/bindings/test-wheel.py tests/bindings/test-numbered.py
dist_check_SCRIPTS += $(BINDINGS_TESTS)
TESTS += $(BINDINGS_TESTS)
EXTRA_DIST += tests/bindings/README.md tests/bindings/numbered.py
check_PROGRAMS += tests/bindings/numbered
tests_bindings_numbered_SOURCES = tests/bindings/numbered.c
tests_bindings_numbered_LDADD = lib/libkata.la -lpthread -lutil
