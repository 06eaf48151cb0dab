# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
TTRPC_TESTS = \
	tests/unit/test-fds \
	tests/unit/test-ttrpc-address \
	tests/unit/test-ttrpc-client \
	tests/unit/test-ttrpc-frame \
	tests/unit/test-ttrpc-resync \
	tests/unit/test-ttrpc-server
check_PROGRAMS += $(TTRPC_TESTS)
TESTS += $(TTRPC_TESTS)

TTRPC_FIXTURE = tests/unit/ttrpc-fixture.c tests/unit/ttrpc-fixture.h

tests_unit_test_fds_SOURCES = tests/unit/test-fds.c
tests_unit_test_fds_LDADD = $(TEST_LIBS)
tests_unit_test_ttrpc_address_SOURCES = tests/unit/test-ttrpc-address.c $(TTRPC_FIXTURE)
tests_unit_test_ttrpc_address_LDADD = $(TEST_LIBS)
tests_unit_test_ttrpc_client_SOURCES = tests/unit/test-ttrpc-client.c $(TTRPC_FIXTURE)
tests_unit_test_ttrpc_client_LDADD = $(TEST_LIBS)
tests_unit_test_ttrpc_frame_SOURCES = tests/unit/test-ttrpc-frame.c $(TTRPC_FIXTURE)
tests_unit_test_ttrpc_frame_LDADD = $(TEST_LIBS)
tests_unit_test_ttrpc_resync_SOURCES = tests/unit/test-ttrpc-resync.c $(TTRPC_FIXTURE)
tests_unit_test_ttrpc_resync_LDADD = $(TEST_LIBS)
tests_unit_test_ttrpc_server_SOURCES = tests/unit/test-ttrpc-server.c $(TTRPC_FIXTURE)
tests_unit_test_ttrpc_server_LDADD = $(TEST_LIBS)
endif
