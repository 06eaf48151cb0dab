# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
KATACTL_TESTS = \
	tests/unit/test-katactl-options \
	tests/unit/test-katactl-signals \
	tests/unit/test-katactl-process-json \
	tests/unit/test-katactl-state-json \
	tests/unit/test-katactl-tables \
	tests/unit/test-katactl-bench \
	tests/unit/test-katactl-console \
	tests/unit/test-katactl-attend \
	tests/unit/test-katactl-monitor
check_PROGRAMS += $(KATACTL_TESTS)
TESTS += $(KATACTL_TESTS)

tests_unit_test_katactl_options_SOURCES = tests/unit/test-katactl-options.c
tests_unit_test_katactl_options_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_signals_SOURCES = tests/unit/test-katactl-signals.c
tests_unit_test_katactl_signals_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_process_json_SOURCES = tests/unit/test-katactl-process-json.c
tests_unit_test_katactl_process_json_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_state_json_SOURCES = tests/unit/test-katactl-state-json.c
tests_unit_test_katactl_state_json_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_tables_SOURCES = tests/unit/test-katactl-tables.c
tests_unit_test_katactl_tables_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_bench_SOURCES = tests/unit/test-katactl-bench.c
tests_unit_test_katactl_bench_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_console_SOURCES = tests/unit/test-katactl-console.c
tests_unit_test_katactl_console_LDADD = katactl/libkatactl.la $(TEST_LIBS)
tests_unit_test_katactl_attend_SOURCES = tests/unit/test-katactl-attend.c
tests_unit_test_katactl_attend_LDADD = katactl/libkatactl.la $(TEST_LIBS)
# The monitor's own duties; what it stands for is played by the test.
tests_unit_test_katactl_monitor_SOURCES = tests/unit/test-katactl-monitor.c
tests_unit_test_katactl_monitor_LDADD = katactl/libkatactl.la $(TEST_LIBS)
endif
