# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
TTRPC_TESTS = tests/unit/test-fds
check_PROGRAMS += $(TTRPC_TESTS)
TESTS += $(TTRPC_TESTS)

tests_unit_test_fds_SOURCES = tests/unit/test-fds.c
tests_unit_test_fds_LDADD = $(TEST_LIBS)
endif
