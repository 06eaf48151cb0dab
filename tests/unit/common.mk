# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
COMMON_TESTS = tests/unit/test-error tests/unit/test-ids tests/unit/test-log tests/unit/test-safe-path tests/unit/test-spawn
check_PROGRAMS += $(COMMON_TESTS)
TESTS += $(COMMON_TESTS)

tests_unit_test_error_SOURCES = tests/unit/test-error.c
tests_unit_test_error_LDADD = $(TEST_LIBS)
tests_unit_test_ids_SOURCES = tests/unit/test-ids.c
tests_unit_test_ids_LDADD = $(TEST_LIBS)
tests_unit_test_log_SOURCES = tests/unit/test-log.c
tests_unit_test_log_LDADD = $(TEST_LIBS)
tests_unit_test_spawn_SOURCES = tests/unit/test-spawn.c
tests_unit_test_spawn_LDADD = $(TEST_LIBS)
tests_unit_test_safe_path_SOURCES = tests/unit/test-safe-path.c
tests_unit_test_safe_path_LDADD = $(TEST_LIBS)
endif
