# SPDX-License-Identifier: LGPL-2.1-or-later

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test-agent-init
TESTS += tests/unit/test-agent-init
tests_unit_test_agent_init_SOURCES = tests/unit/test-agent-init.c
tests_unit_test_agent_init_LDADD = agent/libagent.la $(TEST_LIBS)
endif
